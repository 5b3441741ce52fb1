import Model
import S3Repository

/// Walks what an S3 endpoint lists below a prefix, a page of it in memory; with versions, all of one key besides.
final class BucketWalk: ImportWalk {
    private let client: S3Client
    /// With a slash at the end, or empty.
    private let prefix: String
    private let listsVersions: Bool
    private let hasEveryVersion: Bool
    /// The bucket as it was then; `nil` for now.
    private let moment: Timestamp?
    private var page: ArraySlice<ListedObject> = []
    private var place: ObjectPage.Place?
    private var isAtEnd = false

    /// - Parameter hasEveryVersion: asked for the history of each key.
    init(_ client: S3Client, hasEveryVersion: Bool) {
        self.client = client
        self.hasEveryVersion = hasEveryVersion
        let location = client.location
        prefix = location.prefix.isEmpty ? "" : location.prefix + "/"
        moment = location.moment
        listsVersions = hasEveryVersion || location.moment != nil
    }

    func next() throws -> ImportItem? {
        guard listsVersions else { return try object().map { .object($0) } }
        while let first = try object() {
            var versions = [first]
            while let more = try peek(), more.key.utf8.elementsEqual(first.key.utf8) {
                versions.append(more)
                page = page.dropFirst()
            }
            let seen = versions.filter { version in moment.map { version.modified <= $0 } ?? true }
            guard let newest = seen.first else { continue }  // there was nothing yet
            if hasEveryVersion { return .history(seen) }
            if !newest.isDeleteMarker { return .object(newest) }
        }
        return nil
    }

    private func object() throws -> ListedObject? {
        let found = try peek()
        page = page.dropFirst()
        return found
    }

    private func peek() throws -> ListedObject? {
        while page.isEmpty, !isAtEnd {
            let found = try client.list(prefix, versions: listsVersions, from: place)
            page = found.objects[...]
            place = found.next
            isAtEnd = found.next == nil
        }
        return page.first
    }
}
