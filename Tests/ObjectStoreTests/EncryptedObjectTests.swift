import Encryption
import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct EncryptedObjectTests {
    private let key = SecretKey.random()

    private var encryption: UploadEncryption {
        var record = EventEncryption()
        record.kind = .s3
        record.keyID = "test"
        record.wrappedKey = Data([1, 2, 3])
        return UploadEncryption(record: record, dataKey: key)
    }

    private func put(_ started: StartedStore, _ name: String, _ bytes: [UInt8], step: Int = 50_001)
        async throws
        -> ObjectVersion
    {
        var target = UploadTarget(
            bucket: started.bucket, key: try ObjectKey(name), metadata: EventMetadata(), actor: tester,
            part: nil, expectedLength: UInt64(bytes.count), checksum: .sha256)
        target.encryption = encryption
        let upload = started.store.beginUpload(target)
        for start in stride(from: 0, to: bytes.count, by: step) {
            try await upload.write(bytes[start..<min(start + step, bytes.count)])
        }
        _ = try await upload.finish()
        return try await started.store.publish(upload, conditions: .none, checksums: []).value
    }

    private func read(
        _ started: StartedStore, _ version: ObjectVersion, _ range: Range<UInt64>, key: SecretKey?,
        step: Int = 30_000
    ) async throws -> [UInt8] {
        let reader = started.store.reader(of: version, range: range, dataKey: key)
        let buffer = AlignedBuffer(capacity: 1 << 20)
        var bytes: [UInt8] = []
        while true {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<step])
            let count = try await reader.read(into: room)
            if count == 0 { return bytes }
            bytes += buffer.bytes[..<count]
        }
    }

    @Test(arguments: [0, 1, 65_519, 65_520, 65_521, 65_536, 65_537, 1_048_576, 1_300_007])
    func whatIsPutIsReadBackAndNotStored(count: Int) async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        var random = SeededGenerator(seed: UInt64(count))
        let bytes = random.bytes(count)
        let version = try await put(started, "k", bytes)
        #expect(version.size == UInt64(count))
        let stored = version.record.pieces.reduce(0) { $0 + $1.length }
        #expect(stored == SealedPiece.sealedLength(of: UInt64(count)))
        #expect(try await read(started, version, 0..<UInt64(count), key: key) == bytes)
        guard count > 0 else { return }
        let wrong = SecretKey.random()
        await #expect(throws: StoreError.self) {
            try await read(started, version, 0..<UInt64(count), key: wrong)
        }
        await #expect(throws: StoreError.self) {
            try await read(started, version, 0..<UInt64(count), key: nil)
        }
    }

    @Test func rangesOfManyPiecesAreThoseOfTheBytes() async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        var random = SeededGenerator(seed: 3)
        let name = try ObjectKey("large")
        let upload = try await started.store.createUpload(
            started.bucket, name, metadata: EventMetadata(), checksumAlgorithm: .unspecified,
            composite: false, encryption: encryption.record, actor: tester
        ).value
        let parts = [random.bytes(5_242_880), random.bytes(5_300_003), random.bytes(77)]
        var named: [CompletedPart] = []
        for (index, bytes) in parts.enumerated() {
            var target = UploadTarget(
                bucket: started.bucket, key: name, metadata: EventMetadata(), actor: tester,
                part: .init(uploadID: upload.uploadID, number: index + 1),
                expectedLength: UInt64(bytes.count), checksum: nil)
            target.encryption = encryption
            let part = started.store.beginUpload(target)
            try await part.write(bytes)
            _ = try await part.finish()
            let published = try await started.store.publishPart(part, checksum: nil).value
            #expect(published.piece.contentLength == UInt64(bytes.count))
            named.append(CompletedPart(number: index + 1, etag: published.etag))
        }
        let version = try await started.store.completeUpload(
            started.bucket, name, upload.uploadID, parts: named, checksums: [], conditions: .none,
            actor: tester
        ).value
        let whole = Array(parts.joined())
        #expect(version.size == UInt64(whole.count))
        #expect(version.record.hasEncryption)
        var edges = [0, 1, 65_535, 65_536, 65_537, 131_072]
        edges += [5_242_879, 5_242_880, 5_242_881, 10_542_882, 10_542_883, 10_542_884]
        edges += [whole.count - 1, whole.count]
        edges += (0..<20).map { _ in Int.random(in: 0...whole.count, using: &random) }
        for _ in 0..<60 {
            let pair = [edges.randomElement(using: &random) ?? 0, edges.randomElement(using: &random) ?? 0]
            let range = (pair.min() ?? 0)..<(pair.max() ?? 0)
            let step = [1000, 65_536, 70_000, 1_000_000].randomElement(using: &random) ?? 1000
            let found = try await read(
                started, version, UInt64(range.lowerBound)..<UInt64(range.upperBound), key: key, step: step)
            let isSame = found == Array(whole[range])
            #expect(isSame, "range \(range), step \(step)")
        }
        let copied = try await started.store.copy(
            version, to: started.bucket, try ObjectKey("copy"), metadata: EventMetadata(), checksums: [],
            conditions: .none, actor: tester
        ).value
        let copy = try await read(started, copied, 0..<copied.size, key: key, step: 1_000_000)
        let isSame = copy == whole
        #expect(isSame)
    }

    @Test func aPartTooSmallByItsBytesIsNotMadeLargeEnoughByItsTags() {
        let stored = SealedPiece.sealedLength(of: Limits.minimumPartByteCount - 1)
        #expect(stored > Limits.minimumPartByteCount)
        var piece = EventPiece()
        piece.length = stored
        piece.keySalt = Data(count: 16)
        #expect(piece.contentLength == Limits.minimumPartByteCount - 1)
    }

    @Test func aRewrappedKeyOutlivesTheCatalogAndTheBytesStay() async throws {
        let started = try await StartedStore()
        _ = try await put(started, "k", [1, 2, 3])
        let version = try started.store.version(started.bucket, try ObjectKey("k"), .current)
        _ = try await started.store.rewrap(version, wrappedKey: [9, 9], actor: tester)
        started.store.close()
        try started.fixture.forgetCatalog()
        let store = try await started.fixture.open(started.disk)
        defer { store.close() }
        let again = try store.version(started.bucket, try ObjectKey("k"), .current)
        #expect(again.record.encryption.wrappedKey == Data([9, 9]))
        #expect(again.record.encryption.keyID == "test")
        #expect(again.record.pieces == version.record.pieces)
    }

    @Test func checkAndRepairNeedNoKey() async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        var random = SeededGenerator(seed: 11)
        let bytes = random.bytes(300_000)
        let version = try await put(started, "k", bytes)
        _ = try await CompletionVerifier(started.store).confirm()
        let blob = try #require(try started.disk.files(below: "/volume-2/blobs").first)
        var damaged = try started.disk.contents(of: blob)
        damaged[70_000] ^= 1
        try started.disk.place(damaged, at: blob)
        let check = StoreCheck(started.store, .init(isDeep: true, repairs: true), includesOpening: false)
        let summary = try await check.run { _ in
        } progress: { _ in
        }
        #expect(summary.exitStatus == 1)
        let after = StoreCheck(started.store, .init(isDeep: true, repairs: false), includesOpening: false)
        #expect(
            try await after.run { _ in
            } progress: { _ in
            }.exitStatus == 0)
        #expect(try await read(started, version, 0..<version.size, key: key) == bytes)
    }
}
