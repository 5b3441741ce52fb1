import Foundation
import Model
import Synchronization

/// Replicas that stand under another name than their blob's: which they are, they say themselves (DESIGN invariant 4).
///
/// A replica gets a wrong name when files change places, or are put back where they do not belong; a check that meets
/// one moves it to quarantine under the name that it had. It may be the last one there is of its blob.
extension DirectoryVolume {
    /// Files that change places in a ring are followed so far.
    private static let ringCount = 64

    func strays(of id: BlobID, length: UInt64) -> [RawReplica] {
        // A quarantine that cannot be listed has nothing to offer.
        let names = ((try? fileSystem.list(quarantineDirectory)) ?? []).filter {
            !$0.hasSuffix(".json") && !$0.hasSuffix(".new")
        }
        let owners = quarantinedIdentities.identities(of: names, ask: footer(ofQuarantined:))
        var found = exchanged(with: id, owners).compactMap { rawReplica($0, of: id, length: length) }
        // Those that have its name are offered already.
        for (name, owner) in owners where !name.hasPrefix("\(id)-") {
            if case .blob(let other) = owner, other != id { continue }
            guard let replica = rawReplica("quarantine/\(name)", of: id, length: length) else { continue }
            if case .unknown(let size) = owner {
                // Its footer is lost. Where the descriptor would be is known from the length that is looked for.
                guard size >= length, replica.isDescribed else { continue }
            }
            found.append(replica)
        }
        return found
    }

    /// The paths at which a blob's replica stands, where each of some files has the place of another: what stands in its
    /// own place, or did before that was mended, says whose it is; what stands in the place of that one says so again;
    /// and so on until the blob is met.
    private func exchanged(
        with id: BlobID, _ quarantined: [(name: String, owner: QuarantinedIdentities.Owner)]
    ) -> [String] {
        var places = [id]
        var found: [String] = []
        var next = 0
        while next < min(places.count, Self.ringCount) {
            let place = places[next]
            next += 1
            let present = footer(at: "\(directory)/\(path(of: place))")
            if present == .blob(id), place != id { found.append(path(of: place)) }
            let former = quarantined.filter { $0.name.hasPrefix("\(place)-") }.map(\.owner)
            for case .blob(let stranger) in [present] + former where !places.contains(stranger) {
                places.append(stranger)
            }
        }
        return found
    }

    /// Whose a file is, by its footer.
    private func footer(at path: String) -> QuarantinedIdentities.Owner {
        guard let file = try? fileSystem.open(path, [], permissions: 0) else { return .unknown(size: 0) }
        defer { file.close() }
        guard let size = try? file.size() else { return .unknown(size: 0) }
        let count = BlobFormat.footerByteCount
        guard size >= UInt64(count), let bytes = try? file.bytes(count, at: size - UInt64(count)),
            bytes.count == count,
            let footer = try? bytes.withUnsafeBytes({ try BlobFormat.Footer($0) })
        else { return .unknown(size: size) }
        return .blob(footer.id)
    }

    private func footer(ofQuarantined name: String) -> QuarantinedIdentities.Owner {
        footer(at: "\(quarantineDirectory)/\(name)")
    }
}

/// Whose the files in a volume's quarantine are, remembered: every blob that is lost is looked for among all of them.
/// A name in quarantine is never given twice, and nothing that is proved rests on what is remembered.
final class QuarantinedIdentities: Sendable {
    enum Owner: Sendable, Equatable {
        case blob(BlobID)
        /// The file has no footer that can be read.
        case unknown(size: UInt64)
    }

    /// Names that are remembered; more are read each time.
    private static let limit = 65_536

    private let known = Mutex<[String: Owner]>([:])

    /// - Parameter ask: reads it from the file of that name.
    func identities(of names: [String], ask: (String) -> Owner) -> [(name: String, owner: Owner)] {
        let remembered = known.withLock { $0 }
        // No lock is held while files are read.
        let all = names.map { name in (name: name, owner: remembered[name] ?? ask(name)) }
        let kept = Dictionary(all.prefix(Self.limit).map { ($0.name, $0.owner) }) { first, _ in first }
        known.withLock { $0 = kept }
        return all
    }
}
