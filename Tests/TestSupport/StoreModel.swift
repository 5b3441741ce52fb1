import Digests
import Model
import ObjectStore

/// What S3 says a store holds, as simply as it can be said: the reference that random tests compare the engine
/// with. Nothing of it is shared with the engine.
package struct StoreModel: Sendable {
    package struct Version: Sendable {
        /// As on the wire; ``unknownID`` after an operation whose answer was lost.
        package var id: String
        package var isNull: Bool
        /// `nil` for a delete marker.
        package var bytes: [UInt8]?
        package var etag: String
        package var lock = Lock()

        package var wire: String { isNull ? "null" : id }
    }

    package struct Bucket: Sendable {
        package var versioning = VersioningState.off
        /// The versions of each key, newest first. A key without versions is not there.
        package var keys: [String: [Version]] = [:]
    }

    package struct Upload: Sendable {
        package let bucket: String
        package let key: String
        /// Earlier ones are smaller.
        package let number: Int
        package var parts: [Int: [UInt8]] = [:]
    }

    package enum Selector: Hashable, Sendable {
        case current
        case named(String)
    }

    package enum Condition: Hashable, Sendable {
        case none, absent
        case matches(String)
        case matchesNot(String)
    }

    package enum Operation: Sendable {
        case createBucket(String)
        case deleteBucket(String)
        case setVersioning(String, VersioningState)
        case put(String, String, [UInt8], Condition)
        case delete(String, String, Selector, bypass: Bool)
        case lock(String, String, Selector, Lock, bypass: Bool)
        case copy(String, String, Selector, to: String, String)
        case createUpload(String, String)
        case putPart(String, Int, [UInt8])
        case complete(String, [CompletedPart], Condition)
        case abort(String)
    }

    /// Why the store refuses.
    package enum Refusal: Error, Hashable, Sendable {
        case noSuchBucket, bucketExists, bucketNotEmpty, noSuchKey, noSuchVersion, isDeleteMarker
        case preconditionFailed, noSuchUpload, invalidPart, invalidPartOrder, partTooSmall, invalidState
        case locked
    }

    /// What an operation came to, without what the engine chooses at random.
    package struct Answer: Hashable, Sendable {
        package var etag: String?
        package var isNull: Bool?
        package var isDeleteMarker: Bool?

        package init(etag: String? = nil, isNull: Bool? = nil, isDeleteMarker: Bool? = nil) {
            self.etag = etag
            self.isNull = isNull
            self.isDeleteMarker = isDeleteMarker
        }
    }

    package static let unknownID = "?"

    package private(set) var buckets: [String: Bucket] = [:]
    package private(set) var uploads: [String: Upload] = [:]
    private var uploadCount = 0

    package init() {}

    /// - Parameter id: what the engine has called what the operation makes.
    package mutating func apply(_ operation: Operation, id: String) throws(Refusal) -> Answer {
        switch operation {
        case .createBucket(let name):
            guard buckets[name] == nil else { throw .bucketExists }
            buckets[name] = Bucket()
            return Answer()
        case .deleteBucket(let name):
            guard try bucket(name).keys.isEmpty else { throw .bucketNotEmpty }
            buckets[name] = nil
            uploads = uploads.filter { $0.value.bucket != name }
            return Answer()
        case .setVersioning(let name, let state):
            _ = try bucket(name)
            guard state != .off else { throw .invalidState }
            buckets[name]!.versioning = state
            return Answer()
        case .put(let name, let key, let bytes, let condition):
            try check(condition, try bucket(name).keys[key]?.first)
            return try place(bytes, etag: MD5.hash(bytes).hexadecimal, id, name, key)
        case .delete(let name, let key, let selector, let bypass):
            return try delete(name, key, selector, bypass: bypass, id)
        case .lock(let name, let key, let selector, let lock, let bypass):
            let version = try version(name, key, selector)
            guard version.lock.mayBecome(lock, bypass: bypass) else { throw .locked }
            let index = buckets[name]!.keys[key]!.firstIndex { $0.wire == version.wire }!
            buckets[name]!.keys[key]![index].lock = lock
            return Answer()
        case .copy(let name, let key, let selector, let toName, let toKey):
            let source = try version(name, key, selector)
            _ = try bucket(toName)
            return try place(source.bytes, etag: source.etag, id, toName, toKey)
        case .createUpload(let name, let key):
            _ = try bucket(name)
            uploadCount += 1
            uploads[id] = Upload(bucket: name, key: key, number: uploadCount)
            return Answer()
        case .putPart(let upload, let number, let bytes):
            guard uploads[upload] != nil else { throw .noSuchUpload }
            uploads[upload]!.parts[number] = bytes
            return Answer(etag: MD5.hash(bytes).hexadecimal)
        case .complete(let upload, let parts, let condition):
            return try complete(upload, parts, condition)
        case .abort(let upload):
            guard uploads.removeValue(forKey: upload) != nil else { throw .noSuchUpload }
            return Answer()
        }
    }

    /// What bringing back all that a state of the past showed comes to, over what is here now: buckets that are gone as
    /// they were, and a new version wherever something else is shown.
    /// - Parameter id: what the engine has called the new version of a bucket's key.
    package mutating func restore(
        _ past: StoreModel, id: (String, String) -> String
    ) throws(Refusal) {
        for (name, was) in past.buckets {
            if buckets[name] == nil {
                buckets[name] = Bucket()
                buckets[name]!.versioning = was.versioning
            }
            for (key, versions) in was.keys {
                guard let shown = versions.first, let bytes = shown.bytes else { continue }
                let current = buckets[name]!.keys[key]?.first
                if let present = current?.bytes, present == bytes, current?.etag == shown.etag { continue }
                _ = try place(bytes, etag: shown.etag, id(name, key), name, key)
            }
        }
    }

    package func version(_ name: String, _ key: String, _ selector: Selector) throws(Refusal) -> Version {
        let versions = try bucket(name).keys[key] ?? []
        switch selector {
        case .current:
            guard let first = versions.first, first.bytes != nil else { throw .noSuchKey }
            return first
        case .named(let wire):
            guard let found = versions.first(where: { $0.wire == wire }) else { throw .noSuchVersion }
            guard found.bytes != nil else { throw .isDeleteMarker }
            return found
        }
    }

    private func bucket(_ name: String) throws(Refusal) -> Bucket {
        guard let bucket = buckets[name] else { throw .noSuchBucket }
        return bucket
    }

    private func check(_ condition: Condition, _ newest: Version?) throws(Refusal) {
        let etag = newest?.bytes == nil ? nil : newest?.etag
        switch condition {
        case .none: return
        case .absent: if etag != nil { throw .preconditionFailed }
        case .matches(let wanted):
            guard let etag else { throw .noSuchKey }
            if etag != wanted { throw .preconditionFailed }
        case .matchesNot(let unwanted): if etag == unwanted { throw .preconditionFailed }
        }
    }

    /// A version, or a delete marker, comes to the front.
    private mutating func place(_ bytes: [UInt8]?, etag: String, _ id: String, _ name: String, _ key: String)
        throws(Refusal) -> Answer
    {
        let isNull = buckets[name]!.versioning != .enabled
        var versions = buckets[name]!.keys[key] ?? []
        if isNull {
            if versions.contains(where: { $0.isNull && $0.lock.holds(bypass: false) }) { throw .locked }
            versions.removeAll(where: \.isNull)
        }
        versions.insert(Version(id: id, isNull: isNull, bytes: bytes, etag: etag), at: 0)
        buckets[name]!.keys[key] = versions
        return bytes == nil
            ? Answer(isNull: isNull, isDeleteMarker: true) : Answer(etag: etag, isNull: isNull)
    }

    private mutating func delete(
        _ name: String, _ key: String, _ selector: Selector, bypass: Bool, _ id: String
    ) throws(Refusal) -> Answer {
        var versions = try bucket(name).keys[key] ?? []
        if case .named(let wire) = selector {
            if versions.contains(where: { $0.wire == wire && $0.lock.holds(bypass: bypass) }) {
                throw .locked
            }
            let wasMarker = versions.first { $0.wire == wire }.map { $0.bytes == nil } ?? false
            versions.removeAll { $0.wire == wire }
            buckets[name]!.keys[key] = versions.isEmpty ? nil : versions
            return Answer(isDeleteMarker: wasMarker)
        }
        if buckets[name]!.versioning == .off {
            if versions.contains(where: { $0.lock.holds(bypass: bypass) }) { throw .locked }
            buckets[name]!.keys[key] = nil
            return Answer(isDeleteMarker: false)
        }
        return try place(nil, etag: "", id, name, key)
    }

    private mutating func complete(_ id: String, _ parts: [CompletedPart], _ condition: Condition)
        throws(Refusal) -> Answer
    {
        guard let upload = uploads[id] else { throw .noSuchUpload }
        for (named, next) in zip(parts, parts.dropFirst()) where next.number <= named.number {
            throw .invalidPartOrder
        }
        var chosen: [[UInt8]] = []
        for part in parts {
            guard let bytes = upload.parts[part.number], MD5.hash(bytes).hexadecimal == part.etag else {
                throw .invalidPart
            }
            chosen.append(bytes)
        }
        guard !chosen.isEmpty else { throw .invalidPart }
        if chosen.dropLast().contains(where: { $0.count < Int(Limits.minimumPartByteCount) }) {
            throw .partTooSmall
        }
        try check(condition, buckets[upload.bucket]!.keys[upload.key]?.first)
        let etag = "\(MD5.hash(chosen.flatMap { MD5.hash($0) }).hexadecimal)-\(chosen.count)"
        let answer = try place(chosen.flatMap { $0 }, etag: etag, id, upload.bucket, upload.key)
        uploads[id] = nil
        return answer
    }

    /// Gives what an operation without an answer has made the name under which it is found.
    package mutating func name(version id: String, in bucket: String, _ key: String) {
        guard let index = buckets[bucket]?.keys[key]?.firstIndex(where: { $0.id == Self.unknownID }) else {
            return
        }
        buckets[bucket]!.keys[key]![index].id = id
    }

    package mutating func name(upload id: String) {
        if let upload = uploads.removeValue(forKey: Self.unknownID) { uploads[id] = upload }
    }

    // MARK: Listings

    package struct Listing: Hashable, Sendable {
        /// "key" or "key versionId etag", a common prefix with its delimiter.
        package var items: [String] = []
        package var isTruncated = false

        package init() {}
    }

    /// A page of current objects, or of all versions, in the order of the keys' bytes.
    package func list(
        _ name: String, prefix: String, delimiter: String, after: String, limit: Int, versions: Bool
    ) -> Listing {
        var listing = Listing()
        var lastPrefix: String?
        let keys = (buckets[name]?.keys ?? [:]).keys.sorted {
            Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8))
        }
        for key in keys where key.hasPrefix(prefix) {
            let rest = key.dropFirst(prefix.count)
            var rows: [String] = []
            if !delimiter.isEmpty, let range = rest.firstRange(of: delimiter) {
                let common = prefix + rest[..<range.upperBound]
                let isShown = versions || buckets[name]!.keys[key]!.first?.bytes != nil
                guard isShown, common != lastPrefix, after != common, precedes(after, key) else { continue }
                lastPrefix = common
                rows = [common]
            } else {
                guard precedes(after, key) else { continue }
                let all = buckets[name]!.keys[key]!
                let shown = versions ? all : all.prefix(1).filter { $0.bytes != nil }
                rows = shown.map { "\(key) \($0.wire) \($0.etag)" }
            }
            for row in rows {
                if listing.items.count == limit {
                    listing.isTruncated = true
                    return listing
                }
                listing.items.append(row)
            }
        }
        return listing
    }

    private func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
