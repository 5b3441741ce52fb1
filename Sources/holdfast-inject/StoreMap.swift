import Digests
import EventLog
import Foundation
import Model
import Volumes

/// A frame of one mirror, as it stands in its file.
struct PlacedFrame {
    let frame: Frame
    /// Relative to the volume.
    let path: String
    let offset: UInt64
    var range: Range<UInt64> { offset..<offset + UInt64(frame.byteCount) }
}

/// An object's bytes: where they are, by the log.
struct Target {
    let bucket: String
    let key: String
    let piece: EventPiece
    /// The event that published the version.
    let sequence: SequenceNumber

    var blob: BlobID? { BlobID(bytes: piece.blobID) }
    var payloadSequence: SequenceNumber { piece.carrier(in: sequence) }
}

/// What the log says is in the store, read from the mirrors' files without the store's own reader: frames that
/// earlier faults damaged are passed over, and taken from another mirror.
struct StoreMap {
    private(set) var mirrors: [Int: [SequenceNumber: PlacedFrame]] = [:]
    private(set) var targets: [String: [Target]] = [:]
    /// Earlier versions' blobs by bucket and key, oldest first.
    private(set) var earlier: [String: [BlobID]] = [:]

    init(_ store: TestStore) throws {
        var records: [SequenceNumber: EventRecord] = [:]
        for volume in 1...store.volumePaths.count {
            var frames: [SequenceNumber: PlacedFrame] = [:]
            let directory = store.path(volume, "log")
            guard try store.fileSystem.status(of: directory) != nil else { continue }
            for name in try store.fileSystem.list(directory) where name.hasSuffix(".log") {
                let bytes = try store.readUsed(volume, "log/" + name)
                try bytes.withUnsafeBytes { buffer in
                    var offset = Segment.headerByteCount
                    while offset + Frame.headerByteCount <= buffer.count {
                        let rest = UnsafeRawBufferPointer(rebasing: buffer[offset...])
                        guard rest.loadUnaligned(as: UInt32.self).littleEndian == Frame.magic,
                            let frame = try? Frame.decode(rest, after: nil)
                        else {
                            offset += 8
                            continue
                        }
                        frames[frame.sequence] = PlacedFrame(
                            frame: frame, path: "log/" + name, offset: UInt64(offset))
                        if records[frame.sequence] == nil {
                            records[frame.sequence] = try frame.event(rest).record
                        }
                        offset += frame.byteCount
                    }
                }
            }
            mirrors[volume] = frames
        }
        for sequence in records.keys.sorted() {
            if let record = records[sequence] { apply(record, sequence) }
        }
    }

    static func name(_ bucket: String, _ key: String) -> String { bucket + "/" + key }

    private mutating func apply(_ record: EventRecord, _ sequence: SequenceNumber) {
        switch record.change {
        case .versionPublished(let change):
            let name = Self.name(change.bucket, change.key)
            earlier[name, default: []] += (targets[name] ?? []).compactMap(\.blob)
            // An object of no bytes is its event alone.
            let pieces = change.pieces.isEmpty && !change.deleteMarker ? [EventPiece()] : change.pieces
            targets[name] = pieces.map {
                Target(bucket: change.bucket, key: change.key, piece: $0, sequence: sequence)
            }
        case .versionRemoved(let change):
            let name = Self.name(change.bucket, change.key)
            if targets[name]?.first?.sequence.rawValue == change.publishedSequence { targets[name] = nil }
        case .reclaimed(let change):
            let gone = Set(change.blobIds.compactMap { BlobID(bytes: $0) })
            for name in earlier.keys { earlier[name]?.removeAll { gone.contains($0) } }
        default: break
        }
    }

    func frame(_ sequence: SequenceNumber, _ volume: Int) throws -> PlacedFrame {
        guard let frame = mirrors[volume]?[sequence] else {
            throw Refusal.notApplicable("volume \(volume) has no good event \(sequence)")
        }
        return frame
    }

    /// Pieces of an object, or all of a bucket, or of the store, in a stable order.
    func pieces(bucket: String?, key: String?) throws -> [Target] {
        if let bucket, let key {
            guard let found = targets[Self.name(bucket, key)], !found.isEmpty else {
                throw Refusal.notApplicable("there is no object \(bucket)/\(key)")
            }
            return found
        }
        return targets.values.joined().filter { bucket == nil || $0.bucket == bucket }
            .sorted { ($0.sequence, $0.piece.partNumber) < ($1.sequence, $1.piece.partNumber) }
    }
}
