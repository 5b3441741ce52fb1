import Model
import Notifications
import Testing

/// Which notifications an event of the log makes.
@Suite struct NotificationReaderTests {
    private func told(_ change: EventRecord.OneOf_Change) throws -> [Notification] {
        var record = EventRecord()
        record.change = change
        let event = LoggedEvent(
            sequence: SequenceNumber(9), epoch: 1, time: Timestamp(microseconds: 1), chain: .genesis,
            record: record, payloadLength: 0)
        return try NotificationReader.notifications(of: event) { _ in [] }
    }

    @Test(arguments: [
        (EventAffectedVersion.State.repairing, "holdfast:Object:Repairing"),
        (.restored, "holdfast:Object:Restored"), (.lost, "holdfast:Object:Lost"),
        (.olderAvailable, "holdfast:Object:Lost"),
    ])
    func whatBecomesOfAVersionIsToldWithItsOwner(state: EventAffectedVersion.State, name: String) throws {
        var version = EventAffectedVersion()
        version.bucket = "photos"
        version.key = "cat"
        version.owner = "ann"
        version.state = state
        version.detail = "how"
        version.code = "HF002"
        var change = EventVersionsStated()
        change.incident = 7
        change.versions = [version]
        let told = try told(.versionsStated(change))
        #expect(told.map(\.name) == [name])
        #expect(told.first?.key == "cat")
        #expect(
            told.first?.detail == [
                "owner": "ann", "state": state.word, "detail": "how", "code": "HF002", "incident": "7",
            ])
        #expect(NotificationFilter.names.contains(name))
    }

    @Test(arguments: [EventAffectedVersion.State.detected, .repaired, .removed])
    func aStateThatAFindingOrARepairHasToldOfIsNotToldAgain(state: EventAffectedVersion.State) throws {
        var version = EventAffectedVersion()
        version.state = state
        var change = EventVersionsStated()
        change.versions = [version]
        #expect(try told(.versionsStated(change)).isEmpty)
    }

    @Test func anAcknowledgementIsToldWithItsNote() throws {
        var change = EventIncidentAcknowledged()
        change.incident = 7
        change.note = "owners were told"
        let told = try told(.incidentAcknowledged(change))
        #expect(told.map(\.name) == ["holdfast:Incident:Acknowledged"])
        #expect(told.first?.detail == ["incident": "7", "detail": "owners were told"])
    }

    @Test func howARestoreEndedIsToldInAll() throws {
        var change = EventRestoreEnded()
        change.repository = "nas"
        change.snapshot = "monday"
        change.sequence = 4
        change.unit = "what is damaged"
        change.target = .inPlace
        change.incident = 7
        change.beganMicroseconds = 1_767_225_600_000_000  // 2026-01-01T00:00:00Z
        change.total.restored = 2
        change.total.restoredBytes = 18
        change.total.present = 3
        change.total.newer = 4
        change.total.failed = 1
        change.owners = [EventRestoreAccount()]
        change.furtherOwners = 2
        let told = try told(.restoreEnded(change))
        #expect(told.map(\.name) == ["holdfast:Restore:Ended"])
        #expect(
            told.first?.detail == [
                "repository": "nas", "snapshot": "monday", "sequence": "4", "unit": "what is damaged",
                "incident": "7", "began": "2026-01-01T00:00:00.000Z", "complete": "false", "restored": "2",
                "bytes": "18", "present": "3", "newer": "4", "failed": "1", "owners": "3",
            ])
        #expect(NotificationFilter.names.contains("holdfast:Restore:Ended"))
    }

    @Test func aRestoreOutOfTheStoresOwnHistorySaysWhereTo() throws {
        var change = EventRestoreEnded()
        change.sequence = 4
        change.target = .directory
        change.targetName = "/tmp/files"
        change.complete = true
        let detail = try #require(try told(.restoreEnded(change)).first).detail
        #expect(detail["directory"] == "/tmp/files" && detail["complete"] == "true")
        #expect(detail["repository"] == nil && detail["snapshot"] == nil && detail["bucket"] == nil)
    }
}
