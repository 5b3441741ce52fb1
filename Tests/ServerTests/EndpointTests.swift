import HoldfastServer
import Testing

@Suite struct EndpointTests {
    @Test func anIPv6AddressIsWrittenInBrackets() {
        #expect(ServerSettings.Endpoint(host: "::1", port: 9000).description == "[::1]:9000")
        #expect(ServerSettings.Endpoint(host: "127.0.0.1", port: 9000).description == "127.0.0.1:9000")
    }
}
