import Catalog
import Digests
import Foundation
import Integrity
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

private final class Writers: Sendable {
    let isOver = Mutex(false)
}

/// The whole check: log mirrors, catalog, replicas.
@Suite struct StoreCheckTests {
    private func check(
        _ store: ObjectStore, deep: Bool = true, repair: Bool = false, includesOpening: Bool = false
    ) async throws -> ([Finding], CheckSummary) {
        var found: [Finding] = []
        let summary = try await StoreCheck(
            store, .init(isDeep: deep, repairs: repair), includesOpening: includesOpening
        ).run { found.append($0) }
        return (found, summary)
    }

    /// Stages damage, expects findings of this code alone, mends them, and expects a second check to be clean.
    private func expect(
        _ code: FindingCode, _ volume: Int, deep: Bool = true, segments: Int = 512 * 1024,
        sourceLocation: SourceLocation = #_sourceLocation,
        damage: (StartedStore) async throws -> Void
    ) async throws {
        let stage = try await StartedStore { $0.segmentByteCount = segments }
        let store = stage.store
        defer { store.close() }
        var random = SeededGenerator(seed: 3)
        var contents: [String: [UInt8]] = [:]
        for number in 0..<12 {
            let bytes = random.bytes(number == 0 ? 300_000 : 12_000)
            contents["k\(number)"] = bytes
            try await store.put(stage.bucket, "k\(number)", bytes)
        }
        let (clean, _) = try await check(store)
        #expect(clean == [], sourceLocation: sourceLocation)
        try await damage(stage)
        let (found, summary) = try await check(store, deep: deep)
        #expect(
            !found.isEmpty && found.allSatisfy { $0.code == code && $0.volume == volume }, "\(found)",
            sourceLocation: sourceLocation)
        #expect(summary.exitStatus == 4, sourceLocation: sourceLocation)
        let (mended, after) = try await check(store, deep: deep, repair: true)
        #expect(
            !mended.isEmpty && mended.allSatisfy(\.isRepaired), "\(mended)", sourceLocation: sourceLocation)
        #expect(after.exitStatus == 1, sourceLocation: sourceLocation)
        let (left, last) = try await check(store)
        #expect(left == [] && last.exitStatus == 0, "\(left)", sourceLocation: sourceLocation)
        for (key, bytes) in contents {
            #expect(try await store.get(stage.bucket, key) == bytes, sourceLocation: sourceLocation)
        }
        let repairs = try store.events(from: SequenceNumber(1), limit: 1000).compactMap {
            if case .replicaRepaired(let change) = $0.record.change { change.finding.code } else { nil }
        }
        #expect(repairs.count == mended.count, sourceLocation: sourceLocation)
    }

    private func blob(_ stage: StartedStore, _ volume: Int) throws -> String {
        try #require(try stage.disk.files(below: "/volume-\(volume)/blobs").first)
    }

    @Test(arguments: 1...3)
    func aDamagedEventInTheActiveSegmentIsWrittenOver(volume: Int) async throws {
        try await expect(.damagedFrame, volume) { stage in
            let (path, range) = try LogDamage(disk: stage.disk, volume: volume).frame(SequenceNumber(6))
            try stage.disk.corrupt(path, at: UInt64(range.upperBound - 200))
        }
    }

    @Test(arguments: 1...3)
    func aDamagedEventInASealedSegmentIsTakenFromAMirror(volume: Int) async throws {
        try await expect(.damagedFrame, volume, segments: 64 * 1024) { stage in
            #expect(try stage.disk.files(below: "/volume-\(volume)/log").count > 2)
            let (path, range) = try LogDamage(disk: stage.disk, volume: volume).frame(SequenceNumber(5))
            try stage.disk.corrupt(path, at: UInt64(range.lowerBound + 20))
        }
    }

    @Test func aSealedSegmentThatIsMissingIsWrittenAfresh() async throws {
        try await expect(.missingSegment, 2, segments: 64 * 1024) { stage in
            try stage.disk.lose("/volume-2/log/00000000000000000001.log")
        }
    }

    @Test func anEventThatStandsInAnothersPlaceIsMisplaced() async throws {
        try await expect(.misplacedFrame, 3) { stage in
            let damage = LogDamage(disk: stage.disk, volume: 3)
            let (path, first) = try damage.frame(SequenceNumber(6))
            let (_, second) = try damage.frame(SequenceNumber(7))
            #expect(first.count == second.count)
            let bytes = try stage.disk.contents(of: path)
            try stage.disk.corrupt(path, at: UInt64(second.lowerBound), with: Array(bytes[first]))
        }
    }

    @Test func aReplicaThatCannotBeReadIsWrittenAnew() async throws {
        try await expect(.unreadable, 1) { try $0.disk.makeUnreadable(try blob($0, 1), 70_000..<70_512) }
    }

    /// Whole in itself, with the right name and owner, and other bytes.
    @Test func aReplicaWithOtherBytesIsToldByItsSHA256() async throws {
        try await expect(.wrongContent, 2, deep: false) { stage in
            let path = try blob(stage, 2)
            let volume = try #require(stage.store.inspection.volumes.first { $0.index == 2 })
            let id = try #require(BlobID(String(path.suffix(32))))
            let info = try volume.info(of: id, length: nil)
            let scratch = SimulatedFileSystem()
            let other = try DirectoryVolume.create(volume.identity, at: "/volume-2", fileSystem: scratch)
            let bytes = [UInt8](repeating: 9, count: Int(info.length))
            let sink = try other.beginBlob(id, expectedLength: nil, replacing: nil)
            let checksums = stride(from: 0, to: bytes.count, by: Limits.blockSize).map {
                CRC32C.checksum(Array(bytes[$0..<min($0 + Limits.blockSize, bytes.count)]))
            }
            var descriptor = info.descriptor
            descriptor.sha256 = Data(bytes.withUnsafeBytes { SHA256.hash($0) })
            try bytes.withUnsafeBytes {
                try sink.finish(
                    tail: $0,
                    trailer: BlobTrailer(
                        length: info.length, blockChecksums: checksums, sha256: SHA256.hash($0),
                        descriptor: descriptor))
            }
            try stage.disk.place(try scratch.contents(of: path), at: path)
        }
    }

    private func catalogDiffers(
        _ table: String, _ code: FindingCode = .catalogRowMissing,
        sourceLocation: SourceLocation = #_sourceLocation,
        before: (StartedStore) async throws -> Void = { _ in }
    ) async throws {
        try await expect(code, 0, sourceLocation: sourceLocation) { stage in
            try await before(stage)
            let inspection = stage.store.inspection
            let other = try Catalog(
                path: stage.fixture.settings.stateDirectory + "/other.sqlite", storeID: stage.store.storeID,
                readers: 1)
            // As it was before the last few events.
            try inspection.replay(to: other, through: SequenceNumber(stage.store.head.sequence.rawValue - 3))
            try other.read { earlier in
                var differences: [RowDifference] = []
                try inspection.catalog.read { now in
                    try CatalogComparison.run(now, against: earlier) {
                        if $0.table == table { differences.append($0) }
                    }
                }
                #expect(!differences.isEmpty, sourceLocation: sourceLocation)
                try inspection.catalog.withWriter { writer in
                    try writer.begin()
                    try CatalogComparison.mend(differences, in: writer, from: earlier)
                    try writer.commit()
                }
            }
        }
    }

    @Test func aVersionThatTheCatalogLostIsComputedFromTheLog() async throws {
        try await catalogDiffers("current")
    }

    @Test func aBucketSettingThatTheCatalogForgotIsComputedFromTheLog() async throws {
        try await catalogDiffers("buckets", .catalogDiffers) {
            _ = try await $0.store.configureBucket(
                $0.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        }
    }

    @Test func aBlobWithTheWrongCountOfUsesIsComputedFromTheLog() async throws {
        try await catalogDiffers("blobs") { stage in
            try await stage.store.put(stage.bucket, "extra", [UInt8](repeating: 3, count: 100_000))
        }
    }

    @Test func aVolumeThatIsOutIsAFindingUntilItIsBack() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        stage.strike(3, .fail(EIO), on: [.sync])
        try await store.put(stage.bucket, "k", [1])
        let (found, summary) = try await check(store)
        #expect(found.map(\.code) == [.volumeOut])
        #expect(found.first?.volume == 3)
        #expect(summary.exitStatus == 4)
        stage.disk.removeFaults()
        store.maintain()
        let (left, _) = try await check(store)
        #expect(left == [])
    }

    /// A check is pinned to a sequence: what is uploaded, replaced, deleted and reclaimed meanwhile is no finding.
    @Test func aCheckFindsNothingFalseWhileTheStoreIsWrittenTo() async throws {
        let fixture = try StoreFixture {
            $0.segmentByteCount = 256 * 1024
            $0.catalogReaders = 4
        }
        let disk = SimulatedFileSystem()
        var environment = fixture.environment(disk)
        environment.makeLane = { ThreadLane($0) }
        try ObjectStore.create(fixture.settings, environment)
        let store = try await ObjectStore.open(fixture.settings, environment)
        defer { store.close() }
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        let writers = Writers()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<3 {
                group.addTask {
                    var random = SeededGenerator(seed: UInt64(writer))
                    for number in 0..<120 {
                        let key = "w\(writer)-\(number % 7)"
                        let count = number % 3 == 0 ? 90_000 : Int.random(in: 0..<9_000, using: &random)
                        try await store.put(bucket, key, random.bytes(count))
                        if number % 5 == 0 {
                            _ = try await store.delete(
                                bucket, try ObjectKey(key), .current, conditions: .none, actor: tester)
                        }
                        if writer == 0, number % 20 == 19 {
                            fixture.advance(seconds: 8 * 86_400)
                            while try await store.reclaim() {}
                        }
                    }
                    writers.isOver.withLock { $0 = true }
                }
            }
            group.addTask {
                var checks = 0
                while !writers.isOver.withLock({ $0 }) || checks < 3 {
                    let (found, _) = try await check(store, deep: checks % 2 == 0)
                    #expect(found == [], "check \(checks)")
                    checks += 1
                }
                print("\(checks) checks of a store that was being written to")
            }
            try await group.waitForAll()
        }
        let (left, _) = try await check(store)
        #expect(left == [])
    }

    /// Opening mends and a check may look for hours: neither may change a byte of a stopped store.
    @Test func aCheckOfAStoppedStoreFindsDamageAndChangesNoByte() async throws {
        let stage = try await StartedStore()
        var random = SeededGenerator(seed: 12)
        try await stage.store.put(stage.bucket, "large", random.bytes(200_000))
        for number in 0..<6 { try await stage.store.put(stage.bucket, "k\(number)", random.bytes(5_000)) }
        stage.store.close()
        try stage.disk.corrupt(try blob(stage, 1), at: 70_000)
        try stage.disk.lose(try blob(stage, 2))
        let (path, range) = try LogDamage(disk: stage.disk, volume: 3).frame(SequenceNumber(5))
        try stage.disk.corrupt(path, at: UInt64(range.lowerBound + 100))
        try stage.disk.place([1, 2, 3], at: "/volume-1/incoming/" + String(repeating: "b", count: 32))
        try stage.disk.place([4], at: "/volume-2/blobs/stray")
        func image() throws -> [String: [UInt8]] {
            var image: [String: [UInt8]] = [:]
            for path in try stage.disk.files(below: "/") { image[path] = try stage.disk.contents(of: path) }
            for name in try FileManager.default.contentsOfDirectory(
                atPath: stage.fixture.settings.stateDirectory)
            {
                let path = stage.fixture.settings.stateDirectory + "/" + name
                image["state/" + name] = FileManager.default.contents(atPath: path).map(Array.init)
            }
            return image
        }
        let before = try image()
        // What one that was killed left of its copy.
        let killed = ObjectStore.inspectionPrefix(stage.fixture.settings) + "killed"
        try FileManager.default.createDirectory(atPath: killed, withIntermediateDirectories: false)
        let store = try await ObjectStore.openForInspection(
            stage.fixture.settings, stage.fixture.environment(stage.disk))
        #expect(!FileManager.default.fileExists(atPath: killed))
        let (found, summary) = try await check(store, includesOpening: true)
        store.close()
        #expect(summary.exitStatus == 4)
        let codes = Set(found.map(\.code))
        #expect(codes.isSuperset(of: [.corruptBlock, .missingReplica, .damagedFrame, .leftover]), "\(found)")
        let after = try image()
        #expect(after.keys.sorted() == before.keys.sorted())
        for (path, bytes) in before { #expect(after[path] == bytes, "\(path)") }
        let again = try await stage.fixture.open(stage.disk)
        let (_, mended) = try await check(again, repair: true, includesOpening: true)
        #expect(mended.exitStatus == 1)
        let (left, _) = try await check(again)
        #expect(left == [])
        again.close()
    }
}
