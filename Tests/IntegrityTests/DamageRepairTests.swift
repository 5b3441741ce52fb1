import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct DamageRepairTests {
    /// Waits, by following the log, for the next event that satisfies `isWanted`.
    private func event(
        of store: ObjectStore, where isWanted: (EventRecord.OneOf_Change?) -> Bool
    ) async throws -> LoggedEvent {
        var next = SequenceNumber(1)
        while true {
            for event in try store.events(from: next, limit: 1000) {
                if isWanted(event.record.change) { return event }
                next = event.sequence.next
            }
            await store.waitForEvents(after: SequenceNumber(next.rawValue - 1))
        }
    }

    @Test func aReplicaThatAReadFoundDamagedIsMendedAndAnEventSaysSo() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        var random = SeededGenerator(seed: 21)
        let bytes = random.bytes(300_000)
        try await store.put(stage.bucket, "k", bytes)
        // In three places: whichever volume is read first, one that is damaged is met.
        for volume in 1...3 {
            let path = try #require(try stage.disk.files(below: "/volume-\(volume)/blobs").first)
            try stage.disk.corrupt(path, at: UInt64(volume) * 70_000)
        }
        let repair = DamageRepair(store)
        let task = Task { await repair.run { Issue.record("\($0)") } }
        // What the page cache serves is met again by the volumes' readers.
        #expect(try await store.get(stage.bucket, "k") == bytes)
        _ = try await event(of: store) { if case .replicaRepaired = $0 { true } else { false } }
        task.cancel()
        await task.value
        _ = try await ReplicaCheck(store, .init(isDeep: true, repairs: true)).run { _ in }
        var left: [Finding] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run { left.append($0) }
        #expect(left == [])
        #expect(try await store.get(stage.bucket, "k") == bytes)
    }

    @Test func aRunAfterOneThatWasCancelledMendsWhatIsReportedThenAndWasMeanwhile() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        let repair = DamageRepair(store)
        let first = Task { await repair.run { Issue.record("\($0)") } }
        first.cancel()
        await first.value
        for key in ["one", "two"] {
            let put = try await store.put(stage.bucket, key, [UInt8](repeating: 1, count: 100_000))
            let id = try #require(BlobID(bytes: put.value.record.pieces[0].blobID))
            let path = try #require(
                try stage.disk.files(below: "/volume-3/blobs").first { $0.hasSuffix("\(id)") })
            try stage.disk.corrupt(path, at: 70_000)
            store.inspection.reportDamage(id, volume: 3, .missing)
        }
        let second = Task { await repair.run { Issue.record("\($0)") } }
        var mended: Set<String> = []
        _ = try await event(of: store) { change in
            if case .replicaRepaired(let change) = change { mended.insert(change.finding.key) }
            return mended == ["one", "two"]
        }
        second.cancel()
        await second.value
    }

    @Test func aReportOfAReplicaThatIsGoodChangesNothing() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        let put = try await store.put(stage.bucket, "k", [UInt8](repeating: 1, count: 100_000))
        let id = try #require(BlobID(bytes: put.value.record.pieces[0].blobID))
        let repair = DamageRepair(store)
        let task = Task { await repair.run { Issue.record("\($0)") } }
        store.inspection.reportDamage(id, volume: 2, .missing)
        // A replica that is really damaged comes behind it in the queue: when it is mended the other was looked at.
        let path = try #require(try stage.disk.files(below: "/volume-3/blobs").first)
        try stage.disk.corrupt(path, at: 70_000)
        store.inspection.reportDamage(id, volume: 3, .missing)
        let mended = try await event(of: store) { if case .replicaRepaired = $0 { true } else { false } }
        task.cancel()
        await task.value
        guard case .replicaRepaired(let change) = mended.record.change else { return }
        #expect(change.finding.volume == 3)
        #expect(try stage.disk.files(below: "/volume-2/quarantine") == [])
    }

    @Test func aSmallUploadThatDidNotReachAMirrorIsAnException() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        let put = try await store.put(stage.bucket, "k", [UInt8](repeating: 5, count: 3_000))
        let (path, range) = try LogDamage(disk: stage.disk, volume: 2).frame(put.commit.sequence)
        try stage.disk.corrupt(path, at: UInt64(range.upperBound - 50))
        #expect(try await CompletionVerifier(store).confirm())
        let events = try store.events(from: SequenceNumber(1), limit: 100)
        let confirmed = events.compactMap {
            if case .uploadsConfirmed(let change) = $0.record.change { change } else { nil }
        }
        #expect(confirmed.first?.exceptions.map(\.volume) == [2])
        #expect(confirmed.first?.exceptions.map(\.sequence) == [put.commit.sequence.rawValue])
        let findings = events.compactMap {
            if case .findingRecorded(let change) = $0.record.change { change.finding.code } else { nil }
        }
        #expect(findings == ["HF013"])
    }

    @Test func aVolumeThatIsOutConfirmsNothing() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        defer { store.close() }
        stage.strike(1, .fail(EIO), on: [.sync])
        try await store.put(stage.bucket, "k", [UInt8](repeating: 5, count: 100_000))
        #expect(try await CompletionVerifier(store).confirm())
        let confirmed = try store.events(from: SequenceNumber(1), limit: 100).compactMap {
            if case .uploadsConfirmed(let change) = $0.record.change { change } else { nil }
        }
        #expect(confirmed.first?.volumes == [2, 3])
        #expect(confirmed.first?.exceptions == [])
    }
}
