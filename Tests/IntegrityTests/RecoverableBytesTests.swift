import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// DESIGN invariant 5: whatever is damaged, and in whatever order things are mended, undone and opened again, no byte
/// goes that could still be had. HOLDFAST_SEED and HOLDFAST_ROUNDS draw other faults, and more.
@Suite struct RecoverableBytesTests {
    private struct Place: Hashable {
        let key: String
        let block: Int
    }

    /// A store, what is in it, and the bytes that its files still have of that, looked for without its code.
    private struct Stage {
        let fixture: StoreFixture
        let disk: SimulatedFileSystem
        let bucket: BucketName
        var store: ObjectStore
        var bodies: [String: [UInt8]] = [:]
        var carriers: [String: SequenceNumber] = [:]
        var blobs: [String: BlobID] = [:]
        /// The replicas of each key as they were written.
        var originals: [String: Set<Data>] = [:]

        func recoverable() throws -> Set<Place> {
            let files = try disk.files(below: "/").map { Data(try disk.contents(of: $0)) }
            var found: Set<Place> = []
            for (key, body) in bodies {
                guard carriers[key] == nil else {
                    if files.contains(where: { $0.range(of: Data(body)) != nil }) {
                        found.insert(Place(key: key, block: 0))
                    }
                    continue
                }
                for start in stride(from: 0, to: body.count, by: Limits.blockSize) {
                    let block = Data(body[start..<min(start + Limits.blockSize, body.count)])
                    let isThere = files.contains { file in
                        file.count >= start + block.count && file[start..<start + block.count] == block
                    }
                    if isThere { found.insert(Place(key: key, block: start / Limits.blockSize)) }
                }
            }
            return found
        }

        /// Keys whose bytes stand together in a file that is named as theirs, on a volume or in its quarantine, or in a
        /// quarantine under whatever name if the file says itself whose it is.
        func whole() throws -> Set<String> {
            let files = try disk.files(below: "/").map { ($0, Data(try disk.contents(of: $0))) }
            return Set(
                bodies.filter { key, body in
                    files.contains { path, content in
                        guard let id = blobs[key] else {
                            return path.contains("/log/") && content.range(of: Data(body)) != nil
                        }
                        if path.contains("/\(id)"), content.starts(with: body) { return true }
                        return path.contains("/quarantine/") && originals[key]?.contains(content) == true
                    }
                }.keys)
        }

        /// Keys whose every byte is given, and right.
        func readable() async throws -> Set<String> {
            var found: Set<String> = []
            for (key, body) in bodies {
                do {
                    let read = try await store.get(bucket, key)
                    #expect(read == body, "\(key) has other bytes")
                    found.insert(key)
                } catch is StoreError {}  // it is lost, or not to be had at the moment, and said to be
            }
            return found
        }
    }

    private func stage(_ random: inout SeededGenerator) async throws -> Stage {
        let started = try await StartedStore()
        var stage = Stage(
            fixture: started.fixture, disk: started.disk, bucket: started.bucket, store: started.store)
        for (number, size) in [200_000, 65_537, 131_072, 150_000, 3_000, 40_000, 900].enumerated() {
            let key = "k\(number)"
            let body = random.bytes(size)
            let put = try await stage.store.put(stage.bucket, key, body)
            stage.bodies[key] = body
            stage.blobs[key] = BlobID(bytes: put.value.record.pieces[0].blobID)
            if size <= Limits.inlineByteCount { stage.carriers[key] = put.commit.sequence }
        }
        let files = try stage.disk.files(below: "/").filter { $0.contains("/blobs/") }
        for (key, id) in stage.blobs {
            stage.originals[key] = Set(
                try files.filter { $0.hasSuffix("/\(id)") }.map { Data(try stage.disk.contents(of: $0)) })
        }
        return stage
    }

    // MARK: Faults

