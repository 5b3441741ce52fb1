import NIOCore
import Synchronization

/// How many connections a listener has, and from how many on what becomes of another: up to the limit it is served, a few
/// more are told that there are too many, and the rest wait in the kernel's backlog until one of these has ended.
final class ConnectionRoom: Sendable {
    private static let spareRange = 16...256

    /// Connections that are served at once.
    let limit: Int
    /// Connections that are open at once, with those that are refused.
    private let most: Int
    private let open = Atomic<Int>(0)
    private let isHeld = Atomic<Bool>(false)

    init(limit: Int) {
        self.limit = limit
        most = limit + max(Self.spareRange.lowerBound, min(Self.spareRange.upperBound, limit / 4))
    }

    var count: Int { open.load(ordering: .relaxed) }

    /// - Returns: whether the connection may be served.
    func enter() -> Bool { open.add(1, ordering: .sequentiallyConsistent).newValue <= limit }

    /// - Returns: whether somebody was kept from coming in, who may now.
    func leave() -> Bool {
        open.subtract(1, ordering: .sequentiallyConsistent)
        return isHeld.exchange(false, ordering: .sequentiallyConsistent)
    }

    /// Whether nobody may come in; then the next ``leave()`` says so.
    fileprivate func holds() -> Bool {
        guard open.load(ordering: .sequentiallyConsistent) >= most else { return false }
        isHeld.store(true, ordering: .sequentiallyConsistent)
        // The last may have left before it could see that somebody waits.
        guard open.load(ordering: .sequentiallyConsistent) < most else { return true }
        return !isHeld.exchange(false, ordering: .sequentiallyConsistent)
    }
}

/// Keeps a listening socket from accepting more connections than there is room for.
final class AcceptGate: ChannelOutboundHandler {
    typealias OutboundIn = Never

    private let room: ConnectionRoom

    init(_ room: ConnectionRoom) { self.room = room }

    func read(context: ChannelHandlerContext) {
        if !room.holds() { context.read() }
    }
}
