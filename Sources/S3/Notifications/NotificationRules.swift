import Model

/// Whom a bucket tells of what happens to its objects: what `NotificationConfiguration` says.
///
/// The configuration is checked and kept; the destinations are not asked.
///
/// Source: Amazon S3 API Reference, "NotificationConfiguration"; Amazon S3 User Guide, "Configuring event
/// notifications using object key name filtering".
package struct NotificationRules: Sendable, Hashable {
    package static let setting = "notification"
    private static let configurationLimit = 100
    private static let identifierLimit = 255
    private static let filterByteCount = 1024

    package enum Kind: Sendable, Hashable, CaseIterable {
        case topic, queue, function

        var element: StaticString {
            switch self {
            case .topic: "TopicConfiguration"
            case .queue: "QueueConfiguration"
            case .function: "CloudFunctionConfiguration"
            }
        }

        /// The element that names the destination.
        var destination: StaticString {
            switch self {
            case .topic: "Topic"
            case .queue: "Queue"
            case .function: "CloudFunction"
            }
        }
    }

    package struct Configuration: Sendable, Hashable {
        package let kind: Kind
        package let id: String
        package let destination: String
        /// As they were named, wildcards included.
        package let events: [String]
        package let prefix: String?
        package let suffix: String?
        /// What the names stand for.
        package let kinds: Set<String>

        /// Whether some event would be told by both.
        func overlaps(_ other: Configuration) -> Bool {
            let (left, right) = (prefix ?? "", other.prefix ?? "")
            let (leftEnd, rightEnd) = (suffix ?? "", other.suffix ?? "")
            return !kinds.isDisjoint(with: other.kinds)
                && (left.utf8.starts(with: right.utf8) || right.utf8.starts(with: left.utf8))
                && (leftEnd.utf8.reversed().starts(with: rightEnd.utf8.reversed())
                    || rightEnd.utf8.reversed().starts(with: leftEnd.utf8.reversed()))
        }
    }

    package let configurations: [Configuration]
    package let tellsEventBridge: Bool

    package var isEmpty: Bool { configurations.isEmpty && !tellsEventBridge }

    package init(_ bytes: [UInt8]) throws {
        let document = try XMLElement.parse(bytes, root: "NotificationConfiguration")
        tellsEventBridge = document.child("EventBridgeConfiguration") != nil
        var found: [Configuration] = []
        for kind in Kind.allCases {
            for element in document.all("\(kind.element)") { found.append(try Self.read(element, kind)) }
        }
        guard found.count <= Self.configurationLimit else {
            throw S3Error.invalidArgument(
                "A bucket takes \(Self.configurationLimit) configurations at most.",
                name: "NotificationConfiguration", value: String(found.count))
        }
        try Self.checkTogether(found)
        configurations = found
    }

    private static func checkTogether(_ all: [Configuration]) throws {
        for (index, one) in all.enumerated() {
            for other in all[..<index] {
                guard one.id != other.id else {
                    throw S3Error.invalidArgument(
                        "Same ID used for multiple configurations. IDs must be unique", name: "Id",
                        value: one.id)
                }
                guard !one.overlaps(other) else {
                    throw S3Error.invalidArgument(
                        "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                        name: one.kind.destination.description, value: one.destination)
                }
            }
        }
    }

    private static func read(_ element: XMLElement, _ kind: Kind) throws -> Configuration {
        let name = kind.destination.description
        guard let destination = element.value(name) else {
            throw S3Error.malformedDocument("it has no \(name)")
        }
        guard DestinationARN.isWellFormed(destination, kind) else {
            throw S3Error.invalidArgument("The ARN is not well formed", name: name, value: destination)
        }
        let events = element.all("Event").map { $0.text.trimmingBlanks }
        guard !events.isEmpty else { throw S3Error.malformedDocument("a configuration has no Event") }
        var kinds: Set<String> = []
        for event in events {
            guard let members = NotificationEvents.events(named: event) else {
                throw S3Error.invalidArgument(
                    "The event is not supported for notifications", name: "Event", value: event)
            }
            kinds.formUnion(members)
        }
        var id = element.value("Id") ?? ""
        guard id.utf8.count <= identifierLimit else {
            throw S3Error.invalidArgument(
                "An Id is \(identifierLimit) characters at most.", name: "Id", value: id)
        }
        if id.isEmpty { id = VersionID.random().description }
        let filter = try self.filter(element.child("Filter")?.child("S3Key"))
        return Configuration(
            kind: kind, id: id, destination: destination, events: events, prefix: filter.prefix,
            suffix: filter.suffix, kinds: kinds)
    }

    private static func filter(_ element: XMLElement?) throws -> (prefix: String?, suffix: String?) {
        var prefix: String?
        var suffix: String?
        for rule in element?.all("FilterRule") ?? [] {
            let name = rule.value("Name") ?? ""
            guard let value = rule.child("Value")?.text else {
                throw S3Error.malformedDocument("a FilterRule has no Value")
            }
            guard value.utf8.count <= filterByteCount else {
                throw S3Error.invalidArgument(
                    "Size of filter rule value cannot exceed \(filterByteCount) bytes in UTF-8 representation",
                    name: "FilterRule.Value", value: value)
            }
            func twice() -> S3Error {
                S3Error.invalidArgument(
                    "Cannot specify more than one \(name.lowercased()) rule in a filter.",
                    name: "FilterRule.Name", value: name)
            }
            switch name.lowercased() {
            case "prefix":
                guard prefix == nil else { throw twice() }
                prefix = value
            case "suffix":
                guard suffix == nil else { throw twice() }
                suffix = value
            default:
                throw S3Error.invalidArgument(
                    "filter rule name must be either prefix or suffix", name: "FilterRule.Name", value: name)
            }
        }
        return (prefix, suffix)
    }

    /// The document, written one way whatever the client's was.
    package var document: XMLWriter {
        XMLWriter("NotificationConfiguration") { xml in
            for configuration in configurations {
                xml.element(configuration.kind.element) { Self.write(configuration, &$0) }
            }
            if tellsEventBridge { xml.element("EventBridgeConfiguration") { _ in } }
        }
    }

    private static func write(_ configuration: Configuration, _ xml: inout XMLWriter) {
        xml.element("Id", configuration.id)
        xml.element(configuration.kind.destination, configuration.destination)
        for event in configuration.events { xml.element("Event", event) }
        guard configuration.prefix != nil || configuration.suffix != nil else { return }
        xml.element("Filter") { xml in
            xml.element("S3Key") { xml in
                for (name, value) in [("Prefix", configuration.prefix), ("Suffix", configuration.suffix)] {
                    guard let value else { continue }
                    xml.element("FilterRule") { xml in
                        xml.element("Name", name)
                        xml.element("Value", value)
                    }
                }
            }
        }
    }
}

extension String {
    /// Without the blanks of XML at its ends.
    fileprivate var trimmingBlanks: String {
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        guard let first = utf8.firstIndex(where: { !isBlank($0) }),
            let last = utf8.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(self[first...last])
    }
}
