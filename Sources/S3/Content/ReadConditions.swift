import HTTPTypes
import Model
import ObjectStore

extension ETagCondition {
    /// The right side of `If-Match` or `If-None-Match`: `*`, or ETags with or without their quotes.
    package init(header: String) {
        let text = header.trimmingBlanks()
        guard text != "*" else {
            self = .any
            return
        }
        self = .tags(text.split(separator: ",").map { Self.tag($0.trimmingBlanks()) })
    }

    static func tag(_ text: String) -> String {
        var tag = text[...]
        if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
        if tag.hasPrefix("\"") { tag = tag.dropFirst() }
        if tag.hasSuffix("\"") { tag = tag.dropLast() }
        return String(tag)
    }

    package func matches(_ etag: String) -> Bool {
        switch self {
        case .any: true
        case .tags(let tags): tags.contains(etag)
        }
    }
}

/// The conditions of a read, or on the source of a copy.
///
/// Source: RFC 9110, section 13.2.2; Amazon S3 API Reference, "GetObject": if the ETag matches, the date does
/// not count, and the other way about.
package struct ReadConditions {
    var ifMatch: String?
    var ifNoneMatch: String?
    var ifModifiedSince: String?
    var ifUnmodifiedSince: String?

    package init(_ headers: HTTPFields) {
        ifMatch = headers[.ifMatch]
        ifNoneMatch = headers[.ifNoneMatch]
        ifModifiedSince = headers[.ifModifiedSince]
        ifUnmodifiedSince = headers[.ifUnmodifiedSince]
    }

    private static let copyIfMatch = HTTPField.Name.fixed("x-amz-copy-source-if-match")
    private static let copyIfNoneMatch = HTTPField.Name.fixed("x-amz-copy-source-if-none-match")
    private static let copyIfModified = HTTPField.Name.fixed("x-amz-copy-source-if-modified-since")
    private static let copyIfUnmodified = HTTPField.Name.fixed("x-amz-copy-source-if-unmodified-since")

    package init(copySource headers: HTTPFields) {
        ifMatch = headers[Self.copyIfMatch]
        ifNoneMatch = headers[Self.copyIfNoneMatch]
        ifModifiedSince = headers[Self.copyIfModified]
        ifUnmodifiedSince = headers[Self.copyIfUnmodified]
    }

    package enum Outcome { case holds, notModified, failed(String) }

    package func check(_ version: ObjectVersion) -> Outcome {
        let modified = version.published.seconds
        if let ifMatch {
            guard ETagCondition(header: ifMatch).matches(version.etag) else { return .failed("If-Match") }
        } else if let limit = ifUnmodifiedSince.flatMap(HTTPDate.seconds), modified > limit {
            return .failed("If-Unmodified-Since")
        }
        if let ifNoneMatch {
            if ETagCondition(header: ifNoneMatch).matches(version.etag) { return .notModified }
        } else if let limit = ifModifiedSince.flatMap(HTTPDate.seconds), modified <= limit {
            return .notModified
        }
        return .holds
    }
}

/// The `Range` header.
package enum ByteRange {
    /// The bytes of a body of `size` that the header asks for; `nil` if it asks for all of them, or for
    /// several ranges, or makes no sense, in which cases S3 sends the whole.
    /// - Throws: `InvalidRange` if none of the bytes is there.
    package static func parse(_ header: String?, size: UInt64) throws -> Range<UInt64>? {
        guard let header, header.prefix(6).lowercased() == "bytes=" else { return nil }
        let halves = header.dropFirst("bytes=".count)
            .split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, !header.contains(",") else { return nil }
        let first = halves[0].trimmingBlanks()
        let last = halves[1].trimmingBlanks()
        guard (first + last).utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let unsatisfiable = S3Error(
            .invalidRange, "The requested range is not satisfiable",
            details: [("RangeRequested", header), ("ActualObjectSize", String(size))],
            headers: [.contentRange: "bytes */\(size)"])
        if first.isEmpty {
            guard !last.isEmpty else { return nil }
            let count = UInt64(last) ?? .max
            guard count > 0, size > 0 else { throw unsatisfiable }
            return (count >= size ? 0 : size - count)..<size
        }
        let start = UInt64(first) ?? .max
        let end = last.isEmpty ? .max : UInt64(last) ?? .max
        guard end >= start else { return nil }
        guard start < size else { throw unsatisfiable }
        return start..<(end >= size ? size : end + 1)
    }
}
