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

    public init(_ store: ObjectStore) {
        self.store = store
        inspection = store.inspection
    }

    /// Confirms what is published until the task is cancelled.
    /// - Throws: why a round could not be finished; the next run begins where it began.
    public func run() async throws {
        while !Task.isCancelled {
            // Taken first: what is published while this round finds nothing wakes the next one.
            let head = store.head.sequence
            if try await confirm() { continue }
            await store.waitForEvents(after: max(seen.withLock { $0 }, head))
        }
    }

    /// Verifies and confirms the next events, if something was published.
    /// - Returns: whether there was anything to confirm.
    @discardableResult
    public func confirm() async throws -> Bool {
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
            let (exceptions, found) = try await verify(published, from: from, through: last, on: volume)
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
        _ published: [LoggedEvent], from: SequenceNumber, through: SequenceNumber, on volume: any Volume
    ) async throws -> ([EventConfirmationException], [Finding]) {
        var exceptions: [EventConfirmationException] = []
        var findings: [Finding] = []
        func except(
            _ event: LoggedEvent, _ code: FindingCode, path: String, _ reason: String, _ blob: BlobID?
        ) {
            var exception = EventConfirmationException()
            exception.sequence = event.sequence.rawValue
            exception.volume = UInt32(volume.index)
            exception.reason = reason
            exceptions.append(exception)
            var finding = Finding(
                code, volume: volume.index, path: path, evidence: reason,
                repair: "copy it from the other volumes")
            (finding.bucket, finding.key) = event.place
            finding.blobID = blob
            if blob == nil { finding.sequence = event.sequence }
            findings.append(finding)
        }
        let badFrames = inspection.log.verifyFrames(from: from, through: through, mirror: volume.index)
        for (sequence, reason) in badFrames {
            if let event = published.first(where: { $0.sequence == sequence }) {
                except(event, .damagedFrame, path: inspection.log.segmentPath(of: sequence), reason, nil)
                inspection.log.reportDamage(sequence, mirror: volume.index)
            }
        }
        for event in published {
            for piece in event.newBlobs {
                guard let id = BlobID(bytes: piece.blobID) else { continue }
                let flaws = volume.verify(
                    id, length: piece.length, sha256: Array(piece.sha256), depth: .blocks)
                guard !flaws.isEmpty, let row = try needed(id) else { continue }
                for flaw in flaws {
                    let code = try inspection.classify(flaw, row, on: volume)
                    except(event, code, path: volume.path(of: id), flaw.description, id)
                    inspection.reportDamage(id, volume: volume.index, flaw)
                }
            }
        }
        return (exceptions, findings)
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

    /// Blobs that were written for this event. A completed upload's were confirmed with its parts, a copy's
    /// with its source.
    fileprivate var newBlobs: [EventPiece] {
        switch record.change {
        case .versionPublished(let change):
            change.uploadID.isEmpty && change.copiedFrom.isEmpty
                ? change.pieces.filter { !$0.blobID.isEmpty } : []
        case .partPublished(let change): change.piece.blobID.isEmpty ? [] : [change.piece]
        default: []
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
