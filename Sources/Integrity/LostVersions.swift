import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// States which versions are lost, and which have come back.
///
/// A version is lost when some block of it can be had from no replica, in no combination, and from no quarantine,
/// with every volume in service. Nothing of it is removed: it is listed and described as before, and its state says
/// that it cannot be read, and which older version of the key can. When its bytes are there again, whatever brought
/// them, the state says that too.
struct LostVersions: Sendable {
    private let inspection: StoreInspection

    init(_ inspection: StoreInspection) { self.inspection = inspection }

    /// States the loss of every version that a blob is part of, if the blob is lost.
    func declare(_ row: BlobRow, _ code: FindingCode) async throws {
        // What a restore is bringing is looked at when it has come, or has not.
        guard inspection.volumes.count == Limits.volumeCount, !inspection.isBeingImported(row.id),
            !(try await inspection.canRead(row))
        else { return }
        let versions = try inspection.catalog.read { try $0.versions(using: row) }
        try await declare(versions, code, "no replica of blob \(row.id) has every block good")
    }

    /// States the loss of every version whose bytes stand with an event that no mirror has good.
    func declare(event sequence: SequenceNumber) async throws {
        guard inspection.volumes.count == Limits.volumeCount,
            inspection.log.goodMirror(of: sequence, besides: 0) == nil
        else { return }
        let versions = try inspection.catalog.read { try $0.versions(carriedBy: sequence) }
        try await declare(versions, .damagedFrame, "no mirror has event \(sequence) good")
    }

    private func declare(_ versions: [ObjectVersion], _ code: FindingCode, _ reason: String) async throws {
        var changes: [UInt64: EventVersionsStated] = [:]
        for version in versions {
            let before = try inspection.catalog.read { try $0.stated(of: version.sequence).last }
            if before?.version.state.isGone == true { continue }
            // A loss is a matter of its own where what was known before has come to its end.
            let incident = before.map { $0.version.state.isFinal ? 0 : $0.incident } ?? 0
            let older = try await olderWhole(than: version)
            changes[incident, default: EventVersionsStated()].versions.append(
                AffectedVersions.entry(
                    version, older == nil ? .lost : .olderAvailable, code,
                    older.map { "version \($0.wireVersionID) of \($0.published)" } ?? reason))
        }
        for (incident, change) in changes.sorted(by: { $0.key < $1.key }) {
            var change = change
            change.incident = incident
            try await record(change)
        }
    }

    private func olderWhole(than version: ObjectVersion) async throws -> ObjectVersion? {
        let all = try inspection.catalog.read { try $0.allVersions(version.record.bucket, version.key) }
        for older in all where older.sequence < version.sequence && !older.isDeleteMarker {
            if try await inspection.canRead(older) { return older }
        }
        return nil
    }

    /// Looks at the versions that a blob is part of: those that were lost and can be read again have come back.
    func review(_ row: BlobRow, source: String) async throws {
        guard inspection.hasAffectedVersions else { return }
        try await review(try inspection.catalog.read { try $0.versions(using: row) }, source: source)
    }

    /// Looks at every version that was lost.
    func reviewAll(source: String) async throws {
        guard inspection.hasAffectedVersions else { return }
        let gone = try inspection.catalog.read { try $0.goneVersions() }
        for affected in gone {
            let version = try inspection.catalog.read {
                try $0.allVersions(affected.bucket, affected.key).first {
                    $0.sequence.rawValue == affected.publishedSequence
                }
            }
            if let version { try await review([version], source: source) }
        }
    }

    func review(_ versions: [ObjectVersion], source: String) async throws {
        for version in versions {
            guard let before = try inspection.catalog.read({ try $0.stated(of: version.sequence).last }),
                before.version.state.isGone, try await inspection.canRead(version)
            else { continue }
            var change = EventVersionsStated()
            change.incident = before.incident
            var entry = before.version
            entry.state = .repaired
            entry.detail = source
            change.versions = [entry]
            try await record(change)
        }
    }

    private func record(_ change: EventVersionsStated) async throws {
        guard !change.versions.isEmpty else { return }
        _ = try await inspection.record(.versionsStated(change))
    }
}

/// What an event says of a version that a mismatch affects.
enum AffectedVersions {
    static func entry(
        _ version: ObjectVersion, _ state: EventAffectedVersion.State, _ code: FindingCode, _ detail: String
    ) -> EventAffectedVersion {
        var entry = EventAffectedVersion()
        entry.bucket = version.record.bucket
        entry.key = version.key
        entry.versionID = version.record.versionID
        entry.nullVersion = version.isNull
        entry.publishedSequence = version.sequence.rawValue
        entry.owner = version.record.owner
        entry.ownerDisplayName = version.record.ownerDisplayName
        entry.size = version.size
        entry.state = state
        entry.code = code.number
        entry.detail = detail
        return entry
    }
}
