import Model
import ObjectStore

/// What a scheduled look at a repository came to, as a finding of the repository: it stands open until a later one is good.
public struct RepositoryFindings: Sendable {
    /// What was done.
    public enum Look: Sendable {
        case drill
        case verification

        var code: FindingCode { self == .drill ? .failedDrill : .damagedRepository }

        var repair: String {
            switch self {
            case .drill: "look at the repository with 'holdfast snapshot verify', and take a new snapshot"
            case .verification: "mend it with 'holdfast snapshot verify --mend', or take a new snapshot"
            }
        }

        var remedy: String {
            switch self {
            case .drill: "a later drill, in which everything came back as it was"
            case .verification: "a later check, in which everything was good"
            }
        }
    }

    private let inspection: StoreInspection
    private let open: OpenFindings

    public init(_ store: ObjectStore, _ open: OpenFindings) {
        inspection = store.inspection
        self.open = open
    }

    /// - Parameters:
    ///   - repository: its name in the settings.
    ///   - failure: what is not as it was; `nil` if all of it is.
    public func note(_ look: Look, repository: String, failure: String?) async throws {
        var finding = Finding(
            look.code, volume: 0, path: "repository \(repository)", evidence: failure ?? "",
            repair: look.repair)
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
            event.source = look.remedy
            _ = try await inspection.record(.replicaRepaired(event))
        }
    }
}
