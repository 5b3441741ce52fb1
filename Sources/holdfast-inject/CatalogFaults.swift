import Foundation
import GRDB
import Model
import SwiftProtobuf
import Volumes

/// Damage to the catalog, behind the back of a server that may have it open.
struct CatalogFaults {
    let store: TestStore

    func plant(_ fault: FaultClass, _ target: Target) throws -> [Planted] {
        var made = Planted(fault, volume: 0, path: "state/catalog.sqlite", sentence(fault))
        (made.bucket, made.key) = (target.bucket, target.key)
        if fault == .catalogDamaged {
            let file = try store.fileSystem.open(store.catalogPath, .write, permissions: 0)
            defer { file.close() }
            let before = try file.bytes(100, at: 0)
            let after = [UInt8](repeating: 0xA5, count: 100)
            try file.write(after, at: 0)
            (made.before, made.after) = (digest(before), digest(after))
            return [made]
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(10)  // a server may be committing
        let queue = try DatabaseQueue(path: store.catalogPath, configuration: configuration)
        try queue.write { database in try change(database, fault, target, &made) }
        return [made]
    }

    private func sentence(_ fault: FaultClass) -> String {
        switch fault {
        case .rowMissing: "the row of the current version removed"
        case .rowExtra: "a row of a version that no event publishes added"
        case .rowAltered: "the time of the current version changed"
        case .references: "a blob's count of uses changed"
        case .tags: "the tags of the current version changed"
        case .retention: "the retention of the current version changed"
        default: "its first 100 bytes overwritten"
        }
    }

    private func change(
        _ database: Database, _ fault: FaultClass, _ target: Target, _ made: inout Planted
    ) throws {
        let place: StatementArguments = [Data(target.bucket.utf8), Data(target.key.utf8)]
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM current WHERE bucket = ? AND key = ?", arguments: place)
        else { throw Refusal.notApplicable("the catalog has no \(target.bucket)/\(target.key)") }
        made.before = digest(Array(row["record"] as Data))
        switch fault {
        case .rowMissing:
            try database.execute(
                sql: "DELETE FROM current WHERE bucket = ? AND key = ?", arguments: place)
        case .rowExtra:
            var values = row.map { $0.1 }
            let key = target.key + "?"
            values[1] = Data(key.utf8).databaseValue
            made.key = key
            try database.execute(
                sql: "INSERT INTO current VALUES (\(values.map { _ in "?" }.joined(separator: ", ")))",
                arguments: StatementArguments(values))
            made.before = ""
        case .rowAltered:
            try database.execute(
                sql: "UPDATE current SET time = time + 1 WHERE bucket = ? AND key = ?", arguments: place)
        case .references:
            guard let blob = target.blob else {
                throw Refusal.notApplicable("\(target.bucket)/\(target.key) stands in the log")
            }
            try database.execute(
                sql: "UPDATE blobs SET uses = uses + 1 WHERE id = ?", arguments: [Data(blob.bytes)])
            (made.bucket, made.key, made.blob, made.before) = ("", "", blob.description, "")
        case .tags, .retention:
            var record = try EventVersionPublished(serializedBytes: row["record"] as Data)
            if fault == .tags {
                record.metadata.tags["planted"] = "yes"
            } else {
                record.metadata.retention.mode = .compliance
                record.metadata.retention.untilMicroseconds += 1_000_000
            }
            var options = BinaryEncodingOptions()
            options.useDeterministicOrdering = true
            let encoded: Data = try record.serializedBytes(options: options)
            try database.execute(
                sql: "UPDATE current SET record = ? WHERE bucket = ? AND key = ?",
                arguments: [encoded] + place)
            made.after = digest(Array(encoded))
        default: preconditionFailure("\(fault) is no damage of a row")
        }
    }
}
