import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// What making a log of the replicas came to.
public struct RebuildReport: Sendable {
    /// A file that is part of nothing that was rebuilt. It stays where it is, until a check that repairs takes it for an
    /// orphan and moves it to quarantine.
    public struct Problem: Sendable, Equatable {
        public let path: String
        public let reason: String
    }

    /// A version of several parts.
    public struct PartedVersion: Sendable, Hashable {
        public let bucket: String
        public let key: String
        /// As it is named on the wire where the bucket keeps versions.
        public let version: String
        /// The numbers of the parts that are there, in order, and their blobs.
        public let parts: [Int]
        public let blobs: [BlobID]
        /// Of these.
        public let bytes: UInt64
        /// That the version had if these are all its parts; `nil` for one that is enciphered.
        public let etag: String?
        /// Whether it may lack a last part that stood in the log.
        public let isEndInDoubt: Bool

        /// Numbers below the last one that no part has: from one to another.
        public var gaps: [ClosedRange<Int>] { Self.gaps(between: parts) }

        package static func gaps(between parts: [Int]) -> [ClosedRange<Int>] {
            zip([0] + parts, parts).compactMap { $0 + 1 < $1 ? $0 + 1...$1 - 1 : nil }
        }
    }

    public struct RebuiltBucket: Sendable {
        public let name: String
        public let owner: String
        public let isVersioned: Bool
        public private(set) var versions = 0
        public private(set) var bytes: UInt64 = 0

        init(name: String, owner: String, isVersioned: Bool) {
            self.name = name
            self.owner = owner
            self.isVersioned = isVersioned
        }

        init(_ other: RebuiltBucket, owner: String, isVersioned: Bool) {
            self.init(name: other.name, owner: owner, isVersioned: isVersioned)
            (versions, bytes) = (other.versions, other.bytes)
        }

        mutating func count(_ byteCount: UInt64) {
            versions += 1
            bytes += byteCount
        }
    }

    public internal(set) var buckets: [RebuiltBucket] = []
    public internal(set) var blobs = 0
    /// Versions of several parts: whether their uploads were completed is not known.
    public internal(set) var multipart = 0
    public internal(set) var enciphered = 0
    public internal(set) var problems: [Problem] = []
    /// Versions of which parts lack. They are not published, and their blobs are as those of a ``Problem``.
    public internal(set) var incomplete: [PartedVersion] = []
    /// The same, where it was asked that they be published: as if their clients had left the numbers out.
    public internal(set) var gapped: [PartedVersion] = []
    /// Versions that were published and that a last part may lack which stood in the log.
    public internal(set) var doubtful: [PartedVersion] = []

    public var versions: Int { buckets.reduce(0) { $0 + $1.versions } }
    public var bytes: UInt64 { buckets.reduce(0) { $0 + $1.bytes } }

    /// What no replica tells.
    public static let unknown = [
        "objects up to 64 KiB stood in the log, and are gone",
        "a last part up to 64 KiB of an object put in parts stood in the log too, and nothing tells whether there was one: the object ends without it. One whose last part here is smaller than 5 MiB, and than the others, had none",
        "whether a number that lacks between an object's parts is that of a lost part or was left out by its client: such objects are there only if that was asked for",
        "objects that were deleted or overwritten, and whose space was not given back yet, are there again",
        "tags, retention, legal holds and access that were changed after the upload are as they were uploaded",
        "buckets have no settings: policies, lifecycle, default encryption, object lock, access control",
        "a bucket of which a key has several versions, or a version is locked, keeps versions; another does not",
        "copies made by the server are not there: their bytes are under the name they were uploaded as",
        "uploads of parts that were never completed are there as objects",
        "delete markers, empty buckets and uploads under way are not there",
        "ETags of objects that were enciphered by a key of the store's are others; those of parts are as if no part had been left out",
        "the history and its chain of hashes begin anew: no earlier snapshot can be continued",
    ]
}

/// Makes the log of a store anew when every mirror is lost, of what the replicas say of themselves (DESIGN
/// invariant 6).
///
/// Each version is published at the time at which its last blob was written, so that the newest of a key is the current
/// one and dates are what they were. Nothing that is there is removed, moved or written to, but for the log itself: what
/// could not be understood is named. The log is made under the name it has only when it is complete, so a rebuild that
/// is cut off is made again.
struct LogRebuild {
    private static let batchCount = 256

