import Model

/// What a volume is: read from it when it is opened, and the same for as long as it lives.
public struct VolumeIdentity: Sendable, Equatable {
    public let storeID: StoreID
    public let volumeID: VolumeID
    /// 1, 2 or 3; 0 for a repository, which is in no store's set of volumes.
    public let index: Int
    public let created: Timestamp

    public init(storeID: StoreID, volumeID: VolumeID, index: Int, created: Timestamp) {
        self.storeID = storeID
        self.volumeID = volumeID
        self.index = index
        self.created = created
    }
}

/// A blob being written to one volume. Calls come one at a time.
public protocol BlobSink: AnyObject, Sendable {
    /// Appends at an aligned address a multiple of ``FileSystemAlignment/bytes``.
    func append(_ bytes: UnsafeRawBufferPointer) throws
    /// Appends the rest of the data, of any count, and the trailer. When it returns, the blob is durable
    /// under its name; the name in `incoming/` stays until ``Volume/settle(_:)``.
    func finish(tail: UnsafeRawBufferPointer, trailer: BlobTrailer) throws

    // The steps of it, for who finishes many blobs at once: their syncs then share what each costs alone.

    /// Appends the rest and the trailer. Nothing is durable yet, and the blob has no name but that in `incoming/`.
    func complete(tail: UnsafeRawBufferPointer, trailer: BlobTrailer) throws
    /// Makes the complete file durable.
    func sync() throws
    /// Reads what ``link()`` is to set aside, for the note that goes with it: else that does, which then takes as long as
    /// the file is. For who may not keep others waiting meanwhile.
    func examineDisplaced() throws
    /// Gives the blob its name, which is durable once ``Volume/syncName(of:)`` returns. Before it, the file was synced,
    /// and then ``Volume/syncIncoming()`` called.
    func link() throws
    /// Removes all that was written, also after ``link()``.
    func abort() throws
    /// Where the replica that stood under the name before went, relative to the volume; `nil` if none did.
    var displaced: String? { get }
}

/// What a listing of a volume's blobs meets.
public enum BlobListItem: Sendable, Equatable {
    case blob(BlobID)
    /// Something that the store did not put there, by its path relative to the volume.
    case foreign(String)
}

/// How much of a replica is read to verify it.
public enum VerificationDepth: Sendable {
    /// Presence and trailer.
    case trailer
    /// Also every byte, against the CRC32C of its block. What a device made of bytes that were digested on their
    /// way to it shows here, at a twentieth of the cost of another digest.
    case blocks
    /// Also the whole, against its SHA-256.
    case whole
}

/// Where replicas are kept. The embedded one is a directory; nothing above may assume so.
///
/// All calls may wait for a device; any thread may make them, different blobs at once.
public protocol Volume: Sendable {
    var identity: VolumeIdentity { get }
    /// For messages: the directory's path.
    var name: String { get }

    /// Begins a blob.
    /// - Parameter replacing: the reason for which a replica that is there already goes to quarantine when
    ///   the new one is complete;
    ///   without one, it is an error that it is there.
    func beginBlob(_ id: BlobID, expectedLength: UInt64?, replacing: String?) throws -> any BlobSink
    /// Makes the names in `incoming/` durable.
    func syncIncoming() throws
    /// Makes the name of a blob durable.
    func syncName(of id: BlobID) throws
    /// The blob's event is in the log: the name in `incoming/` goes. Not synced: a name that a crash brings
    /// back names a blob that the catalog knows.
    func settle(_ id: BlobID) throws
    /// What an earlier attempt at writing the blob left turns out to be published: as ``settle(_:)``, once the name in
    /// `blobs/`, if it is there, is durable. The attempt may have failed between giving that name and syncing it.
    func keep(_ id: BlobID) throws
    /// Blobs that were begun and not settled; and what else is in `incoming/`, by name.
    func incoming() throws -> (blobs: [BlobID], foreign: [String])
    /// Removes a blob, settled or not, durably. Removing what is not there is no error, and makes durable what an
    /// earlier attempt removed.
    func removeBlob(_ id: BlobID) throws

