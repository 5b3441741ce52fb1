import Model

/// Where a bucket's access log goes: what `BucketLoggingStatus` says.
///
/// Source: Amazon S3 API Reference, "LoggingEnabled" and "TargetObjectKeyFormat".
package struct LoggingRules: Hashable, Sendable {
    static let setting = "logging"
    /// Leaves room for what is put behind it in a key of 1,024 bytes.
    static let prefixLimit = 512

    package enum KeyFormat: Hashable, Sendable {
        case simple
        /// Behind the prefix stand owner, region, bucket and date: that of the requests, or of the delivery.
        case partitioned(byEventTime: Bool)
    }

    package let target: String
    package let prefix: String
    /// `nil` if none was named, which means ``KeyFormat/simple``.
    package let format: KeyFormat?

    /// What a client asks for; `nil` if it asks for no log.
    package init?(request bytes: [UInt8]) throws {
        guard let enabled = try XMLElement.parse(bytes, root: "BucketLoggingStatus").child("LoggingEnabled")
        else { return nil }
        try self.init(enabled)
    }

    /// What a bucket's setting says.
    package init(stored bytes: [UInt8]) throws {
        guard let rules = try LoggingRules(request: bytes) else {
            throw S3Error.malformedDocument("it has no LoggingEnabled")
        }
        self = rules
    }

    private init(_ enabled: XMLElement) throws {
        guard let target = enabled.value("TargetBucket"), !target.isEmpty else {
            throw S3Error.malformedDocument("it has no TargetBucket")
        }
        guard let prefix = enabled.child("TargetPrefix")?.text else {
            throw S3Error.malformedDocument("it has no TargetPrefix")
        }
        guard prefix.utf8.count <= Self.prefixLimit else {
            throw S3Error.invalidArgument(
                "TargetPrefix is longer than \(Self.prefixLimit) bytes.", name: "TargetPrefix", value: prefix)
        }
        guard enabled.child("TargetGrants")?.children.isEmpty ?? true else {
            throw S3Error.notImplemented("TargetGrants (log objects have the ACL of their bucket)")
        }
        self.target = target
        self.prefix = prefix
        format = try enabled.child("TargetObjectKeyFormat").map(Self.format)
    }

    private static func format(_ element: XMLElement) throws -> KeyFormat {
        switch (element.child("SimplePrefix"), element.child("PartitionedPrefix")) {
        case (_?, nil): return .simple
        case (nil, let partitioned?):
            switch partitioned.value("PartitionDateSource") {
            case "EventTime": return .partitioned(byEventTime: true)
            case "DeliveryTime", nil: return .partitioned(byEventTime: false)
            default:
                throw S3Error.malformedDocument("PartitionDateSource is neither EventTime nor DeliveryTime")
            }
        default:
            throw S3Error.malformedDocument("TargetObjectKeyFormat takes SimplePrefix or PartitionedPrefix")
        }
    }

    /// The document, written one way whatever the client's was.
    package var document: XMLWriter {
        XMLWriter("BucketLoggingStatus") { xml in
            xml.element("LoggingEnabled") { xml in
                xml.element("TargetBucket", target)
                xml.element("TargetPrefix", prefix)
                guard let format else { return }
                xml.element("TargetObjectKeyFormat") { xml in
                    switch format {
                    case .simple: xml.element("SimplePrefix") { _ in }
                    case .partitioned(let byEventTime):
                        xml.element("PartitionedPrefix") { xml in
                            xml.element("PartitionDateSource", byEventTime ? "EventTime" : "DeliveryTime")
                        }
                    }
                }
            }
        }
    }

    /// Whether a log object is for the requests of one day.
    var isByDay: Bool { format == .partitioned(byEventTime: true) }

    /// The key of a log object.
    ///
    /// Source: Amazon S3 User Guide, "Enabling Amazon S3 server access logging", log object key format.
    /// - Parameters:
    ///   - events: the time of a request in it.
    ///   - unique: 16 hexadecimal digits.
    package func key(
        owner: String, region: String, source: String, events: Timestamp, delivery: Timestamp, unique: String
    ) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        func name(_ time: Timestamp, hasClock: Bool) -> String {
            let c = time.components
            let clock = hasClock ? [c.hour, c.minute, c.second] : [0, 0, 0]
            return ([String(c.year)] + ([c.month, c.day] + clock).map(two) + [unique]).joined(separator: "-")
        }
        switch format ?? .simple {
        case .simple: return prefix + name(delivery, hasClock: true)
        case .partitioned(let byEventTime):
            let time = byEventTime ? events : delivery
            let c = time.components
            return prefix
                + [
                    owner, region, source, String(c.year), two(c.month), two(c.day),
                    name(time, hasClock: !byEventTime),
                ].joined(separator: "/")
        }
    }
}
