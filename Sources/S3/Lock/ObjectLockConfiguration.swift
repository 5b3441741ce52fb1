import HTTPTypes
import Model

extension S3ErrorCode {
    static let objectLockConfigurationNotFound = S3ErrorCode("ObjectLockConfigurationNotFoundError", 404)
    static let noSuchObjectLockConfiguration = S3ErrorCode("NoSuchObjectLockConfiguration", 404)
}

/// A bucket's Object Lock: that there is one, and the retention that new versions get without asking.
///
/// Source: Amazon S3 API Reference, "PutObjectLockConfiguration".
package struct ObjectLockConfiguration: Hashable, Sendable {
    package struct DefaultRetention: Hashable, Sendable {
        package enum Period: Hashable, Sendable {
            case days(Int)
            case years(Int)
        }

        package let mode: EventRetention.Mode
        package let period: Period

        /// The retention of a version that is put now.
        package func retention(from now: Timestamp) -> EventRetention {
            let days =
                switch period {
                case .days(let days): days
                case .years(let years): years * 365
                }
            return EventRetention(
                mode, until: Timestamp(microseconds: now.microseconds + UInt64(days) * 86_400_000_000))
        }
    }

    /// The setting that has a bucket's configuration.
    static let setting = "object-lock"

    package let defaultRetention: DefaultRetention?

    package init(defaultRetention: DefaultRetention?) { self.defaultRetention = defaultRetention }

    /// - Throws: `MalformedXML`, `InvalidArgument` for a period that is none.
    package init(_ document: [UInt8]) throws {
        let root = try XMLElement.parse(document, root: "ObjectLockConfiguration")
        guard root.value("ObjectLockEnabled") == "Enabled", root.all("Rule").count <= 1 else {
            throw S3Error.malformedDocument
        }
        guard let rule = root.child("Rule") else {
            defaultRetention = nil
            return
        }
        guard let retention = rule.child("DefaultRetention"),
            let mode = EventRetention.Mode(wire: retention.value("Mode") ?? "")
        else { throw S3Error.malformedDocument }
        switch (retention.value("Days"), retention.value("Years")) {
        case (let days?, nil):
            defaultRetention = DefaultRetention(
                mode: mode, period: .days(try Self.period(days, most: 36_500)))
        case (nil, let years?):
            defaultRetention = DefaultRetention(mode: mode, period: .years(try Self.period(years, most: 100)))
        default: throw S3Error.malformedDocument
        }
    }

    private static func period(_ text: String, most: Int) throws -> Int {
        guard let number = Int(text) else { throw S3Error.malformedDocument }
        guard number > 0 else {
            throw S3Error(
                .invalidArgument, "Default retention period must be a positive integer value.")
        }
        guard number <= most else {
            throw S3Error(.invalidArgument, "Default retention period too large")
        }
        return number
    }

    /// As it is kept and shown.
    package var document: [UInt8] {
        XMLWriter("ObjectLockConfiguration") { xml in
            xml.element("ObjectLockEnabled", "Enabled")
            guard let retention = defaultRetention else { return }
            xml.element("Rule") { xml in
                xml.element("DefaultRetention") { xml in
                    xml.element("Mode", retention.mode.wire)
                    switch retention.period {
                    case .days(let days): xml.element("Days", days)
                    case .years(let years): xml.element("Years", years)
                    }
                }
            }
        }.bytes
    }

    /// The bucket's configuration; `nil` if its versions cannot be locked.
    package static func of(_ bucket: Bucket) throws -> ObjectLockConfiguration? {
        try bucket.stored(setting) { try ObjectLockConfiguration($0) }
    }

    /// What a bucket begins with whose creation asks for Object Lock, which needs versioning.
    static func settings(_ headers: HTTPFields) -> [String: [UInt8]] {
        guard headers[.amzBucketObjectLock]?.lowercased() == "true" else { return [:] }
        return [
            setting: ObjectLockConfiguration(defaultRetention: nil).document,
            "versioning": Array(VersioningState.enabled.rawValue.utf8),
        ]
    }
}

extension S3Error {
    /// What every operation on locks answers in a bucket without Object Lock.
    static let bucketHasNoLock = S3Error(.invalidRequest, "Bucket is missing Object Lock Configuration")
}

extension HTTPField.Name {
    static let amzBucketObjectLock = fixed("x-amz-bucket-object-lock-enabled")
    static let amzLockMode = fixed("x-amz-object-lock-mode")
    static let amzLockUntil = fixed("x-amz-object-lock-retain-until-date")
    static let amzLegalHold = fixed("x-amz-object-lock-legal-hold")
}
