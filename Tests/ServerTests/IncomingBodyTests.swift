import HoldfastServer
import NIOCore
import ObjectStore
import S3
import Synchronization
import Testing

@Suite struct IncomingBodyTests {
    /// What the connection was told.
    private final class Connection: Sendable {
        let resumes = Mutex(0)
        let continues = Mutex(0)

        func body(awaitsContinue: Bool = false) -> IncomingBody {
            IncomingBody(
                awaitsContinue: awaitsContinue, resume: { self.resumes.withLock { $0 += 1 } },
                sendContinue: { self.continues.withLock { $0 += 1 } })
        }
    }

    private static func buffer(_ count: Int, _ byte: UInt8 = 1) -> ByteBuffer {
        ByteBuffer(repeating: byte, count: count)
    }

    private static let failure = S3Error(.incompleteBody, "gone")

    @Test func whatIsPushedComesOutInOrderAndThenTheEnd() async throws {
        let body = Connection().body()
        for byte in 1...3 as ClosedRange<UInt8> { body.push(Self.buffer(Int(byte), byte)) }
        body.end()
        for byte in 1...3 as ClosedRange<UInt8> {
            let chunk = try #require(try await body.next())
            #expect(chunk.withUnsafeBytes { Array($0) } == [UInt8](repeating: byte, count: Int(byte)))
        }
        for _ in 0..<3 { #expect(try await body.next() == nil) }
    }

    @Test func whoeverWaitsIsWokenByBytesByTheEndAndByAFailure() async throws {
        for index in 0..<200 {
            let body = Connection().body()
            let reader = Task { () -> [Int] in
                var counts: [Int] = []
                while let chunk = try await body.next() { counts.append(chunk.count) }
                return counts
            }
            // Pushed while the reader waits, or before it asks: both come to the same.
            if index.isMultiple(of: 2) { await Task.yield() }
            for count in 1...5 { body.push(Self.buffer(count)) }
            if index.isMultiple(of: 3) {
                body.fail(Self.failure)
                await #expect(throws: S3Error.self) { try await reader.value }
            } else {
                body.end()
                #expect(try await reader.value == [1, 2, 3, 4, 5])
            }
        }
    }

    @Test func aFailureComesBehindTheBytesThatWereThere() async throws {
        let body = Connection().body()
        body.push(Self.buffer(1))
        body.fail(Self.failure)
        #expect(try await body.next()?.count == 1)
        for _ in 0..<2 { await #expect(throws: S3Error.self) { try await body.next() } }
    }

    @Test func theConnectionIsHeldUpByAFullBodyAndToldOnceWhenThereIsRoom() async throws {
        let connection = Connection()
        let body = connection.body()
        let piece = IncomingBody.limit / 4
        for _ in 0..<3 {
            body.push(Self.buffer(piece))
            #expect(body.wantsMore())
        }
        body.push(Self.buffer(piece))
        #expect(!body.wantsMore(), "the limit is reached")
        var taken = 0
        while connection.resumes.withLock({ $0 }) == 0 {
            try #require(taken < 4, "it is never told")
            _ = try await body.next()
            taken += 1
        }
        #expect(taken == 3, "less than half is left")
        #expect(body.wantsMore())
        _ = try await body.next()
        #expect(connection.resumes.withLock { $0 } == 1)
    }

    @Test func aBodyThatIsTakenAsItComesIsNeverHeldUp() async throws {
        let connection = Connection()
        let body = connection.body()
        for _ in 0..<10 {
            body.push(Self.buffer(IncomingBody.limit / 2))
            #expect(body.wantsMore())
            _ = try await body.next()
        }
        #expect(connection.resumes.withLock { $0 } == 0)
    }

    @Test func aReadLargerThanTheLimitIsTakenAndHoldsUpTheNext() async throws {
        let connection = Connection()
        let body = connection.body()
        body.push(Self.buffer(2 * IncomingBody.limit))
        #expect(!body.wantsMore())
        #expect(try await body.next()?.count == 2 * IncomingBody.limit)
        #expect(connection.resumes.withLock { $0 } == 1)
    }

    @Test func aClientThatWaitsIsAskedWhenItsBodyIsAndNotBefore() async throws {
        let connection = Connection()
        let body = connection.body(awaitsContinue: true)
        #expect(!body.wantsMore() && body.wasNotAskedFor)
        #expect(connection.continues.withLock { $0 } == 0)
        let reader = Task { try await body.next()?.count }
        while body.wasNotAskedFor { await Task.yield() }
        body.push(Self.buffer(7))
        #expect(try await reader.value == 7)
        body.end()
        _ = try await body.next()
        #expect(connection.continues.withLock { $0 } == 1)
        #expect(body.wantsMore())
    }

    @Test func aClientWhoseBodyIsEmptyIsAskedAllTheSame() async throws {
        let connection = Connection()
        let body = connection.body(awaitsContinue: true)
        body.end()
        #expect(try await body.next() == nil)
        #expect(connection.continues.withLock { $0 } == 1)
    }
}
