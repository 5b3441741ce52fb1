import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// One thing that is wrong in a repository.
public struct RepositoryFlaw: Sendable, Equatable {
    public let snapshot: String
    /// Relative to the repository.
    public let path: String
    public let reason: String
}

/// Checks a repository: that each snapshot can be restored.
///
/// Always: every manifest against its digest, every frame of the log against its checksums and the chain up to each
/// snapshot's chain hash, every stored catalog against its digest, and for every blob that a snapshot needs, presence
/// and trailer. Besides, a part of the blobs is read whole; a cursor in the repository makes the next check go on
/// behind it, so that repeated checks come to all.
public struct SnapshotVerification: Sendable {
    public struct Report: Sendable {
        public var snapshots = 0
        public var events: UInt64 = 0
        public var blobs = 0
        /// Blobs and bytes that were read whole.
        public var blobsRead = 0
        public var bytesRead: UInt64 = 0
        public var flaws: [RepositoryFlaw] = []
    }

    private static let cursorName = "verified"

    private let repository: Repository
    private let scratch: String
    private let pace: @Sendable (Int) throws -> Void

    /// - Parameters:
    ///   - scratch: a directory of a real file system.
    ///   - pace: told of bytes that were read; may wait before the work goes on, or end it by throwing.
    public init(
        _ repository: Repository, scratch: String = FileManager.default.temporaryDirectory.path,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.pace = pace
        self.repository = repository
        self.scratch = scratch
    }

    /// - Parameters:
    ///   - name: one snapshot; `nil` for all.
    ///   - percent: how much of the blobs is read, 0 to 100.
    public func run(_ name: String?, percent: Int) throws -> Report {
        var report = Report()
        var manifests: [SnapshotManifest] = []
        if let name {
            do { manifests = [try repository.snapshot(name)] } catch SnapshotError.damagedManifest(
                let path, let reason)
            {
                report.flaws.append(flaw(name, path, reason))
            }
        } else {
            let (good, damaged) = try repository.snapshots()
            manifests = good
            report.flaws += damaged.map { flaw($0.name, repository.manifestPath($0.name), $0.reason) }
        }
        report.snapshots = manifests.count + report.flaws.count
        try checkLog(manifests, &report)
        var needed: [BlobID: BlobRow] = [:]
        for manifest in manifests {
            do { try collect(manifest, &needed) } catch let error as CompressionError {
                report.flaws.append(flaw(manifest.name, repository.catalogPath(manifest.name), "\(error)"))
            } catch let error as FileSystemError {
                report.flaws.append(flaw(manifest.name, repository.catalogPath(manifest.name), "\(error)"))
            }
        }
        try checkBlobs(needed, percent: percent, &report)
        return report
    }

    private func flaw(_ snapshot: String, _ path: String, _ reason: String) -> RepositoryFlaw {
        let inside = path.hasPrefix(repository.directory + "/")
        return RepositoryFlaw(
            snapshot: snapshot,
            path: inside ? String(path.dropFirst(repository.directory.utf8.count + 1)) : path,
            reason: reason)
    }

    private func checkLog(_ manifests: [SnapshotManifest], _ report: inout Report) throws {
        let last = manifests.map(\.position).max() ?? .zero
        var expected: [SequenceNumber: [SnapshotManifest]] = [:]
        for manifest in manifests { expected[manifest.position, default: []].append(manifest) }
        do {
            try repository.log.forEachFrame(from: SequenceNumber(1), through: last) { frame, raw in
                report.events += 1
                try pace(frame.byteCount)
                if !frame.hasGoodPayload(raw) {
                    report.flaws.append(
                        flaw("", "log", "the bytes that event \(frame.sequence) carries are damaged"))
                }
                for manifest in expected.removeValue(forKey: frame.sequence) ?? []
                where frame.chain.description != manifest.chain {
                    report.flaws.append(
                        flaw(
                            manifest.name, "log",
                            "event \(frame.sequence) has chain hash \(frame.chain), where the manifest says \(manifest.chain)"
                        ))
                }
            }
            for manifest in expected.values.joined() {
                report.flaws.append(
                    flaw(manifest.name, "log", "the log ends at event \(repository.log.head.sequence)"))
            }
        } catch let error as LogError {
            report.flaws.append(flaw("", "log", "\(error)"))
        }
    }

    private func collect(_ manifest: SnapshotManifest, _ needed: inout [BlobID: BlobRow]) throws {
        let catalog = try SnapshotCatalog.stored(manifest, in: repository, scratch: scratch)
        try catalog.forEachBlob { needed[$0.id] = $0 }
    }

    private func checkBlobs(_ needed: [BlobID: BlobRow], percent: Int, _ report: inout Report) throws {
        let rows = needed.values.sorted { $0.id < $1.id }
        let chosen = try choose(rows, percent: percent)
        for row in rows {
            let isDeep = chosen.contains(row.id)
            try pace(0)
            let flaws = try verify(row, deep: isDeep)
            report.blobs += 1
            if isDeep {
                report.blobsRead += 1
                report.bytesRead += row.length
            }
            for found in flaws {
                report.flaws.append(
                    RepositoryFlaw(
                        snapshot: "", path: repository.volume.path(of: row.id), reason: found.description))
            }
        }
        if let last = rows.last(where: { chosen.contains($0.id) }), chosen.count < rows.count {
            try repository.fileSystem.replaceFile(
                cursorPath, with: Array("\(cursor(rows, chosen) ?? last.id)\n".utf8))
        }
    }

    /// A large blob is paced between its pieces; who ends the work in one is heard when it was read.
    private func verify(_ row: BlobRow, deep: Bool) throws -> [BlobFlaw] {
        var stop: (any Error)?
        let flaws = ScanPace.run { count in
            guard stop == nil else { return }
            do { try pace(count) } catch { stop = error }
        } _: {
            repository.volume.verify(row.id, length: row.length, sha256: row.sha256, deep: deep)
        }
        if let stop { throw stop }
        return flaws
    }

    private var cursorPath: String { "\(repository.directory)/snapshots/\(Self.cursorName)" }

    /// The blobs behind the cursor, from the beginning again at the end.
    private func choose(_ rows: [BlobRow], percent: Int) throws -> Set<BlobID> {
        let count = (rows.count * min(max(percent, 0), 100) + 99) / 100
        guard count > 0 else { return [] }
        var start = 0
        if try repository.fileSystem.status(of: cursorPath) != nil,
            let cursor = BlobID(
                String(decoding: try repository.fileSystem.contents(of: cursorPath), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines))
        {
            start = rows.firstIndex { $0.id > cursor } ?? 0
        }
        return Set((0..<count).map { rows[(start + $0) % rows.count].id })
    }

    /// The last of the chosen in the order in which they were taken: where the run of them ends.
    private func cursor(_ rows: [BlobRow], _ chosen: Set<BlobID>) -> BlobID? {
        rows.indices.first { index in
            chosen.contains(rows[index].id) && !chosen.contains(rows[(index + 1) % rows.count].id)
        }.map { rows[$0].id }
    }
}
