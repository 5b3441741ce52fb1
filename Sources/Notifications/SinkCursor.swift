import EventLog
import Foundation
import Model
import Volumes

/// How far a sink has followed the log, in a file of the state directory: what was delivered stays delivered over a
/// crash, but for the last batch, which may come again.
struct SinkCursor: Codable, Equatable {
    static let format = 1

    var format = Self.format
    /// Events up to here are dealt with.
    var sequence: UInt64
    /// The event of the last notification that was delivered.
    var previous: UInt64 = 0
    var isPaused = false
    /// How often it was put back: what comes again on purpose is no duplicate of what came before. `nil` for never.
    var replays: UInt64?
    /// The chain hash at ``sequence``, in hexadecimal: whether the log still is the one that was followed. `nil` where an
    /// earlier version wrote the file, somebody put the sink back, or the event cannot be read.
    var chain: String?
    /// The last epochs of the log that it came through, in order: where a log that was cut parts from it.
    var epochs: [UInt64]?

    /// Everything up to an event is dealt with.
    mutating func pass(_ event: LoggedEvent) {
        sequence = event.sequence.rawValue
        chain = event.chain.description
        guard epochs?.last != event.epoch else { return }
        epochs = ((epochs ?? []) + [event.epoch]).suffix(FollowedLog.epochCount)
    }

    /// Goes on behind an event that cannot be read. The next record follows on it, and not on the last that was delivered:
    /// there may have been something between them to tell of.
    mutating func passUnread(_ unread: UInt64) {
        (sequence, previous, chain) = (unread, unread, nil)
    }

    /// - Returns: `nil` if there is no file.
    /// - Throws: ``SinkError`` if it is not understood, ``FileSystemError``.
    static func load(_ path: String, _ fileSystem: any FileSystem) throws -> SinkCursor? {
        guard try fileSystem.status(of: path) != nil else { return nil }
        let file = try fileSystem.open(path, [], permissions: 0)
        defer { file.close() }
        let cursor: SinkCursor
        do {
            cursor = try JSONDecoder().decode(
                SinkCursor.self, from: Data(try file.bytes(Int(try file.size()), at: 0)))
        } catch let error as DecodingError {
            throw SinkError(
                "\(path) is no sink's cursor: \(error). Remove it, and the sink begins at the log's end; "
                    + "'holdfast sink replay' goes back")
        }
        guard cursor.format == Self.format else {
            throw SinkError("\(path) has format \(cursor.format); this version knows \(Self.format)")
        }
        return cursor
    }

    /// Replaced as a whole, synced.
    func save(_ path: String, _ fileSystem: any FileSystem) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try fileSystem.replaceFile(path, with: Array(try encoder.encode(self)))
    }
}

/// What is wrong with a sink, for people.
public struct SinkError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The notifications that a sink refused for good, one JSON object a line: when, why, and the body that was sent.
struct DeadLetters {
    static let byteCount: UInt64 = 64 * 1024 * 1024

    let path: String
    let fileSystem: any FileSystem

    private struct Letter: Encodable {
        let time: String
        let reason: String
        let body: String
    }

    /// Appends, synced.
    /// - Throws: ``SinkError`` if the file is full: then nothing goes on until somebody has looked at it.
    func append(_ body: [UInt8], reason: String, at time: Timestamp) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let letter = Letter(
            time: time.description, reason: reason, body: String(decoding: body, as: UTF8.self))
        let line = Array(try encoder.encode(letter)) + [UInt8(ascii: "\n")]
        let isNew = try fileSystem.status(of: path) == nil
        let file = try fileSystem.open(path, [.write, .createIfMissing], permissions: 0o600)
        defer { file.close() }
        let size = try file.size()
        guard size + UInt64(line.count) <= Self.byteCount else {
            throw SinkError("\(path) is full: move it away when its notifications are dealt with")
        }
        try file.write(line, at: size)
        try file.sync()
        if isNew { try fileSystem.syncDirectory(parent(of: path)) }
    }
}
