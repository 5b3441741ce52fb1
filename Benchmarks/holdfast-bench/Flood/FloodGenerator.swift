import Foundation

/// Sends requests at a rate, whether or not the server keeps up with it (an open loop), which is what a crowd does.
///
/// A request that is due while every connection waits for an answer is not sent, and counted: more connections would send it,
/// up to what the server takes.
struct FloodGenerator {
    let plan: LoadPlan
    /// Requests a second.
    let rate: Double
    /// Whether a connection whose request was refused is silent for as long as Retry-After says.
    let isPolite: Bool

    private struct Client {
        var connection: LoadConnection
        var isBusy = false
    }

    /// - Throws: ``LoadError`` if no connection can be made; everything else is counted.
    func run() throws -> FloodResult {
        signal(SIGPIPE, SIG_IGN)
        let heads = signed()
        var clients = try (0..<plan.connections).map { _ in
            Client(connection: try LoadConnection(plan.endpoint))
        }
        var polled = clients.map { _ in pollfd(fd: -1, events: Int16(POLLIN), revents: 0) }
        // The longest silent one is next: that is how a crowd would come.
        var free = Queue(Array(clients.indices))
        var resting = Queue<(index: Int, until: UInt64)>([])
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 4096)
        defer { scratch.deallocate() }
        var result = FloodResult()
        let cpuStart = Clock.thread
        let start = Clock.now
        let end = start + UInt64(plan.seconds * 1e9)
        var busy = 0
        while true {
            let now = Clock.now
            let isOver = now >= end
            guard !isOver || busy > 0 else { break }
            guard now < end + 30_000_000_000 else {
                result.unanswered = busy
                break
            }
            while let first = resting.first, first.until <= now {
                resting.removeFirst()
                free.append(first.index)
            }
            var due = isOver ? 0 : Int(Double(now - start) / 1e9 * rate) - result.offered
            while due > 0 {
                due -= 1
                result.offered += 1
                guard let index = free.first else {
                    result.unsent += 1
                    continue
                }
                free.removeFirst()
                let number = result.sent
                let head = heads[number % heads.count]
                result.sent += 1
                busy += 1
                clients[index].isBusy = true
                polled[index].fd = clients[index].connection.descriptor
                advance(&clients[index], &polled[index], &result) {
                    try $0.begin(number, head: head, body: plan.body.bytes)
                }
                if !clients[index].isBusy {
                    busy -= 1
                    free.append(index)
                }
            }
            guard poll(&polled, nfds_t(polled.count), 1) >= 0 || errno == EINTR else {
                throw LoadError(call: "poll")
            }
            for index in polled.indices where polled[index].fd >= 0 && polled[index].revents != 0 {
                let isWriting = polled[index].events == Int16(POLLOUT)
                let rest = advance(&clients[index], &polled[index], &result) {
                    isWriting ? try $0.write() : try $0.read(scratch)
                }
                guard !clients[index].isBusy else { continue }
                busy -= 1
                if isPolite, rest > 0 {
                    resting.append((index, Clock.now + rest))
                } else {
                    free.append(index)
                }
            }
        }
        result.seconds = Double(min(Clock.now, end) - start) / 1e9
        result.clientSeconds = Double(Clock.thread - cpuStart) / 1e9
        return result
    }

    /// The requests, signed before the clock runs: good for a quarter of an hour.
    private func signed() -> [[UInt8]] {
        let ahead = plan.signedAhead()
        guard ahead.isEmpty else { return ahead }
        var signer = RequestSigner(plan.credentials, host: plan.endpoint.description)
        return (0..<5000).map { plan.head($0, &signer) }
    }

    /// Takes a connection a step on.
    /// - Returns: nanoseconds that the server asks the client to be silent for.
    @discardableResult
    private func advance(
        _ client: inout Client, _ polled: inout pollfd, _ result: inout FloodResult,
        _ step: (LoadConnection) throws -> LoadConnection.Progress
    ) -> UInt64 {
        do {
            switch try step(client.connection) {
            case .waitsToRead: polled.events = Int16(POLLIN)
            case .waitsToWrite: polled.events = Int16(POLLOUT)
            case .complete:
                client.isBusy = false
                polled.fd = -1
                return try record(&client, &result)
            }
        } catch {
            result.resets += 1
            if result.firstReset.isEmpty { result.firstReset = "\(error)" }
            client.isBusy = false
            polled.fd = -1
            reconnect(&client, &result)
        }
        return 0
    }

    private func record(_ client: inout Client, _ result: inout FloodResult) throws -> UInt64 {
        let response = client.connection.response
        let latency = Clock.now - client.connection.start
        var rest: UInt64 = 0
        switch response.status {
        case 200:
            result.latencies.append(latency)
            if let wanted = plan.responseByteCount, wanted != response.bodyCount { result.failures += 1 }
        case 503:
            result.refused += 1
            result.refusalLatencies.append(latency)
            let head = response.beginning.lowercased()
            if let seconds = head.firstRange(of: "\nretry-after: ").flatMap({
                UInt64(head[$0.upperBound...].prefix { $0.isNumber })
            }) {
                rest = seconds * 1_000_000_000
            } else {
                result.withoutRetryAfter += 1
            }
            if head.contains("\nconnection: close") { reconnect(&client, &result) }
        default:
            result.failures += 1
            if result.firstFailure.isEmpty { result.firstFailure = response.beginning }
        }
        return rest
    }

    private func reconnect(_ client: inout Client, _ result: inout FloodResult) {
        do {
            client.connection = try LoadConnection(plan.endpoint)
            result.reconnects += 1
        } catch {
            // The old one stays, and what is sent by it counts as reset.
            if result.firstReset.isEmpty { result.firstReset = "\(error)" }
        }
    }
}

/// First in, first out, without moving what is in it.
private struct Queue<Element> {
    private var elements: [Element]
    private var head = 0

    init(_ elements: [Element]) { self.elements = elements }

    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func removeFirst() {
        head += 1
        guard head > 4096, head * 2 > elements.count else { return }
        elements.removeFirst(head)
        head = 0
    }
}
