import Model
import Notifications
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A sink whose log was cut, or made anew, while no server had it.
@Suite struct CutLogTests {
    private static let filter = NotificationFilter(events: ["s3:ObjectCreated:*"])
    private let receiver = Receiver()

    private func sink(_ store: ObjectStore) throws -> Sink {
        try Sink("test", receiver, Self.filter, store, region: "r", Clock().surroundings())
    }

    private func drain(_ sink: Sink) async throws { while try await sink.step() {} }

    private func cursorPath(_ stage: StartedStore) -> String {
        stage.fixture.settings.stateDirectory + "/sinks/test.json"
    }

    /// The disk of a store that is closed, its log without the last ten objects that a sink was told of; the sink has its
    /// cursor behind them.
    private func cut(_ stage: StartedStore) async throws -> SimulatedFileSystem {
        let sink = try sink(stage.store)
        try await stage.store.put(stage.bucket, "kept", [1])
        try await drain(sink)
        let disk = stage.disk.recovered(seed: 1)
        for number in 0..<10 { try await stage.store.put(stage.bucket, "lost \(number)", [1]) }
        try await drain(sink)
        stage.store.close()
        try disk.place(try stage.disk.contents(of: cursorPath(stage)), at: cursorPath(stage))
        // It has applied what is lost.
        try stage.fixture.forgetCatalog()
        return disk
    }

    @Test func aLogThatEndsBeforeTheSinksCursorIsToldOfFromWhereItWasCut() async throws {
        let stage = try await StartedStore()
        let disk = try await cut(stage)
        let store = try await stage.fixture.open(disk)
        let sink = try sink(store)
        try await drain(sink)
        #expect(try #require(sink.standing.lastError).contains("the log was cut, or made anew"))
        #expect(sink.standing.sequence == store.head.sequence.rawValue)
        try await store.put(stage.bucket, "new", [1])
        try await drain(sink)
        // What was kept is not told again: the cut is known to the event.
        #expect(try receiver.keys().count == 12)
        #expect(try receiver.keys().last == "new")
        let record = try #require(try receiver.deliveries().last?.first)
        #expect(record.holdfast.previous == 0)
        #expect(receiver.replays.last == 1)
        store.close()
    }

    @Test func aLogThatHasOtherEventsAtTheSinksCursorIsToldOfFromWhereItWasCut() async throws {
        let stage = try await StartedStore()
        let disk = try await cut(stage)
        let store = try await stage.fixture.open(disk)
        let keys = (0..<20).map { "new\($0)" }
        for key in keys { try await store.put(stage.bucket, key, [1]) }
        let sink = try sink(store)
        try await drain(sink)
        #expect(try receiver.keys().count == 31)
        #expect(try receiver.keys().suffix(20) == keys[...])
        // It has looked: another start finds nothing.
        let again = try self.sink(store)
        try await drain(again)
        #expect(again.standing.lastError == nil)
        #expect(try receiver.keys().count == 31)
        store.close()
    }

    @Test func whatWasWrittenInSeveralEpochsSinceTheCutIsToldOf() async throws {
        let stage = try await StartedStore()
        let disk = try await cut(stage)
        for number in 0..<3 {
            let store = try await stage.fixture.open(disk)
            try await store.put(stage.bucket, "new\(number)", [1])
            store.close()
        }
        let store = try await stage.fixture.open(disk)
        try await drain(try sink(store))
        #expect(try receiver.keys().dropFirst(11) == ["new0", "new1", "new2"])
        store.close()
    }

    @Test func aLogThatWasMadeOfTheReplicasIsToldOfWhole() async throws {
        let stage = try await StartedStore()
        let first = try sink(stage.store)
        try await stage.store.put(stage.bucket, "large", [UInt8](repeating: 1, count: 70_000))
        for number in 0..<20 { try await stage.store.put(stage.bucket, "small\(number)", [1]) }
        try await drain(first)
        stage.store.close()
        let disk = stage.disk.recovered(seed: 1)
        for volume in 1...3 { try disk.empty("/volume-\(volume)/log") }
        _ = try ObjectStore.rebuildFromReplicas(
            stage.fixture.settings, region: "r", isDryRun: false, stage.fixture.environment(disk))
        try stage.fixture.forgetCatalog()
        let store = try await stage.fixture.open(disk)
        try await store.put(stage.bucket, "new", [1])
        try await drain(try sink(store))
        #expect(try receiver.keys().dropFirst(21) == ["large", "new"])
        store.close()
    }

    @Test(arguments: [true, false])
    func aCursorOfAnEarlierVersionGoesOnUnlessTheLogEndsBeforeIt(_ isBeyond: Bool) async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "before", [1])
        let sequence = isBeyond ? 1000 : stage.store.head.sequence.rawValue
        let file = #"{"format":1,"isPaused":false,"previous":0,"sequence":\#(sequence)}"#
        try stage.disk.place(Array(file.utf8), at: cursorPath(stage))
        let sink = try sink(stage.store)
        try await stage.store.put(stage.bucket, "after", [1])
        try await drain(sink)
        #expect(try receiver.keys() == (isBeyond ? ["before", "after"] : ["after"]))
        let text = String(decoding: try stage.disk.contents(of: cursorPath(stage)), as: UTF8.self)
        #expect(text.contains(#""chain":"\#(stage.store.head.chain)""#))
        stage.store.close()
    }

    @Test func aHistoryThatCannotBeReadKeepsNoNewSinkFromBeginning() async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "a", [1])
        for sequence in 1..<stage.store.head.sequence.rawValue {
            for volume in 1...3 {
                let damage = LogDamage(disk: stage.disk, volume: volume)
                let (path, range) = try damage.frame(SequenceNumber(sequence))
                try stage.disk.corrupt(path, at: UInt64(range.lowerBound + 90))
            }
        }
        let sink = try sink(stage.store)
        try await drain(sink)
        #expect(sink.standing.lastError == nil)
        try await stage.store.put(stage.bucket, "b", [1])
        try await drain(sink)
        #expect(try receiver.keys() == ["b"])
        stage.store.close()
    }

    @Test func anEventThatCannotBeReadAnyMoreKeepsNobodyFromWhatComesAfter() async throws {
        let stage = try await StartedStore()
        let first = try sink(stage.store)
        let put = try await stage.store.put(stage.bucket, "a", [1])
        try await drain(first)
        for volume in 1...3 {
            let (path, range) = try LogDamage(disk: stage.disk, volume: volume).frame(put.commit.sequence)
            try stage.disk.corrupt(path, at: UInt64(range.lowerBound + 90))
        }
        let second = try sink(stage.store)
        try await drain(second)
        #expect(try #require(second.standing.lastError).contains("whether the log was cut is not known"))
        try await stage.store.put(stage.bucket, "b", [1])
        try await drain(second)
        #expect(try receiver.keys() == ["a", "b"])
        stage.store.close()
    }
}
