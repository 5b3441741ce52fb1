import Foundation
import HTTPTypes
import HoldfastServer
import Model
import ObjectStore
import S3
import TestSupport
import Testing

/// Who has to wait on the admin listener while a disk hangs, and who has not.
@Suite struct AdminThreadsTests {
    private struct Root: IdentitySource {
        func identity(accessKey: String) -> Identity? {
            guard accessKey == "ROOT" else { return nil }
            return Identity(
                accessKey: "ROOT", secretKey: "root-secret", userID: "r", displayName: "root", isRoot: true)
        }
    }

    private final class Empty: RequestBody {
        func next() async throws -> (any ByteChunk)? { nil }
    }

    /// Whoever reads it waits until it is well again.
    private final class HangingDisk: Sendable {
        private let gate = DispatchSemaphore(value: 0)
        private let begun: AsyncStream<Void>.Continuation
        private let reads: AsyncStream<Void>

        init() { (reads, begun) = AsyncStream<Void>.makeStream() }

        func read() {
            begun.yield()
            gate.wait()
        }

        /// Returns when so many reads hang.
        func waitForReads(_ count: Int) async {
            var left = count
            for await _ in reads {
                left -= 1
                if left == 0 { return }
            }
        }

        func answer(_ count: Int) { for _ in 0..<count { gate.signal() } }
    }

    private func page(_ path: String = "/status") -> ServiceRequest {
        let credential = Data("ROOT:root-secret".utf8).base64EncodedString()
        let head = HTTPRequest(
            method: .get, scheme: "http", authority: "localhost", path: path,
            headerFields: [.authorization: "Basic \(credential)"])
        return ServiceRequest(head: head, body: Empty())
    }

    @Test func aPageThatHangsLeavesTheListenersThreadToProbes() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        let health = HealthResponder(
            store: stage.store, volumeDeadline: .seconds(10), domains: [], isDraining: { false })
        let disk = HangingDisk()
        let responder = StatusPageResponder(AdminGate(Root()), patienceSeconds: .infinity) {
            disk.read()
            return StatusFacts()
        }
        let listener = WorkerPool(threads: 1)
        defer { listener.stop() }
        let pages = [page(), page("/status/content")].map { request in
            Task(executorPreference: listener) { await responder.respond(to: request)?.status }
        }
        await disk.waitForReads(2)
        let live = Task(executorPreference: listener) {
            let head = HTTPRequest(
                method: .get, scheme: "http", authority: "localhost", path: "/health/live")
            return health.answer(head, "/health/live", tellsReasons: true)?.status
        }
        #expect(await live.value == .ok)
        // Nobody else waits for the disk either.
        let third = Task(executorPreference: listener) { [page = page()] in
            await responder.respond(to: page)?.status
        }
        #expect(await third.value == .serviceUnavailable)
        disk.answer(2)
        for page in pages { #expect(await page.value == .ok) }
    }

    @Test func asManyAnswersAreUnderWayAsThereAreThreadsAndTheNextIsRefusedAtOnce() async {
        let disk = HangingDisk()
        let threads = AnswerThreads(3)
        let answers = (0..<3).map { number in
            Task {
                await threads.run {
                    disk.read()
                    return number
                }
            }
        }
        await disk.waitForReads(3)
        #expect(await threads.run { 3 } == nil)
        disk.answer(3)
        for (number, answer) in answers.enumerated() { #expect(await answer.value == number) }
        #expect(await threads.run { 4 } == 4)
    }
}
