import Catalog
import Foundation
import Model
import ObjectStore
import S3
import S3Repository
import Volumes

/// Whom imported objects can belong to.
public struct ImportUsers: Sendable {
    let named: @Sendable (String) -> ObjectOwner?
    let displayName: @Sendable (String) -> String?
    let root: ObjectOwner

    /// - Parameters:
    ///   - named: finds one by name.
    ///   - displayName: of one by canonical id.
    ///   - root: who owns a bucket that is made for an import that names no owner.
    public init(
        named: @escaping @Sendable (String) -> ObjectOwner?,
        displayName: @escaping @Sendable (String) -> String?, root: ObjectOwner
    ) {
        self.named = named
        self.displayName = displayName
        self.root = root
    }
}

/// Brings a directory tree, or a bucket of another S3 server, into a store that is open.
///
/// First it looks at all that is there, without reading it: whose it is and how much. An owner whom nobody is named for ends
/// it there, before anything is written. Then it goes through it again, some objects at a time: what the store has is passed
/// over, the rest is read, compared with what the source says of it, and published by one event each. So an import that was
/// cut off is finished by giving it again.
public struct Import: Sendable {
    /// Owners without a user that a refusal tells, and that are looked for.
    private static let toldCount = 20
    private static let unmappedCount = 10_000
    /// Bytes of a file of owners.
    private static let ownersByteCount = 16 * 1024 * 1024

    private let store: ObjectStore
    private let order: ImportOrder
    private let settings: S3Settings
    private let users: ImportUsers
    private let executor: any TaskExecutor
    /// Makes who asks an endpoint.
    package var connect: @Sendable (S3Location) throws -> S3Client = { location in
        try S3Client(location, try S3Credentials.find(for: location))
    }

    /// - Parameters:
    ///   - settings: what the store's server says of new buckets and their encryption.
    ///   - executor: of threads that may wait for disks and networks.
    public init(
        _ store: ObjectStore, _ order: ImportOrder, settings: S3Settings, users: ImportUsers,
        executor: any TaskExecutor
    ) {
        precondition(
            (1...ImportOrder.parallelLimit).contains(order.parallel), "who makes an order checks it")
        self.store = store
        self.order = order
        self.settings = settings
        self.users = users
        self.executor = executor
    }

    /// Where it comes from, as often as it is gone through.
    fileprivate enum Source: Sendable {
        case folder(String)
        case bucket(S3Client)
    }

    /// - Parameter report: told what became of each object, in the order in which they are done.
    /// - Throws: ``ImportRefusal``, ``S3ClientError``, ``StoreError``; what goes wrong with one object is its outcome.
    public func run(
        report: (ImportOutcome) throws -> Void, progress: (Double) -> Void = { _ in }
    ) async throws -> ImportSummary {
        let source = try source()
        let target = try target()
        let total = try survey(source, target)
        let sums = try order.sums.map { try ReferenceTable(reading: $0) }
        if !order.isDryRun { try await makeBucket(target) }
        return try await bring(source, target, sums, total: total, report, progress)
    }

    // MARK: Before anything is written

    private func source() throws -> Source {
        guard S3Location.isLocation(order.source) else {
            try refuseOwnFiles(order.source)
            return .folder(order.source)
        }
        return .bucket(try connect(try S3Location(order.source)))
    }

    private func walk(_ source: Source) throws -> any ImportWalk {
        switch source {
        case .folder(let folder): try FolderWalk(folder, followsLinks: order.followsLinks)
        case .bucket(let client): BucketWalk(client, hasEveryVersion: order.hasEveryVersion)
        }
    }

