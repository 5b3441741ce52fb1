import Foundation
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing

/// What a store does by itself to heal, how often, and how that is switched off.
@Suite struct HealingTests {
    private func started(_ change: (inout HealingSettings) -> Void) async throws -> StartedStore {
        var healing = HealingSettings()
        change(&healing)
        let settings = healing
        return try await StartedStore { $0.healing = settings }
    }

    /// Volume 2 leaves service because its disk fails once, and its disk is well again.
    private func fail(_ stage: StartedStore) async throws {
        let fault = stage.strike(2, .fail(EIO), on: [.sync])
        try await stage.store.put(stage.bucket, "k", [1])
        stage.disk.removeFault(fault)
        #expect(stage.standings == [.inService, .setAside, .inService])
    }

    private func actions(_ stage: StartedStore) throws -> [String] {
        try stage.store.events(from: SequenceNumber(1), limit: 10_000).compactMap {
            guard case .healingActed(let change) = $0.record.change else { return nil }
            return "\(change.action) \(change.subject)"
        }
    }

    @Test func aVolumeThatKeepsLeavingStaysAsideUntilAnOperatorWantsItBack() async throws {
        let stage = try await started { $0.returnsPerHour = 3 }
        for _ in 0..<3 {
            try await fail(stage)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
        }
        try await fail(stage)
        for _ in 0..<3 { stage.store.maintain() }
        #expect(stage.standings == [.inService, .setAside, .inService])
        let reason = try #require(stage.store.volumeStatuses[1].reason)
        #expect(reason.contains("came back 3 times within an hour") && reason.contains("volume return"))
        // Why it left is said still.
        #expect(reason.contains("appending to the log"))
        stage.fixture.advance(seconds: 2 * 3600)
        stage.store.maintain()
        #expect(stage.standings[1] == .setAside)
        try stage.store.returnVolume(2)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        try await stage.store.put(stage.bucket, "k", [2])
        #expect(try actions(stage) == ["hold-volume volume 2", "release-volume volume 2"])
        stage.store.close()
    }

    @Test func aVolumeThatLeavesNowAndThenComesBackEachTime() async throws {
        let stage = try await started { $0.returnsPerHour = 2 }
        for _ in 0..<6 {
            try await fail(stage)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
            stage.fixture.advance(seconds: 1900)
        }
        #expect(try actions(stage) == [])
        stage.store.close()
    }

