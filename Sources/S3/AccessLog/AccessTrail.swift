import Model
import Synchronization

/// What a request does besides the one thing that its line of an access log is about: it reads the source of a copy, or
/// deletes each of many keys; and who signed it, where that stands in its body. Only made where some bucket logs.
///
/// Source: Amazon S3 User Guide, "Amazon S3 server access log format", "Additional logging for copy operations" and
/// `BATCH.DELETE.OBJECT`.
final class AccessTrail: Sendable {
    struct Source: Sendable {
        let bucket: BucketName
        let key: ObjectKey
        /// As the request names it.
        let versionID: String?
        /// `nil` until the object was found.
        var size: UInt64?
    }

    struct Deletion: Sendable {
        let key: String
        let versionID: String?
        let status: Int
        let errorCode: String?
    }

    private struct State: Sendable {
        var source: Source?
        /// The canonical id of who signed a form.
        var sender: String?
        var deletions: [Deletion] = []
    }

    private let state = Mutex(State())

    var sender: String? { state.withLock { $0.sender } }
    var source: Source? { state.withLock { $0.source } }
    var deletions: [Deletion] { state.withLock { $0.deletions } }

    func isSent(by identity: Identity) {
        guard !identity.isAnonymous else { return }
        state.withLock { $0.sender = identity.userID }
    }
    func copies(from source: Source) { state.withLock { $0.source = source } }
    func found(size: UInt64) { state.withLock { $0.source?.size = size } }
    func deleted(_ deletion: Deletion) { state.withLock { $0.deletions.append(deletion) } }
}

extension VersionSelector {
    /// As a request names it; `nil` where it names none.
    var text: String? {
        switch self {
        case .current: nil
        case .null: "null"
        case .id(let id): id.description
        }
    }
}