    private func damage(_ stage: Stage, _ random: inout SeededGenerator) throws {
        let volume = Int.random(in: 1...3, using: &random)
        let files = try stage.disk.files(below: "/volume-\(volume)/blobs")
        guard let path = files.randomElement(using: &random) else { return }
        let size = try stage.disk.contents(of: path).count
        switch Int.random(in: 0..<8, using: &random) {
        case 0: try stage.disk.lose(path)
        case 1: try stage.disk.corruptSize(path, to: .random(in: 0...UInt64(size), using: &random))
        case 2:
            guard let other = files.randomElement(using: &random) else { return }
            let content = try stage.disk.contents(of: other)
            try stage.disk.place(content, at: path)
        case 3:
            let start = Int.random(in: 0..<max(1, size - 4096), using: &random)
            try stage.disk.corrupt(path, at: UInt64(start), with: [UInt8](repeating: 0, count: 4096))
        case 4, 5:
            let place = UInt64.random(in: 0..<UInt64(max(1, size)), using: &random)
            try stage.disk.corrupt(path, at: place)
        default:
            let keys = stage.carriers.keys.sorted()
            guard let key = keys.randomElement(using: &random), let carrier = stage.carriers[key] else {
                return
            }
            let (path, range) = try LogDamage(disk: stage.disk, volume: volume).frame(carrier)
            // Of the payload: an event that no mirror has keeps the store from opening, which is another test's.
            let back = Int.random(in: 9..<stage.bodies[key]!.count, using: &random)
            try stage.disk.corrupt(path, at: UInt64(range.upperBound - back))
        }
    }

    // MARK: Repairs

    private func repair(_ stage: inout Stage, _ random: inout SeededGenerator) async throws -> String {
        switch Int.random(in: 0..<6, using: &random) {
        case 0, 1:
            _ = try await StoreCheck(
                stage.store, .init(isDeep: true, repairs: true), includesOpening: false
            ).run { _ in }
            return "a check that repairs"
        case 2:
            var repairs: [RepairRecord] = []
            try Repairs(stage.store).list { if $0.undone == nil { repairs.append($0) } }
            guard let repair = repairs.randomElement(using: &random) else { return "nothing to undo" }
            do { _ = try await Repairs(stage.store).undo(repair.sequence) } catch is UndoRefusal {
                return "an undo that was refused"
            } catch is PutBackRefusal {
                return "an undo whose file is not what it was"
            }
            return "undoing repair \(repair.sequence)"
        case 3:
            let rescue = DamageRepair(stage.store)
            defer { withExtendedLifetime(rescue) {} }
            _ = try await stage.readable()
            return "reads that mend"
        case 4:
            stage.store.close()
            stage.store = try await stage.fixture.open(stage.disk)
            return "opening again"
        default:
            stage.store.maintain()
            while try await stage.store.reclaim() {}
            return "maintenance"
        }
    }

    @Test func whateverIsDamagedAndMendedInWhateverOrderNoByteGoesThatCouldBeHad() async throws {
        let seed = SeededGenerator.seed(standard: 4100)
        print("HOLDFAST_SEED=\(seed)")
        for round in 0..<SeededGenerator.rounds(standard: 12) {
            var random = SeededGenerator(seed: seed + UInt64(round))
            var stage = try await stage(&random)
            defer { stage.store.close() }
            var before = try stage.recoverable()
            for _ in 0..<6 {
                for _ in 0..<Int.random(in: 1...5, using: &random) { try damage(stage, &random) }
                before = try stage.recoverable()
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let done = try await repair(&stage, &random)
                    let after = try stage.recoverable()
                    let gone = before.subtracting(after)
                    #expect(gone.isEmpty, "round \(round): \(done) lost \(gone)")
                    before = after
                }
            }
            // What stands whole in one file of its name is given.
            let whole = try stage.whole()
            _ = try await StoreCheck(
                stage.store, .init(isDeep: true, repairs: true), includesOpening: false
            ).run { _ in }
            #expect(whole.isSubset(of: try await stage.readable()), "round \(round)")
        }
    }
}
