import Catalog
import Foundation
import Model
import TestSupport
import Testing

/// Listings of random keys against ``ReferenceListing``.
@Suite struct ListingTests {
    private static let delimiters = ["", "/", "//", "-", "é", "a/", "\u{10FFFF}", "no such"]
    private static let alphabet = [
        "a", "b", "/", "/", "//", "-", "é", "e\u{301}", "\u{0}", "\u{7F}", " ", "+", "%", "\u{FFFD}",
        "\u{FFFF}",
        "\u{10FFFF}", "😀", "\u{80}",
    ]

    private static func generator() -> SeededGenerator {
        let seed = SeededGenerator.seed(standard: 20_261_124)
        print("HOLDFAST_SEED=\(seed)")
        return SeededGenerator(seed: seed)
    }

    private static func key(_ random: inout SeededGenerator) -> String {
        (0..<Int.random(in: 1...6, using: &random))
            .map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }.joined()
    }

    /// Prefixes worth asking for: parts of keys, what no key has, and the ends of the range of bytes.
    private static func prefixes(_ keys: [String], _ random: inout SeededGenerator) -> [String] {
        let parts = (0..<12).map { _ -> String in
            let scalars = Array(keys[Int.random(in: 0..<keys.count, using: &random)].unicodeScalars)
            var part = String.UnicodeScalarView()
            part.append(contentsOf: scalars.prefix(Int.random(in: 0...scalars.count, using: &random)))
            return String(part)
        }
        return parts + ["", "/", "\u{0}", "\u{10FFFF}", "\u{10FFFF}\u{10FFFF}", "none"]
    }

    private static func same(_ keys: [String]) -> [[UInt8]] {
        Array(Set(keys.map { Array($0.utf8) }))
    }

    @Test func currentObjectsAreListedAsByLookingAtEachPageByPage() throws {
        var random = Self.generator()
        let fixture = try CatalogFixture()
        let bucket = try BucketName("bucket")
        let keys = (0..<120).map { _ in Self.key(&random) }
        var rows: [ReferenceListing.Row] = []
        try fixture.apply([Change.bucket("bucket"), Change.bucket("aaa"), Change.bucket("zzz")])
        for bytes in Self.same(keys) {
            let id = VersionID.random(using: &random)
            let key = String(decoding: bytes, as: UTF8.self)
            try fixture.apply([
                Change.version("aaa", key), Change.version("zzz", key), Change.version("bucket", key, id),
            ])
            rows.append(.init(key: bytes, rank: 0, id: id))
        }
        let reference = ReferenceListing(rows)
        for prefix in Self.prefixes(keys, &random) {
            for delimiter in Self.delimiters {
                let whole = try fixture.catalog.read {
                    try $0.listCurrent(
                        bucket, prefix: prefix, delimiter: delimiter, after: "", limit: 10_000)
                }
                let expected = reference.page(
                    prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8), after: .init(),
                    limit: 10_000)
                try #require(whole.entries == expected.entries, "prefix '\(prefix)' delimiter '\(delimiter)'")
                for limit in [1, 2, 3, 7, expected.entries.count, expected.entries.count + 1] where limit > 0
                {
                    try page(fixture, bucket, prefix, delimiter, limit, expected.entries)
                }
            }
        }
    }

    private func page(
        _ fixture: CatalogFixture, _ bucket: BucketName, _ prefix: String, _ delimiter: String, _ limit: Int,
        _ expected: [ReferenceListing.Entry]
    ) throws {
        var found: [ReferenceListing.Entry] = []
        var after = ""
        while true {
            let page = try fixture.catalog.read {
                try $0.listCurrent(bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit)
            }
            found += page.entries
            try #require(page.items.count <= limit)
            guard page.isTruncated else { break }
            try #require(page.items.count == limit, "only the last page is short")
            after = page.lastKey
        }
        try #require(found == expected, "prefix '\(prefix)' delimiter '\(delimiter)' limit \(limit)")
    }

    @Test func anyMarkerIsFollowedByWhatComesBehindIt() throws {
        var random = Self.generator()
        let fixture = try CatalogFixture()
        let bucket = try BucketName("bucket")
        let keys = (0..<60).map { _ in Self.key(&random) }
        var rows: [ReferenceListing.Row] = []
        try fixture.apply(Change.bucket("bucket"))
        for bytes in Self.same(keys) {
            let id = VersionID.random(using: &random)
            try fixture.apply(Change.version("bucket", String(decoding: bytes, as: UTF8.self), id))
            rows.append(.init(key: bytes, rank: 0, id: id))
        }
        let reference = ReferenceListing(rows)
        for _ in 0..<3000 {
            let prefix = Self.prefixes(keys, &random).randomElement(using: &random) ?? ""
            let delimiter = Self.delimiters.randomElement(using: &random) ?? ""
            let marker =
                Bool.random(using: &random) ? Self.key(&random) : keys.randomElement(using: &random) ?? ""
            let limit = Int.random(in: 1...20, using: &random)
            let page = try fixture.catalog.read {
                try $0.listCurrent(bucket, prefix: prefix, delimiter: delimiter, after: marker, limit: limit)
            }
            let expected = reference.page(
                prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8),
                after: .init(key: Array(marker.utf8)), limit: limit)
            try #require(
                page.entries == expected.entries && page.isTruncated == expected.isTruncated,
                "prefix '\(prefix)' delimiter '\(delimiter)' marker '\(marker)' limit \(limit)")
        }
    }

    @Test func keysAreListedByTheirUTF8BytesAndFormsOfACharacterApart() throws {
        let fixture = try CatalogFixture()
        let keys = ["\u{1F600}", "\u{FF61}", "cafe\u{301}", "caf\u{E9}", "Z", "a", "a\u{0}", "\u{7F}", "a!"]
        try fixture.apply([Change.bucket("bucket")] + keys.map { Change.version("bucket", $0) })
        let page = try fixture.catalog.read {
            try $0.listCurrent(
                BucketName("bucket"), prefix: "", delimiter: "", after: "", limit: 100)
        }
        let found = page.items.map { item -> [UInt8] in
            guard case .version(let version) = item else { return [] }
            return Array(version.key.utf8)
        }
        #expect(found == keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(found.count == keys.count)
    }

    @Test func unfinishedUploadsAreListedAsByLookingAtEachPageByPage() throws {
        var random = Self.generator()
        let fixture = try CatalogFixture()
        let bucket = try BucketName("bucket")
        let keys = (0..<40).map { _ in Self.key(&random) }
        var rows: [ReferenceListing.Row] = []
        try fixture.apply([Change.bucket("bucket"), Change.bucket("zzz")])
        for key in keys {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let id = UploadID.random(using: &random)
                try fixture.apply([Change.upload("bucket", key, id), Change.upload("zzz", key, .random())])
                rows.append(.init(key: Array(key.utf8), rank: Int64(fixture.sequence), id: id))
            }
        }
        let reference = ReferenceListing(rows)
        for prefix in Self.prefixes(keys, &random) {
            for delimiter in Self.delimiters {
                let expected = reference.page(
                    prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8), after: .init(), limit: 9999)
                for limit in [1, 2, 5, expected.entries.count, 9999] where limit > 0 {
                    let found = try uploads(fixture, bucket, prefix, delimiter, limit)
                    try #require(
                        found == expected.entries,
                        "prefix '\(prefix)' delimiter '\(delimiter)' limit \(limit)")
                }
            }
        }
    }

    private func uploads(
        _ fixture: CatalogFixture, _ bucket: BucketName, _ prefix: String, _ delimiter: String, _ limit: Int
    ) throws -> [ReferenceListing.Entry] {
        var found: [ReferenceListing.Entry] = []
        var marker: (key: String, id: UploadID?) = ("", nil)
        while true {
            let page = try fixture.catalog.read {
                try $0.listUploads(
                    bucket, prefix: prefix, delimiter: delimiter, keyMarker: marker.key,
                    uploadMarker: marker.id, limit: limit)
            }
            found += page.entries
            guard page.isTruncated else { return found }
            try #require(page.items.count == limit)
            switch page.items.last {
            case .upload(let upload): marker = (upload.record.key, upload.uploadID)
            case .prefix(let prefix): marker = (prefix, nil)
            case nil: return found
            }
        }
    }
}

extension ListingPage {
    var lastKey: String {
        switch items.last {
        case .version(let version): version.key.rawValue
        case .prefix(let prefix): prefix
        case nil: ""
        }
    }
}
