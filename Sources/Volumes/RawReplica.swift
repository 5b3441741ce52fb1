import Digests
import Foundation
import Model
import SwiftProtobuf

/// A file that may hold bytes of a blob, whatever is wrong with its trailer: for putting a blob together whose
/// replicas are all damaged. Nothing that it gives is proved.
///
/// Where the blob's length is known from the log, the places of data and block table are too, so each can be used
/// without the footer that locates them.
public final class RawReplica: Sendable {
    /// For messages: "volume 2", "the quarantine of volume 2".
    public let origin: String
    private let file: any File
    private let id: BlobID
    private let length: UInt64
    private let storeID: StoreID

    init(_ file: any File, origin: String, id: BlobID, length: UInt64, storeID: StoreID) {
        self.file = file
        self.origin = origin
        self.id = id
        self.length = length
        self.storeID = storeID
    }

    deinit { file.close() }

    /// A block's bytes; `nil` if they cannot be read or the file ends before.
    public func block(_ index: Int) -> [UInt8]? {
        let start = UInt64(index) * UInt64(Limits.blockSize)
        let count = Int(min(UInt64(Limits.blockSize), length - start))
        guard let bytes = bytes(count, at: start), bytes.count == count else { return nil }
        return bytes
    }

    /// The CRC32C of each block, as the file says.
    public func checksums() -> [UInt32]? {
        let count = BlobFormat.blockCount(length)
        guard let bytes = bytes(4 * count, at: BlobFormat.tableOffset(length)), bytes.count == 4 * count
        else { return nil }
        return (0..<count).map { index in
            bytes[4 * index..<4 * index + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    /// Whose the bytes are, if that can be read and is of this blob.
    public func descriptor(sha256: [UInt8]) -> EventBlobDescriptor? {
        descriptor {
            // Of another store only the bytes are any good, if they are these.
            $0.length == length && $0.sha256 == Data(sha256) && $0.storeID == Data(storeID.bytes)
        }
    }

    /// Whether the file says that it is of this blob, where its footer does not.
    var isDescribed: Bool { descriptor { _ in true } != nil }

    private func descriptor(where isMeant: (EventBlobDescriptor) -> Bool) -> EventBlobDescriptor? {
        let offset = BlobFormat.tableOffset(length) + UInt64(4 * BlobFormat.blockCount(length))
        // Its length stands in the footer, which may be lost: it ends where the zeros before the footer begin, or a
        // few bytes later if it ends with zeros itself.
        let room = Limits.eventByteCount
        guard var bytes = bytes(room, at: offset), bytes.count > BlobFormat.footerByteCount else {
            return nil
        }
        bytes.removeLast(BlobFormat.footerByteCount)
        let end = (bytes.lastIndex { $0 != 0 } ?? -1) + 1
        for count in end...min(end + 16, bytes.count) {
            // Each length is only tried: most of them are no message.
            guard let found = try? EventBlobDescriptor(serializedBytes: Array(bytes[0..<count])) else {
                continue
            }
            if found.blobID == Data(id.bytes), isMeant(found) { return found }
        }
        return nil
    }

    private func bytes(_ count: Int, at offset: UInt64) -> [UInt8]? {
        // What cannot be read is not there: other replicas may have it.
        try? file.bytes(count, at: offset)
    }
}

extension DirectoryVolume {
    public func rawReplicas(of id: BlobID, length: UInt64) -> [RawReplica] {
        let named = [path(of: id)] + ((try? quarantined(id)) ?? [])
        // A quarantine that cannot be listed has nothing to offer.
        let replicas = named.compactMap { rawReplica($0, of: id, length: length) }
        return replicas + strays(of: id, length: length)
    }

    func rawReplica(_ path: String, of id: BlobID, length: UInt64) -> RawReplica? {
        guard let file = try? fileSystem.open("\(directory)/\(path)", [], permissions: 0) else { return nil }
        let origin = path.hasPrefix("quarantine/") ? "the quarantine of volume \(index)" : "volume \(index)"
        return RawReplica(file, origin: origin, id: id, length: length, storeID: identity.storeID)
    }
}
