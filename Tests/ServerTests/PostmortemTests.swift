import HoldfastServer
import Testing

/// What somebody else chose is no markup of the report.
@Suite struct PostmortemTests {
    @Test(arguments: [
        ("plain words (and more)", "plain words (and more)"), ("a|b", "a\\|b"), ("[x](y)", "\\[x\\](y)"),
        ("<script>", "\\<script\\>"), ("a\nb", "a\\\\nb"), ("`code`", "\\`code\\`"),
    ])
    func aNameIsTextInMarkdown(_ text: String, _ markdown: String) {
        #expect(text.markdown == markdown)
    }
}
