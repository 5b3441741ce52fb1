import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// A store on a simulated file system, its lanes run inline, its catalog in a temporary directory.
package final class StoreFixture: Sendable {
    package let settings: StoreSettings
    private let clockReading = Mutex<UInt64>(1_000_000)

    /// - Parameter configure: changes what tests use.
    package init(_ configure: (inout StoreSettings) -> Void = { _ in }) throws {
        // In memory where there is such a place: what the catalog's file costs is not what is tested.
        let memory = "/dev/shm"
        let isThere = FileManager.default.isWritableFile(atPath: memory)
        let parent = isThere ? memory : FileManager.default.temporaryDirectory.path
        let state = parent + "/holdfast-test-\(UniqueID<Never>.random())"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        var settings = StoreSettings(
            stateDirectory: state, volumePaths: ["/volume-1", "/volume-2", "/volume-3"])
        settings.segmentByteCount = 512 * 1024
        settings.uploadBufferCount = 8
        settings.catalogReaders = 1
        configure(&settings)
        self.settings = settings
    }

    deinit { try? FileManager.default.removeItem(atPath: settings.stateDirectory) }

    package func environment(_ fileSystem: any FileSystem) -> StoreEnvironment {
        StoreEnvironment(
            fileSystem: fileSystem,
            clock: { [self] in
                Timestamp(
                    microseconds: clockReading.withLock {
                        $0 += 1
                        return $0
                    })
            }, makeLane: { _ in InlineLane() })
    }

    /// Lets time pass.
    package func advance(seconds: UInt64) { clockReading.withLock { $0 += seconds * 1_000_000 } }

    package func create(_ fileSystem: any FileSystem) throws {
        try ObjectStore.create(settings, environment(fileSystem))
    }

    package func open(_ fileSystem: any FileSystem) async throws -> ObjectStore {
        try await ObjectStore.open(settings, environment(fileSystem))
    }

    package func forgetCatalog() throws {
        for suffix in ["", "-wal", "-shm"] {
            let path = settings.catalogPath + suffix
            if FileManager.default.fileExists(atPath: path) {
                try FileManager.default.removeItem(atPath: path)
            }
        }
    }
}

/// A store that is open, with one bucket in it.
package struct StartedStore: Sendable {
    package let fixture: StoreFixture
    package let disk: SimulatedFileSystem
    package let store: ObjectStore
    package let bucket: BucketName

    package init(_ configure: (inout StoreSettings) -> Void = { _ in }) async throws {
        fixture = try StoreFixture(configure)
        disk = SimulatedFileSystem()
        try fixture.create(disk)
        store = try await fixture.open(disk)
        bucket = try BucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
    }

    /// Arms a fault on one volume.
    @discardableResult
    package func strike(
        _ volume: Int, _ effect: FaultEffect, on operations: Set<SimulatedOperation>,
        below folder: String = "",
        skip: Int = 0, times: Int? = nil
    ) -> Int {
        let prefix = "/volume-\(volume)/\(folder)"
        return disk.inject(Fault(effect, on: operations, skip: skip, times: times) { $0.hasPrefix(prefix) })
    }

    package var standings: [VolumeStatus.Standing] { store.volumeStatuses.map(\.standing) }

    /// The blobs of each volume, by file name.
    package func blobs() throws -> [[String]] {
        try (1...3).map { volume in
            try disk.files(below: "/volume-\(volume)/blobs").compactMap {
                $0.split(separator: "/").last.map(String.init)
            }
        }
    }

    /// What every volume must agree on when nothing is under way: the same blobs, and nothing in incoming/.
    package func halfThere() throws -> [String] {
        let blobs = try blobs()
        var found = blobs[0] == blobs[1] && blobs[1] == blobs[2] ? [] : ["the volumes hold \(blobs)"]
        for volume in 1...3 { found += try disk.files(below: "/volume-\(volume)/incoming") }
        return found
    }
}

extension SimulatedFileSystem {
    package func files(below directory: String) throws -> [String] {
        try paths(below: directory).filter { !$0.hasSuffix("/") }
    }

    /// Removes everything in a directory, for good.
    package func empty(_ directory: String) throws {
        let paths = try paths(below: directory)
        for path in paths where !path.hasSuffix("/") { try remove(path) }
        for path in paths.filter({ $0.hasSuffix("/") }).sorted(by: { $0.count > $1.count }) {
            try removeDirectory(String(path.dropLast()))
        }
        try syncDirectory(directory)
    }
}

package let tester = Actor(id: "tester", displayName: "Tester", requestID: "r1")

package func bucketName(_ name: String) throws -> BucketName { try BucketName(name) }

extension ObjectStore {
    @discardableResult
    package func put(
        _ bucket: BucketName, _ key: String, _ bytes: [UInt8], conditions: WriteConditions = .none
    ) async throws -> Committed<ObjectVersion> {
        let target = UploadTarget(
            bucket: bucket, key: try ObjectKey(key), metadata: EventMetadata(), actor: tester, part: nil,
            expectedLength: UInt64(bytes.count), checksum: nil)
        let upload = beginUpload(target)
        do {
            try await upload.write(bytes)
            _ = try await upload.finish()
            return try await publish(upload, conditions: conditions, checksums: [])
        } catch {
            await upload.discard()
            throw error
        }
    }

    package func putPart(_ bucket: BucketName, _ key: String, _ id: UploadID, _ number: Int, _ bytes: [UInt8])
        async throws -> UploadedPart
    {
        let target = UploadTarget(
            bucket: bucket, key: try ObjectKey(key), metadata: EventMetadata(), actor: tester,
            part: .init(uploadID: id, number: number), expectedLength: UInt64(bytes.count), checksum: nil)
        let upload = beginUpload(target)
        do {
            try await upload.write(bytes)
            _ = try await upload.finish()
            return try await publishPart(upload, checksum: nil).value
        } catch {
            await upload.discard()
            throw error
        }
    }

    package func read(_ version: ObjectVersion, _ range: Range<UInt64>? = nil, step: Int = 100_000)
        async throws
        -> [UInt8]
    {
        let reader = reader(of: version, range: range ?? 0..<version.size)
        var bytes: [UInt8] = []
        let buffer = AlignedBuffer(capacity: (step + 4095) / 4096 * 4096)
        while true {
            let count = try await reader.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<step]))
            if count == 0 { return bytes }
            bytes += buffer.bytes[0..<count]
        }
    }

    package func get(_ bucket: BucketName, _ key: String, _ selector: VersionSelector = .current) async throws
        -> [UInt8]
    {
        try await read(try version(bucket, try ObjectKey(key), selector))
    }
}
