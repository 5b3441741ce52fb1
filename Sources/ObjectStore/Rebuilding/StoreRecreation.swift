import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// Makes a store anew in empty directories, of a copy of its log and of blobs elsewhere: the very store that it was, at
/// some event, version for version.
///
/// A marker in the state directory comes first and goes last: while it is there the store is not opened, and doing it
/// again finishes it. Should the marker be lost, blobs come before the log, and the log's last segments before its first,
/// without which it cannot be opened.
public struct StoreRecreation: Sendable {
    public struct Report: Sendable {
        public var blobs = 0
        public var bytes: UInt64 = 0
        public var missing: [Missing] = []
    }

    /// Bytes that something refers to and that the source has not got good.
    public struct Missing: Sendable, Equatable {
        public enum Place: Sendable, Equatable {
            case blob(BlobID)
            /// They stand in the log, with this event.
            case event(SequenceNumber)
        }

        public let place: Place
        public let bucket: String
        public let key: String
        /// As it is named on the wire; `nil` where more than one may have the blob, and for a part of an upload.
        public var version: String?
        public let reason: String
    }

    private static let marker = "restoring"

    private let settings: StoreSettings
    private let environment: StoreEnvironment

    public init(_ settings: StoreSettings, _ environment: StoreEnvironment = .real) {
        self.settings = settings
        self.environment = environment
    }

    private static func markerPath(_ settings: StoreSettings) -> String {
        settings.stateDirectory + "/" + marker
    }

    /// Whether a store was begun there and is not finished.
    public static func isCutOff(_ settings: StoreSettings, _ fileSystem: any FileSystem) throws -> Bool {
        try fileSystem.status(of: markerPath(settings)) != nil
    }

    /// - Parameters:
    ///   - source: has the blobs.
    ///   - catalog: as of `last`.
    ///   - pace: told of the bytes that each volume is given, one volume after the other: those of blobs while they are
    ///     copied, those of the log a segment at a time.
    public func run(
        _ log: LogCopy, through last: SequenceNumber, blobsFrom source: any Volume, _ catalog: Catalog,
        pace: BytePace, progress: (Double) -> Void
    ) async throws -> Report {
        let fileSystem = environment.fileSystem
        try fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        var report = Report()
        var absent: [BlobID] = []
        do {
            let lock = try StoreLock.take(settings, environment)
            defer { lock.close() }
            let isCutOff = try Self.isCutOff(settings, fileSystem)
            try fileSystem.replaceFile(
                Self.markerPath(settings), with: Array("a restore into this store is not finished\n".utf8))
            let volumes = try makeVolumes(log.storeID, isCutOff: isCutOff)
            defer { for volume in volumes { volume.close() } }
            if isCutOff { for volume in volumes { try removeLeftovers(of: volume) } }
            (report, absent) = try await copyBlobs(catalog, from: source, to: volumes, pace, progress)
            let lacking = try await log.write(
                to: volumes.map { Opening.mirror(of: $0, lane: InlineLane()) }, through: last,
                written: pace.spent)
            report.missing += try users(of: lacking, log, catalog)
            try Opening.deleteCatalog(settings.catalogPath)
        }
        // What had died and has no bytes any more is given up as reclaiming does it, so that who looks at the past is told. Of the
        // last events, bytes that are damaged are no torn write.
        var settings = settings
        settings.logProvenThrough = last
        let store = try await ObjectStore.open(settings, environment, isBeingMade: true)
        defer { store.close() }
        let reclaimer = Reclaimer(store.engine)
        try await reclaimer.giveUp(absent)
        try await reclaimer.giveUpDroppedPayloads()
        try fileSystem.remove(Self.markerPath(settings))
        try fileSystem.syncDirectory(settings.stateDirectory)
        progress(1)
        return report
    }

    /// Nobody has been served from what a run that was cut off has made.
    private func removeLeftovers(of volume: DirectoryVolume) throws {
        for id in try volume.incoming().blobs { try volume.removeBlob(id) }
        for name in try environment.fileSystem.list(volume.logDirectory) {
            try environment.fileSystem.remove(volume.logDirectory + "/" + name)
        }
        try environment.fileSystem.syncDirectory(volume.logDirectory)
    }

