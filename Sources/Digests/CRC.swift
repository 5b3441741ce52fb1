import CDigests

/// How a CRC is computed. All give the same values.
package enum CRCKernel: Int32, CaseIterable, Sendable {
    case table = 0
    case carryless = 1
    case carryless512 = 2

    /// The fastest that this machine can run.
    package static let best = CRCKernel(rawValue: holdfast_crc_best_kernel()) ?? .table
    /// Those that this machine can run.
    package static var runnable: [CRCKernel] { allCases.filter { $0.rawValue <= best.rawValue } }
}

/// The parameters of one CRC, and its value as it stands.
package struct CRCState: Sendable {
    let algorithm: Int32
    let kernel: CRCKernel
    var value: UInt64 = 0

    package static func update(
        _ algorithm: Int32, _ kernel: CRCKernel, _ value: UInt64, _ bytes: UnsafeRawBufferPointer
    ) -> UInt64 {
        guard let base = bytes.baseAddress else { return value }
        return holdfast_crc_update(algorithm, kernel.rawValue, value, base, bytes.count)
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = Self.update(algorithm, kernel, value, bytes)
    }
}

/// CRC-32 of ISO-HDLC: Ethernet, zip, `x-amz-checksum-crc32`.
public struct CRC32: StreamingDigest {
    private var state: CRCState
    private static let algorithm = Int32(HOLDFAST_CRC32.rawValue)

    public init() { self.init(kernel: .best) }
    package init(kernel: CRCKernel) { state = CRCState(algorithm: Self.algorithm, kernel: kernel) }

    public var value: UInt32 { UInt32(truncatingIfNeeded: state.value) }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bytes) }
    public mutating func finalize() -> [UInt8] { bigEndianBytes(value) }

    public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: CRCState.update(algorithm, .best, 0, bytes))
    }
    public static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { checksum($0) } }

    /// The checksum of A followed by B.
    public static func combine(_ a: UInt32, _ b: UInt32, lengthOfB: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: holdfast_crc_combine(algorithm, UInt64(a), UInt64(b), lengthOfB))
    }
}

/// CRC-32C (Castagnoli): iSCSI, RFC 3720, `x-amz-checksum-crc32c`, and the store's own blocks and frames.
public struct CRC32C: StreamingDigest {
    private var state: CRCState
    private static let algorithm = Int32(HOLDFAST_CRC32C.rawValue)

    public init() { self.init(kernel: .best) }
    package init(kernel: CRCKernel) { state = CRCState(algorithm: Self.algorithm, kernel: kernel) }

    public var value: UInt32 { UInt32(truncatingIfNeeded: state.value) }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bytes) }
    public mutating func finalize() -> [UInt8] { bigEndianBytes(value) }

    public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(truncatingIfNeeded: CRCState.update(algorithm, .best, 0, bytes))
    }
    public static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { checksum($0) } }

    /// The checksum of A followed by B.
    public static func combine(_ a: UInt32, _ b: UInt32, lengthOfB: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: holdfast_crc_combine(algorithm, UInt64(a), UInt64(b), lengthOfB))
    }
}

/// CRC-64 of the NVM Express specification: `x-amz-checksum-crc64nvme`.
public struct CRC64NVME: StreamingDigest {
    private var state: CRCState
    private static let algorithm = Int32(HOLDFAST_CRC64NVME.rawValue)

    public init() { self.init(kernel: .best) }
    package init(kernel: CRCKernel) { state = CRCState(algorithm: Self.algorithm, kernel: kernel) }

    public var value: UInt64 { state.value }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { state.update(bytes) }
    public mutating func finalize() -> [UInt8] { bigEndianBytes(value) }

    public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        CRCState.update(algorithm, .best, 0, bytes)
    }
    public static func checksum(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { checksum($0) } }

    /// The checksum of A followed by B.
    public static func combine(_ a: UInt64, _ b: UInt64, lengthOfB: UInt64) -> UInt64 {
        holdfast_crc_combine(algorithm, a, b, lengthOfB)
    }
}

private func bigEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
}
