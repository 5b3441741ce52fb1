import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// Follows the log and confirms uploads: what each event published is read back from every volume in service,
/// every byte, and one event says up to where all of it was good, and what was not (DESIGN, "How a write
/// commits", step 5).
///
/// Uploads are confirmed in batches: a confirmation is an event too, and one for each upload would double the
/// log. A confirmation alone is nothing to confirm. An exception is recorded as a finding, and reported for repair.
public final class CompletionVerifier: Sendable {
    /// Events that one confirmation covers at most.
    static let batchCount = 4096

    private let inspection: StoreInspection
    private let store: ObjectStore
    /// Events up to here need no other look.
    private let seen = Mutex<SequenceNumber>(.zero)

    private let pacer: VerifierPacer
    /// When the reading so far is paid for by rests.
    private let restedUntil = Mutex(ContinuousClock.now)
    private let sleep: @Sendable (Double) -> Void

    /// - Parameters:
    ///   - pacer: how much of the time it reads.
    ///   - sleep: lets the thread wait for so many seconds; replaced in tests.
    public init(
        _ store: ObjectStore, _ pacer: VerifierPacer = VerifierPacer(),
        sleep: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
    ) {
        self.store = store
        self.pacer = pacer
        self.sleep = sleep
        inspection = store.inspection
    }

    /// Confirms what is published until the task is cancelled.
    /// - Throws: why a round could not be finished; the next run begins where it began.
    public func run(_ pulse: @escaping JobPulse = { _ in }) async throws {
        while !Task.isCancelled {
            pulse(.worked)
            // Taken first: what is published while this round finds nothing wakes the next one.
            let head = store.head.sequence
            if try await confirm(pulse) { continue }
            pulse(.waits)
            await store.waitForEvents(after: max(seen.withLock { $0 }, head))
        }
    }

    /// Verifies and confirms the next events, if something was published.
    /// - Returns: whether there was anything to confirm.
    @discardableResult
    public func confirm(_ pulse: @escaping JobPulse = { _ in }) async throws -> Bool {
        let confirmed = try store.confirmedThrough()
        let from = max(confirmed, seen.withLock { $0 }).next
        let events = try inspection.log.events(from: from, limit: Self.batchCount)
        guard let last = events.last?.sequence else { return false }
        let published = events.filter(\.publishes)
        guard !published.isEmpty else {
            seen.withLock { $0 = last }
            return false
        }
        let volumes = inspection.volumes
        var change = EventUploadsConfirmed()
        change.fromSequence = confirmed.next.rawValue
        change.throughSequence = last.rawValue
        change.count = UInt64(published.count)
        change.bytes = published.reduce(0) { $0 + $1.publishedByteCount }
        var findings: [Finding] = []
        for volume in volumes {
            let (exceptions, found) = try await verify(
                published, from: from, through: last, on: volume, pulse)
            // A volume that left service while it was read says nothing, good or bad.
            guard inspection.isInService(volume.index) else { continue }
            change.volumes.append(UInt32(volume.index))
            change.exceptions += exceptions
            findings += found
        }
        for finding in findings {
            var event = EventFindingRecorded()
            event.finding = finding.event
            _ = try await inspection.record(.findingRecorded(event))
        }
        _ = try await inspection.record(.uploadsConfirmed(change))
        seen.withLock { $0 = last }
        return true
    }

