/// An event's number: 1, 2, 3 … without a gap. 0 stands before the first event.
public struct SequenceNumber: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    public static let zero = SequenceNumber(0)
    public var next: SequenceNumber { SequenceNumber(rawValue + 1) }
    public var description: String { String(rawValue) }

    public static func < (left: SequenceNumber, right: SequenceNumber) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The SHA-256 over an event and the chain hash before it: 32 bytes that stand for the whole log so far.
public struct ChainHash: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// - Precondition: `bytes` has 32 elements.
    public init(_ bytes: [UInt8]) {
        precondition(bytes.count == 32, "a chain hash has 32 bytes, not \(bytes.count)")
        self.bytes = bytes
    }

    /// What the first event is chained to.
    public static let genesis = ChainHash([UInt8](repeating: 0, count: 32))

    public var description: String { bytes.hexadecimal }
}

/// Where the log stands: its last event's number and the chain hash there.
public struct LogPosition: Hashable, Sendable {
    public let sequence: SequenceNumber
    public let chain: ChainHash

    public init(sequence: SequenceNumber, chain: ChainHash) {
        self.sequence = sequence
        self.chain = chain
    }

    public static let start = LogPosition(sequence: .zero, chain: .genesis)
}

/// An event as readers of the log meet it: the record, and what its frame says.
public struct LoggedEvent: Sendable {
    public let sequence: SequenceNumber
    public let epoch: UInt64
    public let time: Timestamp
    public let chain: ChainHash
    public let record: EventRecord
    /// Bytes of the payload that was appended with the event, whether or not they have been reclaimed since.
    public let payloadLength: Int

    public init(
        sequence: SequenceNumber, epoch: UInt64, time: Timestamp, chain: ChainHash,
        record: EventRecord, payloadLength: Int
    ) {
        self.sequence = sequence
        self.epoch = epoch
        self.time = time
        self.chain = chain
        self.record = record
        self.payloadLength = payloadLength
    }
}
