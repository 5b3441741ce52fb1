import Catalog
import EventLog
import Model
import Volumes

extension SnapshotCatalog {
    /// Those of some events that carry bytes that a version needs, or a part of an upload.
    func needed(of events: Set<SequenceNumber>, _ log: LogCopy) throws -> Set<SequenceNumber> {
        guard let first = events.min() else { return [] }
        return try catalog.read { reader in
            var needed: Set<SequenceNumber> = []
            for version in try reader.versions(carriedByAny: events.contains, from: first) {
                needed.formUnion(version.carriers)
            }
            needed.formIntersection(events)
            for sequence in events.subtracting(needed) where try isPart(sequence, log, reader) {
                needed.insert(sequence)
            }
            return needed
        }
    }

    /// Whether an event carries what an upload under way has as a part.
    private func isPart(_ sequence: SequenceNumber, _ log: LogCopy, _ reader: CatalogReader) throws -> Bool {
        let event: LoggedEvent?
        do { event = try log.events(from: sequence, limit: 1).first } catch LogError.damaged {
            return false  // More of it is bad than its bytes: whose they were is not known.
        }
        guard case .partPublished(let part)? = event?.record.change,
            let upload = UploadID(bytes: part.uploadID)
        else { return false }
        return try reader.parts(upload, after: Int(part.partNumber) - 1, limit: 1).first?.sequence == sequence
    }
}

extension Repository {
    /// Those of some events whose bytes a snapshot needs that is kept: all of them where that is not known, since a manifest
    /// or a catalog is damaged (DESIGN invariant 5).
    ///
    /// Takes as long as unpacking the catalogs does, up to the one with which all are found to be needed.
    /// - Parameter scratch: a directory of a real file system, for one catalog at a time.
    func neededPayloads(
        of events: Set<SequenceNumber>, scratch: String, _ pace: @escaping SnapshotPace
    ) throws -> Set<SequenceNumber> {
        guard let first = events.min() else { return [] }
        let (good, damaged) = try snapshots()
        guard damaged.isEmpty else { return events }
        var needed: Set<SequenceNumber> = []
        for manifest in good where manifest.position >= first && needed.count < events.count {
            try pace(0)
            do {
                let catalog = try SnapshotCatalog.stored(manifest, in: self, scratch: scratch, pace)
                needed.formUnion(try catalog.needed(of: events.subtracting(needed), log))
            } catch let error
                where error is CompressionError || error is FileSystemError || error is CatalogError
                || error is LogError
            {
                return events
            }
        }
        return needed
    }
}
