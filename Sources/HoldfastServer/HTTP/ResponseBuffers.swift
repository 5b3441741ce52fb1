import NIOCore
import Synchronization

/// Buffers that responses are read into, used again: fresh memory costs ten times the copy.
final class ResponseBuffers: Sendable {
    /// Small enough to stay in a core's cache between reading, checking and sending.
    static let byteCount = 256 * 1024
    private static let limit = 64

    private let free = Mutex<[ByteBuffer]>([])

    func take(_ byteCount: Int) -> ByteBuffer {
        guard byteCount > 32 * 1024 else { return ByteBufferAllocator().buffer(capacity: byteCount) }
        if let buffer = free.withLock({ $0.popLast() }) { return buffer }
        return ByteBufferAllocator().buffer(capacity: Self.byteCount)
    }

    func give(_ buffer: ByteBuffer) {
        guard buffer.capacity >= Self.byteCount else { return }
        free.withLock { if $0.count < Self.limit { $0.append(buffer) } }
    }
}
