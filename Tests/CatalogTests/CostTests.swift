import Catalog
import Foundation
import Model
import Testing

/// What a read costs, in steps of SQLite's virtual machine: the same on every machine.
@Suite struct CostTests {
    private let bucket: BucketName

    init() throws { bucket = try BucketName("bucket") }

    /// `prefixes` common prefixes that hide `count` keys each, and one key behind them.
    private func hidden(_ prefixes: Int, _ count: Int, versions: Int = 1) throws -> CatalogFixture {
        let fixture = try CatalogFixture()
        try fixture.apply(Change.bucket("bucket"))
        try fixture.apply(
            (0..<prefixes).flatMap { prefix in
                (0..<count).flatMap { key in
                    (0..<versions).map { _ in Change.version("bucket", "p\(prefix)/\(key)") }
                }
            } + [Change.version("bucket", "z")])
        return fixture
    }

    @Test func aListingDoesNotPayForWhatItsCommonPrefixesHide() throws {
        var costs: [Int] = []
        for count in [2, 2000] {
            let fixture = try hidden(5, count)
            costs.append(
                try fixture.steps {
                    let page = try $0.listCurrent(bucket, prefix: "", delimiter: "/", after: "", limit: 100)
                    #expect(page.items.count == 6)
                })
        }
        #expect(costs[0] == costs[1], "steps for 2 and for 2,000 keys behind each of 5 prefixes")
    }

    @Test func aListingDoesNotPayForWhatItsMarkerAndPrefixPassOver() throws {
        var costs: [Int] = []
        for count in [2, 2000] {
            let fixture = try hidden(5, count)
            costs.append(
                try fixture.steps {
                    let page = try $0.listCurrent(bucket, prefix: "p4/0", delimiter: "", after: "", limit: 1)
                    #expect(page.items.count == 1)
                    let behind = try $0.listCurrent(
                        bucket, prefix: "", delimiter: "/", after: "p3/", limit: 9)
                    #expect(behind.items.count == 2)
                })
        }
        #expect(costs[0] == costs[1])
    }

    @Test func aListingOfVersionsDoesNotPayForWhatItsCommonPrefixesHide() throws {
        var costs: [Int] = []
        for count in [50, 1000] {
            let fixture = try hidden(5, count, versions: 3)
            costs.append(
                try fixture.steps {
                    let page = try $0.listVersions(
                        bucket, prefix: "", delimiter: "/", keyMarker: "", versionMarker: nil, limit: 10)
                    #expect(page.items.count == 6)
                })
        }
        #expect(costs[1] <= costs[0] * 11 / 10, "steps for 150 and for 3,000 versions behind each: \(costs)")
    }

    @Test func aPageWithinAKeyDoesNotPayForTheVersionsBeforeIt() throws {
        let fixture = try CatalogFixture()
        let ids = (0..<1000).map { _ in VersionID.random() }
        try fixture.apply([Change.bucket("bucket")] + ids.map { Change.version("bucket", "key", $0) })
        let costs = try [990, 10].map { index in
            try fixture.steps {
                let page = try $0.listVersions(
                    bucket, prefix: "", delimiter: "", keyMarker: "key", versionMarker: .id(ids[index]),
                    limit: 5)
                #expect(page.items.count == 5)
            }
        }
        #expect(costs[1] <= costs[0] * 3 / 2, "steps near the newest and near the oldest: \(costs)")
    }

    @Test func aVersionIsFoundWithoutALookAtTheOthersOfItsKey() throws {
        let key = try ObjectKey("key")
        let costs = try [10, 1000].map { count in
            let fixture = try CatalogFixture()
            let oldest = VersionID.random()
            try fixture.apply(
                [Change.bucket("bucket"), Change.version("bucket", "key", oldest, isNull: true)]
                    + (0..<count).map { _ in Change.version("bucket", "key") })
            return try fixture.steps {
                let selectors: [VersionSelector] = [.id(oldest), .null, .current, .id(.random())]
                var found: [Bool] = []
                for selector in selectors { found.append(try $0.version(bucket, key, selector) != nil) }
                #expect(found == [true, true, true, false])
            }
        }
        #expect(costs[0] == costs[1], "steps with 10 and with 1,000 versions")
    }

    @Test func aVersionBehindADeleteMarkerDoesNotPayForTheOthersOfItsKey() throws {
        let costs = try [10, 1000].map { count in
            let fixture = try CatalogFixture()
            try fixture.apply(
                [Change.bucket("bucket")] + (0..<count).map { _ in Change.version("bucket", "key") }
                    + [Change.version("bucket", "key", isMarker: true)])
            let event = CatalogFixture.event(fixture.sequence + 1, Change.version("bucket", "key"))
            return try fixture.writerSteps { writer in
                try writer.begin()
                try writer.apply(event)
                try writer.commit()
            }
        }
        #expect(costs[0] == costs[1], "steps with 10 and with 1,000 versions")
    }

    @Test func aScanOfAllVersionsPaysForItsPageAlone() throws {
        let costs = try [200, 4000].map { count in
            let fixture = try hidden(1, count, versions: 2)
            return try fixture.steps {
                let page = try $0.versions(after: ("bucket", "p0/5", SequenceNumber(1)), limit: 50)
                #expect(page.count == 50)
            }
        }
        #expect(costs[1] <= costs[0] * 3 / 2, "steps with 200 and with 4,000 keys behind it: \(costs)")
    }

    @Test func theEndOfAnUploadDoesNotPayForTheOthers() throws {
        let costs = try [10, 1000].map { count in
            let fixture = try CatalogFixture()
            let ids = (0..<count).map { _ in UploadID.random() }
            try fixture.apply(
                [Change.bucket("bucket")] + ids.enumerated().map { Change.upload("bucket", "k\($0)", $1) })
            let event = CatalogFixture.event(
                fixture.sequence + 1, Change.abort("bucket", "k\(count / 2)", ids[count / 2]))
            return try fixture.writerSteps { writer in
                try writer.begin()
                try writer.apply(event)
                try writer.commit()
            }
        }
        #expect(costs[1] <= costs[0] * 3 / 2, "steps with 10 and with 1,000 uploads open: \(costs)")
    }
}
