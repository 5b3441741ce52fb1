#if Kafka
    import CKafka
    import Foundation
    import Notifications

    /// A producer. It finds the brokers of a partition, and connects to them again, by itself; what it cannot deliver in
    /// time ends it here.
    final class KafkaConnection: BrokerConnection {
        /// `RD_KAFKA_PARTITION_UA`: of the key.
        private static let anyPartition: Int32 = -1
        private static let textCount = 512
        /// What a broker will not take another time either.
        private static let refusals: [rd_kafka_resp_err_t] = [
            RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        ]

        /// What a broker says of a message that it may yet take. All others are of the topic, the rights or the cluster.
        private static let answers: [rd_kafka_resp_err_t] = [
            RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        ]

        private let producer: OpaquePointer
        private let topic: OpaquePointer
        private let events: OpaquePointer
        /// The last thing that the client said of a broker, which says more than that the time was over.
        private var trouble: String?

        init(_ broker: KafkaBroker) throws(BrokerFailure) {
            var text = [CChar](repeating: 0, count: Self.textCount)
            let configuration = rd_kafka_conf_new()
            for (name, value) in broker.configuration
            where rd_kafka_conf_set(configuration, name, value, &text, text.count) != RD_KAFKA_CONF_OK {
                rd_kafka_conf_destroy(configuration)
                // The text may have the value in it.
                throw BrokerFailure(
                    name == "sasl.password"
                        ? "the client does not take the secret"
                        : "the client does not take \(name): \(Self.string(text))",
                    isRefusal: false)
            }
            rd_kafka_conf_set_log_cb(configuration, nil)
            rd_kafka_conf_set_events(configuration, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR)
            guard let producer = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &text, text.count) else {
                rd_kafka_conf_destroy(configuration)
                throw BrokerFailure("there is no producer: \(Self.string(text))")
            }
            guard let topic = rd_kafka_topic_new(producer, broker.topic, nil) else {
                let reason = String(cString: rd_kafka_err2str(rd_kafka_last_error()))
                rd_kafka_destroy(producer)
                throw BrokerFailure("there is no topic '\(broker.topic)': \(reason)")
            }
            self.producer = producer
            self.topic = topic
            events = rd_kafka_queue_get_main(producer)
        }

        func publish(
            _ messages: [BrokerMessage], _ attempt: BrokerAttempt, confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            trouble = nil
            for (index, message) in messages.enumerated() { try send(message, number: index + 1) }
            var missing = messages.count
            var failure: rd_kafka_resp_err_t?
            while missing > 0 {
                let event: OpaquePointer?
                do throws(BrokerFailure) {
                    event = rd_kafka_queue_poll(events, Int32(try attempt.wait()))
                } catch { throw BrokerFailure(described(error.reason)) }
                guard let event else { continue }
                defer { rd_kafka_event_destroy(event) }
                switch rd_kafka_event_type(event) {
                case RD_KAFKA_EVENT_DR:
                    while let report = rd_kafka_event_message_next(event) {
                        missing -= 1
                        if report.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                            failure = failure ?? report.pointee.err
                        } else {
                            confirmed.insert(messages[Int(bitPattern: report.pointee._private) - 1].id)
                        }
                    }
                case RD_KAFKA_EVENT_ERROR: try note(event)
                default: continue
                }
            }
            if let failure { throw refusal(failure) }
        }

        /// - Parameter number: what the report of it comes back with.
        private func send(_ message: BrokerMessage, number: Int) throws(BrokerFailure) {
            let key = Array(message.key.utf8)
            let result = message.body.withUnsafeBytes { body in
                key.withUnsafeBytes { key in
                    rd_kafka_produce(
                        topic, Self.anyPartition, RD_KAFKA_MSG_F_COPY,
                        UnsafeMutableRawPointer(mutating: body.baseAddress), body.count, key.baseAddress,
                        key.count, UnsafeMutableRawPointer(bitPattern: number))
                }
            }
            guard result == 0 else { throw refusal(rd_kafka_last_error()) }
        }

        private func note(_ event: OpaquePointer) throws(BrokerFailure) {
            let text = String(cString: rd_kafka_event_error_string(event))
            guard rd_kafka_event_error_is_fatal(event) == 0 else {
                throw BrokerFailure("the producer cannot go on: \(text)")
            }
            // That nobody answers says less than what was said of one of them.
            if trouble == nil || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN {
                trouble = text
            }
        }

        private func refusal(_ error: rd_kafka_resp_err_t) -> BrokerFailure {
            BrokerFailure(
                described(String(cString: rd_kafka_err2str(error))), isRefusal: Self.refusals.contains(error),
                isAnswer: Self.answers.contains(error))
        }

        private func described(_ reason: String) -> String { trouble.map { "\(reason) (\($0))" } ?? reason }

        func close() {
            // What is still under way is sent anew by whoever sent it.
            rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
            rd_kafka_topic_destroy(topic)
            rd_kafka_queue_destroy(events)
            rd_kafka_destroy(producer)
        }

        private static func string(_ text: [CChar]) -> String {
            String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
#endif
