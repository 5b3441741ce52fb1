import EventLog
import Foundation
import Model
import Synchronization
import TestSupport
import Testing
import Volumes

/// A mirrored log on a simulated file system, with segments so small that they are sealed all the time, and a
/// clock that ticks when it is read.
struct LogFixture {
    static let storeID = StoreID(high: 0x1111_2222, low: 0x3333_4444)
    static let segmentByteCount = 8192

    let disk: SimulatedFileSystem
    var lane: @Sendable (Int) -> any Lane = { _ in InlineLane() }
    var deadline = Duration.seconds(10)

    init(_ disk: SimulatedFileSystem = SimulatedFileSystem()) { self.disk = disk }

    /// A log on three volumes that holds nothing.
    static func created(_ disk: SimulatedFileSystem = SimulatedFileSystem()) throws -> LogFixture {
        let fixture = LogFixture(disk)
        for index in 1...3 { try fixture.makeDirectories(index) }
        try EventLog.create(storeID: storeID, mirrors: fixture.mirrors(), settings: fixture.settings)
        return fixture
    }

    func makeDirectories(_ index: Int) throws {
        try disk.createDirectories("/volume-\(index)/log")
        try disk.createDirectories("/volume-\(index)/quarantine")
    }

    var settings: LogSettings {
        LogSettings(segmentByteCount: Self.segmentByteCount, deadline: deadline)
    }

    func mirror(_ index: Int) -> LogMirror {
        LogMirror(
            fileSystem: disk, directory: "/volume-\(index)/log", quarantine: "/volume-\(index)/quarantine",
            index: index, lane: lane(index))
    }

    func mirrors(_ indexes: [Int] = [1, 2, 3]) -> [LogMirror] { indexes.map(mirror) }

    /// Opens the log over these volumes; mirrors that lag are left so.
    func open(_ indexes: [Int] = [1, 2, 3]) throws -> (log: EventLog, recovery: LogRecovery) {
        try open(mirrors(indexes))
    }

    func open(_ mirrors: [LogMirror]) throws -> (log: EventLog, recovery: LogRecovery) {
        let reading = Mutex<UInt64>(1_000_000)
        return try EventLog.open(storeID: Self.storeID, mirrors: mirrors, settings: settings) {
            reading.withLock {
                $0 += 1
                return Timestamp(microseconds: $0)
            }
        }
    }

    /// Opens the log as the store does: mirrors that lag are caught up, and an event begins the new epoch.
    func start(_ indexes: [Int] = [1, 2, 3]) throws -> (log: EventLog, recovery: LogRecovery) {
        let mirrors = mirrors(indexes)
        let (log, recovery) = try open(mirrors)
        for mirror in mirrors where recovery.lagging.contains(mirror.index) {
            _ = try log.catchUp(mirror) { _ in }
            try log.putInService(mirror)
        }
        log.beginEpoch(log.lastEpoch + 1)
        _ = try log.stage(.named("epoch"), payload: [])
        let outcome = log.flush()
        guard outcome.stable.count >= Limits.writeQuorum else {
            throw LogError.broken("\(outcome.failed)")
        }
        return (log, recovery)
    }

    // MARK: Files

    /// The segments of a volume, in order.
    func segments(_ index: Int) throws -> [String] {
        try disk.files(below: "/volume-\(index)/log").filter { $0.hasSuffix(".log") }
    }

    func lastSegment(_ index: Int) throws -> String { try #require(try segments(index).last) }

    /// The segment that begins with the event, or the last one that begins before it.
    func segment(of sequence: SequenceNumber, volume: Int) throws -> String {
        try #require(
            try segments(volume).last { path in
                Segment.first(of: String(path.suffix(24))).map { $0 <= sequence } ?? false
            })
    }

    /// Where an event's frame begins in its file.
    func offset(of sequence: SequenceNumber, volume: Int) throws -> UInt64 {
        let bytes = try disk.contents(of: try segment(of: sequence, volume: volume))
        var offset = Segment.headerByteCount
        return try bytes.withUnsafeBytes { bytes in
            while true {
                let frame = try Frame(header: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                if frame.sequence == sequence { return UInt64(offset) }
                offset += frame.byteCount
            }
        }
    }

    /// Flips a bit of an event's frame: `header` or else of its body.
    func damage(_ sequence: SequenceNumber, volume: Int, header: Bool = false) throws {
        let offset = try offset(of: sequence, volume: volume)
        let part = header ? 20 : Frame.headerByteCount
        try disk.corrupt(try segment(of: sequence, volume: volume), at: offset + UInt64(part))
    }

    func quarantine(_ index: Int) throws -> [String] { try disk.files(below: "/volume-\(index)/quarantine") }
}

extension EventRecord {
    /// An event that can be told from others.
    static func named(_ name: String) -> EventRecord {
        var change = EventBucketCreated()
        change.bucket = name
        change.owner = "owner"
        var record = EventRecord()
        record.change = .bucketCreated(change)
        return record
    }

    var name: String {
        guard case .bucketCreated(let change) = change else { return "?" }
        return change.bucket
    }
}

extension EventLog {
    /// Stages these events and flushes them as one batch.
    @discardableResult
    func append(_ names: String..., payload: [UInt8] = []) throws -> FlushOutcome {
        for name in names { _ = try stage(.named(name), payload: payload) }
        return flush()
    }

    /// Appends events, one flush each, until `count` segments have begun since.
    func fill(segments count: Int, prefix: String = "filler") throws {
        var begun = 0
        var number = 0
        var active = activeFirst
        while begun < count {
            number += 1
            let outcome = try append("\(prefix)-\(number)", payload: [UInt8](repeating: 7, count: 300))
            guard outcome.stable.count >= Limits.writeQuorum else { throw LogError.broken("no quorum") }
            if activeFirst != active { (begun, active) = (begun + 1, activeFirst) }
        }
    }

    func all() throws -> [LoggedEvent] { try events(from: SequenceNumber(1), limit: .max) }
    func names() throws -> [String] { try all().map(\.record.name) }

    /// Every mirror in service holds the whole log, frame by frame, and the chain is right.
    func isProved() throws -> Bool {
        var position = LogPosition.start
        let flaws = try compareMirrors(through: head.sequence, after: &position)
        return flaws.isEmpty && position == head
    }
}
