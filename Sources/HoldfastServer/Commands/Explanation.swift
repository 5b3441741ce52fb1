import Foundation
import Integrity
import Model
import ObjectStore

/// Tells all that the store knows of one version: the event that published it, where its bytes are, and
/// whether each replica of them is good at this moment.
struct Explanation {
    private let store: ObjectStore
    private let scrub: ScrubService

    init(_ store: ObjectStore, _ scrub: ScrubService) {
        self.store = store
        self.scrub = scrub
    }

    private struct Report: Encodable {
        struct Piece: Encodable {
            let blob: String?
            let payloadOfEvent: UInt64?
            let length: UInt64
            let sha256: String
            let part: UInt32?
            let replicas: [Replica]
        }
        struct Replica: Encodable {
            let volume: Int
            let path: String
            let flaws: [String]
        }
        let bucket: String
        let key: String
        let versionId: String
        let sequence: UInt64
        let published: String
        let confirmed: Bool
        /// Every replica of it was read since; none while a volume is out or was not read back.
        let lastVerified: String?
        let deleteMarker: Bool
        let size: UInt64
        let etag: String
        let owner: String
        let copiedFrom: String?
        /// Why it was published, if not for a request.
        let reason: String?
        let retention: String?
        let legalHold: Bool
        let pieces: [Piece]
        let incidents: [IntegrityHistory.Incident]
        let findings: [IntegrityHistory.Finding]
        /// Those that were named.
        let repositories: [RepositoryHoldings]?
    }

    /// Of an object that the store has not, or not any more, and some repository may have.
    private struct Absence: Encodable {
        let bucket: String
        let key: String
        let absent: String
        let repositories: [RepositoryHoldings]
    }

    /// - Parameter repositories: the paths of those that are asked for the object, too.
    /// - Returns: 0 if every replica of the version is good, in the repositories too; 4 if not; 1 if there is no such
    ///   version in the store, whatever the repositories have.
    func run(
        _ object: String, versionID: String?, repositories: [String], json: Bool,
        _ output: any CommandOutput
    ) async throws -> Int32 {
        guard let slash = object.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            throw InvalidName(kind: "object", value: object, reason: "is not BUCKET/KEY")
        }
        let bucket = try BucketName(String(object[..<slash]))
        let key = try ObjectKey(String(object[object.utf8.index(after: slash)...]))
        var selector = VersionSelector.current
        if let versionID {
            guard let named = VersionSelector(wire: versionID) else {
                throw StoreError.noSuchVersion(key, versionID)
            }
            selector = named
        }
        let held = try repositories.map {
            try RepositoryHoldings(store, $0, bucket, key, versionID: versionID)
        }
        let found: ObjectVersion
        do { found = try version(bucket, key, selector) } catch let error as StoreError where !held.isEmpty {
            let absence = Absence(
                bucket: bucket.rawValue, key: key.rawValue, absent: "\(error)", repositories: held)
            let lines = ["\(object): \(error)"] + held.flatMap(\.lines)
            try output.line(
                json
                    ? try CommandJSON.line(absence)
                    : lines.map(\.printable).joined(separator: "\n"))
            return 1
        }
        let report = try report(found, held.isEmpty ? nil : held)
        if json { try output.line(try CommandJSON.line(report)) } else { try output.line(text(report)) }
        let isGood = report.pieces.flatMap(\.replicas).allSatisfy(\.flaws.isEmpty)
        return isGood && held.allSatisfy(\.isGood) ? 0 : 4
    }

    private func version(
        _ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector
    ) throws -> ObjectVersion {
        do { return try store.version(bucket, key, selector) } catch StoreError.isDeleteMarker(let marker) {
            return marker
        } catch StoreError.noSuchKey(_, let marker?) {
            return marker
        }
    }

    private func report(_ version: ObjectVersion, _ held: [RepositoryHoldings]?) throws -> Report {
        let examiner = ReplicaExaminer(store)
        let pieces = version.record.pieces.map { piece in
            Report.Piece(
                blob: piece.blobID.isEmpty ? nil : Array(piece.blobID).hexadecimal,
                payloadOfEvent: piece.blobID.isEmpty ? piece.payloadSequence : nil, length: piece.length,
                sha256: Array(piece.sha256).hexadecimal,
                part: piece.partNumber == 0 ? nil : piece.partNumber,
                replicas: examiner.examine(piece).map {
                    .init(volume: $0.volume, path: $0.path, flaws: $0.flaws)
                })
        }
        let history = try IntegrityHistory(store, version)
        return Report(
            bucket: version.record.bucket, key: version.key, versionId: version.wireVersionID,
            sequence: version.sequence.rawValue, published: version.published.description,
            confirmed: try store.confirmedThrough() >= version.sequence,
            lastVerified: try lastVerified(version),
            deleteMarker: version.isDeleteMarker, size: version.size, etag: version.etag,
            owner: version.record.ownerDisplayName,
            copiedFrom: version.record.copiedFrom.isEmpty ? nil : version.record.copiedFrom,
            reason: version.record.reason.isEmpty ? nil : version.record.reason,
            retention: Self.retention(version.record.metadata),
            legalHold: version.record.metadata.legalHold, pieces: pieces, incidents: history.incidents,
            findings: history.findings, repositories: held)
    }

    private func lastVerified(_ version: ObjectVersion) throws -> String? {
        guard try store.confirmedThrough() >= version.sequence else { return nil }
        return try scrub.lastVerified(version.record.pieces, published: version.published)?.description
    }

    private static func retention(_ metadata: EventMetadata) -> String? {
        guard metadata.hasRetention else { return nil }
        let mode = metadata.retention.mode == .governance ? "governance" : "compliance"
        return "\(mode) until \(Timestamp(microseconds: metadata.retention.untilMicroseconds))"
    }

    private func text(_ report: Report) -> String {
        var lines = ["\(report.bucket)/\(report.key)  version \(report.versionId)"]
        let kind = report.deleteMarker ? "delete marker" : "\(report.size) bytes, ETag \(report.etag)"
        lines.append("  \(kind), owner \(report.owner)")
        lines.append(
            "  published by event \(report.sequence) at \(report.published), \(report.confirmed ? "confirmed" : "not confirmed yet")"
        )
        if let verified = report.lastVerified { lines.append("  every replica verified since \(verified)") }
        if let source = report.copiedFrom { lines.append("  copied from \(source)") }
        if let reason = report.reason { lines.append("  made by \(reason)") }
        if let retention = report.retention { lines.append("  retention: \(retention)") }
        if report.legalHold { lines.append("  under legal hold") }
        for piece in report.pieces {
            let place = piece.blob.map { "blob \($0)" } ?? "in the log, event \(piece.payloadOfEvent ?? 0)"
            let part = piece.part.map { "part \($0): " } ?? ""
            lines.append("  \(part)\(piece.length) bytes, \(place), SHA-256 \(piece.sha256)")
            for replica in piece.replicas {
                let state = replica.flaws.isEmpty ? "good" : replica.flaws.joined(separator: "; ")
                lines.append("    volume \(replica.volume)  \(replica.path)  \(state)")
            }
        }
        lines += report.incidents.map(\.text) + report.findings.map(\.text)
        lines += (report.repositories ?? []).flatMap(\.lines)
        return lines.map(\.printable).joined(separator: "\n")
    }
}
