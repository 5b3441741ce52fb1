import Catalog
import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

@Suite struct RestoreTests {
    private func restore(
        _ stage: SnapshotStage, _ name: String, _ change: (inout RestoreOrder) -> Void = { _ in }
    ) async throws -> (outcomes: [RestoreOutcome], summary: RestoreSummary) {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: name)
        change(&order)
        var outcomes: [RestoreOutcome] = []
        let summary = try await Restore(stage.store, repository, order).run { outcomes.append($0) }
        return (outcomes, summary)
    }

    private func findings(_ stage: SnapshotStage) async throws -> [String] {
        var found: [String] = []
        _ = try await StoreCheck(stage.store, .init(isDeep: true), includesOpening: false).run {
            found.append("\($0.code.rawValue) \($0.key)")
        }
        return found
    }

    @Test func whatWasDeletedComesBackWithItsBytes() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<6 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(1, number * 30_000))
        }
        try await stage.snapshot("one")
        for number in 0..<6 where number != 2 { try await stage.delete("k\(number)") }
        let (outcomes, summary) = try await restore(stage, "one")
        #expect(outcomes.map(\.key) == (0..<6).map { "k\($0)" })
        #expect(outcomes.filter { $0.action == .present }.map(\.key) == ["k2"])
        #expect(summary.total.restored == 5 && summary.total.failed == 0)
        #expect(summary.owners["Tester"]?.restored == 5)
        for number in 0..<6 {
            #expect(try await stage.store.get(stage.bucket, "k\(number)") == bytes(1, number * 30_000))
        }
        #expect(try await findings(stage) == [])
        // A second time there is nothing to do.
        #expect(try await restore(stage, "one").summary.total.present == 6)
        stage.store.close()
    }

    @Test func metadataTagsOwnerChecksumsAndPartsComeBackAsTheyWere() async throws {
        let stage = try await SnapshotStage()
        let key = try ObjectKey("large")
        var metadata = EventMetadata()
        metadata.contentType = "image/png"
        metadata.user = ["a": "b"]
        metadata.tags = ["team": "blue"]
        let upload = try await stage.store.createUpload(
            stage.bucket, key, metadata: metadata, checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value.uploadID
        let part = bytes(7, Int(Limits.minimumPartByteCount))
        let first = try await stage.store.putPart(stage.bucket, "large", upload, 3, part)
        let second = try await stage.store.putPart(stage.bucket, "large", upload, 9, bytes(8, 100))
        _ = try await stage.store.completeUpload(
            stage.bucket, key, upload,
            parts: [
                CompletedPart(number: 3, etag: first.etag), CompletedPart(number: 9, etag: second.etag),
            ], checksums: [], conditions: .none, actor: tester)
        let was = try stage.store.version(stage.bucket, key, .current)
        try await stage.snapshot("one")
        try await stage.delete("large")
        _ = try await restore(stage, "one")
        let now = try stage.store.version(stage.bucket, key, .current)
        #expect(now.versionID != was.versionID)
        #expect(now.etag == was.etag && now.etag.hasSuffix("-2") && now.size == was.size)
        #expect(now.record.metadata == was.record.metadata && now.record.owner == was.record.owner)
        #expect(now.record.checksums == was.record.checksums)
        #expect(now.record.pieces.map(\.partNumber) == was.record.pieces.map(\.partNumber))
        #expect(now.record.reason == "restored from snapshot one")
        #expect(try await stage.store.get(stage.bucket, "large") == part + bytes(8, 100))
        stage.store.close()
    }

    @Test func aNewerVersionIsLeftUnlessToldOtherwise() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 80_000))
        try await stage.snapshot("one")
        try await stage.store.put(stage.bucket, "k", bytes(2, 80_000))
        #expect(try await restore(stage, "one").outcomes.map(\.action) == [.newer])
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(2, 80_000))
        #expect(
            try await restore(stage, "one") { $0.overwrites = true }.outcomes.map(\.action) == [.restored])
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(1, 80_000))
        stage.store.close()
    }

    @Test func onlyWhatIsAskedForComesBackAndADryRunChangesNothing() async throws {
        let stage = try await SnapshotStage()
        for key in ["a/1", "a/2", "b/1"] { try await stage.store.put(stage.bucket, key, bytes(1, 10)) }
        try await stage.snapshot("one")
        for key in ["a/1", "a/2", "b/1"] { try await stage.delete(key) }
        let head = stage.store.head
        let plan = try await restore(stage, "one") {
            $0.unit.prefix = "a/"
            $0.isDryRun = true
        }
        #expect(plan.outcomes.map(\.key) == ["a/1", "a/2"] && stage.store.head == head)
        #expect(try await restore(stage, "one") { $0.unit.key = "a/2" }.outcomes.map(\.key) == ["a/2"])
        #expect(try await restore(stage, "one") { $0.unit.owner = "Tester" }.outcomes.count == 3)
        stage.store.close()
    }

    @Test(arguments: [false, true]) func whatIsNamedAndNotThereIsRefused(isDamagedOnly: Bool) async throws {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        let put = try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.store.put(stage.bucket, "gone", bytes(1, 10))
        try await stage.delete("gone")
        let marker = try #require(
            try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 10) }
                .first { $0.isDeleteMarker })
        try await stage.snapshot("one")
        let head = stage.store.head
        func refusal(_ change: (inout RestoreOrder.Unit) -> Void) async throws -> String {
            do {
                _ = try await restore(stage, "one") {
                    $0.unit.bucket = "bucket"
                    $0.unit.isDamagedOnly = isDamagedOnly
                    change(&$0.unit)
                }
                return "none"
            } catch { return "\(error)" }
        }
        #expect(try await refusal { $0.bucket = "other" } == "there is no bucket other")
        #expect(try await refusal { $0.key = "K" } == "there is no object K")
        #expect(try await refusal { $0.owner = "nobody" }.contains("'nobody'"))
        let id = "\(VersionID.random())"
        if !isDamagedOnly {
            #expect(try await refusal { $0.key = "gone" } == "there is no object gone")
            for version in [id, "x", "null"] {
                let text = try await refusal {
                    $0.key = "k"
                    $0.version = version
                }
                #expect(text == "object k has no version \(version)")
            }
            let text = try await refusal {
                $0.key = "gone"
                $0.version = marker.wireVersionID
            }
            #expect(text == "version \(marker.wireVersionID) is a delete marker")
        }
        #expect(stage.store.head == head, "the log has no restore that ended")
        // A user may have nothing there, a prefix match nothing.
        #expect(
            try await refusal {
                $0.owner = "anna"
                $0.ownerID = "1"
            } == "none")
        #expect(try await refusal { $0.prefix = "none/" } == "none")
        #expect(try await refusal { $0.owner = "Tester" } == "none")
        if !isDamagedOnly {
            let version = put.value.wireVersionID
            #expect(
                try await refusal {
                    $0.key = "k"
                    $0.version = version
                } == "none")
            #expect(
                try await refusal {
                    $0.key = "gone"
                    $0.hasEveryVersion = true
                } == "none")
        }
        stage.store.close()
    }

    @Test func ofAKnownUserOnlyTheirOwnComesBackWhoeverElseIsShownSo() async throws {
        let stage = try await SnapshotStage()
        // One is shown under the other's name.
        for actor in [
            Actor(id: "anna", displayName: "Anna B.", requestID: "r"),
            Actor(id: "other", displayName: "anna", requestID: "r"),
        ] {
            let target = UploadTarget(
                bucket: stage.bucket, key: try ObjectKey("of \(actor.id)"), metadata: EventMetadata(),
                actor: actor, part: nil, expectedLength: 10, checksum: nil)
            let upload = stage.store.beginUpload(target)
            try await upload.write(bytes(1, 10))
            _ = try await upload.finish()
            _ = try await stage.store.publish(upload, conditions: .none, checksums: [])
        }
        try await stage.snapshot("one")
        func keys(_ owner: String, id: String?) async throws -> [String] {
            try await restore(stage, "one") {
                $0.unit.owner = owner
                $0.unit.ownerID = id
            }.outcomes.map(\.key)
        }
        #expect(try await keys("anna", id: "anna") == ["of anna"])
        #expect(try await keys("Anna B.", id: nil) == ["of anna"])
        #expect(try await keys("other", id: nil) == ["of other"])
        stage.store.close()
    }

    @Test func aBucketThatIsGoneIsMadeAgainAsItWas() async throws {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "tagging", value: Array("<x/>".utf8), actor: tester)
        let put = try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.snapshot("one")
        _ = try await stage.store.delete(
            stage.bucket, try ObjectKey("k"), .id(put.value.versionID), conditions: .none, actor: tester)
        _ = try await stage.store.deleteBucket(stage.bucket, actor: tester)
        #expect(try await restore(stage, "one").summary.total.restored == 1)
        let bucket = try stage.store.bucket(stage.bucket)
        #expect(bucket.versioning == .enabled && bucket.owner == tester.id)
        #expect(bucket.settings["tagging"] == Array("<x/>".utf8))
        // Into a bucket of another name.
        let beside = try await restore(stage, "one") {
            $0.unit.bucket = "bucket"
            $0.into = "elsewhere"
        }
        #expect(beside.summary.total.restored == 1)
        #expect(try await stage.store.get(try BucketName("elsewhere"), "k") == bytes(1, 10))
        stage.store.close()
    }

    @Test func severalBucketsAreNotFoldedIntoOne() async throws {
        let stage = try await SnapshotStage()
        _ = try await stage.store.createBucket(try BucketName("other"), region: "r", actor: tester)
        try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.store.put(try BucketName("other"), "k", bytes(2, 10))
        try await stage.snapshot("one")
        let head = stage.store.head
        for owner in [nil, "Tester"] {
            await #expect(throws: SnapshotError.self) {
                try await restore(stage, "one") {
                    $0.unit.owner = owner
                    $0.into = "elsewhere"
                }
            }
        }
        #expect(stage.store.head == head, "nothing was restored, nor said to have been")
        stage.store.close()
    }

    @Test func onlyWhatIsDamagedIsMendedInPlaceAndNothingElseIsTouched() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<8 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 100_000))
        }
        try await stage.snapshot("one")
        let disk = stage.started.disk
        func paths(_ number: Int) throws -> [String] {
            files(
                stage, of: try stage.store.version(stage.bucket, try ObjectKey("k\(number)"), .current))
        }
        // k1 is damaged in one block everywhere, k2 is gone, k3 is damaged on one volume alone, k4 everywhere in
        // another place.
        for path in try paths(1) { try disk.corrupt(path, at: 10) }
        for path in try paths(2) { try disk.remove(path) }
        try disk.corrupt(try paths(3)[0], at: 10)
        for (index, path) in try paths(4).enumerated() {
            try disk.corrupt(path, at: UInt64(index % 2) * 70_000)
        }
        let untouched = try [0, 3, 4, 5, 6, 7].flatMap(paths)
        let before = try untouched.map { try disk.contents(of: $0) }
        let (outcomes, summary) = try await restore(stage, "one") { $0.unit.isDamagedOnly = true }
        #expect(outcomes.map(\.key) == ["k1", "k2"] && summary.total.restored == 2)
        #expect(try untouched.map { try disk.contents(of: $0) } == before)
        for number in 0..<8 {
            #expect(try await stage.store.get(stage.bucket, "k\(number)") == bytes(UInt8(number), 100_000))
        }
        for path in try paths(1) + paths(2) { #expect(try disk.status(of: path) != nil) }
        stage.store.close()
    }

    private func files(_ stage: SnapshotStage, of version: ObjectVersion) -> [String] {
        let id = Array(version.record.pieces[0].blobID).hexadecimal
        return (1...3).map { "/volume-\($0)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))/\(id)" }
    }

    @Test func anObjectWithoutItsBytesIsNotSaidToBeThere() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 100_000))
        try await stage.snapshot("one")
        let version = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        let paths = files(stage, of: version)
        for path in paths.dropLast() { try stage.started.disk.remove(path) }
        #expect(try await restore(stage, "one").outcomes.map(\.action) == [.present], "one replica is left")
        try stage.started.disk.remove(paths[2])
        let plan = try await restore(stage, "one") {
            $0.isDryRun = true
        }
        let (outcomes, summary) = try await restore(stage, "one")
        #expect(outcomes == plan.outcomes && outcomes.map(\.action) == [.failed] && summary.total.failed == 1)
        #expect(outcomes[0].detail.contains("--damaged-only"))
        // What overwrites does not need what is there.
        #expect(
            try await restore(stage, "one") { $0.overwrites = true }.outcomes.map(\.action) == [.restored])
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(1, 100_000))
        for overwrites in [false, true] {
            let again = try await restore(stage, "one") { $0.overwrites = overwrites }
            #expect(again.outcomes.map(\.action) == [.present])
        }
        stage.store.close()
    }

    @Test func anObjectThatIsKnownToBeLostIsReadBeforeThatIsSaid() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 100_000))
        try await stage.snapshot("one")
        let version = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        for path in files(stage, of: version) { try stage.started.disk.corrupt(path, at: 10) }
        var entry = EventAffectedVersion()
        entry.bucket = "bucket"
        entry.key = "k"
        entry.versionID = version.record.versionID
        entry.publishedSequence = version.sequence.rawValue
        entry.state = .lost
        var stated = EventVersionsStated()
        stated.versions = [entry]
        _ = try await stage.store.inspection.record(.versionsStated(stated))
        #expect(try await restore(stage, "one").outcomes.map(\.action) == [.failed])
        let mended = try await restore(stage, "one") { $0.unit.isDamagedOnly = true }
        #expect(mended.summary.total.restored == 1)
        // Nobody has stated anew yet that it is not lost.
        #expect(try await restore(stage, "one").outcomes.map(\.action) == [.present])
        stage.store.close()
    }

    @Test func whatTheRepositoryHasNotGoodIsSaidAndNothingIsPublishedOfIt() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "bad", bytes(1, 200_000))
        try await stage.store.put(stage.bucket, "good", bytes(2, 100))
        try await stage.snapshot("one")
        try await stage.delete("bad")
        try await stage.delete("good")
        try stage.backup.corrupt(try #require(try stage.files().first), at: 150_000)
        let (outcomes, summary) = try await restore(stage, "one")
        #expect(outcomes.map(\.action) == [.failed, .restored] && summary.total.failed == 1)
        #expect(outcomes[0].detail.contains("block 2"))
        #expect(throws: StoreError.self) {
            try stage.store.version(stage.bucket, try ObjectKey("bad"), .current)
        }
        #expect(try stage.started.halfThere() == [])
        stage.store.close()
    }
}