    private func target() throws -> ImportTarget {
        let name = try BucketName(order.bucket)
        let bucket = try existing(name)
        if let bucket, order.hasEveryVersion, bucket.versioning != .enabled {
            throw ImportRefusal.notVersioned(bucket: name.rawValue)
        }
        let map = try order.owner.map(OwnerMap.init(all:)) ?? order.owners.map(Self.owners)
        var named: [String: ObjectOwner] = [:]
        for user in map?.users ?? [] {
            guard let found = users.named(user) else {
                throw ImportRefusal.unknownUser(
                    user, use: order.owner == nil ? "the owners' file" : "--owner")
            }
            named[user] = found
        }
        let holder = bucket.map {
            ObjectOwner(id: $0.owner, displayName: users.displayName($0.owner) ?? $0.owner)
        }
        if let bucket, let holder, named.values.contains(where: { $0.id != holder.id }),
            BucketTerms(bucket, settings).isOwnerEnforced
        {
            throw ImportRefusal.ownerEnforced(bucket: name.rawValue, owner: holder.displayName)
        }
        return ImportTarget(
            store: store, order: order, bucket: name, settings: settings,
            pace: BytePace(rate: order.rate), map: map, users: named,
            standardOwner: holder ?? order.owner.flatMap { named[$0] } ?? users.root)
    }

    private func existing(_ name: BucketName) throws -> Bucket? {
        do { return try store.bucket(name) } catch StoreError.noSuchBucket { return nil }
    }

    private static func owners(_ path: String) throws -> OwnerMap {
        let text: Data
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            text = try file.read(upToCount: ownersByteCount + 1) ?? Data()
        } catch { throw ImportRefusal.badSource(path, reason: error.localizedDescription) }
        guard text.count <= ownersByteCount, let decoded = String(validating: text, as: UTF8.self) else {
            throw ImportRefusal.badSource(path, reason: "it is no text, or is larger than 16 MiB")
        }
        return try OwnerMap(decoded)
    }

    /// A store that takes itself in would never end.
    private func refuseOwnFiles(_ folder: String) throws {
        let taken = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path + "/"
        let own = [store.inspection.stateDirectory] + store.inspection.volumePaths
        for directory in own {
            let path = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path + "/"
            guard !path.hasPrefix(taken), !taken.hasPrefix(path) else {
                throw ImportRefusal.badSource(folder, reason: "the store's own files are there: \(directory)")
            }
        }
    }

    /// Goes through the source once without reading it.
    /// - Returns: its bytes.
    /// - Throws: ``ImportRefusal/unmappedOwners(_:count:)``.
    private func survey(_ source: Source, _ target: ImportTarget) throws -> UInt64 {
        var bytes: UInt64 = 0
        var unmapped: Set<String> = []
        let walk = try walk(source)
        while let item = try walk.next() {
            try Task.checkCancellation()
            for held in item.holdings {
                bytes += held.size
                let name = source.name(held.name)
                if unmapped.count < Self.unmappedCount, target.owner(of: name, held.owner) == nil {
                    unmapped.insert(OwnerMap.unmapped(name, owner: held.owner))
                }
            }
        }
        guard unmapped.isEmpty else {
            throw ImportRefusal.unmappedOwners(
                Array(unmapped.sorted().prefix(Self.toldCount)), count: unmapped.count)
        }
        return bytes
    }

    /// Makes the bucket, where it is not there.
    private func makeBucket(_ target: ImportTarget) async throws {
        guard try existing(target.bucket) == nil else { return }
        let owner = target.standardOwner
        let settings = BucketTerms.ofNewBucket(
            settings, keepsOwners: target.users.values.contains { $0.id != owner.id },
            keepsVersions: order.hasEveryVersion)
        do {
            _ = try await store.createBucket(
                target.bucket, region: self.settings.region, settings: settings,
                actor: Actor(id: owner.id, displayName: owner.displayName, requestID: ""))
        } catch StoreError.bucketExists {
            throw StoreError.busy("somebody made bucket \(target.bucket) meanwhile")
        }
    }

    // MARK: Bringing

    /// Some objects at a time, one task for each.
    @inline(never)
    private func bring(
        _ source: Source, _ target: ImportTarget, _ sums: ReferenceTable?, total: UInt64,
        _ report: (ImportOutcome) throws -> Void, _ progress: (Double) -> Void
    ) async throws -> ImportSummary {
        let work = source.work(target, sums, namesVersions: order.hasEveryVersion)
        let walk = try walk(source)
        var summary = ImportSummary()
        var seen: UInt64 = 0
        func note(_ outcomes: [ImportOutcome]) throws {
            for outcome in outcomes {
                summary.add(outcome)
                seen += outcome.size
                try report(outcome)
            }
            progress(min(1, Double(seen) / Double(max(1, total))))
        }
        try await withThrowingTaskGroup(of: [ImportOutcome].self) { group in
            var running = 0
            while let item = try walk.next() {
                try Task.checkCancellation()
                if running == order.parallel, let done = try await group.next() {
                    running -= 1
                    try note(done)
                }
                group.addTask(executorPreference: executor) { await work(item) }
                running += 1
            }
            while let done = try await group.next() { try note(done) }
        }
        if let sums, case .folder(let folder) = source {
            try Self.missing(sums, folder, followsLinks: order.followsLinks) { try note([$0]) }
        }
        return summary
    }

    /// Files that the sums name, and that the walk did not come to.
    private static func missing(
        _ sums: ReferenceTable, _ folder: String, followsLinks: Bool, _ body: (ImportOutcome) throws -> Void
    ) throws {
        var last: ReferenceRow?
        while true {
            let page = try sums.rows(of: "", after: last, limit: 1000)
            for row in page {
                guard let reason = obstacle(to: row.key, in: folder, followsLinks: followsLinks) else {
                    continue
                }
                try body(
                    ImportOutcome(
                        .failed, row.key, detail: "line \(row.line) of the sums names it: \(reason)"))
            }
            guard let end = page.last, page.count == 1000 else { return }
            last = end
        }
    }

    /// Why the walk did not come to a name; `nil` if it did.
    private static func obstacle(to name: String, in folder: String, followsLinks: Bool) -> String? {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        var path = folder
        for (index, part) in parts.enumerated() {
            // It may lead to a file; the walk has another name for that.
            guard !part.isEmpty, part != ".", part != ".." else {
                return "no file below the folder is named so"
            }
            path += "/\(part)"
            let kind: FileStamp.Kind
            do throws(FileSystemError) {
                kind = try FileStamp.of(RawPath(path), followsLinks: followsLinks).kind
            } catch { return "\(error)" }
            switch kind {
            case .link: return "\(path) is a symbolic link, which was not told to be followed"
            case .file where index == parts.count - 1: return nil
            case .directory where index < parts.count - 1: continue
            case .file, .directory, .other:
                return "\(path) is no \(index == parts.count - 1 ? "file" : "directory")"
            }
        }
        return nil
    }
}

