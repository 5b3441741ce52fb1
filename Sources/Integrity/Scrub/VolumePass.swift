import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// One pass over a volume: the frames of its log first, then its blobs in the order of their ids, all as of the
/// event at which the pass began. It goes step by step, and where it stands is an event now and then, so that
/// another process goes on from there.
struct VolumePass {
    /// A step ends when it has read so much.
    private static let stepByteCount: UInt64 = 8 * 1024 * 1024
    /// How often an event says how far the pass has come.
    static let recordInterval = 300.0

    let inspection: StoreInspection
    let token: ServiceToken
    private(set) var record: EventScrubAdvanced
    private var recorded: Timestamp
    private var total: UInt64
    /// Of the log, what this process has read.
    private var logBytes: UInt64 = 0
    private var framesRead: UInt64 = 0
    /// Of the log, what the last step has read.
    private(set) var lastByteCount = 0
    private static let assumedFrameByteCount: UInt64 = 4096

    /// Goes on with what `last` says of the volume, or begins the next pass.
    init(_ inspection: StoreInspection, _ token: ServiceToken, last: ScrubRow?) throws {
        self.inspection = inspection
        self.token = token
        recorded = inspection.now
        if let record = last?.record, !record.complete {
            self.record = record
        } else {
            var record = EventScrubAdvanced()
            record.volume = UInt32(token.volume.index)
            record.pass = (last?.record.pass ?? 0) + 1
            record.startedMicroseconds = inspection.now.microseconds
            record.headSequence = inspection.log.head.sequence.rawValue
            self.record = record
        }
        total = try inspection.catalog.read { try $0.blobTotals(bornFrom: .zero).bytes }
    }

    var started: Timestamp { Timestamp(microseconds: record.startedMicroseconds) }

    /// Bytes that the pass has still to read, as far as can be told: the log's rest is as the part that was read.
    var bytesLeft: UInt64 {
        let frames = record.throughSequence
        let perFrame = framesRead > 0 ? max(1, logBytes / framesRead) : Self.assumedFrameByteCount
        let log = (record.headSequence - min(frames, record.headSequence)) * perFrame
        return log + (total > blobBytes ? total - blobBytes : 0)
    }

    private var blobBytes: UInt64 { record.bytes > logBytes ? record.bytes - logBytes : 0 }

    /// From 0 to 1.
    var part: Double {
        if record.complete { return 1 }
        let left = bytesLeft
        return record.bytes == 0 ? 0 : Double(record.bytes) / Double(record.bytes + left)
    }

    /// Reads the next stretch and hands what is wrong to repair.
    /// - Returns: whether there is more to read; `false` too when the volume has left service.
    mutating func step(
        known: Set<OpenFindings.Place>, pace: @escaping @Sendable (Int) -> Void
    ) async throws -> Bool {
        let reader = ScrubReader(inspection: inspection, token: token, pace: pace)
        var findings: [Finding] = []
        let isValid =
            record.throughSequence < record.headSequence
            ? frames(reader, &findings) : try blobs(reader, &findings)
        guard isValid else { return false }
        record.findings += UInt64(findings.count)
        try await inspection.recordAndMend(findings, known: known)
        let now = inspection.now
        guard record.complete || ScrubSchedule.seconds(from: recorded, to: now) >= Self.recordInterval else {
            return true
        }
        recorded = now
        return try await inspection.record(.scrubAdvanced(record), ifStillIn: token) && !record.complete
    }

    /// Appends how far the pass has come, so that nothing is read twice after a pause.
    mutating func save() async throws {
        recorded = inspection.now
        _ = try await inspection.record(.scrubAdvanced(record), ifStillIn: token)
    }

    private mutating func frames(_ reader: ScrubReader, _ findings: inout [Finding]) -> Bool {
        let (stretch, through) = reader.frames(
            from: SequenceNumber(record.throughSequence + 1),
            through: SequenceNumber(record.headSequence))
        guard stretch.isValid else { return false }
        framesRead += through.rawValue - record.throughSequence
        record.throughSequence = through.rawValue
        record.bytes += stretch.bytes
        logBytes += stretch.bytes
        lastByteCount = Int(stretch.bytes)
        findings = stretch.findings
        return true
    }

    private mutating func blobs(_ reader: ScrubReader, _ findings: inout [Finding]) throws -> Bool {
        let rows = try reader.blobs(after: BlobID(bytes: record.throughBlob))
        lastByteCount = 0
        var bytes: UInt64 = 0
        for row in rows {
            if row.born.rawValue <= record.headSequence, !row.isReclaiming {
                let stretch = try reader.blob(row)
                guard stretch.isValid else { return false }
                bytes += stretch.bytes
                record.bytes += stretch.bytes
                findings += stretch.findings
            }
            record.throughBlob = Data(row.id.bytes)
            if bytes >= Self.stepByteCount || !findings.isEmpty { return true }
        }
        record.complete = rows.count < ScrubReader.pageCount
        return true
    }
}
