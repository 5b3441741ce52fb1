import Model
import ObjectStore
import Volumes

extension StoreModel.Refusal {
    /// - Returns: `nil` if the error is no refusal: the store could not do it.
    package init?(_ error: any Error) {
        guard let error = error as? StoreError else { return nil }
        switch error {
        case .noSuchBucket: self = .noSuchBucket
        case .bucketExists: self = .bucketExists
        case .bucketNotEmpty: self = .bucketNotEmpty
        case .noSuchKey: self = .noSuchKey
        case .noSuchVersion: self = .noSuchVersion
        case .isDeleteMarker: self = .isDeleteMarker
        case .preconditionFailed: self = .preconditionFailed
        case .noSuchUpload: self = .noSuchUpload
        case .invalidPart: self = .invalidPart
        case .invalidPartOrder: self = .invalidPartOrder
        case .partTooSmall: self = .partTooSmall
        case .invalidState: self = .invalidState
        case .locked: self = .locked
        default: return nil
        }
    }
}

/// Carries the model's operations out on a store.
package struct ModelDriver: Sendable {
    package let store: ObjectStore
    /// Where each upload that the model knows of is.
    package let uploads: [String: StoreModel.Upload]

    package init(_ store: ObjectStore, _ model: StoreModel) {
        self.store = store
        uploads = model.uploads
    }

    /// - Returns: what it came to, and the name the engine chose for what it made.
    package func apply(_ operation: StoreModel.Operation) async throws -> (StoreModel.Answer, id: String) {
        switch operation {
        case .createBucket(let name):
            _ = try await store.createBucket(try BucketName(name), region: "r", actor: tester)
            return (.init(), "")
        case .deleteBucket(let name):
            _ = try await store.deleteBucket(try BucketName(name), actor: tester)
            return (.init(), "")
        case .setVersioning(let name, let state):
            _ = try await store.configureBucket(
                try BucketName(name), setting: "versioning", value: Array(state.rawValue.utf8), actor: tester)
            return (.init(), "")
        case .put(let name, let key, let bytes, let condition):
            let put = try await store.put(
                try BucketName(name), key, bytes, conditions: conditions(condition))
            return answer(put.value)
        case .lock(let name, let key, let selector, let lock, let bypass):
            let version = try store.version(
                try BucketName(name), try ObjectKey(key), try self.selector(selector))
            _ = try await store.amend(version, actor: tester, bypassesGovernance: bypass) {
                lock.apply(to: &$0)
            }
            return (.init(), "")
        case .delete(let name, let key, let selector, let bypass):
            let deletion = try await store.delete(
                try BucketName(name), try ObjectKey(key), try self.selector(selector), conditions: .none,
                bypassesGovernance: bypass, actor: tester)
            guard selector == .current, deletion.isDeleteMarker else {
                return (.init(isDeleteMarker: deletion.isDeleteMarker), "")
            }
            let isNull = deletion.versionID == "null"
            return (.init(isNull: isNull, isDeleteMarker: true), deletion.versionID ?? "")
        case .copy(let name, let key, let selector, let toName, let toKey):
            let source = try store.version(
                try BucketName(name), try ObjectKey(key), try self.selector(selector))
            let copy = try await store.copy(
                source, to: try BucketName(toName), try ObjectKey(toKey), metadata: EventMetadata(),
                checksums: [], conditions: .none, actor: tester)
            return answer(copy.value)
        case .createUpload(let name, let key):
            let upload = try await store.createUpload(
                try BucketName(name), try ObjectKey(key), metadata: EventMetadata(),
                checksumAlgorithm: .unspecified, composite: false, actor: tester)
            return (.init(), upload.value.uploadID.description)
        case .putPart(let upload, let number, let bytes):
            let (name, key, id) = try place(upload)
            let part = try await store.putPart(name, key.rawValue, id, number, bytes)
            return (.init(etag: part.etag), "")
        case .complete(let upload, let parts, let condition):
            let (name, key, id) = try place(upload)
            let done = try await store.completeUpload(
                name, key, id, parts: parts, checksums: [], conditions: conditions(condition), actor: tester)
            return answer(done.value)
        case .abort(let upload):
            let (name, key, id) = try place(upload)
            _ = try await store.abortUpload(name, key, id, actor: tester)
            return (.init(), "")
        }
    }

    private func answer(_ version: ObjectVersion) -> (StoreModel.Answer, id: String) {
        (.init(etag: version.etag, isNull: version.isNull), version.versionID.description)
    }

    private func place(_ upload: String) throws -> (BucketName, ObjectKey, UploadID) {
        guard let place = uploads[upload], let id = UploadID(upload) else {
            throw StoreError.noSuchUpload(UploadID(upload) ?? .random())
        }
        return (try BucketName(place.bucket), try ObjectKey(place.key), id)
    }

    private func conditions(_ condition: StoreModel.Condition) -> WriteConditions {
        switch condition {
        case .none: .none
        case .absent: WriteConditions(ifNoneMatch: .any)
        case .matches(let etag): WriteConditions(ifMatch: .tags([etag]))
        case .matchesNot(let etag): WriteConditions(ifNoneMatch: .tags([etag]))
        }
    }

    package func selector(_ selector: StoreModel.Selector) throws -> VersionSelector {
        switch selector {
        case .current: return .current
        case .named(let wire):
            guard let found = VersionSelector(wire: wire) else {
                throw StoreError.noSuchVersion(try ObjectKey("?"), wire)
            }
            return found
        }
    }

    /// A page of a listing in the model's form, with the version id that each row shows.
    package func list(
        _ name: String, prefix: String, delimiter: String, after: String, limit: Int, versions: Bool
    ) throws -> StoreModel.Listing {
        let bucket = try BucketName(name)
        let page =
            versions
            ? try store.listVersions(
                bucket, prefix: prefix, delimiter: delimiter, keyMarker: after, versionMarker: nil,
                limit: limit)
            : try store.listCurrent(bucket, prefix: prefix, delimiter: delimiter, after: after, limit: limit)
        var listing = StoreModel.Listing()
        listing.isTruncated = page.isTruncated
        listing.items = page.items.map { item in
            switch item {
            case .prefix(let common): common
            case .version(let version): "\(version.key) \(version.wireVersionID) \(version.etag)"
            }
        }
        return listing
    }
}

