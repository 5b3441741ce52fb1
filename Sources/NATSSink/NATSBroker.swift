#if NATS
    import Notifications

    /// A subject of NATS that a stream of JetStream takes messages of.
    ///
    /// The stream confirms each message when it keeps it, and by `Nats-Msg-Id` knows one again that is sent another time.
    /// Source: NATS documentation, "JetStream wire API reference", "Publishing to Streams"; "Message Deduplication".
    package struct NATSBroker: Broker {
        package let settings: BrokerSettings
        package let subject: String

        package init(_ settings: BrokerSettings, subject: String) {
            self.settings = settings
            self.subject = subject
        }

        package var kind: String { "nats" }
        package var target: String {
            "\(settings.usesTLS ? "tls" : "nats")://\(settings.hostList) subject '\(subject)'"
        }

        package func connect(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection {
            try settings.first { host throws(BrokerFailure) in try NATSConnection(self, host, attempt) }
        }
    }
#endif
