import Model
import S3Repository
import Synchronization
import Testing

@Suite struct EndpointGateTests {
    private final class Clock: Sendable {
        private let reading = Mutex(100.0)
        var now: Double { reading.withLock { $0 } }
        func pass(_ seconds: Double) { reading.withLock { $0 += seconds } }
    }

    private let clock = Clock()
    private let gate: EndpointGate

    init() {
        gate = EndpointGate(uptime: { [clock] in clock.now }, chance: { 1 })
    }

    @Test func anEndpointThatFailedIsLeftAloneForAWhile() {
        #expect(gate.admit() == .goOn)
        gate.fail("no answer")
        #expect(gate.state == .open)
        #expect(gate.admit() == .refused(seconds: 5, reason: "no answer"))
        clock.pass(4.5)
        #expect(gate.admit() == .refused(seconds: 1, reason: "no answer"))
        #expect(gate.refused == 2)
    }

    @Test func oneRequestFindsOutWhetherItAnswersAgain() {
        gate.fail("no answer")
        clock.pass(5)
        #expect(gate.admit() == .probe)
        #expect(gate.admit() == .refused(seconds: 1, reason: "no answer"), "while that one is under way")
        gate.succeed()
        #expect(gate.admit() == .goOn)
        #expect(gate.state == .closed)
    }

    @Test func aProbeThatFailsMakesThePauseLonger() {
        gate.fail("no answer")
        var pauses: [Double] = []
        for _ in 0..<7 {
            let begun = clock.now
            while gate.admit() != .probe { clock.pass(1) }
            pauses.append(clock.now - begun)
            gate.fail("no answer still")
        }
        #expect(pauses == [5, 10, 20, 40, 80, 120, 120])
    }

    @Test func requestsThatFailTogetherOpenItOnce() {
        for _ in 0..<16 { gate.fail("no answer") }
        clock.pass(5)
        #expect(gate.admit() == .probe)
    }

    @Test func aBucketHasOneGate() throws {
        let first = try S3Location("s3://backup/a?endpoint=http://127.0.0.1:1")
        let second = try S3Location("s3://backup/b?endpoint=http://127.0.0.1:1")
        let other = try S3Location("s3://other/a?endpoint=http://127.0.0.1:1")
        #expect(EndpointGate.of(first) === EndpointGate.of(second))
        #expect(EndpointGate.of(first) !== EndpointGate.of(other))
    }
}
