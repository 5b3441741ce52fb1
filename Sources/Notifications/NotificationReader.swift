import EventLog
import Model

/// What there is to tell of an event of the log.
package enum NotificationReader {
    /// - Parameter events: reads a run of the log: a confirmation names its uploads only by where they stand.
    /// - Throws: what `events` throws.
    package static func notifications(
        of event: LoggedEvent, events: (ClosedRange<UInt64>) throws -> [LoggedEvent]
    ) throws -> [Notification] {
        switch event.record.change {
        case .versionPublished(let change): [published(change, event)]
        case .versionRemoved(let change): [removed(change, event)]
        case .versionAmended(let change): amended(change, event).map { [$0] } ?? []
        case .uploadsConfirmed(let change): try confirmed(change, event, events)
        case .findingRecorded(let change):
            [found("holdfast:Object:Damaged", change.finding, event, ["evidence": change.finding.evidence])]
        case .replicaRepaired(let change):
            [found("holdfast:Object:Repaired", change.finding, event, ["source": change.source])]
        case .versionsStated(let change): change.versions.compactMap { stated($0, change.incident, event) }
        case .incidentOpened(let change): [incident("Opened", event.sequence.rawValue, change.reason, event)]
        case .incidentAcknowledged(let change):
            [incident("Acknowledged", change.incident, change.note, event)]
        case .incidentClosed(let change): [incident("Closed", change.incident, change.outcome, event)]
        case .volumeSetAside(let change):
            [volume("SetAside", change.volume, event, ["reason": change.reason])]
        case .volumeReturned(let change): [volume("Returned", change.volume, event)]
        case .volumeReplaced(let change): [volume("Replaced", change.volume, event)]
        case .snapshotTaken(let change): [snapshot(change, event)]
        case .restoreEnded(let change): [restore(change, event)]
        default: []
        }
    }

    private static let lifecycle = "lifecycle"

    private static func published(_ change: EventVersionPublished, _ event: LoggedEvent) -> Notification {
        let isLifecycle = change.reason.hasPrefix(lifecycle)
        let name =
            change.deleteMarker
            ? (isLifecycle
                ? "s3:LifecycleExpiration:DeleteMarkerCreated" : "s3:ObjectRemoved:DeleteMarkerCreated")
            : !change.uploadID.isEmpty
                ? "s3:ObjectCreated:CompleteMultipartUpload"
                : change.copiedFrom.isEmpty ? "s3:ObjectCreated:Put" : "s3:ObjectCreated:Copy"
        var told = Notification(name, event)
        fill(&told, change)
        return told
    }

    private static func fill(_ told: inout Notification, _ change: EventVersionPublished) {
        told.bucket = change.bucket
        told.key = change.key
        told.versionID = shown(change.versionID, isNull: change.nullVersion)
        guard !change.deleteMarker else { return }
        told.size = change.size
        told.etag = change.etag
    }

    private static func removed(_ change: EventVersionRemoved, _ event: LoggedEvent) -> Notification {
        var told = Notification(
            change.reason.hasPrefix(lifecycle) ? "s3:LifecycleExpiration:Delete" : "s3:ObjectRemoved:Delete",
            event)
        told.bucket = change.bucket
        told.key = change.key
        told.versionID = shown(change.versionID, isNull: false)
        told.published = SequenceNumber(change.publishedSequence)
        return told
    }

    private static func amended(_ change: EventVersionAmended, _ event: LoggedEvent) -> Notification? {
        let name: String
        switch (change.setting, change.removed) {
        case ("tagging", false): name = "s3:ObjectTagging:Put"
        case ("tagging", true): name = "s3:ObjectTagging:Delete"
        case ("acl", _): name = "s3:ObjectAcl:Put"
        default: return nil  // S3 tells nobody of locks
        }
        var told = Notification(name, event)
        told.bucket = change.bucket
        told.key = change.key
        told.versionID = shown(change.versionID, isNull: false)
        told.published = SequenceNumber(change.publishedSequence)
        return told
    }

    private static func confirmed(
        _ change: EventUploadsConfirmed, _ event: LoggedEvent,
        _ events: (ClosedRange<UInt64>) throws -> [LoggedEvent]
    ) throws -> [Notification] {
        guard change.fromSequence <= change.throughSequence else { return [] }
        let excepted = Set(change.exceptions.map(\.sequence))
        let volumes = change.volumes.sorted().map(String.init).joined(separator: ",")
        return try events(change.fromSequence...change.throughSequence).compactMap { uploaded in
            guard case .versionPublished(let version) = uploaded.record.change, !version.deleteMarker,
                !excepted.contains(uploaded.sequence.rawValue)
            else { return nil }
            var told = Notification("holdfast:Upload:Confirmed", event)
            fill(&told, version)
            told.actor = uploaded.record.actor
            told.requestID = uploaded.record.requestID
            told.published = uploaded.sequence
            told.detail = ["volumes": volumes]
            return told
        }
    }

    private static func found(
        _ name: String, _ finding: EventFinding, _ event: LoggedEvent, _ detail: [String: String]
    ) -> Notification {
        var told = Notification(name, event)
        told.bucket = finding.bucket
        told.key = finding.key
        told.versionID = finding.versionID.isEmpty ? nil : finding.versionID
        told.detail = detail
        told.detail["code"] = finding.code
        told.detail["class"] = finding.faultClass
        told.detail["volume"] = finding.volume > 0 ? String(finding.volume) : nil
        return told
    }

    private static func stated(
        _ version: EventAffectedVersion, _ incident: UInt64, _ event: LoggedEvent
    ) -> Notification? {
        let name: String
        switch version.state {
        case .repairing: name = "holdfast:Object:Repairing"
        case .restored: name = "holdfast:Object:Restored"
        case .lost, .olderAvailable: name = "holdfast:Object:Lost"
        default: return nil  // findings and repairs have been told of
        }
        var told = Notification(name, event)
        told.bucket = version.bucket
        told.key = version.key
        told.versionID = shown(version.versionID, isNull: version.nullVersion)
        told.size = version.size
        told.published = SequenceNumber(version.publishedSequence)
        told.detail = [
            "owner": version.owner, "state": version.state.word, "detail": version.detail,
            "code": version.code,
        ]
        told.detail["incident"] = incident > 0 ? String(incident) : nil
        return told
    }

    private static func incident(
        _ what: String, _ id: UInt64, _ reason: String, _ event: LoggedEvent
    ) -> Notification {
        var told = Notification("holdfast:Incident:\(what)", event)
        told.detail = ["incident": String(id), "detail": reason]
        return told
    }

    private static func snapshot(_ change: EventSnapshotTaken, _ event: LoggedEvent) -> Notification {
        var told = Notification("holdfast:Snapshot:Taken", event)
        told.detail = [
            "repository": change.repository, "snapshot": change.snapshot,
            "sequence": String(change.sequence), "versions": String(change.versions),
            "bytes": String(change.versionBytes), "lostBlobs": String(change.lostBlobs),
            "lostPayloads": String(change.lostPayloads),
            "created": Timestamp(microseconds: change.createdMicroseconds).description,
        ]
        return told
    }

    /// In all; what it came to for each owner stands in the event.
    private static func restore(_ change: EventRestoreEnded, _ event: LoggedEvent) -> Notification {
        var told = Notification("holdfast:Restore:Ended", event)
        told.detail = [
            "sequence": String(change.sequence), "unit": change.unit, "complete": String(change.complete),
            "began": Timestamp(microseconds: change.beganMicroseconds).description,
            "restored": String(change.total.restored), "bytes": String(change.total.restoredBytes),
            "present": String(change.total.present), "newer": String(change.total.newer),
            "failed": String(change.total.failed),
            "owners": String(UInt64(change.owners.count) + change.furtherOwners),
        ]
        told.detail["repository"] = change.snapshot.isEmpty ? nil : change.repository
        told.detail["snapshot"] = change.snapshot.isEmpty ? nil : change.snapshot
        told.detail["bucket"] = change.target == .bucket ? change.targetName : nil
        told.detail["directory"] = change.target == .directory ? change.targetName : nil
        told.detail["incident"] = change.incident > 0 ? String(change.incident) : nil
        return told
    }

    private static func volume(
        _ what: String, _ index: UInt32, _ event: LoggedEvent, _ detail: [String: String] = [:]
    ) -> Notification {
        var told = Notification("holdfast:Volume:\(what)", event)
        told.detail = detail
        told.detail["volume"] = String(index)
        return told
    }

    private static func shown<Bytes: Collection>(_ id: Bytes, isNull: Bool) -> String?
    where Bytes.Element == UInt8 {
        isNull ? "null" : VersionID(bytes: id)?.description
    }
}
