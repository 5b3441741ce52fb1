import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// What a store must hold after the operations that it acknowledged, and may hold after one that it did not.
private struct Expectation {
    /// The bytes of each key; `nil` for a key that was deleted.
    var certain: [String: [UInt8]?] = [:]
    /// The operation under way when the machine died: it happened or it did not.
    var doubtful: (key: String, bytes: [UInt8]?)?
}

/// A random workload of small and large puts, overwrites, deletes and multipart uploads.
private struct Workload {
    var random: SeededGenerator
    var expectation = Expectation()

    mutating func run(_ store: ObjectStore, _ bucket: BucketName, count: Int) async throws {
        for _ in 0..<count {
            let key = "key-\(Int.random(in: 0..<5, using: &random))"
            let kind = Int.random(in: 0..<10, using: &random)
            let bytes: [UInt8]? =
                switch kind {
                case 0...4: random.bytes(Int.random(in: 0...4000, using: &random))
                case 5...6: random.bytes(Int.random(in: 66_000...200_000, using: &random))
                case 7: random.bytes(70_000)
                default: nil
                }
            expectation.doubtful = (key, bytes)
            if kind == 7 {
                try await multipart(store, bucket, key, bytes ?? [])
            } else if let bytes {
                try await store.put(bucket, key, bytes)
            } else {
                _ = try await store.delete(
                    bucket, try ObjectKey(key), .current, conditions: .none, actor: tester)
            }
            expectation.certain[key] = .some(bytes)
            expectation.doubtful = nil
        }
    }

    private func multipart(_ store: ObjectStore, _ bucket: BucketName, _ key: String, _ bytes: [UInt8])
        async throws
    {
        let name = try ObjectKey(key)
        let upload = try await store.createUpload(
            bucket, name, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value
        let part = try await store.putPart(bucket, key, upload.uploadID, 1, bytes)
        _ = try await store.completeUpload(
            bucket, name, upload.uploadID, parts: [.init(number: 1, etag: part.etag)], checksums: [],
            conditions: .none, actor: tester)
    }
}

@Suite struct CrashTests {
    @Test func whateverWasAcknowledgedSurvivesACrashAtEveryOperation() async throws {
        let seed = SeededGenerator.seed(standard: 20_261_124)
        var points = 0
        for round in 0..<UInt64(24) {
            let fixture = try StoreFixture()
            let fresh = SimulatedFileSystem()
            try fixture.create(fresh)
            // Where the machine dies: after every operation of the workload in turn.
            var point = 1
            while true {
                let disk = fresh.clone()
                try fixture.forgetCatalog()
                let finished = try await crash(fixture, disk, seed: seed &+ round, at: point)
                points += 1
                if finished { break }
                point += round < 8 ? 1 : 7
            }
        }
        print("HOLDFAST_SEED=\(seed): \(points) crash points")
        #expect(points > 2000)
    }

    /// - Returns: whether the workload ended before the crash.
    private func crash(
        _ fixture: StoreFixture, _ disk: SimulatedFileSystem, seed: UInt64, at point: Int
    ) async throws -> Bool {
        let bucket = try bucketName("bucket")
        var workload = Workload(random: SeededGenerator(seed: seed))
        disk.crash(atOperation: point)
        var finished = false
        do {
            let store = try await fixture.open(disk)
            defer { store.close() }
            _ = try await store.createBucket(bucket, region: "r", actor: tester)
            try await workload.run(store, bucket, count: 14)
            finished = !disk.hasCrashed
        } catch {
            guard disk.hasCrashed else { throw error }
        }
        let found = disk.recovered(seed: seed &* 31 &+ UInt64(point))
        let context = "HOLDFAST_SEED=\(seed), crash at operation \(point)"
        let store: ObjectStore
        do { store = try await fixture.open(found) } catch {
            Issue.record("\(context): the store does not open: \(error)")
            return true
        }
        defer { store.close() }
        try await check(store, bucket, workload.expectation, context)
        try checkFiles(found, store, context)
        return finished
    }

    private func check(
        _ store: ObjectStore, _ bucket: BucketName, _ expectation: Expectation, _ context: String
    ) async throws {
        for (key, bytes) in expectation.certain {
            var allowed = [bytes]
            if let doubtful = expectation.doubtful, doubtful.key == key { allowed.append(doubtful.bytes) }
            let found: [UInt8]?
            do { found = try await store.get(bucket, key) } catch StoreError.noSuchKey { found = nil }
            #expect(allowed.contains(found), "\(context): \(key)")
        }
    }

    /// Nothing is half there: every volume has exactly the same blobs, none is in incoming/.
    private func checkFiles(_ disk: SimulatedFileSystem, _ store: ObjectStore, _ context: String) throws {
        let blobs = try (1...3).map { volume in
            try disk.files(below: "/volume-\(volume)/blobs").map {
                $0.split(separator: "/").last.map(String.init) ?? ""
            }
        }
        #expect(blobs[0] == blobs[1] && blobs[1] == blobs[2], "\(context): the volumes hold different blobs")
        for volume in 1...3 {
            #expect(
                try disk.files(below: "/volume-\(volume)/incoming").isEmpty,
                "\(context): incoming of volume \(volume)")
        }
        for status in store.volumeStatuses { #expect(status.standing == .inService, "\(context): \(status)") }
    }
}
