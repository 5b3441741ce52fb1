import EventLog
import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// A repository's copy of the log, damaged while the store has the events.
@Suite struct RepositoryLogTests {
    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        // Several segments of 128 KiB, the last one open.
        for number in 0..<30 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        try await stage.snapshot("one")
        return stage
    }

    /// The segments of the copy.
    private func segments(_ stage: SnapshotStage) throws -> [String] {
        try stage.backup.files(below: "/backup/log")
    }

    private func find(_ payload: [UInt8], in stage: SnapshotStage) throws -> (path: String, place: UInt64) {
        for path in try segments(stage) {
            let content = Data(try stage.backup.contents(of: path))
            if let range = content.range(of: Data(payload)) { return (path, UInt64(range.lowerBound)) }
        }
        throw LogError.damaged(.zero, "no segment has the payload")
    }

    /// On every mirror of the store.
    /// - Returns: brings it back.
    @discardableResult
    private func lose(_ payload: [UInt8], _ stage: SnapshotStage) throws -> () throws -> Void {
        let disk = stage.started.disk
        var places: [(path: String, place: UInt64)] = []
        for volume in 1...3 {
            for path in try disk.files(below: "/volume-\(volume)/log") {
                let content = Data(try disk.contents(of: path))
                guard let range = content.range(of: Data(payload)) else { continue }
                places.append((path, UInt64(range.lowerBound) + 9))
            }
        }
        try #require(places.count == 3)
        let flip = { [places] in for (path, place) in places { try disk.corrupt(path, at: place) } }
        try flip()
        return flip
    }

    /// The event's body and header, or its payload, in sealed segments; the bytes of one in the last, of the last one too.
    @Test(arguments: [(number: 1, before: 0), (1, 60), (9, 0), (16, 60), (28, 0), (29, 0)])
    func anEventIsMendedFromTheStoresLog(number: Int, before: Int) async throws {
        let stage = try await stage()
        try #require(try segments(stage).count > 2)
        let (path, place) = try find(bytes(UInt8(number), 20_000), in: stage)
        let good = try stage.backup.contents(of: path)
        try stage.backup.corrupt(path, at: place + 5 - UInt64(before))
        let flaws = try stage.verify(percent: 0)
        #expect(flaws.count == 1 && flaws[0].sequence != nil, "\(flaws)")
        #expect(try await stage.snapshot("two").mended == 1)
        #expect(try stage.verify(percent: 0) == [])
        let now = try stage.backup.contents(of: path)
        #expect(now.starts(with: good.prefix(Int(place) + 20_000)))
        #expect(!(try stage.backup.files(below: "/backup/quarantine").isEmpty))
        // And the copy goes on.
        try await stage.store.put(stage.bucket, "later", bytes(77, 20_000))
        try await stage.snapshot("three")
        #expect(try stage.verify() == [])
        #expect(try stage.versions("three").count == 31)
        stage.store.close()
    }

    @Test func manyDamagedEventsAreAllFoundAndMended() async throws {
        let stage = try await stage()
        for number in stride(from: 0, to: 20, by: 4) {
            let (path, place) = try find(bytes(UInt8(number), 20_000), in: stage)
            try stage.backup.corrupt(path, at: place + 5 - (number % 8 == 0 ? 60 : 0))
        }
        #expect(try stage.verify(percent: 0).count == 5)
        let repository = try stage.repository()
        var reasons: [String?] = []
        try await RepositoryMending(stage.store, repository).run { reasons.append($0.reason) }
        repository.close()
        #expect(reasons == Array(repeating: nil, count: 5))
        #expect(try stage.verify(percent: 0) == [])
        stage.store.close()
    }

    /// In the segment that is appended to, damage looks like a torn end.
    @Test(arguments: [(number: 28, before: 60), (29, 60)], [false, true])
    func aTornEndIsCopiedAgain(damage: (number: Int, before: Int), takesSnapshot: Bool) async throws {
        let stage = try await stage()
        let (path, place) = try find(bytes(UInt8(damage.number), 20_000), in: stage)
        let good = try stage.backup.contents(of: path)
        try stage.backup.corrupt(path, at: place + 5 - UInt64(damage.before))
        let damaged = try stage.backup.contents(of: path)
        #expect(try stage.verify(percent: 0).map(\.snapshot) == ["one"])
        if takesSnapshot {
            #expect(try await stage.snapshot("two").events > 0)
        } else {
            let repository = try stage.repository()
            var reasons: [String?] = []
            try await RepositoryMending(stage.store, repository).run { reasons.append($0.reason) }
            repository.close()
            #expect(reasons == [nil])
        }
        #expect(try stage.verify(percent: 0) == [])
        #expect(try stage.backup.contents(of: path).starts(with: good))
        #expect(
            try stage.backup.files(below: "/backup/quarantine").map { try stage.backup.contents(of: $0) }
                .contains(damaged), "it was good once")
        stage.store.close()
    }

    @Test func whatTheStoreHasLostOfATornEndIsSaidAndMendedWhenItHasItAgain() async throws {
        let stage = try await stage()
        let sequences = try [28, 29].map {
            try stage.store.version(stage.bucket, try ObjectKey("k\($0)"), .current).sequence
        }
        let (path, place) = try find(bytes(28, 20_000), in: stage)
        try stage.backup.corrupt(path, at: place - 55)
        let bringBack = try lose(bytes(29, 20_000), stage)
        func mend() async throws -> [RepositoryMending.Outcome] {
            let repository = try stage.repository()
            defer { repository.close() }
            var outcomes: [RepositoryMending.Outcome] = []
            try await RepositoryMending(stage.store, repository).run { outcomes.append($0) }
            return outcomes
        }
        let outcomes = try await mend()
        #expect(outcomes.map(\.sequence) == sequences)
        #expect(outcomes.map(\.reason) == [nil, "no mirror of the store has the event with its bytes"])
        #expect(try stage.verify(percent: 0).map(\.sequence) == [sequences[1]])
        try bringBack()
        #expect(try await mend().map(\.reason) == [nil])
        #expect(try stage.verify(percent: 0) == [])
        #expect(try await mend() == [])
        stage.store.close()
    }

    /// With its catalog damaged and the log's end too, it is not known what a snapshot needs.
    @Test func aSnapshotWhoseCatalogCannotBeComputedKeepsItsBlobs() async throws {
        let stage = try await stage()
        try await stage.store.put(stage.bucket, "large", bytes(9, 90_000))
        try await stage.snapshot("two")
        let files = try stage.files()
        try #require(files.count == 1)
        try stage.backup.corrupt("/backup/snapshots/two.catalog.gz", at: 200)
        let (path, place) = try find(Array("large".utf8), in: stage)
        try #require(try segments(stage).last == path)
        try stage.backup.corrupt(path, at: place)
        let repository = try stage.repository()
        let manifest = try repository.snapshot("two")
        #expect(throws: LogError.self) {
            try SnapshotCatalog.open(manifest, in: repository, scratch: stage.scratch)
        }
        let report = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: [])
        #expect(report.unknown.map(\.name) == ["two"] && !report.isComplete)
        repository.close()
        #expect(try stage.files() == files)
        #expect(
            Set(try stage.verify(percent: 0).map(\.path)) == ["log", "snapshots/two.catalog.gz"],
            "a check says what is wrong")
        // The next snapshot copies the end again, and computes its catalog of the whole log.
        #expect(try await stage.snapshot("three").events > 0)
        #expect(try stage.versions("two").count == 31)
        let mended = try stage.repository()
        _ = try SnapshotPruning(mended, scratch: stage.scratch).run(deleting: ["two"])
        mended.close()
        #expect(try stage.files() == files)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatTheStoreHasLostTooIsSaidAndStays() async throws {
        let stage = try await stage()
        let payload = bytes(3, 20_000)
        try lose(payload, stage)
        let (path, place) = try find(payload, in: stage)
        try stage.backup.corrupt(path, at: place + 5)
        let damaged = try stage.backup.contents(of: path)
        #expect(try stage.verify(percent: 0).count == 1)
        let repository = try stage.repository()
        var reasons: [String?] = []
        try await RepositoryMending(stage.store, repository).run { reasons.append($0.reason) }
        repository.close()
        #expect(reasons == ["no mirror of the store has the event with its bytes"])
        #expect(try stage.backup.contents(of: path) == damaged)
        #expect(try stage.verify(percent: 0).count == 1)
        stage.store.close()
    }
}
