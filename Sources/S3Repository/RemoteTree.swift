import Model

/// A run of a file's bytes, and the version of an object that is it.
package struct Extent: Sendable {
    /// Relative to the place's prefix.
    package let name: String
    package let offset: UInt64
    package let size: UInt64
    package let etag: String
    package let versionID: String?
    package let modified: Timestamp

    package var end: UInt64 { offset + size }

    package init(
        name: String, offset: UInt64, size: UInt64, etag: String, versionID: String?, modified: Timestamp
    ) {
        self.name = name
        self.offset = offset
        self.size = size
        self.etag = etag
        self.versionID = versionID
        self.modified = modified
    }
}

/// A file that is one object, or several one behind the other: what is appended to it becomes an object of its own.
package struct RemoteFile: Sendable {
    package var extents: [Extent] = []
    /// Other versions under the file's names, and objects that do not join: they go when the file does.
    package var others: [(name: String, versionID: String?)] = []

    package var size: UInt64 { extents.last?.end ?? 0 }
}

/// The files that the objects below a prefix make up. A value of its own, without an endpoint.
package struct RemoteTree: Sendable {
    /// All but those in `blobs`.
    private var others: [String: RemoteFile] = [:]
    private var blobs = BlobObjects()
    /// The names in each directory, but for those in `blobs`.
    private var children: [String: Set<String>] = [:]
    /// When objects were put of which there is nothing at the moment that is looked at, by their names; but for blobs.
    private var later: [String: Timestamp] = [:]

    private static let rewritten: Set<String> = [
        "snapshots/verified", "snapshots/retained", "snapshots/damaged", "snapshots/pruned",
    ]

    /// What is written over again and again, where the newest version counts.
    package static func isRewritten(_ name: String) -> Bool {
        rewritten.contains(name)
    }

    /// Behind what an append to a file is named: `log/00000000000000000001.log~00000000000000065536`.
    private static let mark: Character = "~"

    package static func extentName(_ file: String, at offset: UInt64) -> String {
        let digits = String(offset)
        return "\(file)\(mark)\(String(repeating: "0", count: 20 - digits.utf8.count))\(digits)"
    }

    private static func place(of name: String) -> (file: String, offset: UInt64) {
        guard let index = name.lastIndex(of: mark) else { return (name, 0) }
        let digits = name[name.index(after: index)...]
        guard digits.utf8.count == 20, let offset = UInt64(digits) else { return (name, 0) }
        return (String(name[..<index]), offset)
    }

    package init() {}

    /// - Parameters:
    ///   - versions: of every object by its name, newest first; delete markers too.
    ///   - moment: only what was there then counts.
    package init(_ versions: [String: [ListedObject]], at moment: Timestamp?) {
        var listing = Listing(at: moment)
        for (name, all) in versions {
            for object in all { listing.add(object, as: name) }
        }
        self = listing.finish()
    }

    /// A tree that is made of a listing as it comes: of what makes a blob's record, no more is kept than that.
    package struct Listing {
        private let moment: Timestamp?
        private var tree = RemoteTree()
        private var versions: [String: [ListedObject]] = [:]

        package init(at moment: Timestamp?) { self.moment = moment }

        /// - Parameter object: a version; those of one name come newest first.
        package mutating func add(_ object: ListedObject, as name: String) {
            let blob = BlobObjects.id(of: name)
            // Of a blob, what came later is of no use at a moment: nothing is removed there, and nobody asks when it was put.
            if blob != nil, let moment, object.isDeleteMarker || object.modified > moment { return }
            if versions[name] != nil {
                versions[name]?.append(object)
            } else if let id = blob {
                if let newer = tree.blobs.extent(of: id) {
                    tree.blobs.remove(id)
                    versions[name] = [newer.listed, object]
                } else if object.isDeleteMarker || !tree.blobs.put(id, Extent(object, name, at: 0)) {
                    versions[name] = [object]
                } else {
                    tree.enterDirectory(of: name)
                }
            } else {
                versions[name] = [object]
            }
        }

        package consuming func finish() -> RemoteTree {
            tree.enter(versions, at: moment)
            return tree
        }
    }

    private mutating func enter(_ versions: [String: [ListedObject]], at moment: Timestamp?) {
        for (name, all) in versions {
            guard let chosen = Self.choose(all, name, at: moment) else {
                later[name] = all.last { !$0.isDeleteMarker }?.modified
                continue
            }
            let (file, offset) = Self.place(of: name)
            others[file, default: RemoteFile()].extents.append(Extent(chosen, name, at: offset))
            for other in all where other.versionID != chosen.versionID {
                others[file, default: RemoteFile()].others.append((name, other.versionID))
            }
        }
        for file in others.keys {
            join(file)
            if others[file] != nil { enter(file) }
        }
    }

    package func file(_ name: String) -> RemoteFile? {
        if let found = others[name] { return found }
        return BlobObjects.id(of: name).flatMap(blobs.extent).map { RemoteFile(extents: [$0]) }
    }

    /// What somebody with the keys deletes or writes over, where versions are kept, must not go and must not change: no
    /// object of a repository is ever written again, so the first version is the repository's own, whatever stands
    /// above it; at a moment that is past as well.
    private static func choose(_ all: [ListedObject], _ name: String, at moment: Timestamp?) -> ListedObject?
    {
        func counts(_ version: ListedObject) -> Bool {
            !version.isDeleteMarker && moment.map { version.modified <= $0 } ?? true
        }
        return isRewritten(name) ? all.first(where: counts) : all.last(where: counts)
    }

    /// When an object was put that stands where a file ends at the moment that is looked at, or begins if it is none then. Not
    /// known of blobs.
    package func laterWrite(_ file: String) -> Timestamp? {
        guard let found = self.file(file) else { return later[file] }
        return later[Self.extentName(file, at: found.size)]
    }

    /// Puts the runs of a file one behind the other; those behind a gap do not count.
    private mutating func join(_ file: String) {
        guard var found = others[file] else { return }
        var joined: [Extent] = []
        for extent in found.extents.sorted(by: { $0.offset < $1.offset }) {
            if extent.offset == (joined.last?.end ?? 0), extent.offset == 0 || extent.size > 0 {
                joined.append(extent)
            } else {
                found.others.append((extent.name, extent.versionID))
            }
        }
        found.extents = joined
        // Without its beginning it is no file.
        others[file] = joined.isEmpty ? nil : found
    }

    private mutating func enter(_ file: String) {
        var name = file[...]
        while let slash = name.lastIndex(of: "/") {
            let isNew = children[String(name[..<slash]), default: []].insert(
                String(name[name.index(after: slash)...])
            ).inserted
            guard isNew else { return }
            name = name[..<slash]
        }
        children["", default: []].insert(String(name))
    }

    /// As ``enter(_:)`` does, but for the name itself.
    private mutating func enterDirectory(of file: String) {
        guard let slash = file.lastIndex(of: "/") else { return }
        let directory = String(file[..<slash])
        guard children[directory] == nil else { return }
        children[directory] = []
        enter(directory)
    }

    package func isDirectory(_ name: String) -> Bool { name.isEmpty || children[name] != nil }

    /// Names in a directory.
    package func names(in directory: String) -> Set<String> {
        (children[directory] ?? []).union(blobs.names(in: directory))
    }

    package mutating func put(
        _ file: String, _ extents: [Extent], others left: [(name: String, versionID: String?)] = []
    ) {
        if let id = BlobObjects.id(of: file) {
            if left.isEmpty, extents.count == 1, blobs.put(id, extents[0]) {
                leave(file)
                return enterDirectory(of: file)
            }
            blobs.remove(id)
        }
        others[file] = RemoteFile(extents: extents, others: left)
        enter(file)
    }

    package mutating func append(_ extent: Extent, to file: String) {
        guard let known = self.file(file) else { return }
        put(file, known.extents + [extent], others: known.others)
    }

    /// Directories stay: one that is empty lists nothing.
    package mutating func remove(_ file: String) {
        if let id = BlobObjects.id(of: file) { blobs.remove(id) }
        leave(file)
    }

    private mutating func leave(_ file: String) {
        guard others.removeValue(forKey: file) != nil else { return }
        let slash = file.lastIndex(of: "/")
        let directory = slash.map { String(file[..<$0]) } ?? ""
        let name = slash.map { String(file[file.index(after: $0)...]) } ?? file
        children[directory]?.remove(name)
    }
}

extension Extent {
    fileprivate init(_ object: ListedObject, _ name: String, at offset: UInt64) {
        self.init(
            name: name, offset: offset, size: object.size, etag: object.etag, versionID: object.versionID,
            modified: object.modified)
    }

    /// As a listing showed it, as far as that matters to a tree.
    fileprivate var listed: ListedObject {
        ListedObject(key: name, size: size, etag: etag, versionID: versionID, modified: modified)
    }
}
