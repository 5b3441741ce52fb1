import Foundation
import HoldfastServer
import S3
import Synchronization
import Testing

/// Who is let in to the status page.
@Suite struct AdminGateTests {
    private struct Identities: IdentitySource {
        func identity(accessKey: String) -> Identity? {
            switch accessKey {
            case "ROOT":
                Identity(
                    accessKey: "ROOT", secretKey: "root-secret", userID: "r", displayName: "root",
                    isRoot: true)
            case "ANN":
                Identity(accessKey: "ANN", secretKey: "ann-secret", userID: "a", displayName: "ann")
            default: nil
            }
        }
    }

    private final class Clock: Sendable {
        private let time = Mutex(1000.0)
        var now: Double { time.withLock { $0 } }
        func pass(_ seconds: Double) { time.withLock { $0 += seconds } }
    }

    private let clock = Clock()
    private let gate: AdminGate

    init() {
        let clock = clock
        gate = AdminGate(Identities(), uptime: { clock.now })
    }

    private func judge(_ name: String, _ secret: String, from address: String = "127.0.0.1")
        -> AdminGate.Verdict
    {
        let credential = Data("\(name):\(secret)".utf8).base64EncodedString()
        return gate.judge(authorization: "Basic \(credential)", from: address)
    }

    @Test func rootIsAdmittedAndNobodyElseIs() {
        #expect(judge("ROOT", "root-secret") == .admitted)
        #expect(judge("ROOT", "ann-secret") == .refused)
        #expect(judge("ANN", "ann-secret") == .refused)
        #expect(judge("NOBODY", "") == .refused)
    }

    @Test(arguments: [
        "", "Basic", "Basic ", "Basic !", "Bearer Uk9PVDpyb290LXNlY3JldA==", "Basic Uk9PVA==", "Basic //8=",
    ])
    func whatIsNoCredentialIsRefused(_ header: String) {
        #expect(gate.judge(authorization: header, from: "127.0.0.1") == .refused)
    }

    @Test func aNameInAnyCaseOfLettersIsTheScheme() {
        #expect(gate.judge(authorization: "basic Uk9PVDpyb290LXNlY3JldA==", from: "") == .admitted)
    }

    @Test func whoIsWrongFiveTimesWaitsRightOrNot() {
        for _ in 0..<5 { #expect(judge("ROOT", "guess") == .refused) }
        #expect(judge("ROOT", "root-secret") == .wait(seconds: 6))
        #expect(judge("ROOT", "root-secret", from: "10.0.0.1") == .admitted)
        clock.pass(5.5)
        #expect(judge("ROOT", "guess") == .wait(seconds: 1))
        clock.pass(0.6)
        #expect(judge("ROOT", "guess") == .refused)
        #expect(judge("ROOT", "root-secret") == .wait(seconds: 6))
        clock.pass(7)
        #expect(judge("ROOT", "root-secret") == .admitted)
        // Who was right begins anew.
        for _ in 0..<5 { #expect(judge("ROOT", "guess") == .refused) }
    }

    @Test func whoShowsNothingIsNotCounted() {
        for _ in 0..<100 { #expect(gate.judge(authorization: nil, from: "127.0.0.1") == .refused) }
        #expect(judge("ROOT", "root-secret") == .admitted)
    }

    @Test func manyAddressesDoNotMakeItForgetWhoGuesses() {
        for _ in 0..<5 { #expect(judge("ROOT", "guess", from: "10.9.9.9") == .refused) }
        for number in 0..<2000 { #expect(judge("ROOT", "guess", from: "10.0.\(number)") == .refused) }
        #expect(judge("ROOT", "root-secret", from: "10.9.9.9") != .admitted)
    }
}
