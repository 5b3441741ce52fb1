import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing

/// No transaction of the store's own maintenance is so large that others wait for it: rows are counted, not time.
@Suite struct SmallTransactionTests {
    /// Rows of blobs, payloads or parts that one event may touch.
    private static let limit = 512
    private static let week: UInt64 = 7 * 86_400

    private func changes(_ store: ObjectStore) throws -> [EventRecord.OneOf_Change] {
        try store.events(from: SequenceNumber(1), limit: 100_000).compactMap(\.record.change)
    }

    private func reclaim(_ store: ObjectStore) async throws { while try await store.reclaim() {} }

    private func isClean(_ store: ObjectStore) async throws -> Bool {
        var findings = 0
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run { _ in findings += 1
        }
        return findings == 0
    }

    @Test func aSegmentOfManyDeadPayloadsIsReclaimedByManyEventsAndWrittenAfreshOnce() async throws {
        let stage = try await StartedStore { $0.segmentByteCount = 512 * 1024 }
        let count = 1500
        for number in 0..<count {
            try await stage.store.put(stage.bucket, "k\(number % 3)", [UInt8](repeating: 7, count: 200))
        }
        // Behind the segment that they are in.
        for _ in 0..<12 {
            try await stage.store.put(stage.bucket, "other", [UInt8](repeating: 1, count: 60_000))
        }
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(stage.store)
        var planned = 0
        var reclaimed = 0
        for change in try changes(stage.store) {
            switch change {
            case .reclaimPlanned(let event):
                #expect(event.blobIds.count + event.payloadSequences.count <= Self.limit)
                planned += event.payloadSequences.count
            case .reclaimed(let event):
                #expect(event.blobIds.count + event.payloadSequences.count <= Self.limit)
                reclaimed += event.payloadSequences.count
            default: break
            }
        }
        #expect(planned == reclaimed && planned > 2 * Self.limit)
        #expect(try await isClean(stage.store))
        stage.store.close()
    }

    @Test func anUploadOfManyPartsIsGoneAtOnceAndItsPartsAFewAtATime() async throws {
        let stage = try await StartedStore()
        let key = try ObjectKey("large")
        let upload = try await stage.store.createUpload(
            stage.bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value.uploadID
        let count = 1100
        for number in 1...count {
            _ = try await stage.store.putPart(stage.bucket, "large", upload, number, [UInt8(number % 251)])
        }
        _ = try await stage.store.putPart(
            stage.bucket, "large", upload, count + 7, [UInt8](repeating: 3, count: 100_000))
        _ = try await stage.store.abortUpload(stage.bucket, key, upload, actor: tester)
        // For whoever asks it is no more.
        await #expect(throws: StoreError.self) {
            try await stage.store.putPart(stage.bucket, "large", upload, 1, [1])
        }
        await #expect(throws: StoreError.self) {
            try await stage.store.abortUpload(stage.bucket, key, upload, actor: tester)
        }
        #expect(try await isClean(stage.store))
        try await reclaim(stage.store)
        let steps = try changes(stage.store).compactMap { change -> UInt32? in
            guard case .partsReleased(let event) = change else { return nil }
            return event.throughPart
        }
        #expect(steps == [512, 1024, UInt32(count + 7)])
        #expect(try stage.store.parts(of: upload, after: 0, limit: 10).isEmpty)
        // Their bytes are dead from then on, and go when history does not see them any more.
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(stage.store)
        #expect(try stage.blobs() == [[], [], []])
        #expect(try await isClean(stage.store))
        stage.store.close()
        try stage.fixture.forgetCatalog()
        let again = try await stage.fixture.open(stage.disk)
        #expect(try await isClean(again))
        again.close()
    }

    @Test func anUploadOfFewPartsIsGoneWithThem() async throws {
        let stage = try await StartedStore()
        let key = try ObjectKey("small")
        let upload = try await stage.store.createUpload(
            stage.bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value.uploadID
        for number in 1...3 {
            _ = try await stage.store.putPart(stage.bucket, "small", upload, number, [1, 2, 3])
        }
        _ = try await stage.store.abortUpload(stage.bucket, key, upload, actor: tester)
        #expect(try stage.store.parts(of: upload, after: 0, limit: 10).isEmpty)
        let released = try changes(stage.store).contains {
            if case .partsReleased = $0 { true } else { false }
        }
        #expect(!released)
        stage.store.close()
    }

    @Test func whatMaintenanceHeldTheCatalogForIsMeasured() async throws {
        let stage = try await StartedStore()
        let before = stage.store.commitMetrics.maintenanceHoldSeconds.count
        try await stage.store.put(stage.bucket, "k", [UInt8](repeating: 1, count: 100_000))
        #expect(stage.store.commitMetrics.maintenanceHoldSeconds.count == before)
        try await stage.store.put(stage.bucket, "k", [1])
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(stage.store)
        #expect(stage.store.commitMetrics.maintenanceHoldSeconds.count == before + 2)
        stage.store.close()
    }
}
