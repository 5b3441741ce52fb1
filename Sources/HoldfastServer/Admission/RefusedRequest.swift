import NIOCore
import NIOHTTP1

/// A request that was turned away at its head, as the log tells of it. Nothing was looked up, and nothing of it is proved: the
/// access key is the one that it claims.
package struct RefusedRequest: Sendable {
    let head: HTTPRequestHead
    let outline: RequestOutline
    let reason: RefusalReason
    let address: SocketAddress?

    package init(
        _ head: HTTPRequestHead, _ outline: RequestOutline, _ reason: RefusalReason,
        from address: SocketAddress?
    ) {
        self.head = head
        self.outline = outline
        self.reason = reason
        self.address = address
    }
}
