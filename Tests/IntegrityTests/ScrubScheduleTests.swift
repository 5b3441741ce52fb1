import Integrity
import Model
import Testing

@Suite struct ScrubScheduleTests {
    private static let day = 86_400.0
    private let schedule = ScrubSchedule(periodSeconds: 40 * day)

    private func at(_ days: Double) -> Timestamp {
        Timestamp(microseconds: UInt64((1000 + days) * Self.day * 1_000_000))
    }

    private func volume(
        _ index: Int, completed: Double? = nil, underWay: Double? = nil, isInService: Bool = true
    ) -> ScrubSchedule.Volume {
        .init(
            index: index, isInService: isInService, created: at(0), completed: completed.map(at),
            underWay: underWay.map(at))
    }

    @Test func volumesTakeTurnsAQuarterOfThePeriodApart() {
        let new = [volume(1), volume(2), volume(3)]
        #expect(schedule.next(new, at: at(9.9)) == nil)
        #expect(schedule.next(new, at: at(10)) == 1)
        let one = [volume(1, completed: 10), volume(2), volume(3)]
        #expect(schedule.next(one, at: at(19)) == nil)
        #expect(schedule.next(one, at: at(20)) == 2)
        let two = [volume(1, completed: 10), volume(2, completed: 20), volume(3)]
        #expect(schedule.next(two, at: at(30)) == 3)
        let three = [volume(1, completed: 10), volume(2, completed: 20), volume(3, completed: 30)]
        #expect(schedule.next(three, at: at(40)) == 1)
    }

    @Test func aPassThatWasBegunIsEndedFirst() {
        #expect(schedule.next([volume(1), volume(2, underWay: 1), volume(3)], at: at(1)) == 2)
    }

    @Test func aVolumeThatIsOutIsNotRead() {
        let volumes = [volume(1, isInService: false), volume(2), volume(3)]
        #expect(schedule.next(volumes, at: at(10)) == 2)
    }

    @Test func aStoreOlderThanItsPeriodIsReadAtOnce() {
        let volumes = [volume(1, completed: 99), volume(2, completed: 60), volume(3, completed: 98)]
        #expect(schedule.next(volumes, at: at(100)) == 2)
    }

    @Test func withoutAPeriodNothingIsDue() {
        let never = ScrubSchedule(periodSeconds: nil)
        #expect(never.next([volume(1, underWay: 1)], at: at(1000)) == nil)
    }

    /// Whatever the order, nothing on a volume was read longer ago than a period, if each pass takes its quarter.
    @Test func whatIsReadWasReadWithinThePeriodBefore() {
        var completed: [Double?] = [nil, nil, nil]
        var now = 0.0
        var passes = 0
        while now < 400 {
            let volumes = (0..<3).map { volume($0 + 1, completed: completed[$0]) }
            guard let next = schedule.next(volumes, at: at(now)) else {
                now += 0.25
                continue
            }
            // A pass is over a quarter after its beginning at the latest; until then the last one counts.
            let age = now + 10 - (completed[next - 1] ?? 0)
            #expect(age <= 40.001, "volume \(next) at day \(now)")
            completed[next - 1] = now
            now += 8
            passes += 1
        }
        #expect(passes >= 38)
    }

    @Test func aPassReadsAsFastAsTheTimeThatIsLeftAsks() throws {
        let bytes: UInt64 = 800_000_000_000_000
        let whole = try #require(schedule.rate(bytesLeft: bytes, started: at(0), at: at(0)))
        #expect(abs(whole - 100e12 / Self.day) < 1e6)
        let half = try #require(schedule.rate(bytesLeft: bytes, started: at(0), at: at(4)))
        #expect(abs(half / whole - 2) < 0.001)
        let window = ScrubSchedule(
            periodSeconds: 40 * Self.day, window: try #require(ScrubWindow("22:00-04:00")))
        let windowed = try #require(window.rate(bytesLeft: bytes, started: at(0), at: at(0)))
        #expect(abs(windowed / whole - 4) < 0.001)
        #expect(schedule.rate(bytesLeft: bytes, started: at(0), at: at(8)) == nil)
    }

    @Test(arguments: [
        ("22:00-06:00", 22 * 60, true), ("22:00-06:00", 5 * 60 + 59, true), ("22:00-06:00", 6 * 60, false),
        ("22:00-06:00", 12 * 60, false), ("01:30-02:00", 90, true), ("01:30-02:00", 120, false),
        ("always", 720, true),
    ])
    func aWindowIsOpenFromItsStartToItsEnd(_ text: String, _ minute: Int, _ isOpen: Bool) throws {
        let window = try #require(ScrubWindow(text))
        #expect(window.contains(minute: minute) == isOpen)
        #expect(window.description == text)
    }

    @Test(arguments: [
        "", "22-06", "24:00-01:00", "10:60-11:00", "1:00-2:00", "10:00-10:00", "10:00", "10:00-11:00-12:00",
        "ab:cd-ef:gh",
    ])
    func aWindowThatMakesNoSenseIsNone(_ text: String) { #expect(ScrubWindow(text) == nil) }
}
