import Catalog
import Foundation
import GRDB
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Manifests and stored catalogs that go bad: what they name is not lost for it, and no other snapshot suffers.
@Suite struct SnapshotFileTests {
    private static let manifest = "/backup/snapshots/one.json"
    private static let catalog = "/backup/snapshots/one.catalog.gz"

    /// One object that only the first snapshot needs, one that only the second does, and one that both do.
    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "both", bytes(1, 100_000))
        try await stage.store.put(stage.bucket, "first", bytes(2, 100_000))
        try await stage.snapshot("one")
        try await stage.delete("first")
        try await stage.store.put(stage.bucket, "second", bytes(3, 100_000))
        try await stage.snapshot("two")
        return stage
    }

    /// Changes a number of a manifest, so that it does not match its digest.
    private func strikeManifest(_ stage: SnapshotStage) throws {
        let text = String(decoding: try stage.backup.contents(of: Self.manifest), as: UTF8.self)
        let changed = text.replacing("\"versions\" : 2", with: "\"versions\" : 3")
        try #require(changed != text)
        try stage.backup.replaceFile(Self.manifest, with: Array(changed.utf8))
    }

    private func prune(
        _ stage: SnapshotStage, _ body: (SnapshotPruning) throws -> SnapshotPruning.Report
    ) throws -> SnapshotPruning.Report {
        let repository = try stage.repository()
        defer { repository.close() }
        return try body(SnapshotPruning(repository, scratch: stage.scratch))
    }

    private func mend(_ stage: SnapshotStage) async throws -> [RepositoryMending.Outcome] {
        let repository = try stage.repository()
        defer { repository.close() }
        var outcomes: [RepositoryMending.Outcome] = []
        try await RepositoryMending(stage.store, repository).run { outcomes.append($0) }
        return outcomes
    }

    private func manifest(_ stage: SnapshotStage) throws -> SnapshotManifest {
        let repository = try stage.repository()
        defer { repository.close() }
        return try repository.snapshot("one")
    }

    @Test func nothingIsGivenBackUntilASnapshotWhoseManifestIsDamagedIsDeletedByItsName() async throws {
        let stage = try await stage()
        try await stage.snapshot("three")
        try strikeManifest(stage)
        let pruned = try prune(stage) { try $0.run(keeping: RetentionRule(last: 1)) }
        #expect(pruned.deleted == ["two"], "the rule is carried out where the manifests are good")
        #expect(pruned.unknown.map(\.name) == ["one"])
        #expect(pruned.blobs == 0 && pruned.payloads == 0)
        #expect(try stage.files().count == 3)
        let deleted = try prune(stage) { try $0.run(deleting: ["one"]) }
        #expect(deleted.deleted == ["one"] && deleted.unknown.isEmpty)
        #expect(deleted.blobs == 1 && deleted.bytes == 100_000)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aSnapshotThatCannotBeComputedKeepsWhatItMayNeed() async throws {
        let stage = try await stage()
        try stage.backup.corrupt(Self.catalog, at: 100)
        let log = try #require(try stage.backup.files(below: "/backup/log").first)
        try stage.backup.corrupt(log, at: 4096 + 200)
        let pruned = try prune(stage) { try $0.run(deleting: []) }
        #expect(pruned.unknown.map(\.name) == ["one"])
        #expect(try stage.files().count == 3)
        let deleted = try prune(stage) { try $0.run(deleting: ["one"]) }
        #expect(deleted.unknown.isEmpty && deleted.blobs == 1)
        stage.store.close()
    }

    @Test func whatASnapshotNeedsIsCheckedAlsoWhereItsCatalogIsDamaged() async throws {
        let stage = try await stage()
        let before = try stage.files()
        #expect(before.count == 3, "one of them is needed by the first snapshot alone")
        try stage.backup.corrupt(Self.catalog, at: 100)
        for file in before { try stage.backup.corrupt(file, at: 5) }
        let flaws = try stage.verify()
        #expect(flaws.compactMap(\.file?.path) == ["snapshots/one.catalog.gz"])
        #expect(Set(flaws.filter { $0.blob != nil }.map { "/backup/" + $0.path }) == Set(before))
        stage.store.close()
    }

    @Test func aCatalogThatALaterReleaseStoredIsNoFlawAndWhatItsSnapshotNeedsIsChecked() async throws {
        let stage = try await stage()
        do {
            let repository = try stage.repository()
            defer { repository.close() }
            let later = try SnapshotCatalog.open(
                try repository.snapshot("one"), in: repository, scratch: stage.scratch)
            try later.catalog.withWriter { try $0.database.execute(sql: "PRAGMA user_version = 1000") }
            try keep(later, as: "one", stage, repository)
        }
        #expect(try stage.verify() == [])
        let before = try stage.files()
        for file in before { try stage.backup.corrupt(file, at: 5) }
        let flaws = try stage.verify()
        #expect(Set(flaws.map { "/backup/" + $0.path }) == Set(before))
        #expect(before.count == 3, "one of them is needed by that snapshot alone")
        stage.store.close()
    }

    enum Way: CaseIterable { case mending, snapshot }

    @Test(arguments: Way.allCases) func aStoredCatalogIsWrittenAnewFromTheLog(_ way: Way) async throws {
        for isGone in [false, true] {
            let stage = try await stage()
            let before = try manifest(stage)
            if isGone {
                try stage.backup.remove(Self.catalog)
            } else {
                try stage.backup.corrupt(Self.catalog, at: 100)
            }
            #expect(try stage.verify().map(\.path) == ["snapshots/one.catalog.gz"])
            switch way {
            case .mending:
                let outcomes = try await mend(stage)
                #expect(outcomes.map(\.path) == ["snapshots/one.catalog.gz"])
                #expect(outcomes.map(\.reason) == [nil])
            case .snapshot: #expect(try await stage.snapshot("three").mended == 1)
            }
            #expect(try stage.verify() == [])
            let after = try manifest(stage)
            #expect(after.chain == before.chain && after.created == before.created)
            #expect(after.versions == before.versions && after.blobs == before.blobs)
            #expect(try stage.versions("one").count == 2)
            #expect(try await mend(stage).isEmpty, "nothing is left to mend")
            stage.store.close()
        }
    }

    @Test(arguments: Way.allCases) func aManifestIsMadeAnewFromWhatTheLogSays(_ way: Way) async throws {
        let stage = try await stage()
        let before = try manifest(stage)
        try strikeManifest(stage)
        let struck = try stage.backup.contents(of: Self.manifest)
        #expect(try stage.verify().map(\.path) == ["snapshots/one.json"])
        switch way {
        case .mending: #expect(try await mend(stage).map(\.reason) == [nil])
        case .snapshot: #expect(try await stage.snapshot("three").mended == 1)
        }
        #expect(try stage.verify() == [])
        let after = try manifest(stage)
        #expect(after.sequence == before.sequence && after.chain == before.chain)
        #expect(after.time == before.time && after.timeMicroseconds == before.timeMicroseconds)
        #expect(after.created == before.created && after.createdMicroseconds == before.createdMicroseconds)
        #expect(after.buckets == before.buckets && after.versions == before.versions)
        #expect(after.versionBytes == before.versionBytes && after.deleteMarkers == before.deleteMarkers)
        #expect(after.blobs == before.blobs && after.blobBytes == before.blobBytes)
        #expect(after.isComplete && after.format == before.format)
        let kept = try stage.backup.files(below: "/backup/quarantine").filter { !$0.hasSuffix(".json") }
        #expect(try kept.map { try stage.backup.contents(of: $0) } == [struck], "what was there is kept")
        #expect(try prune(stage) { try $0.run(deleting: []) }.unknown.isEmpty)
        stage.store.close()
    }

    /// Two repositories may have snapshots of one name at one event; of which of them a manifest is, the store's log does not say.
    @Test func aManifestThatIsMadeAnewNeverLacksLessThanTheLogSays() async throws {
        let stage = try await stage()
        let before = try manifest(stage)
        #expect(before.isComplete)
        let log = try stage.store.events(from: SequenceNumber(1), limit: 1000)
        let noted = log.compactMap { event -> EventSnapshotTaken? in
            guard case .snapshotTaken(let change) = event.record.change else { return nil }
            return change.snapshot == "one" ? change : nil
        }
        #expect(noted.count == 1)
        for (blobs, payloads) in [(UInt64(3), UInt64(0)), (1, 2)] {
            var other = try #require(noted.first)
            other.repository = "/elsewhere"
            other.lostBlobs = blobs
            other.lostPayloads = payloads
            _ = try await stage.store.inspection.record(.snapshotTaken(other))
        }
        try strikeManifest(stage)
        #expect(try stage.verify().map(\.path) == ["snapshots/one.json"])
        #expect(try await mend(stage).map(\.reason) == [nil])
        let after = try manifest(stage)
        #expect(after.lostBlobs == 3 && after.lostPayloads == 2 && after.format == 2)
        #expect(after.created == before.created && after.sequence == before.sequence)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aManifestIsNotMadeAnewWithoutItsCatalog() async throws {
        let stage = try await stage()
        try strikeManifest(stage)
        try stage.backup.corrupt(Self.catalog, at: 100)
        let struck = try stage.backup.contents(of: Self.manifest)
        #expect(try stage.verify().count == 1)
        let outcomes = try await mend(stage)
        #expect(outcomes.map(\.path) == ["snapshots/one.json"] && outcomes[0].reason != nil)
        #expect(try stage.backup.contents(of: Self.manifest) == struck)
        #expect(try stage.verify().map(\.path) == ["snapshots/one.json"])
        stage.store.close()
    }

    @Test func aManifestOfALaterFormatIsLeftAsItIs() async throws {
        let stage = try await stage()
        let text = String(decoding: try stage.backup.contents(of: Self.manifest), as: UTF8.self)
        let later = Array(text.replacing("\"format\" : 1", with: "\"format\" : 9").utf8)
        try stage.backup.replaceFile(Self.manifest, with: later)
        #expect(try stage.verify().map(\.path) == ["snapshots/one.json"])
        let reason = try #require(try await mend(stage).first?.reason)
        #expect(reason.contains("format 9"))
        #expect(try stage.backup.contents(of: Self.manifest) == later)
        stage.store.close()
    }

    // MARK: What nobody can mend

    @Test func aFileWhoseNameIsNoSnapshotsIsAFlawThatIsNotTriedToBeMended() async throws {
        let stage = try await stage()
        let copy = "/backup/snapshots/one copy.json"
        try stage.backup.replaceFile(copy, with: try stage.backup.contents(of: Self.manifest))
        for _ in 0..<2 {
            let flaws = try stage.verify()
            #expect(flaws.map(\.path) == ["snapshots/one copy.json"])
            #expect(flaws.allSatisfy { $0.file == nil && !$0.canBeMended })
            #expect(try await mend(stage) == [])
        }
        let pruned = try prune(stage) { try $0.run(deleting: []) }
        #expect(pruned.unknown.map(\.name) == ["one copy"] && pruned.blobs == 0)
        try stage.backup.remove(copy)
        #expect(try stage.verify() == [])
        #expect(try prune(stage) { try $0.run(deleting: []) }.unknown.isEmpty)
        stage.store.close()
    }

    /// Gives a snapshot's stored catalog the versions of another's, and its manifest the digest of that.
    private func mixCatalogs(_ stage: SnapshotStage, of name: String, with other: String) throws {
        let repository = try stage.repository()
        defer { repository.close() }
        func open(_ name: String) throws -> SnapshotCatalog {
            try SnapshotCatalog.open(try repository.snapshot(name), in: repository, scratch: stage.scratch)
        }
        let (mixed, later) = (try open(name), try open(other))
        try later.catalog.read { expected in
            var differences: [RowDifference] = []
            try mixed.catalog.read { found in
                try CatalogComparison.run(found, against: expected) {
                    if $0.table == "current" { differences.append($0) }
                }
            }
            try #require(!differences.isEmpty)
            try mixed.catalog.withWriter { writer in
                try writer.begin()
                try CatalogComparison.mend(differences, in: writer, from: expected)
                try writer.commit()
            }
        }
        try keep(mixed, as: name, stage, repository)
    }

    /// Writes a snapshot's stored catalog, and a manifest with the digest of that.
    private func keep(
        _ catalog: SnapshotCatalog, as name: String, _ stage: SnapshotStage, _ repository: Repository
    ) throws {
        let manifest = try repository.snapshot(name)
        let file = try catalog.replace(name, in: repository)
        let text = String(decoding: try JSONEncoder().encode(manifest), as: UTF8.self)
        let changed = try JSONDecoder().decode(
            SnapshotManifest.self, from: Data(text.replacing(manifest.catalog.sha256, with: file.sha256).utf8)
        )
        try #require(changed.catalog.sha256 == file.sha256 && file.sha256 != manifest.catalog.sha256)
        try stage.backup.replaceFile("/backup/snapshots/\(name).json", with: try changed.encoded())
    }

    @Test func aCatalogThatMatchesItsDigestAndNamesALaterEventIsAFlawThatIsNotTriedToBeMended() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        for number in 0..<6 { try await stage.delete("k\(number)") }
        try await stage.snapshot("one")
        try await stage.store.put(stage.bucket, "later", bytes(99, 100))
        try await stage.snapshot("two")
        #expect(try prune(stage) { try $0.run(deleting: []) }.payloads > 0)
        #expect(try stage.verify() == [])
        try mixCatalogs(stage, of: "one", with: "two")
        for _ in 0..<2 {
            let flaws = try stage.verify()
            #expect(flaws.map(\.path) == ["snapshots/one.catalog.gz"] && flaws.map(\.snapshot) == ["one"])
            #expect(flaws.allSatisfy { $0.file == nil && !$0.canBeMended })
            #expect(try await mend(stage) == [])
        }
        #expect(try prune(stage) { try $0.run(deleting: []) }.unknown.map(\.name) == ["one"])
        stage.store.close()
    }
}
