import Foundation
import Model
import Notifications
import Synchronization

/// Takes deliveries as a test says, and keeps those it took.
final class Receiver: SinkTransport {
    private struct State {
        var bodies: [[UInt8]] = []
        var attempts = 0
        /// How often the sink had been put back when each was made that it took.
        var replays: [UInt64] = []
        var answers: [DeliveryOutcome] = []
        /// A key that it does not take, in whatever delivery, and what it answers instead.
        var untaken: (key: String, outcome: DeliveryOutcome)?
    }

    private let state = Mutex(State())

    var kind: String { "test" }
    var target: String { "nowhere" }
    var attempts: Int { state.withLock { $0.attempts } }

    var replays: [UInt64] { state.withLock { $0.replays } }

    /// What it answers next, one by one; afterwards it takes everything.
    func answer(_ outcomes: [DeliveryOutcome]) { state.withLock { $0.answers = outcomes } }

    /// It takes records singly where there is one that it does not take.
    var takesRecordsSingly: Bool { state.withLock { $0.untaken != nil } }

    func refuse(_ key: String) { answer(.refused("too large"), for: key) }

    func answer(_ outcome: DeliveryOutcome, for key: String) {
        state.withLock { $0.untaken = (key, outcome) }
    }

    func deliver(_ delivery: Delivery) async -> DeliveryOutcome {
        let body = delivery.body
        return state.withLock { state in
            state.attempts += 1
            if let (key, outcome) = state.untaken,
                delivery.records.contains(where: { $0.place?.hasSuffix("/" + key) == true })
            {
                return outcome
            }
            let outcome = state.answers.isEmpty ? .delivered : state.answers.removeFirst()
            if outcome == .delivered {
                state.bodies.append(body)
                state.replays.append(delivery.replay)
            }
            return outcome
        }
    }

    struct Record: Decodable {
        struct Entity: Decodable {
            struct Object: Decodable {
                let key: String
                let size: UInt64?
                let sequencer: String
            }
            let object: Object?
        }
        struct Provenance: Decodable {
            let sequence: UInt64
            let previous: UInt64
        }
        let eventSource: String
        let eventName: String
        let s3: Entity?
        let holdfast: Provenance
    }

    private struct Document: Decodable {
        let records: [Record]

        enum CodingKeys: String, CodingKey { case records = "Records" }
    }

    /// The records that it took, by delivery.
    func deliveries() throws -> [[Record]] {
        try state.withLock { $0.bodies }.map {
            try JSONDecoder().decode(Document.self, from: Data($0)).records
        }
    }

    func keys() throws -> [String] { try deliveries().flatMap { $0 }.compactMap { $0.s3?.object?.key } }
}

/// Time passes only while a sink sleeps.
final class Clock: Sendable {
    private let reading = Mutex(0.0)

    var now: Double { reading.withLock { $0 } }
    func pass(_ seconds: Double) { reading.withLock { $0 += seconds } }

    /// - Parameter nap: seconds that pass whenever the sink sleeps, however short it means to.
    func surroundings(nap: Double = 0) -> Sink.Surroundings {
        Sink.Surroundings(
            uptime: { self.now }, now: { Timestamp(microseconds: 1_700_000_000_000_000) }, chance: { 1 },
            sleep: { self.pass(max($0, nap)) })
    }
}
