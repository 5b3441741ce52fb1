import Foundation
import Model
import Volumes

/// What a store is made of and how it behaves.
public struct StoreSettings: Sendable {
    /// Where the catalog and the socket are.
    public var stateDirectory: String
    /// The volumes, in the order of their indexes.
    public var volumePaths: [String]
    /// A disk that does not answer for so long is set aside.
    public var operationDeadline: Duration = .seconds(10)
    /// How long what was overwritten or deleted for good is kept before its space is reclaimed.
    public var historySeconds: UInt64 = 7 * 86_400
    /// How fast a volume that was away is filled; `nil` for as fast as the disks are.
    public var refillBytesPerSecond: UInt64?
    public var healing = HealingSettings()
    /// Objects up to this size stand in the log.
    public var inlineByteCount = Limits.inlineByteCount
    public var segmentByteCount = Limits.segmentByteCount
    /// Whether the catalog is computed from the log even if there is one.
    public var rebuildsCatalog = false
    /// An operator's word that the log may be cut behind this event though it went on: see ``LogSettings/cutsAfter``.
    public var cutsLogAfter: SequenceNumber?
    /// An event that is known to be part of the log: see ``LogSettings/provenThrough``. The catalog may know of later ones.
    var logProvenThrough = SequenceNumber.zero
    /// Buffers of 1 MiB that all large uploads share.
    public var uploadBufferCount = 64
    /// Memory for payloads that are read again and again; 0 for none.
    public var payloadCacheByteCount = 0
    /// Connections that read the catalog.
    public var catalogReaders = 6

    public init(stateDirectory: String, volumePaths: [String]) {
        self.stateDirectory = stateDirectory
        self.volumePaths = volumePaths
    }

    public var catalogPath: String { stateDirectory + "/catalog.sqlite" }
    /// In the state directory: the catalog as the last check computed it, and found it to be.
    package static let checkedCatalogName = "checked.sqlite"
    /// What the name of a catalog begins with that a check is computing.
    package static let checkingCatalogPrefix = "check-"
}

/// What a store stands on: replaced in simulations.
public struct StoreEnvironment: Sendable {
    public var fileSystem: any FileSystem
    public var clock: @Sendable () -> Timestamp
    public var makeLane: @Sendable (LaneShape) -> any Lane
    /// Lets the calling thread wait for so many seconds.
    public var sleep: @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }

    public init(
        fileSystem: any FileSystem, clock: @escaping @Sendable () -> Timestamp,
        makeLane: @escaping @Sendable (LaneShape) -> any Lane
    ) {
        self.fileSystem = fileSystem
        self.clock = clock
        self.makeLane = makeLane
    }

    /// The machine's file system, clock and threads.
    public static let real = StoreEnvironment(
        fileSystem: RealFileSystem(), clock: { .now() },
        makeLane: { ThreadLane($0) })
}
