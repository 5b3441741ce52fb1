import Model
import Synchronization

/// A replica whose trailer was read and found good.
final class OpenBlob: Sendable {
    let file: any File
    let info: BlobInfo

    init(file: any File, info: BlobInfo) {
        self.file = file
        self.info = info
    }
}

/// The replicas read lately, kept open with their block tables. A file is closed when its last reader lets go
/// of it.
final class OpenBlobs: Sendable {
    static let fileLimit = 256
    /// Bytes of block tables.
    static let tableLimit = 8 * 1024 * 1024

    private struct State {
        var entries: [BlobID: (blob: OpenBlob, used: UInt64)] = [:]
        var clock: UInt64 = 0
        var tableByteCount = 0
    }

    private let state = Mutex(State())

    func find(_ id: BlobID) -> OpenBlob? {
        state.withLock { state in
            guard let entry = state.entries[id] else { return nil }
            state.clock += 1
            state.entries[id]?.used = state.clock
            return entry.blob
        }
    }

    func insert(_ blob: OpenBlob) {
        state.withLock { state in
            state.clock += 1
            remove(blob.info.id, &state)
            state.entries[blob.info.id] = (blob, state.clock)
            state.tableByteCount += 4 * blob.info.blockChecksums.count
            while state.entries.count > Self.fileLimit
                || (state.tableByteCount > Self.tableLimit && state.entries.count > 1)
            {
                guard let oldest = state.entries.min(by: { $0.value.used < $1.value.used }) else { break }
                remove(oldest.key, &state)
            }
        }
    }

    func forget(_ id: BlobID) { state.withLock { remove(id, &$0) } }

    private func remove(_ id: BlobID, _ state: inout State) {
        guard let entry = state.entries.removeValue(forKey: id) else { return }
        state.tableByteCount -= 4 * entry.blob.info.blockChecksums.count
    }
}
