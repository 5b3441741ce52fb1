import Digests
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

    /// A replica whose checksums are good, and whose bytes are not those that were sealed.
    private func forge(_ started: StartedStore, _ version: ObjectVersion, on index: Int) throws {
        let id = try #require(BlobID(bytes: version.record.pieces[0].blobID))
        let volume = try #require(started.store.inspection.volumes.first { $0.index == index })
        let info = try volume.info(of: id, length: nil)
        let page = FileSystemAlignment.bytes
        let buffer = AlignedBuffer(capacity: (Int(info.length) / Limits.blockSize + 1) * Limits.blockSize)
        let count = try volume.readBlocks(
            id, length: info.length, blocks: 0..<info.blockChecksums.count, into: buffer.bytes)
        buffer.bytes[70_000] ^= 1
        let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[..<count])
        let checksums = stride(from: 0, to: count, by: Limits.blockSize).map {
            CRC32C.checksum(
                UnsafeRawBufferPointer(rebasing: bytes[$0..<min($0 + Limits.blockSize, count)]))
        }
        let sink = try volume.beginBlob(id, expectedLength: nil, replacing: "forged")
        let whole = count / page * page
        try sink.append(UnsafeRawBufferPointer(rebasing: bytes[..<whole]))
        try sink.finish(
            tail: UnsafeRawBufferPointer(rebasing: bytes[whole...]),
            trailer: BlobTrailer(
                length: info.length, blockChecksums: checksums, sha256: info.sha256,
                descriptor: info.descriptor))
        try volume.settle(id)
    }

    @Test(arguments: [[1, 2], [2, 3], [1, 3]])
    func aReplicaThatDoesNotAuthenticateIsReadFromAnother(forged: [Int]) async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        var random = SeededGenerator(seed: 12)
        let bytes = random.bytes(300_000)
        let version = try await put(started, "k", bytes)
        for index in forged { try forge(started, version, on: index) }
        for range in [0..<300_000, 65_000..<70_000, 299_000..<300_000] as [Range<UInt64>] {
            let found = try await read(started, version, range, key: key)
            let isSame = found == Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            #expect(isSame, "\(range)")
        }
        var found: [Int] = []
        _ = try await StoreCheck(started.store, .init(isDeep: true, repairs: true), includesOpening: false)
            .run {
                found.append($0.volume)
            }
        #expect(found.sorted() == forged, "a check sees them too, and mends them without the key")
    }

    @Test func whatAuthenticatesOnNoVolumeIsUndecipherableAndOnAnAbsentOneItMay() async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        var random = SeededGenerator(seed: 13)
        let version = try await put(started, "k", random.bytes(300_000))
        for index in 1...3 { try forge(started, version, on: index) }
        await #expect {
            try await read(started, version, 0..<300_000, key: key)
        } throws: {
            if case StoreError.undecipherable = $0 { true } else { false }
        }
        try started.disk.unmount("/volume-3")
        started.store.maintain()
        await #expect {
            try await read(started, version, 0..<300_000, key: key)
        } throws: {
            if case StoreError.notReadable = $0 { true } else { false }
        }
        try started.disk.mount("/volume-3")
    }

    @Test(arguments: [3, 300_000])
    func aVersionThatNoKeyOpensBecomesAFindingOnce(count: Int) async throws {
        let started = try await StartedStore()
        defer { started.store.close() }
        let version = try await put(started, "k", [UInt8](repeating: 1, count: count))
        let repair = DamageRepair(started.store)
        let task = Task { await repair.run { #expect($0.contains("does not authenticate")) } }
        let wrong = SecretKey.random()
        for _ in 0..<2 {
            await #expect {
                try await read(started, version, 0..<UInt64(count), key: wrong)
            } throws: {
                if case StoreError.undecipherable = $0 { true } else { false }
            }
        }
        var head = version.sequence
        while true {
            await started.store.waitForEvents(after: head)
            let events = try started.store.events(from: head.next, limit: 100)
            let codes = events.compactMap {
                if case .findingRecorded(let change) = $0.record.change { change.finding.code } else { nil }
            }
            if !codes.isEmpty {
                #expect(codes == ["HF022"])
                break
            }
            head = started.store.head.sequence
        }
        task.cancel()
        await task.value
    }

    @Test func theKeyOfAnUploadUnderWayIsRewrappedAndItsVersionHasItSo() async throws {
        let started = try await StartedStore()
        var store = started.store
        let name = try ObjectKey("k")
        let upload = try await store.createUpload(
            started.bucket, name, metadata: EventMetadata(), checksumAlgorithm: .unspecified,
            composite: false,
            encryption: encryption.record, actor: tester
        ).value
        var target = UploadTarget(
            bucket: started.bucket, key: name, metadata: EventMetadata(), actor: tester,
            part: .init(uploadID: upload.uploadID, number: 1), expectedLength: nil, checksum: nil)
        target.encryption = encryption
        let part = store.beginUpload(target)
        try await part.write([1, 2, 3])
        _ = try await part.finish()
        let published = try await store.publishPart(part, checksum: nil).value
        _ = try await store.rewrap(upload, wrappedKey: [8, 8], actor: tester)
        store.close()
        try started.fixture.forgetCatalog()
        store = try await started.fixture.open(started.disk)
        defer { store.close() }
        let again = try store.upload(started.bucket, name, upload.uploadID)
        #expect(again.sequence == upload.sequence)
        #expect(again.initiated == upload.initiated)
        let version = try await store.completeUpload(
            started.bucket, name, upload.uploadID,
            parts: [CompletedPart(number: 1, etag: published.etag)], checksums: [], conditions: .none,
            actor: tester
        ).value
        #expect(version.record.encryption.wrappedKey == Data([8, 8]))
        #expect(version.record.encryption.keyID == "test")
        let reader = store.reader(of: version, range: 0..<3, dataKey: key)
        let buffer = AlignedBuffer(capacity: 4096)
        #expect(try await reader.read(into: buffer.bytes) == 3)
        #expect(Array(buffer.bytes[..<3]) == [1, 2, 3])
        await #expect(throws: StoreError.self) {
            try await store.rewrap(upload, wrappedKey: [7], actor: tester)
        }
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
