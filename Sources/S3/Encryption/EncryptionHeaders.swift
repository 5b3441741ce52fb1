import Digests
import Encryption
import Foundation
import HTTPTypes
import Model

extension HTTPField.Name {
    static let amzEncryption = fixed("x-amz-server-side-encryption")
    static let amzEncryptionKeyID = fixed("x-amz-server-side-encryption-aws-kms-key-id")
    static let amzEncryptionContext = fixed("x-amz-server-side-encryption-context")
    static let amzBucketKeyEnabled = fixed("x-amz-server-side-encryption-bucket-key-enabled")
    static let amzCustomerAlgorithm = fixed("x-amz-server-side-encryption-customer-algorithm")
    static let amzCustomerKey = fixed("x-amz-server-side-encryption-customer-key")
    static let amzCustomerKeyMD5 = fixed("x-amz-server-side-encryption-customer-key-md5")
    static let amzSourceCustomerAlgorithm = fixed(
        "x-amz-copy-source-server-side-encryption-customer-algorithm")
    static let amzSourceCustomerKey = fixed("x-amz-copy-source-server-side-encryption-customer-key")
    static let amzSourceCustomerKeyMD5 = fixed("x-amz-copy-source-server-side-encryption-customer-key-md5")
}

extension S3ErrorCode {
    static let encryptionConfigurationNotFound = S3ErrorCode(
        "ServerSideEncryptionConfigurationNotFoundError", 404)
    static let invalidEncryptionAlgorithm = S3ErrorCode("InvalidEncryptionAlgorithmError", 400)
    static let kmsNotFound = S3ErrorCode("KMS.NotFoundException", 400)
    static let kmsDisabled = S3ErrorCode("KMS.DisabledException", 400)
}

/// A key that a customer sent, checked against its MD5.
struct CustomerKey: Sendable {
    let key: SecretKey
    /// In base64, as it came.
    let md5: String

    /// - Returns: `nil` if none of the three headers is there.
    /// - Throws: `InvalidArgument`, `InvalidEncryptionAlgorithmError`. No text of these holds the key.
    init?(_ headers: HTTPFields, isOfCopySource: Bool = false) throws {
        let algorithm = headers[isOfCopySource ? .amzSourceCustomerAlgorithm : .amzCustomerAlgorithm]
        let keyText = headers[isOfCopySource ? .amzSourceCustomerKey : .amzCustomerKey]
        let md5Text = headers[isOfCopySource ? .amzSourceCustomerKeyMD5 : .amzCustomerKeyMD5]
        guard algorithm != nil || keyText != nil || md5Text != nil else { return nil }
        func missing(_ what: String) -> S3Error {
            S3Error(
                .invalidArgument,
                "Requests specifying Server Side Encryption with Customer provided keys must provide \(what)."
            )
        }
        guard let algorithm else { throw missing("a valid encryption algorithm") }
        guard algorithm == "AES256" else {
            throw S3Error(
                .invalidEncryptionAlgorithm,
                "The encryption request you specified is not valid. The valid value is AES256.")
        }
        guard let keyText else { throw missing("an appropriate secret key") }
        guard let md5Text else { throw missing("the client calculated MD5 of the secret key") }
        var bytes = Array(Data(base64Encoded: keyText) ?? Data())
        defer { erase(&bytes) }
        guard let key = SecretKey(bytes) else {
            throw S3Error(.invalidArgument, "The secret key was invalid for the specified algorithm.")
        }
        guard let md5 = Data(base64Encoded: md5Text), Array(md5) == MD5.hash(bytes) else {
            throw S3Error(
                .invalidArgument,
                "The calculated MD5 hash of the key did not match the hash that was provided.")
        }
        self.key = key
        self.md5 = md5Text
    }
}

/// How a request asks for what it writes to be enciphered.
enum EncryptionRequest: Sendable {
    case customer(CustomerKey)
    case s3
    case kms(keyID: String?, context: String?, usesBucketKey: Bool?)

    private static let prefix = "x-amz-server-side-encryption"

    /// Whether any header of the request speaks of encryption: every request asks, so it is cheap.
    static func isNamed(in headers: HTTPFields) -> Bool {
        headers.contains { field in
            let name = field.name.canonicalName
            return name.utf8.count >= prefix.utf8.count && name.hasPrefix(prefix)
        }
    }

    /// - Returns: `nil` if the request says nothing of it.
    /// - Throws: `InvalidArgument`, `NotImplemented`, `InvalidEncryptionAlgorithmError`.
    init?(_ headers: HTTPFields) throws {
        guard Self.isNamed(in: headers) else { return nil }
        let method = headers[.amzEncryption]
        let keyID = headers[.amzEncryptionKeyID]
        let context = headers[.amzEncryptionContext]
        if let customer = try CustomerKey(headers) {
            guard method == nil, keyID == nil, context == nil else {
                throw S3Error.invalidArgument(
                    "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                    name: Self.prefix, value: method ?? "")
            }
            self = .customer(customer)
            return
        }
        switch method {
        case "aws:kms":
            self = .kms(
                keyID: keyID, context: try context.map(Self.canonicalContext),
                usesBucketKey: headers[.amzBucketKeyEnabled].map { $0.lowercased() == "true" })
        case "aws:kms:dsse":
            throw S3Error.notImplemented("Dual-layer encryption (\(Self.prefix): aws:kms:dsse)")
        case "AES256", nil:
            guard keyID == nil, context == nil else {
                throw S3Error.invalidArgument(
                    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
                    name: Self.prefix, value: method ?? "")
            }
            guard method != nil else { return nil }  // bucket-key-enabled alone asks for nothing
            self = .s3
        case let other?:
            throw S3Error.invalidArgument(
                "The encryption method specified is not supported", name: Self.prefix, value: other)
        }
    }

    /// The context with its keys in order, so that the same pairs are the same bytes.
    /// - Throws: `InvalidArgument`, without the context's text.
    private static func canonicalContext(_ text: String) throws -> String {
        guard let data = Data(base64Encoded: text) else { throw badContext }
        let pairs: [String: String]
        do { pairs = try JSONDecoder().decode([String: String].self, from: data) } catch is DecodingError {
            throw badContext
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(pairs), as: UTF8.self)
    }

    private static var badContext: S3Error {
        S3Error(
            .invalidArgument,
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"
        )
    }

    /// - Throws: `InvalidArgument` if the request names a method where only a customer's key may come.
    static func refuseMethod(_ headers: HTTPFields) throws {
        for name: HTTPField.Name in [.amzEncryption, .amzEncryptionKeyID, .amzEncryptionContext] {
            guard headers[name] == nil else {
                throw S3Error(
                    .invalidArgument, "\(name.canonicalName) header is not supported for this operation.",
                    details: [("ArgumentName", name.canonicalName)])
            }
        }
    }
}
