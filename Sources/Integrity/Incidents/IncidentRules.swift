import Catalog
import Model

/// When findings make an incident.
public struct IncidentSettings: Sendable {
    /// So many places that are found damaged…
    public var burstCount: Int
    /// …within so many seconds. An incident of findings is over when so long none has come.
    public var windowSeconds: Int

    public init(burstCount: Int = 5, windowSeconds: Int = 600) {
        self.burstCount = burstCount
        self.windowSeconds = windowSeconds
    }
}

/// Findings that belong to no incident, as far back as the window goes. Pure: it is told of each, with its time.
struct FindingBurst {
    struct Item {
        let sequence: SequenceNumber
        let time: Timestamp
        let place: OpenFindings.Place
        let code: String
    }

    /// More than so many are a burst in any case.
    private static let limit = 10_000

    let settings: IncidentSettings
    private(set) var items: [Item] = []

    init(settings: IncidentSettings) { self.settings = settings }

    mutating func add(_ item: Item) {
        let window = UInt64(settings.windowSeconds) * 1_000_000
        items.append(item)
        items.removeAll { $0.time.microseconds + window < item.time.microseconds }
        if items.count > Self.limit { items.removeFirst(items.count - Self.limit) }
    }

    mutating func clear() { items = [] }

    /// The first finding of a burst and how many places it is; `nil` while it is none.
    var burst: (first: Item, places: Int)? {
        let places = Set(items.map(\.place)).count
        guard places >= settings.burstCount, let first = items.first else { return nil }
        return (first, places)
    }
}

/// What the comings and goings of a volume mean for its incident.
enum VolumeIncident: Equatable {
    /// It is away since this event, and no incident says so.
    case open(OutageRow)
    case leave

    /// - Parameters:
    ///   - outages: of the volume, from the first event of `last` on.
    ///   - last: its newest incident.
    init(_ outages: [OutageRow], last: IncidentRow?) {
        if let last, last.isOpen {
            self = .leave
            return
        }
        // What went before the healing that ended the last incident belongs to that.
        let end = last?.closed.map { closed in
            outages.last { $0.state == .healed && $0.sequence < closed }?.sequence ?? .zero
        }
        let left = outages.first {
            ($0.state == .setAside || $0.state == .replaced) && $0.sequence > end ?? .zero
        }
        self = left.map { .open($0) } ?? .leave
    }
}

extension EventAffectedVersion {
    /// How a version stands by what is known of its bytes.
    /// - Parameters:
    ///   - damaged: the volumes where something of it is not good.
    ///   - finding: what was seen or mended last.
    mutating func settle(damaged: [UInt32], finding: EventFinding, source: String?, isUnderRepair: Bool) {
        if !finding.code.isEmpty { code = finding.code }
        guard damaged.isEmpty else {
            state = isUnderRepair ? .repairing : .detected
            let names = damaged.filter { $0 > 0 }.map(String.init)
            let place =
                names.isEmpty ? "" : "volume\(names.count == 1 ? "" : "s") \(names.joined(separator: ", "))"
            detail = isUnderRepair ? "from the other volumes" : place
            return
        }
        let source = source ?? ""
        state = source.hasPrefix("snapshot ") ? .restored : .repaired
        detail = source
    }
}
