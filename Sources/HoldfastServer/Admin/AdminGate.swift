import Digests
import Foundation
import HTTPTypes
import Model
import S3
import Synchronization

/// Lets those in who show an access key of the administrator: `Authorization: Basic` with the key's id and its secret, as a
/// browser asks for them.
///
/// Secrets are compared by their digests and in a time that tells nothing, also for a key that does not exist. Who is wrong
/// five times is not listened to for a while, right or not: from one address one attempt each six seconds counts. An
/// attempt without any credential is how a browser begins, and counts for nothing.
///
/// Source: RFC 7617, "The 'Basic' HTTP Authentication Scheme"; RFC 6585, 429.
package final class AdminGate: Sendable {
    package enum Verdict: Sendable, Equatable {
        case admitted
        /// No credential, a wrong one, or one of somebody who is not the administrator.
        case refused
        /// Seconds until the next attempt counts.
        case wait(seconds: Int)
    }

    /// Wrong attempts in a row that are answered at once.
    package static let burst = 5.0
    /// Seconds until another one is.
    package static let refill = 6.0
    /// Addresses that are remembered. When there are more, those forget first who have done least wrong.
    private static let addressCount = 1024

    private struct Failures {
        /// Wrong attempts that are not forgiven yet.
        var count: Double
        var at: Double

        func left(at now: Double) -> Double { max(0, count - (now - at) / AdminGate.refill) }
    }

    private let identities: any IdentitySource
    private let uptime: @Sendable () -> Double
    private let failures = Mutex<[String: Failures]>([:])

    /// - Parameter uptime: a clock that nobody sets, in seconds.
    package init(
        _ identities: any IdentitySource,
        uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime }
    ) {
        self.identities = identities
        self.uptime = uptime
    }

    /// - Parameters:
    ///   - authorization: the header's value.
    ///   - address: the sender's, in numbers.
    package func judge(authorization: String?, from address: String) -> Verdict {
        guard let authorization else { return .refused }
        let now = uptime()
        let wrong = failures.withLock { $0[address]?.left(at: now) ?? 0 }
        // Room for a whole one: what time has forgiven of the last one is not enough.
        guard wrong <= Self.burst - 1 else {
            return .wait(seconds: Int(((wrong - Self.burst + 1) * Self.refill).rounded(.up)))
        }
        if isAdministrator(authorization) {
            failures.withLock { _ = $0.removeValue(forKey: address) }
            return .admitted
        }
        note(address, now)
        return .refused
    }

    private func isAdministrator(_ authorization: String) -> Bool {
        guard let (name, secret) = Self.credential(authorization) else { return false }
        let identity = identities.identity(accessKey: name)
        let isSame = constantTimeEqual(
            SHA256.hash(Array(secret.utf8)), SHA256.hash(Array((identity?.secretKey ?? "").utf8)))
        guard let identity, !identity.isAnonymous, identity.isRoot else { return false }
        return isSame
    }

    private static func credential(_ authorization: String) -> (name: String, secret: String)? {
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic", authorization.utf8.count <= 4096,
            let bytes = Data(base64Encoded: parts[1].trimmingCharacters(in: .whitespaces)),
            let text = String(validating: bytes, as: UTF8.self),
            let colon = text.firstIndex(of: ":")
        else { return nil }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private func note(_ address: String, _ now: Double) {
        failures.withLock { failures in
            let count = (failures[address]?.left(at: now) ?? 0) + 1
            failures[address] = Failures(count: count, at: now)
            guard failures.count > Self.addressCount else { return }
            failures = failures.filter { $0.value.left(at: now) > 0 }
            guard failures.count > Self.addressCount,
                let least = failures.filter({ $0.key != address })
                    .min(by: { $0.value.left(at: now) < $1.value.left(at: now) })
            else { return }
            failures[least.key] = nil
        }
    }
}
