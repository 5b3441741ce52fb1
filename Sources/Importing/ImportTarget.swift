import Model
import ObjectStore
import S3

/// Why an object was not imported by an attempt. What may be otherwise the next time is tried once more.
enum ImportTrouble: Error {
    /// The source changed while it was read.
    case changed(String)
    /// The bytes are not what the source says they are.
    case mismatch(String)
    /// The source has it no more.
    case gone(String)
}

/// Where imported objects go: the bucket, the keys, the owners.
struct ImportTarget: Sendable {
    let store: ObjectStore
    let order: ImportOrder
    let bucket: BucketName
    let settings: S3Settings
    let pace: BytePace
    /// `nil`: everything becomes ``standardOwner``'s.
    let map: OwnerMap?
    /// Users by name: all that the map names.
    let users: [String: ObjectOwner]
    let standardOwner: ObjectOwner

    /// - Parameter name: in the source, relative to what is imported.
    /// - Throws: `InvalidName` for what is no key.
    func key(for name: String) throws -> ObjectKey { try ObjectKey(order.prefix + name) }

    /// - Returns: `nil` if nobody is named for it.
    func owner(of name: String, _ owner: (id: String?, name: String?)) -> ObjectOwner? {
        guard let map else { return standardOwner }
        return map.user(for: name, owner: owner).flatMap { users[$0] }
    }

    /// - Throws: ``ImportRefusal/unmappedOwners(_:count:)`` for what came into the source since owners were looked at.
    func requiredOwner(of name: String, _ owner: (id: String?, name: String?)) throws -> ObjectOwner {
        if let found = self.owner(of: name, owner) { return found }
        throw ImportRefusal.unmappedOwners([OwnerMap.unmapped(name, owner: owner)], count: 1)
    }

    /// What the store shows under a key; `nil` for nothing, and for a delete marker.
    func current(_ key: ObjectKey) throws -> ObjectVersion? {
        do { return try store.version(bucket, key, .current) } catch StoreError.noSuchBucket {
            return nil
        } catch StoreError.noSuchKey { return nil }
    }

    /// What must still be so when it is published.
    func conditions(_ present: ObjectVersion?) -> WriteConditions {
        if order.overwrites { return .none }
        guard let present else { return WriteConditions(ifNoneMatch: .any) }
        return WriteConditions(ifMatch: .tags([present.etag]))
    }

    /// A version with what the bucket asks of it.
    func arriving(
        _ key: ObjectKey, _ metadata: EventMetadata, owner: ObjectOwner, from source: Provenance,
        as versionID: VersionID = .random(), reason: String
    ) throws -> ArrivingVersion {
        let terms = BucketTerms(try store.bucket(bucket), settings)
        var metadata = metadata
        try terms.settleLock(&metadata, now: .now())
        try source.store(in: &metadata)
        return ArrivingVersion(
            bucket: bucket, key: key, owner: owner, metadata: metadata, versionID: versionID,
            reason: reason, encryption: try terms.encryption())
    }

    /// Makes one object's outcome of what may go wrong with it.
    /// - Parameters:
    ///   - found: what it is in the source: its name, owner and size.
    ///   - attempt: told which one it is, 1 or 2.
    func settling(
        _ found: (name: String, owner: (id: String?, name: String?), size: UInt64),
        _ attempt: (ObjectKey, Int) async throws -> ImportOutcome
    ) async -> ImportOutcome {
        func outcome(_ action: ImportOutcome.Action, _ why: String) -> ImportOutcome {
            ImportOutcome(
                action, found.name, key: order.prefix + found.name,
                owner: owner(of: found.name, found.owner)?.displayName, size: found.size, detail: why)
        }
        let key: ObjectKey
        do { key = try self.key(for: found.name) } catch { return outcome(.failed, "\(error)") }
        var number = 1
        while true {
            do { return try await attempt(key, number) } catch ImportTrouble.gone(let why) {
                return outcome(.skipped, why)
            } catch ImportTrouble.mismatch(let why) {
                if number == 2 { return outcome(.mismatch, why) }
            } catch ImportTrouble.changed(let why) {
                if number == 2 { return outcome(.failed, "\(why), in each of two attempts") }
            } catch StoreError.preconditionFailed {
                return outcome(.conflict, "somebody wrote it here meanwhile")
            } catch { return outcome(.failed, "\(error)") }
            number += 1
        }
    }
}
