import Catalog
import Foundation
import Importing
import Model
import ObjectStore
import S3
import TestSupport
import Testing

/// Files that a file of sums names.
@Suite struct ImportSumsTests {
    private func run(
        _ started: StartedStore, from folder: String, into bucket: String, sums: String,
        followsLinks: Bool = false
    ) async throws -> (outcomes: [ImportOutcome], summary: ImportSummary) {
        var order = ImportOrder(from: folder, into: bucket)
        order.sums = sums
        order.followsLinks = followsLinks
        let root = ObjectOwner(id: "root", displayName: "root")
        var outcomes: [ImportOutcome] = []
        let summary = try await Import(
            started.store, order, settings: S3Settings(),
            users: ImportUsers(named: { _ in nil }, displayName: { _ in nil }, root: root),
            executor: globalConcurrentExecutor
        ).run { outcomes.append($0) }
        return (outcomes, summary)
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "/holdfast-sums-\(UniqueID<Never>.random())"
        try FileManager.default.createDirectory(
            atPath: folder + "/files/a", withIntermediateDirectories: true)
        try Data([1]).write(to: URL(fileURLWithPath: folder + "/files/a/real"))
        try await body(folder)
        try FileManager.default.removeItem(atPath: folder)
    }

    /// A table as the command line makes it of a file of sums.
    private func table(_ folder: String, _ names: [String]) throws -> String {
        let path = folder + "/rows.sqlite"
        var left = names.enumerated().makeIterator()
        // Of the byte 1.
        let digest = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
        _ = try ReferenceTable(creating: path).fill {
            left.next().map { ReferenceRow(bucket: "", key: $0.element, line: $0.offset + 1, hash: digest) }
        }
        return path
    }

    @Test func aNamedFileThatIsOrStandsBehindASymbolicLinkIsAFailureUnlessItIsFollowed() async throws {
        try await withFolder { folder in
            let files = folder + "/files"
            try FileManager.default.createSymbolicLink(
                atPath: files + "/alias", withDestinationPath: "a/real")
            try FileManager.default.createSymbolicLink(atPath: files + "/b", withDestinationPath: "a")
            let sums = try table(folder, ["a/real", "alias", "b/real", "a/../a/real", "a", "gone"])
            let started = try await StartedStore()
            let bucket = started.bucket.rawValue
            let passed = try await run(started, from: files, into: bucket, sums: sums)
            func failed(_ outcomes: [ImportOutcome]) -> Set<String> {
                Set(outcomes.filter { $0.action == .failed }.map(\.name))
            }
            #expect(failed(passed.outcomes) == ["alias", "b/real", "a/../a/real", "a", "gone"])
            #expect(!passed.summary.isComplete && passed.summary.total.imported == 1)
            let alias = passed.outcomes.first { $0.name == "alias" && $0.action == .failed }
            #expect(alias?.detail?.contains("symbolic link") == true)
            let followed = try await run(
                started, from: files, into: bucket, sums: sums, followsLinks: true)
            #expect(failed(followed.outcomes) == ["a/../a/real", "a", "gone"])
            #expect(followed.summary.total.imported == 2 && followed.summary.total.present == 1)
            started.store.close()
        }
    }

    @Test func sumsThatCannotBeOpenedMakeNoBucket() async throws {
        try await withFolder { folder in
            let started = try await StartedStore()
            await #expect(throws: (any Error).self) {
                _ = try await run(
                    started, from: folder + "/files", into: "made", sums: folder + "/none/rows.sqlite")
            }
            #expect(throws: StoreError.self) { try started.store.bucket(try BucketName("made")) }
            started.store.close()
        }
    }
}
