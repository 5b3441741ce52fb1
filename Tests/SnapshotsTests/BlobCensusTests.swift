import Foundation
import Model
import Snapshots
import TestSupport
import Testing

@Suite struct BlobCensusTests {
    private static func row(_ number: UInt64) -> BlobCensus.Row {
        BlobCensus.Row(
            id: BlobID(high: number, low: 1), length: number,
            sha256: Array(repeating: UInt8(number % 256), count: 32))
    }

    private func add(_ numbers: some Sequence<UInt64>, to census: BlobCensus) throws {
        var iterator = numbers.makeIterator()
        try census.merge { iterator.next().map(Self.row) }
    }

    @Test func eachBlobIsThereOnceInOrder() throws {
        let census = BlobCensus(scratch: FileManager.default.temporaryDirectory.path)
        let generator = SeededGenerator.seed(standard: 7)
        var random = SeededGenerator(seed: generator)
        var expected = Set<UInt64>()
        for _ in 0..<6 {
            let numbers = Set((0..<3000).map { _ in UInt64.random(in: 0..<20_000, using: &random) })
            expected.formUnion(numbers)
            try add(numbers.sorted(), to: census)
        }
        var found: [BlobCensus.Row] = []
        try census.forEach { index, row in
            #expect(index == found.count)
            found.append(row)
        }
        #expect(found == expected.sorted().map(Self.row))
        #expect(census.count == expected.count)
        for number in [UInt64(0), 5, 9_999, 19_999, 30_000] {
            let through = try census.countThrough(BlobID(high: number, low: 1))
            #expect(through == expected.filter { $0 <= number }.count)
        }
    }

    @Test(arguments: [0, 1, 3, 5]) func itIsGoneThroughFromAnywhereAndThenFromTheBeginning(start: Int) throws
    {
        let census = BlobCensus(scratch: FileManager.default.temporaryDirectory.path)
        try add(0..<5, to: census)
        var found: [UInt64] = []
        try census.forEach(from: start) { place, row in
            #expect(place == found.count)
            found.append(row.length)
        }
        let numbers = Array(UInt64(0)..<5)
        #expect(found == Array(numbers.dropFirst(start)) + Array(numbers.prefix(start)))
    }

    @Test func nothingIsThereBeforeAnythingIsAdded() throws {
        let census = BlobCensus(scratch: FileManager.default.temporaryDirectory.path)
        try census.forEach { _, _ in Issue.record("there is a row") }
        #expect(try census.count == 0 && census.countThrough(BlobID(high: 1, low: 1)) == 0)
        try add([], to: census)
        #expect(census.count == 0)
    }

    /// While a million blobs are merged, all but a few thousand of those that were given are on the disk.
    @Test func blobsDoNotStayInMemory() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/census-\(UniqueID<Never>.random())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Its files have no name: they are looked for among those that this process has open.
        func written() throws -> [Int] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { name in
                let path = "/proc/self/fd/" + name
                // Other tests close theirs meanwhile.
                guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                    target.hasPrefix(folder + "/")
                else { return nil }
                var information = stat()
                try #require(stat(path, &information) == 0)
                return Int(information.st_size)
            }.sorted()
        }
        let census = BlobCensus(scratch: folder)
        var given = 0
        let total = 500_000
        try census.merge {
            if given % 50_000 == 0 {
                let least = (given - 2 * BlobCensus.pageCount) * BlobCensus.rowByteCount
                let byteCount = try written().last ?? 0
                #expect(byteCount >= least, "after \(given) blobs")
            }
            given += 1
            return given <= total ? Self.row(UInt64(given)) : nil
        }
        try add(UInt64(250_000)...UInt64(1_000_000), to: census)
        #expect(census.count == 1_000_000)
        #expect(try written() == [1_000_000 * BlobCensus.rowByteCount], "and the list before is gone")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.isEmpty, "nothing is left of a process that is killed")
    }
}
