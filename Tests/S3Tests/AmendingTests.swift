import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

@Suite struct AmendingTests {
    private static let actor = Actor(id: "example", displayName: "", requestID: "")

    @Test func twoThatChangeDifferentFieldsOfOneVersionBothLast() async throws {
        let s3 = try await S3Fixture()
        #expect(await s3.send(.put, "/bucket").status == .ok)
        #expect(await s3.send(.put, "/bucket/key", body: [1]).status == .ok)
        let bucket = try BucketName("bucket")
        let key = try ObjectKey("key")
        // Both saw the version before either changed it.
        let seen = try s3.store.version(bucket, key, .current)
        _ = try await s3.store.amend(seen, actor: Self.actor) { $0.legalHold = true }
        _ = try await s3.store.amend(seen, actor: Self.actor) { $0.tags = ["a": "1"] }
        let now = try s3.store.version(bucket, key, .current)
        #expect(now.record.metadata.legalHold && now.record.metadata.tags == ["a": "1"])
        #expect(now.sequence == seen.sequence && now.published == seen.published)
    }

    @Test func aVersionThatIsGoneCannotBeAmended() async throws {
        let s3 = try await S3Fixture()
        #expect(await s3.send(.put, "/bucket").status == .ok)
        #expect(await s3.send(.put, "/bucket/key", body: [1]).status == .ok)
        let seen = try s3.store.version(try BucketName("bucket"), try ObjectKey("key"), .current)
        #expect(await s3.send(.put, "/bucket/key", body: [2]).status == .ok)
        await #expect(throws: StoreError.self) {
            _ = try await s3.store.amend(seen, actor: Self.actor) { $0.tags = ["a": "1"] }
        }
    }

    @Test func aChangeThatThrowsChangesNothing() async throws {
        let s3 = try await S3Fixture()
        #expect(await s3.send(.put, "/bucket").status == .ok)
        #expect(await s3.send(.put, "/bucket/key", body: [1]).status == .ok)
        let bucket = try BucketName("bucket")
        let key = try ObjectKey("key")
        let seen = try s3.store.version(bucket, key, .current)
        await #expect(throws: StoreError.self) {
            _ = try await s3.store.amend(seen, actor: Self.actor) {
                $0.legalHold = true
                throw StoreError.invalidState("no")
            }
        }
        #expect(try s3.store.version(bucket, key, .current) == seen)
    }
}
