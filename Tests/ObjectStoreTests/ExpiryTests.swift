import Foundation
import Model
import ObjectStore
import TestSupport
import Testing

/// What happens between a rule's evaluation and the commit.
@Suite struct ExpiryTests {
    private static let document = Array("<rules/>".utf8)

    private func started(_ versioning: VersioningState) async throws -> StartedStore {
        let stage = try await StartedStore()
        if versioning != .off {
            _ = try await stage.store.configureBucket(
                stage.bucket, setting: "versioning", value: Array(versioning.rawValue.utf8), actor: tester)
        }
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "lifecycle", value: Self.document, actor: tester)
        return stage
    }

    private func rows(_ stage: StartedStore) throws -> [ListedVersion] {
        try stage.store.listVersions(
            stage.bucket, prefix: "", delimiter: "", keyMarker: "", versionMarker: nil, limit: 100
        ).items.compactMap { if case .version(let row) = $0 { row } else { nil } }
    }

    private func expiry(_ kind: Expiry.Kind, _ stage: StartedStore, row: Int = 0) throws -> Expiry {
        Expiry(
            kind: kind, bucket: stage.bucket, of: try rows(stage)[row], document: Self.document,
            reason: "lifecycle: r", matches: { $0.record.metadata.tags.isEmpty })
    }

    @Test(arguments: [
        (VersioningState.off, ExpiryOutcome.removed, 0), (.enabled, .hidden, 2), (.suspended, .hidden, 1),
    ])
    func theCurrentVersionGoesAsTheBucketsVersioningSays(
        versioning: VersioningState, outcome: ExpiryOutcome, left: Int
    ) async throws {
        let stage = try await started(versioning)
        try await stage.store.put(stage.bucket, "k", [1])
        let expiry = try expiry(.current, stage)
        #expect(try await stage.store.expire(expiry) == outcome)
        #expect(try rows(stage).count == left)
        #expect(try rows(stage).first?.isDeleteMarker ?? true)
        let last = try #require(try stage.store.events(from: stage.store.head.sequence, limit: 1).first)
        #expect(last.record.actor == Actor.holdfast.id)
        switch last.record.change {
        case .versionRemoved(let change): #expect(change.reason == "lifecycle: r")
        case .versionPublished(let change): #expect(change.reason == "lifecycle: r")
        default: Issue.record("the last event is another one")
        }
        // Again, it finds nothing to do.
        #expect(try await stage.store.expire(expiry) == .overtaken)
        stage.store.close()
    }

    @Test(arguments: ["overwritten", "tagged", "deleted", "other rules", "no rules"])
    func whatChangedSinceTheRuleWasEvaluatedIsLeftAlone(how: String) async throws {
        let stage = try await started(.enabled)
        let (store, bucket) = (stage.store, stage.bucket)
        let put = try await store.put(bucket, "k", [1]).value
        let expiry = try expiry(.current, stage)
        switch how {
        case "overwritten": try await store.put(bucket, "k", [2])
        case "tagged": _ = try await store.amend(put, actor: tester) { $0.tags = ["a": "b"] }
        case "deleted":
            _ = try await store.delete(
                bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        default:
            _ = try await store.configureBucket(
                bucket, setting: "lifecycle", value: how == "no rules" ? nil : [1], actor: tester)
        }
        let before = store.head
        #expect(try await store.expire(expiry) == .overtaken)
        #expect(store.head == before)
        store.close()
    }

    @Test func aLockedVersionStaysAndGoesOnceReleased() async throws {
        let stage = try await started(.enabled)
        let (store, bucket) = (stage.store, stage.bucket)
        let put = try await store.put(bucket, "k", [1]).value
        try await store.put(bucket, "k", [2])
        _ = try await store.amend(put, actor: tester) { $0.legalHold = true }
        let expiry = try expiry(.noncurrent(newer: 0), stage, row: 1)
        guard case .locked = try await store.expire(expiry) else {
            Issue.record("a locked version was not kept")
            return
        }
        _ = try await store.amend(put, actor: tester) { $0.legalHold = false }
        #expect(try await store.expire(expiry) == .removed)
        store.close()
    }

    @Test func aNoncurrentVersionThatBecameCurrentOrOneOfTheNewestStays() async throws {
        let stage = try await started(.enabled)
        let (store, bucket) = (stage.store, stage.bucket)
        for byte in UInt8(0)..<4 { try await store.put(bucket, "k", [byte]) }
        let newest = try rows(stage).map { VersionSelector.id($0.versionID) }
        let third = try expiry(.noncurrent(newer: 1), stage, row: 2)
        let second = try expiry(.noncurrent(newer: 0), stage, row: 1)
        func remove(_ index: Int) async throws {
            _ = try await store.delete(
                bucket, try ObjectKey("k"), newest[index], conditions: .none, actor: tester)
        }
        #expect(try await store.expire(try expiry(.noncurrent(newer: 1), stage, row: 1)) == .overtaken)
        try await remove(0)
        #expect(try await store.expire(second) == .overtaken)
        #expect(try await store.expire(third) == .overtaken)
        try await store.put(bucket, "k", [9])
        #expect(try await store.expire(third) == .removed)
        store.close()
    }

    @Test func aMarkerThatHidesSomethingStays() async throws {
        let stage = try await started(.enabled)
        let (store, bucket) = (stage.store, stage.bucket)
        let put = try await store.put(bucket, "k", [1]).value
        try await store.put(bucket, "k2", [1])
        let key = try ObjectKey("k")
        _ = try await store.delete(bucket, key, .current, conditions: .none, actor: tester)
        let expiry = try expiry(.marker, stage)
        #expect(try await store.expire(expiry) == .overtaken)
        _ = try await store.delete(bucket, key, .id(put.versionID), conditions: .none, actor: tester)
        #expect(try await store.expire(expiry) == .removed)
        #expect(try rows(stage).map(\.key.rawValue) == ["k2"])
        store.close()
    }

    @Test func anUploadThatWasCompletedMeanwhileIsNotAborted() async throws {
        let stage = try await started(.off)
        let (store, bucket) = (stage.store, stage.bucket)
        let key = try ObjectKey("k")
        let upload = try await store.createUpload(
            bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value
        let part = try await store.putPart(bucket, "k", upload.uploadID, 1, [1])
        _ = try await store.completeUpload(
            bucket, key, upload.uploadID, parts: [.init(number: 1, etag: part.etag)], checksums: [],
            conditions: .none, actor: tester)
        #expect(try await store.expire(upload, document: Self.document, reason: "lifecycle: r") == .overtaken)
        #expect(try await store.get(bucket, "k") == [1])
        store.close()
    }
}
