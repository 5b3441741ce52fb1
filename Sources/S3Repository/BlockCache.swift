import Synchronization

/// Blocks of objects that were read lately: whoever walks a log asks for its frames one by one.
///
/// Bounded; what came first goes first. An object's version never changes, so what is here is never stale.
final class BlockCache: Sendable {
    static let blockByteCount = 64 * 1024
    /// What is read ahead of someone who reads on and on, at most.
    private static let aheadBlockCount = 64

    struct Place: Hashable {
        let key: String
        let etag: String
        let block: Int
    }

    private struct State {
        var blocks: [Place: [UInt8]] = [:]
        /// In the order in which they came; taken places stay until they are passed.
        var order: [Place] = []
        var first = 0
        /// Where the last fetch of an object ended, and how much it was.
        var last: (key: String, end: Int, count: Int) = ("", 0, 0)
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: blocks that are kept.
    init(limit: Int = 1024) { self.limit = limit }

    func block(_ place: Place) -> [UInt8]? { state.withLock { $0.blocks[place] } }

    /// How many blocks to fetch from one on, where so many are asked for: more each time to who reads on.
    func window(_ key: String, from block: Int, wanted: Int) -> Int {
        state.withLock { state in
            let readsOn = state.last.key == key && state.last.end == block
            let count = readsOn ? max(wanted, min(state.last.count * 2, Self.aheadBlockCount)) : wanted
            state.last = (key, block + count, count)
            return count
        }
    }

    func insert(_ bytes: [UInt8], key: String, etag: String, from block: Int) {
        state.withLock { state in
            var index = block
            var start = 0
            while start < bytes.count {
                let end = min(start + Self.blockByteCount, bytes.count)
                let place = Place(key: key, etag: etag, block: index)
                if state.blocks.updateValue(Array(bytes[start..<end]), forKey: place) == nil {
                    state.order.append(place)
                }
                (start, index) = (end, index + 1)
            }
            while state.blocks.count > limit {
                state.blocks[state.order[state.first]] = nil
                state.first += 1
            }
            if state.first > limit {
                state.order.removeFirst(state.first)
                state.first = 0
            }
        }
    }
}
