import Digests
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// `volume.json` and blob files.
@Suite struct VolumeFormatTests {
    private static let identity = VolumeIdentity(
        storeID: EveryEvent.storeID,
        volumeID: VolumeID(high: 0x1111_1111_1111_1111, low: 0x2222_2222_2222_2222),
        index: 2, created: Timestamp(microseconds: 1_767_225_600_000_000))
    private static let blobs: [(file: GoldenFile, id: BlobID, length: Int)] = [
        (GoldenFile(name: "blob-of-one-block"), BlobID(high: 0x3FA9_0000_0000_0000, low: 1), 1003),
        (
            GoldenFile(name: "blob-of-three-blocks"), BlobID(high: 0x3FA9_0000_0000_0000, low: 2),
            2 * Limits.blockSize + 5
        ),
    ]

    static func data(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(count))
        return generator.bytes(count)
    }

    static func trailer(_ data: [UInt8], _ id: BlobID) -> BlobTrailer {
        var value = EventBlobDescriptor()
        value.storeID = Data(EveryEvent.storeID.bytes)
        value.blobID = Data(id.bytes)
        value.bucket = "photos"
        value.key = "2026/ölfaß.jpg"
        value.versionID = EveryEvent.id(0x21)
        value.partNumber = 3
        value.owner = "owner"
        value.metadata = EveryEvent.metadata
        value.length = UInt64(data.count)
        value.sha256 = Data(SHA256.hash(data))
        value.md5 = EveryEvent.id(0x5D)
        value.createdMicroseconds = 1_767_225_600_000_001
        value.ownerDisplayName = "Owner"
        value.checksums = [EveryEvent.checksum]
        value.encryption = EveryEvent.encryption
        value.keySalt = EveryEvent.id(0x5A)
        let checksums = stride(from: 0, to: data.count, by: Limits.blockSize).map {
            CRC32C.checksum(Array(data[$0..<min($0 + Limits.blockSize, data.count)]))
        }
        return BlobTrailer(
            length: UInt64(data.count), blockChecksums: checksums, sha256: SHA256.hash(data),
            descriptor: value)
    }

    @Test func aVolumesIdentityIsWrittenTheSameToTheByte() throws {
        let disk = SimulatedFileSystem()
        try DirectoryVolume.create(Self.identity, at: "/v", fileSystem: disk).close()
        try GoldenFile(name: "volume.json").expect(try disk.contents(of: "/v/volume.json"))
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func aVolumesIdentityIsRead() throws {
        let disk = SimulatedFileSystem()
        try disk.place(try GoldenFile(name: "volume.json").bytes(), at: "/v/volume.json")
        #expect(try DirectoryVolume.readIdentity("/v", fileSystem: disk) == Self.identity)
    }

    @Test func blobsAreWrittenTheSameToTheByte() throws {
        let disk = SimulatedFileSystem()
        let volume = try DirectoryVolume.create(Self.identity, at: "/v", fileSystem: disk)
        for (file, id, length) in Self.blobs {
            let data = Self.data(length)
            let page = FileSystemAlignment.bytes
            let buffer = AlignedBuffer(capacity: (length / page + 1) * page)
            buffer.bytes.copyBytes(from: data)
            let bytes = UnsafeRawBufferPointer(buffer.bytes)
            let whole = length / page * page
            let sink = try volume.beginBlob(id, expectedLength: UInt64(length), replacing: nil)
            if whole > 0 { try sink.append(UnsafeRawBufferPointer(rebasing: bytes[0..<whole])) }
            try sink.finish(
                tail: UnsafeRawBufferPointer(rebasing: bytes[whole..<length]), trailer: Self.trailer(data, id)
            )
            try file.expect(try disk.contents(of: "/v/" + volume.path(of: id)))
        }
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func blobsAreReadToTheSameBytesAndDescriptors() throws {
        let disk = SimulatedFileSystem()
        try disk.place(try GoldenFile(name: "volume.json").bytes(), at: "/v/volume.json")
        let volume = try DirectoryVolume.open("/v", fileSystem: disk)
        for (file, id, length) in Self.blobs {
            try disk.place(try file.bytes(), at: "/v/" + volume.path(of: id))
            let data = Self.data(length)
            let expected = Self.trailer(data, id)
            let info = try volume.info(of: id, length: nil)
            var descriptor = expected.descriptor
            descriptor.volume = 2
            #expect(info.id == id && info.length == UInt64(length))
            #expect(info.descriptor == descriptor)
            #expect(info.blockChecksums == expected.blockChecksums)
            #expect(info.sha256 == expected.sha256)
            let blocks = BlobFormat.blockCount(UInt64(length))
            let buffer = AlignedBuffer(capacity: blocks * Limits.blockSize)
            let count = try volume.readBlocks(
                id, length: UInt64(length), blocks: 0..<blocks, into: buffer.bytes)
            #expect(Array(buffer.bytes[0..<count]) == data)
            #expect(
                volume.verify(id, length: UInt64(length), sha256: expected.sha256, deep: true).isEmpty)
        }
    }
}
