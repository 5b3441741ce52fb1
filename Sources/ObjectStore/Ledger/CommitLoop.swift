import Catalog
import Dispatch
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// The one place where anything changes (DESIGN, "How a write commits").
///
/// Changes wait in a bounded queue. The commit thread takes all that wait, up to a batch; opens one catalog
/// transaction; decides each change against what the ones before it made; applies it and stages its event.
/// Then the batch is appended to every mirror of the log and synced, in parallel. With a quorum stable the
/// catalog transaction commits and each caller is answered; without it everything rolls back and nobody hears
/// of success. While a batch is being synced the next one gathers, so the cost of a sync is shared by all who
/// came in the meantime.
///
/// Failure modes: a change that its conditions refuse leaves no trace and does not disturb its neighbours. A
/// mirror that fails is set aside. A flush that misses its quorum leaves the log broken until ``StoreRevival``
/// opens it again. If the catalog cannot commit what the log already holds, the log is right:
/// the catalog is brought up to it before the next batch, and the callers, whose changes are durable and will
/// be seen, are told that the outcome is not known.
final class CommitLoop: Sendable {
    static let batchCount = 256
    static let batchByteCount = 4 * 1024 * 1024
    static let queueCount = 4096

    enum Item {
        case change(any PendingChange)
        /// Runs by itself on the commit thread, with nothing staged.
        case control(@Sendable () -> Void)
    }

    private struct State {
        var queue: [Item] = []
        var isRunning = false
        var isClosed = false
        /// When the batch was taken that is worked at, or the thread was asked for one; `nil` while nothing waits.
        var busySince: ContinuousClock.Instant?
    }

    let metrics = CommitMetrics()
    private let log: EventLog
    private let catalog: Catalog
    private let volumes: VolumeSet
    private let lane: any Lane
    /// Told of what is decided.
    private let cache: PayloadCache?
    private let state = Mutex(State())
    private let drained = DispatchSemaphore(value: 0)
    /// Set when the catalog lags behind the log; owned by the commit thread.
    private let catalogIsBehind = Mutex(false)

    init(log: EventLog, catalog: Catalog, volumes: VolumeSet, lane: any Lane, cache: PayloadCache? = nil) {
        self.log = log
        self.catalog = catalog
        self.volumes = volumes
        self.lane = lane
        self.cache = cache
    }

    /// - Returns: whether the item was taken; it is not when the queue is full or the store closes.
    func submit(_ item: Item) -> Bool {
        let start: Bool? = state.withLock { state in
            guard !state.isClosed, state.queue.count < Self.queueCount else { return nil }
            state.queue.append(item)
            guard !state.isRunning else { return false }
            state.isRunning = true
            state.busySince = .now
            return true
        }
        guard let start else { return false }
        if start, !lane.submit({ self.drain() }) {
            preconditionFailure("the commit thread has one item at most, so its queue takes it")
        }
        return true
    }

    /// Refuses what comes later, and returns when what is queued is committed: the mirrors and the lock are the commit
    /// thread's until then. Not to be called on it.
    func close() {
        let isIdle = state.withLock { state in
            state.isClosed = true
            return !state.isRunning
        }
        guard !isIdle else { return lane.finish() }
        // Who drains the queue ends the thread behind it.
        drained.wait()
        drained.signal()  // for whoever closes at the same time
    }

    var depth: Int { state.withLock { $0.queue.count } }

    /// How long the commit thread has been at what it took last; zero when nothing waits for it.
    var busyTime: Duration { state.withLock { $0.busySince }.map { .now - $0 } ?? .zero }

    private func drain() {
        while let items = take() { run(items) }
        guard state.withLock({ $0.isClosed }) else { return }
        lane.finish()
        drained.signal()
    }

    private func take() -> ArraySlice<Item>? {
        state.withLock { state in
            guard !state.queue.isEmpty else {
                state.isRunning = false
                state.busySince = nil
                return nil
            }
            state.busySince = .now
            var count = 0
            var bytes = 0
            loop: for item in state.queue {
                switch item {
                case .control:
                    if count == 0 { count = 1 }
                    break loop
                case .change(let change):
                    guard count < Self.batchCount, bytes < Self.batchByteCount else { break loop }
                    count += 1
                    bytes += change.payloadByteCount
                }
            }
            let batch = state.queue.prefix(count)
            state.queue.removeFirst(count)
            return batch
        }
    }

