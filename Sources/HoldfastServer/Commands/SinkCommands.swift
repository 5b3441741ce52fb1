import Model
import Notifications
import ObjectStore

/// What is asked of the sinks of a server.
public enum SinkAction: Codable, Sendable {
    /// `nil` for all.
    case status(String?)
    case pause(String)
    case resume(String)
    case replay(String, from: UInt64)
}

/// The commands `sink status`, `pause`, `resume` and `replay`.
extension CommandRunner {
    private struct SinkLine: Encodable {
        let sink: String
        let kind: String
        let target: String
        let breaker: String
        let paused: Bool
        let sequence: UInt64
        let lag: UInt64
        let delivered: UInt64
        let deadLetters: UInt64
        let lastDelivery: String?
        let lastError: String?
    }

    func sink(_ action: SinkAction, json: Bool, _ output: any CommandOutput) throws {
        guard !isStopped else {
            throw StoreError.invalidState("no server has the store: its sinks are at rest")
        }
        let shown: [Sink]
        switch action {
        case .status(let name): shown = try name.map { [try sinks.sink($0)] } ?? sinks.all
        case .pause(let name):
            shown = [try sinks.sink(name)]
            try shown[0].setPaused(true)
        case .resume(let name):
            shown = [try sinks.sink(name)]
            try shown[0].setPaused(false)
        case .replay(let name, let from):
            shown = [try sinks.sink(name)]
            try shown[0].replay(from: from)
        }
        for standing in shown.map(\.standing) {
            let line = SinkLine(
                sink: standing.name, kind: standing.kind, target: standing.target,
                breaker: standing.breaker.rawValue, paused: standing.isPaused, sequence: standing.sequence,
                lag: standing.lag, delivered: standing.delivered, deadLetters: standing.deadLetters,
                lastDelivery: standing.lastDelivery?.description, lastError: standing.lastError)
            try output.line(json ? try CommandJSON.line(line) : text(line))
        }
    }

    private func text(_ line: SinkLine) -> String {
        var text =
            "sink \(line.sink): \(line.paused ? "paused" : line.breaker), told up to event \(line.sequence)"
        if line.lag > 0 { text += ", \(counted(line.lag, "event")) behind" }
        if line.deadLetters > 0 { text += ", \(counted(line.deadLetters, "dead letter"))" }
        if let error = line.lastError { text += ", last error: \(error.printable)" }
        return text + "  (\(line.kind) \(line.target.printable))"
    }
}
