import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// Random operations on the reference model and on the engine, every answer, listing and byte compared, while
/// volumes fail and return, and the store is closed, crashed and opened again.
private struct ModelRun {
    let fixture: StoreFixture
    var disk: SimulatedFileSystem
    var store: ObjectStore
    var model = StoreModel()
    var generator: OperationGenerator
    let context: String
    var operations = 0
    var refused = 0
    var undone = 0
    var upheavals = 0
    private var faults: [Int] = []

    init(seed: UInt64) async throws {
        fixture = try StoreFixture { $0.segmentByteCount = 256 * 1024 }
        disk = SimulatedFileSystem()
        try fixture.create(disk)
        store = try await fixture.open(disk)
        generator = OperationGenerator(seed: seed)
        generator.hasLargeParts = true
        context = "HOLDFAST_SEED=\(seed)"
    }

    mutating func run(_ count: Int) async throws {
        for _ in 0..<count {
            switch Int.random(in: 0..<40, using: &generator.random) {
            case 0: try await closeAndOpen()
            case 1: try await crashAndOpen()
            case 2...4: injectFault()
            case 5...6: try await heal()
            case 7: try await reclaim()
            case 8...10: try await compareReads()
            default: try await step()
            }
        }
        try await heal()
        try await check()
        store.close()
    }

