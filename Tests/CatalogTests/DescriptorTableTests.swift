import Catalog
import Foundation
import Model
import Testing

/// What replicas say of themselves, gathered on the disk.
@Suite struct DescriptorTableTests {
    private func version(_ key: String, _ version: UInt8 = 1) throws -> DescriptorTable.Version {
        DescriptorTable.Version(
            bucket: "bucket", key: try ObjectKey(key), version: Data(repeating: version, count: 16))
    }

    private func descriptor(_ part: UInt32, time: UInt64) -> EventBlobDescriptor {
        var descriptor = EventBlobDescriptor()
        descriptor.partNumber = part
        descriptor.createdMicroseconds = time
        return descriptor
    }

    private func withTable(_ body: (DescriptorTable, _ directory: String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/table-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: directory) } }
        try body(try DescriptorTable(in: directory), directory)
    }

    @Test func theNewerOfTwoBlobsOfAPartIsKept() throws {
        try withTable { table, _ in
            let version = try version("a")
            try table.fill { add in
                let returned = try [10, 20, 15, 20].map { try add(version, descriptor(1, time: $0)) }
                // Of two that are as old, the first is kept.
                #expect(returned.map { $0?.createdMicroseconds } == [nil, 10, 15, 20])
            }
            var given: [[EventBlobDescriptor]] = []
            try table.publish { _, parts in
                given.append(parts)
                return nil
            }
            #expect(given == [[descriptor(1, time: 20)]])
        }
    }

    @Test func versionsComeByNameWithTheirPartsInOrderAndArePublishedByTime() throws {
        try withTable { table, _ in
            // "é" in one code point and in two are two keys.
            let keys = ["b", "e\u{301}", "a", "\u{e9}"]
            try table.fill { add in
                for (index, key) in keys.enumerated() {
                    for part: UInt32 in [10, 2, 1] {
                        _ = try add(try version(key), descriptor(part, time: UInt64(100 - index)))
                    }
                }
                _ = try add(try version("a", 2), descriptor(0, time: 5))
            }
            var seen: [DescriptorTable.Version] = []
            try table.publish { version, parts in
                seen.append(version)
                #expect(parts.map(\.partNumber) == (parts.count == 1 ? [0] : [1, 2, 10]))
                return version.key.rawValue == "b" ? nil : parts[0].createdMicroseconds
            }
            let expected = [
                try version("a"), try version("a", 2), try version("b"), try version("e\u{301}"),
                try version("\u{e9}"),
            ]
            #expect(seen == expected)
            var published: [UInt64] = []
            try table.forEachPublished { time, version, parts in
                published.append(time)
                #expect(version.key.rawValue != "b" && parts.allSatisfy { $0.createdMicroseconds == time })
            }
            #expect(published == [5, 97, 98, 99])
        }
    }

    @Test func nothingIsLeftOfItByName() throws {
        try withTable { table, directory in
            try table.fill { add in
                for count in 0..<5000 {
                    var large = descriptor(0, time: UInt64(count))
                    large.owner = String(repeating: "o", count: 1000)
                    _ = try add(try version("key \(count)"), large)
                }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
            var count = 0
            try table.publish { _, parts in
                count += 1
                return parts[0].createdMicroseconds
            }
            #expect(count == 5000)
        }
    }
}
