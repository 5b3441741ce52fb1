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
        var found: [RawReplica] = []
        if let path = exchanged(with: id), let replica = rawReplica(path, of: id, length: length) {
            found.append(replica)
        }
        // A quarantine that cannot be listed has nothing to offer.
        let names = (try? fileSystem.list(quarantineDirectory)) ?? []
        let others = names.filter {
            !$0.hasPrefix("\(id)-") && !$0.hasSuffix(".json") && !$0.hasSuffix(".new")
        }
        for (name, owner) in quarantinedIdentities.identities(of: others, ask: footer(ofQuarantined:)) {
            switch owner {
            case .blob(id):
                if let replica = rawReplica("quarantine/\(name)", of: id, length: length) {
                    found.append(replica)
                }
            case .blob: continue
            case .unknown(let size):
                // Its footer is lost. Where the descriptor would be is known from the length that is looked for.
                guard size >= length, let replica = rawReplica("quarantine/\(name)", of: id, length: length),
                    replica.isDescribed
                else { continue }
                found.append(replica)
            }
        }
        return found
    }

    /// The path at which a blob's replica stands, where each of some files has the place of another: what stands in its
    /// own place says whose it is, what stands in the place of that one says so again, until the blob is met.
    private func exchanged(with id: BlobID) -> String? {
        var place = id
        for _ in 0..<Self.ringCount {
            guard case .blob(let stranger) = footer(at: "\(directory)/\(path(of: place))"), stranger != place else {
                return nil
            }
            if stranger == id { return path(of: place) }
            place = stranger
        }
        return nil
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
