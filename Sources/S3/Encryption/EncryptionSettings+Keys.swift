import Digests
import Encryption
import Foundation
import Model
import ObjectStore

/// Data keys, made and wrapped by the provider of master keys.
extension EncryptionSettings {
    /// The encryption of what is put into a bucket without a word on it.
    /// - Throws: `KMS.NotFoundException`, `KMS.DisabledException`.
    func standard(of bucket: Bucket) throws -> UploadEncryption? {
        guard
            let rule = try bucket.stored(EncryptionRule.setting, { try EncryptionRule($0) })
        else { return nil }
        return rule.kind == .s3
            ? try makeKey(.s3, .store, context: nil, usesBucketKey: false)
            : try makeKey(.kms, .named(rule.keyID), context: nil, usesBucketKey: rule.usesBucketKey)
    }

    func makeKey(
        _ kind: EventEncryption.Kind, _ choice: MasterKeyChoice, context: String?, usesBucketKey: Bool
    ) throws -> UploadEncryption {
        var record = EventEncryption()
        record.kind = kind
        record.bucketKey = usesBucketKey
        record.context = context.map(Self.digest(ofContext:)) ?? ""
        let provider = try provider()
        let made = try telling { try provider.makeDataKey(choice, context: record.context) }
        record.keyID = made.keyID
        record.wrappedKey = Data(made.wrapped)
        return UploadEncryption(record: record, dataKey: made.key)
    }

    /// What stands for a context in the log: it may say what the log should not.
    static func digest(ofContext context: String) -> String {
        let salt = SecureRandom.bytes(16)
        return salt.hexadecimal + HMACSHA256.authenticate(Array(context.utf8), key: salt).hexadecimal
    }

    func provider() throws -> any KeyProvider {
        guard let keys = keys else {
            throw S3Error.notImplemented("Server-side encryption without a provider of keys")
        }
        return keys
    }

    /// Says a provider's refusals in S3's words; what only the operator can mend stays as it is.
    func telling<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch KeyProviderError.noSuchKey(let name) {
            throw S3Error(.kmsNotFound, "Key '\(name)' does not exist")
        } catch KeyProviderError.disabled(let name) {
            throw S3Error(.kmsDisabled, "Key '\(name)' is disabled.")
        }
    }
}
