import HoldfastServer
import NIOCore
import Testing

@Suite struct ReadEndsTests {
    private static let head = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static let chunks = "5\r\nabcde\r\n0\r\n\r\n"
    /// Has empty lines of its own.
    private static let form = "--x\r\nA: b\r\n\r\ndata\r\n--x--\r\n"

    /// - Parameters:
    ///   - body: how much of the piece is a body.
    private static func ends(
        _ piece: String, body: String = "", hasHead: Bool = false, isChunked: Bool = false
    ) -> Bool {
        // What was read before is not looked at.
        var bytes = ByteBuffer(string: "\r\n\r\n" + piece)
        bytes.moveReaderIndex(forwardBy: 4)
        return ReadEnds.endsWithRequest(
            bytes, bodyCount: body.utf8.count, hasHead: hasHead, isChunked: isChunked)
    }

    @Test func aPieceThatIsARequestEndsWithIt() {
        #expect(Self.ends(Self.head, hasHead: true))
        #expect(Self.ends(Self.head + Self.head, hasHead: true))
        #expect(Self.ends(Self.chunks, body: "abcde", isChunked: true))
        for body in ["abcde", Self.form] {
            #expect(Self.ends(Self.head + body, body: body, hasHead: true))
            #expect(Self.ends(body, body: body))
        }
        // The end of a head that began in the piece before.
        #expect(Self.ends("ost\r\n\r\nabcde", body: "abcde", hasHead: true))
    }

    @Test func theBeginningOfAnotherRequestIsSeenWhereverItEnds() {
        for count in 1..<Self.head.utf8.count {
            let beginning = String(decoding: Array(Self.head.utf8).prefix(count), as: UTF8.self)
            #expect(!Self.ends(Self.head + beginning, hasHead: true))
            #expect(!Self.ends(Self.chunks + beginning, body: "abcde", isChunked: true))
            for body in ["abcde", "a\r\n\r\nb", Self.form] {
                #expect(!Self.ends(Self.head + body + beginning, body: body, hasHead: true))
                #expect(!Self.ends(body + beginning, body: body))
            }
        }
    }

    @Test func inDoubtItDoesNot() {
        #expect(!Self.ends("\n", hasHead: true))
        #expect(!Self.ends("\r\n\n", hasHead: true))
        #expect(!Self.ends("\r\nabcde", body: "abcde", hasHead: true))
        #expect(!Self.ends(Self.head + "abcde\r\n", body: "abcde", hasHead: true))
        // More of a body than the piece has: of a request that was sent ahead.
        #expect(!Self.ends("abc", body: "abcde"))
    }
}
