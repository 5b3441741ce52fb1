/// What is asked of incidents.
public enum IncidentAction: Codable, Sendable {
    case list
    case show(id: UInt64, owner: String?, prefixDepth: Int)
    case report(IncidentReportOrder)
    case open(reason: String)
    case acknowledge(id: UInt64, IncidentAcknowledgement)

    var changesStore: Bool {
        switch self {
        case .open, .acknowledge: true
        case .list, .show, .report: false
        }
    }
}

public enum IncidentFormat: String, Codable, Sendable, CaseIterable {
    case text, csv, json, html
}

/// A report of an incident, to the terminal or as a file for each owner.
public struct IncidentReportOrder: Codable, Sendable {
    public let id: UInt64
    public let format: IncidentFormat
    /// A user's name or canonical id.
    public let owner: String?
    /// An absolute path.
    public let directory: String?
    public let prefixDepth: Int

    public init(id: UInt64, format: IncidentFormat, owner: String?, directory: String?, prefixDepth: Int) {
        self.id = id
        self.format = format
        self.owner = owner
        self.directory = directory
        self.prefixDepth = prefixDepth
    }
}

/// What of an incident somebody has seen: what is not given is not asked for.
public struct IncidentAcknowledgement: Codable, Sendable {
    public let owner: String?
    public let bucket: String?
    public let key: String?
    public let note: String

    public init(owner: String?, bucket: String?, key: String?, note: String) {
        self.owner = owner
        self.bucket = bucket
        self.key = key
        self.note = note
    }
}
