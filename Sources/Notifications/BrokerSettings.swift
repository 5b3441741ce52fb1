/// Where a broker is, and how it is asked.
package struct BrokerSettings: Sendable, Equatable {
    package struct Host: Sendable, Equatable, CustomStringConvertible {
        package let name: String
        package let port: Int

        package init(name: String, port: Int) {
            self.name = name
            self.port = port
        }

        package var description: String { name.contains(":") ? "[\(name)]:\(port)" : "\(name):\(port)" }
    }

    /// Any of them leads to the broker.
    package var hosts: [Host]
    package var user: String?
    package var secret: String?
    package var usesTLS = false
    /// Files of PEM: whom the broker's certificate is trusted by, if not by those whom the system trusts.
    package var authorities: String?
    /// Files of PEM: what this side shows itself with; both or none.
    package var certificate: String?
    package var key: String?

    package init(hosts: [Host]) {
        precondition(!hosts.isEmpty, "a broker is somewhere")
        self.hosts = hosts
    }

    package var hostList: String { hosts.map(\.description).joined(separator: ",") }

    /// Asks one host after the other.
    /// - Throws: what each of them said.
    package func first<Connection>(
        _ connect: (Host) throws(BrokerFailure) -> Connection
    ) throws(BrokerFailure) -> Connection {
        var failures: [String] = []
        for host in hosts {
            do throws(BrokerFailure) { return try connect(host) } catch {
                failures.append("\(host): \(error.reason)")
            }
        }
        throw BrokerFailure(failures.joined(separator: "; "))
    }
}

/// How a user proves to Kafka who they are.
package enum SASLMechanism: String, Sendable, CaseIterable {
    case plain = "PLAIN"
    case scram256 = "SCRAM-SHA-256"
    case scram512 = "SCRAM-SHA-512"
}
