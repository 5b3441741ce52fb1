/// Told of bytes that were read for a snapshot, by whichever thread read them: may keep that thread waiting, or end the
/// snapshot by throwing.
public typealias SnapshotPace = @Sendable (_ byteCount: Int) throws -> Void

/// As fast as it goes.
@Sendable public func unpaced(_ byteCount: Int) {}
