import Digests
import Foundation
import Model
import SwiftProtobuf
import Volumes

/// Damage to one replica of a blob.
struct ReplicaFaults {
    let store: TestStore
    let map: StoreMap
    var random: Seeded

    /// Where the parts of a blob file stand, by its footer.
    struct Layout {
        let length: UInt64
        let table: Range<UInt64>
        let descriptor: Range<UInt64>
        let size: UInt64

        init(_ file: [UInt8]) throws {
            guard file.count >= BlobFormat.footerByteCount else {
                throw Refusal.notApplicable("the replica is damaged already")
            }
            let footer = Array(file.suffix(BlobFormat.footerByteCount))
            func number(_ offset: Int, _ count: Int) -> UInt64 {
                footer[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            }
            guard footer.starts(with: "HFBLOB".utf8) else {
                throw Refusal.notApplicable("the replica is damaged already")
            }
            length = number(32, 8)
            table = number(40, 8)..<number(40, 8) + 4 * number(48, 4)
            descriptor = number(56, 8)..<number(56, 8) + number(52, 4)
            size = UInt64(file.count)
        }
    }

    mutating func plant(_ fault: FaultClass, _ target: Target, _ volume: Int) throws -> [Planted] {
        guard let id = target.blob else {
            throw Refusal.notApplicable("\(target.bucket)/\(target.key) stands in the log")
        }
        let path = TestStore.path(of: id)
        func planted(_ what: String, _ digests: (before: String, after: String)? = nil, at offset: UInt64 = 0)
            -> Planted
        {
            var made = Planted(fault, volume: volume, path: path, what)
            (made.bucket, made.key, made.blob) = (target.bucket, target.key, id.description)
            if let digests { (made.before, made.after) = digests }
            made.offset = offset
            return made
        }
        func flip(_ range: Range<UInt64>, _ what: String) throws -> [Planted] {
            let offset = UInt64.random(in: range, using: &random)
            let bit = UInt8.random(in: 0..<8, using: &random)
            let digests = try store.flip(volume, path, at: offset, bit: bit)
            return [planted("bit \(bit) of byte \(offset), \(what), flipped", digests, at: offset)]
        }
        func cut(to size: UInt64) throws -> [Planted] {
            let before = try store.read(volume, path)
            try store.truncate(volume, path, to: size)
            return [
                planted(
                    "cut from \(before.count) to \(size) bytes",
                    (digest(before), digest(Array(before.prefix(Int(size))))),
                    at: size)
            ]
        }
        switch fault {
        case .missing:
            let before = try store.read(volume, path)
            try store.fileSystem.remove(store.path(volume, path))
            return [planted("removed", (digest(before), ""))]
        case .flipData: return try flip(0..<target.piece.length, "in the data")
        case .flipTable: return try flip(try layout(volume, path).table, "in the block table")
        case .flipDescriptor: return try flip(try layout(volume, path).descriptor, "in the descriptor")
        case .flipFooter:
            let size = try layout(volume, path).size
            return try flip(size - UInt64(BlobFormat.footerByteCount)..<size, "in the footer")
        case .truncateByte: return try cut(to: try store.size(volume, path) - 1)
        case .truncateBlock:
            let size = try store.size(volume, path)
            return try cut(to: size - min(size, UInt64(Limits.blockSize)))
        case .truncateZero: return try cut(to: 0)
        case .extend:
            let size = try store.size(volume, path)
            let more: [UInt8] = (0..<Int.random(in: 1...5000, using: &random)).map {
                UInt8(truncatingIfNeeded: $0)
            }
            let digests = try store.change(volume, path, at: size, to: more)
            return [planted("\(more.count) bytes appended", digests, at: size)]
        case .hole: return [try dig(planted, target, volume, path)]
        case .unreadable:
            let before = try store.read(volume, path)
            let file = store.path(volume, path)
            try store.fileSystem.remove(file)
            // A link to itself cannot be opened (ELOOP), by whomever.
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: file)
            return [planted("made a link to itself", (digest(before), ""))]
        case .noPermission:
            try FileManager.default.setAttributes(
                [.posixPermissions: 0], ofItemAtPath: store.path(volume, path))
            return [planted("readable to nobody")]
        case .foreignReplica:
            let before = try store.read(volume, path)
            let after = try forge(before) { $0.storeID = Data(StoreID.random().bytes) }
            try store.place(after, volume, path)
            return [planted("a replica of another store in its place", (digest(before), digest(after)))]
        case .older:
            guard let old = map.earlier[StoreMap.name(target.bucket, target.key)]?.last else {
                throw Refusal.notApplicable("\(target.bucket)/\(target.key) has no older version")
            }
            let before = try store.read(volume, path)
            let after = try store.read(volume, TestStore.path(of: old))
            try store.place(after, volume, path)
            return [planted("the replica of older blob \(old) in its place", (digest(before), digest(after)))]
        case .swap: return try swap(target, id, volume)
        case .swapVolumes:
            let other = volume % 3 + 1
            let (left, right) = (try store.read(volume, path), try store.read(other, path))
            try store.place(right, volume, path)
            try store.place(left, other, path)
            var second = Planted(fault, volume: other, path: path, "exchanged with that of volume \(volume)")
            (second.bucket, second.key, second.blob) = (target.bucket, target.key, id.description)
            (second.before, second.after) = (digest(right), digest(left))
            return [planted("exchanged with that of volume \(other)", (digest(left), digest(right))), second]
        default: preconditionFailure("\(fault) is no damage of a replica")
        }
    }

