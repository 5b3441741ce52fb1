import Foundation
import HoldfastServer
import Testing

@Suite struct FreeMemoryTests {
    @Test func aLargeBlockIsTheKernelsAgainWhenItIsFreed() {
        #expect(FreeMemory.bound())
        // Without a bound this one makes its size the usual one: no smaller block is given back from here on.
        _ = isGivenBack(24 * 1024 * 1024)
        // Another thread may get the same addresses in between: not each time.
        let count = (0..<10).count { _ in isGivenBack(4 * 1024 * 1024) }
        #expect(count > 0)
    }
}

/// Takes memory, uses it and frees it: whether the process has its addresses no more.
private func isGivenBack(_ byteCount: Int) -> Bool {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: page)
    block.initializeMemory(as: UInt8.self, repeating: 1)
    let middle = UInt(bitPattern: block.baseAddress) + UInt(byteCount / 2)
    block.deallocate()
    var state: UInt8 = 0
    return mincore(UnsafeMutableRawPointer(bitPattern: middle), page, &state) != 0 && errno == ENOMEM
}
