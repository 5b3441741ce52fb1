import Model
import Synchronization
import Volumes

/// A segment of the log that is written afresh: one object in place of those that it was; or an object that is cut, which is put
/// anew without its end.
///
/// The new object is put whole before anything is removed. Where versions are kept, the first one of an object counts: so
/// what was there is what is seen until its first version goes, and that is the last one of its name to go, but for the new
/// one. Appends to what was there do not join the new object, and go behind it: until then they count for nothing. Where this
/// is cut off they are strays, which the next prune removes (`LogCopy+Strays`).
///
/// An object that begins where the new one ends would join it there, though it is no part of it. So none stands there when
/// the new one is put (``clearEnd(of:at:)``).
extension ObjectFileSystem {
    /// - Parameter extent: the new object, which is put; it takes the place of the one of its name, and of all behind that.
    /// - Throws: an error that is ``FileSystemError/isRetained`` if what was there is locked: it is what is there then.
    func takePlace(
        of before: RemoteFile, _ name: String, with extent: Extent
    ) throws(FileSystemError) {
        // Where versions are kept only since then, what was put before is the version `null`; where none are, the new object has
        // taken its place already.
        func version(_ known: String?) -> String? { known ?? (extent.versionID == nil ? nil : "null") }
        let kept = before.extents.prefix { $0.offset < extent.offset }
        let replaced = before.extents.dropFirst(kept.count)
        do throws(FileSystemError) {
            let former = before.others.filter { $0.name == extent.name }.map(\.versionID)
            for known in former + [replaced.first?.versionID] {
                if let old = version(known) { try removeObject(extent.name, old) }
            }
        } catch {
            guard error.isRetained else { throw error }
            let isGone = try removeFormer(extent.name, extent.versionID)
            let others = before.others + (isGone ? [] : [(extent.name, extent.versionID)])
            state.withLock { $0.tree?.put(name, before.extents, others: others) }
            throw error
        }
        var left: [(name: String, versionID: String?)] = []
        let behind = replaced.dropFirst().map { ($0.name, $0.versionID) }
        for (other, known) in before.others.filter({ $0.name != extent.name }) + behind
        where try !removeFormer(other, version(known)) {
            left.append((other, known))
        }
        let others = left
        state.withLock { $0.tree?.put(name, Array(kept) + [extent], others: others) }
    }

    /// Sees to it that no object begins where a file is to end.
    ///
    /// One that is part of the file as it is now is needed until the new object is there: so the file is put as one object first,
    /// behind which it counts for nothing. That it begins just there is a matter of chance, and rare.
    /// - Throws: an error that is ``FileSystemError/isRetained`` if it is locked. The file has what it had.
    func clearEnd(of name: String, at end: UInt64) throws(FileSystemError) {
        guard let file = try file(name) else { return }
        let stray = RemoteTree.extentName(name, at: end)
        if file.extents.dropFirst().contains(where: { $0.name == stray }) {
            try takePlace(of: file, name, with: try putWhole(file, as: name))
        }
        try clear([stray], of: name)
    }

    /// Removes objects that do not join a file, by their names.
    /// - Throws: an error that is ``FileSystemError/isRetained`` if one is locked.
    func clear(_ strays: [String], of name: String) throws(FileSystemError) {
        guard let file = try file(name) else { return }
        let keepsVersions = keepsVersions(file)
        for (stray, version) in file.others where strays.contains(stray) {
            try removeObject(stray, version ?? (keepsVersions ? "null" : nil))
        }
        guard file.others.contains(where: { strays.contains($0.name) }) else { return }
        let others = file.others.filter { !strays.contains($0.name) }
        state.withLock { $0.tree?.put(name, file.extents, others: others) }
    }

    /// Puts what a file has as one object, a part of it in memory at a time.
    private func putWhole(_ file: RemoteFile, as name: String) throws(FileSystemError) -> Extent {
        let contents = Contents(extents: file.extents, appended: [])
        let lock = try objectLock()
        let uploaded = try asking {
            try client.put(key(name), size: file.size, lock: lock) { range in
                var bytes = [UInt8](repeating: 0, count: range.count)
                _ = try bytes.withUnsafeMutableBytes { try read(contents, into: $0, at: range.lowerBound) }
                return bytes
            }
        }
        return Extent(
            name: name, offset: 0, size: file.size, etag: uploaded.etag, versionID: uploaded.versionID,
            modified: .now())
    }

    /// Whether the bucket does, as far as a file shows it.
    private func keepsVersions(_ file: RemoteFile) -> Bool {
        (file.extents.map(\.versionID) + file.others.map(\.versionID)).contains { $0 != nil }
    }

    public func hasStrays(of path: String) throws(FileSystemError) -> Bool {
        guard let file = try file(try name(path)) else { return false }
        return !strays(of: file).isEmpty
    }

    public func removeStrays(of path: String) throws(FileSystemError) -> Int {
        let name = try name(path)
        guard let file = try file(name) else { return 0 }
        let strays = strays(of: file)
        // As in `takePlace`: what was put before versions were kept.
        let keepsVersions = keepsVersions(file)
        let joined = Set(file.extents.map(\.name))
        var left = file.others.filter { joined.contains($0.name) }
        for (stray, version) in strays
        where try !removeFormer(stray, version ?? (keepsVersions ? "null" : nil)) {
            left.append((stray, version))
        }
        let others = left
        state.withLock { $0.tree?.put(name, file.extents, others: others) }
        return strays.count - others.filter { !joined.contains($0.name) }.count
    }

    /// What does not join a file. What somebody else has put under the names of its parts is none: it hides nothing.
    private func strays(of file: RemoteFile) -> [(name: String, versionID: String?)] {
        let joined = Set(file.extents.map(\.name))
        return file.others.filter { !joined.contains($0.name) }
    }

    /// - Returns: whether it is gone; not if it is locked.
    func removeFormer(_ name: String, _ version: String?) throws(FileSystemError) -> Bool {
        do throws(FileSystemError) { try removeObject(name, version) } catch {
            guard error.isRetained else { throw error }
            return false
        }
        return true
    }

    public func lockEnd(of path: String) throws(FileSystemError) -> String? {
        guard let file = try file(try name(path)) else { return nil }
        for (name, version) in file.extents.map({ ($0.name, $0.versionID) }) + file.others {
            if let until = lockEnd(name, version) { return until }
        }
        return nil
    }

    /// `nil` also if the endpoint does not tell: then a refusal to delete is what is reported.
    func lockEnd(_ name: String, _ version: String?) -> String? {
        do throws(S3ClientError) { return try client.retention(key(name), version: version) } catch {
            return nil
        }
    }
}
