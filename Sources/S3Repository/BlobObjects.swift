import Model

/// The blobs of a repository that are one object with one version, which is what nearly all of them are: a record of fixed size
/// each, since there may be as many as the store has large objects. What does not fit a record is kept as any other file.
///
/// They stand by the first two bytes of their ids, as in the repository's directories, in the order of the ids.
struct BlobObjects: Sendable {
    private struct Record {
        let id: BlobID
        let size: UInt64
        let modified: UInt64
        let etag: ShortText
        /// Empty where there is none.
        let versionID: ShortText
    }

    static var recordByteCount: Int { MemoryLayout<Record>.stride }

    private var shards: [[Record]] = Array(repeating: [], count: 65_536)

    // MARK: Names

    /// The blob whose file has a name; `nil` for other names.
    static func id(of name: String) -> BlobID? {
        guard name.utf8.count == 44, let id = BlobID(name.suffix(32)), self.name(of: id) == name else {
            return nil
        }
        return id
    }

    static func name(of id: BlobID) -> String {
        let digits = id.description
        return "blobs/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(2))/\(digits)"
    }

    private static func shard(of id: BlobID) -> Int { Int(id.high >> 48) }

    /// The shard that is a directory; `nil` for other directories.
    private static func shard(ofDirectory name: String) -> Int? {
        let digits = name.utf8.suffix(5).filter { $0 != UInt8(ascii: "/") }
        guard let shard = UInt64(String(decoding: digits, as: UTF8.self), radix: 16), shard < 65_536,
            self.name(of: BlobID(high: shard << 48, low: 0)).dropLast(33) == name
        else { return nil }
        return Int(shard)
    }

    // MARK: Records

    func extent(of id: BlobID) -> Extent? {
        let shard = shards[Self.shard(of: id)]
        let index = Self.index(of: id, in: shard)
        guard index < shard.count, shard[index].id == id else { return nil }
        let record = shard[index]
        return Extent(
            name: Self.name(of: id), offset: 0, size: record.size, etag: record.etag.text,
            versionID: record.versionID.isEmpty ? nil : record.versionID.text,
            modified: Timestamp(microseconds: record.modified))
    }

    /// - Returns: whether it fits a record; if not, nothing has changed.
    mutating func put(_ id: BlobID, _ extent: Extent) -> Bool {
        guard extent.offset == 0, extent.name == Self.name(of: id), extent.versionID != "",
            let etag = ShortText(extent.etag), let versionID = ShortText(extent.versionID ?? "")
        else { return false }
        let record = Record(
            id: id, size: extent.size, modified: extent.modified.microseconds, etag: etag,
            versionID: versionID)
        let shard = Self.shard(of: id)
        let index = Self.index(of: id, in: shards[shard])
        if index < shards[shard].count, shards[shard][index].id == id {
            shards[shard][index] = record
        } else {
            shards[shard].insert(record, at: index)
        }
        return true
    }

    mutating func remove(_ id: BlobID) {
        let shard = Self.shard(of: id)
        let index = Self.index(of: id, in: shards[shard])
        guard index < shards[shard].count, shards[shard][index].id == id else { return }
        shards[shard].remove(at: index)
    }

    /// Names in a directory.
    func names(in directory: String) -> [String] {
        Self.shard(ofDirectory: directory).map { shards[$0].map(\.id.description) } ?? []
    }

    /// Where an id stands, or would.
    private static func index(of id: BlobID, in shard: [Record]) -> Int {
        // A listing comes in the order of names.
        if let last = shard.last, last.id < id { return shard.count }
        var (low, high) = (0, shard.count)
        while low < high {
            let middle = (low + high) / 2
            if shard[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Up to 39 bytes of text that take no memory of their own: an ETag of parts, a version's id.
private struct ShortText: Sendable {
    private static let limit = 39

    /// The bytes, and how many they are in the last one.
    private var words: (UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0)

    init?(_ text: String) {
        let bytes = text.utf8
        guard bytes.count <= Self.limit else { return nil }
        withUnsafeMutableBytes(of: &words) { room in
            for (index, byte) in bytes.enumerated() { room[index] = byte }
            room[Self.limit] = UInt8(bytes.count)
        }
    }

    private var count: Int { withUnsafeBytes(of: words) { Int($0[Self.limit]) } }
    var isEmpty: Bool { count == 0 }
    var text: String { withUnsafeBytes(of: words) { String(decoding: $0.prefix(count), as: UTF8.self) } }
}
