import Foundation
import Model

/// The events of findings, incidents, scrubs, snapshots and restores, every field of them set.
extension EveryEvent {
    static let ofIntegrity: [(EventRecord.OneOf_Change, [UInt8])] = [
        (.repairUndone(repairUndone), []), (.versionsStated(versionsStated), []),
        (.incidentOpened(incidentOpened), []), (.incidentAcknowledged(incidentAcknowledged), []),
        (.incidentClosed(incidentClosed), []), (.scrubAdvanced(scrubAdvanced), []),
        (.snapshotTaken(snapshotTaken), []), (.restoreEnded(restoreEnded), []),
        (.partsReleased(partsReleased), []), (.healingActed(healingActed), []),
    ]

    private static var partsReleased: EventPartsReleased {
        var value = EventPartsReleased()
        value.uploadID = id(0x22)
        value.throughPart = 512
        return value
    }

    private static var healingActed: EventHealingActed {
        var value = EventHealingActed()
        value.action = "hold-volume"
        value.subject = "volume 2"
        value.reason = "it came back 20 times within an hour"
        return value
    }

    private static var repairUndone: EventRepairUndone {
        var value = EventRepairUndone()
        value.repairSequence = 13
        value.finding = finding
        value.quarantined = "quarantine/3f3f"
        return value
    }

    private static var versionsStated: EventVersionsStated {
        var version = EventAffectedVersion()
        version.bucket = "photos"
        version.key = "key"
        version.versionID = id(0x21)
        version.nullVersion = true
        version.publishedSequence = 5
        version.owner = "owner"
        version.ownerDisplayName = "Owner"
        version.size = 48
        version.state = .restored
        version.code = "HF011"
        version.detail = "snapshot monday"
        var value = EventVersionsStated()
        value.incident = 22
        value.versions = [version]
        value.throughSequence = 21
        return value
    }

    private static var incidentOpened: EventIncidentOpened {
        var value = EventIncidentOpened()
        value.cause = .volume
        value.volume = 2
        value.reason = "volume 2 was set aside: EIO"
        value.fromSequence = 19
        value.throughSequence = 21
        return value
    }

    private static var incidentAcknowledged: EventIncidentAcknowledged {
        var value = EventIncidentAcknowledged()
        value.incident = 22
        value.note = "told"
        value.publishedSequences = [5]
        value.owner = "owner"
        value.bucket = "photos"
        value.key = "key"
        return value
    }

    private static var incidentClosed: EventIncidentClosed {
        var value = EventIncidentClosed()
        value.incident = 22
        value.outcome = "all restored"
        var count = EventIncidentGroup.Count()
        count.state = .restored
        count.versions = 3
        var group = EventIncidentGroup()
        group.owner = "owner"
        group.ownerDisplayName = "Owner"
        group.bucket = "photos"
        group.bytes = 4096
        group.counts = [count]
        group.acknowledged = 1
        value.groups = [group]
        return value
    }

    private static var scrubAdvanced: EventScrubAdvanced {
        var value = EventScrubAdvanced()
        value.volume = 2
        value.pass = 3
        value.startedMicroseconds = 1_767_225_600_000_000  // 2026-01-01T00:00:00Z
        value.throughBlob = id(0x3F)
        value.throughSequence = 9
        value.headSequence = 20
        value.bytes = 4096
        value.findings = 1
        value.complete = true
        return value
    }

    private static var snapshotTaken: EventSnapshotTaken {
        var value = EventSnapshotTaken()
        value.repository = "nas"
        value.snapshot = "monday"
        value.sequence = 20
        value.chain = digest(0x61)
        value.createdMicroseconds = 1_767_225_600_000_000  // 2026-01-01T00:00:00Z
        value.versions = 3
        value.versionBytes = 4096
        value.lostBlobs = 1
        value.lostPayloads = 2
        return value
    }

    private static var restoreEnded: EventRestoreEnded {
        var account = EventRestoreAccount()
        account.owner = "owner"
        account.ownerDisplayName = "Owner"
        account.restored = 3
        account.restoredBytes = 4096
        account.present = 2
        account.newer = 1
        account.failed = 1
        var value = EventRestoreEnded()
        value.repository = "nas"
        value.snapshot = "monday"
        value.sequence = 20
        value.unit = "bucket photos, prefix 2026/"
        value.target = .bucket
        value.targetName = "copy"
        value.overwrites = true
        value.incident = 22
        value.beganMicroseconds = 1_767_225_600_000_000  // 2026-01-01T00:00:00Z
        value.complete = true
        value.total = account
        value.owners = [account]
        value.furtherOwners = 2
        value.further = account
        return value
    }
}
