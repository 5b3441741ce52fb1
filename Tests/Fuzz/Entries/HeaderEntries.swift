import HTTPTypes
import Model
import ObjectStore
import S3

/// Headers that name something in a small language of their own.
enum HeaderEntries {
    private static func lines(_ input: [UInt8]) -> [String] {
        String(decoding: input, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The header `x-amz-copy-source`.
    static func copySource(_ input: [UInt8]) throws {
        let text = String(decoding: input, as: UTF8.self)
        let source = try CopySource(header: text)
        try require(!source.key.rawValue.isEmpty, "a source has a key")
        let again =
            "/" + PercentEncoding.encode("\(source.bucket.rawValue)/\(source.key.rawValue)", keepsSlash: true)
        let copy = try CopySource(header: again)
        try require(
            copy.bucket == source.bucket && copy.key == source.key, "'\(text)' is '\(again)', and is not")
    }

    private static let grantNames = [
        "x-amz-acl", "x-amz-grant-read", "x-amz-grant-write", "x-amz-grant-read-acp", "x-amz-grant-write-acp",
        "x-amz-grant-full-control",
    ]

    /// Lines: the canned list, then those of the five permissions. An empty one is not sent.
    static func grants(_ input: [UInt8]) throws {
        var headers = HTTPFields()
        for (name, value) in zip(grantNames, lines(input)) where !value.isEmpty {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        for isBucket in [false, true] {
            let subject = ACLSubject(
                owner: "owner", ownerName: "Owner", bucketOwner: "other", isBucket: isBucket)
            _ = try AccessControlList(headers, subject) { $0 == "owner" ? "Owner" : nil }
        }
    }

    private static let conditionNames = [
        "if-match", "if-none-match", "if-modified-since", "if-unmodified-since",
    ]

    /// Lines: the four conditions of a read, then those of a copy's source.
    static func conditions(_ input: [UInt8]) throws {
        var headers = HTTPFields()
        let names = conditionNames + conditionNames.map { "x-amz-copy-source-" + $0 }
        for (name, value) in zip(names, lines(input)) where !value.isEmpty {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        if let value = headers[.ifMatch] {
            let condition = ETagCondition(header: value)
            let outcome = condition.matches("0123456789abcdef0123456789abcdef")
            try require(
                !outcome || value.contains("*") || value.contains("0123456789abcdef0123456789abcdef"),
                "'\(value)' does not name the ETag")
        }
        _ = ReadConditions(headers)
        _ = ReadConditions(copySource: headers)
        _ = try CopyDirectives(headers)
        _ = try WriteConditions(deleting: headers)
        _ = try WriteConditions(headers)
    }

    /// The header `x-amz-object-lock-retain-until-date`.
    static func lockDate(_ input: [UInt8]) throws {
        guard let time = VersionLock.date8601(String(decoding: input, as: UTF8.self)) else { return }
        try require(VersionLock.date8601(time.description) == time, "\(time) is another when written")
    }
}

/// Documents of a bucket's settings that are kept as they were understood.
enum SettingEntries {
    static func objectLock(_ input: [UInt8]) throws {
        let rule = try ObjectLockConfiguration(input)
        try require(try ObjectLockConfiguration(rule.document) == rule, "it comes back as it was kept")
    }

    static func encryption(_ input: [UInt8]) throws {
        let rule = try EncryptionRule(input)
        try require(
            try EncryptionRule(rule.document).document == rule.document, "it comes back as it was kept")
    }

    /// Ownership controls, or else a public access block.
    static func access(_ input: [UInt8]) throws {
        let ownership: ObjectOwnership
        do { ownership = try ObjectOwnership(document: input) } catch is S3Error {
            let block = try PublicAccessBlock(document: input)
            return try require(
                try PublicAccessBlock(document: block.document) == block, "it comes back as it was kept")
        }
        try require(
            try ObjectOwnership(document: ownership.document) == ownership, "it comes back as it was kept")
    }
}
