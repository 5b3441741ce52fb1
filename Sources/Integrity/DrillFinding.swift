import Model
import ObjectStore

/// What a drill came to, as a finding of the repository: it stands open until a later drill is good.
public struct DrillFinding: Sendable {
    private let inspection: StoreInspection
    private let open: OpenFindings

    public init(_ store: ObjectStore, _ open: OpenFindings) {
        inspection = store.inspection
        self.open = open
    }

    /// - Parameters:
    ///   - repository: its name in the settings.
    ///   - failure: what did not come back as it was; `nil` if all of it did.
    public func note(repository: String, failure: String?) async throws {
        var finding = Finding(
            .failedDrill, volume: 0, path: "repository \(repository)", evidence: failure ?? "",
            repair: "look at the repository with 'holdfast snapshot verify', and take a new snapshot")
        let standing = try open.all()[OpenFindings.Place(finding.event)]
        if failure != nil {
            // One that is open already is not found again.
            guard standing == nil else { return }
            var event = EventFindingRecorded()
            event.finding = finding.event
            _ = try await inspection.record(.findingRecorded(event))
        } else if let standing {
            finding.isRepaired = true
            var event = EventReplicaRepaired()
            event.finding = standing
            event.source = "a later drill, in which everything came back as it was"
            _ = try await inspection.record(.replicaRepaired(event))
        }
    }
}
