import Foundation
import Model
import Synchronization
import Volumes

extension ObjectFileSystem {
    // MARK: Appending

    func append(
        _ bytes: UnsafeRawBufferPointer, to name: String, at offset: UInt64
    ) throws(FileSystemError) {
        guard let contents = try contents(ofFile: name), offset == contents.size else {
            throw FileSystemError(
                operation: "pwrite", path: "\(root)/\(name)", code: EINVAL,
                detail: "a file of objects is only appended to")
        }
        state.withLock { $0.appended[name, default: []].append(contentsOf: bytes) }
    }

    /// Puts what was appended to a file as an object of its own, if there is more than so much.
    func flush(_ name: String, above limit: Int) throws(FileSystemError) {
        guard let bytes = state.withLock({ $0.appended[name] }), bytes.count >= max(limit, 1) else { return }
        guard let file = try file(name) else { return }
        // What is behind a gap would be taken for this, or for what follows it.
        let places = [file.size, file.size + UInt64(bytes.count)]
        try clear(places.map { RemoteTree.extentName(name, at: $0) }, of: name)
        let extent = try put(bytes, as: RemoteTree.extentName(name, at: file.size), at: file.size)
        state.withLock {
            $0.tree?.append(extent, to: name)
            $0.appended[name] = nil
        }
    }

    /// Puts an object that is a part of a file.
    /// - Parameter offset: of the part.
    private func put(_ bytes: [UInt8], as name: String, at offset: UInt64) throws(FileSystemError) -> Extent {
        let lock = try objectLock()
        let uploaded = try asking {
            try client.put(key(name), size: UInt64(bytes.count), lock: lock) { range in
                Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            }
        }
        return Extent(
            name: name, offset: offset, size: UInt64(bytes.count), etag: uploaded.etag,
            versionID: uploaded.versionID, modified: .now())
    }

    private func flushAll() throws(FileSystemError) {
        for name in state.withLock({ $0.appended.keys.sorted() }) { try flush(name, above: 1) }
    }

    /// Takes bytes off a file's end: those that wait, then whole objects, the last one first, and then a part of one. What is
    /// left of that one is put under its name before what it was is removed: wherever this is cut off, the file has what
    /// is to be left of it.
    func truncate(_ name: String, to size: UInt64) throws(FileSystemError) {
        guard let contents = try contents(ofFile: name), size < contents.size else { return }
        if size >= contents.stored {
            let kept = Array(contents.appended.prefix(Int(size - contents.stored)))
            return state.withLock { $0.appended[name] = kept }
        }
        guard let first = contents.extents.firstIndex(where: { $0.end > size }) else { return }
        let cut = contents.extents[first]
        var kept = [UInt8](repeating: 0, count: Int(size - cut.offset))
        let outcome = kept.withUnsafeMutableBytes { room in
            Result { () throws(FileSystemError) in try read(contents, into: room, at: cut.offset) }
        }
        _ = try outcome.get()
        state.withLock { $0.appended[name] = nil }
        // Without its first object it is no file.
        let isPut = first == 0 || !kept.isEmpty
        let end = isPut ? cut.end : cut.offset
        while let file = try file(name), let last = file.extents.last, last.end > end {
            try removeLast(last, of: file, name)
        }
        guard isPut else { return }
        try clearEnd(of: name, at: size)
        guard let before = try file(name) else { return }
        try takePlace(of: before, name, with: try put(kept, as: cut.name, at: cut.offset))
    }

    /// Removes the last object of a file. What somebody else has put under its name goes first: it would be taken for it.
    private func removeLast(
        _ last: Extent, of file: RemoteFile, _ name: String
    ) throws(FileSystemError) {
        for (other, version) in file.others where other == last.name { try removeObject(other, version) }
        try removeObject(last.name, last.versionID)
        state.withLock {
            $0.tree?.put(
                name, Array(file.extents.dropLast()), others: file.others.filter { $0.name != last.name })
        }
    }

    // MARK: Naming

    /// Puts a new file that was written under its own name.
    func publishIfNamed(_ name: String) throws(FileSystemError) {
        guard !isUnnamed(name) else { return }
        try publish(name, as: name)
        dropStaged(name)
    }