    @Test func aVolumeThatKeepsLeavingComesBackLessAndLessOften() async throws {
        let stage = try await started { $0.returnsPerHour = 20 }
        for _ in 0..<4 {
            try await fail(stage)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
        }
        for seconds in [1, 2, 4, 8] as [UInt64] {
            try await fail(stage)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .setAside, .inService])
            stage.fixture.advance(seconds: seconds)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
        }
        #expect(try actions(stage) == [])
        stage.store.close()
    }

    @Test(arguments: [20, 4])
    func aVolumeThatWritesNeedComesBackAtOnceHoweverOftenItLeft(returnsPerHour: Int) async throws {
        let stage = try await started { $0.returnsPerHour = returnsPerHour }
        for _ in 0..<4 {
            try await fail(stage)
            stage.store.maintain()
        }
        for _ in 0..<2 {
            try await fail(stage)
            for _ in 0..<3 { stage.store.maintain() }
            #expect(stage.standings == [.inService, .setAside, .inService])
            let fault = stage.strike(3, .fail(ENOSPC), on: [.sync])
            await #expect(throws: StoreError.self) {
                try await stage.store.put(stage.bucket, "large", [UInt8](repeating: 1, count: 90_000))
            }
            stage.disk.removeFault(fault)
            #expect(stage.standings == [.inService, .setAside, .setAside])
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
            try await stage.store.put(stage.bucket, "large", [UInt8](repeating: 1, count: 90_000))
        }
        // Each leaving is held anew.
        let held = try actions(stage).filter { $0 == "hold-volume volume 2" }
        #expect(held.count == (returnsPerHour == 4 ? 2 : 0))
        stage.store.close()
    }

    @Test func aVolumeThatIsThereAndCannotBeFilledIsTriedLessAndLessOften() async throws {
        let stage = try await started { _ in }
        try await fail(stage)
        let fault = stage.strike(2, .fail(EIO), on: [.sync])
        for seconds in [1, 2, 4] as [UInt64] {
            stage.store.maintain()
            stage.fixture.advance(seconds: seconds)
        }
        stage.store.maintain()
        #expect(stage.standings == [.inService, .setAside, .inService])
        stage.disk.removeFault(fault)
        stage.fixture.advance(seconds: 7)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .setAside, .inService])
        stage.fixture.advance(seconds: 1)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService], "\(stage.store.volumeStatuses)")
        // What went well counts for the next time.
        try await fail(stage)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        stage.store.close()
    }

    @Test func whoeverWantsAVolumeBackThatCouldNotBeFilledNeedNotWait() async throws {
        let stage = try await started { _ in }
        try await fail(stage)
        let fault = stage.strike(2, .fail(EIO), on: [.sync])
        stage.store.maintain()
        stage.disk.removeFault(fault)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .setAside, .inService])
        try stage.store.returnVolume(2)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        #expect(try actions(stage) == [])
        stage.store.close()
    }

    @Test func oneVolumeThatFlapsDoesNotHoldAnother() async throws {
        let stage = try await started { $0.returnsPerHour = 1 }
        try await fail(stage)
        stage.store.maintain()
        let fault = stage.strike(3, .fail(EIO), on: [.sync])
        try await stage.store.put(stage.bucket, "k", [1])
        stage.disk.removeFault(fault)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        stage.store.close()
    }

    @Test func whereVolumesAreNotToComeBackOneDoesWhenItIsWantedAndOnlyOnce() async throws {
        let stage = try await started { $0.allowed.remove(.volumes) }
        for _ in 0..<2 {
            try await fail(stage)
            for _ in 0..<3 { stage.store.maintain() }
            #expect(stage.standings == [.inService, .setAside, .inService])
            try stage.store.returnVolume(2)
            stage.store.maintain()
            #expect(stage.standings == [.inService, .inService, .inService])
        }
        stage.store.close()
    }

    @Test func aVolumeInServiceCannotReturn() async throws {
        let stage = try await started { _ in }
        #expect(throws: StoreError.self) { try stage.store.returnVolume(1) }
        stage.store.close()
    }

    @Test func aReplacedVolumeBeginsAnew() async throws {
        let stage = try await started { $0.returnsPerHour = 1 }
        try await fail(stage)
        stage.store.maintain()
        try await fail(stage)
        stage.store.maintain()
        #expect(stage.standings[1] == .setAside)
        try stage.disk.empty("/volume-2")
        _ = try await stage.store.replaceVolume(2)
        stage.store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        stage.store.close()
    }

    @Test func soManyTimesFitIntoAWindowAndNoMore() {
        func at(_ seconds: UInt64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }
        var window = ActionWindow(limit: 2, seconds: 60)
        let isFullAtFirst = window.isFull(at: at(100))
        window.note(at(100))
        window.note(at(130))
        let isFullAfterTwo = window.isFull(at: at(159))
        let next = window.next(at: at(159))
        let isFullLater = window.isFull(at: at(160))
        let left = window.count(at: at(160))
        #expect(!isFullAtFirst && isFullAfterTwo && !isFullLater)
        #expect(next == at(160) && left == 1)
        var boundless = ActionWindow(limit: nil, seconds: 60)
        for _ in 0..<10 { boundless.note(at(1)) }
        let isEverFull = boundless.isFull(at: at(1))
        #expect(!isEverFull)
    }

    @Test func soManyRepairsFitIntoAMinute() {
        let fixture = FakeTime()
        var settings = HealingSettings()
        settings.repairsPerMinute = 3
        let allowance = RepairAllowance(settings, clock: { fixture.now })
        #expect(allowance.mends)
        for _ in 0..<3 { #expect(allowance.take() == nil) }
        #expect(allowance.take() == Timestamp(microseconds: 1_060_000_000))
        fixture.advance(60)
        #expect(allowance.take() == nil)
        settings.allowed.remove(.repairs)
        #expect(!RepairAllowance(settings, clock: { fixture.now }).mends)
    }
}

private final class FakeTime: Sendable {
    private let seconds = Mutex<UInt64>(1000)
    var now: Timestamp { Timestamp(microseconds: seconds.withLock { $0 } * 1_000_000) }
    func advance(_ count: UInt64) { seconds.withLock { $0 += count } }
}
