import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// What opening a store found and did.
public struct OpeningReport: Sendable {
    public let log: LogRecovery
    /// Events that the catalog did not have.
    public let eventsReplayed: Int
    /// Why the catalog that was there was made anew; `nil` if it was not.
    public let catalogFlaw: String?
    /// Blobs removed whose event was never committed, each with its volume.
    public let unpublishedBlobs: [(volume: Int, id: BlobID)]
}

/// How a store is made and opened (DESIGN, "How a store opens").
enum Opening {
    /// What a volume may have missed at most to be brought up to date before the store is open.
    private static let awaitedEventCount: UInt64 = 100_000
    private static let awaitedByteCount: UInt64 = 256 * 1024 * 1024

    static func create(_ settings: StoreSettings, _ environment: StoreEnvironment) throws {
        let fileSystem = environment.fileSystem
        let storeID = StoreID.random()
        var mirrors: [LogMirror] = []
        var volumes: [DirectoryVolume] = []
        for (offset, path) in settings.volumePaths.enumerated() {
            let identity = VolumeIdentity(
                storeID: storeID, volumeID: .random(), index: offset + 1, created: environment.clock())
            let volume = try DirectoryVolume.create(
                identity, at: path, fileSystem: fileSystem, clock: environment.clock)
            volumes.append(volume)
            mirrors.append(mirror(of: volume, lane: InlineLane()))
        }
        try EventLog.create(
            storeID: storeID, mirrors: mirrors,
            settings: LogSettings(segmentByteCount: settings.segmentByteCount))
        for volume in volumes { volume.close() }
    }

    static func open(
        _ settings: StoreSettings, _ environment: StoreEnvironment
    ) throws -> (Engine, OpeningReport) {
        let volumes = VolumeSet(paths: settings.volumePaths, clock: environment.clock)
        let opened = try openVolumes(settings, environment, volumes)
        guard opened.count >= Limits.writeQuorum, let first = opened.first else {
            let reasons = volumes.statuses.compactMap(\.reason).joined(separator: "; ")
            throw StoreError.unavailable(
                "\(opened.count) of \(settings.volumePaths.count) volumes can be used: \(reasons)")
        }
        let storeID = first.volume.identity.storeID
        let mirrors = opened.map { handle in
            guard let volume = handle.volume as? DirectoryVolume else {
                preconditionFailure("volumes are directories here")
            }
            return mirror(of: volume, lane: handle.log)
        }
        let (log, recovery) = try EventLog.open(
            storeID: storeID, mirrors: mirrors,
            settings: LogSettings(
                segmentByteCount: settings.segmentByteCount, deadline: settings.operationDeadline,
                cutsAfter: settings.cutsLogAfter,
                provenThrough: max(settings.logProvenThrough, appliedThrough(settings, storeID))),
            clock: environment.clock)
        let (catalog, replayed, catalogFlaw) = try openCatalog(settings, storeID, log)
        var unpublished: [(volume: Int, id: BlobID)] = []
        var brought: [(volume: Int, from: SequenceNumber)] = []
        for handle in opened {
            do {
                unpublished += try clearIncoming(handle.volume, catalog).map { (handle.index, $0) }
                if let lagging = mirrors.first(where: { $0.index == handle.index }),
                    recovery.lagging.contains(handle.index)
                {
                    let others = opened.filter { $0.index != handle.index }.map(\.volume)
                    let missed = missedBlobs(
                        of: handle.volume, catalog, BlobCopier(sources: others), environment)
                    defer { missed.lane.finish() }
                    try log.consulting(mirrors) {
                        _ = try log.catchUp(lagging) { events in
                            if let first = events.first?.sequence, brought.last?.volume != handle.index {
                                if opened.count - recovery.lagging.count >= Limits.writeQuorum {
                                    try refuseIfMuchIsMissing(from: first, log, catalog)
                                }
                                brought.append((handle.index, first))
                            }
                            try missed.bring(events)
                        }
                    }
                    try log.putInService(lagging)
                }
                volumes.place(handle, inService: true)
            } catch {
                // One sick disk keeps nobody from opening: DESIGN invariant 9.
                log.takeOutOfService(handle.index)
                volumes.note(handle.index, reason: "bringing it up to date: \(error)")
                handle.finishLanes()
                (handle.volume as? DirectoryVolume)?.close()
            }
        }
        let engine = Engine(
            storeID: storeID, settings: settings, environment: environment, volumes: volumes, log: log,
            catalog: catalog)
        for (volume, first) in brought { engine.refills.noteBrought(volume, from: first) }
        engine.followVolumes()
        let report = OpeningReport(
            log: recovery, eventsReplayed: replayed, catalogFlaw: catalogFlaw, unpublishedBlobs: unpublished
        )
        return (engine, report)
    }

