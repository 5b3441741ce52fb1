import Catalog
import Foundation
import Model
import ObjectStore
import S3
import S3Repository

/// Imports the objects of a bucket elsewhere, one at a time: metadata, tags and all, part by part where they were put in
/// parts, so that ETags are the same here.
struct ObjectImport: Sendable {
    private static let step = Int(FoundObject.smallByteCount)

    let target: ImportTarget
    let client: S3Client
    /// Whether versions are named in requests: what a listing of versions shows is not always what the bucket shows.
    let namesVersions: Bool
    private let tagSupport = TagSupport()

    init(target: ImportTarget, client: S3Client, namesVersions: Bool) {
        self.target = target
        self.client = client
        self.namesVersions = namesVersions
    }

    // MARK: What is shown

    func bring(_ listed: ListedObject) async -> ImportOutcome {
        let name = client.location.name(ofKey: listed.key)
        // What some programs put for the folder itself.
        if name.isEmpty { return ImportOutcome(.skipped, listed.key, detail: "the prefix itself") }
        return await target.settling((name, (listed.owner, listed.ownerName), listed.size)) { key, number in
            let now = number > 1 && !namesVersions ? try FoundObject.current(listed, client) : listed
            return try await attempt(now, name, key)
        }
    }

    private func attempt(
        _ listed: ListedObject, _ name: String, _ key: ObjectKey
    ) async throws -> ImportOutcome {
        let owner = try target.requiredOwner(of: name, (listed.owner, listed.ownerName))
        var outcome = ImportOutcome(
            .imported, name, key: key.rawValue, owner: owner.displayName, size: listed.size)
        let present = try target.current(key)
        if let present {
            let from = Provenance.of(present)
            let isOurs = from?.source == client.place(listed.key)
            if present.size == listed.size, isOurs && from?.etag == listed.etag || present.etag == listed.etag
            {
                outcome.version = present.wireVersionID
                return outcome.with(.present)
            }
            guard isOurs || target.order.overwrites else {
                outcome.version = present.wireVersionID
                outcome.detail = "other bytes are here that did not come from it"
                return outcome.with(.conflict)
            }
            outcome = outcome.with(.updated)
        }
        if target.order.isDryRun { return outcome }
        return try await read(
            listed, key, owner, as: .random(), target.conditions(present), outcome)
    }

    // MARK: Histories

    /// Brings the versions of a key that are not here yet, oldest first, each under the id that it always gets.
    /// - Parameter versions: newest first.
    func bring(_ versions: [ListedObject]) async -> [ImportOutcome] {
        let name = client.location.name(ofKey: versions[0].key)
        if name.isEmpty { return [ImportOutcome(.skipped, versions[0].key, detail: "the prefix itself")] }
        let key: ObjectKey
        do { key = try target.key(for: name) } catch {
            return [ImportOutcome(.failed, name, size: versions[0].size, detail: "\(error)")]
        }
        let ids = versions.map { $0.importedID(place: client.place($0.key)) }
        let there: Set<VersionID>
        let isForeign: Bool
        do {
            (there, isForeign) = try found(ids, key)
        } catch { return [ImportOutcome(.failed, name, key: key.rawValue, detail: "\(error)")] }
        var outcomes: [ImportOutcome] = []
        var obstacle: String?
        for index in versions.indices.reversed() {
            let outcome = await bring(
                versions[index], as: ids[index], of: ids, name, isThere: there.contains(ids[index]),
                // A version shows above those that were there before it.
                conflict: isForeign && !target.order.overwrites
                    ? Self.foreign
                    : ids[..<index].contains(where: there.contains)
                        ? "a later version is here already, which it would hide" : nil,
                obstacle: obstacle)
            if outcome.action == .failed { obstacle = "an older version of it could not be imported" }
            outcomes.append(outcome)
        }
        return outcomes
    }

    private static let foreign = "the key has versions here that did not come from it"

    /// Which of the versions are here, and whether what shows is none of them.
    private func found(_ ids: [VersionID], _ key: ObjectKey) throws -> (Set<VersionID>, Bool) {
        try target.store.inspection.catalog.read { reader in
            var there: Set<VersionID> = []
            for id in ids where try reader.version(target.bucket, key, .id(id)) != nil { there.insert(id) }
            let newest = try reader.version(target.bucket, key, .current)
            return (there, newest.map { !ids.contains($0.versionID) } ?? false)
        }
    }

    private func bring(
        _ listed: ListedObject, as id: VersionID, of history: [VersionID], _ name: String, isThere: Bool,
        conflict: String?, obstacle: String?
    ) async -> ImportOutcome {
        await target.settling((name, (listed.owner, listed.ownerName), listed.size)) { key, _ in
            let owner = try target.requiredOwner(of: name, (listed.owner, listed.ownerName))
            var outcome = ImportOutcome(
                .imported, name, key: key.rawValue, version: id.description, owner: owner.displayName,
                size: listed.size)
            if isThere { return outcome.with(.present) }
            if let obstacle {
                outcome.detail = obstacle
                return outcome.with(.failed)
            }
            if let conflict {
                outcome.detail = conflict
                return outcome.with(.conflict)
            }
            if target.order.isDryRun { return outcome }
            let present = try target.current(key)
            if let present, !target.order.overwrites, !history.contains(present.versionID) {
                outcome.detail = Self.foreign
                return outcome.with(.conflict)
            }
            guard listed.isDeleteMarker else {
                return try await read(listed, key, owner, as: id, target.conditions(present), outcome)
            }
            let marker = ArrivingVersion(
                bucket: target.bucket, key: key, owner: owner, metadata: EventMetadata(), versionID: id,
                reason: reason(listed))
            _ = try await target.store.publishMarker(marker, conditions: target.conditions(present))
            outcome.detail = "a delete marker"
            return outcome
        }
    }

