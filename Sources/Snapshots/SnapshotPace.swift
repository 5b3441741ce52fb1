/// Lets a snapshot give way to requests.
public protocol SnapshotPace: Sendable {
    /// Told of bytes that were read for a snapshot, by whichever thread read them; may keep that thread waiting.
    func spent(_ byteCount: Int)
}

/// As fast as it goes.
public struct UnpacedSnapshot: SnapshotPace {
    public init() {}
    public func spent(_ byteCount: Int) {}
}
