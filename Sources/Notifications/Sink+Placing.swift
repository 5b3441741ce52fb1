import ObjectStore
import Synchronization

/// A log is cut only while no server has it, so once is enough: before the first event is told of.
extension Sink {
    /// Goes back if the log is not the one any more that the cursor followed: ``FollowedLog``.
    /// - Parameter told: of what there is to say of that.
    func place(_ told: (any Error) -> Void = { _ in }) throws {
        while let cursor = state.withLock({ $0.isPlaced ? nil : $0.cursor }) {
            let place = try FollowedLog(inspection.log).place(of: cursor)
            let isDone = state.withLock { state in
                // Somebody put it back meanwhile: then that is looked at.
                guard (state.cursor.sequence, state.cursor.replays) == (cursor.sequence, cursor.replays)
                else { return false }
                var placed = place.cursor
                placed.isPaused = state.cursor.isPaused
                if place.wentBack { state.putBack(placed) } else { state.cursor = placed }
                state.isPlaced = true
                return true
            }
            guard isDone else { continue }
            if let news = place.news {
                note(news)
                told(SinkError(news))
            }
            try save()
        }
    }
}
