extension EventAffectedVersion.State {
    /// As commands, pages and metrics name it.
    public var word: String {
        switch self {
        case .detected: "detected"
        case .repairing: "repairing"
        case .repaired: "repaired"
        case .restored: "restored"
        case .olderAvailable: "older-version-available"
        case .lost: "lost"
        case .removed: "removed"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }

    /// Whether nothing more is expected to happen to the version.
    public var isFinal: Bool { self == .repaired || self == .restored || self == .removed || isGone }

    /// Whether the version cannot be read any more.
    public var isGone: Bool { self == .lost || self == .olderAvailable }
}