    private func layout(_ volume: Int, _ path: String) throws -> Layout {
        try Layout(try store.read(volume, path))
    }

    /// A whole block of zeros, as a file system leaves what it lost.
    private mutating func dig(
        _ planted: (String, (before: String, after: String)?, UInt64) -> Planted, _ target: Target,
        _ volume: Int, _ path: String
    ) throws -> Planted {
        let blocks = Int((target.piece.length + UInt64(Limits.blockSize) - 1) / UInt64(Limits.blockSize))
        let block = Int.random(in: 0..<blocks, using: &random)
        let offset = UInt64(block * Limits.blockSize)
        let count = Int(min(UInt64(Limits.blockSize), target.piece.length - offset))
        let digests = try store.change(volume, path, at: offset, to: [UInt8](repeating: 0, count: count))
        return planted("block \(block) zeroed", digests, offset)
    }

    /// Exchanges a replica with that of another object on the same volume, of the same size if there is one.
    private mutating func swap(_ target: Target, _ id: BlobID, _ volume: Int) throws -> [Planted] {
        let others = try map.pieces(bucket: nil, key: nil).filter {
            $0.blob != nil && $0.blob != id && ($0.bucket, $0.key) != (target.bucket, target.key)
        }
        let alike = others.filter { $0.piece.length == target.piece.length }
        guard let other = (alike.isEmpty ? others : alike).randomElement(using: &random),
            let otherID = other.blob
        else { throw Refusal.notApplicable("there is no other large object") }
        let paths = (TestStore.path(of: id), TestStore.path(of: otherID))
        let bytes = (try store.read(volume, paths.0), try store.read(volume, paths.1))
        try store.place(bytes.1, volume, paths.0)
        try store.place(bytes.0, volume, paths.1)
        return [(target, id, paths.0, bytes.0, bytes.1), (other, otherID, paths.1, bytes.1, bytes.0)].map {
            owner, id, path, before, after in
            var made = Planted(.swap, volume: volume, path: path, "exchanged with another object's")
            (made.bucket, made.key, made.blob) = (owner.bucket, owner.key, id.description)
            (made.before, made.after) = (digest(before), digest(after))
            return made
        }
    }
}

/// A blob file with another descriptor, whole in itself: footer and checksums follow.
func forge(_ file: [UInt8], _ edit: (inout EventBlobDescriptor) -> Void) throws -> [UInt8] {
    let layout = try ReplicaFaults.Layout(file)
    let place = Int(layout.descriptor.lowerBound)..<Int(layout.descriptor.upperBound)
    var descriptor = try EventBlobDescriptor(serializedBytes: Array(file[place]))
    edit(&descriptor)
    var options = BinaryEncodingOptions()
    options.useDeterministicOrdering = true
    let encoded: [UInt8] = try descriptor.serializedBytes(options: options)
    precondition(encoded.count == place.count, "ids have a length of their own")
    var forged = file
    forged.replaceSubrange(place, with: encoded)
    let footer = file.count - BlobFormat.footerByteCount
    forged.replaceSubrange(footer + 16..<footer + 32, with: descriptor.blobID)
    func put(_ value: UInt32, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { forged.replaceSubrange(offset..<offset + 4, with: $0) }
    }
    put(CRC32C.checksum(encoded), at: footer + 68)
    put(CRC32C.checksum(Array(forged[footer..<footer + 124])), at: footer + 124)
    return forged
}
