import Digests
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// Blobs between `incoming/` and `blobs/`: settled, aborted, refused by a full disk, cut off by a crash.
@Suite struct BlobWritingTests {
    private let data = BlobFixture.data(150_000)

    private func files(_ disk: SimulatedFileSystem) throws -> [String] {
        try disk.files(below: "/v").filter { $0 != "/v/volume.json" }
    }

    @Test func theNameInIncomingStaysUntilTheBlobIsSettled() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        #expect(try fixture.volume.incoming().blobs == [BlobFixture.id])
        try fixture.volume.settle(BlobFixture.id)
        #expect(try fixture.volume.incoming().blobs.isEmpty)
        #expect(try files(fixture.disk) == [fixture.path])
        try fixture.volume.settle(BlobFixture.id)
        #expect(fixture.flaws(data).isEmpty)
    }

    @Test func strangeNamesInIncomingAreTold() throws {
        let fixture = try BlobFixture()
        try fixture.disk.place([1], at: "/v/incoming/notes.txt")
        let found = try fixture.volume.incoming()
        #expect(found.blobs.isEmpty && found.foreign == ["incoming/notes.txt"])
    }

    @Test func strangeNamesAmongBlobsAreTold() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        try fixture.disk.place([1], at: "/v/blobs/3f/file")
        try fixture.disk.place([1], at: "/v/blobs/3f/a9/notes.txt")
        // A blob in the wrong directory is found by nobody.
        try fixture.disk.place([1], at: "/v/blobs/3f/00/\(BlobFixture.id)")
        #expect(
            try fixture.volume.listBlobs(firstByte: 0x3F) == [
                .foreign("blobs/3f/00/\(BlobFixture.id)"), .blob(BlobFixture.id),
                .foreign("blobs/3f/a9/notes.txt"), .foreign("blobs/3f/file"),
            ])
        #expect(try fixture.volume.listBlobs(firstByte: 0x40).isEmpty)
        #expect(try fixture.volume.hasFile(of: BlobFixture.id))
        #expect(
            try !fixture.volume.hasFile(of: BlobID(high: BlobFixture.id.high, low: BlobFixture.id.low + 1)))
    }

    @Test func listingsThatFollowOneAnotherTellEverythingOnce() throws {
        let fixture = try BlobFixture()
        var random = SeededGenerator(seed: 11)
        var ids: [BlobID] = []
        for _ in 0..<60 {
            // Some share a directory.
            let id = BlobID(high: random.next() & 0x8101_FFFF_FFFF_FFFF, low: random.next())
            ids.append(id)
            try fixture.disk.place([1], at: "/v/\(fixture.volume.path(of: id))")
        }
        try fixture.disk.place([1], at: "/v/blobs/notes.txt")
        try fixture.disk.place([1], at: "/v/blobs/81/notes.txt")
        try fixture.disk.place([1], at: "/v/\(fixture.volume.path(of: ids[0])).old")
        let whole = try fixture.volume.listBlobs(after: nil, through: nil)
        #expect(whole.count == 63)
        for step in [1, 2, 7, 59] {
            let cuts = ids.sorted().enumerated().filter { $0.offset % step == 0 }.map(\.element)
            var told: [BlobListItem] = []
            var after: BlobID?
            for cut in cuts.map(Optional.some) + [nil] {
                told += try fixture.volume.listBlobs(after: after, through: cut)
                after = cut
            }
            #expect(told.count == whole.count && told.allSatisfy(whole.contains))
        }
    }

    @Test func anAbortedBlobLeavesNothing() throws {
        let fixture = try BlobFixture()
        let begun = try fixture.volume.beginBlob(BlobFixture.id, expectedLength: 4096, replacing: nil)
        try begun.abort()
        #expect(try files(fixture.disk).isEmpty)
        let finished = try fixture.volume.beginBlob(BlobFixture.id, expectedLength: nil, replacing: nil)
        try BlobFixture.send(data, to: finished)
        try finished.abort()
        #expect(try files(fixture.disk).isEmpty)
        #expect(fixture.flaws(data) == [.missing])
    }

    @Test func aBlobThatIsThereIsNotWrittenOver() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        try fixture.volume.settle(BlobFixture.id)
        #expect(throws: VolumeError.blobExists(path: fixture.path)) { try fixture.write(data) }
        #expect(fixture.flaws(data).isEmpty, "what was there is as it was")
        #expect(try fixture.volume.incoming().blobs.isEmpty)
    }

    @Test func aReplacedReplicaGoesToQuarantineWithTheReason() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        try fixture.volume.settle(BlobFixture.id)
        try fixture.disk.corrupt(fixture.path, at: 5)
        let damaged = try fixture.disk.contents(of: fixture.path)
        try fixture.write(data, replacing: "block 0 is damaged")
        #expect(fixture.flaws(data).isEmpty)
        let kept = try fixture.disk.files(below: "/v/quarantine")
        let file = try #require(kept.first { !$0.hasSuffix(".json") })
        #expect(try fixture.disk.contents(of: file) == damaged)
        let note = String(decoding: try fixture.disk.contents(of: file + ".json"), as: UTF8.self)
        #expect(note.contains("block 0 is damaged") && note.contains(fixture.volume.path(of: BlobFixture.id)))
    }

    @Test(arguments: [false, true])
    func whatIsToBeReplacedCanBeExaminedBeforeUnlessAnotherFileComesInItsPlace(isOther: Bool) throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        try fixture.volume.settle(BlobFixture.id)
        try fixture.disk.corrupt(fixture.path, at: 5)
        var displaced = try fixture.disk.contents(of: fixture.path)
        let sink = try fixture.volume.beginBlob(
            BlobFixture.id, expectedLength: UInt64(data.count), replacing: "block 0 is damaged")
        try sink.examineDisplaced()
        if isOther {
            displaced = [1, 2, 3]
            try fixture.disk.replaceFile(fixture.path, with: displaced)
        } else {
            // It is not read again.
            try fixture.disk.makeUnreadable(fixture.path, 0..<10)
        }
        try BlobFixture.send(data, to: sink)
        #expect(fixture.flaws(data).isEmpty)
        let note = try fixture.volume.quarantineNote(try #require(sink.displaced))
        #expect(note.sha256 == SHA256.hash(displaced).hexadecimal && note.unreadable == nil)
        #expect(note.size == UInt64(displaced.count) && note.reason == "block 0 is damaged")
    }

    @Test func aRemovedBlobIsGoneForGoodAndRemovingItTwiceIsNoError() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        #expect(try fixture.read(data, blocks: 0..<1).count == 65_536)
        try fixture.volume.removeBlob(BlobFixture.id)
        try fixture.volume.removeBlob(BlobFixture.id)
        #expect(try files(fixture.disk).isEmpty)
        #expect(throws: BlobFlaw.missing) { try fixture.read(data, blocks: 0..<1) }
        for seed in 0..<20 as Range<UInt64> {
            let found = fixture.disk.recovered(seed: seed)
            #expect(try found.files(below: "/v/blobs").isEmpty, "a crash does not bring it back")
        }
    }

    @Test(arguments: [EIO, ENOSPC, EROFS])
    func aDiskThatFailsAtAnyOperationOfABlobLeavesNothing(_ code: Int32) throws {
        let operations: Set<SimulatedOperation> = [
            .create, .write, .allocate, .truncate, .sync, .createDirectory, .link, .syncDirectory,
        ]
        var struck = 0
        for skip in 0... {
            let fixture = try BlobFixture()
            fixture.disk.inject(Fault(.fail(code), on: operations, skip: skip))
            do {
                try fixture.write(data)
                #expect(fixture.flaws(data).isEmpty)
                break
            } catch let error as FileSystemError {
                #expect(error.code == code)
                #expect(try files(fixture.disk).isEmpty, "failed at operation \(skip): \(error)")
                struck += 1
            }
        }
        #expect(struck >= 8)
    }

    @Test func aDiskThatFillsInMidBlobLeavesNothing() throws {
        let fixture = try BlobFixture()
        let space = try fixture.volume.space()
        fixture.disk.setCapacity(space.total - space.free + 100_000)
        for expected in [nil, UInt64(data.count)] {
            #expect(throws: FileSystemError.self) {
                let sink = try fixture.volume.beginBlob(
                    BlobFixture.id, expectedLength: expected, replacing: nil)
                do { try BlobFixture.send(data, to: sink) } catch {
                    try sink.abort()
                    throw error
                }
            }
            #expect(try files(fixture.disk).isEmpty)
        }
    }

    @Test func aShortWriteInMidBlobLeavesNothing() throws {
        let fixture = try BlobFixture()
        fixture.disk.inject(Fault(.shortWrite(512, ENOSPC), on: [.write]) { $0.contains("/incoming/") })
        #expect(throws: FileSystemError.self) { try fixture.write(data) }
        #expect(try files(fixture.disk).isEmpty)
    }

    /// A name under `blobs/` always stands for a whole blob; one that no event can name is in `incoming/` too.
    @Test func aCrashAtAnyOperationLeavesNoHalfBlobUnderBlobs() throws {
        let seed = SeededGenerator.seed(standard: 3)
        let start = try BlobFixture().disk
        var points = 0
        for point in 1... {
            let disk = start.clone()
            let fixture = try BlobFixture.found(on: disk)
            disk.crash(atOperation: point)
            let isWritten = (try? fixture.write(data)) != nil
            for round in 0..<20 as Range<UInt64> {
                let found = try BlobFixture.found(on: disk.recovered(seed: seed &+ round))
                let place = "crash at \(point), round \(round)"
                let blobs = try found.disk.files(below: "/v/blobs")
                if isWritten { #expect(blobs == [found.path], "\(place): a finished blob is durable") }
                if !blobs.isEmpty {
                    #expect(found.flaws(data).isEmpty, "\(place): a blob under its name is whole")
                    #expect(
                        try found.volume.incoming().blobs == [BlobFixture.id], "\(place): it can be found")
                }
                for id in try found.volume.incoming().blobs { try found.volume.removeBlob(id) }
                #expect(try files(found.disk).isEmpty, "\(place): what was cut off is cleared")
                try found.write(data)
                #expect(found.flaws(data).isEmpty, "\(place): it can be written again")
            }
            points += 1
            if isWritten { break }
        }
        print("blob crash test: seed \(seed), \(points) crash points, 20 times each")
        #expect(points > 8)
    }

    /// The name is gone from the directory, and would be back after a crash, when the blob is removed once more.
    @Test func whatIsRemovedAgainAfterAFailedSyncStaysAwayAfterACrash() throws {
        let fixture = try BlobFixture()
        try fixture.write(data)
        fixture.disk.inject(Fault(.fail(EIO), on: [.syncDirectory], times: 1) { $0.contains("/blobs/") })
        #expect(throws: FileSystemError.self) { try fixture.volume.removeBlob(BlobFixture.id) }
        try fixture.volume.removeBlob(BlobFixture.id)
        for sync in [false, true] {
            if sync { try fixture.disk.syncDirectory("/v/incoming") }
            for seed in 0..<32 as Range<UInt64> {
                let found = try BlobFixture.found(on: fixture.disk.recovered(seed: seed))
                #expect(try found.disk.files(below: "/v/blobs").isEmpty, "seed \(seed)")
            }
        }
    }

    @Test func removingABlobThatNeverWasIsNoError() throws {
        let fixture = try BlobFixture()
        try fixture.volume.removeBlob(BlobFixture.id)
        #expect(try files(fixture.disk).isEmpty)
    }

    /// A directory of `blobs/` that could not be synced into the one above is not there for the next blob, which would
    /// take it for durable.
    @Test(arguments: [0, 1])
    func aBlobThatFollowsAFailedSyncOfItsDirectoryIsDurable(skip: Int) throws {
        let fixture = try BlobFixture()
        fixture.disk.inject(
            Fault(.fail(EIO), on: [.syncDirectory], skip: skip, times: 1) { $0.hasPrefix("/v/blobs") })
        #expect(throws: FileSystemError.self) { try fixture.write(data) }
        try fixture.write(data)
        for seed in 0..<32 as Range<UInt64> {
            let found = try BlobFixture.found(on: fixture.disk.recovered(seed: seed))
            #expect(found.flaws(data).isEmpty, "seed \(seed)")
        }
    }

    @Test func aCrashWhileAReplicaIsReplacedLosesNeither() throws {
        let seed = SeededGenerator.seed(standard: 4)
        let start = try BlobFixture()
        try start.write(data)
        try start.volume.settle(BlobFixture.id)
        try start.disk.corrupt(start.path, at: 5)
        let damaged = try start.disk.contents(of: start.path)
        try start.disk.place([], at: "/everything-is-durable")
        var points = 0
        for point in 1... {
            let disk = start.disk.clone()
            let fixture = try BlobFixture.found(on: disk)
            disk.crash(atOperation: point)
            let isWritten = (try? fixture.write(data, replacing: "damaged")) != nil
            let found = try BlobFixture.found(on: disk.recovered(seed: seed &+ UInt64(point)))
            let all = try files(found.disk).map { try found.disk.contents(of: $0) }
            #expect(all.contains(damaged), "crash at \(point): the damaged one is somewhere")
            if isWritten { #expect(found.flaws(data).isEmpty) }
            try found.write(data, replacing: "damaged")
            #expect(found.flaws(data).isEmpty, "crash at \(point): the repair can be done again")
            points += 1
            if isWritten { break }
        }
        #expect(points > 8)
    }
}
