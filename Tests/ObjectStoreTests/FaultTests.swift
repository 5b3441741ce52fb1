import Foundation
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

/// One volume fails in one way: requests go on, and it comes back whole.
@Suite struct FaultTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    private func expectGoesOn(
        _ effect: FaultEffect, on operations: Set<SimulatedOperation>, below folder: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for volume in 1...3 {
            let stage = try await StartedStore()
            let (store, bucket) = (stage.store, stage.bucket)
            try await store.put(bucket, "before", Self.large)
            stage.strike(volume, effect, on: operations, below: folder)
            let small = try await store.put(bucket, "small", [1, 2, 3])
            let large = try await store.put(bucket, "large", Self.large)
            #expect(small.commit.replicas >= 2, sourceLocation: sourceLocation)
            #expect(large.commit.replicas == 2, sourceLocation: sourceLocation)
            #expect(stage.standings[volume - 1] == .setAside, sourceLocation: sourceLocation)
            #expect(try await store.get(bucket, "before") == Self.large, sourceLocation: sourceLocation)
            store.maintain()
            stage.disk.removeFaults()
            // It may have been there, and not to be filled.
            stage.fixture.advance(seconds: 1)
            store.maintain()
            #expect(
                stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)",
                sourceLocation: sourceLocation)
            #expect(try stage.halfThere() == [], sourceLocation: sourceLocation)
            for other in 1...3 where other != volume {
                for path in try stage.disk.files(below: "/volume-\(other)/blobs") {
                    try stage.disk.lose(path)
                }
            }
            #expect(try await store.get(bucket, "large") == Self.large, sourceLocation: sourceLocation)
            #expect(try await store.get(bucket, "small") == [1, 2, 3], sourceLocation: sourceLocation)
            store.close()
        }
    }

    @Test func aFullVolumeIsSetAsideAndComesBack() async throws {
        try await expectGoesOn(.fail(ENOSPC), on: [.write, .allocate])
    }

    @Test func aVolumeThatCannotBeBroughtUpToDateKeepsNoStoreFromOpening() async throws {
        let stage = try await StartedStore()
        stage.strike(2, .fail(ENOSPC), on: [.write, .allocate])
        try await stage.store.put(stage.bucket, "large", Self.large)
        stage.store.close()
        let store = try await stage.fixture.open(stage.disk)
        defer { store.close() }
        #expect(store.volumeStatuses.map(\.standing) == [.inService, .setAside, .inService])
        #expect(store.volumeStatuses[1].reason?.contains("bringing it up to date") == true)
        #expect(try await store.get(stage.bucket, "large") == Self.large)
        try await store.put(stage.bucket, "small", [1, 2, 3])
        stage.disk.removeFaults()
        store.maintain()
        #expect(store.volumeStatuses.map(\.standing) == [.inService, .inService, .inService])
    }

    @Test func aVolumeThatTurnedReadOnlyIsSetAsideAndComesBack() async throws {
        try await expectGoesOn(
            .fail(EROFS),
            on: [.create, .write, .allocate, .truncate, .createDirectory, .link, .rename, .remove])
    }

    @Test func aVolumeWhoseWritesAreCutShortIsSetAsideAndComesBack() async throws {
        try await expectGoesOn(.shortWrite(100, EIO), on: [.write])
    }

    @Test func aVolumeWhoseSyncsLoseWhatWasWrittenIsSetAsideAndComesBack() async throws {
        try await expectGoesOn(.loseSync(EIO), on: [.sync])
    }

    @Test func aVolumeThatCannotSyncDirectoriesIsSetAsideAndComesBack() async throws {
        try await expectGoesOn(.fail(EIO), on: [.syncDirectory])
    }

    @Test func shortReadsAndUnreadableSectorsAreReadFromAnotherVolume() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        var random = SeededGenerator(seed: 8)
        let bytes = random.bytes(400_000)
        try await store.put(bucket, "k", bytes)
        stage.strike(1, .shortRead(70_000), on: [.read, .readIfCached], below: "blobs/")
        let path = try #require(try stage.disk.files(below: "/volume-2/blobs").first)
        try stage.disk.makeUnreadable(path, 0..<200_000)
        #expect(try await store.get(bucket, "k") == bytes)
        store.close()
    }

    /// No read returns a wrong byte, whatever the damage: 10,000 reads of whole objects and random ranges.
    @Test func tenThousandReadsOfDamagedReplicasReturnNoWrongByte() async throws {
        let seed = SeededGenerator.seed(standard: 40)
        var random = SeededGenerator(seed: seed)
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        var objects: [(version: ObjectVersion, bytes: [UInt8])] = []
        for number in 0..<8 {
            let bytes = random.bytes([70_000, 131_072, 200_001, 400_000][number % 4])
            objects.append((try await store.put(bucket, "k\(number)", bytes).value, bytes))
        }
        // Each block of each blob is good on one volume at least; inline events stay whole.
        for name in try stage.blobs()[0] {
            let paths = try (1...3).map { volume in
                try #require(
                    try stage.disk.files(below: "/volume-\(volume)/blobs").first { $0.hasSuffix(name) })
            }
            let length = objects.first { $0.version.record.pieces[0].blobID == Data(BlobID(name)!.bytes) }!
                .bytes.count
            for block in 0...(length - 1) / 65_536 {
                let good = Int.random(in: 0..<3, using: &random)
                for volume in 0..<3 where volume != good && Bool.random(using: &random) {
                    let start = block * 65_536
                    let offset = Int.random(in: start..<min(start + 65_536, length), using: &random)
                    try stage.disk.corrupt(
                        paths[volume], at: UInt64(offset), flipping: UInt8.random(in: 1...255, using: &random)
                    )
                }
            }
        }
        var wrong = 0
        for _ in 0..<10_000 {
            let (version, bytes) = objects[Int.random(in: 0..<objects.count, using: &random)]
            let isWhole = Int.random(in: 0..<20, using: &random) == 0
            let low = isWhole ? 0 : Int.random(in: 0..<bytes.count, using: &random)
            let longest = min(bytes.count, low + 80_000)
            let high = isWhole ? bytes.count : Int.random(in: low + 1...longest, using: &random)
            let step = [4_096, 65_536, 100_000].randomElement(using: &random)!
            let found = try await store.read(version, UInt64(low)..<UInt64(high), step: step)
            if found != Array(bytes[low..<high]) { wrong += 1 }
        }
        #expect(wrong == 0, "HOLDFAST_SEED=\(seed)")
        store.close()
    }

    /// With threads: one volume hangs in a sync, the others answer, and it comes back when it lets go.
    @Test func aVolumeThatStallsPastItsDeadlineHoldsNobodyUp() async throws {
        let fixture = try StoreFixture { $0.operationDeadline = .milliseconds(200) }
        let disk = SimulatedFileSystem()
        var environment = fixture.environment(disk)
        environment.makeLane = { ThreadLane($0) }
        // A try to bring it back while it hangs is followed by the next one a second later.
        environment.clock = { .now() }
        try ObjectStore.create(fixture.settings, environment)
        let store = try await ObjectStore.open(fixture.settings, environment)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        try await store.put(bucket, "before", Self.large)
        store.startMaintenance()
        let stall = Stall()
        let fault = disk.inject(Fault(.stall(stall), on: [.sync], times: nil) { $0.hasPrefix("/volume-3/") })
        let put = try await store.put(bucket, "large", Self.large)
        #expect(put.commit.replicas == 2)
        #expect(try await store.put(bucket, "small", [1]).commit.replicas == 2)
        #expect(store.volumeStatuses[2].standing != .inService)
        #expect(try await store.get(bucket, "large") == Self.large)
        disk.removeFault(fault)
        stall.release()
        // Every round of maintenance tries; the event that says the volume is back ends the wait.
        var seen = SequenceNumber(1)
        search: while true {
            for event in try store.events(from: seen, limit: 1000) {
                seen = event.sequence.next
                if case .volumeReturned = event.record.change { break search }
            }
            await store.waitForEvents(after: SequenceNumber(seen.rawValue - 1))
        }
        #expect(try await store.put(bucket, "after", Self.large).commit.replicas == 3)
        store.close()
    }
}
