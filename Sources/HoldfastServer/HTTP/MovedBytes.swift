import Synchronization

/// Bytes of bodies that moved between a listener and its clients, of requests under way too: those that came, and of large answers
/// those that a connection took. It only grows.
final class MovedBytes: Sendable {
    private let count = Atomic<UInt64>(0)

    var total: UInt64 { count.load(ordering: .relaxed) }

    func add(_ byteCount: Int) { count.wrappingAdd(UInt64(byteCount), ordering: .relaxed) }
}
