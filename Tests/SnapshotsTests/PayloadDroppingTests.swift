import EventLog
import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// Small objects, whose bytes stand in a repository's copy of the log: a prune gives the space back of those that no snapshot
/// needs any more, and of no other.
@Suite struct PayloadDroppingTests {
    /// About six of them fill a segment of 128 KiB.
    private static let length = 20_000

    private func put(
        _ prefix: String, _ numbers: Range<Int>, _ store: ObjectStore, _ bucket: BucketName
    ) async throws {
        for number in numbers {
            try await store.put(bucket, "\(prefix)\(number)", content(prefix, number))
        }
    }

    private func content(_ prefix: String, _ number: Int) -> [UInt8] {
        bytes(UInt8(number), Self.length - Int(prefix.utf8.first ?? 0))
    }

    private func delete(_ prefix: String, _ numbers: Range<Int>, _ stage: SnapshotStage) async throws {
        for number in numbers { try await stage.delete("\(prefix)\(number)") }
    }

    private func logSize(_ stage: SnapshotStage) throws -> UInt64 {
        try stage.backup.files(below: "/backup/log").reduce(0) {
            $0 + UInt64(try stage.backup.contents(of: $1).count)
        }
    }

    private func prune(
        _ stage: SnapshotStage, deleting names: [String]? = nil
    ) throws -> SnapshotPruning.Report {
        let repository = try stage.repository()
        defer { repository.close() }
        let pruning = SnapshotPruning(repository, scratch: stage.scratch)
        return try names.map { try pruning.run(deleting: $0) } ?? pruning.run(keeping: RetentionRule(last: 1))
    }

