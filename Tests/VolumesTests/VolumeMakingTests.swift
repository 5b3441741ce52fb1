import Model
import TestSupport
import Testing
import Volumes

/// Making a directory a volume, wherever that ends, and whatever it finds there.
@Suite struct VolumeMakingTests {
    private let identity = BlobFixture.identity

    private func make(_ disk: SimulatedFileSystem) throws {
        try DirectoryVolume.create(identity, at: "/v", fileSystem: disk).close()
    }

    /// A directory in which making a volume was cut off before there was a file.
    private func begun() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem()
        for name in ["log", "blobs", "incoming", "quarantine", "lost+found"] {
            try disk.createDirectories("/v/" + name)
        }
        return disk
    }

    @Test func whereverMakingAVolumeIsCutOffItIsWholeOrDoneAgain() throws {
        var point = 1
        while true {
            let disk = SimulatedFileSystem()
            disk.crash(atOperation: point)
            do {
                try make(disk)
                break
            } catch {}  // cut off, which is what this is about
            // As a process leaves it that is killed, and as machines find it that lost their power.
            let survivors = [disk.clone()] + (1...4).map { disk.recovered(seed: $0) }
            for survivor in survivors {
                switch VolumeRefusal.of(survivor) {
                case nil: break
                case .missing, .empty: try make(survivor)
                case let error?: Issue.record("after operation \(point): \(error)")
                }
                let found = try DirectoryVolume.readIdentity("/v", fileSystem: survivor)
                #expect(found == identity, "after operation \(point)")
                for name in ["log", "blobs", "incoming", "quarantine"] {
                    let kind = try survivor.status(of: "/v/" + name)?.kind
                    #expect(kind == .directory, "after operation \(point)")
                }
            }
            point += 1
        }
        #expect(point > 10)
    }

    @Test func whatIsLeftOfMakingAVolumeIsEmptyAndMadeOneAgain() throws {
        let disk = try begun()
        #expect(VolumeRefusal.of(disk) == .empty(path: "/v"))
        try disk.place([UInt8](repeating: 7, count: 5000), at: "/v/volume.json.new")
        #expect(VolumeRefusal.of(disk) == .empty(path: "/v"))
        try make(disk)
        #expect(VolumeRefusal.of(disk) == nil)
        #expect(try DirectoryVolume.readIdentity("/v", fileSystem: disk) == identity)
        #expect(try disk.status(of: "/v/volume.json.new") == nil)
    }

    @Test(arguments: [
        "log/00000000000000000001.log", "blobs/3f/a9/x", "incoming/x", "quarantine/x", "snapshots/one.json",
        "notes.txt", "volume.json.new/x",
    ])
    func aDirectoryWithAnythingElseInItIsRefusedByNameAndLeftAsItIs(_ path: String) throws {
        let disk = try begun()
        try disk.place([1], at: "/v/" + path)
        guard case .notAVolume("/v", _) = VolumeRefusal.of(disk) else {
            Issue.record(
                "\(path) is no part of an empty volume: \(String(describing: VolumeRefusal.of(disk)))")
            return
        }
        let before = try disk.paths(below: "/v")
        #expect(throws: VolumeError.notEmpty(path: "/v")) { try make(disk) }
        #expect(try disk.paths(below: "/v") == before)
        #expect(try disk.contents(of: "/v/" + path) == [1])
    }

    @Test func aFileWhereAVolumeHasADirectoryIsRefused() throws {
        let disk = SimulatedFileSystem()
        try disk.place([], at: "/v/log")
        #expect(throws: VolumeError.notEmpty(path: "/v")) { try make(disk) }
    }

    @Test func ofTwoThatMakeOneVolumeAtOnceOneIsRefused() throws {
        let disk = SimulatedFileSystem()
        try disk.createDirectory("/v", permissions: 0o700)
        let other = try #require(try disk.lock("/v/volume.json.new"))
        #expect(throws: VolumeError.inUse(path: "/v")) { try make(disk) }
        other.close()
        let volume = try DirectoryVolume.create(identity, at: "/v", fileSystem: disk)
        #expect(VolumeRefusal.of(disk) == .inUse(path: "/v"), "whoever has made it has it")
        #expect(volume.isPresent())
        #expect(throws: VolumeError.notEmpty(path: "/v")) { try make(disk) }
        volume.close()
        #expect(VolumeRefusal.of(disk) == nil)
    }
}
