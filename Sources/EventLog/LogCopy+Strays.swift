import Model
import Synchronization
import Volumes

/// Where a segment is several objects, whoever writes it afresh as one may be cut off before the others are removed.
///
/// Nothing is removed on doubt: objects behind a gap may be what is left of a segment, one object of which is lost. But a segment
/// that ends with its seal is complete; where that counts the events up to the next segment, and the next one's chain hash is
/// that of its last event, no other object under its name is part of it.
extension LogCopy {
    /// - Returns: objects that were removed.
    package func removeStrays() throws -> Int {
        guard let straying = fileSystem as? any StrayKeepingFileSystem else { return 0 }
        let firsts = state.withLock { $0.firsts }
        var removed = 0
        for (first, next) in zip(firsts, firsts.dropFirst())
        where try straying.hasStrays(of: path(first)) && isComplete(first, before: next) {
            removed += try straying.removeStrays(of: path(first))
        }
        return removed
    }

    private func isComplete(_ first: SequenceNumber, before next: SequenceNumber) throws -> Bool {
        do {
            guard let seal = try sealed(first).seal, seal.first == first,
                UInt64(seal.count) == next.rawValue - first.rawValue
            else { return false }
            let last = SequenceNumber(next.rawValue - 1)
            return try chainHash(ifReadableAt: last) == Self.open(path(next), next, fileSystem).header.chain
        } catch LogError.damaged {
            return false
        }
    }
}
