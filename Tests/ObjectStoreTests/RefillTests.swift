import Foundation
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

/// How a volume that was replaced is filled: at what pace, in which order, and what is told of it.
@Suite struct RefillTests {
    private static let size = 200_000

    /// A store whose volume 2 is new and empty, with the sleeps that a refill takes counted and passed over.
    private func replaced(rate: UInt64?, _ prepare: (StartedStore) async throws -> Void = { _ in })
        async throws
        -> (StartedStore, ObjectStore, Sleeps)
    {
        let stage = try await StartedStore { $0.refillBytesPerSecond = rate }
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", [UInt8](repeating: 7, count: Self.size))
        }
        try await prepare(stage)
        stage.store.close()
        let sleeps = Sleeps()
        var environment = stage.fixture.environment(stage.disk)
        let (clock, fixture) = (environment.clock, stage.fixture)
        environment.clock = { Timestamp(microseconds: clock().microseconds + sleeps.microseconds) }
        environment.sleep = { sleeps.add($0) }
        let store = try await ObjectStore.open(fixture.settings, environment)
        try stage.disk.unmount("/volume-2")
        store.maintain()
        _ = try await store.replaceVolume(2)
        return (stage, store, sleeps)
    }

    private final class Sleeps: Sendable {
        private let total = Mutex(0.0)
        private let body = Mutex<(@Sendable () -> Void)?>(nil)
        var seconds: Double { total.withLock { $0 } }
        var microseconds: UInt64 { UInt64(seconds * 1_000_000) }
        func add(_ seconds: Double) {
            total.withLock { $0 += seconds }
            body.withLock { $0 }?()
        }
        func whenever(_ body: @escaping @Sendable () -> Void) { self.body.withLock { $0 = body } }
    }

    @Test func aRateIsKept() async throws {
        let (stage, store, sleeps) = try await replaced(rate: 100_000)
        defer { store.close() }
        store.maintain()
        #expect(stage.fixture.settings.refillBytesPerSecond == 100_000)
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService })
        // 2,000,000 bytes of blobs, and nothing to speak of in the log.
        #expect(abs(sleeps.seconds - 20) < 1.5, "\(sleeps.seconds) s")
        #expect(try stage.halfThere() == [])
    }

    @Test func withoutARateNobodyWaits() async throws {
        let (_, store, sleeps) = try await replaced(rate: nil)
        defer { store.close() }
        store.maintain()
        #expect(sleeps.seconds == 0)
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService })
    }

    @Test func progressGrowsAndTellsWhatIsLeft() async throws {
        let (_, store, sleeps) = try await replaced(rate: 100_000)
        defer { store.close() }
        let seen = Mutex<[(part: Double, left: Double?)]>([])
        sleeps.whenever {
            guard let progress = store.refillProgress(of: 2) else { return }
            let now = Timestamp(microseconds: progress.started.microseconds + sleeps.microseconds)
            seen.withLock { $0.append((progress.part, progress.secondsLeft(at: now))) }
        }
        #expect(store.refillProgress(of: 2) == nil)
        store.maintain()
        #expect(store.refillProgress(of: 2) == nil)
        let all = seen.withLock { $0 }
        #expect(all.count >= 10)
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.part <= $1.part + 0.11 })
        #expect((all.last?.part ?? 0) > 0.9)
        let middle = try #require(all.first { $0.part >= 0.5 })
        #expect(abs((middle.left ?? 0) - 10) < 3, "\(middle)")
    }

    /// What volume 3 has no good replica of has one replica: it comes before all others.
    @Test func theMostEndangeredBlobsComeFirst() async throws {
        let wanted = Mutex("")
        let (stage, store, sleeps) = try await replaced(rate: 100_000) { stage in
            let version = try stage.store.version(stage.bucket, try ObjectKey("k8"), .current)
            let id = try #require(BlobID(bytes: version.record.pieces[0].blobID))
            wanted.withLock { $0 = id.description }
            let path = try #require(
                try stage.disk.files(below: "/volume-3/blobs").first { $0.hasSuffix(id.description) })
            try stage.disk.corrupt(path, at: 70_000)
            var finding = EventFinding()
            finding.code = "HF002"
            finding.faultClass = "replica.corrupt-block"
            finding.volume = 3
            finding.blobID = .init(id.bytes)
            var event = EventFindingRecorded()
            event.finding = finding
            _ = try await stage.store.inspection.record(.findingRecorded(event))
        }
        defer { store.close() }
        let first = Mutex<[String]?>(nil)
        sleeps.whenever {
            let there = try? stage.blobs()[1]  // a volume that is being made has no directory of blobs yet
            first.withLock { if $0 == nil, let there, !there.isEmpty { $0 = there } }
        }
        store.maintain()
        #expect(first.withLock { $0 } == [wanted.withLock { $0 }])
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService })
        #expect(try stage.halfThere() == [])
    }

    @Test func aStoreThatClosesDoesNotWaitForARefill() async throws {
        let (stage, store, sleeps) = try await replaced(rate: 1000)
        sleeps.whenever { if sleeps.seconds > 3 { store.inspection.refills.stop() } }
        store.maintain()
        #expect(sleeps.seconds < 10)
        #expect(store.volumeStatuses[1].standing == .setAside)
        store.close()
        let again = try await stage.fixture.open(stage.disk)
        #expect(again.volumeStatuses.allSatisfy { $0.standing == .inService })
        #expect(try stage.halfThere() == [])
        again.close()
    }
}
