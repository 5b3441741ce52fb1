import Catalog
import Model

/// What a listing is, said as simply as it can be: every row is looked at, nothing is skipped.
struct ReferenceListing {
    struct Row {
        let key: [UInt8]
        /// The order within a key, newest first: minus the sequence.
        let rank: Int64
        let id: VersionID
    }

    enum Entry: Hashable, CustomStringConvertible {
        case row([UInt8], VersionID)
        case prefix([UInt8])

        var description: String {
            switch self {
            case .row(let key, let id): "\(key) \(id)"
            case .prefix(let prefix): "prefix \(prefix)"
            }
        }
    }

    /// Where a page begins: behind this key or common prefix, or within the key behind the row of that rank.
    struct Marker {
        var key: [UInt8] = []
        var rank: Int64?
    }

    let rows: [Row]

    init(_ rows: [Row]) {
        self.rows = rows.sorted {
            $0.key == $1.key ? $0.rank < $1.rank : $0.key.lexicographicallyPrecedes($1.key)
        }
    }

    func page(prefix: [UInt8], delimiter: [UInt8], after marker: Marker, limit: Int) -> (
        entries: [Entry], isTruncated: Bool
    ) {
        var entries: [Entry] = []
        for row in rows where row.key.starts(with: prefix) && follows(row, marker) {
            let entry: Entry
            if let common = Self.commonPrefix(of: row.key, prefix, delimiter) {
                if common == marker.key { continue }
                entry = .prefix(common)
            } else {
                entry = .row(row.key, row.id)
            }
            if entries.last != entry { entries.append(entry) }
        }
        return (Array(entries.prefix(limit)), entries.count > limit)
    }

    private func follows(_ row: Row, _ marker: Marker) -> Bool {
        if row.key == marker.key { return marker.rank.map { row.rank > $0 } ?? false }
        return marker.key.lexicographicallyPrecedes(row.key)
    }

    private static func commonPrefix(of key: [UInt8], _ prefix: [UInt8], _ delimiter: [UInt8]) -> [UInt8]? {
        guard !delimiter.isEmpty else { return nil }
        for end in stride(from: prefix.count + delimiter.count, through: key.count, by: 1)
        where Array(key[(end - delimiter.count)..<end]) == delimiter {
            return Array(key[..<end])
        }
        return nil
    }
}

extension ListingPage {
    var entries: [ReferenceListing.Entry] {
        items.map {
            switch $0 {
            case .version(let version): .row(Array(version.key.utf8), version.versionID)
            case .prefix(let prefix): .prefix(Array(prefix.utf8))
            }
        }
    }
}

extension UploadListing {
    var entries: [ReferenceListing.Entry] {
        items.map {
            switch $0 {
            case .upload(let upload): .row(Array(upload.record.key.utf8), upload.uploadID)
            case .prefix(let prefix): .prefix(Array(prefix.utf8))
            }
        }
    }
}
