import Model
import Synchronization
import Volumes

/// One blob on its way to every volume that was in service when it began.
///
/// Each volume's calls run in order on its own writer thread; none waits for another volume. A volume that
/// fails or is late is set aside by the volume set, and the blob goes on with the others.
final class ReplicatedBlob: Sendable {
    let id: BlobID
    private let replicas: [Replica]
    private let watch: OperationWatch
    private let volumes: VolumeSet
    /// Volumes that came into service later and were given a copy.
    private let copies = Mutex<[VolumeHandle]>([])

    init(
        id: BlobID, expectedLength: UInt64?, volumes: VolumeSet, watch: OperationWatch
    ) {
        self.id = id
        self.watch = watch
        self.volumes = volumes
        replicas = volumes.inService.map {
            Replica(id: id, expectedLength: expectedLength, handle: $0, volumes: volumes)
        }
    }

    /// Volumes on which nothing has failed so far. One that was set aside meanwhile is none, though it may be back:
    /// what was being written there went when it returned.
    var holders: Set<Int> {
        let copies = copies.withLock { $0 }.filter { volumes.handle($0.index) === $0 }
        return Set((replicas.filter(\.isSound).map(\.handle) + copies).map(\.index))
    }

    func hasCopy(on handle: VolumeHandle) { copies.withLock { $0.append(handle) } }

    /// Appends bytes `range` of the buffer: a multiple of the alignment. `done` is called once for each
    /// volume, on any thread.
    func append(_ shared: LentBuffer, _ range: Range<Int>, done: @escaping @Sendable () -> Void) {
        for replica in replicas {
            replica.perform(watch) { sink in
                try sink.append(UnsafeRawBufferPointer(rebasing: shared.bytes[range]))
            } ended: {
                done()
            }
        }
    }

    var replicaCount: Int { replicas.count }

    /// Writes the rest of the bytes and the trailer, and makes the blob durable under its name on each
    /// volume.
    func finish(_ shared: LentBuffer?, _ range: Range<Int>, trailer: BlobTrailer) async {
        await each { replica, ended in
            replica.perform(watch) { sink in
                let tail =
                    shared.map { UnsafeRawBufferPointer(rebasing: $0.bytes[range]) }
                    ?? UnsafeRawBufferPointer(start: nil, count: 0)
                try sink.finish(tail: tail, trailer: trailer)
            } ended: {
                ended()
            }
        }
    }

    /// Removes what was written.
    func abort() async {
        await each { replica, ended in replica.abort(watch, ended: ended) }
        for handle in copies.withLock({ $0 }) {
            do {
                try await WatchedJob.run(on: handle.writer, watch: watch) { [id] in
                    try handle.volume.removeBlob(id)
                }
            } catch { volumes.fail(handle, reason: "removing unfinished blob \(id): \(error)") }
        }
    }

    /// The blob's event is committed: the names in incoming/ go, without a sync, because a name that a crash
    /// brings back is recognised by the catalog.
    func settle() {
        let handles = replicas.filter(\.isSound).map(\.handle) + copies.withLock { $0 }
        for handle in handles {
            let accepted = handle.writer.submit { [id, volumes] in
                do { try handle.volume.settle(id) } catch {
                    volumes.fail(handle, reason: "settling blob \(id): \(error)")
                }
            }
            if !accepted { volumes.fail(handle, reason: "the writer's queue is full") }
        }
    }

    private func each(_ body: (Replica, @escaping @Sendable () -> Void) -> Void) async {
        guard !replicas.isEmpty else { return }
        let countdown = Countdown(replicas.count)
        await withUnsafeContinuation { continuation in
            countdown.atZero { continuation.resume() }
            for replica in replicas { body(replica) { countdown.arrive() } }
        }
    }
}

/// The blob on one volume.
private final class Replica: Sendable {
    private struct State {
        var failed = false
        var sink: (any BlobSink)?
    }

    let id: BlobID
    let handle: VolumeHandle
    private let expectedLength: UInt64?
    private let volumes: VolumeSet
    private let state = Mutex(State())

    init(id: BlobID, expectedLength: UInt64?, handle: VolumeHandle, volumes: VolumeSet) {
        self.id = id
        self.expectedLength = expectedLength
        self.handle = handle
        self.volumes = volumes
    }

    var isSound: Bool { state.withLock { !$0.failed } && volumes.handle(handle.index) === handle }

    func perform(
        _ watch: OperationWatch, _ body: @escaping @Sendable (any BlobSink) throws -> Void,
        ended: @escaping @Sendable () -> Void
    ) {
        guard isSound else { return ended() }
        WatchedJob.submit(to: handle.writer, watch: watch) { [self] in
            guard isSound else { return }
            try body(try openSink())
        } ended: { [self] error in
            if let error {
                state.withLock { $0.failed = true }
                volumes.fail(handle, reason: "writing blob \(id): \(error)")
            }
            ended()
        }
    }

    /// Runs on the writer thread only.
    private func openSink() throws -> any BlobSink {
        if let sink = state.withLock({ $0.sink }) { return sink }
        let sink = try handle.volume.beginBlob(id, expectedLength: expectedLength, replacing: nil)
        state.withLock { $0.sink = sink }
        return sink
    }

    func abort(_ watch: OperationWatch, ended: @escaping @Sendable () -> Void) {
        WatchedJob.submit(to: handle.writer, watch: watch) { [self] in
            if let sink = state.withLock({ $0.sink.take() }) { try sink.abort() }
        } ended: { [self] error in
            // What cannot be removed now is an unknown name in incoming/, which the volume loses when it
            // returns.
            if let error { volumes.fail(handle, reason: "removing unfinished blob \(id): \(error)") }
            ended()
        }
    }
}

/// Calls back when everybody has arrived.
final class Countdown: Sendable {
    private let state: Mutex<(left: Int, body: (@Sendable () -> Void)?)>

    init(_ count: Int) { state = Mutex((count, nil)) }

    func atZero(_ body: @escaping @Sendable () -> Void) {
        let now = state.withLock { state -> Bool in
            if state.left > 0 { state.body = body }
            return state.left == 0
        }
        if now { body() }
    }

    func arrive() {
        let body = state.withLock { state -> (@Sendable () -> Void)? in
            precondition(state.left > 0, "more arrived than were counted")
            state.left -= 1
            return state.left == 0 ? state.body.take() : nil
        }
        body?()
    }
}
