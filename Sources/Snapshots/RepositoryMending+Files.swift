import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Manifests and stored catalogs, made anew.
///
/// A catalog is computed from the repository's log, whose chain must lead to the hash that the manifest has. A manifest has
/// three witnesses, and all are asked: the stored catalog, which says at which event it stands; the repository's log, which
/// must have the same chain hash there; and the store's log, which says that a snapshot of that name was taken there, when, and
/// what it lacks. Without one of them nothing is made: a manifest of another event would let a prune take what the snapshot
/// needs for unneeded (DESIGN invariant 5).
extension RepositoryMending {
    /// Why a file is not made anew.
    private struct Obstacle: Error, CustomStringConvertible { let description: String }

    func mendFiles(_ damage: inout KnownDamage, _ report: (Outcome) throws -> Void) throws {
        for file in damage.files.sorted(by: { $0.name < $1.name }) {
            let outcome = try mend(file)
            if outcome?.reason == nil { damage.files.remove(file) }
            if let outcome { try report(outcome) }
        }
    }

    /// - Returns: `nil` if it is good by now, or its snapshot is gone.
    private func mend(_ file: SnapshotFile) throws -> Outcome? {
        do {
            let count =
                switch file.kind {
                case .manifest: try mendManifest(of: file.snapshot)
                case .catalog: try mendCatalog(of: file.snapshot)
                }
            return count.map { Outcome(path: file.path, byteCount: $0, reason: nil) }
        } catch SnapshotError.unknown {
            return nil
        } catch let error
            where error is Obstacle || error is SnapshotError || error is CompressionError
            || error is LogError || error is CatalogError || error is FileSystemError
        {
            return Outcome(path: file.path, byteCount: 0, reason: "\(error)")
        }
    }

    private func mendCatalog(of name: String) throws -> UInt64? {
        let manifest = try repository.snapshot(name)
        if try isStoredWell(manifest) { return nil }
        try refuseLocked(name)
        let catalog = try repository.computedCatalog(
            of: manifest, scratch: inspection.stateDirectory, pace)
        var mended = manifest
        mended.catalog = try catalog.replace(name, in: repository, pace)
        // Until this is written too the file does not match its digest, and is computed again.
        if mended.catalog != manifest.catalog { try repository.write(mended) }
        return mended.catalog.byteCount
    }

    private func isStoredWell(_ manifest: SnapshotManifest) throws -> Bool {
        do {
            _ = try SnapshotCatalog.stored(
                manifest, in: repository, scratch: inspection.stateDirectory, pace)
            return true
        } catch let error
            where error is CompressionError || error is FileSystemError || error is LogError
        {
            return false  // Who checked it has said why.
        }
    }

    private func mendManifest(of name: String) throws -> UInt64? {
        let flaw: String
        do {
            _ = try repository.snapshot(name)
            return nil
        } catch SnapshotError.damagedManifest(_, let reason) { flaw = reason }
        let bytes = try repository.fileSystem.contents(of: repository.manifestPath(name))
        if let format = SnapshotManifest.unknownFormat(of: bytes) {
            throw Obstacle(description: "a later Holdfast may know its format \(format)")
        }
        try refuseLocked(name)
        let scratch = inspection.stateDirectory
        let position = try SnapshotCatalog.position(
            storedFor: name, in: repository, scratch: scratch, pace)
        guard try repository.log.chainHash(ifReadableAt: position.sequence) == position.chain else {
            throw Obstacle(
                description:
                    "its catalog is as of event \(position.sequence), which the repository's log has not, or otherwise"
            )
        }
        guard let taken = try taken(name, at: position) else {
            throw Obstacle(
                description:
                    "the store's log does not say that it was taken at event \(position.sequence), when, and what it lacks"
            )
        }
        let catalog = try SnapshotCatalog.make(
            repository, scratch: scratch, from: try repository.nearest(to: position.sequence, but: name),
            through: position.sequence, pace)
        try catalog.require(position.chain)
        let file = try catalog.replace(name, in: repository, pace)
        let manifest = try repository.manifest(
            name, position, catalog, file, (Int(taken.lostBlobs), Int(taken.lostPayloads)),
            created: Timestamp(microseconds: taken.createdMicroseconds), parent: nil)
        // A copy: without its manifest the snapshot would be none, should this end in between.
        try repository.volume.quarantine(copyOf: SnapshotFile(.manifest, of: name).path, bytes, reason: flaw)
        try repository.write(manifest)
        return file.byteCount
    }

