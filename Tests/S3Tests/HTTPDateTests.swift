import Foundation
import Model
import S3
import Testing

@Suite struct HTTPDateTests {
    /// RFC 9110, section 5.6.7: a recipient takes all three. The last ones are what some S3 clients send.
    @Test(arguments: [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "19941106T084937Z", "1994-11-06T08:49:37Z", "1994-11-06T08:49:37.123Z",
    ])
    func everyFormIsTheSameMoment(text: String) {
        #expect(HTTPDate.seconds(text) == 784_111_777)
    }

    @Test(arguments: [
        "", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nvo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:+7 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT", "Sun Nov 6 08:49:37", "Sunday, 06-Nov-1994-1 08:49:37 GMT",
        "20130230T000000Z", "+2130524T000000Z", "2013+524T000000Z", "20130524 000000Z", "20130524T000000",
        "20130524T0000-1Z",
        "0",
    ])
    func whatIsNoDateIsNone(text: String) {
        #expect(HTTPDate.seconds(text) == nil)
    }

    @Test func aYearOfTwoDigitsIsNeverMoreThanFiftyYearsAhead() {
        let now = Timestamp.now().components.year
        for ahead in [0, 1, 49] {
            let year = (now + ahead) % 100
            let text = "Sunday, 06-Nov-\(year < 10 ? "0" : "")\(year) 00:00:00 GMT"
            let found = HTTPDate.seconds(text).map { Timestamp(microseconds: $0 * 1_000_000).components.year }
            #expect(found == now + ahead)
        }
        let past = (now + 60) % 100
        let text = "Sunday, 06-Nov-\(past < 10 ? "0" : "")\(past) 00:00:00 GMT"
        let found = HTTPDate.seconds(text).map { Timestamp(microseconds: $0 * 1_000_000).components.year }
        #expect(found == now - 40 || (found == nil && now - 40 < 1970))
    }

    @Test func aMomentIsWrittenAndReadBack() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let seconds = UInt64.random(in: 0..<253_402_300_800, using: &random)
            let time = Timestamp(microseconds: seconds * 1_000_000 + 999_999)
            #expect(HTTPDate.seconds(HTTPDate.string(time)) == seconds)
            #expect(HTTPDate.compactSeconds(HTTPDate.compact(seconds)) == seconds)
        }
        #expect(
            HTTPDate.string(Timestamp(microseconds: 784_111_777_000_000)) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.compact(1_369_353_600) == "20130524T000000Z")
    }

    @Test func theLeapSecondAtTheEndOfTheLastYearIsTheLastMoment() {
        #expect(HTTPDate.seconds("Fri, 31 Dec 9999 23:59:60 GMT") == 253_402_300_799)
    }
}
