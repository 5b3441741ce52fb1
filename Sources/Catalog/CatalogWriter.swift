import Foundation
import GRDB
import Model
import SwiftProtobuf

/// The writing session: the one place where an event becomes rows. What an event does depends on the rows and
/// the event alone, so that a replay of the log gives the same catalog.
public struct CatalogWriter {
    package let database: Database
    let session: WritingSession

    init(_ database: Database, _ session: WritingSession) {
        self.database = database
        self.session = session
    }

    /// What is there, uncommitted changes included; the position is that of the last commit.
    public var reader: CatalogReader {
        CatalogReader(database, session.statements, session.buckets, keepsBuckets: true)
    }

    public func begin() throws {
        try run("BEGIN IMMEDIATE")
        do { session.begin(at: try reader.position()) } catch {
            try rollback()
            throw error
        }
    }

    /// - Throws: with nothing committed, and no transaction open.
    public func commit() throws {
        do {
            try requireTransaction()
            if session.isMoved { try moveOn() }
            try run("COMMIT")
        } catch {
            try rollback()
            throw error
        }
        session.committed()
    }

    /// Undoes what was done since ``begin()``. Does nothing if SQLite has done so by itself.
    public func rollback() throws {
        session.forgetBuckets()
        if isInTransaction { try run("ROLLBACK") }
    }

    /// What `body` does is committed together, or nothing of it.
    package func transaction(_ body: () throws -> Void) throws {
        try begin()
        do {
            try body()
            try commit()
        } catch {
            try rollback()
            throw error
        }
    }

    /// SQLite rolls everything back by itself when an error leaves it no other way: a full disk, an I/O error.
    /// What follows would then be committed alone.
    public var isInTransaction: Bool { database.isInsideTransaction }

    private func requireTransaction() throws {
        guard isInTransaction else {
            throw CatalogError.unreadable("SQLite rolled the transaction back after an error")
        }
    }

    private func moveOn() throws {
        let statement = session.changes.setPosition
        statement.bind(1, Int64(session.position.sequence.rawValue))
        statement.bind(2, session.position.chain.bytes)
        statement.bind(3, Int64(session.start.sequence.rawValue))
        guard try statement.execute() == 1 else {
            throw CatalogError.unreadable("it is not at event \(session.start.sequence) any more")
        }
    }

