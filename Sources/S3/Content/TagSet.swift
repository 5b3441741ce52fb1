import Model

extension S3ErrorCode {
    static let badRequest = S3ErrorCode("BadRequest", 400)
    static let invalidTag = S3ErrorCode("InvalidTag", 400)
    static let noSuchTagSet = S3ErrorCode("NoSuchTagSet", 404)
}

/// The tags of an object or of a bucket, as a header or a document says them: valid, or they do not exist.
///
/// Source: Amazon S3 User Guide, "Categorizing your objects using tags"; Amazon S3 API Reference,
/// "PutObjectTagging", "PutBucketTagging".
package struct TagSet: Sendable {
    package enum Holder: Sendable {
        case object, bucket

        var limit: Int { self == .object ? 10 : 50 }
    }

    package static let keyLimit = 128
    package static let valueLimit = 256

    /// In the order they came.
    package private(set) var tags: [(key: String, value: String)] = []
    private let holder: Holder

    /// The tags of an object, in the order of their keys' bytes: the store keeps none.
    init(_ tags: [String: String]) {
        holder = .object
        self.tags = tags.map { ($0.key, $0.value) }
            .sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// - Parameter document: a `Tagging` element.
    /// - Throws: `MalformedXML`, `InvalidTag`, `BadRequest` for too many.
    package init(_ document: XMLElement, of holder: Holder) throws {
        self.holder = holder
        let sets = document.all("TagSet")
        guard sets.count == 1, document.children.count == 1 else { throw S3Error.malformedDocument }
        for element in sets[0].children {
            guard element.name == "Tag", element.children.count == 2,
                let key = element.child("Key")?.text, let value = element.child("Value")?.text
            else { throw S3Error.malformedDocument }
            try add(key, value)
        }
    }

    /// - Parameter header: `x-amz-tagging`: tags as the items of a query.
    /// - Throws: `InvalidArgument`, `InvalidTag`, `BadRequest` for too many.
    package init(header: String) throws {
        holder = .object
        for item in header.utf8.split(separator: UInt8(ascii: "&")) {
            let equals = item.firstIndex(of: UInt8(ascii: "=")) ?? item.endIndex
            guard
                let key = PercentEncoding.decode(Substring(item[..<equals]), plusIsSpace: true),
                let value = PercentEncoding.decode(Substring(item[equals...].dropFirst()), plusIsSpace: true)
            else {
                throw S3Error.invalidArgument(
                    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
                    name: "x-amz-tagging", value: header)
            }
            try add(key, value)
        }
    }

    private mutating func add(_ key: String, _ value: String) throws {
        guard (1...Self.keyLimit).contains(key.unicodeScalars.count), Self.isAllowed(key) else {
            throw Self.invalid("The TagKey you have provided is invalid", key: key, value: value)
        }
        guard value.unicodeScalars.count <= Self.valueLimit, Self.isAllowed(value) else {
            throw Self.invalid("The TagValue you have provided is invalid", key: key, value: value)
        }
        guard !key.hasPrefix("aws:") else {
            throw Self.invalid(
                "System tags cannot be added/updated by requester", key: key, value: value)
        }
        guard !tags.contains(where: { $0.key == key }) else {
            throw Self.invalid("Cannot provide multiple Tags with the same key", key: key, value: value)
        }
        guard tags.count < holder.limit else {
            let name = holder == .object ? "Object tags" : "Bucket tag count"
            throw S3Error(.badRequest, "\(name) cannot be greater than \(holder.limit)")
        }
        tags.append((key, value))
    }

    /// Letters, digits and blanks of any script, and a few signs.
    private static func isAllowed(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", " ", "+", "-", "=", ".", "_", ":", "/", "@": return true
            default: break
            }
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
                .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber,
                .spaceSeparator:
                return true
            default: return false
            }
        }
    }

    private static func invalid(_ message: String, key: String, value: String) -> S3Error {
        // What no tag can have may be what no document can carry.
        S3Error(
            .invalidTag, message,
            details: [("TagKey", key), ("TagValue", value)].filter { isAllowed($0.1) })
    }

    /// As the store keeps an object's.
    package var byKey: [String: String] { Dictionary(uniqueKeysWithValues: tags.map { ($0.key, $0.value) }) }

    /// The document that shows them.
    var document: XMLWriter {
        XMLWriter("Tagging") { xml in
            xml.element("TagSet") { xml in
                for tag in tags {
                    xml.element("Tag") { xml in
                        xml.element("Key", tag.key)
                        xml.element("Value", tag.value)
                    }
                }
            }
        }
    }
}
