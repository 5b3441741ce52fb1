/// The items of a query, decoded, in the order they came.
package struct Query: Sendable {
    package let items: [(name: String, value: String)]

    /// - Throws: `InvalidURI` for a bad escape.
    package init(_ text: some StringProtocol) throws {
        var text = String(text)
        items = try text.withUTF8 { try Self.items($0[...]) }
    }

    init(_ text: Slice<UnsafeBufferPointer<UInt8>>) throws { items = try Self.items(text) }

    private static func items(
        _ text: Slice<UnsafeBufferPointer<UInt8>>
    ) throws -> [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        for item in text.split(separator: UInt8(ascii: "&")) {
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            guard let name = PercentEncoding.decode(item[..<equals], plusIsSpace: true),
                let value = PercentEncoding.decode(item[equals...].dropFirst(), plusIsSpace: true)
            else { throw S3Error(.invalidURI, "Couldn't parse the specified URI.") }
            items.append((name, value))
        }
        return items
    }

    package subscript(_ name: String) -> String? { items.first { $0.name == name }?.value }
    package func has(_ name: String) -> Bool { items.contains { $0.name == name } }
}

/// What a request is addressed to: the service, a bucket, or a key in a bucket.
package struct RequestTarget: Sendable {
    /// The path, decoded: what is signed.
    package let path: String
    package let query: Query
    package let bucket: String?
    package let key: String?

    /// - Parameters:
    ///   - domains: names under which the first label of the host is a bucket ("virtual-hosted style").
    /// - Throws: `InvalidURI` for a bad escape.
    package init(uri: String, host: String?, domains: [String]) throws {
        var uri = uri
        (path, query) = try uri.withUTF8 { uri in
            let mark = uri.firstIndex(of: UInt8(ascii: "?")) ?? uri.endIndex
            guard let path = PercentEncoding.decode(uri[..<mark], plusIsSpace: false),
                path.utf8.first == UInt8(ascii: "/")
            else { throw S3Error(.invalidURI, "Couldn't parse the specified URI.") }
            return (path, try Query(uri[mark...].dropFirst()))
        }
        // By bytes: a combining mark behind the slash is one character with it.
        let rest = path[path.utf8.index(after: path.startIndex)...]
        if let bucket = host.flatMap({ Self.bucket(ofHost: $0, domains: domains) }) {
            self.bucket = bucket
            key = rest.isEmpty ? nil : String(rest)
        } else if rest.isEmpty {
            bucket = nil
            key = nil
        } else if let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")) {
            bucket = String(rest[..<slash])
            let name = rest[rest.utf8.index(after: slash)...]
            key = name.isEmpty ? nil : String(name)
        } else {
            bucket = String(rest)
            key = nil
        }
    }

    /// The bucket that a host names below one of the domains.
    package static func bucket(ofHost host: String, domains: [String]) -> String? {
        let end = host.utf8.firstIndex(of: UInt8(ascii: ":")) ?? host.endIndex
        let length = host.utf8.distance(from: host.startIndex, to: end)
        guard domains.contains(where: { $0.utf8.count < length }) else { return nil }
        let name = host[..<end].lowercased()
        // One domain may stand below another: the longest counts.
        guard
            let domain = domains.filter({ name == $0 || name.hasSuffix("." + $0) })
                .max(by: { $0.utf8.count < $1.utf8.count }), name != domain
        else { return nil }
        return String(name.dropLast(domain.count + 1))
    }
}
