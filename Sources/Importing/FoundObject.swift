import Foundation
import Model
import S3
import S3Repository
import Synchronization

/// An object of an S3 endpoint, with all that the endpoint tells of it, before its bytes are read.
struct FoundObject {
    /// Up to this size the bytes come with the rest, in one request.
    static let smallByteCount: UInt64 = 8 * 1024 * 1024

    let listed: ListedObject
    /// Names the version in requests; `nil` for what the bucket shows.
    let selector: String?
    /// Of the whole object; names in lower case.
    let headers: [(name: String, value: String)]
    /// `nil` if it is still to be read.
    let body: [UInt8]?

    /// Asks for it.
    /// - Throws: ``ImportTrouble``, ``S3ClientError``.
    static func find(
        _ listed: ListedObject, selector: String?, _ client: S3Client
    ) throws -> FoundObject {
        let isSmall = !listed.etag.isEmpty && !listed.isMultipart && listed.size <= smallByteCount
        let answer: S3Response
        do throws(S3ClientError) {
            answer =
                isSmall
                ? try client.get(listed.key, version: selector, etag: listed.etag)
                : try client.head(listed.key, version: selector)
        } catch { throw error.asTrouble }
        let etag = S3Client.unquoted(answer.header("etag") ?? "")
        let size = isSmall ? UInt64(answer.body.count) : answer.header("content-length").flatMap(UInt64.init)
        guard etag == listed.etag, size == listed.size else {
            throw ImportTrouble.changed("it is not what the listing showed any more")
        }
        return FoundObject(
            listed: listed, selector: selector, headers: answer.headers, body: isSmall ? answer.body : nil)
    }

    /// What is there under a key now, where that is not what a listing showed.
    static func current(_ listed: ListedObject, _ client: S3Client) throws -> ListedObject {
        let answer: S3Response
        do throws(S3ClientError) { answer = try client.head(listed.key, version: nil) } catch {
            throw error.asTrouble
        }
        return ListedObject(
            key: listed.key, size: answer.header("content-length").flatMap(UInt64.init) ?? 0,
            etag: S3Client.unquoted(answer.header("etag") ?? ""), versionID: listed.versionID,
            modified: answer.header("last-modified").flatMap(HTTPDate.seconds).map {
                Timestamp(microseconds: $0 * 1_000_000)
            } ?? listed.modified,
            owner: listed.owner, ownerName: listed.ownerName)
    }

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// Whether its ETag is an MD5, or one of parts' MD5s.
    ///
    /// Source: Amazon S3 API Reference, "Object": with KMS keys and customers' keys it is not.
    var etagIsDigest: Bool {
        let method = header("x-amz-server-side-encryption") ?? ""
        guard !method.hasPrefix("aws:kms"),
            header("x-amz-server-side-encryption-customer-algorithm") == nil
        else { return false }
        let hex = listed.etag.split(separator: "-", maxSplits: 1)[0]
        return hex.utf8.count == 32 && hex.allSatisfy(\.isHexDigit)
    }

    /// The checksum that the endpoint tells of the object; `nil` for none that this store knows.
    var checksum: (algorithm: EventChecksumAlgorithm, text: String, isComposite: Bool)? {
        for algorithm in EventChecksumAlgorithm.known {
            guard let text = header("x-amz-checksum-\(algorithm.wireName.lowercased())") else { continue }
            return (
                algorithm, text, header("x-amz-checksum-type") == "COMPOSITE" || text.contains("-")
            )
        }
        return nil
    }

    /// Asks for its tags, unless it is known to have none. An answer that tells of none is of an object that has none, or whose
    /// tags are not for these keys: a right that may be given for each object alone.
    /// - Returns: its tags; `nil` if the keys may not read them and it is not known that there are any.
    /// - Throws: ``S3ClientError``, also where tags that are there may not be read; what is wrong with the tags.
    func tags(_ client: S3Client, _ support: TagSupport) throws -> [String: String]? {
        let count = header("x-amz-tagging-count")
        if count == "0" || count == nil && support.isMissing { return [:] }
        do { return try client.tags(listed.key, version: selector) } catch let error as S3ClientError {
            guard count == nil else { throw error }
            switch error.status {
            case 403: return nil
            case 404: return [:]
            case 405, 501:
                support.isMissing = true
                return [:]
            default: throw error
            }
        }
    }
}

/// Whether an endpoint is known to know no tags: it has none to lose, and is not asked for them again.
final class TagSupport: Sendable {
    private let state = Atomic(false)

    var isMissing: Bool {
        get { state.load(ordering: .relaxed) }
        set { state.store(newValue, ordering: .relaxed) }
    }
}

extension ListedObject {
    /// Whether its ETag says that it was put in parts.
    var isMultipart: Bool { etag.contains("-") }

    /// How many parts its ETag says it has.
    var partCount: Int? { etag.split(separator: "-").dropFirst().last.flatMap { Int($0) } }
}

extension S3ClientError {
    /// As what it means for an object that was listed before.
    var asTrouble: any Error {
        switch status {
        case 404 where code != "NoSuchBucket": ImportTrouble.gone("it was deleted while the import ran")
        case 412: ImportTrouble.changed("it changed while it was read")
        default: self
        }
    }
}
