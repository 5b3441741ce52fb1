import Catalog
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// A store that is open: volumes, ledger, threads.
final class Engine: Sendable {
    let storeID: StoreID
    let settings: StoreSettings
    let environment: StoreEnvironment
    let volumes: VolumeSet
    let ledger: EmbeddedLedger
    let watch: OperationWatch
    let uploadBuffers: BufferPool
    let readBuffers: BufferPool
    /// For copying blobs between volumes within a request.
    let background: any Lane
    /// For writing damaged replicas anew, one after the other.
    let repairs: any Lane
    private let digestPairs: [(any Lane, any Lane)]
    private let nextPair = Atomic<Int>(0)
    /// Blobs that uploads of this process are writing: their files are no leftovers.
    let blobsBeingWritten = Mutex<Set<BlobID>>([])
    /// Blobs that ``ReplicaImport`` is writing anew, which nobody else may meanwhile. Written on the repairs' lane.
    let blobsBeingImported = Mutex<Set<BlobID>>([])
    let readPins = ReadPins()
    let deadPayloads = DeadPayloads()
    /// `nil` if nothing is kept in memory.
    let payloadCache: PayloadCache?
    /// How far uploads are confirmed, and which versions are not as they should be.
    let board = IntegrityBoard()
    let rescue = ReadRescue()
    let counts = IntegrityCounts()
    let refills: Refills
    let returns: VolumeReturns
    let repairAllowance: RepairAllowance
    private let damage = Mutex<(@Sendable (BlobID, Int, BlobFlaw) -> Void)?>(nil)
    private let undecipherable = Mutex<(@Sendable (ObjectVersion, String) -> Void)?>(nil)

    init(
        storeID: StoreID, settings: StoreSettings, environment: StoreEnvironment, volumes: VolumeSet,
        log: EventLog, catalog: Catalog
    ) {
        self.storeID = storeID
        self.settings = settings
        self.environment = environment
        self.volumes = volumes
        watch = OperationWatch(limit: settings.operationDeadline)
        uploadBuffers = BufferPool(bufferSize: 1024 * 1024, limit: settings.uploadBufferCount)
        readBuffers = BufferPool(bufferSize: 1024 * 1024, limit: 32)
        refills = Refills(
            bytesPerSecond: settings.refillBytesPerSecond, clock: environment.clock, sleep: environment.sleep)
        returns = VolumeReturns(settings.healing, clock: environment.clock)
        repairAllowance = RepairAllowance(settings.healing, clock: environment.clock)
        background = environment.makeLane(LaneShape("background", capacity: 256))
        repairs = environment.makeLane(LaneShape("repairs", capacity: 256))
        let cores = max(2, ProcessInfo.processInfo.activeProcessorCount)
        // A queue holds every buffer of the pool, so that it is never full.
        let capacity = settings.uploadBufferCount + 1
        digestPairs = (0..<cores / 2).map { number in
            (
                environment.makeLane(LaneShape("md5-\(number)", capacity: capacity)),
                environment.makeLane(LaneShape("sha256-\(number)", capacity: capacity))
            )
        }
        payloadCache =
            settings.payloadCacheByteCount > 0
            ? PayloadCache(byteLimit: settings.payloadCacheByteCount) : nil
        ledger = EmbeddedLedger(
            log: log, catalog: catalog, volumes: volumes,
            lane: environment.makeLane(LaneShape("commit", capacity: 4)),
            cache: payloadCache)
    }

    var clock: @Sendable () -> Timestamp { environment.clock }

    func digestLanes() -> (any Lane, any Lane) {
        let number = nextPair.add(1, ordering: .relaxed).newValue
        return digestPairs[number % digestPairs.count]
    }

    /// Blobs whose files in `incoming/` are no leftovers.
    var blobsUnderWay: Set<BlobID> {
        blobsBeingWritten.withLock { $0 }.union(blobsBeingImported.withLock { $0 })
    }

    /// - Throws: ``StoreError/busy(_:)``.
    func refuseIfImported(_ id: BlobID) throws {
        guard blobsBeingImported.withLock({ $0.contains(id) }) else { return }
        throw StoreError.busy("a restore is bringing blob \(id)")
    }

    /// Told of each replica that a read found damaged.
    func onDamage(_ body: @escaping @Sendable (BlobID, Int, BlobFlaw) -> Void) {
        damage.withLock { $0 = body }
    }

    func report(_ id: BlobID, volume: Int, _ flaw: BlobFlaw) {
        counts.damagedRead(volume)
        damage.withLock { $0 }?(id, volume, flaw)
    }

    /// Told of each version whose bytes a read could not decipher on any volume, with the evidence.
    func onUndecipherable(_ body: @escaping @Sendable (ObjectVersion, String) -> Void) {
        undecipherable.withLock { $0 = body }
    }

    func reportUndecipherable(_ version: ObjectVersion, _ evidence: String) {
        undecipherable.withLock { $0 }?(version, evidence)
    }

    /// Volumes in service, the one that a blob's reads go to first at the front: a third of the blobs each.
    func readOrder(_ id: BlobID) -> [VolumeHandle] {
        let handles = volumes.inService
        guard handles.count > 1 else { return handles }
        let first = Int(id.low % UInt64(handles.count))
        return Array(handles[first...] + handles[..<first])
    }

    /// A volume that left service leaves the log too, and an event says so.
    func followVolumes() {
        volumes.onSetAside { [weak self] index, reason in
            guard let self else { return }
            _ = ledger.exclude { [ledger, volumes] in
                // It may have come back before the commit thread gets here.
                if volumes.handle(index) == nil { ledger.log.takeOutOfService(index) }
            }
            var change = EventVolumeSetAside()
            change.volume = UInt32(index)
            change.reason = reason
            let event = change
            ledger.propose(
                Proposal(actor: .holdfast) { _ in .append(.volumeSetAside(event)) { _, _ in } }
            ) { _ in }  // without a quorum there is nowhere to say it; the standing of the volume says it too
        }
    }

    /// Runs `body` on the commit thread, with nothing staged, and waits for it.
    func onCommitThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        let outcome = ExclusionOutcome<Value>()
        let accepted = ledger.exclude { outcome.set(Result(catching: body)) }
        guard accepted else { throw StoreError.busy("the commit queue is full") }
        return try outcome.wait().get()
    }

    /// Appends the event that says that an epoch of the log has begun.
    func announceEpoch(
        _ number: UInt64, completion: @escaping @Sendable (Result<Committed<Void>, any Error>) -> Void
    ) {
        var change = EventEpochOpened()
        change.epoch = number
        change.storeID = Data(storeID.bytes)
        change.software = Release.name
        change.volumes = volumes.inService.map { UInt32($0.index) }
        let event = change
        ledger.propose(
            Proposal(actor: .holdfast) { _ in .append(.epochOpened(event)) { _, _ in } },
            completion: completion)
    }

    func close() {
        ledger.close()
        for handle in volumes.inService {
            handle.finishLanes()
            (handle.volume as? DirectoryVolume)?.close()
        }
        background.finish()
        repairs.finish()
        for pair in digestPairs {
            pair.0.finish()
            pair.1.finish()
        }
    }
}

/// Carries what a body came to from the commit thread to the thread that waits.
private final class ExclusionOutcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    func set(_ value: Result<Value, any Error>) {
        result.withLock { $0 = value }
        done.signal()
    }

    func wait() -> Result<Value, any Error> {
        done.wait()
        guard let value = result.withLock({ $0 }) else { preconditionFailure("the exclusion ran") }
        return value
    }
}