extension StoreModel.Lock {
    func apply(to metadata: inout EventMetadata) {
        metadata.legalHold = isHeld
        guard let mode else { return metadata.clearRetention() }
        metadata.retention.mode = mode == .governance ? .governance : .compliance
        metadata.retention.untilMicroseconds = until
    }

    init(_ metadata: EventMetadata) {
        self.init(isHeld: metadata.legalHold)
        guard metadata.hasRetention else { return }
        mode = metadata.retention.mode == .governance ? .governance : .compliance
        until = metadata.retention.untilMicroseconds
    }
}

extension StoreModel {
    /// Everything that differs between the model and a store: each bucket, version and byte, each upload and part.
    package func differences(from store: ObjectStore) async throws -> [String] {
        let driver = ModelDriver(store, self)
        var differences: [String] = []
        let names = try store.buckets().map(\.name.rawValue)
        if names != buckets.keys.sorted() { differences.append("buckets are \(names)") }
        for (name, bucket) in buckets where names.contains(name) {
            if try store.bucket(try BucketName(name)).versioning != bucket.versioning {
                differences.append("versioning of \(name)")
            }
            for versions in [false, true] {
                let expected = list(
                    name, prefix: "", delimiter: "", after: "", limit: 10_000, versions: versions)
                let found = try driver.list(
                    name, prefix: "", delimiter: "", after: "", limit: 10_000, versions: versions)
                if found != expected {
                    differences.append("\(name): lists \(found.items), not \(expected.items)")
                }
            }
            for (key, versions) in bucket.keys {
                for version in versions {
                    guard let bytes = version.bytes else { continue }
                    do {
                        let found = try await store.get(
                            try BucketName(name), key, try driver.selector(.named(version.wire)))
                        if found != bytes {
                            differences.append("\(name)/\(key) \(version.wire): other bytes")
                        }
                        let kept = try store.version(
                            try BucketName(name), try ObjectKey(key),
                            try driver.selector(.named(version.wire)))
                        if Lock(kept.record.metadata) != version.lock {
                            differences.append("\(name)/\(key) \(version.wire): other lock")
                        }
                    } catch { differences.append("\(name)/\(key) \(version.wire): \(error)") }
                }
            }
            let found = try store.listUploads(
                try BucketName(name), prefix: "", delimiter: "", keyMarker: "", uploadMarker: nil,
                limit: 10_000
            ).items.compactMap {
                if case .upload(let upload) = $0 { upload.uploadID.description } else { nil }
            }
            let expected = uploads.filter { $0.value.bucket == name }.keys
            if Set(found) != Set(expected) {
                differences.append("\(name): uploads \(found.sorted()), not \(expected.sorted())")
            }
        }
        for (id, upload) in uploads {
            guard let uploadID = UploadID(id) else { continue }
            let found = try store.parts(of: uploadID, after: 0, limit: 10_000).map {
                "\($0.number) \($0.piece.length)"
            }
            let expected = upload.parts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.count)" }
            if found != expected { differences.append("upload \(id): parts \(found), not \(expected)") }
        }
        return differences
    }
}

extension StoreModel {
    /// Settles what became of an operation whose answer was lost: the model without it or with it, whichever the
    /// store agrees with.
    /// - Returns: what differs from both; none if the model now says what the store holds.
    package mutating func settle(_ doubtful: Operation?, by store: ObjectStore) async throws -> [String] {
        let without = try await differences(from: store)
        guard !without.isEmpty, let doubtful else { return without }
        var with = self
        do { _ = try with.apply(doubtful, id: Self.unknownID) } catch { return without }
        try with.findNames(in: store)
        let found = try await with.differences(from: store)
        if found.isEmpty { self = with }
        return found.isEmpty ? [] : ["without \(doubtful): \(without)", "with it: \(found)"]
    }

    private mutating func findNames(in store: ObjectStore) throws {
        for (name, bucket) in buckets {
            guard let bucketName = try? BucketName(name), (try? store.bucket(bucketName)) != nil else {
                continue
            }
            for (key, versions) in bucket.keys where versions.contains(where: { $0.id == Self.unknownID }) {
                let page = try store.listVersions(
                    bucketName, prefix: key, delimiter: "", keyMarker: "", versionMarker: nil, limit: 1000)
                for case .version(let listed) in page.items
                where listed.key.rawValue == key && listed.isLatest {
                    self.name(version: listed.versionID.description, in: name, key)
                }
            }
            let known = Set(uploads.keys)
            let page = try store.listUploads(
                bucketName, prefix: "", delimiter: "", keyMarker: "", uploadMarker: nil, limit: 1000)
            for case .upload(let upload) in page.items where !known.contains(upload.uploadID.description) {
                self.name(upload: upload.uploadID.description)
            }
        }
    }
}
