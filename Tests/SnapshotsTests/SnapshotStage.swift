import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Volumes

/// A store on a simulated disk, and a repository on another.
struct SnapshotStage {
    let started: StartedStore
    let backup = SimulatedFileSystem()
    var store: ObjectStore { started.store }
    var bucket: BucketName { started.bucket }
    var scratch: String { started.fixture.settings.stateDirectory }

    init(_ configure: (inout StoreSettings) -> Void = { _ in }) async throws {
        started = try await StartedStore {
            $0.segmentByteCount = 128 * 1024
            configure(&$0)
        }
    }

    func repository(on disk: SimulatedFileSystem? = nil) throws -> Repository {
        try Repository.open(
            "/backup", of: store.storeID, creates: true, fileSystem: disk ?? backup,
            clock: started.fixture.environment(backup).clock)
    }

    @discardableResult
    func snapshot(_ name: String, on disk: SimulatedFileSystem? = nil) async throws
        -> SnapshotCreation.Report
    {
        let repository = try repository(on: disk)
        defer { repository.close() }
        return try await SnapshotCreation(store, repository).run(name: name)
    }

    func verify(percent: Int = 100, on disk: SimulatedFileSystem? = nil) throws -> [RepositoryFlaw] {
        let repository = try repository(on: disk)
        defer { repository.close() }
        var flaws: [RepositoryFlaw] = []
        let report = try SnapshotVerification(repository, scratch: scratch).run(nil, percent: percent) {
            flaws.append($0)
        }
        precondition(report.flaws == flaws.count && report.firstFlaw == flaws.first, "all flaws are told")
        return flaws
    }

    /// Every version that a snapshot has.
    func versions(_ name: String) throws -> [ObjectVersion] {
        let repository = try repository()
        defer { repository.close() }
        let catalog = try SnapshotCatalog.open(
            try repository.snapshot(name), in: repository, scratch: scratch)
        return try catalog.catalog.read { try $0.versions(after: nil, limit: 10_000) }
    }

    func files() throws -> [String] { try backup.files(below: "/backup/blobs") }

    func delete(_ key: String) async throws {
        _ = try await store.delete(
            bucket, try ObjectKey(key), .current, conditions: .none, actor: tester)
    }
}

func bytes(_ seed: UInt8, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) ^ seed }
}
