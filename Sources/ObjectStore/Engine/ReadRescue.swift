import Model
import Synchronization
import Volumes

/// What a read does besides reading, where a version is lost or nearly so: the layer that repairs is asked.
final class ReadRescue: Sendable {
    private struct Hooks {
        var recovered: (@Sendable (ObjectVersion) -> Void)?
        var mend: (@Sendable (BlobID) async throws -> Bool)?
    }

    private let hooks = Mutex(Hooks())

    func onRecovery(_ body: @escaping @Sendable (ObjectVersion) -> Void) {
        hooks.withLock { $0.recovered = body }
    }

    func onRescue(_ body: @escaping @Sendable (BlobID) async throws -> Bool) {
        hooks.withLock { $0.mend = body }
    }

    func recovered(_ version: ObjectVersion) { hooks.withLock { $0.recovered }?(version) }

    /// - Returns: whether every replica of the blob is good now. What keeps it from that is told by whoever mends.
    func mend(_ id: BlobID) async throws -> Bool {
        guard let mend = hooks.withLock({ $0.mend }) else { return false }
        do { return try await mend(id) } catch is BlobFlaw { return false }
    }
}
