import HTTPTypes
import Model
import ObjectStore

/// `x-holdfast-integrity`, Holdfast's own header on GetObject and HeadObject: how the version stands
/// (Documentation/s3.md).
enum IntegrityHeader {
    private static let name = HTTPField.Name.fixed("x-holdfast-integrity")
    /// What nearly every response says, made once.
    private static let confirmed = (0...Limits.volumeCount).map {
        HTTPField(name: name, value: "confirmed; replicas=\($0)")
    }
    private static let published = HTTPField(name: name, value: "published")

    static func show(_ version: ObjectVersion, of store: ObjectStore, in headers: inout HTTPFields) throws {
        switch try store.standing(of: version) {
        case .confirmed: headers.append(confirmed[store.replicaCount])
        case .published: headers.append(published)
        case .affected(let state, let detail): headers[name] = text(state, detail)
        }
    }

    private static func text(_ state: EventAffectedVersion.State, _ detail: String) -> String {
        switch state {
        case .detected, .repairing: "damaged"
        case .repaired, .restored, .removed: state.word
        case .lost: "lost"
        case .olderAvailable: "lost; older=\"\(detail.filter { $0.isASCII && $0 != "\"" })\""
        case .unspecified, .UNRECOGNIZED: state.word
        }
    }
}
