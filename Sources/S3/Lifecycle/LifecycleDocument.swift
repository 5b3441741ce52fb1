import Foundation
import HTTPTypes
import Model

extension S3ErrorCode {
    static let noSuchLifecycleConfiguration = S3ErrorCode("NoSuchLifecycleConfiguration", 404)
}

/// Lifecycle rules as XML.
///
/// Source: Amazon S3 API Reference, "PutBucketLifecycleConfiguration", and the older "PutBucketLifecycle".
extension LifecycleConfiguration {
    package static let ruleCount = 1000
    static let idByteCount = 255

    /// - Throws: `MalformedXML`, `InvalidArgument`, `InvalidRequest`, `NotImplemented` for transitions.
    package init(_ document: [UInt8]) throws {
        let root = try XMLElement.parse(document, root: "LifecycleConfiguration")
        let elements = root.all("Rule")
        guard (1...Self.ruleCount).contains(elements.count) else { throw S3Error.malformedDocument }
        rules = try elements.map { try Rule($0) }
        if let minimum = root.value(Self.minimumElement) { transitionMinimum = minimum }
        guard Set(rules.map(\.filter.isLegacy)).count == 1 else {
            throw S3Error(
                .invalidRequest,
                "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
            )
        }
        var names: Set<String> = []
        for rule in rules where !rule.id.isEmpty {
            guard names.insert(rule.id).inserted else {
                throw S3Error.invalidArgument(
                    "Rule ID must be unique. Found same ID for more than one rule", name: "ID", value: rule.id
                )
            }
        }
        // Amazon S3 names the rules that have no name.
        for index in rules.indices where rules[index].id.isEmpty {
            rules[index].id = UUID().uuidString.lowercased()
        }
    }

    /// Not S3's: the header that came with the rules, kept with them.
    private static let minimumElement = "TransitionDefaultMinimumObjectSize"

    /// As it is kept.
    package var document: [UInt8] { xml(isKept: true).bytes }

    /// - Parameter isKept: for the store, and not for a client.
    func xml(isKept: Bool = false) -> XMLWriter {
        XMLWriter("LifecycleConfiguration") { xml in
            if isKept, transitionMinimum != Self.standardMinimum {
                xml.element(named: Self.minimumElement, transitionMinimum)
            }
            for rule in rules { xml.element("Rule") { rule.write(&$0) } }
        }
    }
}

extension LifecycleConfiguration.Rule {
    fileprivate init(_ element: XMLElement) throws {
        for name in ["Transition", "NoncurrentVersionTransition"] where element.child(name) != nil {
            throw S3Error.notImplemented("Lifecycle action \(name)")
        }
        id = element.value("ID") ?? ""
        guard id.utf8.count <= LifecycleConfiguration.idByteCount else {
            throw S3Error.invalidArgument(
                "ID length should not exceed allowed limit of \(LifecycleConfiguration.idByteCount)",
                name: "ID",
                value: id)
        }
        switch element.value("Status") {
        case "Enabled": isEnabled = true
        case "Disabled": isEnabled = false
        default: throw S3Error.malformedDocument
        }
        filter = try LifecycleFilter(rule: element)
        expiration = try element.child("Expiration").map { try LifecycleConfiguration.Expiration($0) }
        noncurrent = try element.child("NoncurrentVersionExpiration").map {
            try LifecycleConfiguration.Noncurrent($0)
        }
        abortDays = try element.child("AbortIncompleteMultipartUpload").map {
            try $0.positive(
                "DaysAfterInitiation",
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
        }
        guard expiration != nil || noncurrent != nil || abortDays != nil else {
            throw S3Error(.invalidRequest, "At least one action needs to be specified in a rule.")
        }
        try checkFilterFits()
    }

    /// An unfinished upload and a delete marker have no tags and no size to go by.
    private func checkFilterFits() throws {
        let hasSize = filter.greaterThan != nil || filter.lessThan != nil
        for (isThere, action) in [
            (abortDays != nil, "AbortIncompleteMultipartUpload"),
            (expiration == .expiredMarkers, "ExpiredObjectDeleteMarker"),
        ] where isThere {
            if !filter.tags.isEmpty {
                throw S3Error(.invalidRequest, "\(action) cannot be specified with Tags.")
            }
            if hasSize { throw S3Error(.invalidRequest, "\(action) cannot be specified with Object Size.") }
        }
    }

    fileprivate func write(_ xml: inout XMLWriter) {
        xml.element("ID", id)
        filter.write(&xml)
        xml.element("Status", isEnabled ? "Enabled" : "Disabled")
        if let expiration {
            xml.element("Expiration") { xml in
                switch expiration {
                case .days(let days): xml.element("Days", days)
                case .date(let date): xml.element("Date", date)
                case .expiredMarkers: xml.element("ExpiredObjectDeleteMarker", true)
                }
            }
        }
        if let noncurrent {
            xml.element("NoncurrentVersionExpiration") { xml in
                xml.element("NoncurrentDays", noncurrent.days)
                if noncurrent.newer > 0 { xml.element("NewerNoncurrentVersions", noncurrent.newer) }
            }
        }
        if let abortDays {
            xml.element("AbortIncompleteMultipartUpload") { $0.element("DaysAfterInitiation", abortDays) }
        }
    }
}

extension LifecycleConfiguration.Expiration {
    fileprivate init(_ element: XMLElement) throws {
        guard element.children.count == 1 else { throw S3Error.malformedDocument }
        if element.child("Days") != nil {
            self = .days(
                try element.positive("Days", "'Days' for Expiration action must be a positive integer"))
        } else if let text = element.value("Date") {
            guard let date = VersionLock.date8601(text.contains("T") ? text : "\(text)T00:00:00Z") else {
                throw S3Error.malformedDocument
            }
            guard date.seconds.isMultiple(of: LifecycleCalendar.realDaySeconds) else {
                throw S3Error.invalidArgument("'Date' must be at midnight GMT", name: "Date", value: text)
            }
            self = .date(date)
        } else if let text = element.value("ExpiredObjectDeleteMarker") {
            guard text == "true" else { throw S3Error.malformedDocument }
            self = .expiredMarkers
        } else {
            throw S3Error.malformedDocument
        }
    }
}

extension LifecycleConfiguration.Noncurrent {
    fileprivate init(_ element: XMLElement) throws {
        days = try element.positive(
            "NoncurrentDays",
            "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
        newer = 0
        if element.child("NewerNoncurrentVersions") != nil {
            let message =
                "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be an integer from 1 to 100"
            newer = try element.positive("NewerNoncurrentVersions", message)
            guard newer <= 100 else {
                throw S3Error.invalidArgument(message, name: "NewerNoncurrentVersions", value: "\(newer)")
            }
        }
    }
}

extension XMLElement {
    /// - Throws: `MalformedXML` for what is no number, `InvalidArgument` with `message` for one that is not above 0.
    fileprivate func positive(_ name: String, _ message: String) throws -> Int {
        guard let text = value(name), let number = Int32(text) else { throw S3Error.malformedDocument }
        guard number > 0 else { throw S3Error.invalidArgument(message, name: name, value: text) }
        return Int(number)
    }
}
