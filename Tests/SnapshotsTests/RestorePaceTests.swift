import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing

/// The rate of a restore.
@Suite struct RestorePaceTests {
    private static let length = 2 * 1024 * 1024 + 5000

    private func restore(
        _ stage: SnapshotStage, search: BytePace? = nil, _ change: (inout RestoreOrder) -> Void = { _ in },
        _ wait: @escaping @Sendable () throws -> Void
    ) async throws -> RestoreSummary {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        change(&order)
        // So slow that each piece of bytes is waited for, which here takes no time.
        let pace = BytePace(rate: 1) { _ in try wait() }
        return try await Restore(stage.store, repository, order, pace: pace, search: search).run { _ in }
    }

    @Test func anObjectIsWaitedForWhileItIsCopiedNotBehindIt() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", [UInt8](repeating: 3, count: Self.length))
        try await stage.snapshot("one")
        try await stage.delete("k")
        let key = try ObjectKey("k")
        let waits = Mutex(0)
        let summary = try await restore(stage) {
            waits.withLock { $0 += 1 }
            #expect(throws: StoreError.self) { try stage.store.version(stage.bucket, key, .current) }
        }
        #expect(summary.total.restored == 1 && waits.withLock { $0 } == 3)
        stage.store.close()
    }

    @Test func filesAreWaitedForAsTheyAreWritten() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", [UInt8](repeating: 3, count: Self.length))
        try await stage.snapshot("one")
        let folder = stage.scratch + "/out"
        let waits = Mutex(0)
        let summary = try await restore(stage) {
            $0.folder = folder
        } _: {
            waits.withLock { $0 += 1 }
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/bucket/k"))
        }
        #expect(summary.total.restored == 1 && waits.withLock { $0 } == 3)
        stage.store.close()
    }

    @Test func whoEndsTheWorkIsHeardWithinAnObjectAndNothingIsLeftOfIt() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", [UInt8](repeating: 3, count: Self.length))
        try await stage.snapshot("one")
        try await stage.delete("k")
        while try await stage.store.reclaim() {}
        await #expect(throws: CancellationError.self) {
            try await restore(stage) { throw CancellationError() }
        }
        #expect(throws: StoreError.self) {
            try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        }
        #expect(try stage.started.halfThere() == [])
        stage.store.close()
    }

    @Test func whatIsDamagedIsWaitedForWhileItIsCopiedToEachVolume() async throws {
        let stage = try await SnapshotStage()
        for key in ["a", "b", "good"] { try await stage.store.put(stage.bucket, key, bytes(1, 80_000)) }
        try await stage.snapshot("one")
        for key in ["a", "b"] {
            let version = try stage.store.version(stage.bucket, try ObjectKey(key), .current)
            let id = Array(version.record.pieces[0].blobID).hexadecimal
            for volume in 1...3 {
                let folder = "/volume-\(volume)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))"
                try stage.started.disk.corrupt("\(folder)/\(id)", at: 10)
            }
        }
        let waits = Mutex(0)
        let summary = try await restore(stage) {
            $0.unit.isDamagedOnly = true
        } _: {
            waits.withLock { $0 += 1 }
        }
        #expect(summary.total.restored == 2 && waits.withLock { $0 } == 2 * 3)
        stage.store.close()
    }

    /// The good ones too: each is read to its end.
    @Test func whatMayBeDamagedIsReadAtTheRate() async throws {
        let stage = try await SnapshotStage()
        for key in ["a", "b"] {
            try await stage.store.put(stage.bucket, key, [UInt8](repeating: 3, count: Self.length))
        }
        try await stage.snapshot("one")
        let waits = Mutex(0)
        let search = BytePace(rate: 1) { _ in waits.withLock { $0 += 1 } }
        let summary = try await restore(stage, search: search) {
            $0.unit.isDamagedOnly = true
        } _: {
            Issue.record("nothing is written")
        }
        #expect(summary.total.restored == 0 && waits.withLock { $0 } == 2 * 3)
        await #expect(throws: CancellationError.self) {
            try await restore(stage, search: BytePace(rate: 1) { _ in throw CancellationError() }) {
                $0.unit.isDamagedOnly = true
            } _: {
            }
        }
        stage.store.close()
    }
}