    /// Puts a scratch file as an object. What waits goes first, unless this is a blob: who has a manifest, or a later
    /// segment of the log, has all that came before.
    private func publish(_ stagedName: String, as name: String) throws(FileSystemError) {
        guard let source = state.withLock({ $0.staged[stagedName] }) else {
            throw FileSystemError(operation: "link", path: "\(root)/\(stagedName)", code: ENOENT)
        }
        if !name.hasPrefix("blobs/") { try flushAll() }
        let size = try source.size()
        try clearEnd(of: name, at: size)
        let lock = RemoteTree.isRewritten(name) ? nil : try objectLock()
        let uploaded = try asking {
            try client.put(key(name), size: size, lock: lock) { range in
                let bytes = try source.bytes(range.count, at: range.lowerBound)
                guard bytes.count == range.count else {
                    throw FileSystemError(
                        operation: "pread", path: source.path, code: EIO,
                        detail: "the scratch file was cut off")
                }
                return bytes
            }
        }
        let before = try file(name)
        let extent = Extent(
            name: name, offset: 0, size: size, etag: uploaded.etag, versionID: uploaded.versionID,
            modified: .now())
        if let before, !RemoteTree.isRewritten(name) { return try takePlace(of: before, name, with: extent) }
        var others = before?.others ?? []
        // What was under the name: a version of its own.
        for old in before?.extents ?? [] where old.versionID != nil || old.name != name {
            if try !removeFormer(old.name, old.versionID) { others.append((old.name, old.versionID)) }
        }
        let left = others
        state.withLock { $0.tree?.put(name, [extent], others: left) }
    }

    private func dropStaged(_ name: String) {
        // Its room is given back with its last reference: not while the lock is held.
        withExtendedLifetime(state.withLock { $0.staged.removeValue(forKey: name) }) {}
    }

    public func link(_ path: String, to newPath: String) throws(FileSystemError) {
        let (old, new) = (try name(path), try name(newPath))
        guard try file(new) == nil else {
            throw FileSystemError(operation: "link", path: newPath, code: EEXIST)
        }
        try publish(old, as: new)
    }

    public func rename(_ path: String, to newPath: String) throws(FileSystemError) {
        let (old, new) = (try name(path), try name(newPath))
        if state.withLock({ $0.staged[old] }) != nil {
            try publish(old, as: new)
            return dropStaged(old)
        }
        try flush(old, above: 1)
        guard let file = try file(old) else {
            throw FileSystemError(operation: "rename", path: path, code: ENOENT)
        }
        try flushAll()
        let lock = try objectLock()
        var moved: [Extent] = []
        for extent in file.extents {
            let target = extent.offset == 0 ? new : RemoteTree.extentName(new, at: extent.offset)
            let copied = try asking {
                try client.copy(key(extent.name), version: extent.versionID, to: key(target), lock: lock)
            }
            moved.append(
                Extent(
                    name: target, offset: extent.offset, size: extent.size, etag: copied.etag,
                    versionID: copied.versionID, modified: .now()))
        }
        state.withLock { $0.tree?.put(new, moved) }
        do throws(FileSystemError) { try remove(path) } catch {
            // A version that is locked stays where it is; what is put under its name now is seen until the lock ends
            // or the objects are listed again.
            guard error.isRetained else { throw error }
            state.withLock { $0.tree?.remove(old) }
        }
    }

    // MARK: Removing

    public func remove(_ path: String) throws(FileSystemError) {
        let name = try name(path)
        if state.withLock({ $0.staged.removeValue(forKey: name) }) != nil { return }
        guard let file = try file(name) else {
            throw FileSystemError(operation: "unlink", path: path, code: ENOENT)
        }
        // The first object goes last: without it the others are no file, and nobody would find them.
        for (other, version) in file.others { try removeObject(other, version) }
        for extent in file.extents.reversed() { try removeObject(extent.name, extent.versionID) }
        state.withLock {
            $0.tree?.remove(name)
            $0.appended[name] = nil
        }
    }

