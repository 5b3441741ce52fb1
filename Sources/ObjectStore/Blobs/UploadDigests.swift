import Digests
import Model
import Synchronization
import Volumes

/// The checksum that a client asked for, of whichever algorithm.
enum ClientChecksum {
    static func make(_ algorithm: EventChecksumAlgorithm?) -> (any StreamingDigest)? {
        switch algorithm {
        case .crc32: CRC32()
        case .crc32C: CRC32C()
        case .crc64Nvme: CRC64NVME()
        case .sha1: SHA1()
        case .sha256, .unspecified, .UNRECOGNIZED, nil: nil
        }
    }
}

/// Everything that is computed over the bytes of a large upload while it is written, on two threads: the MD5,
/// which is the slowest, beside the SHA-256, the block CRCs and the client's checksum.
final class UploadDigests: Sendable {
    /// Calls of `done` for each update.
    static let chains = 2

    private struct Content {
        var sha256 = SHA256()
        var client: (any StreamingDigest)?
        var blocks: [UInt32] = []
    }

    private let md5 = Mutex(MD5())
    private let content: Mutex<Content>
    private let wantsSHA256: Bool
    private let lanes: (any Lane, any Lane)

    /// - Parameter lanes: each of one thread, so that what is submitted runs in order.
    init(checksum: EventChecksumAlgorithm?, lanes: (any Lane, any Lane)) {
        content = Mutex(Content(client: ClientChecksum.make(checksum)))
        wantsSHA256 = checksum == .sha256
        self.lanes = lanes
    }

    /// - Precondition: every update but the last has a whole number of blocks.
    func update(_ shared: LentBuffer, _ range: Range<Int>, done: @escaping @Sendable () -> Void) {
        perform(lanes.0) { [self] in
            md5.withLock { $0.update(UnsafeRawBufferPointer(rebasing: shared.bytes[range])) }
            done()
        }
        perform(lanes.1) { [self] in
            let bytes = UnsafeRawBufferPointer(rebasing: shared.bytes[range])
            content.withLock { content in
                content.sha256.update(bytes)
                content.client?.update(bytes)
                for start in stride(from: 0, to: bytes.count, by: Limits.blockSize) {
                    let end = min(start + Limits.blockSize, bytes.count)
                    content.blocks.append(
                        CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[start..<end])))
                }
            }
            done()
        }
    }

    /// One lane's queue holds every buffer of the pool, so it cannot be full; when the store closes, the work
    /// is done here.
    private func perform(_ lane: any Lane, _ work: @escaping @Sendable () -> Void) {
        if !lane.submit(work) { work() }
    }

    var blockChecksums: [UInt32] { content.withLock { $0.blocks } }

    /// - Precondition: every update is done.
    func finalize(length: UInt64) -> ContentDigests {
        let md5 = md5.withLock { $0.finalize() }
        return content.withLock { content in
            let sha256 = content.sha256.finalize()
            let checksum = wantsSHA256 ? sha256 : content.client?.finalize()
            return ContentDigests(length: length, md5: md5, sha256: sha256, checksum: checksum)
        }
    }
}
