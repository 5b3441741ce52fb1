import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// A directory that is not the volume it is taken for is refused, by name and with what to do.
@Suite struct VolumeIdentityTests {
    private let identity = BlobFixture.identity

    private func volume() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        try DirectoryVolume.create(identity, at: "/v", fileSystem: disk).close()
        return disk
    }

    @Test func everyRefusalNamesTheDirectoryAndWhatToDo() {
        let store = StoreID(high: 1, low: 1)
        let other = StoreID(high: 2, low: 2)
        let refusals: [(VolumeError, String)] = [
            (.missing(path: "/v"), "mount its disk"),
            (.empty(path: "/v"), "mount its disk"),
            (.notEmpty(path: "/v"), "needs an empty directory"),
            (.notAVolume(path: "/v", reason: "because"), "because"),
            (.unknownFormat(path: "/v", format: 7), "format 7; this Holdfast knows format 1"),
            (.foreignStore(path: "/v", found: other, expected: store), "check the volumes setting"),
            (.wrongIndex(path: "/v", found: 2, expected: 1), "check the order of the volumes setting"),
            (.inUse(path: "/v"), "stop the other, or check the volumes setting"),
        ]
        for (error, advice) in refusals {
            #expect("\(error)".contains("/v"))
            #expect("\(error)".contains(advice), "\(error)")
        }
    }

    @Test func aDirectoryGivenTwiceIsInUse() throws {
        let disk = try volume()
        let first = try DirectoryVolume.open("/v", fileSystem: disk)
        #expect(VolumeRefusal.of(disk) == .inUse(path: "/v"))
        first.close()
        #expect(VolumeRefusal.of(disk) == nil, "the lock ends with the volume")
    }

    @Test func aFileInTheVolumesPlaceIsNoVolume() throws {
        let disk = SimulatedFileSystem()
        try disk.place([1], at: "/v")
        #expect(VolumeRefusal.of(disk) == .notAVolume(path: "/v", reason: "it is not a directory"))
    }

    @Test func anEmptyFileSystemsOwnDirectoryIsNothing() throws {
        let disk = SimulatedFileSystem()
        try disk.createDirectories("/v/lost+found")
        #expect(VolumeRefusal.of(disk) == .empty(path: "/v"))
        try DirectoryVolume.create(identity, at: "/v", fileSystem: disk).close()
        #expect(VolumeRefusal.of(disk) == nil)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", #"{"format": "1"}"#, #"{"format": 1}"#,
        #"{"format": 1, "storeID": "x", "volumeID": "y", "index": 1, "createdMicroseconds": 1}"#,
        #"{"format": 1, "storeID": "00000000000000010000000000000002", "volumeID": "00000000000000030000000000000004", "index": 9, "createdMicroseconds": 1}"#,
    ])
    func aDamagedIdentityIsNoVolume(_ text: String) throws {
        let disk = try volume()
        try disk.place(Array(text.utf8), at: "/v/volume.json")
        guard case .notAVolume("/v", _) = VolumeRefusal.of(disk) else {
            Issue.record("'\(text)' is taken for an identity: \(String(describing: VolumeRefusal.of(disk)))")
            return
        }
    }

    @Test func anIdentityThatCannotBeReadIsSaidSo() throws {
        let disk = try volume()
        try disk.makeUnreadable("/v/volume.json", 0..<10)
        guard case .fileSystem(let error) = VolumeRefusal.of(disk) else {
            Issue.record("the disk fails")
            return
        }
        #expect(error.path == "/v/volume.json" && error.code == EIO)
    }

    @Test func aVolumeWhoseDiskIsUnmountedIsNotPresent() throws {
        let disk = try volume()
        let volume = try DirectoryVolume.open("/v", fileSystem: disk)
        #expect(volume.isPresent())
        let departure = volume.departure
        try disk.unmount("/v")
        #expect(!volume.isPresent())
        #expect(try !departure.wasEmptied(disk), "an empty mount point is another directory")
        try disk.mount("/v")
        #expect(volume.isPresent())
    }

    @Test func aVolumeThatWasEmptiedIsToldFromAnEmptyMountPoint() throws {
        let disk = try volume()
        let volume = try DirectoryVolume.open("/v", fileSystem: disk)
        let departure = volume.departure
        try disk.place([1], at: "/v/log/1")
        try disk.lose("/v/volume.json")
        #expect(try !departure.wasEmptied(disk), "there is a log still")
        try disk.lose("/v/log/1")
        #expect(try departure.wasEmptied(disk), "what is left has nothing in it")
        for name in ["log", "blobs", "incoming", "quarantine"] { try disk.removeDirectory("/v/\(name)") }
        #expect(try departure.wasEmptied(disk))
    }
}
