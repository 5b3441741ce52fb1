#if Kafka
    import Notifications

    /// A topic of Kafka. Messages have the key `BUCKET/KEY`, so that what of one key is told stands in one partition, in
    /// order; every replica in sync has a message before it is confirmed.
    ///
    /// Source: librdkafka, "CONFIGURATION.md" and "INTRODUCTION.md", "Idempotent Producer".
    package struct KafkaBroker: Broker {
        package let settings: BrokerSettings
        package let topic: String
        package let mechanism: SASLMechanism
        /// How long a message may be on its way.
        package let deadlineSeconds: Int

        package init(
            _ settings: BrokerSettings, topic: String, mechanism: SASLMechanism, deadlineSeconds: Int
        ) {
            self.settings = settings
            self.topic = topic
            self.mechanism = mechanism
            self.deadlineSeconds = deadlineSeconds
        }

        package var kind: String { "kafka" }
        package var target: String { "\(settings.hostList) topic '\(topic)'" }

        package func connect(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection {
            try KafkaConnection(self)
        }

        /// What the client is set to.
        var configuration: [(name: String, value: String)] {
            var all = [
                ("bootstrap.servers", settings.hostList),
                ("client.id", "holdfast"),
                ("acks", "all"),
                ("enable.idempotence", "true"),
                ("message.timeout.ms", "\(deadlineSeconds * 1000)"),
                ("socket.connection.setup.timeout.ms", "5000"),
                ("socket.keepalive.enable", "true"),
                ("reconnect.backoff.ms", "100"),
                ("reconnect.backoff.max.ms", "1000"),
                // A run waits for its confirmations, so there is nothing to gather messages with.
                ("linger.ms", "0"),
                // As the clients in Java do it: what they and this send of one key is in one partition.
                ("partitioner", "murmur2_random"),
                ("security.protocol", protocolName),
            ]
            if let user = settings.user {
                all += [
                    ("sasl.mechanism", mechanism.rawValue), ("sasl.username", user),
                    ("sasl.password", settings.secret ?? ""),
                ]
            }
            if settings.usesTLS { all.append(("ssl.endpoint.identification.algorithm", "https")) }
            if let authorities = settings.authorities { all.append(("ssl.ca.location", authorities)) }
            if let certificate = settings.certificate, let key = settings.key {
                all += [("ssl.certificate.location", certificate), ("ssl.key.location", key)]
            }
            return all.map { (name: $0.0, value: $0.1) }
        }

        private var protocolName: String {
            switch (settings.usesTLS, settings.user != nil) {
            case (false, false): "PLAINTEXT"
            case (false, true): "SASL_PLAINTEXT"
            case (true, false): "SSL"
            case (true, true): "SASL_SSL"
            }
        }
    }
#endif
