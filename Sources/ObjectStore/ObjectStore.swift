import Catalog
import Digests
import Encryption
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// Buckets and objects, stored three times.
///
/// Reads of metadata may read the catalog's file: call them on a thread that may wait. Everything else is
/// asynchronous and waits for no disk on the caller's thread.
public final class ObjectStore: Sendable {
    let engine: Engine
    private let lock: any File
    private let maintenance: Maintenance
    public let opening: OpeningReport
    /// Where the catalog of a store that is only looked at is; goes when it is closed.
    private let scratchDirectory: String?
    var isInspection: Bool { scratchDirectory != nil }

    private init(
        engine: Engine, lock: any File, opening: OpeningReport, maintenance: Maintenance,
        scratchDirectory: String? = nil
    ) {
        self.scratchDirectory = scratchDirectory
        self.engine = engine
        self.lock = lock
        self.opening = opening
        self.maintenance = maintenance
    }

    /// Makes the volumes of a new store.
    /// - Throws: ``VolumeError/notEmpty(path:)`` if a directory has something in it.
    public static func create(_ settings: StoreSettings, _ environment: StoreEnvironment = .real) throws {
        try environment.fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        let lock = try StoreLock.take(settings, environment)
        defer { lock.close() }
        try Opening.create(settings, environment)
    }

    /// Opens a store and begins a new epoch of its log.
    /// - Throws: ``VolumeError`` for a directory that is not what it should be,
    ///   ``StoreError/unavailable(_:)`` with fewer than two volumes.
    public static func open(
        _ settings: StoreSettings, _ environment: StoreEnvironment = .real
    ) async throws -> ObjectStore {
        try await open(settings, environment, isBeingMade: false)
    }

    /// - Parameter isBeingMade: by a restore of the whole store, which is not finished.
    static func open(
        _ settings: StoreSettings, _ environment: StoreEnvironment, isBeingMade: Bool
    ) async throws -> ObjectStore {
        try environment.fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        let lock = try StoreLock.take(settings, environment)
        do {
            if !isBeingMade { try requireWhole(settings, environment) }
            removeLeftovers(in: settings.stateDirectory)
            let (engine, report) = try Opening.open(settings, environment)
            let store = ObjectStore(
                engine: engine, lock: lock, opening: report, maintenance: Maintenance(engine))
            try engine.board.load(engine.ledger.catalog)
            try await store.beginEpoch()
            return store
        } catch {
            lock.close()
            throw error
        }
    }

