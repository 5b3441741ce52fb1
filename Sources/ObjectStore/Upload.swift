import Digests
import Encryption
import Foundation
import Model
import Synchronization
import Volumes

/// Bytes being uploaded, for an object or a part: kept in memory while they may fit the log, streamed to
/// every volume beyond that.
///
/// One task at a time calls it. It ends with ``ObjectStore/publish(_:conditions:checksums:)``,
/// ``ObjectStore/publishPart(_:checksum:)`` or ``discard()``; nothing of it can be seen before, and nothing
/// stays after a discard.
public final class Upload: @unchecked Sendable {  // every property belongs to the one task that calls
    public let target: UploadTarget
    let versionID: VersionID
    let engine: Engine
    private(set) var content: ContentDigests?
    private(set) var payload: [UInt8] = []
    private(set) var large: BlobUpload?
    private var isOver = false
    private let cipher: UploadCipher?
    /// What is stored came to, where that is not the content.
    private var stored: ContentDigests?

    init(_ target: UploadTarget, engine: Engine) {
        self.target = target
        self.engine = engine
        versionID = target.part?.uploadID ?? .random()
        cipher = target.encryption.map {
            UploadCipher($0, expectedLength: target.expectedLength, checksum: target.checksum)
        }
        if cipher == nil, let expected = target.expectedLength,
            expected <= UInt64(engine.settings.inlineByteCount)
        {
            payload.reserveCapacity(Int(expected))
        }
    }

    /// Takes the next bytes; returns when there is room for more.
    /// - Throws: ``StoreError/entityTooLarge(limit:)`` beyond 5 GiB, ``StoreError/unavailable(_:)`` if too
    ///   few volumes take it.
    public func write(_ chunk: any ByteChunk) async throws {
        precondition(content == nil && !isOver, "an upload that has ended takes no bytes")
        let written = cipher?.length ?? large?.length ?? UInt64(payload.count)
        guard written + UInt64(chunk.count) <= Limits.uploadByteCount else {
            throw StoreError.entityTooLarge(limit: Limits.uploadByteCount)
        }
        if let cipher { return try await cipher.write(chunk) { try await store($0) } }
        try await store(chunk)
    }

    /// Takes the next bytes as they are to be stored.
    private func store(_ chunk: any ByteChunk) async throws {
        if let large { return try await large.write(chunk) }
        let length = UInt64(payload.count) + UInt64(chunk.count)
        if length <= UInt64(engine.settings.inlineByteCount) {
            chunk.withUnsafeBytes { payload.append(contentsOf: $0) }
            return
        }
        let expected = target.expectedLength
        let large = BlobUpload(
            target: target, versionID: versionID,
            expectedLength: cipher == nil ? expected : expected.map { SealedPiece.sealedLength(of: $0) },
            keySalt: cipher?.salt, engine: engine)
        self.large = large
        if !payload.isEmpty { try await large.write(payload) }
        payload = []
        try await large.write(chunk)
    }

    /// All bytes are there: computes what they come to, and makes a large upload stable on its volumes.
    /// Nothing is published.
    public func finish() async throws -> ContentDigests {
        precondition(content == nil && !isOver, "an upload is finished once")
        guard let cipher else {
            let digests = try await finishStored()
            content = digests
            return digests
        }
        if let last = cipher.sealLast() { try await store(last) }
        stored = try await finishStored()
        let digests = cipher.finalize()
        content = digests
        return digests
    }

    private func finishStored() async throws -> ContentDigests {
        if let large {
            try await large.finish()
        } else {
            payload.withUnsafeBytes { bytes in
                let sha256 = SHA256.hash(bytes)
                var client = ClientChecksum.make(target.checksum)
                client?.update(bytes)
                return ContentDigests(
                    length: UInt64(bytes.count), md5: MD5.hash(bytes), sha256: sha256,
                    checksum: target.checksum == .sha256 ? sha256 : client?.finalize())
            }
        }
    }

    /// Gives the upload up: what was written of it goes from every volume.
    public func discard() async {
        guard !isOver else { return }
        isOver = true
        payload = []
        if let large { await large.discard() }
    }

    /// The upload's bytes are part of what is published.
    func end() {
        isOver = true
        large?.blob.settle()
        large?.end()
    }

    /// The upload's bytes may be part of what is published: whoever opens the log next decides. Nothing of them
    /// is removed, and their names in incoming/ stay, by which they are found.
    func leave() {
        isOver = true
        large?.end()
    }

    /// The piece that an event names.
    var piece: EventPiece {
        guard let content else { preconditionFailure("an upload is finished before it is published") }
        var piece = EventPiece()
        if let large { piece.blobID = Data(large.blob.id.bytes) }
        let stored = stored ?? content
        piece.length = stored.length
        piece.sha256 = Data(stored.sha256)
        if let cipher { piece.keySalt = Data(cipher.salt) }
        return piece
    }

    /// The ETag of what was uploaded.
    func etag(_ content: ContentDigests) -> String {
        target.encryption?.etag(content) ?? content.md5.hexadecimal
    }
}
