import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

@Suite struct AccessLogsTests {
    private static let facts = AccessFacts(
        remoteAddress: "192.0.2.3", tlsVersion: nil, bytesSent: 0, duration: .zero, turnAround: .zero)

    /// A store with a bucket "source" whose log goes to "target".
    private static func fixture() async throws -> S3Fixture {
        let fixture = try await S3Fixture()
        for bucket in ["source", "target", "quiet"] {
            #expect(await fixture.send(.put, "/\(bucket)").status == .ok)
        }
        #expect(await enable(fixture, "target").status == .ok)
        return fixture
    }

    private static func enable(_ fixture: S3Fixture, _ target: String) async -> ServiceResponse {
        let document =
            "<BucketLoggingStatus><LoggingEnabled><TargetBucket>\(target)</TargetBucket><TargetPrefix>l/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
        return await fixture.send(.put, "/source", "logging=", body: Array(document.utf8))
    }

    /// What the transport does when an answer has gone out.
    private static func finish(_ fixture: S3Fixture, _ response: ServiceResponse, agent: String = "a") throws
    {
        let note = try #require(response.access)
        let head = request(.get, "/source/k", host: "localhost", [("user-agent", agent)])
        fixture.service.accessLogs.record(note, head, response, facts)
    }

    private static func keys(_ fixture: S3Fixture) async -> Int {
        await fixture.send(.get, "/target", "list-type=2").text.components("<Key>")
    }

    @Test func onlyRequestsToABucketThatLogsLeaveANote() async throws {
        let fixture = try await Self.fixture()
        #expect(await fixture.send(.get, "/source/k").access != nil)
        #expect(await fixture.send(.get, "/quiet/k").access == nil)
        #expect(await fixture.send(.get, "/no-such-bucket/k").access == nil)
        #expect(await fixture.send(.get, "/").access == nil)
        let off = Array("<BucketLoggingStatus/>".utf8)
        #expect(await fixture.send(.put, "/source", "logging=", body: off).status == .ok)
        #expect(await fixture.send(.get, "/source/k").access == nil)
    }

    @Test func recordsAreOneObjectOfTheTarget() async throws {
        let fixture = try await Self.fixture()
        for _ in 0..<3 { try Self.finish(fixture, await fixture.send(.get, "/source/k")) }
        #expect(await fixture.service.accessLogs.deliver(olderThan: .seconds(3600)) == [])
        #expect(await Self.keys(fixture) == 0)
        #expect(await fixture.service.accessLogs.deliverAll() == [])
        #expect(await Self.keys(fixture) == 1)
        #expect(await fixture.service.accessLogs.deliverAll() == [])
        #expect(await Self.keys(fixture) == 1)
    }

    @Test func aFullBatchIsDueAtOnce() async throws {
        let fixture = try await Self.fixture()
        let response = await fixture.send(.get, "/source/k")
        let agent = String(repeating: "a", count: 60_000)
        for _ in 0..<18 { try Self.finish(fixture, response, agent: agent) }
        #expect(await fixture.service.accessLogs.deliver(olderThan: .seconds(3600)) == [])
        #expect(await Self.keys(fixture) == 1)
    }

    @Test func whatDoesNotFitIsDroppedCountedAndTold() async throws {
        let fixture = try await Self.fixture()
        let response = await fixture.send(.get, "/source/k")
        let agent = String(repeating: "a", count: 1024 * 1024)
        for _ in 0..<(AccessLogs.memoryLimit / agent.utf8.count + 2) {
            try Self.finish(fixture, response, agent: agent)
        }
        let problems = await fixture.service.accessLogs.deliverAll()
        #expect(
            problems.count == 1 && problems.first?.hasSuffix("records were dropped") == true, "\(problems)")
        // The room is free again.
        try Self.finish(fixture, response)
        #expect(await fixture.service.accessLogs.deliverAll() == [])
    }

    @Test func aTargetThatIsGoneLosesTheRecordsAndSaysSo() async throws {
        let fixture = try await Self.fixture()
        try Self.finish(fixture, await fixture.send(.get, "/source/k"))
        #expect(await fixture.send(.delete, "/target").status == .noContent)
        let problems = await fixture.service.accessLogs.deliver(olderThan: .zero)
        #expect(problems.count == 1 && problems[0].hasSuffix("1 records are lost"), "\(problems)")
        #expect(await fixture.service.accessLogs.deliverAll() == [])
    }

    /// Records tell who asked for what; whoever takes the target's name must not get them.
    @Test func aTargetOfAnotherOwnerGetsNothing() async throws {
        let fixture = try await Self.fixture()
        let stranger = Actor(id: "other", displayName: "Other", requestID: "")
        _ = try await fixture.store.createBucket(
            BucketName("foreign"), region: "us-east-1", actor: stranger)
        let refused = await Self.enable(fixture, "foreign")
        #expect(refused.errorCode == "InvalidTargetBucketForLogging")
        try Self.finish(fixture, await fixture.send(.get, "/source/k"))
        #expect(await fixture.send(.delete, "/target").status == .noContent)
        _ = try await fixture.store.createBucket(BucketName("target"), region: "us-east-1", actor: stranger)
        let problems = await fixture.service.accessLogs.deliver(olderThan: .zero)
        #expect(problems.count == 1 && problems[0].contains("has another owner"), "\(problems)")
        let listed = try fixture.store.listCurrent(
            BucketName("target"), prefix: "", delimiter: "", after: "", limit: 10)
        #expect(listed.items.isEmpty)
    }

    @Test func aStoreThatWasOpenedFindsItsLoggedBuckets() async throws {
        let fixture = try await Self.fixture()
        let service = S3Service(
            store: fixture.store, settings: S3Settings(), identities: ExampleIdentities(),
            onFault: { _, _, _ in })
        let unsigned = ServiceRequest(
            head: request(.get, "/source/k", host: "localhost"), body: Pieces([]))
        #expect(await service.respond(to: unsigned).access == nil)
        try service.accessLogs.findLoggedBuckets()
        let response = await service.respond(to: unsigned)
        #expect(response.status.code == 403 && response.access?.requester == nil && response.access != nil)
    }
}

extension String {
    /// How often `part` stands in it.
    fileprivate func components(_ part: String) -> Int { ranges(of: part).count }
}
