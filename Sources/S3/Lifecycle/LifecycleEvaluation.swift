import Model
import ObjectStore

/// A version among the others of its key, as a rule sees it.
package struct VersionFacts: Hashable, Sendable {
    package var key: String
    package var size: UInt64
    package var isDeleteMarker: Bool
    package var published: Timestamp
    /// When it ceased to be the current version: when the next newer one was published; `nil` for the current one.
    package var replaced: Timestamp?
    /// Noncurrent versions that are newer.
    package var newerNoncurrent: Int
    /// No other version of the key is left.
    package var isAlone: Bool

    package init(
        key: String, size: UInt64, isDeleteMarker: Bool, published: Timestamp, replaced: Timestamp?,
        newerNoncurrent: Int, isAlone: Bool
    ) {
        self.key = key
        self.size = size
        self.isDeleteMarker = isDeleteMarker
        self.published = published
        self.replaced = replaced
        self.newerNoncurrent = newerNoncurrent
        self.isAlone = isAlone
    }
}

/// What rules say of versions and uploads: pure functions.
///
/// Source: Amazon S3 User Guide, "Lifecycle configuration elements", "Lifecycle and versioning".
extension LifecycleConfiguration {
    /// The first rule by which the version is due, and how.
    package func due(
        _ version: VersionFacts, now: Timestamp, _ calendar: LifecycleCalendar,
        tags: () throws -> [String: String]
    ) rethrows -> (kind: Expiry.Kind, rule: Rule)? {
        for rule in rules where rule.isEnabled {
            guard let kind = rule.kind(version, now: now, calendar) else { continue }
            let matches = try rule.filter.matches(
                key: version.key, size: version.size, isMarker: version.isDeleteMarker, tags: tags)
            if matches { return (kind, rule) }
        }
        return nil
    }

    /// The rule by which an upload that was begun then is due.
    package func dueUpload(
        _ key: String, initiated: Timestamp, now: Timestamp, _ calendar: LifecycleCalendar
    ) -> Rule? {
        rules.first { rule in
            guard rule.isEnabled, let days = rule.abortDays else { return false }
            return key.utf8.starts(with: rule.filter.prefix.utf8)
                && calendar.time(days, after: initiated) <= now
        }
    }

    /// When the current version goes, and by which rule: `x-amz-expiration`.
    package func expiration(
        of version: ObjectVersion, _ calendar: LifecycleCalendar
    ) -> (time: Timestamp, rule: Rule)? {
        var first: (time: Timestamp, rule: Rule)?
        for rule in rules where rule.isEnabled {
            guard let time = rule.expiration?.time(published: version.published, calendar),
                rule.filter.matches(version)
            else { continue }
            if first.map({ time < $0.time }) ?? true { first = (time, rule) }
        }
        return first
    }
}

extension LifecycleConfiguration.Expiration {
    func time(published: Timestamp, _ calendar: LifecycleCalendar) -> Timestamp? {
        switch self {
        case .days(let days): calendar.time(days, after: published)
        case .date(let date): date
        case .expiredMarkers: nil
        }
    }
}

extension LifecycleConfiguration.Rule {
    /// What the rule's actions say of a version that its filter takes in.
    fileprivate func kind(
        _ version: VersionFacts, now: Timestamp, _ calendar: LifecycleCalendar
    ) -> Expiry.Kind? {
        if let replaced = version.replaced {
            guard let noncurrent, version.newerNoncurrent >= noncurrent.newer,
                calendar.time(noncurrent.days, after: replaced) <= now
            else { return nil }
            return .noncurrent(newer: noncurrent.newer)
        }
        guard let expiration else { return nil }
        let isOld = expiration.time(published: version.published, calendar).map { $0 <= now }
        guard version.isDeleteMarker else { return isOld == true ? .current : nil }
        // A rule with an age takes away expired markers of that age; one without, all of them.
        return version.isAlone && isOld ?? true ? .marker : nil
    }
}
