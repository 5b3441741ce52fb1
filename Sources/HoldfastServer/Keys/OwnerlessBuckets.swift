import Model
import ObjectStore

/// Buckets that belong to canonical ids that no user has: of users who were deleted, or of a file of keys that was lost.
/// Root has them all the same.
public struct OwnerlessBuckets: Sendable {
    /// Names of buckets, by the canonical id of their owner.
    let byOwner: [String: [String]]

    private static let shownCount = 3

    init(_ store: ObjectStore, _ keys: KeyStore) throws {
        var byOwner: [String: [String]] = [:]
        for bucket in try store.buckets() where keys.displayName(userID: bucket.owner) == nil {
            byOwner[bucket.owner, default: []].append(bucket.name.rawValue)
        }
        self.byOwner = byOwner.mapValues { $0.sorted() }
    }

    private var sorted: [(owner: String, buckets: [String])] {
        byOwner.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private static func names(_ buckets: [String]) -> String {
        let more = buckets.count > shownCount ? " and \(buckets.count - shownCount) more" : ""
        return
            "\(buckets.count == 1 ? "bucket" : "buckets") \(buckets.prefix(shownCount).joined(separator: ", "))\(more)"
    }

    /// As a part of a sentence.
    var summary: String {
        let shown = sorted.prefix(Self.shownCount).map { owner, buckets in
            "\(Self.names(buckets)) \(buckets.count == 1 ? "belongs" : "belong") to canonical id \(owner), which no user has"
        }
        let rest = sorted.count - shown.count
        return shown.joined(separator: "; ")
            + (rest > 0 ? "; and so with \(counted(rest, "other owner"))" : "")
    }

    /// One line for each owner.
    var warnings: [String] {
        sorted.map { owner, buckets in
            "\(Self.names(buckets)) \(buckets.count == 1 ? "belongs" : "belong") to canonical id \(owner), which no user has: only root has what is there. 'holdfast user create DIR NAME --canonical-id \(owner)' gives it to a user"
        }
    }
}
