import Logging
import Model
import ObjectStore
import Synchronization

/// Sees to it that garbage is given back early where a volume is nearly full: the job `reclaim` runs at once, and writes
/// segments afresh that have less to give than is worth it otherwise. What history, snapshots and readers need stays.
///
/// A full volume can be set aside for want of room, so this is done before it is. It is done once a minute at most, and told
/// of by an event once an hour at most.
package final class SpaceWatch: Sendable {
    /// A volume counts as roomy again when it has so much more room than the mark, in parts of its size.
    static let margin = 0.02
    static let runSeconds: UInt64 = 60
    static let toldSeconds: UInt64 = 3600

    /// What a look came to.
    package struct Order: Sendable, Equatable {
        /// The job is to run now.
        package var runs = false
        /// What an event is to say; `nil` for nothing.
        package var reason: String?
        /// The volume that the event names.
        package var volume: Int?

        package init() {}
    }

    private struct State {
        var low: Set<Int> = []
        var runs = ActionWindow(limit: 1, seconds: SpaceWatch.runSeconds)
        var told = ActionWindow(limit: 1, seconds: SpaceWatch.toldSeconds)
    }

    /// `nil` if it is switched off.
    private let mark: Double?
    private let state = Mutex(State())

    /// - Parameter percent: of a volume that must be free.
    package init(percent: Int, isAllowed: Bool) {
        mark = isAllowed && percent > 0 ? Double(percent) / 100 : nil
    }

    /// Whether some volume has little room, as of the last look.
    package var isLow: Bool { state.withLock { !$0.low.isEmpty } }

    /// - Parameter rooms: the free part of each volume in service.
    package func look(_ rooms: [(volume: Int, freePart: Double)], at now: Timestamp) -> Order {
        guard let mark else { return Order() }
        return state.withLock { state in
            for (volume, part) in rooms {
                if part < mark { state.low.insert(volume) }
                if part >= mark + Self.margin { state.low.remove(volume) }
            }
            var order = Order()
            guard let volume = state.low.min() else { return order }
            if !state.runs.isFull(at: now) {
                state.runs.note(now)
                order.runs = true
            }
            if order.runs, !state.told.isFull(at: now) {
                state.told.note(now)
                let part = rooms.first { $0.volume == volume }?.freePart ?? 0
                order.volume = volume
                order.reason =
                    "it has \(Int(part * 100)) % of its room left, less than \(Int((mark * 100).rounded())) %: what nothing needs is given back now"
            }
            return order
        }
    }
}

extension SpaceWatch {
    private static let interval = Duration.seconds(5)

    /// Looks every few seconds until the task is cancelled; on a thread that may wait for disks.
    func run(_ store: ObjectStore, _ jobs: JobScheduler, _ logger: Logger) async {
        while true {
            let rooms = VolumeRoom.ofVolumes(in: store).map { (volume: $0.index, freePart: $0.freePart) }
            let order = look(rooms, at: .now())
            if let reason = order.reason, let volume = order.volume {
                store.inspection.announceHealing("reclaim-early", "volume \(volume)", reason)
                logger.warning("volume \(volume): \(reason)")
            }
            if order.runs {
                do { try jobs.ask(JobKind.reclaim.rawValue) } catch JobRefusal.paused {
                    // Whoever paused it knows why.
                } catch {
                    logger.error("giving space back early: \(error)")
                }
            }
            do { try await Task.sleep(for: Self.interval) } catch { return }  // cancelled
        }
    }
}
