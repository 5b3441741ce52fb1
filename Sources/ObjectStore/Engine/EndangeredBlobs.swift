import Catalog
import Model

/// The blobs that some volume is known to have no good replica of: found, and not mended since.
struct EndangeredBlobs {
    private static let pageCount = 1024
    /// More than so many are brought in the order of the log, as all others.
    private static let limit = 100_000

    let catalog: Catalog

    /// - Parameter volume: what is wrong there does not count: it is being filled.
    /// - Returns: those with the fewest good replicas first.
    func find(except volume: Int) throws -> [BlobID] {
        var damaged: [BlobID: Set<UInt32>] = [:]
        var after = SequenceNumber.zero
        while damaged.count < Self.limit {
            let page = try catalog.read { try $0.findings(after: after, limit: Self.pageCount) }
            for (_, isRepaired, finding) in page where finding.volume != UInt32(volume) {
                guard finding.volume > 0, let id = BlobID(bytes: finding.blobID) else { continue }
                if isRepaired {
                    damaged[id]?.remove(finding.volume)
                } else {
                    damaged[id, default: []].insert(finding.volume)
                }
            }
            guard let last = page.last, page.count == Self.pageCount else { break }
            after = last.sequence
        }
        return damaged.filter { !$0.value.isEmpty }.sorted {
            ($1.value.count, $0.key) < ($0.value.count, $1.key)
        }.map(\.key)
    }
}
