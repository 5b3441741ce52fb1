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
        case .uploadAmended(let change): change.bucket
        case .partPublished(let change): change.bucket
        case .uploadAborted(let change): change.bucket
        default: nil
        }
    }

    /// - Parameter names: users by their canonical id, which is what the log has.
    package func text(names: [String: String] = [:]) -> String {
        "\(sequence)  \(time)  \((names[record.actor] ?? record.actor).printable)  \(sentence.printable)"
    }

    /// What happened, in words; some of them are other people's.
    package var sentence: String {
        switch record.change {
        case .epochOpened(let change):
            "epoch \(change.epoch) opened on volumes \(Self.list(change.volumes)) by \(change.software)"
        case .bucketCreated(let change): "bucket \(change.bucket) created"
        case .bucketDeleted(let change): "bucket \(change.bucket) deleted"
        case .bucketConfigured(let change):
            "bucket \(change.bucket): \(change.setting) \(change.removed ? "removed" : "set")"
        case .versionPublished(let change):
            change.deleteMarker
                ? "\(change.bucket)/\(change.key): delete marker \(Self.name(change))\(Self.why(change.reason))"
                : "\(change.bucket)/\(change.key): version \(Self.name(change)), \(change.size) bytes, ETag \(change.etag)"
        case .versionRemoved(let change):
            "\(change.bucket)/\(change.key): version of event \(change.publishedSequence) removed\(Self.why(change.reason))"
        case .versionAmended(let change) where !change.setting.isEmpty:
            "\(change.bucket)/\(change.key): \(change.setting) of the version of event \(change.publishedSequence) \(change.removed ? "removed" : "set")"
        case .versionAmended(let change):
            "\(change.bucket)/\(change.key): metadata of the version of event \(change.publishedSequence) changed"
        case .uploadCreated(let change):
            "\(change.bucket)/\(change.key): upload \(Array(change.uploadID).hexadecimal) created"
        case .uploadAmended(let change):
            "\(change.bucket)/\(change.key): data key of upload \(Array(change.uploadID).hexadecimal) wrapped afresh"
        case .partPublished(let change):
            "\(change.bucket)/\(change.key): part \(change.partNumber), \(change.piece.length) bytes"
        case .uploadAborted(let change):
            "\(change.bucket)/\(change.key): upload \(Array(change.uploadID).hexadecimal) aborted\(Self.why(change.reason))"
        case .partsReleased(let change):
            "upload \(Array(change.uploadID).hexadecimal): parts up to \(change.throughPart) released"
        case .healingActed(let change): "\(change.subject): \(change.action) (\(change.reason))"
        case .uploadsConfirmed(let change):
            confirmation(change)
        case .findingRecorded(let change): "finding \(change.finding.code): \(change.finding.evidence)"
        case .replicaRepaired(let change):
            "repaired \(change.finding.code) on volume \(change.finding.volume): \(change.finding.path)"
        case .repairUndone(let change):
            "repair \(change.repairSequence) undone: \(change.finding.path) on volume \(change.finding.volume)"
        case .versionsStated(let change):
            change.versions.map(Self.standing).joined(separator: "; ")
        case .incidentOpened(let change): "incident \(sequence) opened: \(change.reason)"
        case .incidentAcknowledged(let change):
            "incident \(change.incident) acknowledged\(Self.why(change.note))"
        case .incidentClosed(let change): "incident \(change.incident) closed\(Self.why(change.outcome))"
        case .scrubAdvanced(let change) where change.pass == 0:
            "volume \(change.volume) healed: \(counted(change.bytes, "byte")) of what was brought to it read back"
        case .scrubAdvanced(let change):
            "volume \(change.volume): scrub \(change.pass) \(change.complete ? "complete" : "at \(counted(change.bytes, "byte"))"), \(counted(change.findings, "finding"))"
        case .volumeSetAside(let change): "volume \(change.volume) set aside: \(change.reason)"
        case .volumeReturned(let change):
            "volume \(change.volume) back in service: \(counted(change.events, "event")) caught up"
        case .volumeReplaced(let change): "volume \(change.volume) replaced"
        case .reclaimPlanned(let change):
            "to reclaim: \(counted(change.blobIds.count, "blob")), \(counted(change.payloadSequences.count, "payload"))"
        case .reclaimed(let change):
            "reclaimed: \(counted(change.blobIds.count, "blob")), \(counted(change.payloadSequences.count, "payload"))"
        case .snapshotTaken(let change):
            "snapshot \(change.snapshot) of event \(change.sequence) taken into \(change.repository): \(counted(change.versions, "version"))\(Self.losses(change))"
        case .restoreEnded(let change): change.sentence
        case nil: "a change that this Holdfast does not know"
        }
    }

    private static func losses(_ change: EventSnapshotTaken) -> String {
        let text = SnapshotReports.losses(blobs: change.lostBlobs, payloads: change.lostPayloads)
        return text.isEmpty ? "" : ", without \(text)"
    }

    private func confirmation(_ change: EventUploadsConfirmed) -> String {
        let from = change.fromSequence
        let through = change.throughSequence
        let events = from == through ? "event \(from)" : "events \(from) to \(through)"
        let what = "\(counted(change.count, "upload")) of \(events) confirmed: "
        let how = "\(counted(change.bytes, "byte")) read back from volumes \(Self.list(change.volumes))"
        guard !change.exceptions.isEmpty else { return what + how }
        return what + how + ", \(counted(change.exceptions.count, "replica")) not good"
    }

    private static func standing(_ version: EventAffectedVersion) -> String {
        "\(version.bucket)/\(version.key), version of event \(version.publishedSequence): \(version.state.word)\(why(version.detail))"
    }

    private static func list(_ volumes: [UInt32]) -> String {
        volumes.map { "\($0)" }.joined(separator: ", ")
    }

    private static func why(_ reason: String) -> String { reason.isEmpty ? "" : " (\(reason))" }

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