    /// That a snapshot was taken, as the store's log says behind the event that it stands at; with the greatest losses, if it
    /// says so more than once. Snapshots of two repositories may have one name and stand at one event, and a repository may
    /// be elsewhere by now than its event says: none may seem to lack less than it does.
    private func taken(_ name: String, at position: LogPosition) throws -> EventSnapshotTaken? {
        var next = position.sequence.next
        var found: EventSnapshotTaken?
        while true {
            let events = try inspection.log.events(from: next, limit: 1000)
            for event in events {
                guard case .snapshotTaken(let change) = event.record.change, change.snapshot == name,
                    change.sequence == position.sequence.rawValue,
                    Array(change.chain) == position.chain.bytes
                else { continue }
                guard let known = found else {
                    found = change
                    continue
                }
                found?.lostBlobs = max(known.lostBlobs, change.lostBlobs)
                found?.lostPayloads = max(known.lostPayloads, change.lostPayloads)
            }
            guard let last = events.last else { return found }
            try pace(0)
            next = last.sequence.next
        }
    }

    /// Where files are kept from being removed, what is put in the place of one counts for nothing.
    private func refuseLocked(_ name: String) throws {
        guard let retaining = repository.fileSystem as? any RetainingFileSystem else { return }
        for path in [repository.manifestPath(name), repository.catalogPath(name)] {
            guard let until = try retaining.lockEnd(of: path) else { continue }
            throw FileSystemError.retained(path: path, until: until)
        }
    }
}

extension Repository {
    /// The snapshot whose stored catalog is nearest to an event, and not behind it.
    func nearest(to sequence: SequenceNumber, but name: String) throws -> SnapshotManifest? {
        try snapshots().good.last { $0.position <= sequence && $0.name != name }
    }

    /// The catalog of a snapshot as the log gives it, whatever is stored.
    /// - Throws: ``LogError/damaged(_:_:)`` if the log does not lead to the snapshot.
    func computedCatalog(
        of manifest: SnapshotManifest, scratch: String, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        let catalog = try SnapshotCatalog.make(
            self, scratch: scratch, from: try nearest(to: manifest.position, but: manifest.name),
            through: manifest.position, pace)
        try catalog.require(manifest.chain)
        return catalog
    }

    /// What says of a catalog which snapshot it is of.
    func manifest(
        _ name: String, _ position: LogPosition, _ catalog: SnapshotCatalog,
        _ file: SnapshotManifest.CatalogFile, _ lost: (blobs: Int, payloads: Int), created: Timestamp,
        parent: String?
    ) throws -> SnapshotManifest {
        let counts = try catalog.catalog.read { try $0.counts() }
        let last = try log.events(from: position.sequence, limit: 1).first?.time
        let time = last ?? Timestamp(microseconds: 0)
        return SnapshotManifest(
            format: lost.payloads == 0 ? 1 : 2, name: name, storeID: storeID.description,
            sequence: position.sequence.rawValue, chain: position.chain.description,
            time: time.description, timeMicroseconds: time.microseconds, created: created.description,
            createdMicroseconds: created.microseconds, parent: parent, buckets: counts.buckets,
            versions: counts.versions, deleteMarkers: counts.deleteMarkers,
            versionBytes: counts.versionBytes, blobs: counts.blobs, blobBytes: counts.blobBytes,
            lostBlobs: lost.blobs, lostPayloads: lost.payloads == 0 ? nil : lost.payloads, catalog: file,
            software: Release.name)
    }
}
