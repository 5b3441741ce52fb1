import Foundation
import FoundationXML

/// An element of a document that a client sent.
package struct XMLElement {
    /// Without its namespace prefix.
    package let name: String
    package var text = ""
    package var children: [XMLElement] = []

    package func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }
    package func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }
    /// The text of a child, blanks at its ends removed.
    package func value(_ name: String) -> String? {
        child(name)?.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The root of the document.
    /// - Throws: `MalformedXML` for what is no XML, has another root, or is nested deeper than S3's documents.
    package static func parse(_ bytes: [UInt8], root: String) throws -> XMLElement {
        let malformed = S3Error(
            .malformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema")
        // No document of S3 has a document type: entities, internal or external, begin there.
        guard !bytes.isEmpty, Data(bytes).range(of: Data("<!DOCTYPE".utf8)) == nil else { throw malformed }
        let parser = XMLParser(data: Data(bytes))
        parser.shouldResolveExternalEntities = false
        let builder = TreeBuilder()
        parser.delegate = builder
        guard parser.parse(), let element = builder.root, element.name == root else { throw malformed }
        return element
    }
}

private final class TreeBuilder: NSObject, XMLParserDelegate {
    private static let depthLimit = 16

    private(set) var root: XMLElement?
    private var stack: [XMLElement] = []

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        guard stack.count < Self.depthLimit else { return parser.abortParsing() }
        stack.append(XMLElement(name: name.split(separator: ":").last.map(String.init) ?? name))
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
        guard !stack.isEmpty else { return }
        stack[stack.count - 1].text += string
    }

    func parser(_ parser: XMLParser, foundCDATA block: Data) {
        guard !stack.isEmpty else { return }
        stack[stack.count - 1].text += String(decoding: block, as: UTF8.self)
    }

    func parser(
        _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
    ) {
        guard let element = stack.popLast() else { return }
        if stack.isEmpty { root = element } else { stack[stack.count - 1].children.append(element) }
    }
}
