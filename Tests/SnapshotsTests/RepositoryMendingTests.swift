import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Repositories whose copies go bad while the store still has the blobs.
@Suite struct RepositoryMendingTests {
    enum Damage: CaseIterable {
        case data, blockTable, descriptor, footer, truncated, empty, missing

        func strike(_ disk: SimulatedFileSystem, _ path: String, length: UInt64) throws {
            let size = UInt64(try disk.contents(of: path).count)
            switch self {
            case .data: try disk.corrupt(path, at: 70_000)
            case .blockTable: try disk.corrupt(path, at: length + 1)
            case .descriptor: try disk.corrupt(path, at: length + 4 * ((length + 65_535) / 65_536) + 5)
            case .footer: try disk.corrupt(path, at: size - 100)
            case .truncated: try disk.corruptSize(path, to: 80_000)
            case .empty: try disk.corruptSize(path, to: 0)
            case .missing: try disk.remove(path)
            }
        }
    }

    private static let length: UInt64 = 200_000

    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage { $0.historySeconds = 600 }
        for number in 0..<3 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), Int(Self.length)))
        }
        try await stage.snapshot("one")
        return stage
    }

    @Test(arguments: Damage.allCases) func theNextSnapshotCopiesAnewWhatACheckHasFound(_ damage: Damage)
        async throws
    {
        let stage = try await stage()
        let file = try stage.files()[1]
        let good = try stage.backup.contents(of: file)
        try damage.strike(stage.backup, file, length: Self.length)
        #expect(Set(try stage.verify().map { "/backup/" + $0.path }) == [file])
        // Without reading, the data's damage does not show; it is not forgotten.
        _ = try stage.verify(percent: 0)
        let report = try await stage.snapshot("two")
        #expect(report.blobs + report.mended == 1, "one is copied, once")
        #expect(try stage.verify() == [])
        #expect(try stage.backup.contents(of: file).prefix(Int(Self.length)) == good.prefix(Int(Self.length)))
        let kept = try stage.backup.files(below: "/backup/quarantine")
        #expect(damage == .missing ? kept.isEmpty : !kept.isEmpty, "nothing is removed on doubt")
        #expect(try await stage.snapshot("three").mended == 0)
        stage.store.close()
    }

    @Test(arguments: Damage.allCases) func aRepositoryIsMendedFromItsStoreWithoutASnapshot(_ damage: Damage)
        async throws
    {
        let stage = try await stage()
        let file = try stage.files()[0]
        try damage.strike(stage.backup, file, length: Self.length)
        #expect(try stage.verify().isEmpty == false)
        let repository = try stage.repository()
        var outcomes: [RepositoryMending.Outcome] = []
        try await RepositoryMending(stage.store, repository).run { outcomes.append($0) }
        repository.close()
        #expect(outcomes.map { "/backup/" + $0.path } == [file])
        #expect(outcomes.map(\.byteCount) == [Self.length] && outcomes[0].reason == nil)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatHistoryAloneHoldsMendsTooAndWhatIsGoneIsSaid() async throws {
        let stage = try await stage()
        let files = try stage.files()
        for number in 0..<3 { try await stage.delete("k\(number)") }
        for file in files { try stage.backup.corrupt(file, at: 5) }
        #expect(try stage.verify().count == 3)
        #expect(try await stage.snapshot("two").mended == 3)
        #expect(try stage.verify() == [])
        for file in files { try stage.backup.corrupt(file, at: 5) }
        #expect(try stage.verify().count == 3)
        stage.started.fixture.advance(seconds: 1000)
        while try await stage.store.reclaim() {}
        #expect(try await stage.snapshot("three").mended == 0)
        let repository = try stage.repository()
        var reasons: [String] = []
        try await RepositoryMending(stage.store, repository).run { reasons.append($0.reason ?? "mended") }
        repository.close()
        #expect(reasons == Array(repeating: "the store has it no more", count: 3))
        #expect(try stage.verify().count == 3, "and it is still found")
        stage.store.close()
    }

    @Test func damageIsRememberedOverChecksThatReadOtherBlobs() async throws {
        let stage = try await stage()
        let files = try stage.files()
        try stage.backup.corrupt(files[0], at: 5)
        #expect(try stage.verify(percent: 34).count == 1, "two are read, the first of them")
        #expect(try stage.verify(percent: 0).isEmpty)
        let repository = try stage.repository()
        let single = try SnapshotVerification(repository, scratch: stage.scratch).run("one", percent: 0)
        repository.close()
        #expect(single.flaws == 0)
        #expect(try await stage.snapshot("two").mended == 1)
        #expect(try stage.verify().isEmpty)
        stage.store.close()
    }
}
