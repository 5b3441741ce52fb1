import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// The last replica of a blob stands under another blob's name, and says itself whose it is.
@Suite struct StrayReplicaTests {
    private struct Stage {
        let started: StartedStore
        let bodies: [String: [UInt8]]
        let blobs: [String: BlobID]
        var store: ObjectStore { started.store }
        var disk: SimulatedFileSystem { started.disk }

        func path(_ key: String, _ volume: Int) throws -> String {
            try #require(
                try disk.files(below: "/volume-\(volume)/blobs").first { $0.hasSuffix("\(blobs[key]!)") })
        }

        /// A check that repairs everything.
        func repair() async throws -> [Finding] {
            var found: [Finding] = []
            _ = try await StoreCheck(store, .init(isDeep: true, repairs: true), includesOpening: false).run {
                found.append($0)
            }
            return found
        }
    }

    private func stage() async throws -> Stage {
        let started = try await StartedStore()
        var random = SeededGenerator(seed: 77)
        var bodies: [String: [UInt8]] = [:]
        var blobs: [String: BlobID] = [:]
        for (key, size) in [("a", 200_000), ("b", 200_000), ("c", 140_001)] {
            let body = random.bytes(size)
            bodies[key] = body
            let put = try await started.store.put(started.bucket, key, body)
            blobs[key] = BlobID(bytes: put.value.record.pieces[0].blobID)
        }
        return Stage(started: started, bodies: bodies, blobs: blobs)
    }

    private func expectAll(_ stage: Stage) async throws {
        for (key, body) in stage.bodies {
            let read = try await stage.store.get(stage.started.bucket, key)
            #expect(read == body)
        }
        let left = try await stage.repair()
        #expect(left == [])
    }

    /// The descriptor says it where the footer is damaged, too.
    @Test(arguments: [true, false])
    func aReplicaInQuarantineUnderAnothersNameIsWhatItSays(_ hasFooter: Bool) async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        let own = try stage.path("a", 1)
        try stage.disk.place(try stage.disk.contents(of: own), at: try stage.path("b", 1))
        // The place of b gets a good replica, and what stood there goes to quarantine as b's.
        let strangers = try await stage.repair()
        #expect(strangers.map(\.code) == [.wrongIdentity])
        let quarantined = try #require(
            try stage.disk.files(below: "/volume-1/quarantine").first { !$0.hasSuffix(".json") })
        #expect(quarantined.contains("\(stage.blobs["b"]!)"))
        if !hasFooter {
            let size = UInt64(try stage.disk.contents(of: quarantined).count)
            try stage.disk.corrupt(quarantined, at: size - 100)
        }
        for volume in 1...3 { try stage.disk.lose(try stage.path("a", volume)) }
        let found = try await stage.repair()
        #expect(found.map(\.code) == [.missingReplica, .missingReplica, .missingReplica])
        #expect(found.allSatisfy { $0.isRepaired })
        try await expectAll(stage)
    }

    @Test func replicasThatHaveChangedPlacesInARingOnEveryVolumeAreAllFound() async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        for volume in 1...3 {
            let paths = try ["a", "b", "c"].map { try stage.path($0, volume) }
            let contents = try paths.map { try stage.disk.contents(of: $0) }
            for index in paths.indices {
                try stage.disk.place(contents[(index + 1) % 3], at: paths[index])
            }
        }
        let found = try await stage.repair()
        #expect(found.count == 9 && found.allSatisfy { $0.isRepaired }, "\(found)")
        try await expectAll(stage)
    }

    @Test func aStrangerThatOnlyLooksLikeItIsNoSource() async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        // Another's name, and other bytes than it says: the digest decides.
        let copy = try stage.disk.contents(of: try stage.path("a", 1))
        try stage.disk.place(copy, at: try stage.path("b", 1))
        _ = try await stage.repair()
        let quarantined = try #require(
            try stage.disk.files(below: "/volume-1/quarantine").first { !$0.hasSuffix(".json") })
        try stage.disk.corrupt(quarantined, at: 70_000)
        for volume in 1...3 { try stage.disk.lose(try stage.path("a", volume)) }
        let found = try await stage.repair()
        #expect(found.contains { $0.code == .danglingMetadata })
        let names = try stage.disk.files(below: "/volume-1/blobs")
        #expect(!names.contains { $0.hasSuffix("\(stage.blobs["a"]!)") })
        let other = try await stage.store.get(stage.started.bucket, "b")
        #expect(other == stage.bodies["b"])
    }
}
