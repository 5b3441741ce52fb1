import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import Synchronization
import TestSupport

/// The identities that AWS's examples use.
struct ExampleIdentities: IdentitySource {
    static let accessKey = "AKIAIOSFODNN7EXAMPLE"
    static let secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

    func identity(accessKey: String) -> Identity? {
        switch accessKey {
        case Self.accessKey:
            Identity(
                accessKey: accessKey, secretKey: Self.secretKey, userID: "example", displayName: "Example",
                isRoot: true)
        case "with/slash":
            Identity(accessKey: accessKey, secretKey: "secret", userID: "other", displayName: "Other")
        case "alice", "bob", "carol":
            Identity(
                accessKey: accessKey, secretKey: "secret of \(accessKey)", userID: "id-\(accessKey)",
                displayName: accessKey.capitalized, userName: accessKey)
        case "dan":
            Identity(
                accessKey: accessKey, secretKey: "secret of dan", userID: "id-dan", displayName: "Dan",
                userName: "dan",
                policies: UserPolicies(stored: [("writes", Array(Self.policyOfDan.utf8))], of: "dan"))
        default: nil
        }
    }

    /// Dan makes buckets and writes to one place in them, and reads nothing.
    private static let policyOfDan = #"""
        {"Statement": [
          {"Effect": "Allow", "Action": ["s3:CreateBucket", "s3:PutBucketAcl"], "Resource": "*"},
          {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*/in/*"}]}
        """#

    func displayName(userID: String) -> String? {
        switch userID {
        case "id-alice": "Alice"
        case "id-bob": "Bob"
        case "id-carol": "Carol"
        case "id-dan": "Dan"
        default: nil
        }
    }
}

/// 2013-05-24T00:00:00Z, when AWS's examples are signed.
let exampleTime: UInt64 = 1_369_353_600

func name(_ text: String) -> HTTPField.Name {
    guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is a header's name") }
    return name
}

func request(
    _ method: HTTPRequest.Method, _ path: String, host: String = "examplebucket.s3.amazonaws.com",
    _ headers: [(String, String)] = []
) -> HTTPRequest {
    var fields = HTTPFields()
    for (field, value) in headers { fields.append(HTTPField(name: name(field), value: value)) }
    return HTTPRequest(method: method, scheme: "http", authority: host, path: path, headerFields: fields)
}

/// A body in the pieces given.
final class Pieces: RequestBody {
    private let pieces: Mutex<[[UInt8]]>

    init(_ pieces: [[UInt8]]) { self.pieces = Mutex(pieces.reversed()) }

    func next() async throws -> (any ByteChunk)? { pieces.withLock { $0.popLast() } }
}

/// Signs as AWS's documents say: from the text of the request alone, with nothing of the code under test.
struct Signer {
    var accessKey = ExampleIdentities.accessKey
    var secretKey = ExampleIdentities.secretKey
    var region = "us-east-1"
    var service = "s3"
    var time = "20130524T000000Z"
    var date: String { String(time.prefix(8)) }
    var scope: String { "\(date)/\(region)/\(service)/aws4_request" }

    var key: [UInt8] {
        [date, region, service, "aws4_request"].reduce(Array("AWS4\(secretKey)".utf8)) {
            HMACSHA256.authenticate(Array($1.utf8), key: $0)
        }
    }

    func signature(_ canonicalRequest: String) -> String {
        let hash = SHA256.hash(Array(canonicalRequest.utf8)).hexadecimal
        return HMACSHA256.authenticate(
            Array("AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(hash)".utf8), key: key
        ).hexadecimal
    }

    /// - Parameters:
    ///   - path: as sent; it must be encoded as AWS wants it.
    ///   - query: canonical.
    func authorization(
        _ method: String, _ path: String, query: String = "", headers: [(String, String)], payload: String
    ) -> String {
        let sorted = headers.sorted { $0.0 < $1.0 }
        let names = sorted.map(\.0).joined(separator: ";")
        let lines = sorted.map { "\($0.0):\($0.1)\n" }.joined()
        let signature = signature("\(method)\n\(path)\n\(query)\n\(lines)\n\(names)\n\(payload)")
        return
            "AWS4-HMAC-SHA256 Credential=\(accessKey)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
    }

    /// The signature of a chunk or, with another kind, of a trailer.
    func chunk(_ data: [UInt8], after previous: String) -> String {
        let empty = SHA256.hash([UInt8]()).hexadecimal
        let text =
            "AWS4-HMAC-SHA256-PAYLOAD\n\(time)\n\(scope)\n\(previous)\n\(empty)\n\(SHA256.hash(data).hexadecimal)"
        return HMACSHA256.authenticate(Array(text.utf8), key: key).hexadecimal
    }

    func trailer(_ text: String, after previous: String) -> String {
        let hash = SHA256.hash(Array(text.utf8)).hexadecimal
        let text = "AWS4-HMAC-SHA256-TRAILER\n\(time)\n\(scope)\n\(previous)\n\(hash)"
        return HMACSHA256.authenticate(Array(text.utf8), key: key).hexadecimal
    }
}

/// The protocol over a store on a simulated disk.
final class S3Fixture: Sendable {
    let store: ObjectStore
    let service: S3Service
    private let fixture: StoreFixture

    init(locksNewBuckets: Bool = true) async throws {
        fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        try fixture.create(disk)
        store = try await fixture.open(disk)
        var settings = S3Settings()
        settings.domains = ["s3.amazonaws.com"]
        settings.locksNewBuckets = locksNewBuckets
        service = S3Service(
            store: store, settings: settings, identities: ExampleIdentities(),
            clock: { Timestamp(microseconds: exampleTime * 1_000_000) },
            onFault: { print("fault in \($1): \($2)") })
    }

    deinit { store.close() }

    /// Sends a request as a user of that name, or unsigned as nobody.
    func send(
        as user: String?, _ method: HTTPRequest.Method, _ path: String, _ query: String = "",
        _ headers: [(String, String)] = [], body: String = ""
    ) async -> ServiceResponse {
        if let user {
            let root = user == "root"
            return await send(
                method, path, query, headers, body: Array(body.utf8),
                signer: root ? Signer() : Signer(accessKey: user, secretKey: "secret of \(user)"))
        }
        let head = request(
            method, query.isEmpty ? path : "\(path)?\(query)", host: "localhost",
            headers + [("content-length", String(body.utf8.count))])
        return await service.respond(
            to: ServiceRequest(head: head, body: Pieces(body.isEmpty ? [] : [Array(body.utf8)])))
    }

    /// Sends a signed request.
    /// - Parameter query: canonical, as `a=1&b=`.
    func send(
        _ method: HTTPRequest.Method, _ path: String, _ query: String = "",
        _ headers: [(String, String)] = [], body: [UInt8] = [], payload: String = "UNSIGNED-PAYLOAD",
        signer: Signer = Signer()
    ) async -> ServiceResponse {
        var all = headers
        all.append(("x-amz-date", signer.time))
        all.append(("x-amz-content-sha256", payload))
        if !headers.contains(where: { $0.0 == "content-length" }) {
            all.append(("content-length", String(body.count)))
        }
        let authorization = signer.authorization(
            method.rawValue, path, query: query, headers: all + [("host", "localhost")], payload: payload)
        let head = request(
            method, query.isEmpty ? path : "\(path)?\(query)", host: "localhost",
            all + [("authorization", authorization)])
        return await service.respond(to: ServiceRequest(head: head, body: Pieces(body.isEmpty ? [] : [body])))
    }
}

extension ServiceResponse {
    var text: String {
        if case .bytes(let bytes) = body { String(decoding: bytes, as: UTF8.self) } else { "" }
    }

    /// The text of the first element of that name.
    func element(_ name: String) -> String? {
        guard let start = text.range(of: "<\(name)>"), let end = text.range(of: "</\(name)>") else {
            return nil
        }
        return String(text[start.upperBound..<end.lowerBound])
    }
}

extension S3Fixture {
    /// What `Content-MD5` says of a body.
    static func md5(_ text: String) -> String { Data(MD5.hash(Array(text.utf8))).base64EncodedString() }
}
