import HTTPTypes
import HoldfastServer
import NIOHTTP1
import Testing

@Suite struct RequestHeadTests {
    private static func request(
        _ headers: HTTPHeaders, _ version: HTTPVersion = .http1_1, uri: String = "/bucket/key"
    ) -> HTTPRequest? {
        HTTPRequest(
            HTTPRequestHead(version: version, method: .GET, uri: uri, headers: headers), scheme: "http")
    }

    @Test func aRequestNamesItsHost() {
        let request = Self.request(["Host": "localhost:9000", "X-Amz-Date": "now"])
        #expect(request?.authority == "localhost:9000" && request?.path == "/bucket/key")
        #expect(request?.headerFields.count == 1)
        // Who has no name for it says so.
        #expect(Self.request(["Host": ""])?.authority == "")
    }

    /// Source: RFC 9112, 3.2.
    @Test func aRequestThatDoesNotNameOneHostIsNone() {
        #expect(Self.request([:]) == nil && Self.request(["X-Amz-Date": "now"]) == nil)
        #expect(Self.request([:], uri: "http://localhost/bucket/key") == nil)
        #expect(Self.request(["Host": "localhost", "host": "localhost"]) == nil)
        #expect(Self.request(["Host": "localhost", "host": "localhost"], .http1_0) == nil)
    }

    @Test func beforeHTTP11ARequestNeedNotNameItsHost() {
        let request = Self.request([:], .http1_0)
        #expect(request?.path == "/bucket/key" && request?.authority == nil)
        #expect(Self.request(["Host": "localhost"], .http1_0)?.authority == "localhost")
    }
}
