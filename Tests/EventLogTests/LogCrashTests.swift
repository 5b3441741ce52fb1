import EventLog
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// The machine dies at every operation of a random workload over three mirrors, again and again while it
/// recovers.
@Suite struct LogCrashTests {
    /// What the workload was told is stable, and what it asked for.
    private struct Told {
        var stable: [String] = []
        /// Flushed, and the flush did not come back with a quorum: may be there or not, as far as the batch goes.
        var doubtful: [String] = []
    }

    /// Random batches; returns when the machine dies or all is done.
    private func work(_ fixture: LogFixture, _ generator: inout SeededGenerator, _ told: inout Told) {
        guard let log = try? fixture.open().log else { return }
        log.beginEpoch(1)
        for batch in 0..<14 {
            var names: [String] = []
            for number in 0..<Int.random(in: 1...4, using: &generator) {
                let name = "event-\(batch)-\(number)"
                let payload = generator.bytes(Int.random(in: 0...900, using: &generator))
                guard (try? log.stage(.named(name), payload: payload)) != nil else { return }
                names.append(name)
            }
            if generator.next() % 8 == 0 {
                log.discard()
                continue
            }
            guard log.flush().stable.count >= Limits.writeQuorum else {
                told.doubtful = names
                return
            }
            told.stable += names
        }
    }

    /// The log after a crash: caught up, all of what was stable, a prefix of what was asked for.
    private func check(_ disk: SimulatedFileSystem, _ told: Told, _ place: String) throws {
        let (log, _) = try LogFixture(disk).start()
        let names = try log.names().filter { $0 != "epoch" }
        #expect(names.starts(with: told.stable), "\(place): acknowledged events are there")
        #expect((told.stable + told.doubtful).starts(with: names), "\(place): nothing is invented")
        #expect(try log.isProved() && log.inService == [1, 2, 3], "\(place): chain and mirrors agree")
        try log.append("onwards", payload: [1])
        let (again, recovery) = try LogFixture(disk).open()
        #expect(recovery.lagging.isEmpty && recovery.notes.isEmpty, "\(place): \(recovery.notes)")
        #expect(again.head == log.head)
    }

    @Test func whatAQuorumHasSurvivesACrashAtEveryOperation() throws {
        let seed = SeededGenerator.seed(standard: 20_261_124)
        var points = 0
        for round in 0..<4 as Range<UInt64> {
            let start = try LogFixture.created().disk
            for point in 1... {
                let disk = start.clone()
                disk.crash(atOperation: point)
                var generator = SeededGenerator(seed: seed &+ round)
                var told = Told()
                work(LogFixture(disk), &generator, &told)
                guard disk.hasCrashed else { break }
                points += 1
                let found = disk.recovered(seed: seed &+ UInt64(point))
                // The machine dies a second time while it recovers.
                let second = found.clone()
                second.crash(atOperation: 1 + point % 23)
                _ = try? LogFixture(second).start()
                let place = "round \(round), crash at \(point)"
                try check(found, told, place)
                try check(second.recovered(seed: seed &+ UInt64(point) &+ 1), told, place + ", twice")
            }
        }
        print("log crash test: seed \(seed), \(points) crash points, each twice")
        #expect(points > 500)
    }

    @Test func whatAQuorumHasSurvivesWhenOneVolumeIsLostInTheCrash() throws {
        let seed = SeededGenerator.seed(standard: 7)
        var points = 0
        let start = try LogFixture.created().disk
        for point in 1... {
            let disk = start.clone()
            disk.crash(atOperation: point)
            var generator = SeededGenerator(seed: seed)
            var told = Told()
            work(LogFixture(disk), &generator, &told)
            guard disk.hasCrashed else { break }
            points += 1
            let lost = point % 3 + 1
            let found = LogFixture(disk.recovered(seed: seed &+ UInt64(point)))
            let (log, _) = try found.start([1, 2, 3].filter { $0 != lost })
            let names = try log.names().filter { $0 != "epoch" }
            #expect(names.starts(with: told.stable), "crash at \(point), volume \(lost) lost")
            #expect((told.stable + told.doubtful).starts(with: names), "crash at \(point)")
            #expect(try log.isProved())
        }
        print("log crash test with a lost volume: seed \(seed), \(points) crash points")
        #expect(points > 100)
    }
}
