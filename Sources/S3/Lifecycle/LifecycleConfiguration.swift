import Model

/// When objects of a bucket go by themselves.
///
/// Source: Amazon S3 User Guide, "Lifecycle configuration elements".
package struct LifecycleConfiguration: Hashable, Sendable {
    package struct Rule: Hashable, Sendable {
        package var id: String
        package var isEnabled: Bool
        package var filter: LifecycleFilter
        package var expiration: Expiration?
        package var noncurrent: Noncurrent?
        /// Days after which an unfinished upload is aborted.
        package var abortDays: Int?
    }

    package enum Expiration: Hashable, Sendable {
        case days(Int)
        case date(Timestamp)
        /// Delete markers that hide nothing any more.
        case expiredMarkers
    }

    package struct Noncurrent: Hashable, Sendable {
        package var days: Int
        /// So many noncurrent versions are kept whatever their age.
        package var newer: Int
    }

    static let setting = "lifecycle"
    static let standardMinimum = "all_storage_classes_128K"

    package var rules: [Rule]
    /// `x-amz-transition-default-minimum-object-size`: kept because clients compare it; there are no transitions.
    package var transitionMinimum = standardMinimum

    /// What every rule that is on has in common, so that no other key need be looked at.
    package var commonPrefix: String {
        let prefixes = rules.filter(\.isEnabled).map { Array($0.filter.prefix.unicodeScalars) }
        guard var common = prefixes.first else { return "" }
        for prefix in prefixes.dropFirst() {
            common = Array(zip(common, prefix).prefix { $0 == $1 }.map(\.0))
        }
        var text = String.UnicodeScalarView()
        text.append(contentsOf: common)
        return String(text)
    }
}

/// Which objects a rule is for: all that is named must hold.
package struct LifecycleFilter: Hashable, Sendable {
    package var prefix = ""
    package var tags: [String: String] = [:]
    package var greaterThan: UInt64?
    package var lessThan: UInt64?
    /// The rule has its prefix beside the filter, as S3's first version of lifecycle had.
    package var isLegacy = false

    package init() {}

    /// Delete markers have neither size nor tags.
    package func matches(
        key: String, size: UInt64, isMarker: Bool, tags: () throws -> [String: String]
    ) rethrows -> Bool {
        // Keys are bytes: two spellings of one letter are two keys.
        guard key.utf8.starts(with: prefix.utf8) else { return false }
        guard greaterThan != nil || lessThan != nil || !self.tags.isEmpty else { return true }
        guard !isMarker, greaterThan.map({ size > $0 }) ?? true, lessThan.map({ size < $0 }) ?? true else {
            return false
        }
        guard !self.tags.isEmpty else { return true }
        let found = try tags()
        return self.tags.allSatisfy { found[$0.key] == $0.value }
    }

    package func matches(_ version: ObjectVersion) -> Bool {
        matches(key: version.key, size: version.size, isMarker: version.isDeleteMarker) {
            version.record.metadata.tags
        }
    }
}
