import HTTPTypes
import ObjectStore
import S3
import Synchronization
import Testing

/// A bucket that is deleted while a request's body comes in, and whose name is somebody else's when it is there.
@Suite struct SameBucketTests {
    /// A body of one piece, before which something happens.
    private final class Late: RequestBody {
        private let happens: @Sendable () async -> Void
        private let piece: Mutex<[UInt8]?>

        init(_ piece: String, _ happens: @escaping @Sendable () async -> Void) {
            self.piece = Mutex(Array(piece.utf8))
            self.happens = happens
        }

        func next() async throws -> (any ByteChunk)? {
            guard let piece = piece.withLock({ $0.take() }) else { return nil }
            await happens()
            return piece
        }
    }

    private static func tagging(_ value: String) -> String {
        "<Tagging><TagSet><Tag><Key>k</Key><Value>\(value)</Value></Tag></TagSet></Tagging>"
    }

    @Test(arguments: [
        (path: "/bucket/k", query: "", body: String(repeating: "x", count: 100)),
        (path: "/bucket/k", query: "", body: String(repeating: "x", count: 200_000)),
        (path: "/bucket", query: "tagging=", body: tagging("of alice")),
        (path: "/bucket/theirs", query: "tagging=", body: tagging("of alice")),
        (
            path: "/bucket", query: "versioning=",
            body: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        ),
        (
            path: "/bucket", query: "policy=",
            body:
                #"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam:::user/alice"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}}"#
        ),
    ])
    func whatWasBegunInABucketDoesNotEndInAnotherOfItsName(path: String, query: String, body: String)
        async throws
    {
        let s3 = try await S3Fixture()
        _ = await s3.send(as: "alice", .put, "/bucket")
        let signer = Signer(accessKey: "alice", secretKey: "secret of alice")
        let headers = [
            ("x-amz-date", signer.time), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("content-length", String(body.utf8.count)),
        ]
        let authorization = signer.authorization(
            "PUT", path, query: query, headers: headers + [("host", "localhost")], payload: "UNSIGNED-PAYLOAD"
        )
        let head = request(
            .put, query.isEmpty ? path : "\(path)?\(query)", host: "localhost",
            headers + [("authorization", authorization)])
        let late = Late(body) {
            let steps: [(who: String, method: HTTPRequest.Method, path: String)] = [
                ("alice", .delete, "/bucket"), ("bob", .put, "/bucket"), ("bob", .put, "/bucket/theirs"),
            ]
            for (who, method, path) in steps {
                let response = await s3.send(as: who, method, path)
                #expect(response.errorCode == nil, "\(method) \(path): \(response.text)")
            }
        }
        let response = await s3.service.respond(to: ServiceRequest(head: head, body: late))
        #expect(response.errorCode == "NoSuchBucket", "\(response.status) \(response.text)")
        #expect(await s3.send(as: "bob", .head, "/bucket/k").status == .notFound)
        #expect(await s3.send(as: "bob", .get, "/bucket", "tagging=").errorCode == "NoSuchTagSet")
        #expect(!(await s3.send(as: "bob", .get, "/bucket/theirs", "tagging=").text.contains("alice")))
        #expect(!(await s3.send(as: "bob", .get, "/bucket", "versioning=").text.contains("Enabled")))
        #expect(await s3.send(as: "bob", .get, "/bucket", "policy=").errorCode == "NoSuchBucketPolicy")
    }
}
