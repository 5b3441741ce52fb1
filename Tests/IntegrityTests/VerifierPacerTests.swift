import Integrity
import Testing

@Suite struct VerifierPacerTests {
    @Test func itReadsItsShareWhileConfirmationsKeepUpAndAllTheTimeWhenTheyAreFarBehind() {
        let pacer = VerifierPacer(share: 0.25)
        let table: [(waiting: UInt64, share: Double)] = [
            (0, 0.25), (8192, 0.25), (20_480, 0.625), (32_768, 1), (1_000_000, 1),
        ]
        for (waiting, share) in table {
            #expect(abs(pacer.share(waiting: waiting) - share) < 1e-9, "\(waiting)")
            let rest = pacer.rest(afterReading: 0.01, waiting: waiting)
            #expect(abs(0.01 / (0.01 + rest) - share) < 1e-9, "\(waiting)")
        }
    }

    @Test func aRestIsBoundedAndNoneIsTakenWithoutAShare() {
        #expect(VerifierPacer(share: 0.01).rest(afterReading: 100, waiting: 0) == 0.25)
        #expect(VerifierPacer().rest(afterReading: 100, waiting: 0) == 0)
    }
}
