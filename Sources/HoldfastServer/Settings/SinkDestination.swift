import Foundation
import Notifications

#if AMQP
    import AMQPSink
#endif
#if Kafka
    import KafkaSink
#endif
#if NATS
    import NATSSink
#endif

/// Where the notifications of a sink go.
package enum SinkDestination: Sendable, Equatable {
    /// - Parameter secret: what deliveries are signed with; `nil` for unsigned ones.
    case webhook(url: String, secret: String?)
    case kafka(BrokerSettings, topic: String, sasl: SASLMechanism)
    case amqp(BrokerSettings, virtualHost: String, exchange: String, routingKey: String)
    case nats(BrokerSettings, subject: String)

    /// The member that says which it is.
    private enum Kind: String, CaseIterable {
        case webhook, kafka, amqp, nats

        var members: [String] {
            let broker = ["user", "tls", "authorities-file", "certificate-file", "key-file"]
            return switch self {
            case .webhook: []
            case .kafka: broker + ["topic", "sasl"]
            case .amqp: broker + ["virtual-host", "exchange", "routing-key"]
            case .nats: broker + ["subject"]
            }
        }

        var port: Int {
            switch self {
            case .webhook: 443
            case .kafka: 9092
            case .amqp: 5672
            case .nats: 4222
            }
        }

        /// The build trait that brings its client; `nil` if it needs none.
        var trait: String? {
            switch self {
            case .webhook: nil
            case .kafka: "Kafka"
            case .amqp: "AMQP"
            case .nats: "NATS"
            }
        }
    }

    /// The traits that this build has.
    package static let builtTraits: Set<String> = {
        var traits: Set<String> = []
        #if Kafka
            traits.insert("Kafka")
        #endif
        #if AMQP
            traits.insert("AMQP")
        #endif
        #if NATS
            traits.insert("NATS")
        #endif
        return traits
    }()

    /// - Parameters:
    ///   - common: members that every sink may have.
    ///   - traits: of the build.
    /// - Throws: ``SettingError``.
    package init(
        _ sink: SinkMembers, common: [String], traits: Set<String> = builtTraits
    ) throws {
        let kinds = Kind.allCases.filter { sink.has($0.rawValue) }
        guard kinds.count == 1, let kind = kinds.first else {
            throw sink.bad(
                "takes one of webhook, http://… or https://…, and kafka, amqp and nats, HOST:PORT")
        }
        if let trait = kind.trait, !traits.contains(trait) {
            throw sink.bad(
                "has \(kind.rawValue), and this binary was built without \(trait): build with --traits \(trait)"
            )
        }
        try sink.refuseOthers(than: common + [kind.rawValue] + kind.members)
        func needed(_ member: String) throws -> String {
            guard let text = try sink.text(member), !text.isEmpty else {
                throw sink.bad("takes a \(member), which is not there")
            }
            return text
        }
        switch kind {
        case .webhook:
            guard let url = try sink.text("webhook"), let parts = URLComponents(string: url),
                ["http", "https"].contains(parts.scheme?.lowercased()), parts.host?.isEmpty == false
            else { throw sink.bad("takes a webhook, http://… or https://…") }
            self = .webhook(url: url, secret: try sink.secret())
        case .kafka:
            guard let sasl = SASLMechanism(rawValue: try sink.text("sasl") ?? "PLAIN") else {
                let known = SASLMechanism.allCases.map(\.rawValue)
                throw sink.bad("has a sasl that is none of \(known.joined(separator: ", "))")
            }
            self = .kafka(try Self.broker(sink, kind), topic: try needed("topic"), sasl: sasl)
        case .amqp:
            let exchange = try sink.text("exchange") ?? ""
            // The default exchange has no use for an empty one; others may.
            let routingKey = exchange.isEmpty ? try needed("routing-key") : try sink.text("routing-key") ?? ""
            self = .amqp(
                try Self.broker(sink, kind), virtualHost: try sink.text("virtual-host") ?? "/",
                exchange: exchange, routingKey: routingKey)
        case .nats:
            self = .nats(try Self.broker(sink, kind), subject: try Self.subject(needed("subject"), sink))
        }
    }

    private static func broker(_ sink: SinkMembers, _ kind: Kind) throws -> BrokerSettings {
        let hosts = try (sink.text(kind.rawValue) ?? "").split(separator: ",").map { part in
            let text = part.trimmingCharacters(in: .whitespaces)
            guard !text.contains("@") else {
                throw sink.bad(
                    "has a \(kind.rawValue) with an '@': it takes a user and a secret-file besides")
            }
            let hasPort = text.last != "]" && text.split(separator: ":").count > 1
            guard let endpoint = ServerSettings.Endpoint(hasPort ? text : "\(text):\(kind.port)"),
                endpoint.port > 0, !text.contains("/")
            else { throw sink.bad("has a \(kind.rawValue) '\(text)' that is no HOST:PORT") }
            return BrokerSettings.Host(name: endpoint.host, port: endpoint.port)
        }
        guard !hosts.isEmpty else { throw sink.bad("has a \(kind.rawValue) without a HOST:PORT") }
        var settings = BrokerSettings(hosts: hosts)
        settings.user = try sink.text("user")
        settings.secret = try sink.secret()
        settings.usesTLS = try sink.flag("tls")
        settings.authorities = try sink.file("authorities-file")
        settings.certificate = try sink.file("certificate-file")
        settings.key = try sink.secretFile("key-file")
        guard (settings.certificate == nil) == (settings.key == nil) else {
            throw sink.bad("has one of certificate-file and key-file, which go together")
        }
        guard settings.usesTLS || settings.authorities == nil && settings.certificate == nil else {
            throw sink.bad("has files of certificates, and no tls")
        }
        if kind == .amqp, settings.usesTLS, let host = settings.hosts.first(where: { isAddress($0.name) }) {
            throw sink.bad(
                "has tls and the address \(host.name), which its client looks for in no certificate: it takes a name"
            )
        }
        // A token of NATS is a secret without a user.
        guard settings.user == nil || settings.secret != nil,
            kind == .nats || settings.user != nil || settings.secret == nil
        else { throw sink.bad("has one of user and secret-file, which go together") }
        return settings
    }

    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || host.split(separator: ".").allSatisfy { UInt8($0) != nil }
    }

    /// - Throws: ``SettingError`` for what a message cannot be sent to.
    private static func subject(_ text: String, _ sink: SinkMembers) throws -> String {
        let tokens = text.split(separator: ".", omittingEmptySubsequences: false)
        let isSubject = tokens.allSatisfy { token in
            !token.isEmpty && !token.contains("*") && !token.contains(">")
                && token.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
        }
        guard isSubject else { throw sink.bad("has a subject '\(text)' that nothing can be sent to") }
        return text
    }

    /// What carries notifications there.
    func transport(name: String, deadlineSeconds: Int) -> any SinkTransport {
        switch self {
        case .webhook(let url, let secret):
            return Webhook(name: name, url: url, secret: secret, deadlineSeconds: deadlineSeconds)
        #if Kafka
            case .kafka(let settings, let topic, let sasl):
                let broker = KafkaBroker(
                    settings, topic: topic, mechanism: sasl, deadlineSeconds: deadlineSeconds)
                return BrokerTransport(name: name, broker, deadlineSeconds: deadlineSeconds)
        #endif
        #if AMQP
            case .amqp(let settings, let virtualHost, let exchange, let routingKey):
                let broker = AMQPBroker(
                    settings, virtualHost: virtualHost, exchange: exchange, routingKey: routingKey)
                return BrokerTransport(name: name, broker, deadlineSeconds: deadlineSeconds)
        #endif
        #if NATS
            case .nats(let settings, let subject):
                return BrokerTransport(
                    name: name, NATSBroker(settings, subject: subject), deadlineSeconds: deadlineSeconds)
        #endif
        #if !Kafka || !AMQP || !NATS
            default:
                preconditionFailure(
                    "what this build has no client for was refused when the settings were read")
        #endif
        }
    }
}
