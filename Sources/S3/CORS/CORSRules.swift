import HTTPTypes
import Model

/// Which pages of other origins may send requests to a bucket.
///
/// Source: Amazon S3 User Guide, "Elements of a CORS configuration"; Amazon S3 API Reference, "PutBucketCors".
package struct CORSRules: Sendable {
    package static let ruleLimit = 100
    package static let idByteLimit = 255
    package static let documentByteLimit = 64 * 1024
    private static let methods: Set<String> = ["GET", "PUT", "POST", "DELETE", "HEAD"]

    /// A text with one `*` at most, which stands for anything.
    struct Pattern: Sendable {
        let text: String
        private let parts: [Substring]

        init?(_ text: String) {
            self.text = text
            parts = text.split(separator: "*", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { return nil }
        }

        func matches(_ other: some StringProtocol) -> Bool {
            guard parts.count == 2 else { return text.utf8.elementsEqual(other.utf8) }
            return other.utf8.count >= text.utf8.count - 1 && other.utf8.starts(with: parts[0].utf8)
                && other.utf8.suffix(parts[1].utf8.count).elementsEqual(parts[1].utf8)
        }
    }

    struct Rule: Sendable {
        var id: String?
        var origins: [Pattern]
        var methods: [String]
        /// In lower case: names of headers are told apart without regard to case.
        var headers: [Pattern]
        /// As they came.
        var headerTexts: [String]
        var exposed: [String]
        var maxAge: Int?

        fileprivate func matchingOrigin(_ origin: String) -> Pattern? {
            origins.first { $0.matches(origin) }
        }
    }

    /// What a rule says to one origin.
    struct Grant: Sendable {
        let rule: Rule
        /// Whether it says the same to every origin.
        let isForAll: Bool
    }

    private let rules: [Rule]

    /// - Throws: `MalformedXML`, `InvalidRequest`.
    package init(_ bytes: [UInt8]) throws {
        guard bytes.count <= Self.documentByteLimit else {
            throw S3Error(
                .maxMessageLengthExceeded, "Your request was too big.",
                details: [("MaxMessageLengthBytes", String(Self.documentByteLimit))])
        }
        let document = try XMLElement.parse(bytes, root: "CORSConfiguration")
        let elements = document.all("CORSRule")
        guard elements.count == document.children.count, (1...Self.ruleLimit).contains(elements.count) else {
            throw S3Error.malformedDocument
        }
        rules = try elements.map(Self.rule)
        let ids = rules.compactMap(\.id)
        guard Set(ids).count == ids.count else {
            throw S3Error(.invalidRequest, "The ID of a CORS rule must be unique.")
        }
    }

    private static func rule(_ element: XMLElement) throws -> Rule {
        func texts(_ name: String) -> [String] {
            element.all(name).map { $0.text.trimmingBlanks() }
        }
        let known = [
            "ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds",
        ]
        guard element.children.allSatisfy({ known.contains($0.name) }), texts("ID").count <= 1,
            texts("MaxAgeSeconds").count <= 1
        else { throw S3Error.malformedDocument }
        let origins = texts("AllowedOrigin")
        let methods = texts("AllowedMethod")
        guard !origins.isEmpty, !methods.isEmpty else { throw S3Error.malformedDocument }
        if let method = methods.first(where: { !Self.methods.contains($0) }) {
            throw S3Error(
                .invalidRequest,
                "Found unsupported HTTP method in CORS config. Unsupported method is \(method)")
        }
        if let id = texts("ID").first, id.utf8.count > idByteLimit {
            throw S3Error(.invalidRequest, "The ID of a CORS rule has \(idByteLimit) characters at most.")
        }
        let exposed = texts("ExposeHeader")
        for name in exposed {
            guard !name.contains("*") else {
                throw S3Error(
                    .invalidRequest,
                    "ExposeHeader \"\(name)\" contains wildcard. We currently do not support wildcard for ExposeHeader."
                )
            }
            guard HTTPField.Name(name) != nil else { throw S3Error.malformedDocument }
        }
        let headers = texts("AllowedHeader")
        return Rule(
            id: texts("ID").first, origins: try origins.map { try pattern($0, "AllowedOrigin") },
            methods: methods, headers: try headers.map { try pattern($0, "AllowedHeader", lowercased: true) },
            headerTexts: headers, exposed: exposed, maxAge: try texts("MaxAgeSeconds").first.map(seconds))
    }

    private static func pattern(_ text: String, _ element: String, lowercased: Bool = false) throws -> Pattern
    {
        guard let pattern = Pattern(lowercased ? text.lowercased() : text) else {
            throw S3Error(.invalidRequest, "\(element) \"\(text)\" can not have more than one wildcard.")
        }
        guard !text.isEmpty, HTTPField.isValidValue(text) else { throw S3Error.malformedDocument }
        return pattern
    }

    private static func seconds(_ text: String) throws -> Int {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int32(text)
        else { throw S3Error.malformedDocument }
        return Int(seconds)
    }

    /// The document, as S3 writes it.
    package var xml: XMLWriter {
        XMLWriter("CORSConfiguration") { xml in
            for rule in rules {
                xml.element("CORSRule") { xml in
                    if let id = rule.id { xml.element("ID", id) }
                    for method in rule.methods { xml.element("AllowedMethod", method) }
                    for origin in rule.origins { xml.element("AllowedOrigin", origin.text) }
                    for header in rule.headerTexts { xml.element("AllowedHeader", header) }
                    if let age = rule.maxAge { xml.element("MaxAgeSeconds", age) }
                    for header in rule.exposed { xml.element("ExposeHeader", header) }
                }
            }
        }
    }

    // MARK: Asking

    /// What the first rule for the origin, the method and all of the headers says.
    func grant(origin: String, method: String, headers: [String] = []) -> Grant? {
        for rule in rules where rule.methods.contains(method) {
            guard let pattern = rule.matchingOrigin(origin) else { continue }
            let allowsHeaders = headers.allSatisfy { header in
                rule.headers.contains { $0.matches(header.lowercased()) }
            }
            if allowsHeaders { return Grant(rule: rule, isForAll: pattern.text == "*") }
        }
        return nil
    }
}

extension CORSRules.Grant {
    /// The headers that tell a browser.
    func write(origin: String, requestedHeaders: [String] = [], to headers: inout HTTPFields) {
        headers[.accessControlAllowOrigin] = isForAll ? "*" : origin
        headers[.accessControlAllowMethods] = rule.methods.joined(separator: ", ")
        if !requestedHeaders.isEmpty {
            headers[.accessControlAllowHeaders] = requestedHeaders.map { $0.lowercased() }
                .joined(separator: ", ")
        }
        if !rule.exposed.isEmpty {
            headers[.accessControlExposeHeaders] = rule.exposed.joined(separator: ", ")
        }
        if let age = rule.maxAge { headers[.accessControlMaxAge] = String(age) }
        if !isForAll { headers[.accessControlAllowCredentials] = "true" }
    }
}
