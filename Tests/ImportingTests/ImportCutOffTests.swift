import Catalog
import Foundation
import Importing
import Integrity
import Model
import ObjectStore
import S3
import TestSupport
import Testing
import Volumes

/// A folder of files, imported into a store on a simulated disk.
private struct ImportStage {
    let started: StartedStore
    let folder: String
    let files: [String: [UInt8]]

    init(_ files: [String: [UInt8]]) async throws {
        started = try await StartedStore()
        _ = try await started.store.configureBucket(
            started.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        folder = NSTemporaryDirectory() + "/holdfast-import-\(UniqueID<Never>.random())"
        self.files = files
        for (name, bytes) in files {
            let url = URL(fileURLWithPath: folder + "/" + name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: url)
        }
    }

    func remove() throws { try FileManager.default.removeItem(atPath: folder) }

    func run(_ store: ObjectStore) async throws -> ImportSummary {
        var order = ImportOrder(from: folder, into: started.bucket.rawValue)
        order.parallel = 1
        let root = ObjectOwner(id: "root", displayName: "root")
        return try await Import(
            store, order, settings: S3Settings(),
            users: ImportUsers(named: { _ in nil }, displayName: { _ in nil }, root: root),
            executor: globalConcurrentExecutor
        ).run { _ in }
    }

    /// What is wrong with a store that has all of it.
    func flaws(in store: ObjectStore) async throws -> [String] {
        var found: [String] = []
        for (name, bytes) in files where try await store.get(started.bucket, name) != bytes {
            found.append("\(name) has other bytes")
        }
        let versions = try store.inspection.catalog.read { try $0.counts() }.versions
        if versions != files.count { found.append("\(versions) versions of \(files.count) files") }
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            found.append("\($0)")
        }
        return found
    }
}

/// Every operation of the file system is where a process may end, and a power cut too.
@Suite struct ImportCutOffTests {
    private static func bytes(_ seed: UInt8, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) ^ seed }
    }

    @Test func anImportThatIsCutOffAnywhereIsFinishedByGivingItAgain() async throws {
        let stage = try await ImportStage([
            "empty": [], "small": Self.bytes(1, 100), "a/inline": Self.bytes(2, 60_000),
            "a/blob": Self.bytes(3, 70_000), "b/large": Self.bytes(4, 200_000),
        ])
        let before = stage.started.disk.clone()
        stage.started.store.close()
        let fixture = stage.started.fixture
        var point = 1
        while true {
            try fixture.forgetCatalog()
            let disk = before.recovered(seed: UInt64(point))
            let store = try await fixture.open(disk)
            disk.crash(atOperation: point)
            let imported = try await stage.run(store).total.imported
            store.close()
            if imported == 5 { break }
            let survivor = disk.recovered(seed: UInt64(point))
            try fixture.forgetCatalog()
            let again = try await fixture.open(survivor)
            let rest = try await stage.run(again)
            #expect(rest.isComplete, "after operation \(point)")
            #expect(rest.total.imported + rest.total.present == 5, "after operation \(point)")
            #expect(
                rest.total.present >= imported, "what was said to be imported is there: operation \(point)")
            #expect(try await stage.flaws(in: again) == [], "after operation \(point)")
            again.close()
            point += 3
        }
        #expect(point > 30)
        try stage.remove()
    }

    @Test func anImportGoesOnWithoutAVolumeThatFails() async throws {
        let stage = try await ImportStage([
            "small": Self.bytes(1, 100), "blob": Self.bytes(3, 70_000), "large": Self.bytes(4, 200_000),
        ])
        stage.started.strike(2, .fail(EIO), on: [.write, .sync])
        let summary = try await stage.run(stage.started.store)
        #expect(summary.isComplete && summary.total.imported == 3)
        #expect(stage.started.standings.filter { $0 == .inService }.count == 2)
        for (name, bytes) in stage.files {
            #expect(try await stage.started.store.get(stage.started.bucket, name) == bytes)
        }
        stage.started.store.close()
        try stage.remove()
    }
}
