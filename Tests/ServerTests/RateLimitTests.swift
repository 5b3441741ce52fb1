import Foundation
import HoldfastServer
import NIOCore
import Testing

private func second(_ seconds: Double) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000 + UInt64(seconds * 1e9))
}

@Suite struct RateLimitTests {
    private static func limits(
        capacity: Int = 100, _ change: (inout RateLimitSettings) -> Void
    ) -> RateLimits {
        var settings = RateLimitSettings()
        change(&settings)
        return RateLimits(settings, capacity: capacity)
    }

    /// How many of `count` requests at one moment are let in.
    private static func allowed(
        _ count: Int, _ limits: RateLimits, key: String = "", bucket: String = "", bytes: Int = 0,
        at now: NIODeadline
    ) -> Int {
        (0..<count).count { _ in
            if case .allowed = limits.ask(key: key, bucket: bucket, byteCount: bytes, at: now) {
                true
            } else {
                false
            }
        }
    }

    /// A request that is let in, and what it comes to.
    private static func pass(
        _ limits: RateLimits, key: String = "", bucket: String = "", announced: Int = 0,
        _ outcome: RateLimits.Outcome, at now: NIODeadline
    ) throws {
        guard case .allowed(let charge?) = limits.ask(key: key, bucket: bucket, byteCount: announced, at: now)
        else { throw Unexpected() }
        limits.settle(charge, outcome, at: now)
    }

    private static func wait(_ answer: RateLimits.Answer) -> (RefusalReason, TimeAmount)? {
        if case .refused(let reason, let wait) = answer { (reason, wait) } else { nil }
    }

    @Test func aBucketGivesItsBurstAtOnceAndItsRateAfterwards() {
        var bucket = TokenBucket(rate: 10, burst: 5, at: second(0))
        var taken = 0
        for tick in 0..<1000 {
            let now = second(Double(tick) / 100)
            while bucket.wait(for: 1, at: now) == .zero {
                bucket.take(1, at: now)
                taken += 1
            }
        }
        #expect((104...105).contains(taken), "\(taken)")
    }

    @Test func aDebtIsPaidBeforeAnythingIsGiven() {
        var bucket = TokenBucket(rate: 100, burst: 100, at: second(0))
        bucket.take(1100, at: second(0))
        #expect(bucket.wait(for: 1, at: second(5)).nanoseconds / 1_000_000 == 5010)
        #expect(bucket.wait(for: 1, at: second(11)) == .zero)
    }

    @Test func eachKeyHasItsOwnRateAndIsToldWhenToComeAgain() throws {
        let limits = Self.limits { $0.eachKey = RateLimit(requests: 0.5, burst: 3) }
        for key in ["A", "B"] { #expect(Self.allowed(10, limits, key: key, at: second(0)) == 3) }
        let (reason, wait) = try #require(
            Self.wait(limits.ask(key: "A", bucket: "", byteCount: 0, at: second(0))))
        #expect(reason == .keyRate && (1.9...2.1).contains(Double(wait.nanoseconds) / 1e9))
        #expect(Self.allowed(10, limits, key: "A", at: second(2)) == 1)
    }

    @Test func aNameOfItsOwnCountsInPlaceOfEach() {
        let limits = Self.limits {
            $0.eachBucket = RateLimit(requests: 2)
            $0.buckets = ["photos": RateLimit(requests: 7)]
        }
        #expect(Self.allowed(10, limits, bucket: "other", at: second(0)) == 2)
        #expect(Self.allowed(10, limits, bucket: "photos", at: second(0)) == 7)
        // Without a bucket, and without a limit, there is nothing to count.
        #expect(Self.allowed(10, limits, key: "A", at: second(0)) == 10)
    }

    @Test func whoIsRefusedForTheBucketHasSpentNothingOfTheKey() {
        let limits = Self.limits {
            $0.eachKey = RateLimit(requests: 5)
            $0.buckets = ["full": RateLimit(requests: 1)]
        }
        #expect(Self.allowed(4, limits, key: "A", bucket: "full", at: second(0)) == 1)
        #expect(Self.allowed(10, limits, key: "A", bucket: "other", at: second(0)) == 4)
    }

