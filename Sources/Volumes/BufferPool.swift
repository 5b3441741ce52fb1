import Foundation
import Model
import Synchronization

/// Memory that direct reads and writes can use.
public final class AlignedBuffer: @unchecked Sendable {
    // Unchecked: Raw memory; who holds the buffer decides who writes it.
    public let bytes: UnsafeMutableRawBufferPointer
    public var capacity: Int { bytes.count }

    /// - Parameter capacity: in bytes, a multiple of ``FileSystemAlignment/bytes``.
    public init(capacity: Int) {
        precondition(
            capacity > 0 && capacity % FileSystemAlignment.bytes == 0,
            "an aligned buffer has a whole number of pages, not \(capacity) bytes")
        bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: capacity, alignment: FileSystemAlignment.bytes)
    }

    deinit { bytes.deallocate() }
}

/// A bounded number of buffers, kept for use again: new pages cost ten times what copying into them does.
public final class BufferPool: Sendable {
    private struct State {
        var free: [AlignedBuffer] = []
        var made = 0
        var waiters: [UnsafeContinuation<AlignedBuffer, Never>] = []
    }

    public let bufferSize: Int
    public let limit: Int
    private let state = Mutex(State())

    public init(bufferSize: Int, limit: Int) {
        precondition(limit > 0, "a pool has at least one buffer")
        self.bufferSize = bufferSize
        self.limit = limit
    }

    /// A buffer, when one is free; first come, first served. Whoever holds one gives it back in a bounded
    /// time, so the wait ends.
    public func take() async -> AlignedBuffer {
        await withUnsafeContinuation { continuation in
            let buffer = state.withLock { state -> AlignedBuffer? in
                if state.waiters.isEmpty, let buffer = take(&state) { return buffer }
                state.waiters.append(continuation)
                return nil
            }
            if let buffer { continuation.resume(returning: buffer) }
        }
    }

    public func tryTake() -> AlignedBuffer? { state.withLock { take(&$0) } }

    /// A buffer that gives itself back, when one is free: see ``take()``.
    public func borrow() async -> LentBuffer { LentBuffer(await take(), of: self) }

    /// A buffer of the pool, or where none is free one of its own: for those who are usually few, and must not wait.
    public func lend() -> LentBuffer {
        let pooled = tryTake()
        return LentBuffer(pooled ?? AlignedBuffer(capacity: bufferSize), of: pooled == nil ? nil : self)
    }

    private func take(_ state: inout State) -> AlignedBuffer? {
        if let buffer = state.free.popLast() { return buffer }
        guard state.made < limit else { return nil }
        state.made += 1
        return AlignedBuffer(capacity: bufferSize)
    }

    public func give(_ buffer: AlignedBuffer) {
        precondition(buffer.capacity == bufferSize, "a buffer goes back to the pool it came from")
        let waiter = state.withLock { state -> UnsafeContinuation<AlignedBuffer, Never>? in
            guard !state.waiters.isEmpty else {
                state.free.append(buffer)
                return nil
            }
            return state.waiters.removeFirst()
        }
        waiter?.resume(returning: buffer)
    }

    /// Tasks that wait for a buffer.
    public var waiting: Int { state.withLock { $0.waiters.count } }

    /// Buffers in use.
    public var inUse: Int { state.withLock { $0.made - $0.free.count } }
}

/// A buffer that several threads may read: each volume's writer and the digests. It goes back to its pool, if it has one,
/// when the last of them lets go of it, which for a volume that hangs may be long after the upload has ended.
public final class LentBuffer: Sendable {
    private let buffer: AlignedBuffer
    private let pool: BufferPool?

    fileprivate init(_ buffer: AlignedBuffer, of pool: BufferPool?) {
        self.buffer = buffer
        self.pool = pool
    }

    deinit { pool?.give(buffer) }

    /// To be used as long as the lent buffer is held.
    public var bytes: UnsafeMutableRawBufferPointer { buffer.bytes }
}
