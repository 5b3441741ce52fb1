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

    /// What a look came to: for which volume the job is to run now, and why.
    package struct Order: Sendable, Equatable {
        package let volume: Int
        package let reason: String
    }

    /// What somebody is to be told of an order that was carried out, or was not.
    package enum Notice: Sendable, Equatable {
        case acted(Order)
        /// Whoever paused the job is reminded of what it would have done.
        case paused(Order)
        case failed(String)
    }

    private struct State {
        var low: Set<Int> = []
        var runs = ActionWindow(limit: 1, seconds: SpaceWatch.runSeconds)
        var told = ActionWindow(limit: 1, seconds: SpaceWatch.toldSeconds)
        var reminded = ActionWindow(limit: 1, seconds: SpaceWatch.toldSeconds)
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
    /// - Returns: `nil` if nothing is to be done now.
    package func look(_ rooms: [(volume: Int, freePart: Double)], at now: Timestamp) -> Order? {
        guard let mark else { return nil }
        return state.withLock { state in
            // Of one that has left service nothing is known, and nothing can be given back there.
            state.low.formIntersection(rooms.map(\.volume))
            for (volume, part) in rooms {
                if part < mark { state.low.insert(volume) }
                if part >= mark + Self.margin { state.low.remove(volume) }
            }
            let low = rooms.filter { state.low.contains($0.volume) }.min { $0.volume < $1.volume }
            guard let (volume, part) = low, state.runs.take(at: now) else { return nil }
            let (left, wanted) = (Int(part * 100), Int((mark * 100).rounded()))
            return Order(
                volume: volume, reason: "it has \(left) % of its room left, less than \(wanted) %")
        }
    }

    /// An event claims what was done, so it comes after.
    /// - Parameter ask: for a run of the job.
    package func carryOut(_ order: Order, at now: Timestamp, ask: () throws -> Void) -> Notice? {
        do { try ask() } catch JobRefusal.paused {
            return state.withLock { $0.reminded.take(at: now) } ? .paused(order) : nil
        } catch {
            return .failed("\(error)")
        }
        return state.withLock { $0.told.take(at: now) } ? .acted(order) : nil
    }
}

extension ActionWindow {
    /// Whether it fits; then it counts.
    fileprivate mutating func take(at now: Timestamp) -> Bool {
        guard !isFull(at: now) else { return false }
        note(now)
        return true
    }
}

extension SpaceWatch {
    private static let interval = Duration.seconds(5)

    /// Looks every few seconds until the task is cancelled; on a thread that may wait for disks.
    func run(_ store: ObjectStore, _ jobs: JobScheduler, _ logger: Logger) async {
        while true {
            let rooms = VolumeRoom.ofVolumes(in: store).map { (volume: $0.index, freePart: $0.freePart) }
            if let order = look(rooms, at: .now()),
                let notice = carryOut(order, at: .now(), ask: { try jobs.ask(JobKind.reclaim.rawValue) })
            {
                tell(notice, store, logger)
            }
            do { try await Task.sleep(for: Self.interval) } catch { return }  // cancelled
        }
    }

    private func tell(_ notice: Notice, _ store: ObjectStore, _ logger: Logger) {
        switch notice {
        case .acted(let order):
            let reason = "\(order.reason): what nothing needs is given back now"
            store.inspection.announceHealing("reclaim-early", "volume \(order.volume)", reason)
            logger.warning("volume \(order.volume): \(reason)")
        case .paused(let order):
            logger.warning(
                "volume \(order.volume): \(order.reason): nothing is given back early, for the job '\(JobKind.reclaim.rawValue)' is paused"
            )
        case .failed(let reason): logger.error("giving space back early: \(reason)")
        }
    }
}