    /// A store is made of a snapshot, and has just these objects good.
    /// - Parameter gone: an event before which the past is out of reach.
    private func expectStore(
        _ stage: SnapshotStage, of name: String, holds objects: [(prefix: String, numbers: Range<Int>)],
        outOfReach gone: SequenceNumber? = nil
    ) async throws {
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let disk = SimulatedFileSystem()
        let repository = try stage.repository()
        defer { repository.close() }
        let report = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
            from: repository, snapshot: name, scratch: stage.scratch)
        #expect(report.recreation.missing.isEmpty, "\(name)")
        let store = try await fixture.open(disk)
        for (prefix, numbers) in objects {
            for number in numbers {
                #expect(
                    try await store.get(stage.bucket, "\(prefix)\(number)") == content(prefix, number),
                    "\(name): \(prefix)\(number)")
            }
        }
        #expect(report.manifest.versions == objects.reduce(0) { $0 + $1.numbers.count }, "\(name)")
        var findings: [String] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            findings.append("\($0)")
        }
        #expect(findings == [], "\(name)")
        if let gone {
            var order = RestoreOrder(at: .event(gone.rawValue))
            order.folder = stage.scratch + "/out-\(name)"
            do {
                _ = try await Restore(store, order).run { _ in }
                Issue.record("what has no bytes was restored")
            } catch SnapshotError.outOfReach(_, _) {}  // which is to be said
        }
        store.close()
        _ = fixture  // it holds the store's directory
    }

    @Test func theSpaceOfWhatNoSnapshotNeedsComesBackAndAllElseStays() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<30, stage.store, stage.bucket)
        try await stage.snapshot("one")
        let past = stage.store.head.sequence
        try await delete("k", 0..<20, stage)
        try await put("z", 0..<1, stage.store, stage.bucket)
        try await stage.snapshot("two")
        let before = try logSize(stage)
        let report = try prune(stage)
        #expect(report.deleted == ["one"])
        #expect((15...20).contains(report.payloads), "\(report.payloads)")
        #expect(report.payloadBytes == before - (try logSize(stage)))
        #expect(report.payloadBytes >= report.payloads * UInt64(Self.length - 200))
        #expect(report.lockedSegments == 0 && report.damagedSegments == 0)
        #expect(try stage.verify() == [])
        #expect(try prune(stage).payloads == 0, "and there is no more")
        let kept = [("k", 20..<30), ("z", 0..<1)]
        try await expectStore(stage, of: "two", holds: kept, outOfReach: past)

        // Object by object, in the store that goes on.
        try await delete("k", 20..<30, stage)
        let repository = try stage.repository()
        let summary = try await Restore(
            stage.store, repository, RestoreOrder(repository: "/backup", snapshot: "two")
        ).run { _ in }
        repository.close()
        #expect(summary.total.restored == 10 && summary.total.failed == 0)
        for number in 20..<30 {
            #expect(try await stage.store.get(stage.bucket, "k\(number)") == content("k", number))
        }
        let next = try await stage.snapshot("three")
        #expect(next.manifest.isComplete && next.lostPayloads == 0 && next.mended == 0)
        #expect(try stage.verify() == [])
        try await expectStore(stage, of: "three", holds: kept)
        stage.store.close()
    }

    @Test func whatAnySnapshotThatStaysNeedsStays() async throws {
        let stage = try await SnapshotStage()
        let other = SimulatedFileSystem()
        try await put("k", 0..<12, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<12, stage)
        try await put("m", 0..<12, stage.store, stage.bucket)
        try await stage.snapshot("two")
        try await stage.snapshot("two", on: other)
        try await delete("m", 0..<12, stage)
        try await put("z", 0..<8, stage.store, stage.bucket)
        try await stage.snapshot("three")
        let report = try prune(stage, deleting: ["two"])
        #expect((6...12).contains(report.payloads), "\(report.payloads)")
        #expect(try stage.verify() == [])
        try await expectStore(stage, of: "one", holds: [("k", 0..<12)])
        try await expectStore(stage, of: "three", holds: [("z", 0..<8)])
        #expect(try stage.verify(on: other) == [], "another repository keeps what it has")
        #expect(try prune(stage).payloads >= 10, "and then what only the first one needed")
        try await expectStore(stage, of: "three", holds: [("z", 0..<8)])
        stage.store.close()
    }

    /// A snapshot that was deleted, as from a backup of the repository.
    private func bringBack(_ snapshot: String, from good: SimulatedFileSystem, _ stage: SnapshotStage) throws
    {
        for name in ["\(snapshot).json", "\(snapshot).catalog.gz"] {
            let path = "/backup/snapshots/\(name)"
            try stage.backup.replaceFile(path, with: try good.contents(of: path))
        }
    }

    @Test func aPartWhoseBytesWereDroppedIsNamedByARestoreOfTheWholeStore() async throws {
        let stage = try await SnapshotStage()
        let upload = try await stage.store.createUpload(
            stage.bucket, try ObjectKey("big"), metadata: EventMetadata(),
            checksumAlgorithm: .unspecified, composite: false, actor: tester
        ).value
        let part = try await stage.store.putPart(
            stage.bucket, "big", upload.uploadID, 1, bytes(200, Self.length))
        try await put("k", 0..<10, stage.store, stage.bucket)
        try await stage.snapshot("one")
        let good = stage.backup.clone()
        _ = try await stage.store.abortUpload(
            stage.bucket, try ObjectKey("big"), upload.uploadID, actor: tester)
        try await delete("k", 0..<10, stage)
        try await stage.snapshot("two")
        #expect(try prune(stage).payloads > 0)
        try bringBack("one", from: good, stage)
        stage.store.close()
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let repository = try stage.repository()
        let report = try await WholeRestore(
            fixture.settings, fixture.environment(SimulatedFileSystem())
        ).run(from: repository, snapshot: "one", scratch: stage.scratch)
        repository.close()
        #expect(report.recreation.missing.contains { $0.place == .event(part.sequence) && $0.key == "big" })
        _ = fixture
    }

    @Test func partsOfUploadsStayWhileTheyAreThereAndAsLongAsWhatIsMadeOfThem() async throws {
        let stage = try await SnapshotStage()
        let key = try ObjectKey("big")
        let upload = try await stage.store.createUpload(
            stage.bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value
        let part = try await stage.store.putPart(
            stage.bucket, "big", upload.uploadID, 1, bytes(200, Self.length))
        try await put("k", 0..<10, stage.store, stage.bucket)
        try await delete("k", 0..<10, stage)
        try await put("z", 0..<6, stage.store, stage.bucket)
        try await stage.snapshot("one")
        #expect(try prune(stage).payloads > 0)
        _ = try await stage.store.completeUpload(
            stage.bucket, key, upload.uploadID,
            parts: [CompletedPart(number: part.number, etag: part.etag)], checksums: [], conditions: .none,
            actor: tester)
        #expect(try await stage.snapshot("two").manifest.isComplete)
        _ = try prune(stage)
        #expect(try stage.verify() == [])
        try await stage.delete("big")
        let repository = try stage.repository()
        _ = try await Restore(
            stage.store, repository, RestoreOrder(repository: "/backup", snapshot: "two")
        ).run { _ in }
        repository.close()
        #expect(try await stage.store.get(stage.bucket, "big") == bytes(200, Self.length))
        stage.store.close()
    }

    /// Writing it afresh takes as much as all that stays.
    @Test func aSegmentOfWhichLittleIsDeadStaysAsItIs() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<14, stage.store, stage.bucket)
        try await stage.delete("k1")
        try await stage.snapshot("one")
        let before = try logSize(stage)
        #expect(try prune(stage).payloads == 0)
        #expect(try logSize(stage) == before)
        try await stage.delete("k2")
        try await stage.snapshot("two")
        #expect(try prune(stage).payloads == 2)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func withoutASnapshotThatStaysNothingIsDropped() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        let before = try logSize(stage)
        let report = try prune(stage, deleting: ["one"])
        #expect(report.deleted == ["one"] && report.payloads == 0)
        #expect(try logSize(stage) == before)
        try await stage.snapshot("two")
        #expect(try stage.verify() == [])
        try await expectStore(stage, of: "two", holds: [("k", 0..<20)])
        stage.store.close()
    }

    @Test func whatWasCopiedBehindTheNewestSnapshotStays() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<2, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await put("n", 0..<20, stage.store, stage.bucket)
        let fault = stage.backup.inject(
            Fault(.fail(EIO), on: [.create, .open, .write, .rename], times: nil) {
                $0.contains("/snapshots/cut-off")
            })
        await #expect(throws: (any Error).self) { try await stage.snapshot("cut-off") }
        stage.backup.removeFault(fault)
        #expect(try logSize(stage) > 20 * 19_000, "it is copied")
        #expect(try prune(stage).payloads == 0)
        #expect(try await stage.snapshot("two").events < 20, "it is not copied again")
        try await expectStore(stage, of: "two", holds: [("k", 0..<2), ("n", 0..<20)])
        stage.store.close()
    }

    /// What was dead at the snapshots of the branch that is given up is alive there.
    @Test func aStoreThatHasGoneBackBringsWhatWasDroppedAgain() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        let past = stage.started.disk.clone()
        try await delete("k", 0..<20, stage)
        try await put("z", 0..<8, stage.store, stage.bucket)
        try await stage.snapshot("one")
        #expect(try prune(stage).payloads >= 15)
        stage.store.close()
        let fixture = stage.started.fixture
        try fixture.forgetCatalog()
        let store = try await fixture.open(past.recovered(seed: 1))
        try await put("y", 0..<3, store, stage.bucket)
        func snapshot(_ name: String) async throws -> SnapshotCreation.Report {
            let repository = try stage.repository()
            defer { repository.close() }
            return try await SnapshotCreation(store, repository).run(name: name)
        }
        await #expect(throws: SnapshotError.self) { try await snapshot("two") }
        #expect(try prune(stage, deleting: ["one"]).payloads == 0)
        let report = try await snapshot("two")
        #expect(report.mended >= 15 && report.manifest.isComplete)
        #expect(try stage.verify() == [])
        try await expectStore(stage, of: "two", holds: [("k", 0..<20), ("y", 0..<3)])
        store.close()
    }

    /// Where each mirror of the store has some bytes; done again, they are good again.
    private func flip(_ payload: [UInt8], _ stage: SnapshotStage) throws {
        let disk = stage.started.disk
        var count = 0
        for volume in 1...3 {
            for path in try disk.files(below: "/volume-\(volume)/log") {
                let content = Data(try disk.contents(of: path))
                guard let range = content.range(of: Data(payload.dropFirst(100))) else { continue }
                try disk.corrupt(path, at: UInt64(range.lowerBound) - 50)
                count += 1
            }
        }
        try #require(count == 3)
    }

    @Test func bytesThatAreLostStayLostWhereTheyAreNeededAndElseAreNoLoss() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        let needed = try stage.store.version(stage.bucket, try ObjectKey("k2"), .current).sequence
        for number in [1, 2] { try flip(content("k", number), stage) }
        #expect(try await stage.snapshot("one").manifest.lostPayloads == 2)
        #expect(try stage.verify().count == 2)
        try await stage.delete("k0")
        try await stage.delete("k1")
        try await delete("k", 3..<15, stage)
        #expect(try await stage.snapshot("two").manifest.lostPayloads == 1)
        #expect(try prune(stage).payloads >= 12)
        #expect(try stage.verify().map(\.sequence) == [needed], "the other is needed by none")
        #expect(try await stage.snapshot("three").manifest.lostPayloads == 1)
        try flip(content("k", 2), stage)
        let report = try await stage.snapshot("four")
        #expect(report.mended == 1 && report.manifest.isComplete)
        #expect(try stage.verify() == [])
        #expect(try prune(stage).payloads == 0, "mending has brought nothing back that nobody needs")
        stage.store.close()
    }

    /// It would be a snapshot that is not whole, and is not called good.
    @Test func aPayloadThatIsDroppedAndNeededIsFoundAndBroughtAgain() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        let good = stage.backup.clone()
        let sequence = try stage.store.version(stage.bucket, try ObjectKey("k3"), .current).sequence
        try await delete("k", 0..<10, stage)
        try await stage.snapshot("two")
        #expect(try prune(stage).payloads > 0)
        try bringBack("one", from: good, stage)
        let flaws = try stage.verify(percent: 0)
        #expect(flaws.contains { $0.sequence == sequence && $0.snapshot == "one" }, "\(flaws)")
        // Whoever has nothing but the repository is told what is not there.
        let repository = try stage.repository()
        for (name, lost) in [("one", flaws.compactMap(\.sequence)), ("two", [])] {
            let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
            let report = try await WholeRestore(
                fixture.settings, fixture.environment(SimulatedFileSystem())
            ).run(from: repository, snapshot: name, scratch: stage.scratch)
            let missing = report.recreation.missing
            #expect(missing.allSatisfy { $0.version != nil && $0.key.hasPrefix("k") })
            #expect(
                missing.compactMap { missing -> SequenceNumber? in
                    guard case .event(let event) = missing.place else { return nil }
                    return event
                }.sorted() == lost.sorted(), "\(name)")
            _ = fixture
        }
        repository.close()
        #expect(try await stage.snapshot("three").mended == flaws.count, "while the store has them")
        #expect(try stage.verify(percent: 0) == [])
        try await expectStore(stage, of: "one", holds: [("k", 0..<20)])
        stage.store.close()
    }

    /// Where a frame of the repository's log begins.
    private func place(
        of sequence: SequenceNumber, _ stage: SnapshotStage
    ) throws -> (path: String, offset: UInt64) {
        for path in try stage.backup.files(below: "/backup/log") {
            let content = Data(try stage.backup.contents(of: path))
            let start = Data("HFEV".utf8) + Data([1, 0])
            var offset = 0
            while let found = content.range(of: start, in: offset..<content.count) {
                let number = content[(found.lowerBound + 8)..<(found.lowerBound + 16)]
                if number.reversed().reduce(UInt64(0), { $0 << 8 | UInt64($1) }) == sequence.rawValue {
                    return (path, UInt64(found.lowerBound))
                }
                offset = found.upperBound
            }
        }
        throw LogError.damaged(sequence, "no segment has it")
    }

    @Test func aSectorThatTheDiskDoesNotGiveKeepsNeitherAPruneNorASnapshotFromItsEnd() async throws {
        let stage = try await SnapshotStage()
        try await put("a", 0..<8, stage.store, stage.bucket)
        let sick = try stage.store.version(stage.bucket, try ObjectKey("a1"), .current).sequence
        try await delete("a", 0..<6, stage)
        try await stage.snapshot("zero")
        try await put("k", 0..<6, stage.store, stage.bucket)
        let past = stage.started.disk.clone()
        try await put("z", 0..<6, stage.store, stage.bucket)
        try await stage.snapshot("one")
        stage.store.close()
        let (path, offset) = try place(of: sick, stage)
        try stage.backup.makeUnreadable(path, offset..<offset + 8)
        let notes = "/backup/snapshots/damaged"
        try stage.backup.replaceFile(notes, with: Array("\(sick)\n".utf8))
        #expect(try prune(stage, deleting: ["one"]).damagedSegments == 1)
        #expect(
            try stage.backup.contents(of: notes) == Array("\(sick)\n".utf8), "it is not known to be dropped")
        try stage.backup.remove(notes)

        // The store goes back, and it is asked what was dropped.
        try stage.started.fixture.forgetCatalog()
        let store = try await stage.started.fixture.open(past.recovered(seed: 1))
        try await put("y", 0..<3, store, stage.bucket)
        let repository = try stage.repository()
        let report = try await SnapshotCreation(store, repository).run(name: "two")
        repository.close()
        #expect(report.mended == 1, "it is copied anew")
        #expect(try stage.verify() == [])
        store.close()
    }

    @Test func nothingIsDroppedWhileTheLogDoesNotLeadToEachSnapshotThatStays() async throws {
        let stage = try await SnapshotStage()
        try await put("a", 0..<8, stage.store, stage.bucket)
        try await delete("a", 0..<8, stage)
        let first = try await stage.snapshot("one").manifest.position
        try await put("z", 0..<8, stage.store, stage.bucket)
        let last = try await stage.snapshot("two").manifest.position
        // The chain hash of an event in a sealed segment; the body of the last one, whose damage looks like a torn write.
        for (event, part, name) in [(first, UInt64(50), "one"), (last, 90, "two")] {
            let (path, offset) = try place(of: event, stage)
            try stage.backup.corrupt(path, at: offset + part)
            let before = try logSize(stage)
            let report = try prune(stage, deleting: [])
            #expect(report.payloads == 0 && report.unproven?.snapshot == name, "\(report)")
            #expect(try logSize(stage) == before)
            try stage.backup.corrupt(path, at: offset + part)
        }
        let report = try prune(stage, deleting: [])
        #expect(report.payloads > 0 && report.unproven == nil)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aSegmentThatTheDiskDoesNotGiveKeepsNoOtherFromBeingWrittenAfresh() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<20, stage)
        try await stage.snapshot("two")
        let path = try #require(try stage.backup.files(below: "/backup/log").first)
        try stage.backup.makeUnreadable(path, 50_000..<50_100)
        let report = try prune(stage)
        #expect(report.damagedSegments == 1 && report.payloads > 0)
        stage.store.close()
    }

    @Test func aSegmentWithADamagedEventWaitsUntilItIsMended() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<20, stage)
        try await put("z", 0..<2, stage.store, stage.bucket)
        try await stage.snapshot("two")
        let path = try #require(try stage.backup.files(below: "/backup/log").first)
        let place = try #require(
            Data(try stage.backup.contents(of: path)).range(of: Data(content("k", 1))))
        try stage.backup.corrupt(path, at: UInt64(place.lowerBound) - 60)
        let damaged = try stage.backup.contents(of: path)
        let report = try prune(stage)
        #expect(report.damagedSegments == 1 && report.payloads > 0)
        #expect(try stage.backup.contents(of: path) == damaged, "nothing is written over damage")
        #expect(try stage.verify(percent: 0).count == 1)
        #expect(try await stage.snapshot("three").mended == 1)
        let next = try prune(stage)
        #expect(next.damagedSegments == 0 && next.payloads > 0)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatIsLockedStaysUntilItsLockEnds() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<20, stage)
        try await stage.snapshot("two")
        let before = try stage.backup.files(below: "/backup/log").map { try stage.backup.contents(of: $0) }
        let locked = try Repository.open(
            "/backup", of: stage.store.storeID, fileSystem: LockedLog(base: stage.backup))
        let read = Mutex(0)
        let report = try SnapshotPruning(locked, scratch: stage.scratch) { count in
            read.withLock { $0 += count }
        }.run(keeping: RetentionRule(last: 1))
        locked.close()
        #expect(read.withLock { $0 } == 0, "nothing of the log is read for it")
        #expect(report.deleted == ["one"] && report.payloads == 0 && report.lockedSegments >= 2)
        #expect(
            try stage.backup.files(below: "/backup/log").map { try stage.backup.contents(of: $0) } == before)
        #expect(try prune(stage).payloads >= 12)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatHasNothingLeftToDropIsNotReadByTheNextPrune() async throws {
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<20, stage)
        try await stage.snapshot("two")
        func prune() throws -> (report: SnapshotPruning.Report, bytes: Int) {
            let read = Mutex(0)
            let repository = try stage.repository()
            defer { repository.close() }
            let report = try SnapshotPruning(repository, scratch: stage.scratch) { count in
                read.withLock { $0 += count }
            }.run(keeping: RetentionRule(last: 1))
            return (report, read.withLock { $0 })
        }
        #expect(try prune().report.payloads >= 12)
        let notes = "/backup/snapshots/pruned"
        #expect(try stage.backup.contents(of: notes).count > 0)
        let again = try prune()
        #expect(again.bytes == 0 && again.report.payloads == 0)
        // It is no more than a help: lost, or not to be understood, it keeps nothing from being done.
        for text in ["", "nothing\n1 2\n3 4 zz\n"] {
            try stage.backup.replaceFile(notes, with: Array(text.utf8))
            #expect(try prune().report.payloads == 0)
            #expect(try prune().bytes == 0)
        }
        try stage.backup.makeUnreadable(notes, 0..<1)
        #expect(try prune().report.isComplete)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aPruneThatIsStoppedLeavesEachSegmentAsItWasOrDone() async throws {
        struct Stop: Error {}
        let stage = try await SnapshotStage()
        try await put("k", 0..<20, stage.store, stage.bucket)
        try await stage.snapshot("one")
        try await delete("k", 0..<20, stage)
        try await stage.snapshot("two")
        let before = try logSize(stage)
        let repository = try stage.repository()
        // What one segment takes, and a little of the next.
        let left = Countdown(bytes: 250_000)
        #expect(throws: Stop.self) {
            try SnapshotPruning(repository, scratch: stage.scratch) { count in
                if left.take(count) { throw Stop() }
            }.run(keeping: RetentionRule(last: 1))
        }
        repository.close()
        #expect(try stage.verify() == [])
        #expect(try logSize(stage) < before)
        #expect(try prune(stage).payloads > 0)
        #expect(try stage.verify() == [])
        stage.store.close()
    }
}
