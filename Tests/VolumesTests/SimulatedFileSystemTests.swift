import Foundation
import Synchronization
import TestSupport
import Testing
import Volumes

/// What the crash tests lean on.
@Suite struct SimulatedFileSystemTests {
    let fileSystem = SimulatedFileSystem()

    func write(_ file: any File, _ bytes: [UInt8], at offset: UInt64 = 0) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
    }

    func create(_ path: String, in fileSystem: SimulatedFileSystem? = nil) throws -> any File {
        try (fileSystem ?? self.fileSystem).open(path, [.createNew, .write], permissions: 0o644)
    }

    /// What a crash can leave of a file: its contents over many seeds.
    func outcomes(_ path: String, in fileSystem: SimulatedFileSystem? = nil) throws -> Set<[UInt8]?> {
        var found: Set<[UInt8]?> = []
        for seed in 0..<200 as Range<UInt64> {
            let recovered = (fileSystem ?? self.fileSystem).recovered(seed: seed)
            found.insert(try recovered.status(of: path) == nil ? nil : try recovered.contents(of: path))
        }
        return found
    }

    @Test func aNameIsDurableOnlyOnceItsDirectoryWasSynced() throws {
        let file = try create("/f")
        try write(file, [1, 2, 3])
        try file.sync()
        #expect(try outcomes("/f") == [nil, [1, 2, 3]])
        try fileSystem.syncDirectory("/")
        #expect(try outcomes("/f") == [[1, 2, 3]])
    }

    @Test func dataIsDurableOnlyOnceItsFileWasSynced() throws {
        let file = try create("/f")
        try fileSystem.syncDirectory("/")
        try write(file, [1, 2, 3])
        #expect(try outcomes("/f") == [[], [1, 2, 3], [0, 0, 0]])
        try file.sync()
        try write(file, [9], at: 1)
        #expect(try outcomes("/f") == [[1, 2, 3], [1, 9, 3]])
    }

    @Test func aWriteIsTornBetweenSectors() throws {
        let file = try create("/f")
        try fileSystem.syncDirectory("/")
        try write(file, [UInt8](repeating: 1, count: 4096))
        try file.sync()
        try write(file, [UInt8](repeating: 2, count: 4096))
        let found = try outcomes("/f").compactMap { $0 }
        #expect(found.contains { Set($0) == [1] } && found.contains { Set($0) == [2] })
        #expect(found.contains { Set($0) == [1, 2] }, "some are torn")
        for bytes in found {
            for sector in stride(from: 0, to: 4096, by: 512) {
                #expect(Set(bytes[sector..<sector + 512]).count == 1, "a sector is old or new")
            }
        }
    }

    @Test func aRenameIsNeverHalfDone() throws {
        try fileSystem.place([1], at: "/a/old")
        try fileSystem.place([2], at: "/b/new")
        try fileSystem.rename("/a/old", to: "/b/new")
        var seen: Set<[Bool]> = []
        for seed in 0..<200 as Range<UInt64> {
            let recovered = fileSystem.recovered(seed: seed)
            let isOld = try recovered.status(of: "/a/old") != nil
            #expect(try recovered.contents(of: "/b/new") == (isOld ? [2] : [1]))
            seen.insert([isOld])
        }
        #expect(seen.count == 2)
        try fileSystem.syncDirectory("/b")
        #expect(try outcomes("/b/new") == [[1]])
        #expect(try outcomes("/a/old") == [nil])
    }

    @Test func whatIsBelowALostDirectoryIsLost() throws {
        try fileSystem.createDirectory("/d", permissions: 0o755)
        let file = try create("/d/f")
        try write(file, [1])
        try file.sync()
        try fileSystem.syncDirectory("/d")
        #expect(try outcomes("/d/f") == [nil, [1]])
        try fileSystem.syncDirectory("/")
        #expect(try outcomes("/d/f") == [[1]])
    }

    @Test func namesOfOneDirectoryAreLostIndependently() throws {
        for name in ["/x", "/y"] { try create(name).sync() }
        var seen: Set<[Bool]> = []
        for seed in 0..<200 as Range<UInt64> {
            let recovered = fileSystem.recovered(seed: seed)
            seen.insert([try recovered.status(of: "/x") != nil, try recovered.status(of: "/y") != nil])
        }
        #expect(seen.count == 4)
    }

    @Test func aFailedSyncLosesTheDataThoughALaterOneSucceeds() throws {
        let file = try create("/f")
        try fileSystem.syncDirectory("/")
        try write(file, [1])
        try file.sync()
        try write(file, [2])
        fileSystem.inject(Fault(.loseSync(EIO), on: [.sync]) { $0 == "/f" })
        #expect(throws: FileSystemError.self) { try file.sync() }
        try file.sync()
        #expect(try fileSystem.contents(of: "/f") == [2], "memory still shows it")
        #expect(try outcomes("/f") == [[1]])
        try file.dropCache()
        #expect(try fileSystem.contents(of: "/f") == [1])
    }

    @Test func theMachineDiesAtTheOperationAskedFor() throws {
        let file = try create("/f")
        fileSystem.crash(atOperation: 2)
        try write(file, [1])
        #expect(throws: FileSystemError.self) { try file.sync() }
        #expect(fileSystem.hasCrashed)
        #expect(throws: FileSystemError.self) { try fileSystem.list("/") }
        #expect(throws: FileSystemError.self) { try write(file, [1]) }
        #expect(try fileSystem.recovered(seed: 1).list("/") == ["f"])
    }

    @Test func theSameSeedFindsTheSameDisk() throws {
        for name in ["/a", "/b", "/c"] { try write(create(name), [UInt8](repeating: 5, count: 20_000)) }
        for seed in 0..<20 as Range<UInt64> {
            let (first, second) = (fileSystem.recovered(seed: seed), fileSystem.recovered(seed: seed))
            #expect(try first.paths() == second.paths())
            for path in try first.paths() {
                #expect(try first.contents(of: path) == second.contents(of: path))
            }
        }
    }

    @Test func aCloneGoesItsOwnWay() throws {
        let file = try create("/f")
        try write(file, [1])
        let clone = fileSystem.clone()
        try write(file, [2])
        let other = try clone.open("/f", [.write], permissions: 0)
        try write(other, [3])
        #expect(try fileSystem.contents(of: "/f") == [2])
        #expect(try clone.contents(of: "/f") == [3])
    }

    @Test func faultsStrikeTheCallsTheyAreMadeFor() throws {
        let file = try create("/f")
        fileSystem.inject(Fault(.fail(ENOSPC), on: [.write], skip: 1) { $0 == "/f" })
        try write(file, [1])
        #expect(throws: FileSystemError.self) { try write(file, [2]) }
        try write(file, [3])
        fileSystem.inject(Fault(.shortWrite(512, EIO), on: [.write]))
        #expect(throws: FileSystemError.self) { try write(file, [UInt8](repeating: 4, count: 1000)) }
        #expect(try fileSystem.contents(of: "/f") == [UInt8](repeating: 4, count: 512))
        fileSystem.inject(Fault(.shortRead(10), on: [.read]))
        var bytes = [UInt8](repeating: 0, count: 512)
        #expect(try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) } == 10)
        let readOnly = fileSystem.inject(
            Fault(.fail(EROFS), on: Set(SimulatedOperation.allCases), times: nil))
        #expect(throws: FileSystemError.self) { try fileSystem.remove("/f") }
        #expect(throws: FileSystemError.self) { try write(file, [1]) }
        fileSystem.removeFault(readOnly)
        try fileSystem.remove("/f")
    }

    @Test func aStalledCallWaitsForItsRelease() throws {
        let file = try create("/f")
        let stall = Stall()
        fileSystem.inject(Fault(.stall(stall), on: [.sync]))
        let lane = ThreadLane(LaneShape("disk", capacity: 4))
        let result = Mutex<Result<Void, any Error>?>(nil)
        #expect(
            lane.submit {
                let outcome = Result { try file.sync() }; result.withLock { $0 = outcome }
            })
        stall.waitUntilReached()
        #expect(lane.depth == 1)
        try write(file, [1])
        stall.release()
        lane.finish()
        #expect(throws: Never.self) { try result.withLock { $0 }?.get() }
    }

    @Test func spaceIsLimited() throws {
        fileSystem.setCapacity(8192)
        let file = try create("/f")
        try write(file, [UInt8](repeating: 1, count: 5000))
        #expect(try fileSystem.space(at: "/").free == 0)
        #expect(throws: FileSystemError.self) { try write(file, [1], at: 8192) }
        #expect(throws: FileSystemError.self) { try file.allocate(size: 9000) }
        try fileSystem.remove("/f")
        #expect(try fileSystem.space(at: "/").free == 8192)
    }

    @Test func directFilesRefuseWhatIsNotAligned() throws {
        let file = try fileSystem.open("/f", [.createNew, .write, .direct], permissions: 0o644)
        let buffer = AlignedBuffer(capacity: 8192)
        try file.write(UnsafeRawBufferPointer(buffer.bytes), at: 4096)
        #expect(throws: FileSystemError.self) {
            try file.write(UnsafeRawBufferPointer(buffer.bytes), at: 512)
        }
        #expect(throws: FileSystemError.self) {
            try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[0..<512]), at: 0)
        }
        #expect(throws: FileSystemError.self) {
            try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[8..<4104]), at: 0)
        }
    }

    @Test func aTruncatedFileIsFoundLongOrShort() throws {
        try fileSystem.place([UInt8](repeating: 7, count: 10_000), at: "/f")
        let file = try fileSystem.open("/f", [.write], permissions: 0)
        try file.truncate(to: 100)
        let sizes = Set(try outcomes("/f").map { $0?.count })
        #expect(sizes.contains(100) && sizes.contains(10_000))
        try file.sync()
        #expect(try outcomes("/f") == [[UInt8](repeating: 7, count: 100)])
        try file.truncate(to: 8000)
        try file.sync()
        #expect(
            try outcomes("/f") == [[UInt8](repeating: 7, count: 100) + [UInt8](repeating: 0, count: 7900)])
    }
}
