import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// What repairs say of themselves, how they are taken back, and what is stated when there is nothing to repair from.
@Suite struct RepairsTests {
    private func check(_ store: ObjectStore, repair: Bool) async throws -> [Finding] {
        var found: [Finding] = []
        _ = try await StoreCheck(store, .init(isDeep: true, repairs: repair), includesOpening: false).run {
            found.append($0)
        }
        return found
    }

    private func repairs(_ store: ObjectStore) throws -> [RepairRecord] {
        var found: [RepairRecord] = []
        try Repairs(store).list { found.append($0) }
        return found
    }

    private func blob(_ stage: StartedStore, _ volume: Int) throws -> String {
        try #require(try stage.disk.files(below: "/volume-\(volume)/blobs").first)
    }

    private func started() async throws -> (StartedStore, [UInt8]) {
        let stage = try await StartedStore()
        var random = SeededGenerator(seed: 8)
        let bytes = random.bytes(300_000)
        try await stage.store.put(stage.bucket, "k", bytes)
        return (stage, bytes)
    }

    @Test func aRepairThatIsUndonePutsBackWhatItSetAside() async throws {
        let (stage, bytes) = try await started()
        let store = stage.store
        defer { store.close() }
        try stage.disk.corrupt(try blob(stage, 2), at: 70_000)
        let damaged = try stage.disk.contents(of: try blob(stage, 2))
        #expect(try await check(store, repair: true).map(\.isRepaired) == [true])
        let repair = try #require(try repairs(store).first)
        #expect(repair.source == "volume 1" && repair.undone == nil)
        #expect(try stage.disk.contents(of: "/volume-2/\(repair.quarantined)") == damaged)
        let (_, made) = try await Repairs(store).undo(repair.sequence)
        #expect(try stage.disk.contents(of: try blob(stage, 2)) == damaged)
        #expect(try stage.disk.files(below: "/volume-2/quarantine").contains("/volume-2/\(made)"))
        #expect(try repairs(store).first?.undone != nil)
        #expect(try await check(store, repair: false).map(\.code) == [.corruptBlock])
        await #expect(throws: UndoRefusal.self) { try await Repairs(store).undo(repair.sequence) }
        #expect(try await check(store, repair: true).map(\.isRepaired) == [true])
        #expect(try await store.get(stage.bucket, "k") == bytes)
    }

    @Test func whatWasChangedInQuarantineIsNotPutBack() async throws {
        let (stage, _) = try await started()
        let store = stage.store
        defer { store.close() }
        try stage.disk.corrupt(try blob(stage, 2), at: 70_000)
        _ = try await check(store, repair: true)
        let repair = try #require(try repairs(store).first)
        try stage.disk.corrupt("/volume-2/\(repair.quarantined)", at: 5)
        await #expect(throws: PutBackRefusal.self) { try await Repairs(store).undo(repair.sequence) }
        #expect(try await check(store, repair: false) == [])
    }

    @Test func aBlobWhoseTrailersAreAllDamagedIsProvedByItsSHA256() async throws {
        let (stage, bytes) = try await started()
        let store = stage.store
        defer { store.close() }
        for volume in 1...3 {
            let path = try blob(stage, volume)
            try stage.disk.corrupt(path, at: UInt64(try stage.disk.contents(of: path).count - 50))
            try stage.disk.corrupt(path, at: UInt64(volume) * 70_000)
        }
        let found = try await check(store, repair: true)
        #expect(!found.isEmpty && found.allSatisfy(\.isRepaired), "\(found)")
        #expect(try await check(store, repair: false) == [])
        #expect(try await store.get(stage.bucket, "k") == bytes)
    }

    @Test func whatIsLostIsStatedAndWhatComesBackIsToo() async throws {
        let (stage, bytes) = try await started()
        let store = stage.store
        defer { store.close() }
        for volume in 1...3 { try stage.disk.corrupt(try blob(stage, volume), at: 70_000) }
        _ = try await check(store, repair: true)
        let version = try store.version(stage.bucket, try ObjectKey("k"), .current)
        guard case .affected(.lost, _) = try store.standing(of: version) else {
            Issue.record("it is \(try store.standing(of: version))")
            return
        }
        await #expect(throws: StoreError.self) { try await store.read(version) }
        for volume in 1...3 { try stage.disk.corrupt(try blob(stage, volume), at: 70_000) }
        _ = try await check(store, repair: true)
        guard case .affected(.repaired, _) = try store.standing(of: version) else {
            Issue.record("it is \(try store.standing(of: version))")
            return
        }
        #expect(try await store.get(stage.bucket, "k") == bytes)
    }
}
