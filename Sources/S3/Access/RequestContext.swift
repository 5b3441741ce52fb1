import HTTPTypes
import Model
import ObjectStore

/// The condition keys of a request. Nothing is found out before a policy asks.
///
/// Source: AWS Service Authorization Reference, "Condition keys for Amazon S3"; IAM User Guide, "AWS global
/// condition context keys".
struct RequestContext: Sendable {
    let call: S3Call
    let now: Timestamp
    /// The canonical id that the resource belongs to: what stands for an account here.
    let owner: String
    /// The version that the decision is about, where the request names one.
    var version: String?
    /// The tags of the object that the request is about; `nil` if it is not there.
    let tags: @Sendable () -> [String: String]?
    /// The tags that a copy takes along from its source; `nil` for what brings its own.
    var copiedTags: @Sendable () -> [String: String]? = { nil }

    var context: PolicyContext { PolicyContext { key in self.values(key) } }

    private func values(_ key: String) -> [String]? {
        // A header cannot stand for what the body alone decides.
        if let body = call.bodyConditions, Operation.isOfBody(key) { return body[key] }
        if key.hasPrefix("aws:") { return global(key.dropFirst(4)).map { [$0] } }
        guard key.hasPrefix("s3:") else { return nil }
        let name = key.dropFirst(3)
        if name.hasPrefix("existingobjecttag/") {
            return tag(name.dropFirst(18), in: tags() ?? [:])
        }
        if name.hasPrefix("requestobjecttag/") { return tag(name.dropFirst(17), in: requestTags) }
        if name == "requestobjecttagkeys" {
            let keys = requestTags.keys.sorted()
            return keys.isEmpty ? nil : keys
        }
        return s3(String(name)).map { [$0] }
    }

    private func global(_ name: Substring) -> String? {
        let identity = call.identity
        return switch name {
        case "currenttime": now.description
        case "epochtime": String(now.seconds)
        case "securetransport": call.head.scheme == "https" ? "true" : "false"
        case "sourceip": call.peer?()
        case "useragent": call.headers[.userAgent]
        case "referer": call.headers[.referer]
        case "userid": identity.isAnonymous ? "anonymous" : identity.userID
        case "username": identity.isAnonymous ? nil : identity.userName
        // The store's users are told apart as accounts are, as in `x-amz-expected-bucket-owner`.
        case "resourceaccount": owner
        case "principalaccount": identity.isAnonymous ? nil : identity.userID
        case "principalarn":
            identity.isAnonymous
                ? nil : "arn:aws:iam:::" + (identity.isRoot ? "root" : "user/\(identity.userName)")
        case "principaltype": identity.isAnonymous ? "Anonymous" : identity.isRoot ? "Account" : "User"
        default: nil
        }
    }

    private func s3(_ name: String) -> String? {
        switch name {
        case "prefix", "delimiter", "max-keys": return call.query[name]
        // Of the source of a copy, and of each of many keys, it is not in the query.
        case "versionid": return version
        case "authtype": return call.signature?.kind
        case "signatureversion": return call.signature?.version
        case "signatureage":
            guard let text = call.signature?.time, let sent = HTTPDate.compactSeconds(text) else {
                return nil
            }
            return String(now.seconds > sent ? (now.seconds - sent) * 1000 : 0)
        case "object-lock-mode", "object-lock-retain-until-date", "object-lock-legal-hold":
            return HTTPField.Name("x-amz-\(name)").flatMap { call.headers[$0] }
        case "object-lock-remaining-retention-days": return remainingRetentionDays
        case "resourceaccount": return owner
        case "tlsversion": return call.tlsVersion.map { String($0.trimmingPrefix("TLSv")) }
        case "if-match": return call.headers[.ifMatch]
        case "if-none-match": return call.headers[.ifNoneMatch]
        case "objectcreationoperation": return createsObject.map { $0 ? "true" : "false" }
        case "x-amz-copy-source": return copySource
        default:
            // The other keys of S3 are the headers that they are about.
            guard name.hasPrefix("x-amz-"), let header = HTTPField.Name(name) else { return nil }
            return call.headers[header]
        }
    }

    /// Of the retention that is asked for, a part of a day as a whole one: so "for 30 days" is 30 when it comes in.
    /// The date may have been rounded up by a second, which is no day more.
    private var remainingRetentionDays: String? {
        guard let text = values("s3:object-lock-retain-until-date")?.first,
            let until = VersionLock.date8601(text)
        else { return nil }
        let left = until.seconds > now.seconds ? until.seconds - now.seconds : 0
        return String((left + 86_398) / 86_400)
    }

    /// Whether a write with `s3:PutObject` makes an object, and not only a part of one. It is told as operations are
    /// told apart, so that an item that means nothing to the operation means nothing here.
    private var createsObject: Bool? {
        switch call.head.method {
        case .put: !call.query.has("uploadId")
        case .post: !call.query.has("uploads")
        default: nil
        }
    }

    /// As `BUCKET/KEY` whatever slash it begins with and whatever of it is percent-encoded: clients differ, and a
    /// denial must not depend on it.
    private var copySource: String? {
        guard let text = call.headers[.amzCopySource] else { return nil }
        guard let source = try? CopySource(header: text) else { return text }  // the operation refuses it
        return "\(source.bucket)/\(source.key)" + (source.version.text.map { "?versionId=\($0)" } ?? "")
    }

    /// Tag keys are told apart by case, and policies have them in lower case: the first that fits counts.
    private func tag(_ key: Substring, in tags: [String: String]) -> [String]? {
        tags.sorted { $0.key < $1.key }.first { $0.key.lowercased() == key }.map { [$0.value] }
    }

    private var requestTags: [String: String] {
        if let copied = copiedTags() { return copied }
        guard let text = call.headers[.amzTagging] else { return [:] }
        var tags: [String: String] = [:]
        for item in text.split(separator: "&") {
            let halves = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = PercentEncoding.decode(halves[0], plusIsSpace: true),
                let value = PercentEncoding.decode(halves.count == 2 ? halves[1] : "", plusIsSpace: true)
            else { continue }  // the operation refuses it
            tags[key] = value
        }
        return tags
    }
}

extension HTTPField.Name {
    fileprivate static let amzTagging = fixed("x-amz-tagging")
    static let amzExpectedBucketOwner = fixed("x-amz-expected-bucket-owner")
    static let amzSourceExpectedBucketOwner = fixed("x-amz-source-expected-bucket-owner")
    static let amzObjectOwnership = fixed("x-amz-object-ownership")
}
