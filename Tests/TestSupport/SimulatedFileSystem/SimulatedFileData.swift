import Volumes

/// The bytes of one simulated file, as programs see them and as the device has them.
///
/// Both are sparse maps of pages; a page that is not there is zeros. Pages are arrays that both maps, and
/// every clone of the file system, share until one of them is written to. What was written and not synced is
/// `dirty`; after a crash each of its sectors is found old or new.
struct SimulatedFileData: Sendable {
    static let pageSize = 4096
    static let sectorSize = 512

    private(set) var size: UInt64 = 0
    private(set) var syncedSize: UInt64 = 0
    private var pages: [Int: [UInt8]] = [:]
    private var syncedPages: [Int: [UInt8]] = [:]
    private var dirty: Set<Int> = []
    /// Pages that a failed sync dropped: memory still shows them, the device never had them.
    private var lost: Set<Int> = []
    private var sizeIsDirty = false
    /// Whether `readIfCached` finds the file in memory.
    var isCached = true
    /// Ranges in which the device reports an error.
    private(set) var unreadable: [Range<UInt64>] = []
    var linkCount = 0

    var permissions: UInt16

    init(permissions: UInt16) { self.permissions = permissions }

    /// What the file counts for against the space limit: sparse or not, its whole size.
    var charge: UInt64 { Self.charge(of: size) }

    static func charge(of size: UInt64) -> UInt64 {
        (size + UInt64(pageSize) - 1) / UInt64(pageSize) * UInt64(pageSize)
    }

    func isUnreadable(_ range: Range<UInt64>) -> Bool { unreadable.contains { $0.overlaps(range) } }