    private func reason(_ listed: ListedObject) -> String {
        "imported from \(client.place(listed.key)), published \(listed.modified)"
    }

    // MARK: Bytes

    /// Reads the object into the store, and publishes it if it is what the endpoint says it is.
    private func read(
        _ listed: ListedObject, _ key: ObjectKey, _ owner: ObjectOwner, as id: VersionID,
        _ conditions: WriteConditions, _ done: ImportOutcome
    ) async throws -> ImportOutcome {
        let selector = namesVersions ? listed.versionID ?? "null" : nil
        let object = try FoundObject.find(listed, selector: selector, client)
        var metadata = try BucketTerms.metadata(ofAnswer: object.headers)
        let tags = try object.tags(client, tagSupport)
        metadata.tags = tags ?? [:]
        let provenance = Provenance(
            source: client.place(listed.key), etag: listed.etag, version: listed.versionID,
            modified: String(listed.modified.seconds))
        let version = try target.arriving(
            key, metadata, owner: owner, from: provenance, as: id, reason: reason(listed))
        let parts = try PartLengths.find(object, client)
        let checksum = object.checksum
        let intake = VersionIntake(
            version, isMultipart: parts.isMultipart, algorithm: checksum?.algorithm ?? .crc64Nvme,
            isComposite: checksum?.isComposite ?? false, in: target.store)
        var outcome = done
        do {
            var start: UInt64 = 0
            for length in parts.lengths {
                try await intake.take(length: length, step: Self.step, target.pace) { offset, count in
                    if let body = object.body { return body }
                    let from = start + offset
                    do throws(S3ClientError) {
                        return try client.read(
                            listed.key, version: selector, etag: listed.etag, from..<from + UInt64(count))
                    } catch { throw error.asTrouble }
                }
                start += length
            }
            outcome.verified = try check(intake, object, parts)
            let published = try await intake.publish(conditions)
            outcome.version = published.wireVersionID
        } catch {
            await intake.discard()
            throw error
        }
        var notes: [String] = []
        if !outcome.verified { notes.append("the endpoint has no digest to compare it with") }
        if tags == nil {
            outcome.mayLackTags = true
            notes.append("without tags, if it has any: the keys may not read them (s3:GetObjectTagging)")
        }
        if let missing = object.header("x-amz-missing-meta") {
            notes.append("\(missing) of its user metadata cannot be told in headers")
        }
        outcome.detail = notes.isEmpty ? nil : notes.joined(separator: "; ")
        return outcome
    }

    /// - Returns: whether there was anything to compare with.
    /// - Throws: ``ImportTrouble/mismatch(_:)``.
    private func check(
        _ intake: VersionIntake, _ object: FoundObject, _ parts: PartLengths
    ) throws -> Bool {
        var isChecked = false
        if object.etagIsDigest, parts.areKnown {
            guard intake.etag == object.listed.etag else {
                throw ImportTrouble.mismatch(
                    "its bytes have the ETag \(intake.etag), where the endpoint says \(object.listed.etag)")
            }
            isChecked = true
        }
        if let checksum = object.checksum, parts.areKnown || !checksum.isComposite,
            let found = intake.checksumText
        {
            guard found == checksum.text else {
                throw ImportTrouble.mismatch(
                    "its bytes have the \(checksum.algorithm.wireName) \(found), where the endpoint says \(checksum.text)"
                )
            }
            isChecked = true
        }
        return isChecked
    }
}

/// The parts that an object was put in.
struct PartLengths {
    let lengths: [UInt64]
    let isMultipart: Bool
    /// Whether they are the endpoint's, by which its ETag was made.
    let areKnown: Bool

    /// - Throws: ``ImportTrouble``, ``S3ClientError``.
    static func find(_ object: FoundObject, _ client: S3Client) throws -> PartLengths {
        let listed = object.listed
        guard listed.isMultipart else {
            return PartLengths(lengths: [listed.size], isMultipart: false, areKnown: true)
        }
        if listed.partCount == 1 {
            return PartLengths(lengths: [listed.size], isMultipart: true, areKnown: true)
        }
        var lengths: [UInt64] = []
        var count = 1
        while lengths.count < count {
            let answer: S3Response
            do throws(S3ClientError) {
                answer = try client.head(listed.key, version: object.selector, part: lengths.count + 1)
            } catch { throw error.asTrouble }
            guard let told = answer.header("x-amz-mp-parts-count").flatMap({ Int($0) }),
                let length = answer.header("content-length").flatMap(UInt64.init),
                (1...Limits.partCount).contains(told)
            else {
                // It answers as if nobody had asked for a part.
                let lengths = PartCutting.lengths(listed.size)
                return PartLengths(
                    lengths: lengths ?? [listed.size], isMultipart: lengths != nil, areKnown: false)
            }
            count = told
            lengths.append(length)
        }
        guard lengths.reduce(0, +) == listed.size else {
            throw ImportTrouble.changed("its parts are not of its size")
        }
        return PartLengths(lengths: lengths, isMultipart: true, areKnown: true)
    }
}
