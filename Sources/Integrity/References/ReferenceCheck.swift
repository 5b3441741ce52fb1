import Catalog
import Foundation
import Model
import ObjectStore

/// How a comparison with an application's records came out.
public struct ReferenceSummary: Sendable {
    public var sequence = SequenceNumber.zero
    public var rows = 0
    public var objects = 0
    public var findings = 0

    public init() {}

    /// 0 clean, 4 differences.
    public var exitStatus: Int32 { findings == 0 ? 0 : 4 }
}

/// Compares what an application believes the store has with what it has, `holdfast fsck --refs`: a row without an
/// object, an object without a row, a size, hash or owner that differs.
///
/// Both sides are walked in the order of their keys, as of one event; memory does not grow with their number. Objects
/// without a row are looked for in the buckets that rows name.
public struct ReferenceCheck: Sendable {
    private static let pageCount = 1000

    private let inspection: StoreInspection
    private let table: ReferenceTable
    /// Users' names by their canonical ids.
    private let names: [String: String]

    public init(_ store: ObjectStore, _ table: ReferenceTable, names: [String: String]) {
        inspection = store.inspection
        self.table = table
        self.names = names
    }

    /// - Parameter report: called with each finding, in the order of buckets and keys.
    public func run(report: (Finding) throws -> Void) throws -> ReferenceSummary {
        var summary = ReferenceSummary()
        try inspection.catalog.read { reader in
            summary.sequence = try reader.position().sequence
            for bucket in try table.buckets() { try check(bucket, reader, &summary, report) }
        }
        return summary
    }

    private func check(
        _ bucket: String, _ reader: CatalogReader, _ summary: inout ReferenceSummary,
        _ report: (Finding) throws -> Void
    ) throws {
        var rows = Pages<ReferenceRow> { last in
            try table.rows(of: bucket, after: last, limit: Self.pageCount)
        }
        func find(_ finding: Finding) throws {
            summary.findings += 1
            try report(finding)
        }
        guard let name = try? BucketName(bucket), try reader.bucket(name) != nil else {
            while let row = try rows.take() {
                summary.rows += 1
                try find(finding(.referenceWithoutObject, row, "there is no bucket \(bucket)"))
            }
            return
        }
        var objects = Pages<ListedVersion> { last in
            let page = try reader.listCurrent(
                name, prefix: "", delimiter: "", after: last?.key.rawValue ?? "", limit: Self.pageCount)
            return page.items.compactMap { if case .version(let version) = $0 { version } else { nil } }
        }
        while let row = try rows.peek() {
            while let object = try objects.peek(), object.key.utf8.lexicographicallyPrecedes(row.key.utf8) {
                _ = try objects.take()
                summary.objects += 1
                try find(unknown(object, in: bucket))
            }
            let current = try objects.peek().flatMap { $0.key.utf8.elementsEqual(row.key.utf8) ? $0 : nil }
            if current != nil {
                _ = try objects.take()
                summary.objects += 1
            }
            // All rows of one key: an application may list several versions of it.
            while let same = try rows.peek(), same.key.utf8.elementsEqual(row.key.utf8) {
                _ = try rows.take()
                summary.rows += 1
                for finding in try compare(same, current, name, reader) { try find(finding) }
            }
        }
        while let object = try objects.take() {
            summary.objects += 1
            try find(unknown(object, in: bucket))
        }
    }

    private func unknown(_ object: ListedVersion, in bucket: String) -> Finding {
        var finding = Finding(
            .objectWithoutReference, volume: 0, path: "",
            evidence: "no row names this object of \(object.size) bytes, written \(object.modified)",
            repair: "add the row to the application's records, or delete the object")
        finding.bucket = bucket
        finding.key = object.key.rawValue
        finding.versionID = object.wireVersionID
        finding.sequence = object.sequence
        return finding
    }

    private func finding(_ code: FindingCode, _ row: ReferenceRow, _ evidence: String) -> Finding {
        var finding = Finding(
            code, volume: 0, path: "", evidence: "row at line \(row.line): \(evidence)",
            repair: code == .referenceWithoutObject
                ? "upload the object again, restore it from a snapshot, or remove the row"
                : "find out which of the two is right")
        finding.bucket = row.bucket
        finding.key = row.key
        finding.versionID = row.version
        return finding
    }

    private func compare(
        _ row: ReferenceRow, _ current: ListedVersion?, _ bucket: BucketName, _ reader: CatalogReader
    ) throws -> [Finding] {
        let found: (size: UInt64, etag: String, owner: String)?
        var record: EventVersionPublished?
        let selector = row.version.isEmpty ? VersionSelector.current : VersionSelector(wire: row.version)
        if row.version.isEmpty {
            found = current.map { ($0.size, $0.etag, $0.owner) }
        } else {
            record = try version(row, selector, bucket, reader)
            found = record.map { ($0.size, $0.etag, $0.owner) }
        }
        guard let found else {
            let what = row.version.isEmpty ? "there is no such object" : "there is no such version"
            return [finding(.referenceWithoutObject, row, what)]
        }
        var findings: [Finding] = []
        if let size = row.size, size != found.size {
            findings.append(finding(.referenceSize, row, "size \(size), where the store has \(found.size)"))
        }
        if let hash = row.hash, hash != found.etag {
            // An ETag needs no other look; the SHA-256 stands in the record.
            let whole = try record ?? version(row, selector, bucket, reader)
            let sha256 = whole.flatMap(Self.sha256)
            if hash != sha256 {
                let known = ["ETag \(found.etag)"] + (sha256.map { ["SHA-256 \($0)"] } ?? [])
                findings.append(
                    finding(
                        .referenceHash, row,
                        "hash \(hash), where the store has \(known.joined(separator: ", "))"))
            }
        }
        if let owner = row.owner, owner != found.owner, owner != names[found.owner] {
            let name = names[found.owner] ?? found.owner
            findings.append(finding(.referenceOwner, row, "owner \(owner), where the store has \(name)"))
        }
        return findings
    }

    private func version(
        _ row: ReferenceRow, _ selector: VersionSelector?, _ bucket: BucketName, _ reader: CatalogReader
    ) throws -> EventVersionPublished? {
        guard let selector, let key = try? ObjectKey(row.key) else { return nil }
        let version = try reader.version(bucket, key, selector)
        return version.flatMap { $0.isDeleteMarker ? nil : $0.record }
    }

    /// Of the bytes as they were sent: known where they are stored as such, in one piece, or were summed so.
    private static func sha256(_ record: EventVersionPublished) -> String? {
        if let sum = record.checksums.first(where: { $0.algorithm == .sha256 && !$0.composite }) {
            return Array(sum.value).hexadecimal
        }
        guard !record.hasEncryption, record.pieces.count == 1 else { return nil }
        return Array(record.pieces[0].sha256).hexadecimal
    }
}

/// A sequence that is read a page at a time.
private struct Pages<Item> {
    /// Also where nothing is found, a check that is to end ends at the next page.
    private let page: (Item?) throws -> [Item]
    private var items: [Item] = []
    private var index = 0
    private var last: Item?
    private var isAtEnd = false

    init(_ page: @escaping (_ last: Item?) throws -> [Item]) { self.page = page }

    mutating func peek() throws -> Item? {
        if index == items.count, !isAtEnd {
            try Task.checkCancellation()
            items = try page(last)
            index = 0
            last = items.last ?? last
            isAtEnd = items.isEmpty
        }
        return index < items.count ? items[index] : nil
    }

    mutating func take() throws -> Item? {
        let item = try peek()
        if item != nil { index += 1 }
        return item
    }
}
