import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct CompletionVerifierTests {
    private func confirmations(_ store: ObjectStore) throws -> [EventUploadsConfirmed] {
        try store.events(from: SequenceNumber(1), limit: 1000).compactMap {
            if case .uploadsConfirmed(let change) = $0.record.change { change } else { nil }
        }
    }

    private func started() async throws -> (StoreFixture, SimulatedFileSystem, ObjectStore, BucketName) {
        let fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        try fixture.create(disk)
        let store = try await fixture.open(disk)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        return (fixture, disk, store, bucket)
    }

    @Test func uploadsAreConfirmedOnEveryVolumeByOneEvent() async throws {
        let (fixture, _, store, bucket) = try await started()
        defer { store.close() }
        try await store.put(bucket, "small", [1, 2, 3])
        let last = try await store.put(bucket, "large", [UInt8](repeating: 7, count: 200_000))
        let verifier = CompletionVerifier(store)
        #expect(try await verifier.confirm())
        let found = try #require(try confirmations(store).first)
        #expect(found.count == 2)
        #expect(found.bytes == 200_003)
        #expect(found.volumes == [1, 2, 3])
        #expect(found.exceptions.isEmpty)
        #expect(found.throughSequence == last.commit.sequence.rawValue)
        #expect(try store.confirmedThrough() == last.commit.sequence)
        _ = fixture
    }

    @Test func aConfirmationIsNothingToConfirm() async throws {
        let (fixture, _, store, bucket) = try await started()
        defer { store.close() }
        try await store.put(bucket, "k", [1])
        let verifier = CompletionVerifier(store)
        #expect(try await verifier.confirm())
        #expect(try await verifier.confirm() == false)
        #expect(try await verifier.confirm() == false)
        #expect(try confirmations(store).count == 1)
        _ = fixture
    }

    @Test func whatDidNotReachAVolumeIsAnExceptionAndAFinding() async throws {
        let (fixture, disk, store, bucket) = try await started()
        defer { store.close() }
        let put = try await store.put(bucket, "k", [UInt8](repeating: 7, count: 200_000))
        let path = try #require(try disk.files(below: "/volume-3/blobs").first)
        try disk.corrupt(path, at: 150_000)
        #expect(try await CompletionVerifier(store).confirm())
        let found = try #require(try confirmations(store).first)
        #expect(found.exceptions.map(\.sequence) == [put.commit.sequence.rawValue])
        #expect(found.exceptions.map(\.volume) == [3])
        let recorded = try store.events(from: SequenceNumber(1), limit: 1000).compactMap {
            if case .findingRecorded(let change) = $0.record.change { change.finding } else { nil }
        }
        #expect(recorded.map(\.code) == ["HF002"])
        #expect(recorded.first?.key == "k")
        _ = fixture
    }
}
