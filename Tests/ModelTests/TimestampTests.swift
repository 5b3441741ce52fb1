import Foundation
import Model
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z", 4), (951_782_400, "2000-02-29T00:00:00.000Z", 2),
        (951_868_799, "2000-02-29T23:59:59.000Z", 2), (951_868_800, "2000-03-01T00:00:00.000Z", 3),
        (1_369_353_600, "2013-05-24T00:00:00.000Z", 5), (1_709_164_800, "2024-02-29T00:00:00.000Z", 4),
        (4_107_542_399, "2100-02-28T23:59:59.000Z", 0), (4_107_542_400, "2100-03-01T00:00:00.000Z", 1),
        (253_402_300_799, "9999-12-31T23:59:59.000Z", 5),
    ])
    func secondsBecomeTheDateAndDayOfTheWeek(seconds: UInt64, text: String, weekday: Int) {
        let time = Timestamp(microseconds: seconds * 1_000_000)
        #expect(time.description == text)
        #expect(time.weekday == weekday)
        #expect(time.seconds == seconds)
    }

    @Test func everyDayOfFourCenturiesAgreesWithFoundation() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        for day in stride(from: 0, to: 146_097, by: 1) {
            let time = Timestamp(microseconds: UInt64(day) * 86_400_000_000 + 1)
            let expected = calendar.dateComponents([.year, .month, .day], from: time.date)
            let found = time.components
            guard found.year == expected.year, found.month == expected.month, found.day == expected.day
            else {
                Issue.record("day \(day): \(found), not \(expected)")
                return
            }
        }
    }

    @Test func fractionsOfASecondAreCutToMilliseconds() {
        #expect(Timestamp(microseconds: 1_999).description == "1970-01-01T00:00:00.001Z")
        #expect(Timestamp(microseconds: 99_999).description == "1970-01-01T00:00:00.099Z")
        #expect(Timestamp(microseconds: 999_999).description == "1970-01-01T00:00:00.999Z")
    }

    @Test func aDateBefore1970IsTheFirstMoment() {
        #expect(Timestamp(Date(timeIntervalSince1970: -5)) == Timestamp(microseconds: 0))
        #expect(Timestamp(Date(timeIntervalSince1970: 1.5)) == Timestamp(microseconds: 1_500_000))
    }

    @Test func theWallClockDoesNotStandStill() {
        let first = Timestamp.now()
        var next = Timestamp.now()
        while next == first { next = .now() }
        #expect(first < next)
    }
}
