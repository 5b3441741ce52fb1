import Catalog
import Foundation
import Model
import SwiftProtobuf
import TestSupport
import Testing

/// The reader that listings have for records, against SwiftProtobuf.
@Suite struct ListedRecordTests {
    private func expectSame(_ record: EventVersionPublished, _ comment: Comment? = nil) throws {
        let bytes: [UInt8] = try record.serializedBytes()
        let listed = try #require(bytes.withUnsafeBytes { ListedRecord($0) }, comment)
        #expect(listed.key == record.key && listed.versionID == Array(record.versionID), comment)
        #expect(listed.isNull == record.nullVersion, comment)
        #expect(listed.isDeleteMarker == record.deleteMarker, comment)
        #expect(listed.size == record.size && listed.etag == record.etag, comment)
        #expect(listed.owner == record.owner, comment)
        #expect(listed.storageClass == record.metadata.storageClass, comment)
        #expect(listed.checksum?.algorithm == record.checksums.first?.algorithm.rawValue, comment)
        #expect(listed.checksum?.composite == record.checksums.first?.composite, comment)
    }

    @Test func everyRecordIsReadAsSwiftProtobufReadsIt() throws {
        let seed = SeededGenerator.seed(standard: 11)
        print("HOLDFAST_SEED=\(seed): records of listings")
        var random = SeededGenerator(seed: seed)
        try expectSame(EventVersionPublished(), "an empty record")
        for number in 0..<2000 {
            try expectSame(Self.record(&random), "record \(number), seed \(seed)")
        }
    }

    private static func text(_ random: inout SeededGenerator) -> String {
        let letters = ["a", "/", "é", "\u{10FFFF}", "\0", "z", " "]
        return (0..<Int.random(in: 0...200, using: &random)).map { _ in
            letters.randomElement(using: &random) ?? ""
        }.joined()
    }

    private static func record(_ random: inout SeededGenerator) -> EventVersionPublished {
        var record = EventVersionPublished()
        record.bucket = text(&random)
        record.key = text(&random)
        record.versionID = Data(random.bytes(16))
        record.nullVersion = .random(using: &random)
        record.deleteMarker = .random(using: &random)
        record.size =
            UInt64.random(in: 0 ... .max, using: &random) >> UInt64.random(in: 0...63, using: &random)
        record.etag = text(&random)
        record.owner = text(&random)
        record.ownerDisplayName = text(&random)
        if .random(using: &random) {
            record.metadata.contentType = text(&random)
            record.metadata.storageClass = text(&random)
            record.metadata.user = [text(&random): text(&random)]
        }
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            var checksum = EventChecksum()
            checksum.algorithm =
                EventChecksumAlgorithm(
                    rawValue: Int.random(in: 0...300, using: &random)) ?? .unspecified
            checksum.value = Data(random.bytes(8))
            checksum.composite = .random(using: &random)
            record.checksums.append(checksum)
        }
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            var piece = EventPiece()
            piece.length = .random(in: 0 ... .max, using: &random)
            piece.sha256 = Data(random.bytes(32))
            record.pieces.append(piece)
        }
        record.replacedSequence = .random(in: 0...9, using: &random)
        return record
    }

    @Test func whatIsNoRecordIsLeftToSwiftProtobuf() throws {
        var record = EventVersionPublished()
        record.key = "key"
        record.etag = "0123456789"
        let bytes: [UInt8] = try record.serializedBytes()
        for count in 1..<bytes.count {
            let isWhole = bytes[..<count].withUnsafeBytes { ListedRecord($0) } != nil
            let isMessage = (try? EventVersionPublished(serializedBytes: Array(bytes[..<count]))) != nil
            #expect(isWhole == isMessage, "\(count) bytes")
        }
        // A fixed-size field, which no record has; a number of eleven bytes.
        for odd in [[0x09, 1, 2, 3, 4, 5, 6, 7, 8], [0x30] + [UInt8](repeating: 0xFF, count: 11)] {
            #expect(odd.withUnsafeBytes { ListedRecord($0) } == nil)
        }
    }
}