    func run(_ sql: String, _ arguments: StatementArguments = []) throws {
        try database.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// Applies the event that follows the last one applied.
    /// - Throws: ``CatalogError`` if the event contradicts the rows or is of a kind that is not known.
    public func apply(_ event: LoggedEvent) throws {
        try requireTransaction()
        let last = session.position.sequence
        guard event.sequence == last.next else {
            throw CatalogError.contradiction(event.sequence, "the last event applied is \(last)")
        }
        switch event.record.change {
        case .epochOpened(let change): try apply(change, event)
        case .bucketCreated(let change): try apply(change, event)
        case .bucketDeleted(let change): try apply(change, event)
        case .bucketConfigured(let change): try apply(change, event)
        case .versionPublished(let change): try apply(change, event)
        case .versionRemoved(let change): try apply(change, event)
        case .versionAmended(let change): try apply(change, event)
        case .uploadCreated(let change): try apply(change, event)
        case .uploadAmended(let change): try apply(change, event)
        case .partPublished(let change): try apply(change, event)
        case .uploadAborted(let change):
            let upload = [Data(change.bucket.utf8), Data(change.key.utf8), change.uploadID]
            if change.keepsParts { try abandon(upload, event) } else { try endUpload(upload, event) }
        case .partsReleased(let change): try apply(change, event)
        case .healingActed: break  // it changes nothing of what is stored
        case .uploadsConfirmed(let change):
            try run("UPDATE meta SET confirmed = ?", [Int64(change.throughSequence)])
        case .findingRecorded(let change): try record(change.finding, repaired: false, event)
        case .replicaRepaired(let change): try record(change.finding, repaired: true, event)
        case .repairUndone(let change):
            try run("INSERT INTO undone VALUES (?, ?)", [Int64(change.repairSequence), event.number])
        case .versionsStated(let change): try apply(change, event)
        case .incidentOpened(let change): try apply(change, event)
        case .incidentAcknowledged(let change): try apply(change, event)
        case .incidentClosed(let change): try apply(change, event)
        case .scrubAdvanced(let change): try apply(change, event)
        case .volumeSetAside(let change): try note(change.volume, "set aside", change.reason, event)
        case .volumeReturned(let change): try note(change.volume, "returned", "", event)
        case .volumeReplaced(let change): try note(change.volume, "replaced", "", event)
        case .reclaimPlanned(let change): try apply(change, event)
        case .reclaimed(let change): try apply(change)
        case .snapshotTaken: break  // what a repository holds, the repository says
        case .restoreEnded: break  // each version that came back has an event of its own
        case nil: throw CatalogError.unknownChange(event.sequence)
        }
        session.position = LogPosition(sequence: event.sequence, chain: event.chain)
    }

    // MARK: Buckets

    private func apply(_ change: EventBucketCreated, _ event: LoggedEvent) throws {
        session.touchBuckets()
        try run(
            "INSERT INTO buckets (name, sequence, created, owner, region, versioning) VALUES (?, ?, ?, ?, ?, ?)",
            [
                Data(change.bucket.utf8), event.number, event.moment, change.owner, change.region,
                String(decoding: change.settings["versioning"] ?? Data(), as: UTF8.self),
            ])
        for (name, value) in change.settings where name != "versioning" {
            try run("INSERT INTO settings VALUES (?, ?, ?)", [Data(change.bucket.utf8), name, value])
        }
    }

    private func apply(_ change: EventBucketDeleted, _ event: LoggedEvent) throws {
        session.touchBuckets()
        let name = Data(change.bucket.utf8)
        for row in try reader.rows("SELECT key, id FROM uploads WHERE bucket = ?", [name]) {
            try endUpload([name, row[0] as Data, row[1] as Data], event)
        }
        try run("DELETE FROM settings WHERE bucket = ?", [name])
        try run("DELETE FROM buckets WHERE name = ?", [name])
        try expectOne(event, "there is no bucket \(change.bucket)")
    }

    private func apply(_ change: EventBucketConfigured, _ event: LoggedEvent) throws {
        session.touchBuckets()
        let name = Data(change.bucket.utf8)
        if change.setting == "versioning" {
            try run(
                "UPDATE buckets SET versioning = ? WHERE name = ?",
                [String(decoding: change.value, as: UTF8.self), name])
            try expectOne(event, "there is no bucket \(change.bucket)")
        } else if change.removed {
            try run("DELETE FROM settings WHERE bucket = ? AND name = ?", [name, change.setting])
        } else {
            try run("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", [name, change.setting, change.value])
        }
    }

    // MARK: Versions

    private func apply(_ change: EventVersionPublished, _ event: LoggedEvent) throws {
        if change.replacedSequence != 0 { try removeReplaced(change, event) }
        try retireNewest(change)
        var record = change
        for index in record.pieces.indices {
            let isOwn = record.pieces[index].blobID.isEmpty && record.pieces[index].payloadSequence == 0
            if isOwn { record.pieces[index].payloadSequence = event.sequence.rawValue }
        }
        if change.uploadID.isEmpty {
            try record.pieces.forEach { try use($0, bucket: change.bucket, key: change.key, event) }
        } else {
            // The parts' bytes become the version's: their references move.
            let upload = [Data(change.bucket.utf8), Data(change.key.utf8), change.uploadID]
            try endUpload(upload, keeping: record.pieces.map(\.partNumber), event)
        }
        if change.deleteMarker {
            try run(
                "INSERT INTO archive VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                [
                    Data(change.bucket.utf8), Data(change.key.utf8), event.number, event.moment,
                    change.versionID, change.nullVersion, try encoded(record),
                ])
        } else {
            let insert = session.changes.insertCurrent
            bind(insert, change)
            insert.bind(3, event.number)
            insert.bind(4, event.moment)
            insert.bind(5, Array(change.versionID))
            insert.bind(6, change.nullVersion ? 1 : 0)
            insert.bind(7, try encodedBytes(record))
            try insert.execute()
        }
    }

    private func bind(_ statement: HotStatement, _ change: EventVersionPublished) {
        statement.bind(1, utf8: change.bucket)
        statement.bind(2, utf8: change.key)
    }

    /// The null version that another one takes the place of goes; mostly it is the current one.
    private func removeReplaced(_ change: EventVersionPublished, _ event: LoggedEvent) throws {
        let sequence = Int64(change.replacedSequence)
        let current = session.statements.current
        bind(current, change)
        if let version = try current.first(HotStatements.version), version.sequence.rawValue == sequence {
            let delete = session.changes.deleteCurrentAt
            bind(delete, change)
            delete.bind(3, sequence)
            try delete.execute()
            for piece in version.record.pieces { try release(piece, event) }
        } else {
            try removeRow([Data(change.bucket.utf8), Data(change.key.utf8)], sequence: sequence, event)
        }
    }

    /// The newest version so far becomes an older one.
    private func retireNewest(_ change: EventVersionPublished) throws {
        let changes = session.changes
        bind(changes.archiveCurrent, change)
        let next =
            try changes.archiveCurrent.execute() > 0 ? changes.deleteCurrent : changes.unmarkNewest
        bind(next, change)
        try next.execute()
    }