    @Test func bytesOfRequestsAndAnswersCountTogether() throws {
        let limits = Self.limits { $0.eachKey = RateLimit(bytes: 1000) }
        try Self.pass(limits, key: "A", bucket: "b", announced: 400, .init(byteCount: 3000), at: second(0))
        // Two thousand too many: two seconds.
        let (_, wait) = try #require(
            Self.wait(limits.ask(key: "A", bucket: "b", byteCount: 0, at: second(1))))
        #expect((0.9...1.1).contains(Double(wait.nanoseconds) / 1e9))
        #expect(Self.allowed(1, limits, key: "A", at: second(2.1)) == 1)
    }

    @Test func aForgerSpendsNothingOfTheOwnersRate() throws {
        let limits = Self.limits { $0.eachKey = RateLimit(requests: 2, bytes: 100) }
        for _ in 0..<100 {
            try Self.pass(
                limits, key: "A", announced: 90, .init(byteCount: 300, isForeign: true, wasRefused: true),
                at: second(0))
        }
        #expect(Self.allowed(10, limits, key: "A", at: second(0)) == 2)
    }

    @Test func aBucketPaysForTheBytesThatMovedAndForNoneThatWereOnlyAnnounced() throws {
        let limits = Self.limits { $0.eachBucket = RateLimit(bytes: 1000) }
        for _ in 0..<5 {
            // Refused before its body came, of which a little was on its way: an answer of a hundred bytes.
            try Self.pass(
                limits, bucket: "b", announced: 1_000_000_000_000, .init(byteCount: 100, wasRefused: true),
                at: second(0))
        }
        #expect(Self.allowed(1, limits, bucket: "b", bytes: 500, at: second(0)) == 1)
        #expect(Self.allowed(1, limits, bucket: "b", at: second(0)) == 0)
    }

    @Test func aForgersRequestIsNoneOfTheBucketsButItsBytesAre() throws {
        let limits = Self.limits { $0.eachBucket = RateLimit(requests: 2, bytes: 1000) }
        for _ in 0..<5 {
            try Self.pass(
                limits, key: "A", bucket: "b", .init(byteCount: 100, isForeign: true, wasRefused: true),
                at: second(0))
        }
        #expect(Self.allowed(1, limits, bucket: "b", bytes: 500, at: second(0)) == 1)
        #expect(Self.allowed(1, limits, bucket: "b", at: second(0)) == 0)
    }

    @Test func whatIsServedInAnothersNameIsStillARequestOfTheBucket() throws {
        let limits = Self.limits {
            $0.eachKey = RateLimit(requests: 1)
            $0.eachBucket = RateLimit(requests: 2)
        }
        for _ in 0..<2 { try Self.pass(limits, key: "A", bucket: "b", .init(isForeign: true), at: second(0)) }
        #expect(Self.allowed(1, limits, key: "A", bucket: "b", at: second(0)) == 0)
        #expect(Self.allowed(1, limits, key: "A", bucket: "other", at: second(0)) == 1)
    }

    @Test(arguments: [1_000_000_000_000, Int.max])
    func whateverIsAnnouncedKeepsNobodyOutForLongerThanASecond(announced: Int) throws {
        let limits = Self.limits { $0.eachBucket = RateLimit(bytes: 1000) }
        // It is under way for as long as its client likes.
        #expect(Self.allowed(2, limits, bucket: "b", bytes: announced, at: second(0)) == 1)
        #expect(Self.allowed(1, limits, bucket: "b", at: second(1)) == 1)
    }

    @Test func bytesThatWereNotAnnouncedCountWhenTheyHaveCome() throws {
        let limits = Self.limits { $0.eachBucket = RateLimit(bytes: 1000) }
        try Self.pass(limits, bucket: "b", .init(byteCount: 5000), at: second(0))
        let (reason, wait) = try #require(
            Self.wait(limits.ask(key: "", bucket: "b", byteCount: 0, at: second(0))))
        #expect(reason == .bucketRate && (3.9...4.1).contains(Double(wait.nanoseconds) / 1e9))
    }

    @Test func whoIsGoneBeforeAnythingWasDoneHasSpentNothing() throws {
        let limits = Self.limits {
            $0.eachKey = RateLimit(requests: 1, bytes: 1000)
            $0.eachBucket = RateLimit(requests: 1, bytes: 1000)
        }
        for _ in 0..<3 {
            try Self.pass(limits, key: "A", bucket: "b", announced: 5000, .nothing, at: second(0))
        }
    }

    @Test func anyNumberOfNamesTakesSoMuchMemoryAndNamedOnesStay() {
        let limits = Self.limits(capacity: 50) {
            $0.eachKey = RateLimit(requests: 1)
            $0.keys = ["named": RateLimit(requests: 0.001, burst: 1)]
        }
        #expect(Self.allowed(1, limits, key: "named", at: second(0)) == 1)
        for number in 0..<5000 {
            _ = Self.allowed(1, limits, key: "key-\(number)", at: second(Double(number) / 1000))
        }
        #expect(limits.tracked.keys <= 51)
        #expect(Self.allowed(1, limits, key: "named", at: second(6)) == 0)
    }

    private struct Unexpected: Error {}
}

@Suite final class RateLimitSettingsTests {
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/holdfast-rates-\(UUID())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func load(_ limits: String) throws -> RateLimitSettings {
        let text = "{\"region\": \"eu\", \"rate-limits\": \(limits)}"
        try text.write(toFile: directory + "/holdfast.json", atomically: true, encoding: .utf8)
        return try ServerSettings.load(directory: directory, environment: [:], flags: []).admission.rates
    }

    @Test func limitsStandInTheFileByKeyAndByBucket() throws {
        let rates = try load(
            #"{"each-key": {"requests": 10, "burst": 20}, "buckets": {"photos": {"bytes": 1e6}}}"#)
        #expect(rates.eachKey == RateLimit(requests: 10, burst: 20))
        #expect(rates.buckets == ["photos": RateLimit(bytes: 1_000_000)])
        #expect(rates.eachBucket == nil && rates.keys.isEmpty)
    }

    @Test(arguments: [
        "[]", "1", #"{"each": {}}"#, #"{"each-key": 5}"#, #"{"each-key": {}}"#,
        #"{"each-key": {"burst": 5}}"#,
        #"{"each-key": {"requests": 0}}"#, #"{"each-key": {"requests": -1}}"#, #"{"keys": []}"#,
        #"{"keys": {"A": {"requests": "5"}}}"#, #"{"buckets": {"b": {"request": 5}}}"#,
    ])
    func whatMakesNoSenseIsRefusedByName(text: String) {
        #expect { _ = try load(text) } throws: { error in
            (error as? SettingError)?.setting == "rate-limits"
        }
    }
}