    /// Opens a store that is not running to look at it: what opening mends, and every change after, stays in
    /// memory and in a copy of the catalog, and is gone when the store is closed.
    /// - Throws: as ``open(_:_:)``.
    public static func openForInspection(
        _ settings: StoreSettings, _ environment: StoreEnvironment = .real
    ) async throws -> ObjectStore {
        try environment.fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        let lock = try StoreLock.take(settings, environment)
        let scratch = inspectionPrefix(settings) + "\(OperationID.random())"
        removeInspections(settings)
        do {
            // Others have no business with a copy of the catalog.
            try FileManager.default.createDirectory(
                atPath: scratch, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            for name in ["catalog.sqlite", "catalog.sqlite-wal", StoreSettings.checkedCatalogName]
            where FileManager.default.fileExists(atPath: "\(settings.stateDirectory)/\(name)") {
                try FileManager.default.copyItem(
                    atPath: "\(settings.stateDirectory)/\(name)", toPath: "\(scratch)/\(name)")
            }
            try requireWhole(settings, environment)
            var copy = settings
            copy.stateDirectory = scratch
            var overlaid = environment
            overlaid.fileSystem = OverlayFileSystem(over: environment.fileSystem)
            let (engine, report) = try Opening.open(copy, overlaid)
            try engine.board.load(engine.ledger.catalog)
            // No epoch is opened: the log that is shown ends where the log on the volumes ends.
            return ObjectStore(
                engine: engine, lock: lock, opening: report, maintenance: Maintenance(engine),
                scratchDirectory: scratch)
        } catch {
            lock.close()
            removeScratch(scratch)
            throw error
        }
    }

    private static func requireWhole(_ settings: StoreSettings, _ environment: StoreEnvironment) throws {
        guard try StoreRecreation.isCutOff(settings, environment.fileSystem) else { return }
        throw StoreError.invalidState(
            "a restore of the whole store was cut off here: give the same 'holdfast restore' again to finish it"
        )
    }

    /// Catalogs of moments of the past, or of a check, that a process that was killed had in scratch files.
    private static func removeLeftovers(in directory: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names
        where name.contains(".sqlite")
            && (name.hasPrefix("snapshot-") || name.hasPrefix(StoreSettings.checkingCatalogPrefix))
        {
            removeScratch(directory + "/" + name)
        }
    }

    /// What directories for temporary files of who looks at a store begin with: each store's with another, also where two
    /// containers that share a `/tmp` have theirs under one path.
    package static func inspectionPrefix(_ settings: StoreSettings) -> String {
        var place = stat()
        _ = stat(settings.stateDirectory, &place)  // zeros for one that is not there
        let name = SHA256.hash(Array("\(settings.stateDirectory) \(place.st_dev) \(place.st_ino)".utf8))
            .prefix(8)
        return NSTemporaryDirectory() + "/holdfast-\(Array(name).hexadecimal)-"
    }

    /// What those that were killed left: while the store is locked, nobody else looks at it. What another user has put there
    /// under such a name stays.
    private static func removeInspections(_ settings: StoreSettings) {
        let prefix = inspectionPrefix(settings).dropFirst(NSTemporaryDirectory().utf8.count + 1)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())) ?? []
        for name in names where name.hasPrefix(prefix) {
            let path = NSTemporaryDirectory() + "/" + name
            var found = stat()
            guard lstat(path, &found) == 0, found.st_mode & S_IFMT == S_IFDIR, found.st_uid == geteuid()
            else { continue }
            removeScratch(path)
        }
    }

    /// What cannot be removed is a copy in the directory for temporary files.
    private static func removeScratch(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    private func beginEpoch() async throws {
        _ = try await withUnsafeThrowingContinuation { continuation in
            let number = engine.ledger.log.nextEpoch
            engine.ledger.log.beginEpoch(number)
            engine.announceEpoch(number) { continuation.resume(with: $0) }
        }
    }

    /// Starts the thread that notices slow and missing volumes and brings them back.
    public func startMaintenance() { maintenance.start() }

    /// Makes a new volume in the empty directory of one that is set aside; maintenance then fills it.
    /// - Throws: ``VolumeError/notEmpty(path:)``, ``StoreError/invalidState(_:)``.
    public func replaceVolume(_ index: Int) async throws -> VolumeID {
        try await VolumeReplacement(engine: engine).run(index)
    }

    /// Gives back space that nothing refers to and that history does not see any more, a part at a time.
    /// - Parameter early: segments are written afresh for less than is worth it otherwise: a volume is nearly full.
    /// - Returns: whether there may be more to give back at once.
    public func reclaim(early: Bool = false) async throws -> Bool {
        try await Reclaimer(engine, early: early).run()
    }

    /// One round of what the maintenance thread does, on the caller's.
    public func maintain() { maintenance.tick() }

    /// Lets what is queued end, and closes every file.
    public func close() {
        maintenance.stop()
        engine.close()
        lock.close()
        if let scratchDirectory { Self.removeScratch(scratchDirectory) }
    }

    public var storeID: StoreID { engine.storeID }
    public var head: LogPosition { engine.ledger.head }
    public var volumeStatuses: [VolumeStatus] { engine.volumes.statuses }
    public var commitQueueDepth: Int { engine.ledger.queueDepth }
    public func confirmedThrough() throws -> SequenceNumber {
        try engine.ledger.catalog.read { try $0.confirmedThrough() }
    }

    // MARK: Looking up

    public func buckets() throws -> [Bucket] { try engine.ledger.read { try $0.buckets() } }

    /// - Throws: ``StoreError/noSuchBucket(_:)``.
    public func bucket(_ name: BucketName) throws -> Bucket {
        guard let bucket = try engine.ledger.bucket(name) else {
            throw StoreError.noSuchBucket(name)
        }
        return bucket
    }

    /// - Throws: ``StoreError/noSuchBucket(_:)``, ``StoreError/noSuchKey(_:deleteMarker:)``,
    ///   ``StoreError/noSuchVersion(_:_:)``,
    ///   ``StoreError/isDeleteMarker(_:)``.
    public func version(
        _ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector
    ) throws -> ObjectVersion {
        let found =
            selector == .current
            ? try engine.ledger.currentVersion(bucket, key)
            : try engine.ledger.read { try $0.version(bucket, key, selector) }
        guard let found else {
            _ = try self.bucket(bucket)
            if let wire = selector.wire { throw StoreError.noSuchVersion(key, wire) }
            throw StoreError.noSuchKey(key, deleteMarker: nil)
        }
        guard !found.isDeleteMarker else {
            if selector == .current { throw StoreError.noSuchKey(key, deleteMarker: found) }
            throw StoreError.isDeleteMarker(found)
        }
        return found
    }

    public func listCurrent(
        _ bucket: BucketName, prefix: String, delimiter: String, after: String, limit: Int
    ) throws -> ListingPage {
        try listing(of: bucket) {
            try $0.listCurrent(bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit)
        }
    }

    public func listVersions(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        versionMarker: VersionSelector?, limit: Int
    ) throws -> ListingPage {
        try listing(of: bucket) {
            try $0.listVersions(
                bucket, prefix: prefix, delimiter: delimiter, keyMarker: keyMarker,
                versionMarker: versionMarker, limit: limit)
        }
    }

    public func listUploads(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        uploadMarker: UploadID?, limit: Int
    ) throws -> UploadsPage {
        try listing(of: bucket) {
            try $0.listUploads(
                bucket, prefix: prefix, delimiter: delimiter, keyMarker: keyMarker,
                uploadMarker: uploadMarker, limit: limit)
        }
    }

    private func listing<Page>(
        of bucket: BucketName, _ body: (any LedgerView) throws -> Page
    ) throws -> Page {
        try engine.ledger.read { view in
            guard try view.bucket(bucket) != nil else { throw StoreError.noSuchBucket(bucket) }
            return try body(view)
        }
    }

    /// - Throws: ``StoreError/noSuchUpload(_:)``.
    public func upload(_ bucket: BucketName, _ key: ObjectKey, _ id: UploadID) throws -> MultipartUpload {
        guard let upload = try engine.ledger.read({ try $0.upload(bucket, key, id) }) else {
            throw StoreError.noSuchUpload(id)
        }
        return upload
    }

    public func parts(of id: UploadID, after number: Int, limit: Int) throws -> [UploadedPart] {
        try engine.ledger.read { try $0.parts(of: id, after: number, limit: limit) }
    }

    /// - Precondition: `range` lies within the version.
    /// - Parameter dataKey: needed, and looked at, for a version that is enciphered.
    public func reader(
        of version: ObjectVersion, range: Range<UInt64>, dataKey: SecretKey? = nil
    ) -> ObjectReader {
        ObjectReader(version, range: range, dataKey: dataKey, engine: engine)
    }

    // MARK: The log

    public func events(from sequence: SequenceNumber, limit: Int) throws -> [LoggedEvent] {
        try engine.ledger.events(from: sequence, limit: limit)
    }

    public func waitForEvents(after sequence: SequenceNumber) async {
        await engine.ledger.waitForEvents(after: sequence)
    }
}

/// What this program is called in the log.
public enum Release {
    public static let name = "holdfast 0.1.0"
}
