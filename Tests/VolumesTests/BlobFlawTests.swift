import Digests
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// Every flaw that a replica can have, one by one.
@Suite struct BlobFlawTests {
    private let data = BlobFixture.data(150_000)

    private func written() throws -> BlobFixture {
        let fixture = try BlobFixture()
        try fixture.write(data)
        return fixture
    }

    @Test(arguments: [1, 4095, 4096, 4097, 65_536, 65_537, 150_000, 262_144])
    func aBlobIsReadAsItWasWritten(_ count: Int) throws {
        let fixture = try BlobFixture()
        let data = BlobFixture.data(count)
        try fixture.write(data)
        let blocks = BlobFormat.blockCount(UInt64(count))
        #expect(try fixture.read(data, blocks: 0..<blocks) == data)
        #expect(
            try fixture.read(data, blocks: blocks - 1..<blocks) == Array(data[(blocks - 1) * 65_536..<count]))
        #expect(fixture.flaws(data).isEmpty)
        #expect(try fixture.disk.contents(of: fixture.path).count % 4096 == 0)
        let info = try fixture.volume.info(of: BlobFixture.id, length: nil)
        #expect(info.descriptor.volume == 1 && info.descriptor.key == "key")
        #expect(try fixture.volume.listBlobs(firstByte: 0x3F) == [.blob(BlobFixture.id)])
    }

    @Test func aMissingFile() throws {
        let fixture = try written()
        try fixture.disk.lose(fixture.path)
        #expect(fixture.flaws(data) == [.missing])
    }

    @Test func aTruncatedFile() throws {
        let fixture = try written()
        let size = UInt64(try fixture.disk.contents(of: fixture.path).count)
        try fixture.disk.corruptSize(fixture.path, to: size - 4096)
        #expect(fixture.flaws(data) == [.truncated(expected: size, found: size - 4096)])
        try fixture.disk.corruptSize(fixture.path, to: 0)
        #expect(fixture.flaws(data) == [.truncated(expected: size, found: 0)])
    }

    @Test func anExtendedFile() throws {
        let fixture = try written()
        let size = UInt64(try fixture.disk.contents(of: fixture.path).count)
        for more in [1, 4096, 10_000] as [UInt64] {
            try fixture.disk.corruptSize(fixture.path, to: size + more)
            #expect(fixture.flaws(data) == [.extended(expected: size, found: size + more)])
        }
    }

    @Test func aDamagedFooter() throws {
        let fixture = try written()
        let bytes = try fixture.disk.contents(of: fixture.path)
        let footer = UInt64(bytes.count - BlobFormat.footerByteCount)
        for offset in [0, 40, 90, 127] as [UInt64] {
            try fixture.disk.corrupt(fixture.path, at: footer + offset)
            guard case .badFooter = fixture.flaws(data).first else {
                Issue.record("byte \(offset) of the footer: \(fixture.flaws(data))")
                continue
            }
            try fixture.disk.corrupt(fixture.path, at: footer + offset)
        }
        #expect(fixture.flaws(data).isEmpty)
    }

    @Test func aFooterOfAnUnknownFormatIsRefusedByNumber() throws {
        let fixture = try written()
        try fixture.editFooter { $0[8] = 6 }
        let flaw = try #require(fixture.flaws(data).first)
        #expect("\(flaw)".contains("format 6; this Holdfast knows format 1"))
    }

    @Test func aFooterThatContradictsItselfIsDamaged() throws {
        let fixture = try written()
        try fixture.editFooter { $0[48] = 200 }
        #expect(fixture.flaws(data) == [.badFooter("its offsets contradict each other")])
    }

    @Test func aDamagedBlockTable() throws {
        let fixture = try written()
        try fixture.disk.corrupt(fixture.path, at: 150_001)
        #expect(fixture.flaws(data) == [.badTable])
    }

    @Test func aDamagedDescriptor() throws {
        let fixture = try written()
        try fixture.disk.corrupt(fixture.path, at: 150_000 + 3 * 4 + 5)
        #expect(fixture.flaws(data) == [.badDescriptor("its checksum is wrong")])
    }

    @Test func aDescriptorThatContradictsTheFooter() throws {
        let fixture = try written()
        try fixture.editFooter { $0[72] ^= 1 }
        #expect(fixture.flaws(data) == [.badDescriptor("it contradicts the footer")])
    }

    @Test func aReplicaOfAnotherBlobOrAnotherStoreIsTold() throws {
        let fixture = try written()
        let other = BlobID(high: 0x3FA9_0000_0000_0000, low: 8)
        try fixture.write(data, id: other)
        try fixture.disk.place(
            fixture.disk.contents(of: "/v/" + fixture.volume.path(of: other)), at: fixture.path)
        #expect(
            fixture.flaws(data)
                == [.wrongIdentity(expected: "blob \(BlobFixture.id)", found: "blob \(other)")])
        try fixture.disk.lose(fixture.path)
        try fixture.volume.settle(BlobFixture.id)
        let foreign = StoreID(high: 8, low: 8)
        try fixture.write(data, storeID: foreign)
        #expect(
            fixture.flaws(data)
                == [
                    .wrongIdentity(
                        expected: "store \(BlobFixture.identity.storeID)", found: "store \(foreign)")
                ])
    }

    @Test func aShorterReplicaOfAnotherBlobIsNoTruncatedOne() throws {
        let fixture = try written()
        let other = BlobID(high: 0x3FA9_0000_0000_0000, low: 8)
        try fixture.write(BlobFixture.data(10), id: other)
        try fixture.disk.place(
            fixture.disk.contents(of: "/v/" + fixture.volume.path(of: other)), at: fixture.path)
        #expect(
            fixture.flaws(data)
                == [.wrongIdentity(expected: "blob \(BlobFixture.id)", found: "blob \(other)")])
    }

    @Test func aWholeReplicaThatIsNotWhatTheLogSays() throws {
        let fixture = try written()
        let stale = BlobFixture.data(150_000).reversed()
        guard case .wrongContent(let reason) = fixture.flaws(Array(stale)).first else {
            Issue.record("its SHA-256 is another")
            return
        }
        #expect(reason.contains(SHA256.hash(Array(stale)).hexadecimal))
        guard
            case .wrongContent = fixture.volume.verify(
                BlobFixture.id, length: 149_999, sha256: SHA256.hash(data), deep: false
            ).first
        else {
            Issue.record("its length is another")
            return
        }
    }

    @Test func aCorruptBlockIsNamedAndOnlyItIsRefused() throws {
        let fixture = try written()
        try fixture.disk.corrupt(fixture.path, at: 70_000)
        let flaws = fixture.flaws(data)
        guard case .corruptBlock(1, let expected, let found) = try #require(flaws.first) else {
            Issue.record("found \(flaws)")
            return
        }
        #expect(flaws.count == 1 && expected != found)
        #expect(fixture.flaws(data, deep: false).isEmpty, "a quick look sees trailers only")
        #expect(throws: flaws[0]) { try fixture.read(data, blocks: 1..<2) }
        #expect(try fixture.read(data, blocks: 0..<1) == Array(data[..<65_536]))
        #expect(try fixture.read(data, blocks: 2..<3) == Array(data[131_072...]))
    }

    @Test func bytesAndTableChangedTogetherAreFoundByTheWhole() throws {
        let fixture = try written()
        try fixture.disk.corrupt(fixture.path, at: 10)
        let block = Array(try fixture.disk.contents(of: fixture.path)[..<65_536])
        func littleEndian(_ value: UInt32) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        try fixture.disk.corrupt(fixture.path, at: 150_000, with: littleEndian(CRC32C.checksum(block)))
        let table = Array(try fixture.disk.contents(of: fixture.path)[150_000..<150_012])
        try fixture.editFooter { $0.replaceSubrange(64..<68, with: littleEndian(CRC32C.checksum(table))) }
        #expect(fixture.flaws(data) == [.wrongSHA256])
    }

    @Test func aRangeThatTheDiskCannotRead() throws {
        let fixture = try written()
        try fixture.disk.makeUnreadable(fixture.path, 70_000..<70_001)
        guard case .unreadable(let error) = try #require(fixture.flaws(data).first) else {
            Issue.record("found \(fixture.flaws(data))")
            return
        }
        #expect(error.code == EIO)
        #expect(throws: BlobFlaw.self) { try fixture.read(data, blocks: 1..<2) }
        #expect(try fixture.read(data, blocks: 0..<1) == Array(data[..<65_536]))
    }

    @Test func everyFlawSaysWhatIsWrong() {
        let flaws: [BlobFlaw] = [
            .missing, .truncated(expected: 4096, found: 1), .extended(expected: 1, found: 4096),
            .badFooter("reason"), .badTable, .badDescriptor("reason"),
            .wrongIdentity(expected: "blob a", found: "blob b"), .wrongContent("reason"),
            .corruptBlock(index: 3, expected: 1, found: 2), .wrongSHA256,
            .unreadable(FileSystemError(operation: "pread", path: "/p", code: EIO)),
        ]
        #expect(Set(flaws.map(\.description)).count == flaws.count)
        #expect("\(BlobFlaw.truncated(expected: 4096, found: 1))".contains("4096"))
        #expect("\(BlobFlaw.corruptBlock(index: 3, expected: 1, found: 2))".contains("block 3"))
    }
}
