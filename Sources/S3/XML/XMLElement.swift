/// An element of a document that a client sent.
package struct XMLElement {
    /// Without its namespace prefix.
    package let name: String
    package var text = ""
    package var children: [XMLElement] = []

    init(name: String) { self.name = name }

    package func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }
    package func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
    /// The text of a child, blanks at its ends removed.
    package func value(_ name: String) -> String? {
        guard let text = child(name)?.text.utf8 else { return nil }
        let isBlank = XMLReader.isBlank
        guard let first = text.firstIndex(where: { !isBlank($0) }),
            let last = text.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(Substring(text[first...last]))
    }

    /// The root of the document.
    /// - Throws: `MalformedXML` for what is no XML, has another root, or is larger than S3's documents are.
    package static func parse(_ bytes: [UInt8], root: String) throws -> XMLElement {
        do {
            var reader = XMLReader(bytes)
            let element = try reader.document()
            guard element.name == root else { throw XMLFlaw.otherRoot }
            return element
        } catch is XMLFlaw {
            throw S3Error.malformedDocument
        }
    }
}

extension S3Error {
    /// A document that is no XML, or not the XML that S3 has at this place.
    static let malformedDocument = malformedDocument(nil)

    /// The same with what is wrong, as a clause.
    static func malformedDocument(_ flaw: String?, _ code: S3ErrorCode = .malformedXML) -> S3Error {
        let text =
            "The XML you provided was not well-formed or did not validate against our published schema"
        return S3Error(code, flaw.map { "\(text): \($0)." } ?? text)
    }
}
