import HTTPTypes
import Model

/// What of the source's metadata a copy keeps.
///
/// Source: Amazon S3 API Reference, "CopyObject"; Amazon S3 User Guide, "Copying, moving, and renaming objects".
package struct CopyDirectives {
    private static let taggingDirective = HTTPField.Name.fixed("x-amz-tagging-directive")

    let replacesMetadata: Bool
    let replacesTags: Bool

    /// - Throws: `InvalidArgument` for anything but `COPY` and `REPLACE`.
    package init(_ headers: HTTPFields) throws {
        replacesMetadata = try Self.replaces(headers, .amzMetadataDirective, "metadata")
        replacesTags = try Self.replaces(headers, Self.taggingDirective, "tagging")
    }

    private static func replaces(
        _ headers: HTTPFields, _ name: HTTPField.Name, _ what: String
    ) throws -> Bool {
        switch headers[name] {
        case nil, "COPY": return false
        case "REPLACE": return true
        case let other?:
            throw S3Error.invalidArgument(
                "Unknown \(what) directive.", name: name.canonicalName, value: other)
        }
    }

    /// - Parameter given: what the request says. Storage class, website redirect and rights are always its own:
    ///   they are no part of what is copied.
    package func metadata(copying source: EventMetadata, given: EventMetadata) -> EventMetadata {
        var metadata = given
        if !replacesMetadata {
            metadata.contentType = source.contentType
            metadata.contentEncoding = source.contentEncoding
            metadata.contentLanguage = source.contentLanguage
            metadata.contentDisposition = source.contentDisposition
            metadata.cacheControl = source.cacheControl
            metadata.expires = source.expires
            metadata.user = source.user
        }
        if !replacesTags { metadata.tags = source.tags }
        return metadata
    }

    /// Whether a copy of an object to itself changes what Amazon S3 wants to see changed.
    func changesItself(_ headers: HTTPFields) -> Bool {
        replacesMetadata || headers[.amzStorageClass] != nil || headers[.amzWebsiteRedirect] != nil
            || headers[.amzChecksumAlgorithm] != nil
            || headers.contains { $0.name.canonicalName.hasPrefix("x-amz-server-side-encryption") }
    }
}
