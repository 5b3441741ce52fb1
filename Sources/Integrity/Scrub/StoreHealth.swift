import Catalog
import EventLog
import Model
import ObjectStore

/// Whether a store is as it should be, computed from what was verified against the catalog, never from an empty
/// queue (DESIGN invariant 10).
///
/// Green takes: every volume in service; nothing brought to one that nobody has read back; every replica verified
/// within the period; no finding open; no repair under way; and uploads confirmed as they come.
public struct StoreHealth: Sendable {
    public enum VolumeState: String, Sendable {
        case setAside = "set aside"
        /// What it missed is being brought.
        case filling
        /// In service; what was brought is being read back.
        case verifying
        case healed
    }

    public struct Volume: Sendable {
        public let index: Int
        public let state: VolumeState
        /// Everything on it was verified since; `nil` for one that is not in service.
        public let verified: Timestamp?
        public let ageSeconds: Double?
    }

    /// What keeps a store from being green.
    public enum Cause: Sendable, Equatable, CustomStringConvertible {
        case setAside(volume: Int, reason: String)
        case filling(volume: Int)
        case verifying(volume: Int)
        /// Not all of the volume was verified within the scrub's period.
        case overdue(volume: Int, since: Timestamp)
        case notScrubbed
        case openFindings(Int)
        case repairing
        case unconfirmed(since: Timestamp)
        case unreadable(String)

        public var description: String {
            switch self {
            case .setAside(let volume, let reason): "volume \(volume) is set aside: \(reason)"
            case .filling(let volume): "volume \(volume) is being filled"
            case .verifying(let volume): "volume \(volume): what was brought to it is not verified"
            case .overdue(let volume, let since): "volume \(volume) was not verified since \(since)"
            case .notScrubbed: "nothing is scrubbed: the scrub's period is 0"
            case .openFindings(1): "a finding is open"
            case .openFindings(let count): "\(count) findings are open"
            case .repairing: "a repair is under way"
            case .unconfirmed(let since): "an upload of \(since) is not confirmed"
            case .unreadable(let reason): "whether uploads are confirmed cannot be read: \(reason)"
            }
        }
    }

    public var isGreen: Bool { causes.isEmpty }
    /// Why it is not green; empty if it is.
    public let causes: [Cause]
    /// The same, in words.
    public var reasons: [String] { causes.map(\.description) }
    public let volumes: [Volume]
    public let openFindings: Int
    /// Age of the oldest upload that was not read back; `nil` if there is none.
    public let unconfirmedSeconds: Double?
}

extension ScrubService {
    /// How long an upload may wait for its confirmation.
    private static let confirmationSeconds = 600.0

    /// When everything on a volume was verified, at least.
    public func verified(_ index: Int) throws -> Timestamp? {
        try volumes().first { $0.index == index && $0.isInService }?.verified
    }

    public func health() throws -> StoreHealth {
        let unhealed = Set(try unhealed())
        let open = try openFindings.all()
        let now = inspection.now
        let statuses = inspection.statuses
        var causes: [StoreHealth.Cause] = []
        var volumes: [StoreHealth.Volume] = []
        for (status, volume) in zip(statuses, try self.volumes()) {
            let state: StoreHealth.VolumeState =
                switch status.standing {
                case .setAside: .setAside
                case .returning: .filling
                case .inService: unhealed.contains(status.index) ? .verifying : .healed
                }
            switch state {
            case .setAside: causes.append(.setAside(volume: status.index, reason: status.reason ?? ""))
            case .filling: causes.append(.filling(volume: status.index))
            case .verifying: causes.append(.verifying(volume: status.index))
            case .healed: break
            }
            let age = ScrubSchedule.seconds(from: volume.verified, to: now)
            if volume.isInService, let period = schedule.periodSeconds, age > period {
                causes.append(.overdue(volume: status.index, since: volume.verified))
            }
            volumes.append(
                .init(
                    index: status.index, state: state, verified: volume.isInService ? volume.verified : nil,
                    ageSeconds: volume.isInService ? age : nil))
        }
        if schedule.periodSeconds == nil { causes.append(.notScrubbed) }
        if !open.isEmpty { causes.append(.openFindings(open.count)) }
        if inspection.pendingRepairs > 0 { causes.append(.repairing) }
        var unconfirmedSeconds: Double?
        do {
            if let since = try unconfirmedSince() {
                let age = ScrubSchedule.seconds(from: since, to: now)
                unconfirmedSeconds = age
                if age > Self.confirmationSeconds { causes.append(.unconfirmed(since: since)) }
            }
        } catch let error as LogError {
            // With no volume left there is still something to be said of each.
            causes.append(.unreadable("\(error)"))
        }
        return StoreHealth(
            causes: causes, volumes: volumes, openFindings: open.count,
            unconfirmedSeconds: unconfirmedSeconds)
    }

    /// The findings that are open, by their class.
    public func openFindingClasses() throws -> [String: Int] {
        try openFindings.all().values.reduce(into: [:]) { $0[$1.faultClass, default: 0] += 1 }
    }

    /// When the oldest upload was published that the completion verifier has not read back.
    private func unconfirmedSince() throws -> Timestamp? {
        let confirmed = try store.confirmedThrough()
        return try inspection.log.events(from: confirmed.next, limit: CompletionVerifier.batchCount)
            .first(where: \.publishes)?.time
    }

    /// Since when every replica of a version is known to be good: the least of what is known of each volume.
    /// - Parameter pieces: of a version that was published at `published`.
    public func lastVerified(_ pieces: [EventPiece], published: Timestamp) throws -> Timestamp? {
        let rows = try inspection.catalog.read { try $0.scrubs() }
        let unhealed = Set(try unhealed())
        var least: Timestamp?
        for status in inspection.statuses {
            guard status.standing == .inService, !unhealed.contains(status.index) else { return nil }
            for piece in pieces {
                // Newer than every pass: it was read back when it was confirmed, after it was published.
                let time = rows[status.index].map { $0.read(piece) } ?? nil
                let verified = max(time ?? published, published)
                least = min(least ?? verified, verified)
            }
        }
        return least
    }
}

extension ScrubRow {
    /// When the pass that read a piece last had begun; `nil` if none has.
    fileprivate func read(_ piece: EventPiece) -> Timestamp? {
        let isRead: Bool
        if let id = BlobID(bytes: piece.blobID) {
            isRead = BlobID(bytes: record.throughBlob).map { id <= $0 } ?? false
        } else {
            isRead = piece.payloadSequence <= record.throughSequence
        }
        guard !record.complete, isRead else { return completed }
        return Timestamp(microseconds: record.startedMicroseconds)
    }
}