    let settings: StoreSettings
    let environment: StoreEnvironment
    /// Of buckets: no replica tells.
    let region: String
    /// Whether versions between whose parts numbers lack are published: no replica tells how many parts there were.
    let publishesGaps: Bool

    /// - Throws: ``StoreError/invalidState(_:)`` if a volume has a log.
    func run(isDryRun: Bool) throws -> RebuildReport {
        var volumes: [DirectoryVolume] = []
        defer { for volume in volumes { volume.close() } }
        var reasons: [String] = []
        for path in settings.volumePaths {
            do throws(VolumeError) {
                volumes.append(
                    try DirectoryVolume.open(
                        path, fileSystem: environment.fileSystem, clock: environment.clock))
            } catch {
                switch error {
                case .missing, .empty, .fileSystem: reasons.append("\(error)")
                default: throw error
                }
            }
        }
        guard volumes.count >= Limits.writeQuorum, let first = volumes.first else {
            throw StoreError.unavailable(
                "\(volumes.count) of \(settings.volumePaths.count) volumes can be used: \(reasons.joined(separator: "; "))"
            )
        }
        let storeID = first.identity.storeID
        for (volume, index) in zip(volumes, volumes.map(\.index)) {
            guard volume.identity.storeID == storeID else {
                throw VolumeError.foreignStore(
                    path: volume.name, found: volume.identity.storeID, expected: storeID)
            }
            guard volume.directory == settings.volumePaths[index - 1] else {
                throw VolumeError.wrongIndex(
                    path: volume.name, found: index,
                    expected: (settings.volumePaths.firstIndex(of: volume.directory) ?? 0) + 1)
            }
        }
        let isCutOff = try volumes.contains { try environment.fileSystem.status(of: beside($0)) != nil }
        let begun = try volumes.filter(hasLog)
        if !begun.isEmpty, !isCutOff { throw StoreError.invalidState(Self.refusal(begun)) }
        let census = try ReplicaCensus(
            of: volumes, storeID: storeID, publishesGaps: publishesGaps,
            scratch: settings.stateDirectory)
        if !isDryRun {
            for volume in volumes { try keepIncoming(of: volume) }
            // It tells of the log that is lost, and would not let one that is shorter be opened.
            if FileManager.default.fileExists(atPath: settings.catalogPath) {
                try Opening.moveCatalog(settings.catalogPath, to: settings.catalogPath + ".lost-log")
            }
            // Each log was complete before the first one got its name.
            if begun.isEmpty { try write(census, volumes, storeID) }
            for volume in volumes { try giveName(to: volume) }
        }
        return census.report
    }

    private func hasLog(_ volume: DirectoryVolume) throws -> Bool {
        let directory = volume.logDirectory
        guard try environment.fileSystem.status(of: directory) != nil else { return false }
        return try environment.fileSystem.list(directory).contains { $0.hasSuffix(".log") }
    }

    private static func refusal(_ volumes: [DirectoryVolume]) -> String {
        let places = volumes.map(\.logDirectory).joined(separator: ", ")
        return
            "there is a log in \(places): as long as two volumes have one, the store opens and mends what is damaged. If none can be used, move the files of every volume's log directory elsewhere, keep them, and give this command again"
    }

    /// Where the log is made.
    private func beside(_ volume: DirectoryVolume) -> String { volume.directory + "/log.rebuilding" }

    private func giveName(to volume: DirectoryVolume) throws {
        let fileSystem = environment.fileSystem
        guard try fileSystem.status(of: beside(volume)) != nil, try !hasLog(volume) else { return }
        try remove(volume.logDirectory)
        try fileSystem.rename(beside(volume), to: volume.logDirectory)
        try fileSystem.syncDirectory(volume.directory)
    }

    /// Removes a directory of files, if it is there.
    private func remove(_ directory: String) throws {
        let fileSystem = environment.fileSystem
        guard try fileSystem.status(of: directory) != nil else { return }
        for name in try fileSystem.list(directory) { try fileSystem.remove(directory + "/" + name) }
        try fileSystem.removeDirectory(directory)
    }

