import Catalog
import EventLog
import Model
import Volumes

/// What restores ask of the log and the volumes of an open store.
extension StoreInspection {
    /// Reads whole blocks of a blob, verified, from the first volume that has them all; block by block where none has.
    /// - Throws: ``BlobFlaw`` if no volume in service has a good replica of some block.
    package func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        var flaw: any Error = BlobFlaw.missing
        for volume in volumes {
            do { return try volume.readBlocks(id, length: length, blocks: blocks, into: buffer) } catch {
                flaw = error
            }
        }
        guard blocks.count > 1 else { throw flaw }
        var count = 0
        for block in blocks {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            count += try readBlocks(id, length: length, blocks: block..<block + 1, into: rest)
        }
        return count
    }

    /// Whether some mirror in service has an event good, with the bytes it carries.
    package func isReadable(_ sequence: SequenceNumber) -> Bool {
        firstUnreadableEvent(from: sequence, through: sequence) == nil
    }

    /// The first event in a run that no mirror in service has good.
    package func firstUnreadableEvent(
        from first: SequenceNumber, through last: SequenceNumber
    ) -> SequenceNumber? {
        log.firstIncompleteFrame(from: first, through: last)
    }

    /// Puts an event that no mirror has good back on each of them, from a copy of the log elsewhere: only if it follows
    /// from the event before it, and the event behind it from it. What was there goes to quarantine.
    /// - Returns: the volumes that were mended, what was wrong there, and where it was put.
    /// - Throws: ``LogError`` if the copy has not got it good, or has another.
    package func restoreEvent(
        _ sequence: SequenceNumber, from copy: LogMirror
    ) async throws -> [(volume: Int, evidence: String, quarantined: String)] {
        var mended: [(volume: Int, evidence: String, quarantined: String)] = []
        for index in log.inService.sorted() {
            let flaws = log.verifyFrames(from: sequence, through: sequence, mirror: index)
            guard let flaw = flaws.first else { continue }
            mended.append((index, flaw.reason, try await restoreEvent(sequence, on: index, from: copy)))
        }
        return mended
    }

    private func restoreEvent(
        _ sequence: SequenceNumber, on index: Int, from copy: LogMirror
    ) async throws -> String {
        let log = log
        let repair: @Sendable () throws -> String = {
            try log.consulting([copy]) { try log.repair(sequence, mirror: index) }
        }
        // The segment that is appended to belongs to the commit thread.
        guard log.isInActiveSegment(sequence) else { return try await engine.repairs.run(repair) }
        return try await excluding(repair)
    }
}
