import Foundation
import HTTPTypes

extension S3ErrorCode {
    static let malformedPOSTRequest = S3ErrorCode("MalformedPOSTRequest", 400)
    static let maxPostPreDataLengthExceeded = S3ErrorCode("MaxPostPreDataLengthExceeded", 400)
}

/// The fields of a browser's form that stand before its file.
///
/// Source: Amazon S3 API Reference, "POST Object".
package struct FormFields: Sendable {
    /// By name in lower case: a form's fields are told apart without regard to case.
    package private(set) var values: [String: String] = [:]
    /// The last part of the path that the browser names the file by.
    package var fileName = "" {
        didSet {
            let last = fileName.utf8.lastIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }
            if let last { fileName = String(Substring(fileName.utf8[last...].dropFirst())) }
        }
    }

    package init() {}

    package subscript(_ name: String) -> String? { values[name] }

    /// - Throws: `InvalidArgument` for a second field of the name: which of them a policy speaks of would be a guess.
    package mutating func add(_ name: String, _ value: String) throws {
        let key = name.lowercased()
        guard values.updateValue(value, forKey: key) == nil else {
            throw S3Error.invalidArgument(
                "POST requires exactly one field of each name.", name: name, value: value)
        }
    }

    /// Puts the file's name wherever a field says `${filename}`; what is signed stays as it is.
    package func namingFile() -> FormFields {
        var named = self
        let variable = "${filename}"
        for (name, value) in values where value.contains(variable) && name != "policy" {
            named.values[name] = value.replacingOccurrences(of: variable, with: fileName)
        }
        return named
    }

    // MARK: As headers

    private static let headerNames: Set<String> = [
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5",
        "content-type", "expires", "x-amz-storage-class", "x-amz-website-redirect-location",
        "x-amz-sdk-checksum-algorithm",
    ]
    private static let headerPrefixes = [
        "x-amz-meta-", "x-amz-checksum-", "x-amz-server-side-encryption", "x-amz-object-lock-",
        "x-amz-grant-",
    ]

    /// The headers with which the same object would be put.
    /// - Throws: `InvalidArgument` for a value that no header has, `MalformedXML` for bad tags.
    package func headers() throws -> HTTPFields {
        var headers = HTTPFields()
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "acl": try Self.add("x-amz-acl", value, field: name, to: &headers)
            case "tagging":
                try Self.add("x-amz-tagging", try Self.tags(value), field: name, to: &headers)
            case _
            where Self.headerNames.contains(name) || Self.headerPrefixes.contains(where: name.hasPrefix):
                try Self.add(name, value, field: name, to: &headers)
            default: break
            }
        }
        return headers
    }

    private static func add(
        _ name: String, _ value: String, field: String, to headers: inout HTTPFields
    ) throws {
        guard let header = HTTPField.Name(name), HTTPField.isValidValue(value) else {
            throw S3Error.invalidArgument(
                "The field cannot be an object's header.", name: field, value: value)
        }
        headers.append(HTTPField(name: header, value: value))
    }

    /// A form has its tags as the XML of PutObjectTagging; the header has them as a query.
    private static func tags(_ xml: String) throws -> String {
        let document = try XMLElement.parse(Array(xml.utf8), root: "Tagging")
        let tags = document.child("TagSet")?.all("Tag") ?? []
        return tags.map { tag in
            let pair = [tag.child("Key")?.text ?? "", tag.child("Value")?.text ?? ""]
            return pair.map { PercentEncoding.encode($0, keepsSlash: false) }.joined(separator: "=")
        }.joined(separator: "&")
    }
}
