import Catalog
import Foundation
import GRDB
import Model
import Synchronization
import Testing

@Suite struct CatalogTests {
    @Test func aNewCatalogStandsBeforeTheFirstEvent() throws {
        let fixture = try CatalogFixture()
        #expect(try fixture.catalog.read { try $0.position() } == .start)
        #expect(try fixture.catalog.read { try $0.confirmedThrough() } == .zero)
        #expect(try fixture.catalog.read { try $0.buckets() }.isEmpty)
        #expect(try fixture.catalog.integrityErrors().isEmpty)
    }

    @Test func itIsOpenedAgainWhereItStood() throws {
        let fixture = try CatalogFixture()
        try fixture.apply(Change.bucket("bucket"))
        let again = try Catalog(path: fixture.path, storeID: fixture.storeID, readers: 1)
        let position = try again.read { try $0.position() }
        #expect(position.sequence == SequenceNumber(1))
        #expect(position.chain == fixture.events[0].chain)
    }

    @Test func anotherStoresCatalogIsRefusedByName() throws {
        let fixture = try CatalogFixture()
        let error = #expect(throws: CatalogError.self) {
            try Catalog(path: fixture.path, storeID: StoreID(high: 9, low: 9), readers: 1)
        }
        #expect(error?.description.contains("catalog \(fixture.path) belongs to another store") == true)
    }

    @Test func aNewerSchemaIsRefusedByNameAndLeftAsItIs() throws {
        let fixture = try CatalogFixture()
        try fixture.catalog.withWriter { try $0.database.execute(sql: "PRAGMA user_version = 1000") }
        let error = #expect(throws: CatalogError.self) {
            try Catalog(path: fixture.path, storeID: fixture.storeID, readers: 1)
        }
        #expect(error?.description.contains("catalog \(fixture.path) has schema 1000") == true)
        let version = try fixture.catalog.read { try Int.fetchOne($0.database, sql: "PRAGMA user_version") }
        #expect(version == 1000)
    }

    @Test func anOlderSchemaIsBroughtUpWithWhatIsInIt() throws {
        let fixture = try CatalogFixture()
        try fixture.apply([Change.bucket("bucket"), Change.version("bucket", "key")])
        try fixture.catalog.withWriter {
            try $0.database.execute(
                sql: """
                    DROP INDEX archive_versions; DROP INDEX archive_nulls; DROP TABLE incidents;
                    DROP TABLE affected; DROP TABLE undone; DROP TABLE scrubs; DROP TABLE acknowledgements;
                    DROP TABLE outages; DROP TABLE followed; DROP TABLE aborted; DROP INDEX dead_payloads;
                    DROP INDEX reclaiming_payloads; DROP INDEX reclaiming_blobs; PRAGMA user_version = 1
                    """)
        }
        let again = try Catalog(path: fixture.path, storeID: fixture.storeID, readers: 1)
        #expect(try again.read { try Int.fetchOne($0.database, sql: "PRAGMA user_version") } == 6)
        #expect(try again.read { try $0.position() }.sequence == SequenceNumber(2))
        let indexes = try again.read {
            try String.fetchAll($0.database, sql: "SELECT name FROM sqlite_master WHERE type = 'index'")
        }
        #expect(indexes.contains("archive_versions") && indexes.contains("archive_nulls"))
    }

    @Test func aFileThatIsNoDatabaseIsRefusedByNameWithWhatToDo() throws {
        let fixture = try CatalogFixture()
        let path = fixture.path + ".other"
        try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: path))
        for open in [
            { _ = try Catalog(path: path, storeID: fixture.storeID, readers: 1) },
            { _ = try Catalog.schema(path: path) },
            { _ = try Catalog.appliedThrough(path: path, storeID: fixture.storeID) },
        ] as [() throws -> Void] {
            let error = try #require(throws: CatalogError.self) { try open() }
            guard case .noDatabase(path, _) = error else {
                Issue.record(error)
                continue
            }
            #expect("\(error)".contains("delete it and it is rebuilt from the log"))
            #expect(!error.flaw.contains(path) && !error.flaw.contains("delete"))
        }
    }

    @Test func everyConnectionHasThePragmasThatTheDesignWants() throws {
        let fixture = try CatalogFixture()
        func check(_ database: Database) throws {
            #expect(try String.fetchOne(database, sql: "PRAGMA journal_mode") == "wal")
            #expect(try Int.fetchOne(database, sql: "PRAGMA synchronous") == 1, "NORMAL")
            #expect(try Int.fetchOne(database, sql: "PRAGMA wal_autocheckpoint") == 0)
            #expect(try Int.fetchOne(database, sql: "PRAGMA cache_size") == -4096)
            #expect(try Int.fetchOne(database, sql: "PRAGMA user_version") == 6)
        }
        try fixture.catalog.withWriter { try check($0.database) }
        try fixture.catalog.read { outer in
            try check(outer.database)
            try fixture.catalog.read { try check($0.database) }
        }
    }

    @Test func aReaderCannotWrite() throws {
        let fixture = try CatalogFixture()
        #expect(throws: DatabaseError.self) {
            try fixture.catalog.read { try $0.database.execute(sql: "DELETE FROM meta") }
        }
    }

    @Test func aReaderSeesNothingOfWhatIsNotCommittedAndTheWriterAllOfIt() throws {
        let fixture = try CatalogFixture()
        let name = try BucketName("bucket")
        try fixture.catalog.withWriter { writer in
            try writer.begin()
            try writer.apply(CatalogFixture.event(1, Change.bucket("bucket")))
            #expect(try writer.reader.bucket(name) != nil)
            #expect(try fixture.catalog.read { try $0.bucket(name) } == nil)
            try writer.rollback()
            #expect(try writer.reader.bucket(name) == nil)
        }
        #expect(try fixture.catalog.read { try $0.position() } == .start)
    }

    @Test func oneReadSeesOneState() throws {
        let fixture = try CatalogFixture()
        let name = try BucketName("bucket")
        try fixture.catalog.read { reader in
            #expect(try reader.bucket(name) == nil)
            try fixture.apply(Change.bucket("bucket"))
            #expect(try reader.bucket(name) == nil)
        }
        #expect(try fixture.catalog.read { try $0.bucket(name) } != nil)
    }

    @Test func aWriteAheadLogThatNobodyUsesIsEmptied() throws {
        let fixture = try CatalogFixture()
        func size() throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: fixture.catalog.walPath)[.size] as? Int
        }
        try fixture.apply((0..<50).map { Change.bucket("bucket-\($0)") })
        #expect(try #require(try size()) > 0)
        #expect(try fixture.catalog.emptyWriteAheadLog())
        #expect(try size() == 0)
        try fixture.apply(Change.bucket("one-more"))
        #expect(try fixture.catalog.read { try $0.buckets() }.count == 51)
    }

    @Test func aCheckpointEmptiesTheWriteAheadLogIntoTheFile() throws {
        let fixture = try CatalogFixture()
        try fixture.apply((0..<50).map { Change.bucket("bucket-\($0)") })
        try fixture.catalog.checkpoint()
        try fixture.apply(Change.bucket("one-more"))
        let size = try FileManager.default.attributesOfItem(atPath: fixture.catalog.walPath)[.size] as? Int
        let pages = try fixture.catalog.read { try Int.fetchOne($0.database, sql: "PRAGMA page_count") }
        #expect(try #require(size) > 0)
        #expect(try #require(pages) > 1)
        #expect(try fixture.catalog.read { try $0.buckets() }.count == 51)
    }

    @Test func aWriteAheadLogThatHasBecomeLongBeginsAnewOnce() throws {
        let fixture = try CatalogFixture()
        for number in 0..<50 { try fixture.apply(Change.bucket("bucket-\(number)")) }
        let path = fixture.catalog.walPath
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64)
        #expect(try fixture.catalog.checkpoint(limit: size) == nil, "it has a header, too")
        #expect(try fixture.catalog.checkpoint(limit: size / 2) != nil)
        try fixture.apply(Change.bucket("one-more"))
        // Its file is as long as it was.
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64 == size)
        #expect(try fixture.catalog.checkpoint(limit: size / 2) == nil)
        #expect(try fixture.catalog.read { try $0.buckets() }.count == 51)
    }

    @Test func everythingIsCountedAlsoWhereARecordHasAFieldOfALaterRelease() throws {
        let fixture = try CatalogFixture()
        let (blob, unneeded) = (BlobID.random(), BlobID.random())
        let gone = VersionID.random()
        try fixture.apply([Change.bucket("bucket"), Change.bucket("other")])
        let published = try fixture.apply(
            Change.version("bucket", "gone", gone, pieces: [Change.piece(unneeded)]))
        try fixture.apply([
            Change.version("bucket", "a", pieces: [Change.piece(blob, 70_000), Change.inlinePiece(30)]),
            Change.version("bucket", "a", pieces: [Change.inlinePiece(0)]),
            Change.version("other", "a", pieces: [Change.inlinePiece(500)]),
            Change.version("other", "a", isMarker: true),
            Change.removal("bucket", "gone", gone, published),
        ])
        let counts = try fixture.catalog.read { try $0.counts() }
        #expect((counts.buckets, counts.versions, counts.deleteMarkers) == (2, 3, 1))
        #expect((counts.versionBytes, counts.blobs, counts.blobBytes) == (70_530, 1, 70_000))

        // Field 200, eight bytes of fixed width: no record has such a field yet.
        try fixture.catalog.withWriter {
            try $0.database.execute(
                sql: "UPDATE archive SET record = CAST(record || x'C10C0102030405060708' AS BLOB)")
        }
        #expect(try fixture.catalog.read { try $0.counts() } == counts)
    }

    @Test func aCopyOfItCanBeEndedInTheMiddle() throws {
        struct Over: Error {}
        let fixture = try CatalogFixture()
        try fixture.apply([Change.bucket("bucket")] + (0..<5000).map { Change.version("bucket", "k\($0)") })
        let steps = Mutex(0)
        try fixture.catalog.write(to: fixture.path + ".whole") { steps.withLock { $0 += 1 } }
        #expect(steps.withLock { $0 } > 1)
        let copy = try Catalog(path: fixture.path + ".whole", storeID: fixture.storeID, readers: 1)
        #expect(try copy.read { try $0.counts() }.versions == 5000)
        steps.withLock { $0 = 0 }
        #expect(throws: Over.self) {
            try fixture.catalog.write(to: fixture.path + ".part") {
                steps.withLock { $0 += 1 }
                throw Over()
            }
        }
        #expect(steps.withLock { $0 } == 1)
        #expect(try fixture.apply(Change.bucket("other")) == 5002, "it goes on")
    }
}
