/// The limits every layer relies on, in one place.
public enum Limits {
    /// Volumes of a store.
    public static let volumeCount = 3
    /// Volumes that must hold a write before it is acknowledged.
    public static let writeQuorum = 2
    /// Bytes that one CRC32C of a block table covers.
    public static let blockSize = 64 * 1024
    /// Payloads up to this size stand in the log.
    public static let inlineByteCount = 64 * 1024
    /// Bytes of a log segment, allocated and zeroed ahead.
    public static let segmentByteCount = 64 * 1024 * 1024
    /// The encoded event of one frame.
    public static let eventByteCount = 4 * 1024 * 1024
    /// Amazon S3: an object's or a part's size in one request.
    public static let uploadByteCount: UInt64 = 5 * 1024 * 1024 * 1024
    /// Amazon S3: a multipart object's size (50 TB since December 2025; 5 TiB before).
    public static let objectByteCount: UInt64 = 50 * 1024 * 1024 * 1024 * 1024
    /// Amazon S3: parts of a multipart upload, numbered from 1.
    public static let partCount = 10_000
    /// Amazon S3: every part but the last has at least this size.
    public static let minimumPartByteCount: UInt64 = 5 * 1024 * 1024
}