extension Import.Source {
    /// Relative to what is imported.
    fileprivate func name(_ found: String) -> String {
        switch self {
        case .folder: found
        case .bucket(let client): client.location.name(ofKey: found)
        }
    }

    /// What is done with each thing that is found.
    fileprivate func work(
        _ target: ImportTarget, _ sums: ReferenceTable?, namesVersions: Bool
    ) -> @Sendable (ImportItem) async -> [ImportOutcome] {
        let files = FileImport(target: target, sums: sums)
        let objects: ObjectImport? =
            if case .bucket(let client) = self {
                ObjectImport(
                    target: target, client: client,
                    namesVersions: namesVersions || client.location.moment != nil)
            } else { nil }
        return { item in
            switch item {
            case .passedOver(let outcome): return [outcome]
            case .file(let file): return [await files.bring(file)]
            case .object(let object):
                guard let objects else { preconditionFailure("a folder has no objects") }
                return [await objects.bring(object)]
            case .history(let versions):
                guard let objects else { preconditionFailure("a folder has no versions") }
                return await objects.bring(versions)
            }
        }
    }
}

extension S3Location {
    /// A key without the place's prefix.
    func name(ofKey key: String) -> String {
        prefix.isEmpty ? key : String(decoding: key.utf8.dropFirst(prefix.utf8.count + 1), as: UTF8.self)
    }
}