    private mutating func step() async throws {
        let operation = generator.next(model)
        operations += 1
        let driver = ModelDriver(store, model)
        let found: Result<(StoreModel.Answer, id: String), any Error>
        do { found = .success(try await driver.apply(operation)) } catch { found = .failure(error) }
        switch found {
        case .success(let (answer, id)):
            do throws(StoreModel.Refusal) {
                let expected = try model.apply(operation, id: id)
                #expect(answer == expected, "\(context), operation \(operations): \(operation)")
            } catch {
                Issue.record(
                    "\(context), operation \(operations): \(operation) was not refused with \(error)")
            }
        case .failure(let error):
            if let refusal = StoreModel.Refusal(error) {
                refused += 1
                var copy = model
                #expect(
                    throws: refusal, "\(context), operation \(operations): \(operation)"
                ) { try copy.apply(operation, id: "") }
            } else {
                undone += 1
                try await recover(operation, error)
            }
        }
    }

    /// An operation that the store could not do: only with a volume failing, and then it is done or not.
    private mutating func recover(_ operation: StoreModel.Operation, _ error: any Error) async throws {
        #expect(!faults.isEmpty, "\(context), operation \(operations): \(operation): \(error)")
        if case StoreError.outcomeUnknown = error {
            try await heal(doubtful: operation)
        } else {
            try await heal()
        }
    }

    // MARK: Upheavals

    private mutating func injectFault() {
        upheavals += 1
        let volume = Int.random(in: 1...3, using: &generator.random)
        let isWide = Int.random(in: 0..<4, using: &generator.random) == 0
        let prefixes = isWide ? ["/volume-\(volume)/", "/volume-\(volume % 3 + 1)/"] : ["/volume-\(volume)/"]
        let effects: [(FaultEffect, Set<SimulatedOperation>)] = [
            (.fail(EIO), [.sync]), (.fail(EIO), [.read]), (.fail(ENOSPC), [.write, .allocate]),
            (.fail(EROFS), [.write, .create, .link, .rename, .remove, .createDirectory]),
            (.shortWrite(100, EIO), [.write]), (.shortRead(100), [.read]), (.loseSync(EIO), [.sync]),
            (.fail(EIO), [.syncDirectory]), (.fail(EIO), [.status, .list]),
        ]
        let (effect, on) = effects[Int.random(in: 0..<effects.count, using: &generator.random)]
        let skip = Int.random(in: 0..<6, using: &generator.random)
        let times =
            Bool.random(using: &generator.random) ? nil : Int.random(in: 1...3, using: &generator.random)
        for prefix in prefixes {
            faults.append(
                disk.inject(Fault(effect, on: on, skip: skip, times: times) { $0.hasPrefix(prefix) }))
        }
        if Bool.random(using: &generator.random) { store.maintain() }
    }

    private mutating func heal(doubtful: StoreModel.Operation? = nil) async throws {
        disk.removeFaults()
        faults = []
        for _ in 0..<3 {
            // One that could not be filled a moment ago need not wait.
            for status in store.volumeStatuses where status.standing == .setAside {
                try store.returnVolume(status.index)
            }
            store.maintain()
        }
        for status in store.volumeStatuses {
            #expect(status.standing == .inService, "\(context), operation \(operations): \(status)")
        }
        let left = try await model.settle(doubtful, by: store)
        #expect(left == [], "\(context), operation \(operations)")
    }

    private mutating func closeAndOpen() async throws {
        upheavals += 1
        try await heal()
        store.close()
        if Bool.random(using: &generator.random) { try fixture.forgetCatalog() }
        store = try await fixture.open(disk)
        let left = try await model.differences(from: store)
        #expect(left == [], "\(context), opened after operation \(operations)")
    }

    private mutating func crashAndOpen() async throws {
        upheavals += 1
        try await heal()
        let operation = generator.next(model)
        disk.crash(atOperation: Int.random(in: 1...40, using: &generator.random))
        let driver = ModelDriver(store, model)
        var doubtful: StoreModel.Operation? = operation
        do {
            let (answer, id) = try await driver.apply(operation)
            #expect(try model.apply(operation, id: id) == answer, "\(context): \(operation)")
            doubtful = nil
        } catch {
            if StoreModel.Refusal(error) != nil { doubtful = nil }
        }
        disk.crash()
        store.close()
        disk = disk.recovered(seed: generator.random.next())
        try fixture.forgetCatalog()
        store = try await fixture.open(disk)
        let left = try await model.settle(doubtful, by: store)
        #expect(left == [], "\(context), crashed after operation \(operations)")
    }

    private mutating func reclaim() async throws {
        try await heal()
        fixture.advance(seconds: 8 * 86_400)
        while try await store.reclaim() {}
    }

    // MARK: Comparing

    private mutating func compareReads() async throws {
        let driver = ModelDriver(store, model)
        let bucket = generator.buckets[Int.random(in: 0..<2, using: &generator.random)]
        guard model.buckets[bucket] != nil else { return }
        let prefix = ["", "a", "a/", "a/c", "ü", "x"].randomElement(using: &generator.random)!
        let after = ["", "a", "a/", "a/b", "a-b", "b", "zz"].randomElement(using: &generator.random)!
        let delimiter = ["", "/", "-"].randomElement(using: &generator.random)!
        let limit = Int.random(in: 1...8, using: &generator.random)
        for versions in [false, true] {
            #expect(
                try driver.list(
                    bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit,
                    versions: versions)
                    == model.list(
                        bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit,
                        versions: versions),
                "\(context): \(bucket) prefix '\(prefix)' delimiter '\(delimiter)' after '\(after)'")
        }
    }

    private mutating func check() async throws {
        var findings: [Finding] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            findings.append($0)
        }
        #expect(findings.map { "\($0.code) \($0.path): \($0.evidence)" } == [], "\(context)")
    }
}

@Suite struct ModelTests {
    @Test func theEngineAnswersAsTheModelDoesWhateverTheVolumesDo() async throws {
        let seed = SeededGenerator.seed(standard: 7_001)
        var (operations, refused, undone, upheavals) = (0, 0, 0, 0)
        let rounds = SeededGenerator.rounds(standard: 8)
        for round in 0..<UInt64(rounds) {
            var run = try await ModelRun(seed: seed &+ round)
            try await run.run(400)
            operations += run.operations
            refused += run.refused
            undone += run.undone
            upheavals += run.upheavals
        }
        print(
            "HOLDFAST_SEED=\(seed): \(operations) operations, \(refused) refused, \(undone) failed, \(upheavals) upheavals"
        )
        // What eight rounds come to at least: a run that does next to nothing proves nothing.
        #expect(operations > 125 * rounds)
        if rounds >= 8 { #expect(refused > 100 && undone > 10) }
    }
}
