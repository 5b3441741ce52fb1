import Model
import Synchronization
import Volumes

/// A volume that is open, with the threads that work on it. A volume that was set aside and returns gets a
/// new handle, so that what is still under way on the old one cannot be held against the new.
final class VolumeHandle: Sendable {
    let index: Int
    let volume: any Volume
    /// Appends to the volume's mirror of the log.
    let log: any Lane
    /// Writes, links and unlinks blobs.
    let writer: any Lane
    let reader: any Lane

    init(volume: any Volume, log: any Lane, writer: any Lane, reader: any Lane) {
        index = volume.index
        self.volume = volume
        self.log = log
        self.writer = writer
        self.reader = reader
    }

    func finishLanes() {
        log.finish()
        writer.finish()
        reader.finish()
    }
}

/// How a volume stands, for people and metrics.
public struct VolumeStatus: Sendable {
    public enum Standing: String, Sendable {
        case inService = "in service"
        case returning
        case setAside = "set aside"
    }

    public let index: Int
    public let path: String
    public let standing: Standing
    /// Why it is not in service.
    public let reason: String?
    public let since: Timestamp
    /// Work queued on its threads.
    public let queued: Int
}

/// The volumes of a store, and which of them are in good standing.
final class VolumeSet: Sendable {
    enum Standing {
        case inService(VolumeHandle)
        /// Open, and being brought up to date from the log.
        case returning(VolumeHandle)
        case setAside(reason: String)
    }

    private struct Place {
        let path: String
        var standing: Standing
        var since: Timestamp
        /// The volume that was open here last.
        var departed: DepartedVolume?
        /// The lane that appended to its log last: it may hang in an append still.
        var departedLog: (any Lane)?
        /// Kept by what is still under way on it; its lock must not keep the volume from returning.
        weak var departedVolume: DirectoryVolume?
    }

    private let places: Mutex<[Place]>
    private let serving = Atomic<Int>(0)
    private let clock: @Sendable () -> Timestamp
    /// Told of each volume that leaves service, once, on the thread that found out.
    private let listener = Mutex<(@Sendable (Int, String) -> Void)?>(nil)

    init(paths: [String], clock: @escaping @Sendable () -> Timestamp) {
        let now = clock()
        places = Mutex(paths.map { Place(path: $0, standing: .setAside(reason: "not opened"), since: now) })
        self.clock = clock
    }

    func onSetAside(_ body: @escaping @Sendable (Int, String) -> Void) {
        listener.withLock { $0 = body }
    }

    /// Volumes in good standing, by index.
    var inService: [VolumeHandle] {
        places.withLock { places in
            places.compactMap { place in
                if case .inService(let handle) = place.standing { handle } else { nil }
            }
        }
    }

    /// How many those are. Every answer to a GET says it, so it takes no lock.
    var inServiceCount: Int { serving.load(ordering: .acquiring) }

    /// Under the lock, after a standing has changed.
    private func count(_ places: [Place]) {
        let number = places.count { if case .inService = $0.standing { true } else { false } }
        serving.store(number, ordering: .releasing)
    }

    var setAside: [(index: Int, reason: String)] {
        places.withLock { places in
            places.enumerated().compactMap { offset, place in
                if case .setAside(let reason) = place.standing { (offset + 1, reason) } else { nil }
            }
        }
    }

    func path(of index: Int) -> String { places.withLock { $0[index - 1].path } }

    func handle(_ index: Int) -> VolumeHandle? {
        places.withLock { places in
            guard case .inService(let handle) = places[index - 1].standing else { return nil }
            return handle
        }
    }

    func place(_ handle: VolumeHandle, inService: Bool) {
        let now = clock()
        places.withLock { places in
            places[handle.index - 1].standing = inService ? .inService(handle) : .returning(handle)
            places[handle.index - 1].since = now
            count(places)
        }
    }

    /// The volume that was in service last, for a place whose volume is set aside.
    func departed(_ index: Int) -> DepartedVolume? {
        places.withLock { places in
            guard case .setAside = places[index - 1].standing else { return nil }
            return places[index - 1].departed
        }
    }

    /// Whether an append that began before the volume was set aside may still be under way.
    func hangs(_ index: Int) -> Bool {
        let log = places.withLock { $0[index - 1].departedLog }
        return (log?.depth ?? 0) > 0
    }

    /// Lets go of the lock on a volume that was set aside, which an upload that began before may still hold.
    func unlockDeparted(_ index: Int) { places.withLock { $0[index - 1].departedVolume }?.close() }

    /// Notes why a volume that is not open is not.
    func note(_ index: Int, reason: String) {
        let now = clock()
        places.withLock { places in
            if case .setAside(let known) = places[index - 1].standing, known == reason { return }
            places[index - 1].standing = .setAside(reason: reason)
            places[index - 1].since = now
        }
    }

    /// Sets the volume aside because of what `handle` met. Does nothing if the volume has another handle by
    /// now.
    func fail(_ handle: VolumeHandle, reason: String) {
        let now = clock()
        let wasInService: Bool? = places.withLock { places in
            let current: VolumeHandle
            let inService: Bool
            switch places[handle.index - 1].standing {
            case .inService(let present): (current, inService) = (present, true)
            case .returning(let present): (current, inService) = (present, false)
            case .setAside: return nil
            }
            guard current === handle else { return nil }
            places[handle.index - 1].departed = (current.volume as? DirectoryVolume)?.departure
            places[handle.index - 1].departedLog = current.log
            places[handle.index - 1].departedVolume = current.volume as? DirectoryVolume
            places[handle.index - 1].standing = .setAside(reason: reason)
            places[handle.index - 1].since = now
            count(places)
            return inService
        }
        guard let wasInService else { return }
        // What runs on the lanes now may be stuck in the kernel for ever: the lanes end when they can, nobody
        // waits.
        handle.finishLanes()
        if wasInService { listener.withLock { $0 }?(handle.index, reason) }
    }

    var statuses: [VolumeStatus] {
        places.withLock { places in
            places.enumerated().map { offset, place in
                let (standing, reason, handle): (VolumeStatus.Standing, String?, VolumeHandle?) =
                    switch place.standing {
                    case .inService(let handle): (.inService, nil, handle)
                    case .returning(let handle): (.returning, "being brought up to date from the log", handle)
                    case .setAside(let reason): (.setAside, reason, nil)
                    }
                let queued = handle.map { $0.log.depth + $0.writer.depth + $0.reader.depth } ?? 0
                return VolumeStatus(
                    index: offset + 1, path: place.path, standing: standing, reason: reason,
                    since: place.since, queued: queued)
            }
        }
    }
}
