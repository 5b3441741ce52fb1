import Model

/// Builds an XML document as S3 writes them: one root in S3's namespace, no attributes but that.
package struct XMLWriter: Sendable {
    package private(set) var bytes: [UInt8] = Array("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8)

    static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    /// - Parameter isNamespaced: errors have no namespace.
    package init(_ root: StaticString, isNamespaced: Bool = true, _ content: (inout XMLWriter) throws -> Void)
        rethrows
    {
        open(root)
        if isNamespaced {
            bytes.removeLast()
            bytes += " xmlns=\"\(Self.namespace)\">".utf8
        }
        try content(&self)
        close(root)
    }

    package mutating func element(_ name: StaticString, _ content: (inout XMLWriter) throws -> Void) rethrows
    {
        open(name)
        try content(&self)
        close(name)
    }

    package mutating func element(_ name: StaticString, _ text: some StringProtocol) {
        open(name)
        append(text)
        close(name)
    }

    mutating func element(_ name: StaticString, _ value: some BinaryInteger) {
        element(name, String(value))
    }

    mutating func element(_ name: StaticString, _ value: Bool) { element(name, value ? "true" : "false") }
    mutating func element(_ name: StaticString, _ time: Timestamp) { element(name, time.description) }

    /// An element whose name is not known at compile time; it is one of the store's own.
    mutating func element(named name: String, _ text: String) {
        bytes += "<\(name)>".utf8
        append(text)
        bytes += "</\(name)>".utf8
    }

    /// The text of the element that is open.
    package mutating func text(_ text: String) { append(text) }

    /// A user, in the one element of S3's documents that has attributes.
    mutating func grantee(_ id: String, _ displayName: String = "") {
        openGrantee("CanonicalUser")
        element("ID", id)
        if !displayName.isEmpty { element("DisplayName", displayName) }
        close("Grantee")
    }

    mutating func group(_ uri: String) {
        openGrantee("Group")
        element("URI", uri)
        close("Grantee")
    }

    private mutating func openGrantee(_ type: String) {
        bytes +=
            "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"\(type)\">".utf8
    }

    private mutating func open(_ name: StaticString) {
        bytes.append(UInt8(ascii: "<"))
        name.withUTF8Buffer { bytes += $0 }
        bytes.append(UInt8(ascii: ">"))
    }

    private mutating func close(_ name: StaticString) {
        bytes.append(UInt8(ascii: "<"))
        bytes.append(UInt8(ascii: "/"))
        name.withUTF8Buffer { bytes += $0 }
        bytes.append(UInt8(ascii: ">"))
    }

    private mutating func append(_ text: some StringProtocol) {
        var text = String(text)
        text.withUTF8 { text in
            if text.allSatisfy(Self.isPlain) { bytes += text } else { text.forEach { appendEscaped($0) } }
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), 0..<0x20: false
        default: true
        }
    }

    private mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "&"): bytes += "&amp;".utf8
        case UInt8(ascii: "<"): bytes += "&lt;".utf8
        case UInt8(ascii: ">"): bytes += "&gt;".utf8
        case UInt8(ascii: "\""): bytes += "&quot;".utf8
        // XML 1.0 cannot carry them; S3 writes references all the same, and clients that may meet such
        // keys ask for encoding-type=url.
        case 0..<0x20 where byte != 0x09 && byte != 0x0A: bytes += "&#x\(String(byte, radix: 16));".utf8
        default: bytes.append(byte)
        }
    }
}