    private func verify(
        _ published: [LoggedEvent], from: SequenceNumber, through: SequenceNumber, on volume: any Volume,
        _ pulse: @escaping JobPulse
    ) async throws -> ([EventConfirmationException], [Finding]) {
        var exceptions: [EventConfirmationException] = []
        var findings: [Finding] = []
        func except(_ event: LoggedEvent, _ reason: String) {
            var exception = EventConfirmationException()
            exception.sequence = event.sequence.rawValue
            exception.volume = UInt32(volume.index)
            exception.reason = reason
            exceptions.append(exception)
        }
        for flaw in badFrames(from: from, through: through, on: volume, pulse) {
            let segment = flaw.isOfSegment ? inspection.log.segmentEvents(of: flaw.sequence) : nil
            let range = segment ?? flaw.sequence...flaw.sequence
            let events = published.filter { range.contains($0.sequence) }
            for event in events { except(event, flaw.reason) }
            var finding = Finding(flaw)
            if let first = events.first { (finding.bucket, finding.key) = first.place }
            findings.append(finding)
            inspection.log.reportDamage(flaw.sequence, mirror: volume.index)
        }
        for event in published {
            // The others were confirmed with the events that they were written for.
            for piece in event.record.newBlobPieces {
                guard let id = BlobID(bytes: piece.blobID) else { continue }
                var began = ContinuousClock.now
                // A large replica is read in pieces, and rests between them.
                let flaws = ScanPace.run { _ in
                    self.rest(since: &began, behind: from, pulse)
                } _: {
                    volume.verify(id, length: piece.length, sha256: Array(piece.sha256), depth: .blocks)
                }
                guard !flaws.isEmpty, let row = try needed(id) else { continue }
                for flaw in flaws {
                    except(event, flaw.description)
                    var finding = Finding(
                        try inspection.classify(flaw, row, on: volume), volume: volume.index,
                        path: volume.path(of: id), evidence: flaw.description,
                        repair: "copy it from the other volumes")
                    (finding.bucket, finding.key) = event.place
                    finding.blobID = id
                    findings.append(finding)
                    inspection.reportDamage(id, volume: volume.index, flaw)
                }
            }
        }
        return (exceptions, findings)
    }

    /// From the device where the file system can: what was written is in memory still, and proves nothing.
    private func badFrames(
        from: SequenceNumber, through: SequenceNumber, on volume: any Volume, _ pulse: JobPulse
    ) -> [EventLog.MirrorFlaw] {
        var bad: [EventLog.MirrorFlaw] = []
        var next = from
        var began = ContinuousClock.now
        while next <= through,
            let scan = inspection.log.scanFrames(from: next, through: through, mirror: volume.index)
        {
            bad += scan.bad
            next = scan.through.next
            rest(since: &began, behind: from, pulse)
        }
        return bad
    }

    /// Waits as long as the reading since `began` asks for, and begins anew.
    private func rest(
        since began: inout ContinuousClock.Instant, behind sequence: SequenceNumber, _ pulse: JobPulse
    ) {
        pulse(.worked)
        let (seconds, attoseconds) = (ContinuousClock.now - began).components
        let head = inspection.log.head.sequence.rawValue
        let pause = pacer.rest(
            afterReading: Double(seconds) + Double(attoseconds) / 1e18,
            waiting: head - min(head, sequence.rawValue))
        began = .now
        guard pause > 0, !Task.isCancelled else { return }
        // Small uploads are confirmed at once: rests are taken together, and time in which nothing came has paid for some.
        let owed = restedUntil.withLock { until -> Double in
            until = max(until, began) + .seconds(pause)
            let (seconds, attoseconds) = (until - began).components
            return Double(seconds) + Double(attoseconds) / 1e18
        }
        guard owed >= VerifierPacer.shortestRest else { return }
        sleep(owed)
        began = .now
    }

    /// The blob's row, unless it has been reclaimed since.
    private func needed(_ id: BlobID) throws -> BlobRow? {
        guard let row = try inspection.catalog.read({ try $0.blob(id) }) else { return nil }
        return row.isReclaiming ? nil : row
    }
}

extension LoggedEvent {
    /// Whether it publishes bytes: a version that is no delete marker, or a part.
    var publishes: Bool {
        switch record.change {
        case .versionPublished(let change): !change.deleteMarker
        case .partPublished: true
        default: false
        }
    }

    fileprivate var publishedByteCount: UInt64 {
        switch record.change {
        case .versionPublished(let change): change.size
        case .partPublished(let change): change.piece.contentLength
        default: 0
        }
    }

    fileprivate var place: (bucket: String, key: String) {
        switch record.change {
        case .versionPublished(let change): (change.bucket, change.key)
        case .partPublished(let change): (change.bucket, change.key)
        default: ("", "")
        }
    }
}
