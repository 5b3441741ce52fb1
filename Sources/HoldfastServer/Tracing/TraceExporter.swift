import Foundation
import Logging
import Model
import NIOCore
import ObjectStore
import Synchronization

/// Sends spans to their receiver, a batch at a time. A receiver that is away costs requests nothing: it is tried a few
/// times, at growing distances, and then the batch is dropped and counted, as is what does not fit into the queue
/// meanwhile.
///
/// Source: OpenTelemetry protocol specification 1.x, "OTLP/HTTP", "Failures": what may be tried again.
final class TraceExporter: Sendable {
    private static let batchCount = 512
    private static let interval = Duration.seconds(1)
    private static let attempts = 4
    private static let retriedStatuses: Set<Int> = [429, 502, 503, 504]

    private let tracer: Tracer
    private let client: OTLPClient
    private let endpoint: TraceEndpoint
    private let logger: Logger
    private let counts = Mutex<(sent: UInt64, isDown: Bool)>((0, false))
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(_ tracer: Tracer, _ endpoint: TraceEndpoint, group: any EventLoopGroup, _ logger: Logger) throws {
        self.tracer = tracer
        self.endpoint = endpoint
        self.logger = logger
        client = try OTLPClient(endpoint, group: group)
    }

    var sent: UInt64 { counts.withLock { $0.sent } }

    func start() {
        task.withLock { task in
            task = Task { [self] in
                while !Task.isCancelled {
                    await sendAll(attempts: Self.attempts)
                    // Cancelled while it sleeps, the loop ends above.
                    try? await Task.sleep(for: Self.interval)
                }
            }
        }
    }

    /// Sends what waits, once, and ends.
    func stop() async {
        let running = task.withLock { $0 }
        running?.cancel()
        await running?.value
        await sendAll(attempts: 1)
    }

    private func sendAll(attempts: Int) async {
        while true {
            let spans = tracer.take(Self.batchCount)
            guard !spans.isEmpty else { return }
            guard await send(spans, attempts: attempts) else {
                tracer.drop(spans.count)
                // What waits behind is not tried at once as often.
                return
            }
            counts.withLock { $0.sent += UInt64(spans.count) }
        }
    }

    private func send(_ spans: [TraceSpan], attempts: Int) async -> Bool {
        var reason = ""
        for attempt in 0..<attempts {
            if attempt > 0 {
                guard !Task.isCancelled else { return false }
                let seconds = Double(1 << (attempt - 1)) * Double.random(in: 0.5...1)
                // Cancelled while it sleeps, it tries once more at once.
                try? await Task.sleep(for: .seconds(seconds))
            }
            do {
                let status = try await client.post(try Self.body(spans))
                if (200..<300).contains(status) {
                    tellUp()
                    return true
                }
                reason = "it answers with status \(status)"
                guard Self.retriedStatuses.contains(status) else { break }
            } catch {
                reason = "\(error)"
            }
        }
        tellDown(reason)
        return false
    }

    /// Once for each time it is away, and not for each batch.
    private func tellDown(_ reason: String) {
        let isNews = counts.withLock { counts in
            defer { counts.isDown = true }
            return !counts.isDown
        }
        if isNews { logger.warning("traces are dropped: \(endpoint) does not take them: \(reason)") }
    }

    private func tellUp() {
        let isNews = counts.withLock { counts in
            defer { counts.isDown = false }
            return counts.isDown
        }
        if isNews { logger.notice("\(endpoint) takes traces again") }
    }

    private static func body(_ spans: [TraceSpan]) throws -> [UInt8] {
        let name = Release.name.split(separator: " ")
        let version = name.count > 1 ? String(name[1]) : ""
        let export = TraceExport(resourceSpans: [
            .init(
                resource: .init(attributes: [
                    .init("service.name", "holdfast"), .init("service.version", version),
                    .init("host.name", ProcessInfo.processInfo.hostName),
                ]),
                scopeSpans: [.init(scope: .init(name: "holdfast", version: version), spans: spans)])
        ])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        return Array(try encoder.encode(export))
    }
}
