import Catalog
import Foundation
import GRDB
import Model
import Testing

/// Each kind of event, and the rows it makes.
@Suite struct CatalogWriterTests {
    private let bucket: BucketName
    private let key: ObjectKey
    private let fixture: CatalogFixture

    init() throws {
        bucket = try BucketName("bucket")
        key = try ObjectKey("key")
        fixture = try CatalogFixture()
        try fixture.apply(Change.bucket("bucket"))
    }

    private func current() throws -> ObjectVersion? {
        try fixture.catalog.read { try $0.version(bucket, key, .current) }
    }

    private func blob(_ id: BlobID) throws -> BlobRow? { try fixture.catalog.read { try $0.blob(id) } }

    @Test func eventsAreAppliedInOrderWithoutAGap() throws {
        for sequence in [1, 3] as [UInt64] {
            let event = CatalogFixture.event(sequence, Change.bucket("other"))
            let error = try fixture.catalog.withWriter { writer in
                try writer.begin()
                let error = #expect(throws: CatalogError.self) { try writer.apply(event) }
                try writer.rollback()
                return error
            }
            #expect(error?.description.contains("the last event applied is 1") == true)
        }
        #expect(try fixture.catalog.read { try $0.position() }.sequence == SequenceNumber(1))
    }

    /// SQLite does so on a full disk or an I/O error; the statements that follow would be committed one by one.
    @Test func nothingIsAppliedOrCommittedOnceSQLiteHasRolledBack() throws {
        try fixture.catalog.withWriter { writer in
            try writer.begin()
            try writer.apply(CatalogFixture.event(2, Change.bucket("lost")))
            try writer.database.execute(sql: "ROLLBACK")
            #expect(!writer.isInTransaction)
            #expect(throws: CatalogError.self) {
                try writer.apply(CatalogFixture.event(3, Change.bucket("other")))
            }
            #expect(throws: CatalogError.self) { try writer.commit() }
            try writer.rollback()
        }
        #expect(try fixture.catalog.read { try $0.position() }.sequence == SequenceNumber(1))
        try fixture.apply(Change.bucket("next"))
        #expect(try fixture.catalog.read { try $0.buckets() }.map(\.name.rawValue) == ["bucket", "next"])
    }

    @Test func aBucketIsReadAsItIsAfterEachChange() throws {
        let catalog = fixture.catalog
        #expect(try catalog.bucket(bucket)?.versioning == .off)
        try fixture.apply(Change.setting("bucket", "versioning", "Enabled"))
        #expect(try catalog.bucket(bucket)?.versioning == .enabled)
        try catalog.withWriter { writer in
            try writer.begin()
            try writer.apply(
                CatalogFixture.event(
                    fixture.sequence + 1, Change.setting("bucket", "versioning", "Suspended")))
            #expect(try writer.reader.bucket(bucket)?.versioning == .suspended)
            #expect(try catalog.bucket(bucket)?.versioning == .enabled, "it is not committed")
            try writer.rollback()
            #expect(try writer.reader.bucket(bucket)?.versioning == .enabled)
        }
        #expect(try catalog.bucket(bucket)?.versioning == .enabled)
    }

    @Test func aChangeOfAnUnknownKindIsRefused() throws {
        let error = #expect(throws: CatalogError.self) { try fixture.apply(nil) }
        #expect(error?.description.contains("event 2 is a change that this Holdfast does not know") == true)
    }

    @Test func aBucketIsMadeConfiguredAndDeleted() throws {
        let made = try #require(try fixture.catalog.read { try $0.bucket(bucket) })
        #expect(made.owner == "owner" && made.region == "us-east-1" && made.versioning == .off)
        #expect(made.createdSequence == SequenceNumber(1))
        #expect(made.created == Timestamp(microseconds: 1000))
        try fixture.apply(Change.setting("bucket", "versioning", "Enabled"))
        try fixture.apply(Change.setting("bucket", "policy", "{}"))
        try fixture.apply(Change.setting("bucket", "policy", "{1}"))
        try fixture.apply(Change.setting("bucket", "cors", "x"))
        try fixture.apply(Change.setting("bucket", "cors", nil))
        let configured = try #require(try fixture.catalog.read { try $0.bucket(bucket) })
        #expect(configured.versioning == .enabled)
        #expect(configured.settings.documents == ["policy": Array("{1}".utf8)])
        let id = UploadID.random()
        let blob = BlobID.random()
        try fixture.apply(Change.upload("bucket", "key", id))
        try fixture.apply(Change.part("bucket", "key", id, 1, Change.piece(blob)))
        var deletion = EventBucketDeleted()
        deletion.bucket = "bucket"
        try fixture.apply(.bucketDeleted(deletion))
        #expect(try fixture.catalog.read { try $0.bucket(bucket) } == nil)
        #expect(try fixture.catalog.read { try $0.upload(bucket, key, id) } == nil)
        #expect(try self.blob(blob)?.died == SequenceNumber(fixture.sequence), "its uploads end with it")
        try fixture.apply(Change.bucket("bucket"))
        #expect(try fixture.catalog.read { try $0.bucket(bucket) }?.settings.documents.isEmpty == true)
        #expect(throws: CatalogError.self) {
            try fixture.apply(Change.setting("none", "versioning", "Enabled"))
        }
        var unknown = EventBucketDeleted()
        unknown.bucket = "none"
        #expect(throws: CatalogError.self) { try fixture.apply(.bucketDeleted(unknown)) }
    }

    @Test func bucketsAreListedInTheOrderOfTheirBytes() throws {
        try fixture.apply(["b.b", "b-b", "aaa", "b0b"].map(Change.bucket))
        #expect(
            try fixture.catalog.read { try $0.buckets() }.map(\.name.rawValue)
                == ["aaa", "b-b", "b.b", "b0b", "bucket"])
    }

    @Test func aNewVersionPutsTheOneBeforeItBehindIt() throws {
        let ids = [VersionID.random(), .random()]
        for id in ids { try fixture.apply(Change.version("bucket", "key", id)) }
        #expect(try current()?.versionID == ids[1])
        #expect(try fixture.catalog.read { try $0.version(bucket, key, .id(ids[0])) }?.versionID == ids[0])
        #expect(try fixture.catalog.read { try $0.version(bucket, key, .null) } == nil)
        #expect(try fixture.catalog.read { try $0.isEmpty(bucket) } == false)
        try fixture.apply(Change.removal("bucket", "key", ids[1], 3))
        #expect(try current()?.versionID == ids[0], "the one before it comes to the front")
        try fixture.apply(Change.removal("bucket", "key", ids[0], 2))
        #expect(try current() == nil)
        #expect(try fixture.catalog.read { try $0.isEmpty(bucket) })
    }

    @Test func aDeleteMarkerHidesAKeyUntilItIsRemoved() throws {
        let version = VersionID.random()
        let marker = VersionID.random()
        try fixture.apply(Change.version("bucket", "key", version))
        try fixture.apply(Change.version("bucket", "key", marker, isMarker: true))
        #expect(try current()?.isDeleteMarker == true)
        let page = try fixture.catalog.read {
            try $0.listCurrent(bucket, prefix: "", delimiter: "", after: "", limit: 10)
        }
        #expect(page.items.isEmpty)
        #expect(try fixture.catalog.read { try $0.isEmpty(bucket) } == false)
        try fixture.apply(Change.version("bucket", "key", isMarker: true))
        try fixture.apply(Change.removal("bucket", "key", marker, 3))
        #expect(try current()?.sequence == SequenceNumber(4), "the newer marker still hides it")
        let newest = try #require(try current())
        try fixture.apply(Change.removal("bucket", "key", newest.versionID, 4))
        #expect(try current()?.versionID == version)
    }

    @Test func aNullVersionReplacesTheOneBeforeIt() throws {
        let old = BlobID.random()
        try fixture.apply(Change.version("bucket", "key", isNull: true, pieces: [Change.piece(old)]))
        let kept = VersionID.random()
        try fixture.apply(Change.version("bucket", "key", kept))
        try fixture.apply(Change.version("bucket", "key", isNull: true, replacing: 2))
        #expect(try fixture.catalog.read { try $0.version(bucket, key, .null) }?.sequence.rawValue == 4)
        #expect(try fixture.catalog.read { try $0.version(bucket, key, .id(kept)) } != nil)
        #expect(try blob(old)?.died == SequenceNumber(4))
        #expect(throws: CatalogError.self) {
            try fixture.apply(Change.version("bucket", "key", isNull: true, replacing: 2))
        }
    }

    @Test func aVersionThatIsNotThereCannotBeRemoved() throws {
        try fixture.apply(Change.version("bucket", "key"))
        let error = #expect(throws: CatalogError.self) {
            try fixture.apply(Change.removal("bucket", "key", .random(), 77))
        }
        #expect(error?.description.contains("event 3 contradicts the catalog") == true)
    }

    @Test(arguments: [true, false])
    func anAmendmentChangesTheMetadataAndNothingElse(ofCurrent: Bool) throws {
        let id = VersionID.random()
        try fixture.apply(Change.version("bucket", "key", id))
        if !ofCurrent { try fixture.apply(Change.version("bucket", "key")) }
        let before = try #require(try fixture.catalog.read { try $0.version(bucket, key, .id(id)) })
        var change = EventVersionAmended()
        change.bucket = "bucket"
        change.key = "key"
        change.versionID = Data(id.bytes)
        change.publishedSequence = 2
        change.metadata.tags = ["a": "b"]
        try fixture.apply(.versionAmended(change))
        let after = try #require(try fixture.catalog.read { try $0.version(bucket, key, .id(id)) })
        #expect(after.record.metadata.tags == ["a": "b"])
        #expect(after.sequence == before.sequence && after.published == before.published)
        var expected = before.record
        expected.metadata = change.metadata
        #expect(after.record == expected)
        change.publishedSequence = 1
        #expect(throws: CatalogError.self) { try fixture.apply(.versionAmended(change)) }
    }

    @Test func bytesInTheLogBelongToTheEventThatCarriesThem() throws {
        try fixture.apply(Change.version("bucket", "key", isNull: true, pieces: [Change.inlinePiece()]))
        #expect(try current()?.record.pieces.first?.payloadSequence == 2)
        try fixture.apply(Change.version("bucket", "key", isNull: true, replacing: 2))
        let dead = try fixture.catalog.read {
            try $0.deadPayloads(
                in: SequenceNumber(1)...SequenceNumber(9), diedBefore: SequenceNumber(9),
                Timestamp(microseconds: 9_999_999), limit: 9)
        }
        #expect(dead.first.map(\.sequence.rawValue) == [2] && dead.byteCount == 10)
        func dying(after place: DeadPayload.Place, before sequence: UInt64, _ time: UInt64 = 9_999_999) throws
            -> [DeadPayload.Place]
        {
            try fixture.catalog.read {
                try $0.deadPayloads(
                    after: place, diedBefore: SequenceNumber(sequence), Timestamp(microseconds: time),
                    limit: 9)
            }.map(\.place)
        }
        let all = try dying(after: .none, before: 4)
        #expect(all.map(\.sequence.rawValue) == [2] && all.map(\.died.rawValue) == [3])
        #expect(try dying(after: .none, before: 3).isEmpty, "something may still see event 3")
        #expect(try dying(after: .none, before: 4, 1).isEmpty, "it died later")
        #expect(try dying(after: try #require(all.first), before: 4).isEmpty)
    }

    @Test func aSharedBlobDiesWithItsLastReference() throws {
        let id = BlobID.random()
        let versions = [VersionID.random(), .random()]
        try fixture.apply(Change.version("bucket", "key", versions[0], pieces: [Change.piece(id)]))
        try fixture.apply(Change.version("bucket", "copy", versions[1], pieces: [Change.piece(id)]))
        let row = try #require(try blob(id))
        #expect(row.uses == 2 && row.born == SequenceNumber(2) && row.key == "key" && row.died == nil)
        #expect(row.length == 100_000)
        try fixture.apply(Change.removal("bucket", "key", versions[0], 2))
        #expect(try blob(id)?.uses == 1)
        #expect(try blob(id)?.died == nil)
        try fixture.apply(Change.removal("bucket", "copy", versions[1], 3))
        #expect(try blob(id)?.uses == 0)
        #expect(try blob(id)?.died == SequenceNumber(5))
        try fixture.apply(Change.version("bucket", "again", pieces: [Change.piece(id)]))
        #expect(try blob(id)?.uses == 1, "a copy may have been decided before it died")
        #expect(try blob(id)?.died == nil)
    }

    @Test func whatIsReclaimedIsPlannedFirstAndCannotComeBack() throws {
        let id = BlobID.random()
        let version = VersionID.random()
        let pieces = [Change.piece(id), Change.inlinePiece()]
        try fixture.apply(Change.version("bucket", "key", version, pieces: pieces))
        #expect(throws: CatalogError.self) { try fixture.apply(Change.plan([id])) }
        #expect(throws: CatalogError.self) { try fixture.apply(Change.plan([], payloads: [2])) }
        try fixture.apply(Change.removal("bucket", "key", version, 2))
        let far = Timestamp(microseconds: 9_999_999)
        let early = try fixture.catalog.read {
            try $0.deadBlobs(diedBefore: SequenceNumber(3), far, limit: 9)
        }
        #expect(early.isEmpty, "something may still see event 3")
        let dead = try fixture.catalog.read { try $0.deadBlobs(diedBefore: SequenceNumber(4), far, limit: 9) }
        #expect(dead.map(\.id) == [id])
        try fixture.apply(Change.plan([id], payloads: [2]))
        #expect(try fixture.catalog.read { try $0.reclaimingBlobs(limit: 9) }.map(\.id) == [id])
        #expect(try fixture.catalog.read { try $0.reclaimingPayloads() }.map(\.rawValue) == [2])
        #expect(throws: CatalogError.self) {
            try fixture.apply(Change.version("bucket", "copy", pieces: [Change.piece(id)]))
        }
        try fixture.apply(Change.reclaimed([id], payloads: [2]))
        #expect(try blob(id) == nil)
        #expect(try fixture.catalog.read { try $0.reclaimingPayloads() }.isEmpty)
    }

    @Test func uploadsAreFoundBucketByBucketFromBehindAnyOfThem() throws {
        try fixture.apply(Change.bucket("other"))
        for (bucket, key) in [("other", "a"), ("bucket", "b"), ("bucket", "a"), ("bucket", "b")] {
            try fixture.apply(Change.upload(bucket, key, .random()))
        }
        let all = try fixture.catalog.read { try $0.uploads(after: nil, limit: 9) }
        #expect(all.map(\.record.bucket) == ["bucket", "bucket", "bucket", "other"])
        #expect(all.map(\.record.key) == ["a", "b", "b", "a"])
        for (index, upload) in all.enumerated() {
            let next = try fixture.catalog.read { try $0.uploads(after: upload, limit: 2) }
            #expect(next == Array(all.dropFirst(index + 1).prefix(2)))
        }
        #expect(try fixture.catalog.read { try $0.hasUpload(bucket, try ObjectKey("b")) })
        #expect(try fixture.catalog.read { try !$0.hasUpload(bucket, try ObjectKey("c")) })
    }

    @Test func aCompletedUploadHandsItsPartsOver() throws {
        let id = UploadID.random()
        let blobs = [BlobID.random(), .random(), .random()]
        try fixture.apply(Change.upload("bucket", "key", id))
        for (index, blob) in blobs.enumerated() {
            let number = UInt32(index + 1)
            try fixture.apply(
                Change.part("bucket", "key", id, number, Change.piece(blob, part: number)))
        }
        try fixture.apply(Change.part("bucket", "key", id, 4, Change.inlinePiece(part: 4)))
        let parts = try fixture.catalog.read { try $0.parts(id, after: 1, limit: 2) }
        #expect(parts.map(\.number) == [2, 3] && parts.map(\.etag) == ["part-2", "part-3"])
        let last = try #require(try fixture.catalog.read { try $0.part(id, 4) })
        #expect(last.piece.payloadSequence == 6)
        try fixture.apply(
            Change.version(
                "bucket", "key", id, pieces: [Change.piece(blobs[0], part: 1), last.piece], completing: id))
        #expect(try blob(blobs[0])?.uses == 1)
        #expect(try blob(blobs[1])?.died == SequenceNumber(7), "a part that was not named")
        #expect(try fixture.catalog.read { try $0.upload(bucket, key, id) } == nil)
        #expect(try fixture.catalog.read { try $0.parts(id, after: 0, limit: 9) }.isEmpty)
        let dead = try fixture.catalog.read {
            try $0.deadPayloads(
                after: .none, diedBefore: SequenceNumber(9), Timestamp(microseconds: 9_999_999), limit: 9)
        }
        #expect(dead.isEmpty, "the last part's bytes are the version's now")
    }

    @Test func aPartReplacesTheOneOfItsNumber() throws {
        let id = UploadID.random()
        let blobs = [BlobID.random(), .random()]
        try fixture.apply(Change.upload("bucket", "key", id))
        try fixture.apply(Change.part("bucket", "key", id, 1, Change.piece(blobs[0])))
        try fixture.apply(Change.part("bucket", "key", id, 1, Change.piece(blobs[1]), replacing: 3))
        #expect(try blob(blobs[0])?.died == SequenceNumber(4))
        #expect(try fixture.catalog.read { try $0.part(id, 1) }?.sequence == SequenceNumber(4))
        #expect(throws: CatalogError.self) {
            try fixture.apply(Change.part("bucket", "key", id, 1, Change.piece(.random()), replacing: 3))
        }
    }

    @Test func anAbortedUploadLosesItsParts() throws {
        let id = UploadID.random()
        let blob = BlobID.random()
        try fixture.apply(Change.upload("bucket", "key", id))
        try fixture.apply(Change.part("bucket", "key", id, 1, Change.piece(blob)))
        try fixture.apply(Change.part("bucket", "key", id, 2, Change.inlinePiece()))
        try fixture.apply(Change.abort("bucket", "key", id))
        #expect(try self.blob(blob)?.died == SequenceNumber(5))
        #expect(try fixture.catalog.read { try $0.upload(bucket, key, id) } == nil)
        #expect(throws: CatalogError.self) { try fixture.apply(Change.abort("bucket", "key", id)) }
    }

    @Test func whatTheStoreSaysOfItselfIsKept() throws {
        var confirmation = EventUploadsConfirmed()
        confirmation.throughSequence = 1
        try fixture.apply(.uploadsConfirmed(confirmation))
        #expect(try fixture.catalog.read { try $0.confirmedThrough() } == SequenceNumber(1))
        var aside = EventVolumeSetAside()
        aside.volume = 2
        aside.reason = "EIO"
        try fixture.apply(.volumeSetAside(aside))
        var states = try fixture.catalog.read { try $0.volumeStates() }
        #expect(states.map(\.index) == [2] && states.map(\.reason) == ["EIO"])
        #expect(states.map(\.state) == ["set aside"] && states.map(\.since) == [SequenceNumber(3)])
        var returned = EventVolumeReturned()
        returned.volume = 2
        try fixture.apply(.volumeReturned(returned))
        var replaced = EventVolumeReplaced()
        replaced.volume = 1
        try fixture.apply(.volumeReplaced(replaced))
        states = try fixture.catalog.read { try $0.volumeStates() }
        #expect(states.map(\.state) == ["replaced", "returned"])
        var finding = EventFindingRecorded()
        finding.finding.code = "replica.missing"
        try fixture.apply(.findingRecorded(finding))
        try fixture.apply(.replicaRepaired(EventReplicaRepaired()))
        try fixture.apply(.epochOpened(EventEpochOpened()))
        #expect(try fixture.catalog.read { try $0.position() }.sequence.rawValue == fixture.sequence)
    }
}
