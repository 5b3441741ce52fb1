import Catalog
import Digests
import Foundation
import Model
import ObjectStore
import Volumes

/// A restore that is only practised: objects of a snapshot, taken at random, are brought out of the repository, compared
/// with the digests that the log has of them, written to scratch files and read again from there. It needs neither the
/// store nor any key: of what is enciphered, the ciphertext is compared.
///
/// SHA-256 is computed once, of the bytes as they come: what differs is the repository's fault. What is read from scratch
/// is compared with what was written there by CRC32C, which costs next to nothing: what differs then is that disk's fault,
/// ends the drill, and says nothing of the repository.
public struct SnapshotDrill {
    public struct Failure: Codable, Sendable, Equatable {
        public let bucket: String
        public let key: String
        public let version: String
        public let reason: String
    }

    public struct Report: Codable, Sendable {
        public var snapshot: String
        public var objects = 0
        public var bytes: UInt64 = 0
        /// Of the objects, those for which scratch had no room: their bytes were compared as they came.
        public var unwritten = 0
        public var failures: [Failure] = []
    }

    private static let step = 1024 * 1024
    private static let reservedPart: UInt64 = 10

    private let repository: Repository
    private let scratch: String
    private let fileSystem: any FileSystem
    private let pace: @Sendable (Int) throws -> Void

    /// Who paces the drill has ended it, or the scratch disk has: that says nothing of the object.
    private struct Ended: Error { let reason: any Error }

    /// - Parameters:
    ///   - scratch: a directory of a real file system; what the drill puts there goes with it.
    ///   - pace: told of bytes that were restored; may wait before the drill goes on, or end it by throwing.
    public init(
        _ repository: Repository, scratch: String = FileManager.default.temporaryDirectory.path,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.init(repository, scratch: scratch, on: RealFileSystem(), pace: pace)
    }

    /// - Parameter fileSystem: where restored objects are put; the snapshot's catalog is in the real one all the same.
    package init(
        _ repository: Repository, scratch: String, on fileSystem: any FileSystem,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.pace = pace
        self.repository = repository
        self.scratch = scratch
        self.fileSystem = fileSystem
    }

    /// - Parameters:
    ///   - name: `nil` for the newest snapshot.
    ///   - count: objects to restore; fewer if there are not so many.
    /// - Throws: ``SnapshotError``.
    public func run(
        _ name: String?, count: Int, using generator: inout some RandomNumberGenerator
    ) throws -> Report {
        let manifest = try name.map(repository.snapshot) ?? newest()
        let snapshot = try SnapshotCatalog.open(manifest, in: repository, scratch: scratch, pace)
        let source = SnapshotSource(name: manifest.name, repository: repository, snapshot: snapshot)
        var report = Report(snapshot: manifest.name)
        for version in try sample(snapshot.catalog, count, using: &generator) {
            do {
                if try !restore(version, from: source) { report.unwritten += 1 }
                report.bytes += version.size
            } catch let ended as Ended {
                throw ended.reason
            } catch {
                report.failures.append(
                    Failure(
                        bucket: version.record.bucket, key: version.key, version: version.wireVersionID,
                        reason: "\(error)"))
            }
            report.objects += 1
        }
        return report
    }

    private func newest() throws -> SnapshotManifest {
        guard let last = try repository.snapshots().good.last else {
            throw SnapshotError.empty(repository: repository.directory)
        }
        return last
    }

    /// Every version has the same chance: J. Vitter, "Random Sampling with a Reservoir" (1985), algorithm R.
    private func sample(
        _ catalog: Catalog, _ count: Int, using generator: inout some RandomNumberGenerator
    ) throws -> [ObjectVersion] {
        var chosen: [ObjectVersion] = []
        var seen = 0
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            try pace(0)
            let page = try catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page where !version.isDeleteMarker {
                seen += 1
                if chosen.count < count {
                    chosen.append(version)
                } else {
                    let index = Int.random(in: 0..<seen, using: &generator)
                    if index < count { chosen[index] = version }
                }
            }
            guard let end = page.last, page.count == 1000 else { return chosen }
            place = (end.record.bucket, end.key, end.sequence)
        }
    }

    /// - Returns: whether it was written to scratch and read again; without room for it, its bytes are compared as they come.
    private func restore(_ version: ObjectVersion, from source: SnapshotSource) throws -> Bool {
        guard try hasRoom(for: version.size) else {
            try read(version, from: source) { _, _ in }
            return false
        }
        let path = "\(scratch)/drill-\(OperationID.random())"
        let file = try scratching {
            try fileSystem.open(path, [.write, .createNew], permissions: 0o600)
        }
        defer {
            file.close()
            try? fileSystem.remove(path)  // a scratch file; its name is its own
        }
        var written = CRC32C()
        try read(version, from: source) { bytes, offset in
            try scratching { try file.write(bytes, at: offset) }
            written.update(bytes)
        }
        try scratching { try file.sync() }
        try compare(file, version.record.pieces.reduce(0) { $0 + $1.length }, with: written.value)
        return true
    }

    /// Reads a version piece by piece, and compares the digest of each.
    private func read(
        _ version: ObjectVersion, from source: SnapshotSource,
        _ take: (_ bytes: [UInt8], _ offset: UInt64) throws -> Void
    ) throws {
        let pieces = source.pieces(of: version)
        var start: UInt64 = 0
        for (index, piece) in version.record.pieces.enumerated() {
            var digest = SHA256()
            var offset: UInt64 = 0
            while offset < piece.length {
                let wanted = Int(min(UInt64(Self.step), piece.length - offset))
                let bytes = try pieces.read(index, at: offset, count: wanted)
                guard !bytes.isEmpty else { throw SnapshotError.cutOff("piece \(index + 1)") }
                digest.update(bytes)
                try take(bytes, start + offset)
                do { try pace(bytes.count) } catch { throw Ended(reason: error) }
                offset += UInt64(bytes.count)
            }
            guard digest.finalize() == Array(piece.sha256) else {
                throw SnapshotError.otherBytes("piece \(index + 1) of \(version.record.pieces.count)")
            }
            start += piece.length
        }
    }

    /// What concerns the scratch file says nothing of the object.
    private func scratching<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw Ended(reason: error) }
    }

    /// The catalog may be on the same disk, and the store does nothing without it: a tenth of the disk stays free.
    private func hasRoom(for size: UInt64) throws -> Bool {
        let (free, total) = try scratching { try fileSystem.space(at: scratch) }
        let reserve = total / Self.reservedPart
        return free >= reserve && size <= free - reserve
    }

    /// Reads what was written to scratch.
    private func compare(_ file: any File, _ byteCount: UInt64, with written: UInt32) throws {
        var digest = CRC32C()
        var offset: UInt64 = 0
        while offset < byteCount {
            let count = Int(min(UInt64(Self.step), byteCount - offset))
            let bytes = try scratching { try file.bytes(count, at: offset) }
            guard !bytes.isEmpty else { throw Ended(reason: other(file, "it ends before it should")) }
            do { try pace(0) } catch { throw Ended(reason: error) }
            digest.update(bytes)
            offset += UInt64(bytes.count)
        }
        guard digest.value == written else {
            throw Ended(reason: other(file, "it has other bytes than were written to it"))
        }
    }

    private func other(_ file: any File, _ detail: String) -> FileSystemError {
        FileSystemError(operation: "pread", path: file.path, code: EIO, detail: detail)
    }
}
