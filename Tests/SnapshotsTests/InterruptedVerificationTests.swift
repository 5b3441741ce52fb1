import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// Verifications that are slowed down, ended or killed.
@Suite struct InterruptedVerificationTests {
    private struct Stop: Error {}

    private static let count = 6
    private static let length = 2 * 1024 * 1024

    /// What a repository says of how far a verification has come, and of what it found.
    private struct Notes: Equatable {
        let cursor: String?
        let damaged: [String]

        init(_ disk: SimulatedFileSystem) throws {
            func lines(_ name: String) throws -> [String] {
                let path = "/backup/snapshots/\(name)"
                guard try disk.status(of: path) != nil else { return [] }
                return String(decoding: try disk.contents(of: path), as: UTF8.self)
                    .split(separator: "\n").map(String.init)
            }
            cursor = try lines("verified").first
            damaged = try lines("damaged")
        }
    }

    private func stage(length: Int = 80_000) async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        for number in 0..<Self.count {
            try await stage.store.put(
                stage.bucket, "k\(number)", [UInt8](repeating: UInt8(number), count: length))
        }
        try await stage.snapshot("one")
        return stage
    }

    /// The blobs of the repository, by id: in the order in which they are checked.
    private func ids(_ stage: SnapshotStage) throws -> [String] {
        try stage.files().compactMap { $0.split(separator: "/").last.map(String.init) }.sorted()
    }

    private func path(_ stage: SnapshotStage, _ id: String) throws -> String {
        try #require(try stage.files().first { $0.hasSuffix(id) })
    }

    private func verify(
        _ stage: SnapshotStage, percent: Int = 100, saving: SnapshotVerification.Saving = .init(),
        _ pace: @escaping @Sendable (Int) throws -> Void = { _ in },
        tell: @escaping (RepositoryFlaw) throws -> Void = { _ in }
    ) throws -> SnapshotVerification.Report {
        let repository = try stage.repository()
        defer { repository.close() }
        return try SnapshotVerification(repository, scratch: stage.scratch, saving: saving, pace: pace)
            .run(nil, percent: percent, tell: tell)
    }

    /// Ends the work when so many large pieces were read.
    private func stopper(after pieces: Int) -> @Sendable (Int) throws -> Void {
        let seen = Mutex(0)
        return { count in
            // Frames of the log are smaller.
            guard count >= 50_000 else { return }
            let isOver = seen.withLock { seen in
                seen += 1
                return seen > pieces
            }
            if isOver { throw Stop() }
        }
    }

    @Test func thePaceIsToldOfEveryByteOfABlobPieceByPiece() async throws {
        let stage = try await stage(length: Self.length)
        let counts = Mutex<[Int]>([])
        let report = try verify(stage) { count in
            if count >= 50_000 { counts.withLock { $0.append(count) } }
        }
        #expect(report.bytesRead == UInt64(Self.count * Self.length))
        #expect(counts.withLock { $0 } == Array(repeating: 1024 * 1024, count: Self.count * 2))
        stage.store.close()
    }

    @Test func whoEndsTheWorkIsHeardWithinABlobAndTheBlobIsNotCalledBad() async throws {
        let stage = try await stage(length: Self.length)
        let pieces = Mutex(0)
        #expect(throws: Stop.self) {
            try verify(stage) { count in
                guard count >= 50_000 else { return }
                pieces.withLock { $0 += 1 }
                throw Stop()
            }
        }
        #expect(pieces.withLock { $0 } == 1)
        #expect(try Notes(stage.backup).damaged == [])
        #expect(try verify(stage).flaws == 0)
        stage.store.close()
    }

    @Test(arguments: [50, 100]) func whatWasEndedIsGoneOnWithBehindWhatWasRead(percent: Int) async throws {
        let stage = try await stage()
        let ids = try ids(stage)
        #expect(throws: Stop.self) { try verify(stage, percent: percent, stopper(after: 2)) }
        #expect(try Notes(stage.backup).cursor == ids[1])
        // Three more are read then. The last of them is damaged, and so is the first of all, to which it does not come.
        for index in [0, 4] { try stage.backup.corrupt(try path(stage, ids[index]), at: 5) }
        let told = Mutex<[String]>([])
        #expect(throws: Stop.self) {
            try verify(stage, stopper(after: 3)) { flaw in
                told.withLock { $0.append("\(flaw.blob?.description ?? "")") }
            }
        }
        #expect(told.withLock { $0 } == [ids[4]])
        #expect(try Notes(stage.backup).cursor == ids[4])
        #expect(try Notes(stage.backup).damaged == [ids[4]])
        // At last it comes to all.
        #expect(try verify(stage).flaws == 2)
        #expect(try Notes(stage.backup).damaged == [ids[0], ids[4]])
        stage.store.close()
    }

    @Test(arguments: ["one.json", "one.catalog.gz"])
    func aDamagedFileOfASnapshotThatWasFoundBeforeTheEndIsNoted(file: String) async throws {
        let stage = try await stage()
        try await stage.snapshot("two")
        try stage.backup.corrupt("/backup/snapshots/\(file)", at: 0, flipping: 0xFF)
        let isFound = Mutex(false)
        #expect(throws: Stop.self) {
            try verify(stage) { _ in
                if isFound.withLock({ $0 }) { throw Stop() }
            } tell: { _ in
                isFound.withLock { $0 = true }
            }
        }
        #expect(isFound.withLock { $0 })
        #expect(try Notes(stage.backup).damaged == [file])
        #expect(try verify(stage).knownDamage == 1)
        stage.store.close()
    }

    @Test func whatWasFoundIsSavedBeforeTheEnd() async throws {
        let stage = try await stage()
        let ids = try ids(stage)
        try stage.backup.corrupt(try path(stage, ids[1]), at: 5)
        var saving = SnapshotVerification.Saving()
        saving.blobs = 2
        let backup = stage.backup
        let notes = Mutex<[Notes]>([])
        // As whoever kills it would find it.
        let report = try verify(stage, saving: saving) { count in
            guard count >= 50_000 else { return }
            let now = try Notes(backup)
            notes.withLock { if $0.last != now { $0.append(now) } }
        }
        #expect(report.flaws == 1 && report.knownDamage == 1)
        #expect(notes.withLock { $0.map(\.cursor) } == [nil, ids[1], ids[3]])
        #expect(notes.withLock { $0.map(\.damaged) } == [[], [ids[1]], [ids[1]]])
        #expect(try Notes(backup).cursor == ids[5], "also when everything was read")
        stage.store.close()
    }

    @Test(arguments: [true, false]) func bytesAndTimeCountAsWellAsBlobs(byBytes: Bool) async throws {
        let stage = try await stage()
        let ids = try ids(stage)
        var saving = SnapshotVerification.Saving()
        if byBytes { saving.bytes = 100_000 } else { saving.time = .zero }
        let backup = stage.backup
        let cursors = Mutex<[String?]>([])
        _ = try verify(stage, saving: saving) { count in
            guard count >= 50_000 else { return }
            let now = try Notes(backup).cursor
            cursors.withLock { $0.append(now) }
        }
        let expected: [String?] =
            byBytes
            ? [nil, nil, ids[1], ids[1], ids[3], ids[3]]
            : [nil] + ids.dropLast().map { $0 }
        #expect(cursors.withLock { $0 } == expected)
        stage.store.close()
    }

    @Test func damageThatNoSnapshotNeedsAnyMoreIsForgotten() async throws {
        let stage = try await stage()
        let ids = try ids(stage)
        try stage.backup.corrupt(try path(stage, ids[2]), at: 5)
        #expect(try verify(stage).knownDamage == 1)
        #expect(try verify(stage, percent: 0).knownDamage == 1, "it is not read, and stays bad")
        let repository = try stage.repository()
        _ = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: ["one"])
        repository.close()
        #expect(try verify(stage, percent: 0).knownDamage == 0)
        stage.store.close()
    }
}
