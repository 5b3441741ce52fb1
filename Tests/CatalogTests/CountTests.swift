import Catalog
import GRDB
import Model
import Testing

/// What is counted page by page comes to what is there.
@Suite struct CountTests {
    /// So many rows of each table that is counted, whose keys differ in their last column only, and some that differ in another.
    private func fill(_ catalog: Catalog, _ count: Int) throws {
        let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))"
        let selects = [
            "buckets": "CAST(printf('b%05d', i) AS BLOB), i, 0, 'owner', '', ''",
            "current": "CAST('b' || (i % 2) AS BLOB), CAST(printf('%05d', i) AS BLOB), i, 0, x'01', 0, x''",
            "archive":
                "x'62', CAST('k' || (i % 3) AS BLOB), i, 0, CAST(printf('%05d', i / 3) AS BLOB), 0, x'', 0",
            "parts": "CAST('u' || (i % 2) AS BLOB), i, i, 0, '', x''",
            "blobs": "CAST(printf('%016d', i) AS BLOB), 1, x'', 1, 1, x'', x'', NULL, NULL, 0",
        ]
        try catalog.withWriter { writer in
            for (table, select) in selects {
                try writer.database.execute(
                    sql: "\(numbers) INSERT INTO \(table) SELECT \(select) FROM n WHERE i <= \(count)")
            }
        }
    }

    private func counted(_ table: CountedTable, _ catalog: Catalog, limit: Int) throws -> (
        rows: Int, pages: Int
    ) {
        var (rows, pages) = (0, 0)
        var place: CountPlace?
        repeat {
            let page = try catalog.read { try $0.countRows(of: table, behind: place, limit: limit) }
            #expect(page.rows <= limit)
            (rows, pages, place) = (rows + page.rows, pages + 1, page.place)
        } while place != nil
        return (rows, pages)
    }

    @Test(arguments: [0, 1, 9, 10, 11, 100]) func pagesOfATableComeToAllOfItsRows(_ count: Int) throws {
        let fixture = try CatalogFixture()
        try fill(fixture.catalog, count)
        for table in CountedTable.allCases where table != .uploads {
            let there = try fixture.catalog.read {
                try Int.fetchOne($0.database, sql: "SELECT count(*) FROM \(table.rawValue)")
            }
            for limit in [1, 7, 10, 1000] {
                let (rows, pages) = try counted(table, fixture.catalog, limit: limit)
                #expect(rows == there && pages == rows / limit + 1, "\(table) by \(limit)")
            }
            #expect(there == count, "\(table)")
        }
    }

    @Test func uploadsAreCountedByKeyAndId() throws {
        let fixture = try CatalogFixture()
        try fixture.apply(Change.bucket("bucket"))
        for number in 0..<7 {
            try fixture.apply(Change.upload("bucket", "key-\(number % 2)", UploadID.random()))
        }
        #expect(try counted(.uploads, fixture.catalog, limit: 2).rows == 7)
    }

    @Test func aVersionThatSeveralIncidentsAffectCountsOnceAsWasStatedOfItLast() throws {
        let fixture = try CatalogFixture()
        typealias State = EventAffectedVersion.State
        try fixture.catalog.withWriter { writer in
            for (incident, version, changed, state) in [
                (1, 10, 20, State.detected), (2, 10, 30, .repaired), (3, 10, 25, .lost),
                (1, 11, 21, .detected),
                (1, 12, 40, .lost), (2, 12, 39, .repaired),
            ] {
                try writer.database.execute(
                    sql: """
                        INSERT INTO affected (incident, version, bucket, key, owner, size, state, detected, changed,
                            changed_time, record) VALUES (?, ?, x'', x'', '', ?, ?, 1, ?, 0, x'')
                        """, arguments: [incident, version, version * 100, state.rawValue, changed])
            }
        }
        for limit in 1...4 {
            var (found, next): ([String], SequenceNumber?) = ([], .zero)
            while let last = next {
                let page = try fixture.catalog.read { try $0.affectedStates(after: last, limit: limit) }
                #expect(page.versions.count <= limit)
                found += page.versions.map { "\($0.size) \($0.state.word)" }
                next = page.last
            }
            #expect(found == ["1000 repaired", "1100 detected", "1200 lost"], "by \(limit)")
        }
    }
}
