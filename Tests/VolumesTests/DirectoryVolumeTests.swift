import Digests
import Foundation
import Model
import TestSupport
import Testing
import Volumes

@Suite struct DirectoryVolumeTests {
    private let identity = VolumeIdentity(
        storeID: StoreID(high: 1, low: 2), volumeID: VolumeID(high: 3, low: 4), index: 1,
        created: Timestamp(microseconds: 5))

    @Test func aDirectoryThatIsNoVolumeIsRefusedByName() throws {
        let disk = SimulatedFileSystem()
        #expect(VolumeRefusal.of(disk) == .missing(path: "/v"))
        try disk.createDirectory("/v", permissions: 0o700)
        #expect(VolumeRefusal.of(disk) == .empty(path: "/v"))
        try disk.place([1, 2, 3], at: "/v/notes.txt")
        guard case .notAVolume(let path, _) = VolumeRefusal.of(disk) else {
            Issue.record("a directory without volume.json is no volume")
            return
        }
        #expect(path == "/v")
        #expect(throws: VolumeError.notEmpty(path: "/v")) {
            try DirectoryVolume.create(identity, at: "/v", fileSystem: disk)
        }
    }

    @Test func aFormatThatIsNotKnownIsRefusedByNumber() throws {
        let disk = SimulatedFileSystem()
        try DirectoryVolume.create(identity, at: "/v", fileSystem: disk).close()
        try disk.place(Array(#"{"format": 7, "shape": "round"}"#.utf8), at: "/v/volume.json")
        #expect(VolumeRefusal.of(disk) == .unknownFormat(path: "/v", format: 7))
    }

    @Test func aVolumeIsWhatItWasMadeAs() throws {
        let disk = SimulatedFileSystem()
        try DirectoryVolume.create(identity, at: "/v", fileSystem: disk).close()
        let volume = try DirectoryVolume.open("/v", fileSystem: disk)
        #expect(volume.identity == identity)
        #expect(VolumeRefusal.of(disk) == .inUse(path: "/v"))
        volume.close()
    }

    @Test func quarantineKeepsEverythingWithItsReason() throws {
        let disk = SimulatedFileSystem()
        let volume = try DirectoryVolume.create(identity, at: "/v", fileSystem: disk) {
            Timestamp(microseconds: 9)
        }
        for byte in UInt8(1)...2 {
            try disk.place([byte], at: "/v/incoming/strange")
            _ = try volume.quarantine("incoming/strange", reason: "reason \(byte)")
        }
        let files = try disk.paths(below: "/v/quarantine").filter { !$0.hasSuffix(".json") }
        #expect(Set(try files.map { try disk.contents(of: $0) }) == [[1], [2]])
        let notes = try disk.paths(below: "/v/quarantine").filter { $0.hasSuffix(".json") }
        let text = try notes.map { String(decoding: try disk.contents(of: $0), as: UTF8.self) }.joined()
        #expect(text.contains("reason 1") && text.contains("reason 2"))
        volume.close()
    }

    @Test func aBlobBeingWrittenLeavesNothingWhereItsDiskWas() throws {
        let disk = SimulatedFileSystem()
        let volume = try DirectoryVolume.create(identity, at: "/v", fileSystem: disk)
        let sink = try volume.beginBlob(BlobID(high: 5, low: 6), expectedLength: nil, replacing: nil)
        try disk.unmount("/v")
        let bytes: [UInt8] = [1, 2, 3]
        let trailer = BlobTrailer(
            length: 3, blockChecksums: [CRC32C.checksum(bytes)], sha256: SHA256.hash(bytes),
            descriptor: EventBlobDescriptor())
        #expect(throws: (any Error).self) {
            try bytes.withUnsafeBytes { try sink.finish(tail: $0, trailer: trailer) }
        }
        #expect(try disk.list("/v").isEmpty)
        volume.close()
    }

    @Test func creatingAVolumeThatTheMachineDiesInLeavesNoHalfVolume() throws {
        var points = 0
        for point in 1... {
            let disk = SimulatedFileSystem()
            disk.crash(atOperation: point)
            let isMade = (try? DirectoryVolume.create(identity, at: "/v", fileSystem: disk)) != nil
            points += 1
            let found = disk.recovered(seed: UInt64(point))
            if isMade {
                #expect(try DirectoryVolume.open("/v", fileSystem: found).identity == identity)
                break
            }
            if let volume = try? DirectoryVolume.open("/v", fileSystem: found) {
                #expect(volume.identity == identity)
                #expect(try volume.incoming().blobs.isEmpty)
            }
        }
        #expect(points > 5)
    }
}
