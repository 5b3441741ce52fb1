import Model
import SwiftProtobuf

extension LoggedEvent {
    /// The bucket that the event is about, if it is about one.
    package var bucket: String? {
        switch record.change {
        case .bucketCreated(let change): change.bucket
        case .bucketDeleted(let change): change.bucket
        case .bucketConfigured(let change): change.bucket
        case .versionPublished(let change): change.bucket
        case .versionRemoved(let change): change.bucket
        case .versionAmended(let change): change.bucket
        case .uploadCreated(let change): change.bucket
        case .partPublished(let change): change.bucket
        case .uploadAborted(let change): change.bucket
        default: nil
        }
    }

    package var text: String { "\(sequence)  \(time)  \(record.actor.printable)  \(sentence.printable)" }

    private var sentence: String {
        switch record.change {
        case .epochOpened(let change):
            "epoch \(change.epoch) opened on volumes \(change.volumes) by \(change.software)"
        case .bucketCreated(let change): "bucket \(change.bucket) created"
        case .bucketDeleted(let change): "bucket \(change.bucket) deleted"
        case .bucketConfigured(let change):
            "bucket \(change.bucket): \(change.setting) \(change.removed ? "removed" : "set")"
        case .versionPublished(let change):
            change.deleteMarker
                ? "\(change.bucket)/\(change.key): delete marker \(Self.name(change))"
                : "\(change.bucket)/\(change.key): version \(Self.name(change)), \(change.size) bytes, ETag \(change.etag)"
        case .versionRemoved(let change):
            "\(change.bucket)/\(change.key): version of event \(change.publishedSequence) removed"
        case .versionAmended(let change):
            "\(change.bucket)/\(change.key): metadata of the version of event \(change.publishedSequence) changed"
        case .uploadCreated(let change):
            "\(change.bucket)/\(change.key): upload \(Array(change.uploadID).hexadecimal) created"
        case .partPublished(let change):
            "\(change.bucket)/\(change.key): part \(change.partNumber), \(change.piece.length) bytes"
        case .uploadAborted(let change):
            "\(change.bucket)/\(change.key): upload \(Array(change.uploadID).hexadecimal) aborted"
        case .uploadsConfirmed(let change):
            "\(change.count) uploads of \(change.bytes) bytes confirmed through event \(change.throughSequence) on volumes \(change.volumes), \(change.exceptions.count) exceptions"
        case .findingRecorded(let change): "finding \(change.finding.code): \(change.finding.evidence)"
        case .replicaRepaired(let change):
            "repaired \(change.finding.code) on volume \(change.finding.volume): \(change.finding.path)"
        case .volumeSetAside(let change): "volume \(change.volume) set aside: \(change.reason)"
        case .volumeReturned(let change): "volume \(change.volume) returned after \(change.events) events"
        case .volumeReplaced(let change): "volume \(change.volume) replaced"
        case .reclaimPlanned(let change):
            "\(change.blobIds.count) blobs and \(change.payloadSequences.count) payloads are to be reclaimed"
        case .reclaimed(let change):
            "\(change.blobIds.count) blobs and \(change.payloadSequences.count) payloads reclaimed"
        case nil: "a change that this Holdfast does not know"
        }
    }

    private static func name(_ change: EventVersionPublished) -> String {
        change.nullVersion ? "null" : Array(change.versionID).hexadecimal
    }

    /// The frame's fields, and the event in protobuf's own JSON.
    package func json() throws -> String {
        let body = try record.jsonString()
        return
            "{\"sequence\":\(sequence),\"epoch\":\(epoch),\"time\":\"\(time)\",\"chain\":\"\(chain)\",\"payloadLength\":\(payloadLength),\"event\":\(body)}"
    }
}
