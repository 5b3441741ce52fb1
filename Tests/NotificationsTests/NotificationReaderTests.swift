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
}
