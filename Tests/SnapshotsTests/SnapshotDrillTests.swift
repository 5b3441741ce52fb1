import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Restores that are practised: what the repository is blamed for, and what the disk is on which they are practised.
@Suite struct SnapshotDrillTests {
    private static let size = 80_000

    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, Self.size))
        try await stage.snapshot("one")
        return stage
    }

    /// Where the drill puts what it restores.
    private func scratchDisk(_ stage: SnapshotStage, capacity: UInt64? = nil) throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem(capacity: capacity)
        try disk.place([], at: stage.scratch + "/here")
        return disk
    }

    private func drill(
        _ stage: SnapshotStage, on disk: SimulatedFileSystem,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) throws -> SnapshotDrill.Report {
        let repository = try stage.repository()
        defer { repository.close() }
        var generator = SeededGenerator(seed: 1)
        return try SnapshotDrill(repository, scratch: stage.scratch, on: disk, pace: pace)
            .run(nil, count: 10, using: &generator)
    }

    @Test func whatIsRestoredIsWrittenAndReadAgainAndLeavesNothing() async throws {
        let stage = try await stage()
        let disk = try scratchDisk(stage)
        disk.recordOperations()
        let report = try drill(stage, on: disk)
        #expect(report.objects == 1 && report.bytes == UInt64(Self.size) && report.unwritten == 0)
        #expect(report.failures == [])
        #expect(disk.operationLog.contains { $0.contains(" sync ") })
        #expect(try disk.files(below: stage.scratch) == [stage.scratch + "/here"])
        stage.store.close()
    }

    @Test func aDamagedReplicaIsTheRepositorysFault() async throws {
        let stage = try await stage()
        let replica = try #require(try stage.files().first)
        try stage.backup.corrupt(replica, at: 66_000)
        let report = try drill(stage, on: try scratchDisk(stage))
        #expect(report.objects == 1 && report.failures.map(\.key) == ["k"])
        stage.store.close()
    }

    @Test func otherBytesOnTheScratchDiskEndTheDrillAndAreNotTheRepositorysFault() async throws {
        let stage = try await stage()
        let disk = try scratchDisk(stage)
        let scratch = stage.scratch
        let error = try #require(throws: FileSystemError.self) {
            try drill(stage, on: disk) { count in
                // Told of bytes that are written by now, and not read again yet.
                guard count > 0 else { return }
                for path in try disk.files(below: scratch) where path.contains("/drill-") {
                    try disk.corrupt(path, at: 1000)
                }
            }
        }
        #expect(error.path.hasPrefix(scratch + "/drill-"))
        #expect(error.detail == "it has other bytes than were written to it")
        stage.store.close()
    }

    @Test(arguments: [FaultEffect.fail(EIO), .shortRead(0)])
    func aScratchDiskThatCannotBeReadEndsTheDrill(effect: FaultEffect) async throws {
        let stage = try await stage()
        let disk = try scratchDisk(stage)
        disk.inject(Fault(effect, on: [.read], times: nil))
        let error = try #require(throws: FileSystemError.self) { try drill(stage, on: disk) }
        #expect(error.path.hasPrefix(stage.scratch))
        stage.store.close()
    }

    @Test func withoutRoomOnTheScratchDiskItsBytesAreComparedAsTheyCome() async throws {
        let stage = try await stage()
        // A tenth stays free: with it there is room for less than the object.
        let disk = try scratchDisk(stage, capacity: UInt64(Self.size) + 4096)
        let report = try drill(stage, on: disk)
        #expect(report.objects == 1 && report.unwritten == 1 && report.failures == [])
        let replica = try #require(try stage.files().first)
        try stage.backup.corrupt(replica, at: 66_000)
        #expect(try drill(stage, on: disk).failures.map(\.key) == ["k"])
        stage.store.close()
    }

    @Test func aScratchDiskThatCannotTellItsRoomEndsTheDrill() async throws {
        let stage = try await stage()
        let disk = try scratchDisk(stage)
        disk.inject(Fault(.fail(EIO), on: [.space], times: nil))
        #expect(throws: FileSystemError.self) { try drill(stage, on: disk) }
        stage.store.close()
    }
}