    /// Reads whole blocks and checks each against the block table.
    /// - Returns: the number of bytes, which the last block of a blob may make smaller than the blocks.
    /// - Throws: ``BlobFlaw``.
    func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobFlaw) -> Int
    /// As ``readBlocks(_:length:blocks:into:)``, but only if nothing has to wait for a device; else `nil`.
    func readBlocksIfCached(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobFlaw) -> Int?
    /// What the replica's trailer says, verified.
    func info(of id: BlobID, length: UInt64?) throws(BlobFlaw) -> BlobInfo
    /// What the trailer of a file says, verified, whichever blob or store it is of; by its path relative to the
    /// volume.
    func identify(_ relativePath: String) throws(BlobFlaw) -> BlobInfo
    /// Every flaw that shows. None if the replica is good as far as `depth` goes.
    func verify(_ id: BlobID, length: UInt64, sha256: [UInt8], depth: VerificationDepth) -> [BlobFlaw]
    /// Opens a replica whose trailer is that of the blob, to read all of it.
    /// - Parameter mayBeCached: whether what is in memory is as good as what the device has.
    /// - Throws: the ``BlobFlaw`` that shows already.
    func openReplica(
        _ id: BlobID, length: UInt64, sha256: [UInt8], mayBeCached: Bool
    ) throws(BlobFlaw) -> OpenReplica
    /// What stands among the blobs, those whose ids lie behind one and up to another; without them, from the first and to
    /// the last. A file that is no blob's is told of once in listings that follow one another.
    func listBlobs(after: BlobID?, through last: BlobID?) throws -> [BlobListItem]
    /// The path of a blob's file, relative to the volume.
    func path(of id: BlobID) -> String

    /// Moves a file out of the way, with a note beside it of where it was, why it went, its size and its SHA-256;
    /// returns its new path, relative to the volume.
    func quarantine(_ relativePath: String, reason: String) throws -> String
    /// What the note beside a file in quarantine says; by the file's path relative to the volume.
    /// - Throws: ``PutBackRefusal``.
    func quarantineNote(_ place: String) throws -> QuarantineNote
    /// Moves a file from quarantine back to where it was.
    /// - Parameter displacing: the reason for which what stands there now goes to quarantine itself; without one, it
    ///   is refused if something does.
    /// - Returns: where that went, relative to the volume.
    /// - Throws: ``PutBackRefusal`` if the file is gone, or is not what was set aside.
    func putBack(_ place: String, displacing reason: String?) throws -> String?
    /// Files in quarantine that are, or were taken for, replicas of a blob; by their paths relative to the volume.
    func quarantined(_ id: BlobID) throws -> [String]
    /// Whatever may hold bytes of a blob here, quarantine included: nothing of it is verified.
    func rawReplicas(of id: BlobID, length: UInt64) -> [RawReplica]
    /// Whether the volume is still the one that was opened.
    func isPresent() -> Bool
    func space() throws -> (free: UInt64, total: UInt64)
}

extension Volume {
    /// Makes a complete blob durable, with its name. The name in `incoming/` stays until ``settle(_:)``.
    public func publish(_ sink: any BlobSink, as id: BlobID) throws {
        try sink.sync()
        try syncIncoming()
        try sink.link()
        try syncName(of: id)
    }

    /// - Parameter deep: everything, and not only presence and trailer.
    public func verify(_ id: BlobID, length: UInt64, sha256: [UInt8], deep: Bool) -> [BlobFlaw] {
        verify(id, length: length, sha256: sha256, depth: deep ? .whole : .trailer)
    }

    /// Whether a file stands under a blob's name, whatever is in it.
    public func hasFile(of id: BlobID) throws -> Bool {
        let before = id.low > 0 ? BlobID(high: id.high, low: id.low - 1) : nil
        return try listBlobs(after: before, through: id).contains(.blob(id))
    }

    /// The blobs whose ids begin with a byte.
    public func listBlobs(firstByte: UInt8) throws -> [BlobListItem] {
        let low = UInt64(firstByte) << 56
        return try listBlobs(
            after: low == 0 ? nil : BlobID(high: low - 1, low: .max),
            through: BlobID(high: low | (1 << 56 - 1), low: .max))
    }

    public var index: Int { identity.index }
}
