import HoldfastServer
import Testing

/// Markup takes values for text.
@Suite struct HTMLTests {
    @Test func whatIsMarkupInAValueIsText() {
        let value = "<script>alert('x')</script>&\""
        let page: HTML = "<p title=\"\(value)\">\(value)</p>"
        let text = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        #expect(page.text == "<p title=\"\(text)\">\(text)</p>")
    }

    @Test func markupThatIsPutIntoMarkupStaysMarkup() {
        let cells: [HTML] = ["<td>\("a<b")</td>", "<td>\(2)</td>"]
        var row: HTML = "<tr>\(cells)</tr>"
        row += "\n"
        #expect(row.text == "<tr><td>a&lt;b</td><td>2</td></tr>\n")
    }

    @Test func whatTurnsTheDirectionOfWritingIsShownAndNotDone() {
        let page: HTML = "\("a\u{202E}b\nc")"
        #expect(page.text == "a\\u{202e}b\\nc")
    }
}
