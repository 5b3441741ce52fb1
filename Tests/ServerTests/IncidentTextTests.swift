import HoldfastServer
import Testing

/// What reports make of names that somebody else chose.
@Suite struct IncidentTextTests {
    @Test(arguments: [
        ("plain", "plain"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""), ("a\nb", "\"a\nb\""),
        ("=1+1", "\"'=1+1\""), ("+1", "\"'+1\""), ("-1", "\"'-1\""), ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("\tx", "\"'\tx\""), ("\rx", "\"'\rx\""), ("＝1", "\"'＝1\""), ("", ""), (" x", "\" x\""),
        ("a=b", "a=b"), ("\u{301}=", "\u{301}="),
    ])
    func aCellIsQuotedAndIsNoFormula(_ text: String, _ cell: String) {
        #expect(CSVText.cell(text) == cell)
    }

    @Test func aRowEndsAsRFC4180Says() {
        #expect(CSVText.row(["a", "b"]) == "a,b\r")
    }
}
