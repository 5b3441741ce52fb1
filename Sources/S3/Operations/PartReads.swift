import HTTPTypes
import Model
import ObjectStore

extension ReadConditions {
    /// What the `Range` header counts for: with `If-Range`, only if the object is still the one it names.
    ///
    /// Source: RFC 9110, section 13.1.5: a weak ETag never matches, a date must be the very one.
    static func range(_ headers: HTTPFields, of version: ObjectVersion) -> String? {
        guard let range = headers[.range] else { return nil }
        guard let validator = headers[.ifRange]?.trimmingBlanks() else { return range }
        if let seconds = HTTPDate.seconds(validator) {
            return seconds == version.published.seconds ? range : nil
        }
        return !validator.hasPrefix("W/") && ETagCondition.tag(validator) == version.etag ? range : nil
    }
}

extension S3Service {
    /// Shows the checksum of what is sent: of a part read alone the part's own, else the object's. A range has
    /// none: a client would check the range against the whole's, and fail.
    static func showChecksums(
        of version: ObjectVersion, part: Int?, isWhole: Bool, in headers: inout HTTPFields
    ) {
        let parts = part == nil ? [] : version.record.pieces.filter { $0.partNumber > 0 }
        guard let part, !parts.isEmpty else {
            if isWhole { showChecksums(of: version, in: &headers) }
            return
        }
        let piece = parts[part - 1]
        guard piece.hasChecksum, !piece.checksum.algorithm.wireName.isEmpty else { return }
        headers[piece.checksum.algorithm.header] = piece.checksum.text(partCount: 0)
        if let whole = version.record.checksums.first { headers[.amzChecksumType] = whole.typeName }
    }
}
