import Foundation
import HoldfastServer
import Model
import Notifications
import Testing

@Suite final class SinkDestinationTests {
    private static let common = ["name", "secret-file", "secret-environment"]
    private static let all: Set = ["Kafka", "AMQP", "NATS"]
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/holdfast-sinks-\(BlobID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for name in ["ca.pem", "chain.pem", "key.pem"] { try write(name, "PEM") }
        try write("secret", " hush hush \n")
        for name in ["key.pem", "secret"] { try setMode(0o600, name) }
        for name in ["open.pem", "open"] {
            try write(name, "hush hush")
            try setMode(0o644, name)
        }
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private func write(_ name: String, _ text: String) throws {
        try text.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
    }

    private func setMode(_ mode: Int, _ name: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: directory + "/" + name)
    }

    private func read(_ json: String, traits: Set<String> = all) throws -> SinkDestination {
        let values = try #require(
            try JSONSerialization.jsonObject(with: Data("{\"name\":\"s\",\(json)}".utf8)) as? [String: Any])
        let members = try SinkMembers(
            values, file: directory + "/holdfast.json", environment: ["TOKEN": "from outside"])
        return try SinkDestination(members, common: Self.common, traits: traits)
    }

    private func refusal(_ json: String, traits: Set<String> = all) -> String? {
        do {
            _ = try read(json, traits: traits)
            return nil
        } catch { return "\(error)" }
    }

    @Test(arguments: [
        (#""kafka":"h:1","topic":"t""#, "Kafka"), (#""amqp":"h:1","routing-key":"q""#, "AMQP"),
        (#""nats":"h:1","subject":"a.b""#, "NATS"),
    ])
    func aBuildWithoutTheTraitRefusesSuchASinkByName(_ json: String, _ trait: String) {
        let others = Self.all.subtracting([trait])
        let text = refusal(json, traits: others)
        #expect(
            text?.contains("this binary was built without \(trait): build with --traits \(trait)") == true)
        #expect(text?.contains("sink 's'") == true)
        #expect(refusal(json, traits: [trait]) == nil)
    }

    @Test func aWebhookNeedsNoTrait() throws {
        #expect(
            try read(#""webhook":"https://h/x","secret-file":"secret""#, traits: [])
                == .webhook(url: "https://h/x", secret: "hush hush"))
    }

    @Test func aBrokerIsWhatTheSettingsSay() throws {
        var settings = BrokerSettings(
            hosts: [
                .init(name: "one", port: 9092), .init(name: "::1", port: 5), .init(name: "three", port: 6),
            ])
        settings.user = "u"
        settings.secret = "hush hush"
        settings.usesTLS = true
        settings.authorities = directory + "/ca.pem"
        settings.certificate = directory + "/chain.pem"
        settings.key = directory + "/key.pem"
        #expect(
            try read(
                #""kafka":"one, [::1]:5,three:6","topic":"t","user":"u","secret-file":"secret","tls":true,"sasl":"SCRAM-SHA-512","authorities-file":"ca.pem","certificate-file":"chain.pem","key-file":"key.pem""#
            ) == .kafka(settings, topic: "t", sasl: .scram512))
    }

    @Test func whatIsNotSaidIsTheUsual() throws {
        let amqp = BrokerSettings(hosts: [.init(name: "h", port: 5672)])
        #expect(
            try read(#""amqp":"h","routing-key":"q""#)
                == .amqp(amqp, virtualHost: "/", exchange: "", routingKey: "q"))
        #expect(
            try read(#""amqp":"h","exchange":"x""#)
                == .amqp(amqp, virtualHost: "/", exchange: "x", routingKey: ""))
        var nats = BrokerSettings(hosts: [.init(name: "h", port: 4222)])
        nats.secret = "from outside"
        #expect(
            try read(#""nats":"h","subject":"a.b","secret-environment":"TOKEN""#)
                == .nats(nats, subject: "a.b"), "a token has no user")
    }

    @Test(arguments: [
        (#""webhook":"https://h/x","secret-file":"open""#, "secret-file", "open"),
        (#""nats":"h","subject":"a","secret-file":"open""#, "secret-file", "open"),
        (
            #""nats":"h","subject":"a","tls":true,"certificate-file":"chain.pem","key-file":"open.pem""#,
            "key-file", "open.pem"
        ),
    ])
    func aFileOfSecretsThatOthersMayReadIsRefused(_ json: String, _ member: String, _ name: String) {
        let text = refusal(json)
        #expect(text?.contains("has a \(member) of sink 's' that is refused: ") == true, "\(text ?? "taken")")
        #expect(
            text?.contains("\(directory)/\(name) has mode 644") == true && text?.contains("; chmod 6") == true
        )
        #expect(text?.contains("hush hush") == false)
    }

    @Test(arguments: [
        (#""kafka":"h","amqp":"h""#, "one of"), (#""topic":"t""#, "one of"), (#""kafka":"h""#, "topic"),
        (#""kafka":"","topic":"t""#, "HOST:PORT"), (#""kafka":"h:x","topic":"t""#, "'h:x'"),
        (#""kafka":"u:hush hush@h:1","topic":"t""#, "'@'"), (#""kafka":7,"topic":"t""#, "kafka"),
        (#""kafka":"h","topic":"t","sasl":"GSSAPI""#, "sasl"),
        (#""kafka":"h","topic":"t","subject":"s""#, "subject"),
        (#""kafka":"h","topic":"t","user":"u""#, "go together"),
        (#""kafka":"h","topic":"t","secret-file":"secret""#, "go together"),
        (#""amqp":"h""#, "routing-key"), (#""amqp":"h","exchange":"""#, "routing-key"),
        (#""amqp":"10.0.0.1","routing-key":"q","tls":true"#, "10.0.0.1"),
        (#""nats":"h","subject":"a..b""#, "a..b"), (#""nats":"h","subject":"a.*""#, "a.*"),
        (#""nats":"h","subject":"a b""#, "a b"),
        (#""nats":"h","subject":"a","tls":"yes""#, "tls"),
        (#""nats":"h","subject":"a","authorities-file":"ca.pem""#, "no tls"),
        (#""nats":"h","subject":"a","tls":true,"authorities-file":"none.pem""#, "none.pem"),
        (#""nats":"h","subject":"a","tls":true,"key-file":"key.pem""#, "go together"),
        (#""nats":"h","subject":"a","secret-environment":"NOTHING""#, "NOTHING"),
        (#""nats":"h","subject":"a","secret-environment":"TOKEN","secret-file":"secret""#, "both"),
    ])
    func whatMakesNoSenseIsRefusedByName(_ json: String, _ named: String) {
        let text = refusal(json)
        #expect(text?.contains(named) == true, "\(text ?? "it was taken")")
        #expect(text?.contains("hush hush") == false && text?.contains("from outside") == false)
    }
}
