import Digests
import Encryption
import Foundation
import HTTPTypes
import Model
import ObjectStore

/// Which key enciphers what a request writes, and deciphers what it reads.
///
/// Source: Amazon S3 User Guide, "Protecting data with server-side encryption".
extension S3Service {
    // MARK: Writing

    /// The encryption of an object or multipart upload that begins: what the request asks for, else what the bucket
    /// does.
    /// - Throws: as ``EncryptionRequest``, `KMS.NotFoundException`, `KMS.DisabledException`.
    func encryption(_ call: S3Call, in bucket: Bucket) throws -> UploadEncryption? {
        let request = try EncryptionRequest(call.headers)
        switch request {
        case nil: return try settings.encryption.standard(of: bucket)
        case .customer(let customer):
            try requireSecure(call)
            var record = EventEncryption()
            record.kind = .customer
            let check = CustomerKeyCheck.make(customer.key)
            record.keyCheck = Data(check)
            guard let key = CustomerKeyCheck.dataKey(customer.key, check: check) else {
                preconditionFailure("a key is recognised by the check that was made of it")
            }
            return UploadEncryption(record: record, dataKey: key)
        case .s3: return try settings.encryption.makeKey(.s3, .store, context: nil, usesBucketKey: false)
        case .kms(let keyID, let context, let usesBucketKey):
            return try settings.encryption.makeKey(
                .kms, .named(keyID), context: context, usesBucketKey: usesBucketKey ?? false)
        }
    }

    private func requireSecure(_ call: S3Call) throws {
        guard call.head.scheme == "https" || settings.encryption.allowsCustomerKeysOverHTTP else {
            throw S3Error(
                .invalidRequest,
                "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."
            )
        }
    }

    /// The encryption of a part: that of its upload, whose customer's key must come with each part.
    func encryption(_ call: S3Call, ofPartOf upload: EventUploadCreated) throws -> UploadEncryption? {
        let isNamed = EncryptionRequest.isNamed(in: call.headers)
        guard isNamed || upload.hasEncryption else { return nil }
        try EncryptionRequest.refuseMethod(call.headers)
        let customer = isNamed ? try CustomerKey(call.headers) : nil
        if customer != nil { try requireSecure(call) }
        guard upload.hasEncryption, upload.encryption.kind == .customer else {
            guard customer == nil else {
                throw S3Error(
                    .invalidRequest,
                    "The multipart upload initiate did not request encryption with a customer's key. Part requests must not include one."
                )
            }
            guard upload.hasEncryption else { return nil }
            return UploadEncryption(record: upload.encryption, dataKey: try unwrap(upload.encryption))
        }
        guard let customer else {
            throw S3Error(
                .invalidRequest,
                "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."
            )
        }
        guard let key = CustomerKeyCheck.dataKey(customer.key, check: Array(upload.encryption.keyCheck))
        else {
            throw S3Error(
                .invalidRequest, "The provided encryption parameters did not match the ones used originally.")
        }
        return UploadEncryption(record: upload.encryption, dataKey: key)
    }

    // MARK: Reading

    /// The data key of a version that is read; `nil` if it is not enciphered.
    /// - Parameter sendsBody: without, a key that need not be known is not looked up.
    /// - Throws: `InvalidRequest` without the key or with one that does not apply, `AccessDenied` with another key.
    func dataKey(
        of version: ObjectVersion, _ call: S3Call, isCopySource: Bool = false, sendsBody: Bool = true
    ) throws -> SecretKey? {
        let isEncrypted = version.record.hasEncryption
        guard isEncrypted || isCopySource || EncryptionRequest.isNamed(in: call.headers) else { return nil }
        if !isCopySource { try EncryptionRequest.refuseMethod(call.headers) }
        let customer = try CustomerKey(call.headers, isOfCopySource: isCopySource)
        if customer != nil { try requireSecure(call) }
        guard isEncrypted, version.record.encryption.kind == .customer else {
            guard customer == nil else {
                throw S3Error(
                    .invalidRequest, "The encryption parameters are not applicable to this object.")
            }
            return isEncrypted && sendsBody ? try unwrap(version.record.encryption) : nil
        }
        guard let customer else {
            throw S3Error(
                .invalidRequest,
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
            )
        }
        let check = Array(version.record.encryption.keyCheck)
        guard let key = CustomerKeyCheck.dataKey(customer.key, check: check) else {
            throw S3Error(.accessDenied, "Access Denied")
        }
        return key
    }

    private func unwrap(_ encryption: EventEncryption) throws -> SecretKey {
        let provider = try settings.encryption.provider()
        func find() throws -> SecretKey {
            try provider.dataKey(
                wrapped: Array(encryption.wrappedKey), keyID: encryption.keyID, context: encryption.context)
        }
        // A client that named no key can do nothing about one that is gone: that is a fault, for the operator's log.
        return encryption.kind == .s3 ? try find() : try settings.encryption.telling(find)
    }

    // MARK: Showing

    /// The headers that tell of the encryption of what a request wrote or reads.
    func showEncryption(_ encryption: EventEncryption, _ call: S3Call, in headers: inout HTTPFields) {
        switch encryption.kind {
        case .customer:
            headers[.amzCustomerAlgorithm] = "AES256"
            headers[.amzCustomerKeyMD5] = call.headers[.amzCustomerKeyMD5]
        case .s3: headers[.amzEncryption] = "AES256"
        case .kms:
            headers[.amzEncryption] = "aws:kms"
            headers[.amzEncryptionKeyID] =
                "arn:aws:kms:\(settings.region):000000000000:key/\(encryption.keyID)"
            if encryption.bucketKey { headers[.amzBucketKeyEnabled] = "true" }
        case .unspecified, .UNRECOGNIZED: break
        }
    }

    // MARK: Copying

    /// Copies by reference where the copy's bytes may be the source's; else reads the source, deciphered, and
    /// writes it as any upload.
    func copy(
        _ source: ObjectVersion, to bucket: BucketName, _ key: ObjectKey, metadata: EventMetadata,
        checksums: [EventChecksum], encryption: UploadEncryption?, owner: ObjectOwner?, _ call: S3Call
    ) async throws -> Committed<ObjectVersion> {
        let sourceKey = try dataKey(of: source, call, isCopySource: true)
        let conditions = try WriteConditions(call.headers)
        let isPlain = !source.record.hasEncryption && encryption == nil
        let isStores = source.record.encryption.kind == .s3 && encryption?.record.kind == .s3
        if isPlain || isStores {
            return try await store.copy(
                source, to: bucket, key, metadata: metadata, checksums: checksums, conditions: conditions,
                actor: call.actor, owner: owner, bucketCreated: call.bucketCreated)
        }
        let algorithm = checksums.first?.algorithm ?? .crc64Nvme
        var target = UploadTarget(
            bucket: bucket, key: key, metadata: metadata, actor: call.actor, part: nil,
            expectedLength: source.size, checksum: algorithm, owner: owner)
        target.bucketCreated = call.bucketCreated
        target.encryption = encryption
        let upload = store.beginUpload(target)
        do {
            let reader = store.reader(of: source, range: 0..<source.size, dataKey: sourceKey)
            while reader.remaining > 0 { try await upload.write(try await Self.piece(of: reader)) }
            let digests = try await upload.finish()
            return try await store.publish(
                upload, conditions: conditions,
                checksums: digests.checksum.map { [EventChecksum(algorithm, $0)] } ?? [])
        } catch {
            await upload.discard()
            throw error
        }
    }
}