    /// What an upload that was cut off has left in `incoming/` is removed when a store is opened, unless the catalog knows
    /// it: names of blobs that were finished go from there first.
    private func keepIncoming(of volume: DirectoryVolume) throws {
        for id in try volume.incoming().blobs where (try? volume.info(of: id, length: nil)) != nil {
            try volume.keep(id)
        }
    }

    // MARK: The log

    private func write(
        _ census: ReplicaCensus, _ volumes: [DirectoryVolume], _ storeID: StoreID
    ) throws {
        let fileSystem = environment.fileSystem
        var mirrors: [LogMirror] = []
        for volume in volumes {
            try remove(beside(volume))
            try fileSystem.createDirectory(beside(volume), permissions: 0o700)
            try fileSystem.syncDirectory(volume.directory)
            mirrors.append(
                LogMirror(
                    fileSystem: fileSystem, directory: beside(volume), quarantine: volume.quarantineDirectory,
                    index: volume.index, lane: InlineLane()))
        }
        let logSettings = LogSettings(segmentByteCount: settings.segmentByteCount)
        try EventLog.create(storeID: storeID, mirrors: mirrors, settings: logSettings)
        let now = environment.clock()
        let time = Mutex(now.microseconds)
        let (log, _) = try EventLog.open(
            storeID: storeID, mirrors: mirrors, settings: logSettings,
            clock: { Timestamp(microseconds: time.withLock { $0 }) })
        defer { log.close() }
        let epoch = log.nextEpoch
        log.beginEpoch(epoch)
        time.withLock { $0 = min(now.microseconds, census.earliest ?? now.microseconds) }
        var opened = EventEpochOpened()
        opened.epoch = epoch
        opened.storeID = Data(storeID.bytes)
        opened.software = Release.name + " (rebuilt from replicas)"
        opened.volumes = volumes.map { UInt32($0.index) }
        _ = try log.stage(event(.epochOpened(opened)), payload: [])
        for bucket in census.report.buckets {
            _ = try log.stage(event(.bucketCreated(created(bucket))), payload: [])
        }
        try flush(log, volumes.count)
        var count = 0
        try census.forEachEvent { moment, record in
            time.withLock { $0 = min(now.microseconds, moment) }
            _ = try log.stage(event(.versionPublished(record)), payload: [])
            count += 1
            if count % Self.batchCount == 0 { try flush(log, volumes.count) }
        }
        try flush(log, volumes.count)
    }

    private func flush(_ log: EventLog, _ count: Int) throws {
        let outcome = log.flush()
        guard outcome.stable.count == count else {
            let reasons = outcome.failed.map { "volume \($0.key): \($0.value)" }.sorted()
            throw StoreError.unavailable("the new log: \(reasons.joined(separator: "; "))")
        }
    }

    private func event(_ change: EventRecord.OneOf_Change) -> EventRecord {
        var record = EventRecord()
        record.operationID = Data(OperationID.random().bytes)
        record.actor = Actor.holdfast.id
        record.change = change
        return record
    }

    private func created(_ bucket: RebuildReport.RebuiltBucket) -> EventBucketCreated {
        var change = EventBucketCreated()
        change.bucket = bucket.name
        change.owner = bucket.owner
        change.region = region
        if bucket.isVersioned {
            change.settings["versioning"] = Data(VersioningState.enabled.rawValue.utf8)
        }
        return change
    }
}

extension ObjectStore {
    /// Makes the log of a store that is not running anew, when every mirror of it is lost and blobs are left.
    /// - Parameters:
    ///   - region: of the buckets.
    ///   - publishesGaps: takes numbers that lack between an object's parts for ones that its client left out.
    /// - Throws: ``StoreError``, ``VolumeError``.
    public static func rebuildFromReplicas(
        _ settings: StoreSettings, region: String, publishesGaps: Bool = false, isDryRun: Bool,
        _ environment: StoreEnvironment = .real
    ) throws -> RebuildReport {
        let lock = try StoreLock.take(settings, environment)
        defer { lock.close() }
        let rebuild = LogRebuild(
            settings: settings, environment: environment, region: region, publishesGaps: publishesGaps)
        return try rebuild.run(isDryRun: isDryRun)
    }
}
