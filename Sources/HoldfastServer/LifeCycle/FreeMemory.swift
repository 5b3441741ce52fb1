import CFileSystem
import Foundation

/// What the process keeps of memory that it no longer uses.
///
/// Left to itself, glibc takes the largest block that was given back so far for the size that is usual: from then on blocks of up
/// to 32 MiB come from its arenas, and each arena keeps up to 64 MiB that is free at its end, which `malloc_trim` does not
/// take either. There are eight arenas for each processor, and a thread that begins takes any of them. A volume that returns needs
/// a whole segment of the log once, on a thread of its own, so that each return filled another arena. After 28 faults on two
/// processors a process had 383 MB in memory, of which 52 were in use; with these bounds it has 136, and requests cost as much
/// processor time as before.
public enum FreeMemory {
    /// From this size on a block is mapped for itself, and unmapped when it is freed. The buffers that blobs are read and
    /// written with have this size: they stay for good, and in an arena would stand between what comes and goes. What each
    /// request needs is smaller: with a bound of 256 KiB it had three times the page faults.
    static let mapByteCount = 1024 * 1024
    /// What may stay free at the end of an arena: a few requests' worth.
    static let keptByteCount = 2 * 1024 * 1024
    /// What is free in one arena is of no use to the others, and no more threads than there are processors allocate at once.
    static let arenasPerProcessor = 2
    static let fewestArenas = 4

    /// To be called before threads are many: arenas that are there stay.
    /// - Returns: whether the C library takes it.
    public static func bound() -> Bool {
        let arenas = max(fewestArenas, arenasPerProcessor * ProcessInfo.processInfo.activeProcessorCount)
        return holdfast_bound_free_memory(Int32(mapByteCount), Int32(keptByteCount), Int32(arenas)) == 0
    }
}
