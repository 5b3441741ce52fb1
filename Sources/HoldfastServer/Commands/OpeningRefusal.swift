import EventLog
import Integrity
import Volumes

extension StoreCommand {
    /// What a check prints of a store that is not opened: directories that belong elsewhere, an event that no mirror
    /// has good, are found, whether or not anything else could be looked at.
    /// - Parameter volumePaths: in the order of their indexes.
    public func refusal(_ error: any Error, _ volumePaths: [String]) throws -> [String] {
        guard case .fsck(_, _, let json) = self else { return [] }
        let findings: [Finding]
        switch error {
        case let error as VolumeError where FindingCode(error) != nil: findings = try Self.places(volumePaths)
        case LogError.damaged(let sequence, let reason): findings = [.lostEvent(sequence, reason)]
        default: findings = []
        }
        return try findings.map { finding in
            json ? try CommandJSON.line(FindingLine(finding)) : finding.text
        }
    }

    /// Every directory that holds another volume than the one that belongs there. The store is that of most volumes.
    private static func places(_ volumePaths: [String]) throws -> [Finding] {
        let fileSystem = RealFileSystem()
        let found = volumePaths.enumerated().compactMap { offset, path in
            // One that cannot be read is no wrong one; it is named when the store opens.
            (try? DirectoryVolume.readIdentity(path, fileSystem: fileSystem)).map { (offset + 1, path, $0) }
        }
        let counts = Dictionary(found.map { ($0.2.storeID, 1) }, uniquingKeysWith: +)
        guard let most = counts.values.max(),
            let store = found.first(where: { counts[$0.2.storeID] == most })?.2.storeID
        else { return [] }
        return found.compactMap { place, path, identity in
            let error: VolumeError
            if identity.storeID != store {
                error = .foreignStore(path: path, found: identity.storeID, expected: store)
            } else if identity.index != place {
                error = .wrongIndex(path: path, found: identity.index, expected: place)
            } else {
                return nil
            }
            guard let code = FindingCode(error) else { return nil }
            return Finding(
                code, volume: place, path: "volume.json", evidence: "\(error)",
                repair: "put each volume in its place, or correct the volumes setting")
        }
    }
}
