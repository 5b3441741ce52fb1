import Model

/// The part of a lifecycle rule that says which objects it is for, as XML.
///
/// Source: Amazon S3 API Reference, "LifecycleRuleFilter", "LifecycleRuleAndOperator".
extension LifecycleFilter {
    /// - Throws: `MalformedXML`, `InvalidRequest`.
    init(rule: XMLElement) throws {
        self.init()
        switch (rule.child("Prefix"), rule.child("Filter")) {
        case (.some, nil):
            isLegacy = true
            prefix = rule.child("Prefix")?.text ?? ""
        case (nil, let filter?):
            guard filter.children.count <= 1 else { throw S3Error.malformedDocument }
            if let and = filter.child("And") {
                guard and.children.count >= 2 else { throw S3Error.malformedDocument }
                for condition in and.children { try add(condition) }
            } else if let condition = filter.children.first {
                try add(condition)
            }
        default: throw S3Error.malformedDocument
        }
        guard prefix.utf8.count <= ObjectKey.maximumByteCount else {
            throw S3Error(
                .invalidRequest, "The maximum size of a prefix is \(ObjectKey.maximumByteCount).")
        }
        if let greaterThan, let lessThan, lessThan <= greaterThan {
            throw S3Error(
                .invalidRequest,
                "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
        }
    }

    private mutating func add(_ condition: XMLElement) throws {
        switch condition.name {
        case "Prefix": prefix = condition.text
        case "Tag":
            guard let key = condition.child("Key")?.text, let value = condition.child("Value")?.text,
                (1...128).contains(key.unicodeScalars.count), value.unicodeScalars.count <= 256
            else { throw S3Error.malformedDocument }
            guard tags.updateValue(value, forKey: key) == nil else {
                throw S3Error(.invalidRequest, "Duplicate Tag Keys are not allowed.")
            }
        case "ObjectSizeGreaterThan": greaterThan = try Self.size(condition.text)
        case "ObjectSizeLessThan": lessThan = try Self.size(condition.text)
        default: throw S3Error.malformedDocument
        }
    }

    private static func size(_ text: String) throws -> UInt64 {
        guard let size = UInt64(text.trimmingBlanks()) else { throw S3Error.malformedDocument }
        return size
    }

    func write(_ xml: inout XMLWriter) {
        guard !isLegacy else { return xml.element("Prefix", prefix) }
        let conditions =
            tags.count + (prefix.isEmpty ? 0 : 1) + (greaterThan == nil ? 0 : 1) + (lessThan == nil ? 0 : 1)
        xml.element("Filter") { xml in
            switch conditions {
            case 0: xml.element("Prefix", "")
            case 1: writeConditions(&xml)
            default: xml.element("And") { writeConditions(&$0) }
            }
        }
    }

    private func writeConditions(_ xml: inout XMLWriter) {
        if !prefix.isEmpty { xml.element("Prefix", prefix) }
        for (key, value) in tags.sorted(by: { $0.key < $1.key }) {
            xml.element("Tag") { xml in
                xml.element("Key", key)
                xml.element("Value", value)
            }
        }
        if let greaterThan { xml.element("ObjectSizeGreaterThan", greaterThan) }
        if let lessThan { xml.element("ObjectSizeLessThan", lessThan) }
    }
}
