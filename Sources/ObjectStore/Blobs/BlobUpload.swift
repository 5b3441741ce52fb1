import Digests
import Foundation
import Model
import Synchronization
import Volumes

/// The bytes of an upload that is too large for the log, on their way to a blob.
///
/// Bytes are gathered in aligned buffers of 1 MiB. A full buffer is handed to five threads at once: the
/// writers of the three volumes, one that computes the MD5 (the slowest), one that computes everything else.
/// An upload has at most ``buffersInFlight`` buffers on their way, all uploads together what the pool holds,
/// and whoever brings more bytes waits: memory is bounded whatever the size and however slow a disk.
///
/// One task at a time calls it.
final class BlobUpload: @unchecked Sendable {
    // Unchecked: `current` and `length` belong to the task that calls; the rest is Sendable.
    static let buffersInFlight = 4

    let blob: ReplicatedBlob
    private let engine: Engine
    private let target: UploadTarget
    private let versionID: VersionID
    /// Of bytes that are enciphered on their way.
    private let keySalt: [UInt8]?
    private let digests: UploadDigests
    private let slots = Slots(limit: buffersInFlight)
    private var current: LentBuffer?
    private var filled = 0
    private(set) var length: UInt64 = 0

    init(
        target: UploadTarget, versionID: VersionID, expectedLength: UInt64?, keySalt: [UInt8]? = nil,
        engine: Engine
    ) {
        self.keySalt = keySalt
        self.target = target
        self.versionID = versionID
        self.engine = engine
        blob = ReplicatedBlob(
            id: .random(), expectedLength: expectedLength, volumes: engine.volumes, watch: engine.watch)
        let id = blob.id
        engine.blobsBeingWritten.withLock { _ = $0.insert(id) }
        digests = UploadDigests(checksum: target.checksum, lanes: engine.digestLanes())
    }

    func write(_ bytes: any ByteChunk) async throws {
        var offset = 0
        while offset < bytes.count {
            let shared = try await currentBuffer()
            let count = min(bytes.count - offset, shared.bytes.count - filled)
            bytes.withUnsafeBytes { source in
                let room = UnsafeMutableRawBufferPointer(
                    rebasing: shared.bytes[filled..<filled + count])
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + count]))
            }
            filled += count
            length += UInt64(count)
            offset += count
            if filled == shared.bytes.count { try await send(shared, count: filled, aligned: filled) }
        }
    }

    /// Everything written and synced on the volumes that hold it, and nothing published.
    /// - Throws: ``StoreError/unavailable(_:)`` if fewer than the quorum hold it.
    func finish() async throws -> ContentDigests {
        let rest = current
        let aligned = filled & ~(FileSystemAlignment.bytes - 1)
        let count = filled
        if let rest { try await send(rest, count: count, aligned: aligned) }
        await slots.waitUntilFree()
        try requireQuorum()
        let content = digests.finalize(length: length)
        let trailer = BlobTrailer(
            length: length, blockChecksums: digests.blockChecksums, sha256: content.sha256,
            descriptor: descriptor(content))
        await blob.finish(rest, aligned..<count, trailer: trailer)
        try requireQuorum()
        return content
    }

    func discard() async {
        await slots.waitUntilFree()
        await blob.abort()
        end()
    }

    /// The blob is published, or gone.
    func end() {
        let id = blob.id
        engine.blobsBeingWritten.withLock { _ = $0.remove(id) }
    }

    private func currentBuffer() async throws -> LentBuffer {
        if let current { return current }
        try requireQuorum()
        let shared = await engine.uploadBuffers.borrow()
        current = shared
        filled = 0
        return shared
    }

    /// Hands `count` bytes to the digests and the first `aligned` of them to the volumes.
    private func send(_ shared: LentBuffer, count: Int, aligned: Int) async throws {
        await slots.take()
        current = nil
        let slots = slots
        let countdown = Countdown(blob.replicaCount + UploadDigests.chains)
        countdown.atZero { slots.free() }
        digests.update(shared, 0..<count) { countdown.arrive() }
        if aligned > 0 {
            blob.append(shared, 0..<aligned) { countdown.arrive() }
        } else {
            for _ in 0..<blob.replicaCount { countdown.arrive() }
        }
        filled = 0
    }

    private func requireQuorum() throws {
        let holders = blob.holders.count
        guard holders >= Limits.writeQuorum else {
            throw StoreError.unavailable("\(holders) of \(Limits.volumeCount) volumes take the upload")
        }
    }

    private func descriptor(_ content: ContentDigests) -> EventBlobDescriptor {
        var descriptor = EventBlobDescriptor()
        descriptor.storeID = Data(engine.storeID.bytes)
        descriptor.blobID = Data(blob.id.bytes)
        descriptor.bucket = target.bucket.rawValue
        descriptor.key = target.key.rawValue
        descriptor.versionID = Data(versionID.bytes)
        descriptor.partNumber = UInt32(target.part?.number ?? 0)
        descriptor.owner = target.owner?.id ?? target.actor.id
        descriptor.ownerDisplayName = target.owner?.displayName ?? target.actor.displayName
        descriptor.metadata = target.metadata
        descriptor.length = content.length
        descriptor.sha256 = Data(content.sha256)
        descriptor.md5 = Data(content.md5)
        descriptor.createdMicroseconds = engine.clock().microseconds
        if let sealed = target.sealed
            ?? keySalt.flatMap({ salt in
                target.encryption.map { ($0.record, salt) }
            })
        {
            descriptor.encryption = sealed.encryption
            descriptor.keySalt = Data(sealed.salt)
        } else if let algorithm = target.checksum, let value = content.checksum {
            var checksum = EventChecksum()
            checksum.algorithm = algorithm
            checksum.value = Data(value)
            descriptor.checksums = [checksum]
        }
        return descriptor
    }
}

/// Counts what one task has under way, and lets it wait.
final class Slots: Sendable {
    private struct State {
        var used = 0
        /// Resumed when at most `threshold` are used.
        var waiter: (threshold: Int, continuation: UnsafeContinuation<Void, Never>)?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    func take() async {
        await wait(threshold: limit - 1)
        state.withLock { $0.used += 1 }
    }

    func free() {
        let continuation = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            state.used -= 1
            guard let waiter = state.waiter, state.used <= waiter.threshold else { return nil }
            state.waiter = nil
            return waiter.continuation
        }
        continuation?.resume()
    }

    func waitUntilFree() async { await wait(threshold: 0) }

    private func wait(threshold: Int) async {
        await withUnsafeContinuation { continuation in
            let ready = state.withLock { state -> Bool in
                if state.used <= threshold { return true }
                precondition(state.waiter == nil, "one task at a time waits for an upload")
                state.waiter = (threshold, continuation)
                return false
            }
            if ready { continuation.resume() }
        }
    }
}
