import Foundation

/// The figures of a run as one Markdown table.
struct Table {
    struct Row {
        var name: String
        /// Requests, objects, events or groups in a second.
        var perSecond: Double?
        var megabytesPerSecond: Double?
        var medianMilliseconds: Double?
        var percentile99Milliseconds: Double?
        var serverSecondsPer1000: Double?
        var clientSecondsPer1000: Double?
        /// What the figures are held against, with the verdict.
        var verdicts: [Verdict] = []

        init(_ name: String) { self.name = name }
    }

    private(set) var rows: [Row] = []

    static let header = """
        | | per second | MB/s | p50 ms | p99 ms | server CPU s per 1,000 | client CPU s per 1,000 | against limit and goal |
        | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
        """

    /// Adds a row, and tells on the standard error that it is there: a run takes minutes.
    mutating func add(_ row: Row) {
        rows.append(row)
        FileHandle.standardError.write(Data("measured: \(row.name)\n".utf8))
    }

    var text: String { ([Self.header] + rows.map(Self.line)).joined(separator: "\n") }

    var missed: [String] {
        rows.flatMap { row in row.verdicts.filter { !$0.isReached }.map { "\(row.name): \($0.text)" } }
    }

    private static func line(_ row: Row) -> String {
        let cells = [
            row.name, number(row.perSecond), number(row.megabytesPerSecond), number(row.medianMilliseconds),
            number(row.percentile99Milliseconds), number(row.serverSecondsPer1000),
            number(row.clientSecondsPer1000), row.verdicts.map(\.text).joined(separator: "; "),
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    /// Three digits that count.
    static func number(_ value: Double?) -> String {
        guard let value else { return "" }
        guard value < 100 else { return grouped(Int(value.rounded())) }
        return String(format: value < 1 ? "%.3f" : value < 10 ? "%.2f" : "%.1f", value)
    }

    private static func grouped(_ value: Int) -> String {
        var text = ""
        for (index, digit) in String(value).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = "," + text }
            text = String(digit) + text
        }
        return text
    }
}

/// A figure beside what it was to be.
struct Verdict {
    let text: String
    let isReached: Bool

    private init(_ text: String, _ isReached: Bool) {
        self.text = text + (isReached ? ": reached" : ": **missed**")
        self.isReached = isReached
    }

    /// - Parameter what: the figure's unit, after the number: "× the append limit".
    static func atLeast(_ goal: Double, _ value: Double, _ what: String) -> Verdict {
        Verdict("\(Table.number(value)) \(what), goal ≥ \(Table.number(goal))", value >= goal)
    }

    static func atMost(_ goal: Double, _ value: Double, _ what: String) -> Verdict {
        Verdict("\(Table.number(value)) \(what), goal ≤ \(Table.number(goal))", value <= goal)
    }
}

extension Table.Row {
    init(_ name: String, _ load: MeasuredLoad) {
        self.init(name)
        perSecond = load.requestsPerSecond
        megabytesPerSecond = load.megabytesPerSecond
        medianMilliseconds = load.medianMilliseconds
        percentile99Milliseconds = load.percentile99Milliseconds
        serverSecondsPer1000 = load.serverSecondsPer1000
        clientSecondsPer1000 = load.clientSecondsPer1000
    }

    /// A limit of the machine.
    static func limit(_ name: String, perSecond: Double? = nil, bytesPerSecond: Double? = nil) -> Table.Row {
        var row = Table.Row("*limit:* \(name)")
        row.perSecond = perSecond
        row.megabytesPerSecond = bytesPerSecond.map { $0 / 1e6 }
        return row
    }
}