    private func apply(_ change: EventVersionRemoved, _ event: LoggedEvent) throws {
        let place: [(any DatabaseValueConvertible)?] = [Data(change.bucket.utf8), Data(change.key.utf8)]
        let wasNewest = try removeRow(place, sequence: Int64(change.publishedSequence), event)
        guard wasNewest else { return }
        // The version before it comes to the front.
        let arguments = StatementArguments(place)
        guard
            let next = try reader.row(
                "SELECT \(CatalogReader.columns) FROM archive WHERE bucket = ? AND key = ? ORDER BY sequence DESC LIMIT 1",
                arguments)
        else { return }
        let version = try CatalogReader.version(next)
        let sequence = StatementArguments(place + [Int64(version.sequence.rawValue)])
        if version.isDeleteMarker {
            try run("UPDATE archive SET newest = 1 WHERE bucket = ? AND key = ? AND sequence = ?", sequence)
        } else {
            try run(
                "INSERT INTO current SELECT bucket, key, sequence, time, version, is_null, record FROM archive WHERE bucket = ? AND key = ? AND sequence = ?",
                sequence)
            try run("DELETE FROM archive WHERE bucket = ? AND key = ? AND sequence = ?", sequence)
        }
    }

    /// Removes a version's row and its references.
    /// - Returns: whether it was the newest of its key.
    @discardableResult
    private func removeRow(
        _ place: [(any DatabaseValueConvertible)?], sequence: Int64, _ event: LoggedEvent
    ) throws -> Bool {
        let arguments = StatementArguments(place + [sequence])
        let fromCurrent = try reader.row(
            "SELECT \(CatalogReader.columns), 1 FROM current WHERE bucket = ? AND key = ? AND sequence = ?",
            arguments)
        let row =
            try fromCurrent
            ?? reader.row(
                "SELECT \(CatalogReader.columns), newest FROM archive WHERE bucket = ? AND key = ? AND sequence = ?",
                arguments)
        guard let row else {
            throw CatalogError.contradiction(
                event.sequence, "there is no version that event \(sequence) published")
        }
        let table = fromCurrent == nil ? "archive" : "current"
        try run("DELETE FROM \(table) WHERE bucket = ? AND key = ? AND sequence = ?", arguments)
        for piece in try CatalogReader.version(row).record.pieces { try release(piece, event) }
        return row[5] as Int == 1
    }

    private func apply(_ change: EventVersionAmended, _ event: LoggedEvent) throws {
        let key = try ObjectKey(change.key)
        let bucket = try BucketName(change.bucket)
        guard let id = VersionID(bytes: change.versionID),
            let version = try reader.version(bucket, key, .id(id)),
            version.sequence.rawValue == change.publishedSequence
        else { throw CatalogError.contradiction(event.sequence, "the version it amends is not there") }
        var record = version.record
        record.metadata = change.metadata
        if change.hasEncryption { record.encryption = change.encryption }
        let arguments: StatementArguments = [
            try encoded(record), bucket.data, key.data, Int64(change.publishedSequence),
        ]
        try run("UPDATE current SET record = ? WHERE bucket = ? AND key = ? AND sequence = ?", arguments)
        if database.changesCount == 0 {
            try run("UPDATE archive SET record = ? WHERE bucket = ? AND key = ? AND sequence = ?", arguments)
        }
    }

    // MARK: The rest

    private func record(_ finding: EventFinding, repaired: Bool, _ event: LoggedEvent) throws {
        try run("INSERT INTO findings VALUES (?, ?, ?)", [event.number, repaired, try encoded(finding)])
    }

    private func note(_ volume: UInt32, _ state: String, _ reason: String, _ event: LoggedEvent) throws {
        try run(
            "INSERT OR REPLACE INTO volumes VALUES (?, ?, ?, ?)",
            [Int64(volume), state, event.number, reason])
        try noteOutage(volume, state, reason, event)
    }

    func expectOne(_ event: LoggedEvent, _ reason: String) throws {
        if database.changesCount != 1 { throw CatalogError.contradiction(event.sequence, reason) }
    }

    func encoded(_ message: some SwiftProtobuf.Message) throws -> Data {
        Data(try encodedBytes(message))
    }

    private func encodedBytes(_ message: some SwiftProtobuf.Message) throws -> [UInt8] {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        return try message.serializedBytes(options: options)
    }

    /// Rows of buckets are about to be written by other means than ``apply(_:)``.
    func touchBuckets() { session.touchBuckets() }
}

extension LoggedEvent {
    var number: Int64 { Int64(sequence.rawValue) }
    var moment: Int64 { Int64(time.microseconds) }
}