    mutating func makeUnreadable(_ range: Range<UInt64>) { unreadable.append(range) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        guard offset < size else { return 0 }
        let count = Int(min(UInt64(buffer.count), size - offset))
        var done = 0
        while done < count {
            let position = Int(offset) + done
            let (page, start) = (position / Self.pageSize, position % Self.pageSize)
            let length = min(Self.pageSize - start, count - done)
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + length])
            if let bytes = pages[page] {
                bytes.withUnsafeBytes {
                    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + length]))
                }
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += length
        }
        return count
    }

    mutating func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) {
        guard !buffer.isEmpty else { return }
        var done = 0
        while done < buffer.count {
            let position = Int(offset) + done
            let (page, start) = (position / Self.pageSize, position % Self.pageSize)
            let length = min(Self.pageSize - start, buffer.count - done)
            let source = UnsafeRawBufferPointer(rebasing: buffer[done..<done + length])
            store(source, page: page, start: start)
            done += length
        }
        let end = offset + UInt64(buffer.count)
        unreadable.removeAll { offset <= $0.lowerBound && $0.upperBound <= end }
        if end > size {
            size = end
            sizeIsDirty = true
        }
    }

    private mutating func store(_ source: UnsafeRawBufferPointer, page: Int, start: Int) {
        if pages[page] == nil {
            // Zeros over zeros: segments are zeroed ahead, and need no memory for that.
            if syncedPages[page] == nil, source.allSatisfy({ $0 == 0 }) { return }
            pages[page] = [UInt8](repeating: 0, count: Self.pageSize)
        }
        pages[page]!.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + source.count]).copyMemory(from: source)
        }
        dirty.insert(page)
        lost.remove(page)
    }

    mutating func resize(to newSize: UInt64) {
        if newSize < size {
            let firstCut = Int((newSize + UInt64(Self.pageSize) - 1) / UInt64(Self.pageSize))
            for page in pages.keys where page >= firstCut {
                pages[page] = nil
                dirty.insert(page)
            }
            let rest = Int(newSize) % Self.pageSize
            if rest > 0, pages[firstCut - 1] != nil {
                for index in rest..<Self.pageSize { pages[firstCut - 1]![index] = 0 }
                dirty.insert(firstCut - 1)
            }
        }
        if newSize != size {
            size = newSize
            sizeIsDirty = true
        }
    }

    mutating func sync() {
        for page in dirty { syncedPages[page] = pages[page] }
        dirty.removeAll()
        syncedSize = size
        sizeIsDirty = false
    }

    /// A sync that failed: the kernel marks the pages clean all the same, so that no later sync writes them.
    mutating func failSync() {
        lost.formUnion(dirty)
        dirty.removeAll()
        sizeIsDirty = false
    }

    /// Clean pages leave memory; those that a failed sync dropped are then seen as the device has them.
    mutating func dropCache() {
        for page in lost { pages[page] = syncedPages[page] }
        if !lost.isEmpty, !sizeIsDirty, dirty.isEmpty { size = syncedSize }
        lost.removeAll()
        isCached = false
    }

    /// Changes the bytes on the device and in memory alike, behind everybody's back.
    mutating func corrupt(at offset: UInt64, _ change: (inout UInt8) -> Void) {
        let (page, index) = (Int(offset) / Self.pageSize, Int(offset) % Self.pageSize)
        var bytes = pages[page] ?? [UInt8](repeating: 0, count: Self.pageSize)
        change(&bytes[index])
        pages[page] = bytes
        var synced = syncedPages[page] ?? [UInt8](repeating: 0, count: Self.pageSize)
        synced[index] = bytes[index]
        syncedPages[page] = synced
    }

    /// Resizes on the device and in memory alike, behind everybody's back.
    mutating func corruptSize(to newSize: UInt64) {
        resize(to: newSize)
        sync()
    }

    // MARK: After a crash

    /// How much of what was not synced a crash loses.
    enum Loss { case everything, nothing, some }

    /// The file as the machine finds it after a crash.
    func recovered(_ loss: Loss, using generator: inout SeededGenerator) -> SimulatedFileData {
        var found = SimulatedFileData(permissions: permissions)
        found.pages = syncedPages
        for page in dirty.sorted() {
            found.pages[page] = surviving(page, loss, using: &generator)
        }
        let survivingSize: UInt64 =
            switch loss {
            case .everything: syncedSize
            case .nothing: sizeIsDirty ? size : syncedSize
            case .some: sizeIsDirty ? randomSize(using: &generator) : syncedSize
            }
        // A page beyond the end may have reached the device; the size decides what is seen of it.
        found.size = UInt64(Int.max)
        found.resize(to: survivingSize)
        found.syncedPages = found.pages
        found.syncedSize = survivingSize
        found.dirty.removeAll()
        found.sizeIsDirty = false
        found.unreadable = unreadable
        found.isCached = false
        return found
    }

    private func surviving(_ page: Int, _ loss: Loss, using generator: inout SeededGenerator) -> [UInt8]? {
        let (old, new) = (syncedPages[page], pages[page])
        switch loss {
        case .everything: return old
        case .nothing: return new
        case .some: break
        }
        switch generator.next() % 5 {
        case 0, 1: return old
        case 2, 3: return new
        default:
            let zeros = [UInt8](repeating: 0, count: Self.pageSize)
            var mixed = old ?? zeros
            let fresh = new ?? zeros
            let choice = generator.next()
            for sector in 0..<Self.pageSize / Self.sectorSize where choice >> UInt64(sector) & 1 == 1 {
                let range = sector * Self.sectorSize..<(sector + 1) * Self.sectorSize
                mixed.replaceSubrange(range, with: fresh[range])
            }
            return mixed
        }
    }

    /// The size before, the size after, or any number of sectors between.
    private func randomSize(using generator: inout SeededGenerator) -> UInt64 {
        switch generator.next() % 3 {
        case 0: return syncedSize
        case 1: return size
        default:
            let between = UInt64.random(in: min(size, syncedSize)...max(size, syncedSize), using: &generator)
            return max(between / UInt64(Self.sectorSize) * UInt64(Self.sectorSize), min(size, syncedSize))
        }
    }
}
