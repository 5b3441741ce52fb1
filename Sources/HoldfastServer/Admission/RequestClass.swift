import NIOHTTP1
import S3

/// What kind of work a request is: each kind has a limit of its own, so that listings of a large bucket keep nobody from
/// reading an object.
package enum RequestClass: Int, CaseIterable, Sendable {
    /// GET and HEAD of objects, HEAD of buckets, preflights.
    case read
    /// PUT, POST and DELETE of objects and parts.
    case write
    /// Buckets, keys, versions, uploads, parts.
    case list
    /// Buckets are made and deleted; settings of buckets and objects.
    case admin

    package var word: String {
        switch self {
        case .read: "read"
        case .write: "write"
        case .list: "list"
        case .admin: "admin"
        }
    }
}

/// What admission looks at of a request: its head, before any work is done for it.
///
/// Nothing here is proved: the signature was not looked at, and a name may be no bucket's.
package struct RequestOutline: Sendable {
    package let kind: RequestClass
    /// Memory that its bodies may come to need at once, its own and its answer's.
    package let byteCount: Int
    /// Bytes of its body, as announced; 0 where nothing is.
    package let bodyByteCount: Int
    /// The access key that it claims; empty for one without a signature.
    package let accessKey: String
    /// What it is addressed to, so that nobody has to read that again; `nil` if it cannot be read.
    package let target: RequestTarget?
    /// Empty where it names none.
    package var bucket: String { target?.bucket ?? "" }

    /// Bytes that the largest answer holds at once: one piece on its way while the next is read.
    static let answerByteCount = 2 * ResponseBuffers.byteCount
    /// What a page of a listing comes to at most, about.
    static let pageByteCount = 256 * 1024

    /// - Parameters:
    ///   - domains: names under which the first label of the host is a bucket.
    ///   - needsNames: whether the access key is wanted.
    package init(_ head: HTTPRequestHead, domains: [String], needsNames: Bool) {
        // The request is worked at as this, or it would be let in as something else. What cannot be read is answered 400,
        // and names nothing.
        target = try? RequestTarget(
            uri: head.pathAndQuery, host: head.headers.first(name: "host"), domains: domains)
        let items = target?.query.items ?? []
        kind = Self.kind(head.method, target?.bucket ?? "", hasKey: target?.key != nil, items)
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        // A body that is sent in chunks may be announced by what is in it.
        let decoded = head.headers.first(name: "x-amz-decoded-content-length").flatMap { Int($0) }
        bodyByteCount = max(0, length ?? decoded ?? 0)
        let isUnknown = length == nil && head.headers.contains(name: "transfer-encoding")
        byteCount = Self.byteCount(kind, head.method, isUnknown ? .max : bodyByteCount)
        // Who is asked whether a page may do something looks at no key.
        accessKey = needsNames && head.method != .OPTIONS ? Self.accessKey(head, items) : ""
    }

    private typealias Items = [(name: String, value: String)]

    private static func kind(
        _ method: HTTPMethod, _ bucket: String, hasKey: Bool, _ items: Items
    ) -> RequestClass {
        if method == .OPTIONS { return .read }
        let isReading = method == .GET || method == .HEAD
        guard !bucket.isEmpty else { return isReading ? .list : .admin }
        let subresource = items.first { Operation.isSubresource($0.name) }?.name
        switch subresource {
        case "delete", "select": return .write
        case "versions": return .list
        case "uploads": return isReading ? .list : .write
        case "attributes": return .read
        case .some: return .admin
        case nil: break
        }
        guard hasKey else {
            switch method {
            case .GET: return .list
            case .HEAD: return .read
            case .POST: return .write
            default: return .admin
            }
        }
        guard isReading else { return .write }
        return items.contains { $0.name == "uploadId" } ? .list : .read
    }

    private static func byteCount(
        _ kind: RequestClass, _ method: HTTPMethod, _ bodyByteCount: Int
    ) -> Int {
        // What a connection takes in before its task takes it out, and one read more.
        let body = min(bodyByteCount, IncomingBody.limit + ResponseBuffers.byteCount)
        switch kind {
        case .read: return body + (method == .GET ? answerByteCount : 0)
        case .list: return body + pageByteCount
        case .write, .admin: return body
        }
    }

    /// As Signature V4 and V2 have it, in a header or in the query.
    private static func accessKey(_ head: HTTPRequestHead, _ items: Items) -> String {
        let authorization = head.headers["authorization"]
        guard authorization.isEmpty else {
            return ClaimedAccessKey.of(authorization: authorization.joined(separator: ", "))
        }
        if let credential = items.first(where: { $0.name == "X-Amz-Credential" }) {
            return ClaimedAccessKey.of(credential: credential.value)
        }
        return items.first { $0.name == "AWSAccessKeyId" }?.value ?? ""
    }
}

extension HTTPRequestHead {
    /// Of an absolute URI, as to a proxy, what stands behind the host.
    var pathAndQuery: String {
        let bytes = uri.utf8
        guard bytes.first != UInt8(ascii: "/"), uri.hasPrefix("http://") || uri.hasPrefix("https://"),
            let slash = bytes.dropFirst(8).firstIndex(of: UInt8(ascii: "/"))
        else { return uri }
        return String(Substring(bytes[slash...]))
    }
}