    /// A volume that missed much is not waited for: the store opens without it, and it is filled while others are
    /// served.
    private static func refuseIfMuchIsMissing(
        from first: SequenceNumber, _ log: EventLog, _ catalog: Catalog
    ) throws {
        let events = log.head.sequence.rawValue - first.rawValue + 1
        let bytes = try catalog.read { try $0.blobTotals(bornFrom: first).bytes }
        guard events > Self.awaitedEventCount || bytes > Self.awaitedByteCount else { return }
        throw StoreError.busy("the volume missed \(events) events, and \(bytes) bytes of blobs")
    }

    static func mirror(of volume: DirectoryVolume, lane: any Lane) -> LogMirror {
        mirror(at: volume.directory, index: volume.index, volume.fileSystem, lane: lane)
    }

    static func mirror(
        at directory: String, index: Int, _ fileSystem: any FileSystem, lane: any Lane
    ) -> LogMirror {
        LogMirror(
            fileSystem: fileSystem, directory: directory + "/log", quarantine: directory + "/quarantine",
            index: index, lane: lane)
    }

    /// - Returns: what brings a volume up to date. Who asked for it finishes its lane.
    static func missedBlobs(
        of volume: any Volume, _ catalog: Catalog, _ copier: BlobCopier, _ environment: StoreEnvironment
    ) -> MissedBlobs {
        let shape = LaneShape("return-\(volume.index)", threads: MissedBlobs.threadCount, capacity: 1024)
        return MissedBlobs(
            volume: volume, catalog: catalog, copier: copier, lane: environment.makeLane(shape),
            sleep: environment.sleep)
    }

    static func handle(_ volume: DirectoryVolume, _ environment: StoreEnvironment) -> VolumeHandle {
        VolumeHandle(
            volume: volume, log: environment.makeLane(LaneShape("log-\(volume.index)", capacity: 64)),
            writer: environment.makeLane(LaneShape("writer-\(volume.index)", capacity: 1024)),
            reader: environment.makeLane(LaneShape("reader-\(volume.index)", threads: 2, capacity: 1024)))
    }

    /// Opens the directory of a volume that was set aside.
    /// - Throws: ``VolumeError`` if it is not what belongs there.
    static func reopen(_ index: Int, of engine: Engine) throws -> DirectoryVolume {
        let path = engine.volumes.path(of: index)
        engine.volumes.unlockDeparted(index)
        let volume = try DirectoryVolume.open(
            path, fileSystem: engine.environment.fileSystem, clock: engine.clock)
        do {
            guard volume.identity.storeID == engine.storeID else {
                throw VolumeError.foreignStore(
                    path: path, found: volume.identity.storeID, expected: engine.storeID)
            }
            guard volume.index == index else {
                throw VolumeError.wrongIndex(path: path, found: volume.index, expected: index)
            }
        } catch {
            volume.close()
            throw error
        }
        return volume
    }

    /// A directory that belongs elsewhere is the operator's mistake and refused; one that is missing, empty
    /// or cannot be read is set aside.
    private static func openVolumes(
        _ settings: StoreSettings, _ environment: StoreEnvironment, _ volumes: VolumeSet
    ) throws -> [VolumeHandle] {
        var opened: [(place: Int, handle: VolumeHandle)] = []
        do {
            for (offset, path) in settings.volumePaths.enumerated() {
                do throws(VolumeError) {
                    let volume = try DirectoryVolume.open(
                        path, fileSystem: environment.fileSystem, clock: environment.clock)
                    opened.append((offset + 1, handle(volume, environment)))
                } catch {
                    switch error {
                    case .missing, .empty, .fileSystem: volumes.note(offset + 1, reason: "\(error)")
                    default: throw error
                    }
                }
            }
            try checkIdentities(opened.map { ($0.place, $0.handle.volume) })
        } catch {
            for (_, handle) in opened {
                handle.finishLanes()
                (handle.volume as? DirectoryVolume)?.close()
            }
            throw error
        }
        return opened.map(\.handle)
    }

    /// Every volume is of one store, and given in its own place. The store is that of most volumes, so that the
    /// stranger is named and not the others.
    private static func checkIdentities(_ opened: [(place: Int, volume: any Volume)]) throws(VolumeError) {
        let counts = Dictionary(opened.map { ($0.volume.identity.storeID, 1) }, uniquingKeysWith: +)
        guard let most = counts.values.max(),
            let expected = opened.first(where: { counts[$0.volume.identity.storeID] == most })?.volume
                .identity
                .storeID
        else { return }
        for (place, volume) in opened {
            guard volume.identity.storeID == expected else {
                throw .foreignStore(path: volume.name, found: volume.identity.storeID, expected: expected)
            }
            guard volume.index == place else {
                throw .wrongIndex(path: volume.name, found: volume.index, expected: place)
            }
        }
    }

