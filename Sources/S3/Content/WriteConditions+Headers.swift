import HTTPTypes
import Model
import ObjectStore

/// What a request that changes something says must be so.
///
/// Source: Amazon S3 API Reference, "PutObject", "CompleteMultipartUpload", "CopyObject", "DeleteObject",
/// "DeleteObjects".
extension WriteConditions {
    private static let matchModified = HTTPField.Name.fixed("x-amz-if-match-last-modified-time")
    private static let matchSize = HTTPField.Name.fixed("x-amz-if-match-size")

    /// The conditions of a request that publishes an object.
    /// - Throws: `NotImplemented` for `If-None-Match` with ETags, as Amazon S3.
    package init(_ headers: HTTPFields) throws {
        let ifNoneMatch = headers[.ifNoneMatch].map { ETagCondition(header: $0) }
        guard ifNoneMatch == nil || ifNoneMatch == .any else { throw Self.refusal("If-None-Match") }
        self.init(
            ifMatch: headers[.ifMatch].map { ETagCondition(header: $0) }, ifNoneMatch: ifNoneMatch)
    }

    /// The conditions of a request that deletes one object.
    /// - Throws: `InvalidArgument` for a date or a size that is none, `NotImplemented` for `If-None-Match`.
    package init(deleting headers: HTTPFields) throws {
        guard headers[.ifNoneMatch] == nil else { throw Self.refusal("If-None-Match") }
        self.init(ifMatch: headers[.ifMatch].map { ETagCondition(header: $0) })
        modified = try headers[Self.matchModified].map {
            try Self.seconds($0, name: Self.matchModified.canonicalName)
        }
        size = try headers[Self.matchSize].map { try Self.size($0, name: Self.matchSize.canonicalName) }
    }

    /// The conditions of one `Object` of a `Delete` document.
    init(deleting object: XMLElement) throws {
        self.init(ifMatch: object.value("ETag").map { ETagCondition(header: $0) })
        modified = try object.value("LastModifiedTime").map {
            try Self.seconds($0, name: "LastModifiedTime")
        }
        size = try object.value("Size").map { try Self.size($0, name: "Size") }
    }

    private static func seconds(_ text: String, name: String) throws -> UInt64 {
        guard let seconds = HTTPDate.seconds(text) else {
            throw S3Error.invalidArgument("\(name) is no date.", name: name, value: text)
        }
        return seconds
    }

    private static func size(_ text: String, name: String) throws -> UInt64 {
        guard let size = UInt64(text) else {
            throw S3Error.invalidArgument("\(name) is no number of bytes.", name: name, value: text)
        }
        return size
    }

    static func refusal(_ header: String) -> S3Error {
        S3Error(
            .notImplemented, "A header you provided implies functionality that is not implemented",
            details: [("Header", header)])
    }
}
