#if AMQP
    import Notifications

    /// An exchange of a broker that speaks AMQP 0-9-1, such as RabbitMQ.
    ///
    /// Messages are persistent and mandatory, on a channel in confirm mode: the broker confirms one when every queue that
    /// it goes to has it, on disk where the queue is durable, and sends one back that no queue takes.
    /// Source: RabbitMQ, "Consumer Acknowledgements and Publisher Confirms".
    package struct AMQPBroker: Broker {
        package let settings: BrokerSettings
        package let virtualHost: String
        /// The empty one is the default exchange, whose routing keys are names of queues.
        package let exchange: String
        package let routingKey: String

        package init(
            _ settings: BrokerSettings, virtualHost: String, exchange: String, routingKey: String
        ) {
            self.settings = settings
            self.virtualHost = virtualHost
            self.exchange = exchange
            self.routingKey = routingKey
        }

        package var kind: String { "amqp" }

        package var target: String {
            "\(settings.usesTLS ? "amqps" : "amqp")://\(settings.hostList) \(place)"
        }

        var place: String {
            exchange.isEmpty ? "queue '\(routingKey)'" : "exchange '\(exchange)', routing key '\(routingKey)'"
        }

        package func connect(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection {
            try settings.first { host throws(BrokerFailure) in try AMQPConnection(self, host, attempt) }
        }
    }
#endif
