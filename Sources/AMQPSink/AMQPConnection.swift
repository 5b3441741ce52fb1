#if AMQP
    import CAMQP
    import Foundation
    import Notifications

    /// A connection with one channel, in confirm mode.
    final class AMQPConnection: BrokerConnection {
        /// What the system trusts, where Debian keeps it; librabbitmq does not look there by itself.
        private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
        private static let channel: amqp_channel_t = 1
        /// Codes of AMQP that say that the message itself cannot be taken: CONTENT_TOO_LARGE, PRECONDITION_FAILED.
        private static let refusals: Set<Int32> = [311, 406]

        private let broker: AMQPBroker
        private let state: amqp_connection_state_t
        private var published: UInt64 = 0
        private var isBroken = false

        init(
            _ broker: AMQPBroker, _ host: BrokerSettings.Host, _ attempt: BrokerAttempt
        ) throws(BrokerFailure) {
            guard let state = amqp_new_connection() else {
                throw BrokerFailure("there is no memory for a connection")
            }
            self.broker = broker
            self.state = state
            do throws(BrokerFailure) {
                try open(host, attempt)
            } catch {
                amqp_destroy_connection(state)
                throw error
            }
        }

        private func open(
            _ host: BrokerSettings.Host, _ attempt: BrokerAttempt
        ) throws(BrokerFailure) {
            let milliseconds = try attempt.connectionWait()
            var wait = holdfast_amqp_time(Int32(milliseconds))
            try check(amqp_set_handshake_timeout(state, &wait), "setting a time-out")
            try check(amqp_set_rpc_timeout(state, &wait), "setting a time-out")
            let socket = try makeSocket()
            try check(amqp_socket_open_noblock(socket, host.name, Int32(host.port), &wait), "connecting")
            guard holdfast_amqp_limit_sending(state, UInt32(milliseconds)) == 0 else {
                throw BrokerFailure("the socket takes no time-out: error \(errno)")
            }
            try check(
                holdfast_amqp_login(
                    state, broker.virtualHost, broker.settings.user ?? "guest",
                    broker.settings.secret ?? "guest"),
                "logging in")
            _ = amqp_channel_open(state, Self.channel)
            try check(amqp_get_rpc_reply(state), "opening a channel")
            _ = amqp_confirm_select(state, Self.channel)
            try check(amqp_get_rpc_reply(state), "asking for confirmations")
        }

        private func makeSocket() throws(BrokerFailure) -> OpaquePointer {
            let settings = broker.settings
            guard settings.usesTLS else {
                guard let socket = amqp_tcp_socket_new(state) else {
                    throw BrokerFailure("there is no memory for a socket")
                }
                return socket
            }
            guard let socket = amqp_ssl_socket_new(state) else {
                throw BrokerFailure("there is no memory for a socket")
            }
            amqp_ssl_socket_set_verify_peer(socket, 1)
            amqp_ssl_socket_set_verify_hostname(socket, 1)
            try check(
                amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST),
                "choosing the version of TLS")
            let authorities = settings.authorities ?? Self.systemAuthorities
            try check(amqp_ssl_socket_set_cacert(socket, authorities), "reading \(authorities)")
            if let certificate = settings.certificate, let key = settings.key {
                try check(
                    amqp_ssl_socket_set_key(socket, certificate, key), "reading \(certificate) and \(key)")
            }
            return socket
        }

        // MARK: Publishing

        func publish(
            _ messages: [BrokerMessage], _ attempt: BrokerAttempt, confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            do throws(BrokerFailure) {
                var missing: [UInt64: String] = [:]
                for message in messages {
                    _ = try attempt.wait()
                    let result = message.body.withUnsafeBytes { body in
                        holdfast_amqp_publish(
                            state, broker.exchange, broker.routingKey, message.id, message.type,
                            body.baseAddress, body.count)
                    }
                    try check(result, "sending")
                    published += 1
                    missing[published] = message.id
                }
                try awaitConfirmations(missing, attempt, &confirmed)
            } catch {
                isBroken = true
                throw error
            }
        }

        /// - Parameter sent: ids of messages by their delivery tags.
        private func awaitConfirmations(
            _ sent: [UInt64: String], _ attempt: BrokerAttempt, _ confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            var missing = sent
            var refused: BrokerFailure?
            var isReturned = false
            while !missing.isEmpty {
                guard let news = try nextFrame(attempt) else { continue }
                switch news.event {
                case HOLDFAST_AMQP_ACK, HOLDFAST_AMQP_NACK:
                    let settled = missing.filter {
                        news.multiple != 0 ? $0.key <= news.tag : $0.key == news.tag
                    }
                    for tag in settled.keys { missing[tag] = nil }
                    if news.event == HOLDFAST_AMQP_NACK {
                        refused =
                            refused
                            ?? BrokerFailure(
                                "the broker did not take it: a queue is full, or failed", isAnswer: true)
                    } else if !isReturned {
                        confirmed.formUnion(settled.values)
                    }
                case HOLDFAST_AMQP_RETURN:
                    // It is acknowledged next, and is nowhere: of what comes after, nobody knows which it is.
                    isReturned = true
                    refused = BrokerFailure(
                        "no queue takes what goes to \(broker.place): \(news.code) \(Self.text(news.text))")
                case HOLDFAST_AMQP_CLOSE:
                    throw BrokerFailure(
                        "the broker said \(news.code) \(Self.text(news.text))",
                        isRefusal: Self.refusals.contains(news.code))
                default: continue
                }
            }
            if let refused { throw refused }
        }

        /// - Returns: `nil` if none came yet.
        private func nextFrame(_ attempt: BrokerAttempt) throws(BrokerFailure) -> holdfast_amqp_news? {
            amqp_maybe_release_buffers(state)
            var frame = amqp_frame_t()
            var wait = holdfast_amqp_time(Int32(try attempt.wait()))
            let result = amqp_simple_wait_frame_noblock(state, &frame, &wait)
            if result == AMQP_STATUS_TIMEOUT.rawValue { return nil }
            try check(result, "waiting for confirmations")
            return holdfast_amqp_frame_news(&frame)
        }

        func close() {
            if !isBroken {
                var wait = holdfast_amqp_time(1000)
                amqp_set_rpc_timeout(state, &wait)
                // The broker forgets the connection at once; it would notice a closed socket just as well.
                _ = amqp_connection_close(state, AMQP_REPLY_SUCCESS)
            }
            amqp_destroy_connection(state)
        }

        // MARK: Answers

        private static func text(_ bytes: amqp_bytes_t) -> String {
            String(decoding: UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len), as: UTF8.self)
        }

        private func check(_ status: Int32, _ what: String) throws(BrokerFailure) {
            guard status != AMQP_STATUS_OK.rawValue else { return }
            throw BrokerFailure("\(what): \(String(cString: amqp_error_string2(status)))")
        }

        private func check(_ reply: amqp_rpc_reply_t, _ what: String) throws(BrokerFailure) {
            switch reply.reply_type {
            case AMQP_RESPONSE_NORMAL: return
            case AMQP_RESPONSE_LIBRARY_EXCEPTION: try check(reply.library_error, what)
            default:
                let news = holdfast_amqp_method_news(reply.reply)
                throw BrokerFailure("\(what): the broker said \(news.code) \(Self.text(news.text))")
            }
        }
    }
#endif
