import Catalog
import Integrity
import Model

extension IncidentRow {
    var causeWord: String {
        switch cause {
        case .volume: "volume"
        case .findings: "findings"
        case .operator: "operator"
        case .unspecified, .UNRECOGNIZED: "none"
        }
    }
}

/// An incident as `incident list --json` prints it.
struct IncidentLine: Encodable {
    let incident: UInt64
    let cause: String
    let volume: Int?
    let reason: String
    let open: Bool
    let opened: String?
    let closed: String?
    let outcome: String

    init(_ row: IncidentRow) {
        incident = row.id
        cause = row.causeWord
        volume = row.volume == 0 ? nil : row.volume
        reason = row.reason
        open = row.isOpen && row.id != 0
        opened = row.id == 0 ? nil : row.opened.description
        closed = row.closedTime?.description
        outcome = row.outcome
    }

    var text: String {
        let state = open ? "open" : closed.map { "closed \($0): \(outcome)" } ?? ""
        return "\(incident)  \(opened ?? "-")  \(cause)  \(reason)\(state.isEmpty ? "" : "  (\(state))")"
            .printable
    }
}

/// Counts of a part of an incident.
struct IncidentCounts: Encodable {
    let versions: Int
    let bytes: UInt64
    /// By state: detected, repairing, repaired, restored, older-version-available, lost, removed.
    let states: [String: Int]
    let acknowledged: Int

    init(_ group: IncidentTotals.Group) {
        versions = group.versions
        bytes = group.bytes
        states = Dictionary(uniqueKeysWithValues: group.states.map { ($0.key.word, $0.value) })
        acknowledged = group.acknowledged
    }
}

/// `incident show --json`: one object.
struct IncidentSummary: Encodable {
    struct Owner: Encodable {
        let owner: String
        let name: String
        let counts: IncidentCounts
    }
    struct Bucket: Encodable {
        let bucket: String
        let counts: IncidentCounts
    }
    struct Prefix: Encodable {
        let bucket: String
        let prefix: String
        let counts: IncidentCounts
    }
    struct Progress: Encodable {
        let phase: String
        let part: Double
        let secondsLeft: Double?
    }
    struct Acknowledgement: Encodable {
        let time: String
        let owner: String?
        let bucket: String?
        let key: String?
        let note: String
    }

    let incident: IncidentLine
    let progress: Progress
    let totals: IncidentCounts
    let owners: [Owner]
    let buckets: [Bucket]
    let prefixes: [Prefix]
    /// Of versions whose prefix is not counted apart: there are too many.
    let otherPrefixes: IncidentCounts?
    let acknowledgements: [Acknowledgement]

    init(
        _ row: IncidentRow, _ totals: IncidentTotals, _ progress: IncidentProgress,
        _ acknowledgements: [AcknowledgementRow]
    ) {
        func given(_ text: String) -> String? { text.isEmpty ? nil : text }
        incident = IncidentLine(row)
        self.progress = Progress(
            phase: progress.phase.rawValue, part: progress.part, secondsLeft: progress.secondsLeft)
        self.totals = IncidentCounts(totals.all)
        owners = totals.owners.sorted { ($0.key.name, $0.key.id) < ($1.key.name, $1.key.id) }.map {
            Owner(owner: $0.key.id, name: $0.key.name, counts: IncidentCounts($0.value))
        }
        buckets = totals.buckets.sorted { $0.key < $1.key }.map {
            Bucket(bucket: $0.key, counts: IncidentCounts($0.value))
        }
        prefixes = totals.prefixes.sorted { $0.key < $1.key }.map {
            Prefix(bucket: $0.key.bucket, prefix: $0.key.prefix, counts: IncidentCounts($0.value))
        }
        otherPrefixes = totals.otherPrefixes.versions == 0 ? nil : IncidentCounts(totals.otherPrefixes)
        self.acknowledgements = acknowledgements.map {
            Acknowledgement(
                time: $0.time.description, owner: given($0.owner), bucket: given($0.bucket),
                key: given($0.key), note: $0.note)
        }
    }
}

/// A version as `incident report --format json` prints it.
struct AffectedVersionLine: Encodable {
    let bucket: String
    let key: String
    let versionId: String
    let owner: String
    let ownerName: String
    let size: UInt64
    let state: String
    /// Where its bytes came from, which volumes lack it, which older version is there.
    let detail: String
    /// The class of the finding.
    let code: String
    let changed: String?
    let acknowledged: Bool

    init(_ line: AffectedLine) {
        bucket = line.version.bucket
        key = line.version.key
        versionId = line.wireVersionID
        owner = line.version.owner
        ownerName = line.ownerName
        size = line.version.size
        state = line.state.word
        detail = line.version.detail
        code = line.version.code
        changed = line.changed?.description
        acknowledged = line.isAcknowledged
    }

    var text: String {
        let why = detail.isEmpty ? "" : " (\(detail))"
        let seen = acknowledged ? ", acknowledged" : ""
        return
            "\(bucket)/\(key)  version \(versionId)  \(ownerName)  \(counted(size, "byte"))  \(state)\(why)\(seen)"
            .printable
    }
}
