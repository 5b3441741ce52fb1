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
    /// Empty where it names none.
    package let bucket: String

    /// Bytes that the largest answer holds at once: one piece on its way while the next is read.
    static let answerByteCount = 2 * ResponseBuffers.byteCount
    /// What a page of a listing comes to at most, about.
    static let pageByteCount = 256 * 1024

    /// - Parameters:
    ///   - domains: names under which the first label of the host is a bucket.
    ///   - needsNames: whether access key and bucket are wanted.
    package init(_ head: HTTPRequestHead, domains: [String], needsNames: Bool) {
        var uri = head.uri
        let host = head.headers.first(name: "host") ?? ""
        let hostBucket = Self.bucket(ofHost: host, domains)
        var accessKey = ""
        var names: (bucket: String, hasKey: Bool) = ("", false)
        var items: [Item] = []
        uri.withUTF8 { text in
            let start = Self.pathStart(text)
            let mark = text[start...].firstIndex(of: UInt8(ascii: "?")) ?? text.endIndex
            names = Self.names(text[start..<mark], hostBucket: hostBucket)
            items = Self.items(text[mark...].dropFirst())
        }
        kind = Self.kind(head.method, names, items)
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        // A body that is sent in chunks may be announced by what is in it.
        let decoded = head.headers.first(name: "x-amz-decoded-content-length").flatMap { Int($0) }
        bodyByteCount = max(0, length ?? decoded ?? 0)
        let isUnknown = length == nil && head.headers.contains(name: "transfer-encoding")
        byteCount = Self.byteCount(kind, head.method, isUnknown ? .max : bodyByteCount)
        if needsNames { accessKey = Self.accessKey(head, items) }
        self.accessKey = accessKey
        bucket = names.bucket
    }

    private struct Item {
        let name: String
        let value: String
    }

    /// An absolute URI, as to a proxy, counts for its path.
    private static func pathStart(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        guard text.first != UInt8(ascii: "/"), text.count > 8, text.starts(with: "http".utf8) else {
            return 0
        }
        return text[8...].firstIndex(of: UInt8(ascii: "/")) ?? text.endIndex
    }

    private static func names(
        _ path: Slice<UnsafeBufferPointer<UInt8>>, hostBucket: String?
    ) -> (bucket: String, hasKey: Bool) {
        let rest = path.dropFirst()
        if let hostBucket { return (hostBucket, !rest.isEmpty) }
        let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        let name = PercentEncoding.decode(rest[..<slash], plusIsSpace: false) ?? ""
        return (name, slash < rest.endIndex && slash + 1 < rest.endIndex)
    }

    private static func bucket(ofHost host: String, _ domains: [String]) -> String? {
        let end = host.utf8.firstIndex(of: UInt8(ascii: ":")) ?? host.endIndex
        let length = host.utf8.distance(from: host.startIndex, to: end)
        guard domains.contains(where: { $0.utf8.count < length }) else { return nil }
        let name = host[..<end].lowercased()
        // One domain may stand below another: the longest counts.
        let domain = domains.filter { name.hasSuffix($0) && (name == $0 || name.hasSuffix("." + $0)) }
            .max { $0.utf8.count < $1.utf8.count }
        guard let domain, name != domain else { return nil }
        return String(name.dropLast(domain.count + 1))
    }

    private static func items(_ query: Slice<UnsafeBufferPointer<UInt8>>) -> [Item] {
        guard !query.isEmpty else { return [] }
        return query.split(separator: UInt8(ascii: "&")).map { item in
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            return Item(
                name: String(decoding: item[..<equals], as: UTF8.self),
                value: String(decoding: item[equals...].dropFirst(), as: UTF8.self))
        }
    }

    private static func kind(
        _ method: HTTPMethod, _ names: (bucket: String, hasKey: Bool), _ items: [Item]
    ) -> RequestClass {
        if method == .OPTIONS { return .read }
        let isReading = method == .GET || method == .HEAD
        guard !names.bucket.isEmpty else { return isReading ? .list : .admin }
        let subresource = items.first { Operation.isSubresource($0.name) }?.name
        switch subresource {
        case "delete", "select": return .write
        case "versions": return .list
        case "uploads": return isReading ? .list : .write
        case "attributes": return .read
        case .some: return .admin
        case nil: break
        }
        guard names.hasKey else {
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
    private static func accessKey(_ head: HTTPRequestHead, _ items: [Item]) -> String {
        let authorization = head.headers["authorization"]
        guard authorization.isEmpty else {
            return ClaimedAccessKey.of(authorization: authorization.joined(separator: ", "))
        }
        for item in items where item.name == "X-Amz-Credential" {
            let value = PercentEncoding.decode(item.value, plusIsSpace: true) ?? ""
            return ClaimedAccessKey.of(credential: value)
        }
        let old = items.first { $0.name == "AWSAccessKeyId" }?.value ?? ""
        return PercentEncoding.decode(old, plusIsSpace: true) ?? ""
    }
}
