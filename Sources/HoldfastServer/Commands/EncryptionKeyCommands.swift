import Encryption
import Foundation
import Model
import ObjectStore

/// `holdfast encryption-key`.
extension CommandRunner {
    private struct EncryptionKeyLine: Encodable {
        let name: String
        let id: String
        let enabled: Bool
        let generations: Int
        let created: String
        let rotated: String
    }

    /// Shows master keys; never what they are.
    func showEncryptionKeys(_ keys: [MasterKeyStore.MasterKey], _ json: Bool, _ output: any CommandOutput)
        throws
    {
        for key in keys {
            let line = EncryptionKeyLine(
                name: key.name, id: key.id, enabled: key.isEnabled, generations: key.generations.count,
                created: key.created, rotated: key.generations.last?.created ?? "")
            let state = line.enabled ? "" : "  disabled"
            try output.line(
                json
                    ? try CommandJSON.line(line)
                    : "\(line.name)  \(line.id)  generation \(line.generations) of \(line.rotated)\(state)")
        }
    }

    func rotateEncryptionKey(
        _ name: String?, rewrap: Bool, _ json: Bool, _ output: any CommandOutput
    ) async throws {
        let rotated = try masterKeys.rotate(name)
        try showEncryptionKeys(rotated, json, output)
        guard rewrap else { return }
        let count = try await KeyRewrapping(store: store, masterKeys: masterKeys).run(
            keyIDs: Set(rotated.map(\.id)))
        try output.line(
            json
                ? try CommandJSON.line(["rewrapped": count])
                : "\(counted(count, "data key")) wrapped with the new generation")
    }
}

/// Wraps the data keys of all versions, and of all uploads under way, with the newest generation of their master keys.
/// Each is one small event; no object's bytes are read or written.
///
/// Uploads come first: one that is completed meanwhile is either wrapped afresh by then, or a version when the
/// versions are looked at. A copy that is made of a version meanwhile may keep the older generation, which stays
/// readable.
struct KeyRewrapping {
    private static let pageCount = 1000

    let store: ObjectStore
    let masterKeys: MasterKeyStore

    /// - Returns: how many versions and uploads were changed.
    func run(keyIDs: Set<String>) async throws -> Int {
        var count = 0
        for bucket in try store.buckets() { count += try await rewrapUploads(bucket.name, keyIDs) }
        for bucket in try store.buckets() { count += try await rewrap(bucket.name, keyIDs) }
        return count
    }

    private func rewrapUploads(_ bucket: BucketName, _ keyIDs: Set<String>) async throws -> Int {
        var count = 0
        var keyMarker = ""
        var uploadMarker: UploadID?
        while true {
            let page: UploadsPage
            do {
                page = try store.listUploads(
                    bucket, prefix: "", delimiter: "", keyMarker: keyMarker, uploadMarker: uploadMarker,
                    limit: Self.pageCount)
            } catch StoreError.noSuchBucket { return count }  // deleted meanwhile, with all that was in it
            for case .upload(let upload) in page.items {
                if try await rewrap(upload, keyIDs) { count += 1 }
                keyMarker = upload.record.key
                uploadMarker = upload.uploadID
            }
            guard page.isTruncated else { return count }
        }
    }

    private func rewrap(_ upload: MultipartUpload, _ keyIDs: Set<String>) async throws -> Bool {
        let encryption = upload.record.encryption
        guard upload.record.hasEncryption, keyIDs.contains(encryption.keyID),
            let wrapped = try masterKeys.rewrapped(
                Array(encryption.wrappedKey), keyID: encryption.keyID, context: encryption.context)
        else { return false }
        do {
            _ = try await store.rewrap(upload, wrappedKey: wrapped, actor: .holdfast)
            return true
        } catch StoreError.noSuchUpload {
            return false  // completed or aborted since the listing
        }
    }

    private func rewrap(_ bucket: BucketName, _ keyIDs: Set<String>) async throws -> Int {
        var count = 0
        var keyMarker = ""
        var versionMarker: VersionSelector?
        while true {
            let page: ListingPage
            do {
                page = try store.listVersions(
                    bucket, prefix: "", delimiter: "", keyMarker: keyMarker, versionMarker: versionMarker,
                    limit: Self.pageCount)
            } catch StoreError.noSuchBucket { return count }  // deleted meanwhile, with all that was in it
            for case .version(let row) in page.items {
                if try await rewrap(row, in: bucket, keyIDs) { count += 1 }
                keyMarker = row.key.rawValue
                versionMarker = .id(row.versionID)
            }
            guard page.isTruncated else { return count }
        }
    }

    private func rewrap(
        _ row: ListedVersion, in bucket: BucketName, _ keyIDs: Set<String>
    ) async throws -> Bool {
        guard !row.isDeleteMarker else { return false }
        do {
            let version = try store.version(bucket, row.key, .id(row.versionID))
            let encryption = version.record.encryption
            guard version.record.hasEncryption, keyIDs.contains(encryption.keyID),
                let wrapped = try masterKeys.rewrapped(
                    Array(encryption.wrappedKey), keyID: encryption.keyID, context: encryption.context)
            else { return false }
            _ = try await store.rewrap(version, wrappedKey: wrapped, actor: .holdfast)
            return true
        } catch StoreError.noSuchVersion, StoreError.noSuchBucket {
            return false  // removed since the listing
        }
    }
}
