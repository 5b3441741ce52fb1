import Foundation
import Importing
import Model
import ObjectStore
import S3
import S3Repository
import Synchronization
import TestSupport
import Testing

/// Objects of an endpoint whose tags not everybody may read.
@Suite struct ImportTagsTests {
    private struct Object: Sendable {
        var tags: [String: String] = [:]
        /// Whether they may be read.
        var isOpen = true
    }

    /// A bucket elsewhere. As Amazon S3 does, it tells only whoever may read them that there are tags.
    private final class Endpoint: Sendable {
        private let objects: [String: Object]
        private let tellsOfNone: Bool
        private let knowsTags: Bool
        private let asked = Mutex<[String]>([])

        init(_ objects: [String: Object], tellsOfNone: Bool = false, knowsTags: Bool = true) {
            self.objects = objects
            self.tellsOfNone = tellsOfNone
            self.knowsTags = knowsTags
        }

        /// The keys whose tags were asked for, in order.
        var askedFor: [String] { asked.withLock { $0.sorted() } }

        func answer(_ request: S3Request) -> S3Response {
            guard let key = request.key else { return S3Response(status: 200, body: Array(listing.utf8)) }
            guard let object = objects[key] else { return S3Response(status: 404) }
            if request.query.contains(where: { $0.name == "tagging" }) {
                asked.withLock { $0.append(key) }
                guard knowsTags else { return S3Response(status: 501) }
                guard object.isOpen else { return S3Response(status: 403) }
                let tags = object.tags.map { "<Tag><Key>\($0.key)</Key><Value>\($0.value)</Value></Tag>" }
                let text = "<Tagging><TagSet>\(tags.joined())</TagSet></Tagging>"
                return S3Response(status: 200, body: Array(text.utf8))
            }
            var headers = [(name: "etag", value: "\"tag of \(key)\"")]
            if object.isOpen, !object.tags.isEmpty || tellsOfNone {
                headers.append((name: "x-amz-tagging-count", value: "\(object.tags.count)"))
            }
            return S3Response(status: 200, headers: headers, body: Array(key.utf8))
        }

        private var listing: String {
            let contents = objects.keys.sorted().map { key in
                "<Contents><Key>\(key)</Key><Size>\(key.utf8.count)</Size><ETag>tag of \(key)</ETag>"
                    + "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            }
            return
                "<ListBucketResult><IsTruncated>false</IsTruncated>\(contents.joined())</ListBucketResult>"
        }
    }

    private func run(
        _ endpoint: Endpoint, into started: StartedStore
    ) async throws -> (outcomes: [String: ImportOutcome], summary: ImportSummary) {
        var order = ImportOrder(
            from: "s3://bucket?endpoint=http://tags.invalid", into: started.bucket.rawValue)
        // So that what is found out of one object is known of the next.
        order.parallel = 1
        let root = ObjectOwner(id: "root", displayName: "root")
        var run = Import(
            started.store, order, settings: S3Settings(),
            users: ImportUsers(named: { _ in nil }, displayName: { _ in nil }, root: root),
            executor: globalConcurrentExecutor)
        run.connect = { location in
            var patience = S3Client.Patience()
            patience.attempts = 1
            return S3Client(location, patience: patience) { endpoint.answer($0) }
        }
        var outcomes: [String: ImportOutcome] = [:]
        let summary = try await run.run { outcomes[$0.name] = $0 }
        return (outcomes, summary)
    }

    private func tags(_ key: String, _ started: StartedStore) throws -> [String: String] {
        try started.store.version(started.bucket, ObjectKey(key), .current).record.metadata.tags
    }

    /// The right may be given for each object alone: that one's tags were read says nothing of the next one's.
    @Test func anObjectWhoseTagsMayNotBeReadSaysSoWhateverWasReadBefore() async throws {
        let endpoint = Endpoint([
            "a": Object(), "b": Object(tags: ["kind": "raw"], isOpen: false),
            "c": Object(tags: ["kind": "raw"]), "d": Object(isOpen: false), "e": Object(),
        ])
        let started = try await StartedStore()
        defer { started.store.close() }
        let (outcomes, summary) = try await run(endpoint, into: started)
        #expect(outcomes.count == 5 && outcomes.values.allSatisfy { $0.action == .imported })
        for key in ["a", "b", "c", "d", "e"] {
            let outcome = try #require(outcomes[key])
            let isClosed = key == "b" || key == "d"
            #expect(outcome.mayLackTags == isClosed, "\(key)")
            #expect(outcome.detail?.contains("s3:GetObjectTagging") == isClosed, "\(key)")
            #expect(try tags(key, started) == (key == "c" ? ["kind": "raw"] : [:]), "\(key)")
        }
        #expect(summary.total.imported == 5 && summary.total.mayLackTags == 2)
        #expect(!summary.isComplete, "something may be missing")
    }

    @Test func whatIsSaidToHaveNoTagsIsNotAskedForThem() async throws {
        let objects = ["a": Object(), "b": Object(tags: ["kind": "raw"]), "c": Object()]
        let endpoint = Endpoint(objects, tellsOfNone: true)
        let started = try await StartedStore()
        defer { started.store.close() }
        let (_, summary) = try await run(endpoint, into: started)
        #expect(endpoint.askedFor == ["b"])
        #expect(try tags("b", started) == ["kind": "raw"])
        #expect(summary.isComplete && summary.total.mayLackTags == 0)
    }

    @Test func anEndpointThatKnowsNoTagsIsAskedForThemOnce() async throws {
        let endpoint = Endpoint(["a": Object(), "b": Object(), "c": Object()], knowsTags: false)
        let started = try await StartedStore()
        defer { started.store.close() }
        let (outcomes, summary) = try await run(endpoint, into: started)
        #expect(endpoint.askedFor.count == 1)
        #expect(outcomes.values.allSatisfy { !$0.mayLackTags } && summary.isComplete)
        #expect(summary.total.imported == 3)
    }
}