    private func run(_ items: ArraySlice<Item>) {
        if case .control(let body) = items.first {
            precondition(items.count == 1, "a control runs by itself")
            return body()
        }
        let changes = items.compactMap { item -> (any PendingChange)? in
            if case .change(let change) = item { change } else { nil }
        }
        let start = ContinuousClock.now
        do {
            try catchUpCatalog()
            try catalog.withWriter { try commit(changes, $0) }
            metrics.committed(changes.count, since: start)
        } catch {
            metrics.failed()
            for change in changes { change.fail(error) }
        }
    }

    private func commit(_ changes: [any PendingChange], _ writer: CatalogWriter) throws {
        if let reason = log.brokenReason { throw StoreError.unavailable(reason) }
        let inService = log.inService
        // Nothing is appended that could not be acknowledged: what one mirror alone has is neither true nor not.
        guard inService.count >= Limits.writeQuorum else {
            throw StoreError.unavailable("\(inService.count) of \(Limits.volumeCount) volumes take events")
        }
        try writer.begin()
        var staged: [any PendingChange] = []
        var unchanged: [any PendingChange] = []
        /// Spent on what no request asked for; `nil` if there was nothing of that kind.
        var maintenance: Duration?
        do {
            for change in changes {
                let start = ContinuousClock.now
                defer {
                    if change.isMaintenance {
                        maintenance = (maintenance ?? .zero) + (ContinuousClock.now - start)
                    }
                }
                if try decide(change, writer, inService: inService) {
                    staged.append(change)
                } else {
                    unchanged.append(change)
                }
            }
        } catch {
            log.discard()
            try writer.rollback()
            throw error
        }
        guard !staged.isEmpty else {
            try writer.rollback()
            answer(unchanged, replicas: log.inService.count)
            return
        }
        let outcome = log.flush()
        setAside(outcome)
        guard outcome.stable.count >= Limits.writeQuorum else {
            let reason = "the log is stable on \(outcome.stable.count) of \(Limits.volumeCount) volumes"
            do { try writer.rollback() } catch {
                throw StoreError.outcomeUnknown("\(reason); undoing it in the catalog: \(error)")
            }
            throw StoreError.outcomeUnknown(reason)
        }
        do {
            let start = ContinuousClock.now
            try writer.commit()
            if let spent = maintenance { metrics.maintenanceHeld(spent + (ContinuousClock.now - start)) }
        } catch {
            catalogIsBehind.withLock { $0 = true }
            throw StoreError.outcomeUnknown("the log has it and the catalog did not commit: \(error)")
        }
        answer(staged + unchanged, replicas: outcome.stable.count)
    }

    /// - Returns: whether an event was staged. A change that is refused has been told so and stages none.
    /// - Throws: only what spoils the whole batch.
    private func decide(
        _ change: any PendingChange, _ writer: CatalogWriter, inService: Set<Int>
    ) throws -> Bool {
        let record: EventRecord?
        do {
            record = try change.decide(CatalogView(writer.reader), inService: inService)
        } catch {
            change.fail(error)
            // Without its transaction the batch is lost, and not only this change.
            guard writer.isInTransaction else { throw error }
            return false
        }
        guard let record else { return false }
        let event = try log.stage(record, payload: change.payload)
        try writer.apply(
            LoggedEvent(
                sequence: event.sequence, epoch: event.epoch, time: event.time, chain: event.chain,
                record: record, payloadLength: change.payloadByteCount))
        change.staged(event.sequence, event.time)
        // Though it may come to nothing: that costs a read, and nothing else.
        cache?.follow(record)
        return true
    }

    private func answer(_ changes: [any PendingChange], replicas: Int) {
        let head = log.head.sequence
        for change in changes { change.succeed(replicas: replicas, head: head) }
    }

    private func setAside(_ outcome: FlushOutcome) {
        for (index, error) in outcome.failed {
            if let handle = volumes.handle(index) {
                volumes.fail(handle, reason: "appending to the log: \(error)")
            }
        }
    }

    /// The log may come to hold what the catalog does not: on the commit thread.
    func expectCatalogBehind() { catalogIsBehind.withLock { $0 = true } }

    /// On the commit thread, with nothing staged.
    func catchUpCatalog() throws {
        guard catalogIsBehind.withLock({ $0 }) else { return }
        try CatalogReplay.run(log: log, catalog: catalog)
        catalogIsBehind.withLock { $0 = false }
    }
}
