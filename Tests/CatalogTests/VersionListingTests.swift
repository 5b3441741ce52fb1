import Catalog
import Foundation
import Model
import TestSupport
import Testing

/// Versions of few keys, published and removed at random, against a list of them.
@Suite struct VersionListingTests {
    private struct Version {
        let sequence: UInt64
        let id: VersionID
        let isNull: Bool
        let isMarker: Bool
    }

    private final class Model {
        let fixture: CatalogFixture
        var random: SeededGenerator
        let keys = ["a", "a/b", "a/b/c", "a/c", "b", "b//", "é", "e\u{301}", "\u{10FFFF}/", "\u{0}"]
        /// Newest last.
        var versions: [[Version]]

        init() throws {
            let seed = SeededGenerator.seed(standard: 7)
            print("HOLDFAST_SEED=\(seed)")
            random = SeededGenerator(seed: seed)
            fixture = try CatalogFixture()
            versions = keys.map { _ in [] }
            try fixture.apply([Change.bucket("bucket"), Change.bucket("zzz"), Change.version("zzz", "a")])
        }

        func step() throws {
            let index = Int.random(in: 0..<keys.count, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0,
                let victim = versions[index].randomElement(using: &random)
            {
                try fixture.apply(Change.removal("bucket", keys[index], victim.id, victim.sequence))
                versions[index].removeAll { $0.sequence == victim.sequence }
                return
            }
            let id = VersionID.random(using: &random)
            let isNull = Int.random(in: 0..<4, using: &random) == 0
            let isMarker = Int.random(in: 0..<4, using: &random) == 0
            let replaced = isNull ? versions[index].first { $0.isNull } : nil
            let sequence = try fixture.apply(
                Change.version(
                    "bucket", keys[index], id, isNull: isNull, isMarker: isMarker,
                    replacing: replaced?.sequence ?? 0))
            versions[index].removeAll { $0.sequence == replaced?.sequence }
            versions[index].append(.init(sequence: sequence, id: id, isNull: isNull, isMarker: isMarker))
        }

        func rows() -> [ReferenceListing.Row] {
            zip(keys, versions).flatMap { key, versions in
                versions.map { .init(key: Array(key.utf8), rank: -Int64($0.sequence), id: $0.id) }
            }
        }
    }

    @Test func lookupsFindWhatWasPublishedAndNotRemoved() throws {
        let model = try Model()
        let bucket = try BucketName("bucket")
        for _ in 0..<600 {
            try model.step()
            try model.fixture.catalog.read { reader in
                for (name, versions) in zip(model.keys, model.versions) {
                    let key = try ObjectKey(name)
                    let current = try reader.version(bucket, key, .current)
                    try #require(current?.sequence.rawValue == versions.last?.sequence)
                    try #require(current?.isDeleteMarker == versions.last?.isMarker)
                    let null = try reader.version(bucket, key, .null)
                    try #require(null?.sequence.rawValue == versions.first { $0.isNull }?.sequence)
                    for version in versions {
                        let found = try reader.version(bucket, key, .id(version.id))
                        try #require(found?.sequence.rawValue == version.sequence)
                    }
                    try #require(try reader.version(bucket, key, .id(.random())) == nil)
                }
                try #require(try reader.isEmpty(bucket) == model.versions.allSatisfy(\.isEmpty))
            }
        }
    }

    @Test func versionsAreListedNewestFirstWithinAKeyPageByPage() throws {
        let model = try Model()
        let bucket = try BucketName("bucket")
        for round in 0..<300 {
            try model.step()
            guard round % 10 == 9 else { continue }
            let reference = ReferenceListing(model.rows())
            for (prefix, delimiter) in [
                ("", ""), ("", "/"), ("a", "/"), ("a/", "/"), ("b", "//"), ("\u{10FFFF}", "/"), ("x", ""),
                ("a/b/", ""),
            ] {
                let expected = reference.page(
                    prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8), after: .init(), limit: 9999)
                for limit in [1, 2, 3, 10, 9999] {
                    let found = try pages(model, bucket, prefix, delimiter, limit)
                    try #require(
                        found == expected.entries,
                        "prefix '\(prefix)' delimiter '\(delimiter)' limit \(limit)")
                }
            }
        }
    }

    private func pages(
        _ model: Model, _ bucket: BucketName, _ prefix: String, _ delimiter: String, _ limit: Int
    ) throws -> [ReferenceListing.Entry] {
        var found: [ReferenceListing.Entry] = []
        var marker: (key: String, version: VersionSelector?) = ("", nil)
        while true {
            let page = try model.fixture.catalog.read {
                try $0.listVersions(
                    bucket, prefix: prefix, delimiter: delimiter, keyMarker: marker.key,
                    versionMarker: marker.version, limit: limit)
            }
            found += page.entries
            for case .version(let version) in page.items {
                let index = try #require(model.keys.firstIndex { $0.utf8.elementsEqual(version.key.utf8) })
                try #require(version.isLatest == (model.versions[index].last?.id == version.versionID))
            }
            guard page.isTruncated else { return found }
            try #require(page.items.count == limit)
            switch page.items.last {
            case .version(let version):
                marker = (version.key.rawValue, version.isNull ? .null : .id(version.versionID))
            case .prefix(let prefix): marker = (prefix, nil)
            case nil: return found
            }
        }
    }

    @Test func aMarkerOutsideThePrefixDoesNotHideWhatThePrefixHas() throws {
        let fixture = try CatalogFixture()
        let bucket = try BucketName("bucket")
        let id = VersionID.random()
        try fixture.apply([
            Change.bucket("bucket"), Change.version("bucket", "a", id), Change.version("bucket", "a"),
            Change.version("bucket", "b"),
        ])
        let behind = try fixture.catalog.read {
            try $0.listVersions(
                bucket, prefix: "b", delimiter: "", keyMarker: "a", versionMarker: .id(id), limit: 9)
        }
        #expect(behind.items.count == 1)
        let before = try fixture.catalog.read {
            try $0.listVersions(
                bucket, prefix: "a", delimiter: "", keyMarker: "b", versionMarker: .id(id), limit: 9)
        }
        #expect(before.items.isEmpty)
    }

    @Test func aVersionMarkerThatWasRemovedSinceRepeatsItsKeyRatherThanSkipIt() throws {
        let fixture = try CatalogFixture()
        try fixture.apply([
            Change.bucket("bucket"), Change.version("bucket", "a"), Change.version("bucket", "a"),
            Change.version("bucket", "b"),
        ])
        let page = try fixture.catalog.read {
            try $0.listVersions(
                BucketName("bucket"), prefix: "", delimiter: "", keyMarker: "a",
                versionMarker: .id(.random()), limit: 9)
        }
        #expect(page.items.count == 3)
    }
}
