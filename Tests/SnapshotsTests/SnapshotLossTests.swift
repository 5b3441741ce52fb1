import EventLog
import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// What a snapshot lacks because nobody had it good when it was taken.
@Suite struct SnapshotLossTests {
    /// Flips a bit of a payload on every mirror of the store; done again, it is as it was.
    private func flip(_ payload: [UInt8], _ stage: SnapshotStage) throws {
        let disk = stage.started.disk
        var count = 0
        for volume in 1...3 {
            for path in try disk.files(below: "/volume-\(volume)/log") {
                let content = Data(try disk.contents(of: path))
                let rest = Data(payload.dropFirst(100))
                guard let range = content.range(of: rest) else { continue }
                try disk.corrupt(path, at: UInt64(range.lowerBound) - 50)
                count += 1
            }
        }
        try #require(count == 3)
    }

    private func manifest(_ name: String, _ stage: SnapshotStage) throws -> SnapshotManifest {
        let repository = try stage.repository()
        defer { repository.close() }
        return try repository.snapshot(name)
    }

    @Test func bytesThatNobodyHasAreCountedInEachManifestUntilSomebodyHasThem() async throws {
        let stage = try await SnapshotStage()
        let (small, gone, part) = (bytes(1, 20_000), bytes(2, 20_000), bytes(3, 20_000))
        try await stage.store.put(stage.bucket, "small", small)
        try await stage.store.put(stage.bucket, "gone", gone)
        let upload = try await stage.store.createUpload(
            stage.bucket, try ObjectKey("parts"), metadata: EventMetadata(),
            checksumAlgorithm: .unspecified, composite: false, actor: tester
        ).value
        _ = try await stage.store.putPart(stage.bucket, "parts", upload.uploadID, 1, part)
        try await stage.store.put(stage.bucket, "good", bytes(4, 20_000))
        try await stage.delete("gone")
        for payload in [small, gone, part] { try flip(payload, stage) }

        let report = try await stage.snapshot("one")
        #expect(report.lostPayloads == 3 && report.manifest.lostPayloads == 2, "nobody needs one of them")
        #expect(report.manifest.format == 2 && report.manifest.lostBlobs == 0 && !report.manifest.isComplete)
        #expect(try manifest("one", stage) == report.manifest)
        guard
            case .snapshotTaken(let noted)? = try stage.store.events(
                from: stage.store.head.sequence, limit: 1
            )
            .first?.record.change
        else {
            Issue.record("the store's log does not say that the snapshot was taken")
            return
        }
        #expect(noted.lostPayloads == 2 && noted.lostBlobs == 0)
        #expect(try stage.verify().count == 2, "which is no flaw")

        let second = try await stage.snapshot("two")
        #expect(second.lostPayloads == 0 && second.manifest.lostPayloads == 2, "nothing is copied anew")

        for payload in [small, gone, part] { try flip(payload, stage) }
        let third = try await stage.snapshot("three")
        #expect(third.mended == 3 && third.manifest.isComplete && third.manifest.format == 1)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatWasCopiedAsLostBeforeASnapshotWasEndedIsCountedByTheNext() async throws {
        struct Stop: Error {}
        let stage = try await SnapshotStage()
        // Several segments of 128 KiB, and so several runs.
        for number in 0..<14 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        try flip(bytes(0, 20_000), stage)
        let lost = try stage.store.version(stage.bucket, try ObjectKey("k0"), .current).sequence
        let runs = Mutex(0)
        let repository = try stage.repository()
        let creation = SnapshotCreation(
            stage.store, repository,
            pace: { _ in
                let run = runs.withLock { runs in
                    runs += 1
                    return runs
                }
                if run > 1 { throw Stop() }
            })
        await #expect(throws: Stop.self) { try await creation.run(name: "ended") }
        #expect(repository.log.head.sequence >= lost, "it is copied")
        repository.close()

        let report = try await stage.snapshot("one")
        #expect(report.lostPayloads == 0 && report.manifest.lostPayloads == 1)
        #expect(try stage.verify().map(\.sequence) == [lost])
        try flip(bytes(0, 20_000), stage)
        #expect(try await stage.snapshot("two").manifest.isComplete)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    private struct Check {
        let flaws: [SequenceNumber?]
        let knownDamage: Int
        /// Lines of what the repository knows to be bad.
        let notes: [String]

        init(_ stage: SnapshotStage, _ snapshot: String? = nil) throws {
            let repository = try stage.repository()
            defer { repository.close() }
            var flaws: [SequenceNumber?] = []
            let report = try SnapshotVerification(repository, scratch: stage.scratch)
                .run(snapshot, percent: 0) { flaws.append($0.sequence) }
            (self.flaws, knownDamage) = (flaws, report.knownDamage)
            notes = try Self.notes(stage)
        }

        static func notes(_ stage: SnapshotStage) throws -> [String] {
            String(decoding: try stage.backup.contents(of: "/backup/snapshots/damaged"), as: UTF8.self)
                .split(separator: "\n").map(String.init)
        }
    }

    private func mend(_ stage: SnapshotStage) async throws -> [String?] {
        let repository = try stage.repository()
        defer { repository.close() }
        var reasons: [String?] = []
        try await RepositoryMending(stage.store, repository).run { reasons.append($0.reason) }
        return reasons
    }

    /// Objects that fill a segment which the store gives back when they are deleted; the bytes of the first one are lost.
    private func lossyStage() async throws -> (stage: SnapshotStage, lost: SequenceNumber) {
        let stage = try await SnapshotStage { $0.historySeconds = 600 }
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        try flip(bytes(0, 20_000), stage)
        return (stage, try stage.store.version(stage.bucket, try ObjectKey("k0"), .current).sequence)
    }

