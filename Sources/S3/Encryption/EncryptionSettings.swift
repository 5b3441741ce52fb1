import Encryption
import Model

/// Encryption at rest, as a server is set up for it.
public struct EncryptionSettings: Sendable {
    /// Where data keys come from; without it, only customers' keys serve.
    public var keys: (any KeyProvider)?
    /// Whether keys of customers are taken over plain HTTP.
    public var allowsCustomerKeysOverHTTP = false
    /// Whether new buckets begin with AES256 as their default.
    public var encryptsNewBuckets = false

    public init() {}

    /// Settings that a new bucket begins with.
    var newBucket: [String: [UInt8]] {
        encryptsNewBuckets
            ? [EncryptionRule.setting: EncryptionRule(kind: .s3, keyID: nil, usesBucketKey: false).document]
            : [:]
    }
}
