import Digests
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// A volume on a simulated file system, and blobs for it.
struct BlobFixture {
    static let identity = VolumeIdentity(
        storeID: StoreID(high: 1, low: 2), volumeID: VolumeID(high: 3, low: 4), index: 1,
        created: Timestamp(microseconds: 5))
    static let id = BlobID(high: 0x3FA9_0000_0000_0000, low: 7)

    let disk: SimulatedFileSystem
    let volume: DirectoryVolume

    init(_ disk: SimulatedFileSystem = SimulatedFileSystem()) throws {
        self.disk = disk
        volume = try DirectoryVolume.create(Self.identity, at: "/v", fileSystem: disk) {
            Timestamp(microseconds: 9)
        }
    }

    private init(disk: SimulatedFileSystem, volume: DirectoryVolume) {
        self.disk = disk
        self.volume = volume
    }

    /// The volume as it is found on another disk, after a crash say.
    static func found(on disk: SimulatedFileSystem) throws -> BlobFixture {
        BlobFixture(disk: disk, volume: try DirectoryVolume.open("/v", fileSystem: disk))
    }

    static func data(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: 11)
        return generator.bytes(count)
    }

    static func trailer(
        _ data: [UInt8], id: BlobID = id, storeID: StoreID = identity.storeID
    ) -> BlobTrailer {
        var descriptor = EventBlobDescriptor()
        descriptor.storeID = Data(storeID.bytes)
        descriptor.blobID = Data(id.bytes)
        descriptor.bucket = "bucket"
        descriptor.key = "key"
        descriptor.length = UInt64(data.count)
        descriptor.sha256 = Data(SHA256.hash(data))
        let checksums = stride(from: 0, to: data.count, by: Limits.blockSize).map {
            CRC32C.checksum(Array(data[$0..<min($0 + Limits.blockSize, data.count)]))
        }
        return BlobTrailer(
            length: UInt64(data.count), blockChecksums: checksums, sha256: SHA256.hash(data),
            descriptor: descriptor)
    }

    /// Writes a blob in two appends and a tail.
    func write(
        _ data: [UInt8], id: BlobID = id, storeID: StoreID = identity.storeID, replacing: String? = nil
    ) throws {
        let sink = try volume.beginBlob(id, expectedLength: UInt64(data.count), replacing: replacing)
        do {
            try Self.send(data, to: sink, id: id, storeID: storeID)
        } catch {
            try sink.abort()
            throw error
        }
    }

    static func write(_ data: [UInt8], to volume: DirectoryVolume) throws {
        try send(data, to: volume.beginBlob(id, expectedLength: UInt64(data.count), replacing: nil))
    }

    static func send(
        _ data: [UInt8], to sink: any BlobSink, id: BlobID = id, storeID: StoreID = identity.storeID
    ) throws {
        let page = FileSystemAlignment.bytes
        let buffer = AlignedBuffer(capacity: (data.count / page + 1) * page)
        buffer.bytes.copyBytes(from: data)
        let bytes = UnsafeRawBufferPointer(buffer.bytes)
        let half = data.count / 2 / page * page
        let whole = data.count / page * page
        if half > 0 { try sink.append(UnsafeRawBufferPointer(rebasing: bytes[0..<half])) }
        if whole > half { try sink.append(UnsafeRawBufferPointer(rebasing: bytes[half..<whole])) }
        try sink.finish(
            tail: UnsafeRawBufferPointer(rebasing: bytes[whole..<data.count]),
            trailer: Self.trailer(data, id: id, storeID: storeID))
    }

    var path: String { "/v/" + volume.path(of: Self.id) }

    func flaws(_ data: [UInt8], deep: Bool = true) -> [BlobFlaw] {
        volume.verify(Self.id, length: UInt64(data.count), sha256: SHA256.hash(data), deep: deep)
    }

    func read(_ data: [UInt8], blocks: Range<Int>) throws -> [UInt8] {
        let buffer = AlignedBuffer(capacity: blocks.count * Limits.blockSize)
        let count = try volume.readBlocks(
            Self.id, length: UInt64(data.count), blocks: blocks, into: buffer.bytes)
        return Array(buffer.bytes[0..<count])
    }

    /// Changes the footer and makes its checksum right again.
    func editFooter(_ body: (inout [UInt8]) -> Void) throws {
        let bytes = try disk.contents(of: path)
        var footer = Array(bytes.suffix(BlobFormat.footerByteCount))
        body(&footer)
        let sum = CRC32C.checksum(Array(footer[0..<124]))
        for index in 0..<4 { footer[124 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
        try disk.corrupt(path, at: UInt64(bytes.count - BlobFormat.footerByteCount), with: footer)
    }
}
