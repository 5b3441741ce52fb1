import HoldfastServer
import NIOCore
import Testing

@Suite struct ReadEndsTests {
    private static let head = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

    private static let chunks = "5\r\nabcde\r\n0\r\n\r\n"

    private static func ends(_ piece: String, bodyCount: Int = 0, isChunked: Bool = false) -> Bool {
        // What was read before is not looked at.
        var bytes = ByteBuffer(string: "\r\n\r\n" + piece)
        bytes.moveReaderIndex(forwardBy: 4)
        return ReadEnds.endsWithRequest(bytes, bodyCount: bodyCount, isChunked: isChunked)
    }

    @Test func aPieceThatIsARequestEndsWithIt() {
        #expect(Self.ends(Self.head))
        #expect(Self.ends(Self.head + "abcde", bodyCount: 5))
        #expect(Self.ends("abcde", bodyCount: 5))
        #expect(Self.ends(Self.chunks, bodyCount: 5, isChunked: true))
        #expect(Self.ends(Self.head + Self.head))
    }

    @Test func theBeginningOfAnotherRequestIsSeenWhereverItEnds() {
        for count in 1..<Self.head.utf8.count {
            let beginning = String(decoding: Array(Self.head.utf8).prefix(count), as: UTF8.self)
            #expect(!Self.ends(Self.head + beginning))
            #expect(!Self.ends(Self.head + "abcde" + beginning, bodyCount: 5))
            #expect(!Self.ends("abcde" + beginning, bodyCount: 5))
            #expect(!Self.ends(Self.chunks + beginning, bodyCount: 5, isChunked: true))
        }
    }

    @Test func inDoubtItDoesNot() {
        #expect(!Self.ends("\n"))
        #expect(!Self.ends("\r\n\n"))
        #expect(!Self.ends(Self.head + "abcde\r\n", bodyCount: 5))
        // More of a body than the piece has: of a request that was sent ahead.
        #expect(!Self.ends("abc", bodyCount: 5))
    }
}
