import Foundation
import Model
import Synchronization

/// A change that waits to be committed, as the commit thread sees it.
protocol PendingChange: Sendable {
    var payload: [UInt8] { get }
    var payloadByteCount: Int { get }
    /// The store asks for it, and no request.
    var isMaintenance: Bool { get }
    /// - Returns: the event to append, or `nil` if nothing has to change.
    /// - Throws: why the change is refused.
    func decide(_ view: any LedgerView, inService: Set<Int>) throws -> EventRecord?
    func staged(_ sequence: SequenceNumber, _ time: Timestamp)
    func succeed(replicas: Int, head: SequenceNumber)
    func fail(_ error: any Error)
}

/// A proposal on its way through the commit loop.
///
/// Ends exactly once, with ``succeed(replicas:head:)`` or ``fail(_:)``; later calls do nothing, so that a
/// batch that fails as a whole can fail everything in it.
final class PendingProposal<Outcome: Sendable>: PendingChange, @unchecked Sendable {
    // Invariant: `outcome` and `place` are used by the commit thread alone.
    private let proposal: Proposal<Outcome>
    private let completion: Mutex<(@Sendable (Result<Committed<Outcome>, any Error>) -> Void)?>
    private var outcome: ((SequenceNumber, Timestamp) -> Outcome)?
    private var place: (sequence: SequenceNumber, time: Timestamp)?

    init(
        _ proposal: Proposal<Outcome>,
        completion: @escaping @Sendable (Result<Committed<Outcome>, any Error>) -> Void
    ) {
        self.proposal = proposal
        self.completion = Mutex(completion)
    }

    var payload: [UInt8] { proposal.payload }
    var payloadByteCount: Int { proposal.payload.count }
    var isMaintenance: Bool { proposal.actor.id == Actor.holdfast.id }

    func decide(_ view: any LedgerView, inService: Set<Int>) throws -> EventRecord? {
        if let prepared = proposal.preparedVolumes?() {
            let missing = inService.subtracting(prepared)
            guard missing.isEmpty else { throw ReplicaMissing(volumes: missing) }
            guard inService.count >= Limits.writeQuorum else {
                throw StoreError.unavailable(
                    "\(inService.count) of \(Limits.volumeCount) volumes are in service")
            }
        }
        switch try proposal.decide(view) {
        case .append(let change, let outcome):
            self.outcome = outcome
            var record = EventRecord()
            record.operationID = Data(proposal.operation.bytes)
            record.actor = proposal.actor.id
            record.requestID = proposal.actor.requestID
            record.change = change
            return record
        case .nothing(let value):
            outcome = { _, _ in value }
            return nil
        }
    }

    func staged(_ sequence: SequenceNumber, _ time: Timestamp) { place = (sequence, time) }

    func succeed(replicas: Int, head: SequenceNumber) {
        guard let completion = completion.withLock({ $0.take() }) else { return }
        guard let outcome else { preconditionFailure("a change that succeeds was decided") }
        let (sequence, time) = place ?? (head, .now())
        completion(
            .success(
                Committed(
                    value: outcome(sequence, time),
                    commit: Commit(sequence: sequence, replicas: replicas, time: time))))
    }

    func fail(_ error: any Error) { completion.withLock { $0.take() }?(.failure(error)) }
}
