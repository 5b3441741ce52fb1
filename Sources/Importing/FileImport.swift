import Catalog
import Digests
import Foundation
import Model
import ObjectStore
import Volumes

/// Imports the files of a folder, one at a time.
struct FileImport: Sendable {
    private static let step = 1024 * 1024

    let target: ImportTarget
    /// Digests that files must have, by their names.
    let sums: ReferenceTable?

    func bring(_ file: FolderFile) async -> ImportOutcome {
        await target.settling((file.name, (nil, nil), file.size)) { key, _ in try await attempt(file, key) }
    }

    private func attempt(_ file: FolderFile, _ key: ObjectKey) async throws -> ImportOutcome {
        let owner = try target.requiredOwner(of: file.name, (nil, nil))
        let expected = try sums?.row(of: "", key: file.name)?.hash
        let opened = try file.open()
        let stamp = try opened.stamp()
        guard stamp.kind == .file else { throw ImportTrouble.changed("it is a file no more") }
        let provenance = Provenance(
            source: file.path.text, modified: stamp.modifiedText, digest: expected)
        var outcome = ImportOutcome(
            .imported, file.name, key: key.rawValue, owner: owner.displayName, size: stamp.size)
        let present = try target.current(key)
        if let present {
            let from = Provenance.of(present)
            let isSame =
                present.size == stamp.size && present.record.metadata.user["mtime"] == stamp.modifiedText
                && (expected.map { Self.has(present, from, $0) } ?? true)
            if isSame { return standing(.present, outcome, present) }
            guard from?.source == provenance.source || target.order.overwrites else {
                return standing(.conflict, outcome, present, "other bytes are here that did not come from it")
            }
            outcome = outcome.with(.updated)
        }
        if target.order.isDryRun { return outcome }
        let version = try await read(file, opened, stamp, key, owner, provenance, present)
        outcome.version = version.wireVersionID
        outcome.verified = expected != nil
        if sums != nil, expected == nil { outcome.detail = "the file of sums does not name it" }
        return outcome
    }

    private func standing(
        _ action: ImportOutcome.Action, _ outcome: ImportOutcome, _ present: ObjectVersion,
        _ detail: String? = nil
    ) -> ImportOutcome {
        var outcome = outcome.with(action)
        outcome.version = present.wireVersionID
        outcome.detail = detail
        return outcome
    }

    /// Whether what is stored has a digest, as far as that is known without reading it.
    private static func has(_ version: ObjectVersion, _ from: Provenance?, _ digest: String) -> Bool {
        if from?.digest == digest { return true }
        let record = version.record
        if digest.utf8.count == 32 { return !record.hasEncryption && record.etag == digest }
        return !record.hasEncryption && record.pieces.count == 1
            && record.pieces[0].sha256.hexadecimal == digest
    }

    /// Reads the file into the store, and publishes it if it is what it should be, and stayed what it was.
    private func read(
        _ file: FolderFile, _ opened: OpenFolderFile, _ stamp: FileStamp, _ key: ObjectKey,
        _ owner: ObjectOwner, _ provenance: Provenance, _ present: ObjectVersion?
    ) async throws -> ObjectVersion {
        var metadata = EventMetadata()
        metadata.contentType = ContentTypes.guess(file.name)
        metadata.storageClass = "STANDARD"
        metadata.user["mtime"] = stamp.modifiedText
        let version = try target.arriving(
            key, metadata, owner: owner, from: provenance, reason: "imported from \(file.path.text)")
        let lengths = PartCutting.lengths(stamp.size)
        let intake = VersionIntake(version, isMultipart: lengths != nil, in: target.store)
        do {
            // The digest of a whole does not follow from those of its parts.
            var whole = lengths == nil ? nil : provenance.digest.map(WholeDigest.init(like:))
            var start: UInt64 = 0
            for length in lengths ?? [stamp.size] {
                try await intake.take(length: length, step: Self.step, target.pace) { offset, count in
                    let bytes = try opened.read(at: start + offset, count: count)
                    whole?.update(bytes)
                    return bytes
                }
                start += length
            }
            // The name and the open file: another file may have taken its place.
            guard try opened.stamp() == stamp, try file.stamp() == stamp else {
                throw ImportTrouble.changed("it changed while it was read")
            }
            if let expected = provenance.digest {
                let found = whole?.finalize() ?? Self.digest(of: intake.last, like: expected)
                guard found == expected else {
                    throw ImportTrouble.mismatch("it has the digest \(found), where the sums say \(expected)")
                }
            }
            return try await intake.publish(target.conditions(present))
        } catch {
            await intake.discard()
            throw error
        }
    }

    private static func digest(of content: ContentDigests, like expected: String) -> String {
        (expected.utf8.count == 32 ? content.md5 : content.sha256).hexadecimal
    }
}

/// A digest over all the parts of a file.
private struct WholeDigest {
    private var digest: any StreamingDigest

    init(like expected: String) { digest = expected.utf8.count == 32 ? MD5() : SHA256() }

    mutating func update(_ bytes: [UInt8]) { digest.update(bytes) }
    mutating func finalize() -> String { digest.finalize().hexadecimal }
}