    /// The catalog as of the log's head. One that cannot be read, is of another store, or is ahead of the log
    /// is made anew.
    private static func openCatalog(
        _ settings: StoreSettings, _ storeID: StoreID, _ log: EventLog
    ) throws -> (Catalog, replayed: Int, flaw: String?) {
        let flaw: String
        switch try lookAtCatalog(settings, storeID, log) {
        case .usable(let catalog): return (catalog, try CatalogReplay.run(log: log, catalog: catalog), nil)
        case .flawed(let reason): flaw = reason
        }
        let path = settings.catalogPath
        let rebuilt = FileManager.default.fileExists(atPath: path)
        // The one there is goes only when there is another: a log with an event that no mirror has good any more gives
        // none, and then what the catalog has of it is all there is.
        if rebuilt { try moveCatalog(path, to: path + ".former") }
        do {
            let catalog = try Catalog(path: path, storeID: storeID, readers: settings.catalogReaders)
            let replayed = try CatalogReplay.run(log: log, catalog: catalog)
            try deleteCatalog(path + ".former")
            return (catalog, replayed, rebuilt ? flaw : nil)
        } catch {
            if rebuilt { try moveCatalog(path + ".former", to: path) }
            throw error
        }
    }

    private enum LookedAt {
        case usable(Catalog)
        /// It is closed by now: what SQLite removes beside it when it is, is its own.
        case flawed(String)
    }

    /// - Throws: what the log throws.
    private static func lookAtCatalog(
        _ settings: StoreSettings, _ storeID: StoreID, _ log: EventLog
    ) throws -> LookedAt {
        if settings.rebuildsCatalog { return .flawed("it was to be computed anew") }
        let catalog: Catalog
        let position: LogPosition
        do {
            catalog = try Catalog(
                path: settings.catalogPath, storeID: storeID, readers: settings.catalogReaders)
            position = try catalog.read { try $0.position() }
        } catch let error as CatalogError {
            return .flawed(error.flaw)
        } catch {
            return .flawed("it cannot be read: \(error)")
        }
        guard position.sequence <= log.head.sequence else {
            return .flawed("it has event \(position.sequence), and the log ends with \(log.head.sequence)")
        }
        guard try log.chainHash(at: position.sequence) == position.chain else {
            return .flawed("it is of another log: event \(position.sequence) is another one there")
        }
        return .usable(catalog)
    }

    /// The last event that the catalog has applied, which was part of the log for certain; zero if there is no catalog
    /// that can say so.
    private static func appliedThrough(_ settings: StoreSettings, _ storeID: StoreID) -> SequenceNumber {
        // One that cannot be read, or is of another store, is no witness; it is made anew from the log below.
        (try? Catalog.appliedThrough(path: settings.catalogPath, storeID: storeID)) ?? .zero
    }

    private static let catalogSuffixes = ["", "-wal", "-shm"]

    static func moveCatalog(_ path: String, to other: String) throws {
        try deleteCatalog(other)
        for suffix in catalogSuffixes where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: other + suffix)
        }
    }

    static func deleteCatalog(_ path: String) throws {
        for suffix in catalogSuffixes where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.removeItem(atPath: path + suffix)
        }
    }

    /// Whatever is in incoming/ was begun by a process that ended: a blob that the catalog knows is settled,
    /// any other was never published.
    /// - Parameter isBeingWritten: blobs of uploads that go on.
    /// - Returns: the blobs removed.
    static func clearIncoming(
        _ volume: any Volume, _ catalog: Catalog, except isBeingWritten: Set<BlobID> = []
    ) throws -> [BlobID] {
        var removed: [BlobID] = []
        for id in try volume.incoming().blobs where !isBeingWritten.contains(id) {
            if let row = try catalog.read({ try $0.blob(id) }) {
                // Where the name in blobs/ was lost, this may be the last replica there is: it stays to be found.
                let flaws = volume.verify(id, length: row.length, sha256: row.sha256, deep: false)
                if flaws == [.missing] {
                    _ = try volume.quarantine(
                        "incoming/\(id)", reason: "it has no name under blobs/ any more")
                } else {
                    try volume.keep(id)
                }
            } else {
                try volume.removeBlob(id)
                removed.append(id)
            }
        }
        return removed
    }
}