    /// The store has the bytes again, and drops them, since nothing there needs them.
    private func dropFromStore(_ stage: SnapshotStage) async throws {
        try flip(bytes(0, 20_000), stage)
        stage.started.fixture.advance(seconds: 1000)
        while try await stage.store.reclaim() {}
    }

    @Test func aLostPayloadIsNoFlawIfNoSnapshotNeedsItAndIsForgottenWhenTheStoreHasDroppedIt() async throws {
        let (stage, lost) = try await lossyStage()
        for number in 0..<6 { try await stage.delete("k\(number)") }
        let first = try await stage.snapshot("one")
        #expect(first.lostPayloads == 1 && first.manifest.isComplete)
        for name in [nil, "one"] {
            let check = try Check(stage, name)
            #expect(check.flaws == [] && check.knownDamage == 0)
            #expect(check.notes == ["\(lost)"], "history may bring it back to life, for a later snapshot")
        }
        #expect(try await mend(stage) == [], "no snapshot needs it")
        #expect(try Check.notes(stage) == ["\(lost)"])

        try await dropFromStore(stage)
        #expect(try await stage.snapshot("two").mended == 0)
        #expect(try Check.notes(stage) == [])
        let check = try Check(stage)
        #expect(check.flaws == [] && check.knownDamage == 0)
        #expect(try await mend(stage) == [] && Check.notes(stage) == [])
        stage.store.close()
    }

    @Test func aLostPayloadThatTheStoreHasDroppedIsAFlawWhileASnapshotNeedsIt() async throws {
        let (stage, lost) = try await lossyStage()
        #expect(try await stage.snapshot("kept").manifest.lostPayloads == 1)
        for number in 0..<6 { try await stage.delete("k\(number)") }
        try await dropFromStore(stage)
        #expect(try await stage.snapshot("two").manifest.isComplete)
        for name in [nil, "two"] {
            let check = try Check(stage, name)
            #expect(check.flaws == [lost] && check.knownDamage == 1 && check.notes == ["\(lost)"])
        }
        #expect(try await mend(stage) == ["the store has the event's bytes no more"])

        let repository = try stage.repository()
        _ = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: ["kept"])
        repository.close()
        let check = try Check(stage)
        #expect(check.flaws == [] && check.knownDamage == 0 && check.notes == [], "nobody needs it any more")
        #expect(try await stage.snapshot("three").manifest.isComplete)
        #expect(try Check.notes(stage) == [])
        stage.store.close()
    }

    @Test func aLostPayloadIsAFlawWhileItIsNotKnownWhatASnapshotNeeds() async throws {
        let (stage, lost) = try await lossyStage()
        for number in 0..<6 { try await stage.delete("k\(number)") }
        try await stage.snapshot("one")
        try await stage.snapshot("two")
        try await dropFromStore(stage)
        try stage.backup.corrupt("/backup/snapshots/one.catalog.gz", at: 200)
        try await stage.snapshot("three")
        #expect(try Check.notes(stage) == ["\(lost)"], "nothing is forgotten on doubt")
        #expect(try Check(stage).flaws == [lost, nil], "and the catalog is told")
        stage.store.close()
    }

    /// The end of the repository's log was damaged, and what stood there is copied again: without what the store has dropped.
    @Test(arguments: [true, false]) func bytesThatComeNoMoreWhenEventsAreCopiedAgainAreLost(isNeeded: Bool)
        async throws
    {
        let stage = try await SnapshotStage { $0.historySeconds = 600 }
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        let lost = try stage.store.version(stage.bucket, try ObjectKey("k8"), .current).sequence
        if !isNeeded { try await stage.delete("k8") }
        try await stage.snapshot("one")
        for number in 0..<10 where isNeeded || number != 8 { try await stage.delete("k\(number)") }
        for number in 0..<8 {
            try await stage.store.put(stage.bucket, "z\(number)", bytes(UInt8(100 + number), 20_000))
        }
        stage.started.fixture.advance(seconds: 1000)
        while try await stage.store.reclaim() {}
        // Its body: the last segment of the copy ends before it.
        let path = try #require(try stage.backup.files(below: "/backup/log").last)
        let content = Data(try stage.backup.contents(of: path))
        let place = try #require(content.range(of: Data(bytes(8, 20_000))))
        try stage.backup.corrupt(path, at: UInt64(place.lowerBound) - 55)

        let report = try await stage.snapshot("two")
        #expect(report.lostPayloads >= 1 && report.manifest.isComplete, "it needs none of them")
        #expect(try Check(stage).flaws.contains(lost) == isNeeded)
        #expect(try Check.notes(stage).contains("\(lost)") == isNeeded)
        let reasons = try await mend(stage)
        #expect(reasons.allSatisfy { $0 == "the store has the event's bytes no more" })
        #expect(!reasons.isEmpty, "of the others")
        stage.store.close()
    }

    @Test func aBlobThatNobodyHasIsCounted() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "large", bytes(1, 90_000))
        for volume in 1...3 {
            for path in try stage.started.disk.files(below: "/volume-\(volume)/blobs") {
                try stage.started.disk.corrupt(path, at: 7)
            }
        }
        let manifest = try await stage.snapshot("one").manifest
        #expect(manifest.lostBlobs == 1 && manifest.lostPayloads == nil && !manifest.isComplete)
        #expect(manifest.format == 1, "which says it as well")
        stage.store.close()
    }
}