    /// - Throws: an error that ``FileSystemError/isRetained`` if the version is locked.
    func removeObject(_ name: String, _ version: String?) throws(FileSystemError) {
        guard location.moment == nil else {
            throw FileSystemError(
                operation: "unlink", path: "\(root)/\(name)", code: EROFS,
                detail: "it is seen as it was at a moment")
        }
        do throws(S3ClientError) { try client.delete(key(name), version: version) } catch {
            if error.status == 404, error.code != "NoSuchBucket" { return }
            guard error.status == 403, let until = lockEnd(name, version) else {
                throw error.asFileSystemError
            }
            throw FileSystemError.retained(path: "\(root)/\(name)", until: until)
        }
    }

    // MARK: Locking

    /// How new objects are locked; asked once.
    func objectLock() throws(FileSystemError) -> ObjectLock? {
        if let known = state.withLock({ $0.objectLock }) { return known }
        let lock: ObjectLock?
        switch (try asking { try client.bucketLock() }, location.retainDays) {
        case (_, .some(0)): lock = nil
        case (.none, .some(let days)):
            throw FileSystemError(
                operation: "GET", path: "s3://\(location.bucket) at \(location.endpoint)", code: EINVAL,
                detail: "objects are to be locked for \(days) days, but the bucket has no object lock")
        case (.none, nil), (.byRule, nil): lock = nil
        case (.onRequest, let days):
            lock = Self.lock(location.lockMode, days ?? S3Location.defaultRetainDays)
        case (.byRule, .some(let days)): lock = Self.lock(location.lockMode, days)
        }
        state.withLock { $0.objectLock = .some(lock) }
        return lock
    }

    /// Half as long again as was asked for: so a lock is renewed only now and then, and there are always so many days
    /// left after a snapshot.
    private static func lock(_ mode: S3Location.LockMode, _ days: Int) -> ObjectLock {
        ObjectLock(mode: mode, days: days + (days + 1) / 2)
    }

    private static let renewed = "snapshots/retained"

    /// What `snapshots/retained` says: when locks were renewed, and for how many days.
    private struct Renewal {
        /// Microseconds since 1970; 0 if it is not known.
        var time: UInt64 = 0
        /// `nil` where it does not say.
        var days: Int?
    }

    /// Renews the locks of files that a snapshot needs, where the last lock was so long ago that too few days are left, or
    /// was for fewer days than are asked for now.
    public func retain(_ give: (_ paths: @escaping ([String]) throws -> Void) throws -> Void) throws {
        guard let lock = try objectLock() else { return }
        let days = UInt64(lock.days * 2 / 3)
        let now = Timestamp.now().microseconds
        let last = try lastRenewal(before: now)
        let isLonger = last.days.map { $0 < lock.days } ?? false
        let due = now - min(now, max(days / 2, 1) * 86_400_000_000)
        var renewals = 0
        try give { [self] paths in
            for path in paths {
                guard let file = try file(try name(path)) else { continue }
                for extent in file.extents
                where isLonger || max(last.time, extent.modified.microseconds) < due {
                    try asking {
                        try client.extendRetention(key(extent.name), version: extent.versionID, lock)
                    }
                    renewals += 1
                }
            }
        }
        guard renewals > 0 || last.days == nil else { return }
        // What was not renewed was locked later than the time that stood there.
        let time = renewals > 0 ? now : last.time
        try replaceFile("\(root)/\(Self.renewed)", with: Array("\(time) \(lock.days)\n".utf8))
    }

    private func lastRenewal(before now: UInt64) throws(FileSystemError) -> Renewal {
        guard let record = try contents(ofFile: Self.renewed) else { return Renewal() }
        var bytes = [UInt8](repeating: 0, count: Int(min(record.size, 64)))
        let outcome = bytes.withUnsafeMutableBytes { room in
            Result { () throws(FileSystemError) in try read(record, into: room, at: 0) }
        }
        _ = try outcome.get()
        // Somebody else may have written it: what cannot be read, or has yet to be, renews too much.
        let fields = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard let time = fields.first.flatMap({ UInt64($0) }), time <= now else { return Renewal() }
        return Renewal(time: time, days: fields.dropFirst().first.flatMap { Int($0) })
    }
}
