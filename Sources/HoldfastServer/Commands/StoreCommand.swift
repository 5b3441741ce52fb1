import Importing
import S3Repository
import Snapshots

/// What the command line asks of a store, running or not.
public enum StoreCommand: Codable, Sendable {
    case fsck(deep: Bool, repair: Bool, json: Bool)
    /// - Parameter table: the path of a ``ReferenceTable``.
    case checkReferences(table: String, json: Bool)
    case log(from: UInt64, bucket: String?, follow: Bool, json: Bool)
    case verifyLog(json: Bool)
    /// - Parameter repositories: absolute paths.
    case explain(object: String, versionID: String?, repositories: [String], json: Bool)
    case listRepairs(json: Bool)
    case undoRepair(id: UInt64, json: Bool)
    case incident(IncidentAction, json: Bool)
    case postmortem(incident: UInt64, json: Bool)
    case volumes(json: Bool)
    case status(json: Bool)
    case scrub(ScrubAction, json: Bool)
    case sink(SinkAction, json: Bool)
    case jobs(JobAction, json: Bool)
    case replaceVolume(number: Int, json: Bool)
    case returnVolume(number: Int, json: Bool)
    /// - Parameter repository: an absolute path.
    case createSnapshot(repository: String, name: String?, json: Bool)
    /// - Parameter repository: an absolute path.
    case verifySnapshots(repository: String, name: String?, percent: Int, json: Bool)
    case restore(RestoreOrder, json: Bool)
    case importObjects(ImportOrder, json: Bool)
    case list(ListingOrder, json: Bool)
    case createKey(user: String, json: Bool)
    case listKeys(json: Bool)
    case deleteKey(accessKey: String, json: Bool)
    case createUser(
        name: String, displayName: String?, accessKey: String?, secretKey: String?, canonicalID: String?,
        json: Bool)
    case listUsers(json: Bool)
    case deleteUser(name: String, force: Bool, json: Bool)
    case putUserPolicy(user: String, policy: String, document: String, json: Bool)
    case listUserPolicies(user: String, json: Bool)
    case showUserPolicy(user: String, policy: String, json: Bool)
    case deleteUserPolicy(user: String, policy: String, json: Bool)
    case createEncryptionKey(name: String, json: Bool)
    case listEncryptionKeys(json: Bool)
    case enableEncryptionKey(name: String, enabled: Bool, json: Bool)
    case rotateEncryptionKey(name: String?, rewrap: Bool, json: Bool)

    /// What it is, without what goes with it.
    var name: String { Mirror(reflecting: self).children.first?.label ?? "\(self)" }

    /// Whether a store that is not running is opened for good, or only to be looked at.
    public var changesStore: Bool {
        switch self {
        case .fsck(_, let repair, _): repair
        case .replaceVolume, .undoRepair: true
        case .listRepairs: false
        case .incident(let action, _): action.changesStore
        case .postmortem: false
        case .rotateEncryptionKey(_, let rewrap, _): rewrap
        case .returnVolume: false
        case .checkReferences, .log, .verifyLog, .explain, .volumes, .status, .scrub, .sink, .jobs,
            .createKey,
            .listKeys,
            .deleteKey:
            false
        case .createUser, .listUsers, .deleteUser: false
        case .putUserPolicy, .listUserPolicies, .showUserPolicy, .deleteUserPolicy: false
        case .createSnapshot: true
        case .verifySnapshots: false
        case .list: false
        case .restore(let order, _): !order.isDryRun && order.folder == nil
        case .importObjects(let order, _): !order.isDryRun
        case .createEncryptionKey, .listEncryptionKeys, .enableEncryptionKey: false
        }
    }

    /// The directory of the repository that a snapshot is taken into; `nil` for one at an S3 endpoint, and for other commands.
    public var newRepository: String? {
        guard case .createSnapshot(let place, _, _) = self, !S3Location.isLocation(place) else { return nil }
        return place
    }

    /// Whether it tells of incidents: those of a stopped store are brought up to its log first.
    var tellsOfIncidents: Bool {
        switch self {
        case .incident, .explain, .postmortem: true
        default: false
        }
    }
}
