import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

/// Settings in the store that no longer read: of a server that was less strict, or damaged.
@Suite struct UnreadableSettingTests {
    private static let operatorActor = Actor(id: "test", displayName: "", requestID: "")

    private static func damage(_ s3: S3Fixture, _ bucket: String, _ setting: String) async throws {
        _ = try await s3.store.configureBucket(
            BucketName(bucket), setting: setting, value: Array("<Nothing".utf8), actor: operatorActor)
    }

    @Test func aLifecyclePassGoesOnBehindRulesThatCannotBeReadAndSaysSo() async throws {
        let s3 = try await S3Fixture()
        let rules = """
            <LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status>\
            <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>
            """
        let names = ["a-first", "b-damaged", "c-third"]
        for name in names {
            _ = await s3.send(.put, "/\(name)")
            _ = await s3.send(.put, "/\(name)/k", body: [1])
            let response = await s3.send(
                as: "root", .put, "/\(name)", "lifecycle=", [("content-md5", S3Fixture.md5(rules))],
                body: rules)
            try #require(response.errorCode == nil, "\(response.text)")
        }
        try await Self.damage(s3, "b-damaged", "lifecycle")
        let pass = LifecyclePass(
            s3.store, daySeconds: 86_400, clock: { Timestamp(microseconds: exampleTime * 1_000_000) })
        let summary = try await pass.run()
        #expect(summary.removed == 2)
        let failure = try #require(summary.failures.first)
        #expect(summary.failures.count == 1 && failure.contains("b-damaged") && failure.contains("lifecycle"))
        for (name, status) in zip(names, [404, 200, 404]) {
            #expect(await s3.send(.head, "/\(name)/k").status.code == status, "\(name)")
        }
        // Clients of the bucket are let down by nothing else, and can put other rules.
        #expect(await s3.send(.put, "/b-damaged/k", body: [2]).errorCode == nil)
        _ = await s3.send(
            as: "root", .put, "/b-damaged", "lifecycle=", [("content-md5", S3Fixture.md5(rules))], body: rules
        )
        #expect(try await pass.run().removed == 1)
    }

    @Test func anObjectLockThatCannotBeReadKeepsWhatIsLockedAndLetsNothingInUnlocked() async throws {
        let s3 = try await S3Fixture()
        _ = await s3.send(.put, "/bucket", "", [("x-amz-bucket-object-lock-enabled", "true")])
        let kept = await s3.send(
            .put, "/bucket/k", "",
            [
                ("x-amz-object-lock-mode", "COMPLIANCE"),
                ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
                ("content-md5", S3Fixture.md5("x")),
            ], body: Array("x".utf8))
        let version = try #require(kept.headers[name("x-amz-version-id")], "\(kept.text)")
        let upload = try #require(await s3.send(.post, "/bucket/m", "uploads=").element("UploadId"))
        let part = await s3.send(.put, "/bucket/m", "partNumber=1&uploadId=\(upload)", body: [1])
        let etag = try #require(part.headers[.eTag])
        try await Self.damage(s3, "bucket", "object-lock")
        let complete =
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\(etag)</ETag></Part></CompleteMultipartUpload>"
        func completeUpload() async -> String? {
            await s3.send(.post, "/bucket/m", "uploadId=\(upload)", body: Array(complete.utf8)).errorCode
        }
        // The default retention is not known: nothing is written that might have come under it.
        #expect(await s3.send(.put, "/bucket/new", body: [1]).errorCode == "InternalError")
        #expect(
            await s3.send(.put, "/bucket/copy", "", [("x-amz-copy-source", "bucket/k")]).errorCode
                == "InternalError")
        #expect(await completeUpload() == "InternalError")
        #expect(await s3.send(.get, "/bucket/k").status == .ok)
        #expect(await s3.send(.get, "/bucket/k", "retention=").element("Mode") == "COMPLIANCE")
        for headers in [[], [("x-amz-bypass-governance-retention", "true")]] {
            let deletion = await s3.send(.delete, "/bucket/k", "versionId=\(version)", headers)
            #expect(deletion.errorCode == "AccessDenied")
        }
        #expect(await s3.send(.delete, "/bucket/k").status == .noContent, "a marker removes nothing")
        // Putting another one mends it.
        let lock =
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
        let mended = await s3.send(
            as: "root", .put, "/bucket", "object-lock=", [("content-md5", S3Fixture.md5(lock))], body: lock)
        #expect(mended.errorCode == nil, "\(mended.text)")
        #expect(await s3.send(.put, "/bucket/new", body: [1]).errorCode == nil)
        #expect(await completeUpload() == nil)
    }
}
