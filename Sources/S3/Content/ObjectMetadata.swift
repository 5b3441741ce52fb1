import HTTPTypes
import Model
import ObjectStore

/// What the writer of an object says of it, between headers and the store's form.
///
/// Source: Amazon S3 User Guide, "Working with object metadata".
package enum ObjectMetadata {
    static let userPrefix = "x-amz-meta-"
    /// Bytes of user metadata, names and values together.
    package static let userByteLimit = 2048

    /// Headers that would change what is stored, and that this store does not act on: better refused than
    /// dropped.
    private static let unsupported: [(prefix: String, feature: String)] = [
        ("x-amz-write-offset-bytes", "Appending to an object")
    ]

    /// - Throws: `NotImplemented`, `MetadataTooLarge`, `InvalidStorageClass`.
    package static func parse(_ headers: HTTPFields) throws -> EventMetadata {
        var metadata = EventMetadata()
        metadata.storageClass = "STANDARD"
        var byteCount = 0
        // One look at each header: every PUT passes here.
        for field in headers {
            let name = field.name.canonicalName
            guard name.hasPrefix("x-amz-") else {
                try take(field.value, of: name, into: &metadata)
                continue
            }
            if name.hasPrefix(userPrefix) {
                let key = String(name.dropFirst(userPrefix.count))
                byteCount += key.utf8.count + field.value.utf8.count
                metadata.user[key] = metadata.user[key].map { "\($0),\(field.value)" } ?? field.value
            } else if name == "x-amz-tagging" {
                guard metadata.tags.isEmpty else {
                    throw S3Error.invalidArgument("There are two of \(name).", name: name, value: field.value)
                }
                metadata.tags = try TagSet(header: field.value).byKey
            } else if name == "x-amz-storage-class" {
                metadata.storageClass = try storageClass(field.value)
            } else if name == "x-amz-website-redirect-location" {
                join(field.value, to: &metadata.websiteRedirectLocation)
            } else if name.hasPrefix("x-amz-object-lock-") {
                try VersionLock.read(headers, into: &metadata)
            } else if let match = unsupported.first(where: { name.hasPrefix($0.prefix) }) {
                throw S3Error.notImplemented("\(match.feature) (header \(name))")
            }
        }
        guard byteCount <= userByteLimit else {
            throw S3Error(
                .metadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size",
                details: [("Size", String(byteCount)), ("MaxSizeAllowed", String(userByteLimit))])
        }
        return metadata
    }

    private static func take(_ value: String, of name: String, into metadata: inout EventMetadata) throws {
        switch name {
        case "content-type": join(value, to: &metadata.contentType)
        case "content-encoding": join(contentEncoding(value), to: &metadata.contentEncoding)
        case "content-language": join(value, to: &metadata.contentLanguage)
        case "content-disposition": join(value, to: &metadata.contentDisposition)
        case "cache-control": join(value, to: &metadata.cacheControl)
        case "expires": join(value, to: &metadata.expires)
        case "if-unmodified-since": throw WriteConditions.refusal("If-Unmodified-Since")
        default: break
        }
    }

    /// A header that comes twice is one list (RFC 9110, 5.3).
    private static func join(_ value: String, to text: inout String) {
        if text.isEmpty { text = value } else if !value.isEmpty { text += ", " + value }
    }

    /// Without `aws-chunked`, which is how the body travels and not what it is.
    private static func contentEncoding(_ text: String) -> String {
        let codings = text.split(separator: ",").map { $0.trimmingBlanks() }
        guard codings.contains(where: { $0.lowercased() == "aws-chunked" }) else { return text }
        return codings.filter { $0.lowercased() != "aws-chunked" && !$0.isEmpty }.joined(separator: ",")
    }

    /// The storage classes that this store keeps the name of.
    package static let storageClasses: Set<String> = [
        "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
    ]

    private static func storageClass(_ name: String) throws -> String {
        guard storageClasses.contains(name) else {
            throw S3Error(
                .invalidStorageClass, "The storage class you specified is not valid",
                details: [("StorageClassRequested", name)])
        }
        return name
    }

    private static let taggingCount = HTTPField.Name.fixed("x-amz-tagging-count")

    /// The headers that show a version.
    package static func headers(of version: ObjectVersion, isVersioned: Bool) -> HTTPFields {
        let metadata = version.record.metadata
        var headers = HTTPFields()
        headers.append(HTTPField(name: .eTag, value: "\"\(version.etag)\""))
        headers.append(HTTPField(name: .lastModified, value: HTTPDate.string(version.published)))
        headers.append(HTTPField(name: .acceptRanges, value: "bytes"))
        headers.append(
            HTTPField(
                name: .contentType,
                value: metadata.contentType.isEmpty ? "binary/octet-stream" : metadata.contentType))
        func add(_ name: HTTPField.Name, _ value: String) {
            if !value.isEmpty { headers.append(HTTPField(name: name, value: value)) }
        }
        add(.contentEncoding, metadata.contentEncoding)
        add(.contentLanguage, metadata.contentLanguage)
        add(.contentDisposition, metadata.contentDisposition)
        add(.cacheControl, metadata.cacheControl)
        add(.expires, metadata.expires)
        add(.amzWebsiteRedirect, metadata.websiteRedirectLocation)
        if metadata.storageClass != "STANDARD" { add(.amzStorageClass, metadata.storageClass) }
        if !metadata.tags.isEmpty { add(taggingCount, String(metadata.tags.count)) }
        for (key, value) in metadata.user {
            guard let name = HTTPField.Name(userPrefix + key) else { continue }  // came as a header's name
            headers.append(HTTPField(name: name, value: value))
        }
        if isVersioned { add(.amzVersionID, version.wireVersionID) }
        VersionLock.show(metadata, in: &headers)
        return headers
    }
}
