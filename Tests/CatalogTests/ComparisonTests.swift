import Catalog
import Foundation
import GRDB
import Model
import TestSupport
import Testing

@Suite struct ComparisonTests {
    /// Events that leave something in every table.
    private static func everything() -> [EventRecord.OneOf_Change] {
        let ids = (0..<6).map { VersionID(high: 1, low: $0) }
        let blobs = (0..<6).map { BlobID(high: 2, low: $0) }
        var confirmation = EventUploadsConfirmed()
        confirmation.throughSequence = 3
        var finding = EventFindingRecorded()
        finding.finding.code = "replica.missing"
        var aside = EventVolumeSetAside()
        aside.volume = 3
        aside.reason = "EIO"
        var opened = EventIncidentOpened()
        opened.cause = .volume
        opened.volume = 3
        opened.reason = "volume 3"
        var affected = EventAffectedVersion()
        (affected.bucket, affected.key, affected.owner) = ("bucket", "a", "owner")
        affected.publishedSequence = 4
        affected.state = .lost
        var stated = EventVersionsStated()
        stated.versions = [affected]
        stated.throughSequence = 14
        var seen = EventIncidentAcknowledged()
        seen.incident = 16
        seen.note = "told"
        var undone = EventRepairUndone()
        undone.repairSequence = 14
        var aborted = EventUploadAborted()
        (aborted.bucket, aborted.key) = ("bucket", "v")
        aborted.uploadID = Data(ids[0].bytes)
        aborted.keepsParts = true
        var scrub = EventScrubAdvanced()
        scrub.volume = 2
        scrub.pass = 1
        return [
            Change.bucket("bucket"), Change.setting("bucket", "policy", "{}"),
            Change.setting("bucket", "versioning", "Enabled"),
            Change.version("bucket", "a", ids[0], pieces: [Change.piece(blobs[0])]),
            Change.version("bucket", "a", ids[1], pieces: [Change.inlinePiece()]),
            Change.version("bucket", "a", ids[2], isMarker: true),
            Change.version("bucket", "b", ids[3], pieces: [Change.piece(blobs[1])]),
            Change.removal("bucket", "b", ids[3], 7), Change.removal("bucket", "a", ids[1], 5),
            Change.version("bucket", "c", ids[4]), Change.upload("bucket", "u", ids[5]),
            Change.part("bucket", "u", ids[5], 1, Change.piece(blobs[2])), .uploadsConfirmed(confirmation),
            .findingRecorded(finding), .volumeSetAside(aside), .incidentOpened(opened),
            .versionsStated(stated), .repairUndone(undone), .scrubAdvanced(scrub),
            .incidentAcknowledged(seen), Change.upload("bucket", "v", ids[0]),
            Change.part("bucket", "v", ids[0], 1, Change.piece(blobs[3])), .uploadAborted(aborted),
        ]
    }

    private func differences(_ found: CatalogFixture, _ expected: CatalogFixture) throws -> [RowDifference] {
        var differences: [RowDifference] = []
        try found.catalog.read { left in
            try expected.catalog.read { right in
                try CatalogComparison.run(left, against: right) { differences.append($0) }
            }
        }
        return differences
    }

    private func pair() throws -> (CatalogFixture, CatalogFixture) {
        let pair = (try CatalogFixture(), try CatalogFixture())
        try pair.0.apply(Self.everything())
        for change in Self.everything() { try pair.1.apply(change) }
        return pair
    }

    @Test func theSameEventsGiveTheSameRowsHoweverTheyAreGrouped() throws {
        let (found, expected) = try pair()
        #expect(try differences(found, expected).isEmpty)
    }

    @Test func theSameEventsGiveTheSameBytesOfMapsInAnyOrder() throws {
        let fixtures = try (0..<2).map { _ in try CatalogFixture() }
        let names = (0..<20).map { "name-\($0)" }
        for (index, fixture) in fixtures.enumerated() {
            var change = EventVersionPublished()
            change.bucket = "bucket"
            change.key = "key"
            change.versionID = Data(VersionID(high: 1, low: 1).bytes)
            for name in index == 0 ? names : names.reversed() { change.metadata.user[name] = name }
            try fixture.apply([Change.bucket("bucket"), .versionPublished(change)])
        }
        #expect(try differences(fixtures[0], fixtures[1]).isEmpty)
    }

    @Test func everyTableIsCompared() throws {
        let (found, expected) = try pair()
        let tables = try found.catalog.read {
            try String.fetchAll(
                $0.database, sql: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        }
        #expect(tables.count == 19)
        for table in tables {
            let count = try found.catalog.read {
                try Int.fetchOne($0.database, sql: "SELECT count(*) FROM \(table)") ?? 0
            }
            try #require(count > 0, "the test leaves something in \(table)")
            try found.catalog.withWriter { try $0.database.execute(sql: "DELETE FROM \(table)") }
            let missing = try differences(found, expected)
            #expect(missing.count == count && missing.allSatisfy { $0.table == table && $0.found == nil })
            let extra = try differences(expected, found)
            #expect(extra.count == count && extra.allSatisfy { $0.table == table && $0.expected == nil })
            try mend(found, expected, missing)
            #expect(try differences(found, expected).isEmpty)
        }
    }

    private func mend(_ found: CatalogFixture, _ expected: CatalogFixture, _ rows: [RowDifference]) throws {
        try expected.catalog.read { right in
            try found.catalog.withWriter { try CatalogComparison.mend(rows, in: $0, from: right) }
        }
    }

    @Test func everyColumnIsComparedAndMended() throws {
        let (found, expected) = try pair()
        let columns = try found.catalog.read { reader in
            try String.fetchAll(reader.database, sql: "SELECT name FROM sqlite_master WHERE type = 'table'")
                .flatMap { table in
                    try Row.fetchAll(reader.database, sql: "PRAGMA table_info(\(table))")
                        .filter { $0["pk"] as Int == 0 }
                        .map { (table: table, name: $0["name"] as String, type: $0["type"] as String) }
                }
        }
        #expect(columns.count > 30)
        for column in columns {
            let value = column.type == "INTEGER" ? "4711" : column.type == "TEXT" ? "'other'" : "x'4711'"
            try found.catalog.withWriter {
                try $0.database.execute(
                    sql: "UPDATE \(column.table) SET \(column.name) = \(value)")
            }
            let different = try differences(found, expected)
            #expect(!different.isEmpty, "\(column.table).\(column.name)")
            for row in different {
                #expect(row.table == column.table)
                #expect(row.found != nil && row.expected != nil && row.found != row.expected)
            }
            try mend(found, expected, different)
            #expect(try differences(found, expected).isEmpty, "\(column.table).\(column.name)")
        }
    }

    @Test func aRowUnderAnotherKeyIsOneTooManyAndOneMissing() throws {
        let (found, expected) = try pair()
        try found.catalog.withWriter {
            try $0.database.execute(sql: "UPDATE current SET key = x'00' WHERE key = x'63'")
            try $0.database.execute(sql: "UPDATE archive SET sequence = 1000 WHERE sequence = 4")
        }
        let different = try differences(found, expected)
        #expect(different.filter { $0.table == "current" }.count == 2)
        #expect(different.filter { $0.table == "archive" }.count == 2)
        #expect(different.contains { $0.key == "bucket c" && $0.found == nil })
        try mend(found, expected, different)
        #expect(try differences(found, expected).isEmpty)
    }
}
