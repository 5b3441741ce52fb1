import HoldfastServer
import NIOCore
import Testing

@Suite struct ClientPatienceTests {
    private static let limits = ClientPatience.Limits(
        idle: .seconds(60), header: .seconds(20), grace: .seconds(20), minimumRate: 500)

    private static func second(_ seconds: Int) -> NIODeadline {
        .uptimeNanoseconds(0) + .seconds(Int64(seconds))
    }

    /// Looks once a second; `moved` is what moves in each.
    /// - Returns: the second in which it is given up, and with what.
    private static func givenUp(
        _ patience: inout ClientPatience, _ turn: ClientPatience.Turn, from start: Int = 1,
        through end: Int = 3600, moved: (Int) -> Int
    ) -> (second: Int, with: SlowClient)? {
        for now in start...end {
            if let slow = patience.look(turn, isNew: now == start, moved: moved(now), at: second(now)) {
                return (now, slow)
            }
        }
        return nil
    }

    private static func fresh() -> ClientPatience { ClientPatience(limits, at: second(0)) }

    @Test func aConnectionThatIsSilentBetweenTwoRequestsIsClosed() throws {
        var patience = Self.fresh()
        let given = try #require(Self.givenUp(&patience, .idle) { _ in 0 })
        #expect(given.with == .idle && given.second == 61)
    }

    @Test func aHeadHasItsTimeHoweverItComes() throws {
        var patience = Self.fresh()
        let given = try #require(Self.givenUp(&patience, .header) { _ in 1 })
        #expect(given.with == .header && given.second == 20)
    }

    @Test func aBodyThatDripsIsGivenUpAndOneThatIsQuickEnoughIsNot() throws {
        var patience = Self.fresh()
        let drip = try #require(Self.givenUp(&patience, .body) { _ in 100 })
        // Each second costs 0.8 of the 20 that it has.
        #expect(drip.with == .body && (25...28).contains(drip.second))
        var other = Self.fresh()
        #expect(Self.givenUp(&other, .body) { _ in 500 } == nil)
    }

    @Test func whatWasQuickBeforePaysForNoMoreThanTheGrace() throws {
        var patience = Self.fresh()
        let given = try #require(Self.givenUp(&patience, .body) { $0 < 100 ? 100_000_000 : 1 })
        #expect((119...122).contains(given.second))
    }

    @Test func aBodyThatStopsAltogetherIsGivenUpAfterTheGrace() throws {
        var patience = Self.fresh()
        let given = try #require(Self.givenUp(&patience, .body) { $0 < 10 ? 1000 : 0 })
        #expect(given.with == .body && (29...31).contains(given.second))
    }

    @Test func whatTheServerTakesIsNotTheClientsTime() {
        var patience = Self.fresh()
        #expect(patience.look(.body, isNew: true, moved: 0, at: Self.second(1)) == nil)
        for now in 2...500 {
            #expect(patience.look(.server, isNew: false, moved: 0, at: Self.second(now)) == nil)
        }
        #expect(patience.look(.body, isNew: false, moved: 0, at: Self.second(501)) == nil)
        #expect(Self.givenUp(&patience, .server, from: 502) { _ in 0 } == nil)
    }

    @Test func anAnswerThatIsNotTakenIsGivenUp() throws {
        var patience = Self.fresh()
        let given = try #require(Self.givenUp(&patience, .response) { _ in 10 })
        #expect(given.with == .response && given.second < 30)
    }

    @Test func oneRequestAfterTheOtherIsNoLongHead() {
        var patience = Self.fresh()
        for now in 1...500 {
            #expect(patience.look(.header, isNew: true, moved: 0, at: Self.second(now)) == nil)
        }
    }

    @Test func looksAreFrequentEnoughForTheShortestTime() {
        #expect(Self.limits.interval == .seconds(5))
        let short = ClientPatience.Limits(
            idle: .seconds(60), header: .seconds(1), grace: .seconds(5), minimumRate: 1)
        #expect(short.interval == .milliseconds(250))
    }
}
