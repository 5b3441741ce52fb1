import HoldfastServer
import Testing

/// W3C Trace Context, level 1.
@Suite struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "b7ad6b7169203331"

    @Test(arguments: [("01", true), ("00", false), ("03", true), ("fe", false)])
    func aValidHeaderSaysTheTraceAndWhetherItIsRecorded(_ flags: String, _ isSampled: Bool) throws {
        let context = try #require(TraceContext(["00-\(Self.trace)-\(Self.parent)-\(flags)"]))
        #expect(context.traceText == Self.trace)
        #expect(context.parentID == [0xB7, 0xAD, 0x6B, 0x71, 0x69, 0x20, 0x33, 0x31])
        #expect(context.isSampled == isSampled)
    }

    @Test(arguments: [
        [], [""], ["00"], ["00-\(trace)-\(parent)"], ["ff-\(trace)-\(parent)-01"],
        ["00-\(trace)-\(parent)-01-"], ["00-\(trace)-\(parent)-01-x"], ["01-\(trace)-\(parent)-01x"],
        ["00-\(trace.uppercased())-\(parent)-01"], ["00-\(trace)-\(parent)-0x"],
        ["00-00000000000000000000000000000000-\(parent)-01"], ["00-\(trace)-0000000000000000-01"],
        ["00_\(trace)-\(parent)-01"], ["0-\(trace)-\(parent)-001"],
        ["00-\(trace)-\(parent)-01", "00-\(trace)-\(parent)-01"],
    ])
    func whatIsInvalidIsNoTrace(_ headers: [String]) {
        #expect(TraceContext(headers) == nil)
    }

    @Test func aLaterVersionMayHaveMoreBehind() {
        #expect(TraceContext(["cc-\(Self.trace)-\(Self.parent)-01-what.the.future.holds"])?.isSampled == true)
        #expect(TraceContext(["cc-\(Self.trace)-\(Self.parent)-01"])?.isSampled == true)
    }

    @Test(
        arguments: [
            (["a=1"], "a=1"), (["a=1, b=2 ", "c=3"], "a=1,b=2,c=3"), (["vendor@sys=x;y"], "vendor@sys=x;y"),
            ([], nil), ([""], nil), (["a"], nil), (["A=1"], nil), (["a=1,a=2"], nil), (["a="], nil),
        ] as [([String], String?)])
    func aListOfVendorsIsPassedOnWholeOrNotAtAll(_ headers: [String], _ text: String?) {
        #expect(TraceContext.state(headers) == text)
    }

    @Test(
        arguments: [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example/in", "https://otel.example:443/in"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("ftp://a", nil), ("http://user:secret@a", nil), ("a:4318", nil), ("http://", nil),
        ] as [(String, String?)])
    func anEndpointIsAnAddressWithoutASecret(_ text: String, _ endpoint: String?) {
        #expect(TraceEndpoint(text)?.description == endpoint)
    }
}
