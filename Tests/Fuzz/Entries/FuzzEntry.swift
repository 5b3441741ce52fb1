import Digests
import EventLog
import HTTPTypes
import Integrity
import Model
import ObjectStore
import S3
import Volumes

/// A parser that anybody's bytes reach, or those of a disk that nobody vouches for, as a fuzzer drives it.
///
/// An entry throws ``S3Error`` or the flaw of its reader for what it refuses; everything else, and an invariant that does
/// not hold, is a find. A new parser is one line of ``all``, and a directory of `Fixtures/corpus`.
public struct FuzzEntry: Sendable {
    public let name: String
    private let parse: @Sendable ([UInt8]) async throws -> Void

    init(_ name: String, _ parse: @escaping @Sendable ([UInt8]) async throws -> Void) {
        self.name = name
        self.parse = parse
    }

    public static let all = [
        FuzzEntry("xml") { _ = try XMLElement.parse($0, root: "Delete") },
        FuzzEntry("authorization", SignatureEntries.authorization),
        FuzzEntry("presigned", SignatureEntries.presigned),
        FuzzEntry("signature-v2", SignatureEntries.signatureV2),
        FuzzEntry("chunks", ChunkEntries.chunks),
        FuzzEntry("signed-chunks", ChunkEntries.signedChunks),
        FuzzEntry("policy", PolicyEntries.bucketPolicy),
        FuzzEntry("user-policy", PolicyEntries.userPolicy),
        FuzzEntry("json") { _ = try JSONValue(parsing: $0) },
        FuzzEntry("range", TextEntries.range),
        FuzzEntry("target", TextEntries.target),
        FuzzEntry("copy-source", HeaderEntries.copySource),
        FuzzEntry("grant-headers", HeaderEntries.grants),
        FuzzEntry("conditions", HeaderEntries.conditions),
        FuzzEntry("lock-date", HeaderEntries.lockDate),
        FuzzEntry("date", TextEntries.date),
        FuzzEntry("form", FormEntries.form),
        FuzzEntry("post-policy", FormEntries.postPolicy),
        FuzzEntry("cors") { _ = try CORSRules($0) },
        FuzzEntry("lifecycle") { _ = try LifecycleConfiguration($0) },
        FuzzEntry("acl") { _ = try AccessControlList(document: $0, owner: nil) },
        FuzzEntry("notification") { _ = try NotificationRules($0) },
        FuzzEntry("tags") { _ = try TagSet(try XMLElement.parse($0, root: "Tagging"), of: .object) },
        FuzzEntry("object-lock", SettingEntries.objectLock),
        FuzzEntry("encryption", SettingEntries.encryption),
        FuzzEntry("logging") { _ = try LoggingRules(request: $0) },
        FuzzEntry("access", SettingEntries.access),
        FuzzEntry("tag-header") { _ = try TagSet(header: String(decoding: $0, as: UTF8.self)) },
        FuzzEntry("frame", StorageEntries.frame),
        FuzzEntry("segment", StorageEntries.segment),
        FuzzEntry("blob", StorageEntries.blob),
        FuzzEntry("volume-file") { _ = try VolumeFile.decode($0, path: "volume.json") },
        FuzzEntry("references", ReferenceEntries.references),
    ]

    public static func named(_ name: String) -> FuzzEntry? { all.first { $0.name == name } }

    /// - Throws: what no parser may throw, or an invariant that does not hold.
    public func run(_ input: [UInt8]) async throws {
        do { try await parse(input) } catch let error as S3Error {
            // A client's bytes are never the server's fault.
            guard error.code.status < 500 || error.code.name == "NotImplemented" else { throw error }
        } catch is JSONFlaw {
        } catch is FrameFlaw {
        } catch is SegmentFlaw {
        } catch is BlobFlaw {
        } catch is VolumeError {
        } catch is ReferenceFlaw {}
    }
}

/// Something that must hold of every input, and did not.
struct BrokenInvariant: Error, CustomStringConvertible {
    let description: String
}

func require(_ holds: Bool, _ claim: @autoclosure () -> String) throws {
    if !holds { throw BrokenInvariant(description: claim()) }
}

/// Ranges, request targets, percent-encoding, dates.
enum TextEntries {
    private static func text(_ input: [UInt8]) -> String { String(decoding: input, as: UTF8.self) }

    /// The first byte makes the size.
    static func range(_ input: [UInt8]) throws {
        let size = input.first.map { UInt64($0) * UInt64($0) } ?? 0
        for size in [size, UInt64.max] {
            guard let range = try ByteRange.parse(text(Array(input.dropFirst())), size: size) else {
                continue
            }
            try require(!range.isEmpty && range.upperBound <= size, "\(range) of \(size)")
        }
    }

    /// The first line is the host, the rest the request's target.
    static func target(_ input: [UInt8]) throws {
        let lines = input.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
        let host = text(Array(lines[0]))
        let uri = text(Array(lines.count > 1 ? lines[1] : []))
        let target = try RequestTarget(uri: uri, host: host, domains: ["s3.example.com", "example.com"])
        try require(target.path.utf8.first == UInt8(ascii: "/"), "the path '\(target.path)'")
        let encoded = PercentEncoding.encode(target.path, keepsSlash: true)
        try require(
            PercentEncoding.decode(encoded, plusIsSpace: false).map { Array($0.utf8) }
                == Array(target.path.utf8),
            "'\(target.path)' comes back from '\(encoded)'")
        for method in [HTTPRequest.Method.get, .put, .post, .delete, .head, .options] {
            let head = HTTPRequest(method: method, scheme: "http", authority: host, path: uri)
            do { _ = try Operation(head, target) } catch is S3Error {}
        }
    }

    static func date(_ input: [UInt8]) throws {
        guard let seconds = HTTPDate.seconds(text(input)) else { return }
        let written = HTTPDate.string(Timestamp(microseconds: seconds * 1_000_000))
        try require(HTTPDate.seconds(written) == seconds, "\(text(input)) is \(seconds) and '\(written)'")
        try require(HTTPDate.compactSeconds(HTTPDate.compact(seconds)) == seconds, "\(seconds) is compact")
    }
}

/// Policies: read, asked, and asked again.
enum PolicyEntries {
    private static let request = PolicyRequest(
        principal: .user(name: "alice", canonicalID: String(repeating: "a1", count: 32)),
        action: "s3:GetObject",
        resource: "arn:aws:s3:::examplebucket/home/alice/photo.jpg",
        context: PolicyContext { key in
            switch key {
            case "aws:username": ["alice"]
            case "aws:sourceip": ["192.0.2.7"]
            case "aws:currenttime": ["2024-03-01T12:00:00Z"]
            case "aws:tagkeys": ["a", "b"]
            case "s3:max-keys": ["10"]
            case "s3:prefix": ["home/alice/"]
            case "aws:principalarn": ["arn:aws:iam::123456789012:user/alice"]
            default: nil
            }
        })

    static func bucketPolicy(_ input: [UInt8]) throws {
        try ask(try PolicyDocument(input, kind: .bucket(try BucketName("examplebucket"))))
    }

    static func userPolicy(_ input: [UInt8]) throws { try ask(try PolicyDocument(input, kind: .user)) }

    private static func ask(_ policy: PolicyDocument) throws {
        let verdict = policy.verdict(on: request)
        try require(policy.verdict(on: request) == verdict, "the same answer twice")
        var anonymous = request
        anonymous.principal = .anonymous
        _ = policy.verdict(on: anonymous)
        _ = policy.isPublic
    }
}
