import Catalog
import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A random workload of small and large puts, overwrites, deletes, versioned buckets, multipart uploads, copies and
/// reclaiming, and what the store must hold after it.
private struct Workload {
    var generator: OperationGenerator
    var model = StoreModel()
    /// Under way when the machine died: it happened or it did not.
    var doubtful: StoreModel.Operation?

    init(seed: UInt64) {
        generator = OperationGenerator(seed: seed)
        generator.sizes = (0...12_000, 66_000...150_000)
        generator.keys = ["a", "b/c", "d"]
    }

    mutating func run(_ store: ObjectStore, _ fixture: StoreFixture, count: Int) async throws {
        let opening: [StoreModel.Operation] = [
            .createBucket("alpha"), .createBucket("beta"), .setVersioning("beta", .enabled),
        ]
        for operation in opening { try await apply(operation, store) }
        for _ in 0..<count {
            if Int.random(in: 0..<8, using: &generator.random) == 0 {
                fixture.advance(seconds: 8 * 86_400)
                while try await store.reclaim() {}
            } else {
                try await apply(generator.next(model), store)
            }
        }
    }

    private mutating func apply(_ operation: StoreModel.Operation, _ store: ObjectStore) async throws {
        doubtful = operation
        do {
            let (answer, id) = try await ModelDriver(store, model).apply(operation)
            #expect(try model.apply(operation, id: id) == answer)
        } catch {
            guard StoreModel.Refusal(error) != nil else { throw error }
        }
        doubtful = nil
    }
}

@Suite struct CrashTests {
    private static let operations = 16
    /// Crash points of the standard run, and after every which operation of a later workload the machine dies.
    private static let (standardPoints, stride) = (2400, 7)

    @Test func whateverWasAcknowledgedSurvivesACrashAtEveryOperation() async throws {
        let seed = SeededGenerator.seed(standard: 20_261_124)
        let wanted =
            ProcessInfo.processInfo.environment["HOLDFAST_CRASH_POINTS"].flatMap { Int($0) }
            ?? Self.standardPoints
        var (points, rounds) = (0, 0)
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let fresh = SimulatedFileSystem()
        try fixture.create(fresh)
        while points < wanted {
            // Where the machine dies: after every operation of the first workload in turn, of others after some.
            let step = rounds == 0 ? 1 : Self.stride
            var point = rounds == 0 ? 1 : 1 + rounds % Self.stride
            while points < wanted {
                let finished = try await crash(
                    fixture, fresh.clone(), seed: seed &+ UInt64(rounds), at: point)
                points += 1
                if finished { break }
                point += step
            }
            rounds += 1
        }
        print("HOLDFAST_SEED=\(seed): \(points) crash points of \(rounds) workloads")
        #expect(rounds > 1)
    }

    /// - Returns: whether the workload ended before the crash.
    private func crash(
        _ fixture: StoreFixture, _ disk: SimulatedFileSystem, seed: UInt64, at point: Int
    ) async throws -> Bool {
        var workload = Workload(seed: seed)
        try fixture.forgetCatalog()
        disk.crash(atOperation: point)
        var finished = false
        do {
            let store = try await fixture.open(disk)
            defer { store.close() }
            try await workload.run(store, fixture, count: Self.operations)
            finished = !disk.hasCrashed
        } catch {
            guard disk.hasCrashed else { throw error }
        }
        let found = disk.recovered(seed: seed &* 31 &+ UInt64(point))
        let context = "HOLDFAST_SEED=\(seed), crash at operation \(point)"
        try fixture.forgetCatalog()
        let store: ObjectStore
        do { store = try await fixture.open(found) } catch {
            Issue.record("\(context): the store does not open: \(error)")
            return finished
        }
        defer { store.close() }
        let differences = try await workload.model.settle(workload.doubtful, by: store)
        #expect(differences == [], "\(context)")
        try checkFiles(found, store, context)
        try await check(store, context)
        return finished
    }

    /// Nothing is half there: every volume has exactly the same blobs, none is in incoming/.
    private func checkFiles(_ disk: SimulatedFileSystem, _ store: ObjectStore, _ context: String) throws {
        let blobs = try (1...3).map { volume in
            try disk.files(below: "/volume-\(volume)/blobs").map {
                $0.split(separator: "/").last.map(String.init) ?? ""
            }
        }
        // What a plan to reclaim names may be there or not.
        let isReclaiming = try !store.inspection.catalog.read { try $0.reclaimingBlobs(limit: 1) }.isEmpty
        #expect(
            isReclaiming || blobs[0] == blobs[1] && blobs[1] == blobs[2],
            "\(context): the volumes hold different blobs")
        for volume in 1...3 {
            #expect(
                try disk.files(below: "/volume-\(volume)/incoming").isEmpty,
                "\(context): incoming of volume \(volume)")
        }
        for status in store.volumeStatuses { #expect(status.standing == .inService, "\(context): \(status)") }
    }

    private func check(_ store: ObjectStore, _ context: String) async throws {
        // What was planned before the crash is carried out after it.
        while try await store.reclaim() {}
        var findings: [String] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            findings.append("\($0.code) volume \($0.volume) \($0.path): \($0.evidence)")
        }
        #expect(findings == [], "\(context)")
    }
}
