import Dispatch
import Model
import Synchronization
import Volumes

/// Copies blobs to one volume, many at a time.
///
/// Each step is done for all of them before the next: bytes written, files synced, names given, names synced. What the
/// first sync of a step makes durable is durable for the others too, whose syncs then cost little.
///
/// Synchronous: the caller waits until what it asked for is done.
package struct CopyBatch: Sendable {
    /// A batch has so many blobs or bytes at most: so many files are open and have no name yet.
    private static let countLimit = 128
    private static let byteCountLimit: UInt64 = 128 << 20

    /// What copying came to.
    package struct Report: Sendable {
        package var blobs = 0
        package var bytes: UInt64 = 0

        package init() {}

        package static func += (left: inout Report, right: Report) {
            left.blobs += right.blobs
            left.bytes += right.bytes
        }
    }

    private let target: any Volume
    private let lane: any Lane
    /// Called with each piece of work, which it runs.
    private let turn: @Sendable (() throws -> Void) throws -> Void

    /// - Parameter turn: runs what it is given, when its time has come.
    package init(
        to target: any Volume, lane: any Lane,
        turn: @escaping @Sendable (() throws -> Void) throws -> Void = { try $0() }
    ) {
        self.target = target
        self.lane = lane
        self.turn = turn
    }

    /// Copies what `stage` stages, which no two of `items` may do for one blob.
    /// - Parameters:
    ///   - length: of the item's blob, in bytes.
    ///   - stage: writes a blob to the volume; `nil` if there is nothing to write.
    /// - Throws: the first failure; nothing of its batch stays then.
    package func copy<Item: Sendable>(
        _ items: [Item], length: (Item) -> UInt64, stage: @escaping @Sendable (Item) throws -> StagedCopy?
    ) throws -> Report {
        var report = Report()
        var batch: [Item] = []
        var byteCount: UInt64 = 0
        func flush() throws {
            let copies = try copyBatch(batch, stage)
            report.blobs += copies.count
            report.bytes += copies.reduce(0) { $0 + $1.bytes }
            batch = []
            byteCount = 0
        }
        for item in items {
            batch.append(item)
            byteCount += length(item)
            if batch.count == Self.countLimit || byteCount >= Self.byteCountLimit { try flush() }
        }
        try flush()
        return report
    }

    private func copyBatch<Item: Sendable>(
        _ items: [Item], _ stage: @escaping @Sendable (Item) throws -> StagedCopy?
    ) throws -> [StagedCopy] {
        let staged = Mutex<[StagedCopy]>([])
        do {
            try each(items) { item in
                guard let copy = try stage(item) else { return }
                staged.withLock { $0.append(copy) }
            }
            let copies = staged.withLock { $0 }
            if !copies.isEmpty { try publish(copies) }
            return copies
        } catch {
            // What cannot be taken away now is a leftover in incoming/: the next opening of the volume clears it, or the next
            // snapshot in a repository.
            for copy in staged.withLock({ $0 }) { try? copy.sink.abort() }
            throw error
        }
    }

    /// As ``Volume/publish(_:as:)``, for all of them at once.
    private func publish(_ copies: [StagedCopy]) throws {
        try each(copies) { try $0.sink.sync() }
        try target.syncIncoming()
        try each(copies) { try $0.sink.link() }
        try each(copies) { [target] in try target.syncName(of: $0.id) }
        try each(copies) { [target] in try target.settle($0.id) }
    }

    /// Runs `body` for each on the lane's threads, and waits for all. After a failure no other is begun.
    /// - Throws: the first failure.
    private func each<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) throws -> Void
    ) throws {
        let failure = Mutex<(any Error)?>(nil)
        let group = DispatchGroup()
        for item in items {
            group.enter()
            let isAccepted = lane.submit { [turn] in
                defer { group.leave() }
                do {
                    try turn {
                        guard failure.withLock({ $0 == nil }) else { return }
                        try body(item)
                    }
                } catch { failure.withLock { $0 = $0 ?? error } }
            }
            guard isAccepted else {
                group.leave()
                group.wait()
                throw LaneRefused()
            }
        }
        group.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
