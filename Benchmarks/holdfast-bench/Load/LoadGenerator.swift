import Foundation
import Synchronization

/// Sends the requests of a plan over kept-alive connections, each of which sends its next request when it has the
/// answer to the last (a closed loop).
///
/// A thread serves many connections with poll(2): threads that block, one a connection, would take a context
/// switch for each response from the two cores that the server needs.
struct LoadGenerator {
    let plan: LoadPlan
    private let signedAhead: [[UInt8]]
    private let nextRequest = SharedCounter()

    init(_ plan: LoadPlan) {
        precondition(plan.connections >= plan.threads, "every thread has a connection")
        self.plan = plan
        signedAhead = plan.signedAhead()
    }

    /// - Throws: ``LoadError`` if a connection breaks; an answer that is an error is counted instead.
    static func run(_ plan: LoadPlan) throws -> LoadResult {
        signal(SIGPIPE, SIG_IGN)
        let generator = LoadGenerator(plan)
        var total = LoadResult()
        let counts = (0..<plan.threads).map { thread in
            plan.connections / plan.threads + (thread < plan.connections % plan.threads ? 1 : 0)
        }
        for result in try onThreads(plan.threads, { try generator.serve(counts[$0]) }) { total.add(result) }
        return total
    }

    /// One thread's work.
    private func serve(_ count: Int) throws -> LoadResult {
        let connections = try (0..<count).map { _ in try LoadConnection(plan.endpoint) }
        var polled = connections.map { pollfd(fd: $0.descriptor, events: 0, revents: 0) }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 4096)
        defer { scratch.deallocate() }
        var signer = RequestSigner(plan.credentials, host: plan.endpoint.description)
        var result = LoadResult()
        result.latencies.reserveCapacity(1 << 18)
        var active = 0
        let cpuStart = Clock.thread
        let start = Clock.now
        let end = plan.seconds.isFinite ? start + UInt64(plan.seconds * 1e9) : .max

        for index in connections.indices {
            if let progress = try begin(connections[index], &signer, end: end) {
                active += 1
                expect(progress, &polled[index])
            } else {
                polled[index].fd = -1
            }
        }
        while active > 0 {
            guard poll(&polled, nfds_t(polled.count), 30_000) > 0 else {
                if errno == EINTR { continue }
                throw LoadError("no answer for 30 seconds")
            }
            for index in polled.indices where polled[index].revents != 0 {
                let connection = connections[index]
                let progress =
                    polled[index].events == Int16(POLLOUT)
                    ? try connection.write() : try connection.read(scratch)
                guard case .complete = progress else {
                    expect(progress, &polled[index])
                    continue
                }
                record(connection, &result)
                if let next = try begin(connection, &signer, end: end) {
                    expect(next, &polled[index])
                } else {
                    active -= 1
                    polled[index].fd = -1
                }
            }
        }
        result.seconds = Clock.seconds(since: start)
        result.clientSeconds = Double(Clock.thread - cpuStart) / 1e9
        return result
    }

    /// The next request; `nil` when the phase is over.
    private func begin(
        _ connection: LoadConnection, _ signer: inout RequestSigner, end: UInt64
    ) throws -> LoadConnection.Progress? {
        guard end == .max || Clock.now < end else { return nil }
        let number = nextRequest.take()
        guard number < plan.requestLimit else { return nil }
        let head =
            signedAhead.isEmpty ? plan.head(number, &signer) : signedAhead[number % signedAhead.count]
        return try connection.begin(number, head: head, body: plan.body.bytes)
    }

    private func expect(_ progress: LoadConnection.Progress, _ polled: inout pollfd) {
        if case .waitsToWrite = progress {
            polled.events = Int16(POLLOUT)
        } else {
            polled.events = Int16(POLLIN)
        }
    }

    private func record(_ connection: LoadConnection, _ result: inout LoadResult) {
        let response = connection.response
        let isGood =
            response.status == 200
            && (plan.responseByteCount == nil || plan.responseByteCount == response.bodyCount)
        guard isGood else {
            result.failures += 1
            if result.firstFailure.isEmpty { result.firstFailure = response.beginning }
            return
        }
        result.latencies.append(Clock.now - connection.start)
        result.byteCount += plan.body.bytes.count + response.bodyCount
    }
}
