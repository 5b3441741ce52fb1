import Model

/// Metrics as Prometheus reads them, in whichever of its two formats was asked for.
///
/// A family stands there with its type and help even where it has no sample, so that the page tells what there is.
///
/// Source: OpenMetrics 1.0.0; Prometheus documentation, "Exposition formats", text format 0.0.4, and "Metric and label
/// naming".
package struct MetricPage {
    package enum Format: Sendable, Equatable {
        case prometheus, openMetrics

        package var contentType: String {
            switch self {
            case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }

        /// What a request that accepts these types is best answered with: the older format, unless the newer one is
        /// wanted at least as much.
        package init(accept: String?) {
            var wanted = (openMetrics: 0.0, text: 0.0)
            for range in (accept ?? "").split(separator: ",") {
                let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
                guard let type = parts.first?.lowercased() else { continue }
                let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map {
                    Double($0.dropFirst(2)) ?? 0
                }
                switch type {
                case "application/openmetrics-text":
                    wanted.openMetrics = max(wanted.openMetrics, quality ?? 1)
                case "text/plain", "text/*": wanted.text = max(wanted.text, quality ?? 1)
                default: break
                }
            }
            self =
                wanted.openMetrics > 0 && wanted.openMetrics >= wanted.text ? .openMetrics : .prometheus
        }
    }

    package typealias Labels = [(name: String, value: String)]

    private let format: Format
    private var text = ""

    package init(_ format: Format) { self.format = format }

    /// What only ever grows while the process lives.
    /// - Parameter name: without `_total`, which samples have.
    package mutating func counter(
        _ name: String, _ help: String, _ samples: [(labels: Labels, value: Double)]
    ) {
        begin(name, "counter", help, sampleName: name + "_total")
        for (labels, value) in samples { sample(name + "_total", labels, value) }
    }

    package mutating func counter(_ name: String, _ help: String, _ value: some BinaryInteger) {
        counter(name, help, [([], Double(value))])
    }

    package mutating func gauge(
        _ name: String, _ help: String, _ samples: [(labels: Labels, value: Double)]
    ) {
        begin(name, "gauge", help, sampleName: name)
        for (labels, value) in samples { sample(name, labels, value) }
    }

    package mutating func gauge(_ name: String, _ help: String, _ value: Double?) {
        gauge(name, help, value.map { [([], $0)] } ?? [])
    }

    package mutating func histogram(
        _ name: String, _ help: String, _ samples: [(labels: Labels, value: HistogramCounts)]
    ) {
        begin(name, "histogram", help, sampleName: name)
        for (labels, value) in samples {
            var count: UInt64 = 0
            for (bound, number) in zip(value.bounds + [.infinity], value.counts) {
                count += number
                sample(name + "_bucket", labels + [("le", bucketText(bound))], Double(count))
            }
            sample(name + "_sum", labels, value.sum)
            sample(name + "_count", labels, Double(count))
        }
    }

    /// What stays as it is while the process lives, in labels.
    /// - Parameter name: without `_info`.
    package mutating func info(_ name: String, _ help: String, _ labels: Labels) {
        // The older format knows no such type.
        begin(name, format == .openMetrics ? "info" : "gauge", help, sampleName: name + "_info")
        sample(name + "_info", labels, 1)
    }

    package consuming func finish() -> String { format == .openMetrics ? text + "# EOF\n" : text }

    /// In the older format a family is called as its samples are.
    private mutating func begin(_ name: String, _ type: String, _ help: String, sampleName: String) {
        let family = format == .openMetrics ? name : sampleName
        text += "# HELP \(family) \(Self.escaped(help, quotes: format == .openMetrics))\n"
        text += "# TYPE \(family) \(type)\n"
    }

    private mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (number, label) in labels.enumerated() {
                text += number == 0 ? "" : ","
                text += "\(label.name)=\"\(Self.escaped(label.value, quotes: true))\""
            }
            text += "}"
        }
        text += " \(Self.text(value))\n"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// The newer format has bounds with a point always.
    private func bucketText(_ bound: Double) -> String {
        format == .openMetrics && bound.isFinite ? String(bound) : Self.text(bound)
    }

    private static func text(_ value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if value == -.infinity { return "-Inf" }
        if value.isNaN { return "NaN" }
        // Whole numbers as such, up to where a double has them all.
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 { return String(Int64(value)) }
        return String(value)
    }
}
