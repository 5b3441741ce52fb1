import EventLog
import Foundation
import Model
import Volumes

/// Makes a second volume of the one that alone is left, so that the store can be opened again: two make a quorum.
///
/// What was acknowledged by the lost volumes alone, while the one that is left was set aside, is not there; nobody can
/// tell whether there was any. Blobs come first and the log last, so one that was cut off is done again.
struct VolumeDuplication {
    let settings: StoreSettings
    let environment: StoreEnvironment

    func run(from source: Int, to target: Int) throws -> VolumeDuplicate {
        let count = settings.volumePaths.count
        guard source != target, (1...count).contains(source), (1...count).contains(target) else {
            throw StoreError.invalidState("volumes are 1 to \(count), and one is not filled from itself")
        }
        let original = try open(source)
        defer { original.close() }
        for other in 1...count where other != source {
            guard let present = try? open(other) else { continue }
            defer { present.close() }
            guard other == target, try segments(of: present).isEmpty else {
                throw StoreError.invalidState(
                    "\(present.name) has a log too: two volumes are enough to open the store, and 'holdfast volume replace' without --from fills the third"
                )
            }
        }
        let copy = try begun(target, of: original.identity.storeID)
        defer { copy.close() }
        var report = VolumeDuplicate()
        try copyBlobs(original, copy, &report)
        let fileSystem = environment.fileSystem
        for name in try segments(of: original).sorted(by: >) {
            try fileSystem.replaceFile(
                copy.logDirectory + "/" + name,
                with: try fileSystem.contents(of: original.logDirectory + "/" + name))
            report.segments += 1
        }
        return report
    }

    private func open(_ index: Int) throws -> DirectoryVolume {
        let path = settings.volumePaths[index - 1]
        let volume = try DirectoryVolume.open(
            path, fileSystem: environment.fileSystem, clock: environment.clock)
        guard volume.index == index else {
            volume.close()
            throw VolumeError.wrongIndex(path: path, found: volume.index, expected: index)
        }
        return volume
    }

    private func segments(of volume: DirectoryVolume) throws -> [String] {
        try environment.fileSystem.list(volume.logDirectory).filter { $0.hasSuffix(".log") }
    }

    /// The new volume, or the one that a run that was cut off has begun.
    private func begun(_ index: Int, of storeID: StoreID) throws -> DirectoryVolume {
        if let volume = try? open(index) {
            guard volume.identity.storeID == storeID else {
                let found = volume.identity.storeID
                volume.close()
                throw VolumeError.foreignStore(path: volume.name, found: found, expected: storeID)
            }
            for id in try volume.incoming().blobs { try volume.removeBlob(id) }
            return volume
        }
        let identity = VolumeIdentity(
            storeID: storeID, volumeID: .random(), index: index, created: environment.clock())
        return try DirectoryVolume.create(
            identity, at: settings.volumePaths[index - 1], fileSystem: environment.fileSystem,
            clock: environment.clock)
    }

    private func copyBlobs(
        _ original: DirectoryVolume, _ copy: DirectoryVolume, _ report: inout VolumeDuplicate
    ) throws {
        for byte in UInt8.min...UInt8.max {
            for case .blob(let id) in try original.listBlobs(firstByte: byte) {
                do {
                    let info = try original.info(of: id, length: nil)
                    let flaws = copy.verify(id, length: info.length, sha256: info.sha256, depth: .trailer)
                    if !flaws.isEmpty {
                        try BlobCopier(sources: [original]).copy(
                            id, to: copy,
                            replacing: flaws == [.missing] ? nil : "left by a copy that was cut off")
                    }
                    report.blobs += 1
                    report.bytes += info.length
                } catch let flaw as BlobFlaw {
                    report.damaged.append((original.path(of: id), flaw.description))
                }
            }
        }
    }
}

/// What making a volume of another came to.
public struct VolumeDuplicate: Sendable {
    public internal(set) var blobs = 0
    public internal(set) var bytes: UInt64 = 0
    public internal(set) var segments = 0
    /// Replicas that are not good, by their paths in the volume.
    public internal(set) var damaged: [(path: String, reason: String)] = []
}

extension ObjectStore {
    /// Fills the empty directory of a volume from the one volume that is left of a store that is not running.
    /// - Throws: ``StoreError``, ``VolumeError``.
    public static func duplicateVolume(
        _ settings: StoreSettings, from source: Int, to target: Int, _ environment: StoreEnvironment = .real
    ) throws -> VolumeDuplicate {
        try environment.fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        let lock = try StoreLock.take(settings, environment)
        defer { lock.close() }
        return try VolumeDuplication(settings: settings, environment: environment).run(
            from: source, to: target)
    }
}
