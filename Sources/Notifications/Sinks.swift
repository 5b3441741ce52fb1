import ObjectStore

/// The sinks of a server.
package final class Sinks: Sendable {
    package let all: [Sink]

    package init(_ all: [Sink]) { self.all = all }

    /// - Throws: ``SinkError``, which names those that there are.
    package func sink(_ name: String) throws -> Sink {
        guard let sink = all.first(where: { $0.name == name }) else {
            let names = all.map(\.name).joined(separator: ", ")
            throw SinkError(
                "there is no sink '\(name)': \(all.isEmpty ? "the settings file has none" : "there are \(names)")"
            )
        }
        return sink
    }
}
