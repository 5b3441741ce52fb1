import HTTPTypes

extension HTTPField.Name {
    /// - Precondition: `name` is a token of HTTP.
    static func fixed(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is a header's name") }
        return name
    }

    static let amzDate = fixed("x-amz-date")
    static let amzContentSHA256 = fixed("x-amz-content-sha256")
    static let amzDecodedContentLength = fixed("x-amz-decoded-content-length")
    static let amzTrailer = fixed("x-amz-trailer")
    static let amzSecurityToken = fixed("x-amz-security-token")
    static let amzRequestID = fixed("x-amz-request-id")
    static let amzHostID = fixed("x-amz-id-2")
    static let amzVersionID = fixed("x-amz-version-id")
    static let amzDeleteMarker = fixed("x-amz-delete-marker")
    static let amzBucketRegion = fixed("x-amz-bucket-region")
    static let amzCopySource = fixed("x-amz-copy-source")
    static let amzCopySourceRange = fixed("x-amz-copy-source-range")
    static let amzCopySourceVersionID = fixed("x-amz-copy-source-version-id")
    static let amzMetadataDirective = fixed("x-amz-metadata-directive")
    static let amzStorageClass = fixed("x-amz-storage-class")
    static let amzChecksumMode = fixed("x-amz-checksum-mode")
    static let amzChecksumType = fixed("x-amz-checksum-type")
    static let amzChecksumAlgorithm = fixed("x-amz-checksum-algorithm")
    static let amzSDKChecksumAlgorithm = fixed("x-amz-sdk-checksum-algorithm")
    static let amzObjectSize = fixed("x-amz-mp-object-size")
    static let amzPartsCount = fixed("x-amz-mp-parts-count")
    static let amzBypassGovernance = fixed("x-amz-bypass-governance-retention")
    static let amzACL = fixed("x-amz-acl")
    static let amzWebsiteRedirect = fixed("x-amz-website-redirect-location")
    static let contentMD5 = fixed("content-md5")
    static let holdfastSequence = fixed("x-holdfast-sequence")
    static let holdfastReplicas = fixed("x-holdfast-replicas")
}
