import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// What the service knows of the volumes, and findings that are still open.
extension ScrubService {
    /// Findings that one round looks at.
    private static let retryCount = 64

    /// How each volume's scrubs stand.
    func volumes() throws -> [ScrubSchedule.Volume] {
        let rows = try inspection.catalog.read { try $0.scrubs() }
        return inspection.statuses.map { status in
            let row = rows[status.index]
            let created = inspection.token(status.index)?.volume.identity.created
            let isBegun = row.map { !$0.record.complete } ?? false
            return .init(
                index: status.index, isInService: status.standing == .inService,
                created: created ?? Timestamp(microseconds: 0), completed: row?.completed,
                underWay: isBegun ? row.map { Timestamp(microseconds: $0.record.startedMicroseconds) } : nil)
        }
    }

    /// Volumes that were away, or are, and that nobody has read back.
    func unhealed() throws -> [Int] {
        let states = try inspection.catalog.read { try $0.volumeStates() }
        let named = states.filter { $0.state != "healed" }.map(\.index)
        let brought = (1...Limits.volumeCount).filter { inspection.refills.brought($0) != nil }
        // It came back with nothing missing, or its way back is not known: all of it is read.
        for index in named where inspection.refills.brought(index) == nil {
            inspection.refills.noteBrought(index, from: SequenceNumber(1))
        }
        return Set(named + brought).sorted()
    }

    /// What a volume missed was brought when the store was opened, which is no event yet: it becomes one, so that the
    /// next process knows too that nobody has read it back.
    func announceBrought() async throws {
        let states = try inspection.catalog.read { try $0.volumeStates() }
        for index in 1...Limits.volumeCount {
            guard let first = inspection.refills.brought(index), let token = inspection.token(index) else {
                continue
            }
            let state = states.first { $0.index == index }?.state
            guard state == nil || state == "healed" else { continue }
            var change = EventVolumeReturned()
            change.volume = UInt32(index)
            change.events = inspection.log.head.sequence.rawValue + 1 - first.rawValue
            _ = try await inspection.record(.volumeReturned(change), ifStillIn: token)
        }
    }

    /// Looks at open findings again: what is good by now is closed, by an event that says so; what is not goes to
    /// repair once more. A server that was killed between the two had recorded the finding alone.
    func retryFindings() async throws {
        let open = try openFindings.all()
        let now = surroundings.uptime()
        let isDue = state.withLock { state in
            if open.count > state.retry.count { state.retry.interval = Retry.shortest }
            if open.count != state.retry.count { state.retry.due = min(state.retry.due, now) }
            state.retry.count = open.count
            return !open.isEmpty && state.retry.take(at: now)
        }
        guard isDue else { return }
        for (place, finding) in open.prefix(Self.retryCount) { try await retry(finding, at: place) }
    }

    private func retry(_ finding: EventFinding, at place: OpenFindings.Place) async throws {
        // Before it is read again: it may be mended by the time that it was.
        let known = Set(try openFindings.all().keys)
        guard known.contains(place) else { return }
        guard finding.volume > 0, let token = inspection.token(Int(finding.volume)) else { return }
        let reader = ScrubReader(inspection: inspection, token: token) { _ in }
        let found: ScrubReader.Stretch
        if let id = BlobID(bytes: finding.blobID) {
            if let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming {
                found = try reader.blob(row)
            } else {
                found = .init()  // nothing needs it any more
            }
        } else if finding.faultClass.hasPrefix("log."), finding.sequence > 0 {
            let sequence = SequenceNumber(finding.sequence)
            found = reader.frames(from: sequence, through: sequence).stretch
        } else {
            return  // a file that nothing explains, or the like: a person decides
        }
        guard found.isValid else { return }
        guard found.findings.isEmpty else {
            return try await inspection.recordAndMend(found.findings, known: known)
        }
        var change = EventReplicaRepaired()
        change.finding = finding
        change.source = "nothing: it was found good when it was read again"
        _ = try await inspection.record(.replicaRepaired(change), ifStillIn: token)
    }
}

/// For people.
extension ScrubService {
    /// What the log says of each volume's scrubs; no record where there was none.
    public func rows() throws -> [(volume: Int, record: EventScrubAdvanced?, verified: Timestamp?)] {
        let rows = try inspection.catalog.read { try $0.scrubs() }
        return try volumes().map {
            ($0.index, rows[$0.index]?.record, $0.isInService ? $0.verified : nil)
        }
    }

    /// Since when every replica in a bucket is known to be good; `nil` while some volume is out or was not read
    /// back. What is younger than the passes was read back when it was confirmed.
    public func verified(bucketCreated: Timestamp) throws -> Timestamp? {
        let volumes = try volumes()
        guard volumes.allSatisfy(\.isInService), try unhealed().isEmpty else { return nil }
        return volumes.map { max($0.verified, bucketCreated) }.min()
    }
}
