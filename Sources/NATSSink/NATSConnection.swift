#if NATS
    import CNATS
    import Foundation
    import Notifications

    /// A connection, and the inbox that a stream's confirmations come to.
    ///
    /// Confirmations are fetched, and not called back with, so that nothing of this runs on a thread of the client's.
    final class NATSConnection: BrokerConnection {
        /// What a stream answers.
        private struct Answer: Decodable {
            struct Problem: Decodable {
                /// As of HTTP.
                let code: Int?
                /// Which of the errors of JetStream.
                let number: Int?
                let description: String?

                enum CodingKeys: String, CodingKey {
                    case code
                    case number = "err_code"
                    case description
                }
            }
            let stream: String?
            let seq: UInt64?
            let error: Problem?
        }

        /// What a stream says of a message that it would not take another time either: it, or its headers, are too large. All
        /// others are of the stream, the server or the account, and may pass.
        ///
        /// Source: nats-server, `server/errors.json`.
        private static let refusals: Set<Int> = [
            Int(JSStreamMessageExceedsMaximumErr.rawValue), streamHeaderExceedsMaximum,
        ]
        /// The code of what may pass: no leader, no room, no resources.
        private static let unavailable = 503
        /// `JSStreamHeaderExceedsMaximumErr`, which the client's header file does not have.
        private static let streamHeaderExceedsMaximum = 10097

        private let broker: NATSBroker
        private let connection: OpaquePointer
        private let subscription: OpaquePointer
        /// Each message's confirmation goes to `INBOX.NUMBER`.
        private let inbox: String
        private var published: UInt64 = 0

        init(
            _ broker: NATSBroker, _ host: BrokerSettings.Host, _ attempt: BrokerAttempt
        ) throws(BrokerFailure) {
            let connection = try Self.connect(
                broker.settings, host, milliseconds: try attempt.connectionWait())
            do throws(BrokerFailure) {
                inbox = try Self.inbox()
                var subscription: OpaquePointer?
                try Self.check(
                    natsConnection_SubscribeSync(&subscription, connection, inbox + ".*"), "subscribing")
                guard let subscription else { throw BrokerFailure("there is no subscription") }
                self.subscription = subscription
            } catch {
                natsConnection_Destroy(connection)
                throw error
            }
            self.broker = broker
            self.connection = connection
        }

        private static func connect(
            _ settings: BrokerSettings, _ host: BrokerSettings.Host, milliseconds: Int
        ) throws(BrokerFailure) -> OpaquePointer {
            var made: OpaquePointer?
            try check(natsOptions_Create(&made), "making options")
            guard let options = made else { throw BrokerFailure("there are no options") }
            defer { natsOptions_Destroy(options) }
            try check(natsOptions_SetURL(options, "nats://\(host)"), "the address \(host)")
            try check(natsOptions_SetName(options, "Holdfast"), "the name")
            // Whoever asks makes a new connection, as often as its breaker lets it.
            try check(natsOptions_SetAllowReconnect(options, false), "options")
            try check(natsOptions_SetTimeout(options, Int64(milliseconds)), "the time-out")
            try check(natsOptions_SetWriteDeadline(options, Int64(milliseconds)), "the time-out")
            if let user = settings.user {
                try check(natsOptions_SetUserInfo(options, user, settings.secret ?? ""), "the user")
            } else if let token = settings.secret {
                try check(natsOptions_SetToken(options, token), "the token")
            }
            if settings.usesTLS { try secure(options, settings, host) }
            var connection: OpaquePointer?
            try check(natsConnection_Connect(&connection, options), "connecting")
            guard let connection else { throw BrokerFailure("there is no connection") }
            return connection
        }

        private static func secure(
            _ options: OpaquePointer, _ settings: BrokerSettings, _ host: BrokerSettings.Host
        ) throws(BrokerFailure) {
            try check(natsOptions_SetSecure(options, true), "TLS")
            try check(natsOptions_SetExpectedHostname(options, host.name), "the name \(host.name)")
            if let authorities = settings.authorities {
                try check(
                    natsOptions_LoadCATrustedCertificates(options, authorities), "reading \(authorities)")
            }
            if let certificate = settings.certificate, let key = settings.key {
                try check(
                    natsOptions_LoadCertificatesChain(options, certificate, key),
                    "reading \(certificate) and \(key)")
            }
        }

        private static func inbox() throws(BrokerFailure) -> String {
            var made: UnsafeMutablePointer<CChar>?
            try check(natsInbox_Create(&made), "making an inbox")
            guard let made else { throw BrokerFailure("there is no inbox") }
            defer { natsInbox_Destroy(made) }
            return String(cString: made)
        }

        // MARK: Publishing

        func publish(
            _ messages: [BrokerMessage], _ attempt: BrokerAttempt, confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            let most = natsConnection_GetMaxPayload(connection)
            if let large = messages.first(where: { $0.body.count > most }) {
                throw BrokerFailure(
                    "a message of \(large.body.count) bytes is more than the \(most) that it takes",
                    isRefusal: true)
            }
            var missing: [UInt64: String] = [:]
            for message in messages {
                _ = try attempt.wait()
                try send(message)
                missing[published] = message.id
            }
            try awaitConfirmations(missing, attempt, &confirmed)
        }

        private func send(_ message: BrokerMessage) throws(BrokerFailure) {
            published += 1
            var made: OpaquePointer?
            let status = message.body.withUnsafeBytes { body in
                natsMsg_Create(
                    &made, broker.subject, "\(inbox).\(published)",
                    body.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(body.count))
            }
            try Self.check(status, "making a message")
            defer { natsMsg_Destroy(made) }
            try Self.check(natsMsgHeader_Set(made, "Nats-Msg-Id", message.id), "the message's id")
            try Self.check(natsMsgHeader_Set(made, "Holdfast-Event", message.type), "the message's type")
            try Self.check(
                natsMsgHeader_Set(made, "Holdfast-Key", Self.headerValue(message.key)), "the message's key")
            let sent = natsConnection_PublishMsg(connection, made)
            guard sent != NATS_MAX_PAYLOAD else {
                throw BrokerFailure(
                    "a message of \(message.body.count) bytes is, with its headers, more than it takes",
                    isRefusal: true)
            }
            try Self.check(sent, "sending")
        }

        /// Keys may hold what would end a header.
        private static func headerValue(_ text: String) -> String {
            var allowed = CharacterSet.urlPathAllowed
            allowed.remove("%")
            return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? ""
        }

        /// - Parameter sent: ids of messages by their numbers.
        private func awaitConfirmations(
            _ sent: [UInt64: String], _ attempt: BrokerAttempt, _ confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            var missing = sent
            var failure: BrokerFailure?
            while !missing.isEmpty {
                var fetched: OpaquePointer?
                let status = natsSubscription_NextMsg(&fetched, subscription, Int64(try attempt.wait()))
                if status == NATS_TIMEOUT { continue }
                guard status != NATS_NO_RESPONDERS else {
                    throw BrokerFailure("no stream takes what goes to the subject '\(broker.subject)'")
                }
                try Self.check(status, "waiting for confirmations")
                guard let answer = fetched else { throw BrokerFailure("there is no confirmation") }
                defer { natsMsg_Destroy(answer) }
                guard let number = String(cString: natsMsg_GetSubject(answer)).split(separator: ".").last,
                    let number = UInt64(number), let id = missing.removeValue(forKey: number)
                else { throw BrokerFailure("it confirmed what it was not sent") }
                do throws(BrokerFailure) {
                    try check(answer)
                    confirmed.insert(id)
                } catch {
                    failure = failure ?? error
                }
            }
            if let failure { throw failure }
        }

        private func check(_ answer: OpaquePointer) throws(BrokerFailure) {
            let text = Data(bytes: natsMsg_GetData(answer), count: Int(natsMsg_GetDataLength(answer)))
            let said: Answer
            do { said = try JSONDecoder().decode(Answer.self, from: text) } catch {
                throw BrokerFailure("it answered what is no confirmation: \(error)")
            }
            if let problem = said.error {
                throw BrokerFailure(
                    "the stream said \(problem.number ?? problem.code ?? 0) \(problem.description ?? "")",
                    isRefusal: problem.number.map(Self.refusals.contains) ?? false,
                    isAnswer: problem.code != Self.unavailable)
            }
            guard said.stream != nil, said.seq != nil else {
                throw BrokerFailure("it answered what is no confirmation")
            }
        }

        func close() {
            natsSubscription_Destroy(subscription)
            natsConnection_Destroy(connection)
        }

        private static func check(_ status: natsStatus, _ what: String) throws(BrokerFailure) {
            guard status != NATS_OK else { return }
            // What the client says besides is of this thread's last call.
            let detail = nats_GetLastError(nil).map { String(cString: $0) } ?? ""
            let text = String(cString: natsStatus_GetText(status))
            throw BrokerFailure("\(what): \(text)\(detail.isEmpty || detail == text ? "" : ", \(detail)")")
        }
    }
#endif