    private func makeVolumes(_ storeID: StoreID, isCutOff: Bool) throws -> [DirectoryVolume] {
        try settings.volumePaths.enumerated().map { offset, path in
            if isCutOff, try environment.fileSystem.status(of: path + "/volume.json") != nil {
                let volume = try DirectoryVolume.open(
                    path, fileSystem: environment.fileSystem, clock: environment.clock)
                guard volume.identity.storeID == storeID else {
                    throw VolumeError.foreignStore(
                        path: path, found: volume.identity.storeID, expected: storeID)
                }
                return volume
            }
            let identity = VolumeIdentity(
                storeID: storeID, volumeID: .random(), index: offset + 1, created: environment.clock())
            return try DirectoryVolume.create(
                identity, at: path, fileSystem: environment.fileSystem, clock: environment.clock)
        }
    }

    private func copyBlobs(
        _ catalog: Catalog, from source: any Volume, to volumes: [DirectoryVolume], _ pace: BytePace,
        _ progress: (Double) -> Void
    ) async throws -> (Report, absent: [BlobID]) {
        var report = Report()
        var absent: [BlobID] = []
        let total = max(1, try catalog.read { try $0.counts() }.blobs)
        var after: BlobID?
        while true {
            let page = try catalog.read { try $0.blobs(after: after, limit: 1024) }
            for row in page where !row.isReclaiming {
                do {
                    for volume in volumes { try await copy(row, from: source, to: volume, pace) }
                    report.blobs += 1
                    report.bytes += row.length
                } catch let flaw as BlobFlaw {
                    // What nothing refers to may have been left out of the snapshot.
                    if row.uses == 0 {
                        absent.append(row.id)
                    } else {
                        report.missing.append(
                            Missing(
                                place: .blob(row.id), bucket: row.bucket, key: row.key, reason: "\(flaw)"))
                    }
                }
            }
            progress(min(0.95, Double(report.blobs) / Double(total)))
            guard let last = page.last, page.count == 1024 else { return (report, absent) }
            after = last.id
        }
    }

    /// Durable when it returns.
    private func copy(
        _ row: BlobRow, from source: any Volume, to volume: DirectoryVolume, _ pace: BytePace
    ) async throws {
        let flaws = volume.verify(row.id, length: row.length, sha256: row.sha256, depth: .trailer)
        guard !flaws.isEmpty else { return }
        let filling = try BlobCopier(sources: [source]).begin(
            row.id, BlobContent(row), to: volume,
            replacing: flaws == [.missing] ? nil : "left by a restore that was cut off")
        do {
            while let count = try filling.step() { try await pace.spent(count) }
            try volume.publish(filling.sink, as: row.id)
        } catch {
            try filling.sink.abort()
            throw error
        }
        try volume.settle(row.id)
    }

    /// The versions, and the parts of uploads, whose bytes events carry. Of others nobody needs the bytes any more.
    private func users(
        of lacking: LogCopy.WithoutBytes, _ log: LogCopy, _ catalog: Catalog
    ) throws -> [Missing] {
        let (damaged, dropped) = (lacking.damaged, lacking.dropped)
        guard let first = [damaged.min(), dropped.first].compactMap(\.self).min() else { return [] }
        func lacks(_ event: SequenceNumber) -> Bool { damaged.contains(event) || dropped.contains(event) }
        func reason(_ event: SequenceNumber) -> String {
            dropped.contains(event)
                ? "the repository's log has them no more" : "they do not match their checksum"
        }
        var missing: [Missing] = []
        try catalog.read { reader in
            for version in try reader.versions(carriedByAny: lacks, from: first) {
                for carrier in version.carriers where lacks(carrier) {
                    missing.append(
                        Missing(
                            place: .event(carrier), bucket: version.record.bucket, key: version.key,
                            version: version.wireVersionID, reason: reason(carrier)))
                }
            }
            // Most events whose bytes were dropped carry nothing that is in the catalog, and there may be very many.
            var parts = damaged
            if !dropped.isEmpty {
                try reader.forEachPart { piece in
                    let carrier = SequenceNumber(piece.payloadSequence)
                    if piece.hasPayload, dropped.contains(carrier) { parts.insert(carrier) }
                }
            }
            for sequence in parts.sorted() {
                let event = try log.events(from: sequence, limit: 1).first
                guard case .partPublished(let part)? = event?.record.change,
                    let upload = UploadID(bytes: part.uploadID)
                else { continue }
                let number = Int(part.partNumber)
                guard try reader.parts(upload, after: number - 1, limit: 1).first?.sequence == sequence else {
                    continue
                }
                missing.append(
                    Missing(
                        place: .event(sequence), bucket: part.bucket, key: part.key,
                        reason: "\(reason(sequence)): part \(number) of upload \(upload)"))
            }
        }
        return missing
    }
}
