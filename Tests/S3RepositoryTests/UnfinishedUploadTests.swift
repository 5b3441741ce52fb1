import Model
import ObjectStore
import S3Repository
import Snapshots
import TestSupport
import Testing
import Volumes

/// What is left at an endpoint of a process that was killed while it put a large file.
@Suite struct UnfinishedUploadTests {
    private static let prefix = "/backups/one"
    private static let blob = "backups/one/blobs/3f/a9/3fa90000000000000000000000000007"

    private func fileSystem(_ endpoint: SimulatedEndpoint, at second: Int? = nil) throws -> ObjectFileSystem {
        try endpoint.fileSystem(below: Self.prefix, at: second)
    }

    @Test func thoseOfTheRepositoryGoWhenTheyAreADayOld() throws {
        let endpoint = SimulatedEndpoint(keepsVersions: false)
        let old = [
            Self.blob, Self.blob, "backups/one/log/00000000000000000001.log",
            "backups/one/quarantine/log-1", "backups/one/snapshots/a.catalog.gz",
        ]
        for key in old { endpoint.begin(key, hours: 25) }
        // Somebody may be at it; nobody knows; and they are not the repository's.
        let others: [(String, UInt64?)] = [
            (Self.blob, 23), (Self.blob, nil), ("backups/one/film.bin", 25), ("backups/ones/log/1", 25),
            ("blobs/3f/a9/x", 25),
        ]
        for (key, hours) in others { endpoint.begin(key, hours: hours) }
        #expect(
            try fileSystem(endpoint).removeUnfinishedUploads() == UnfinishedUploads(removed: old.count))
        #expect(endpoint.uploads == others.map(\.0).sorted())
        #expect(try fileSystem(endpoint).removeUnfinishedUploads() == UnfinishedUploads())
    }

    @Test func atAMomentThatIsPastNoneGoes() throws {
        let endpoint = SimulatedEndpoint(keepsVersions: true)
        endpoint.begin(Self.blob, hours: 25)
        #expect(try fileSystem(endpoint, at: 1).removeUnfinishedUploads() == UnfinishedUploads())
        #expect(endpoint.uploads == [Self.blob])
    }

    @Test(arguments: [400, 403, 404, 405, 501])
    func anEndpointThatDoesNotListThemIsToldOfAndKeepsNobodyFromGoingOn(status: Int) throws {
        let endpoint = SimulatedEndpoint(keepsVersions: false)
        endpoint.refuseUploads(status)
        let outcome = try fileSystem(endpoint).removeUnfinishedUploads()
        #expect(outcome.removed == 0 && outcome.refusal?.contains("\(status)") == true)
    }

    /// As a server does it: what one snapshot has left, the next one removes, or the next prune.
    @Test func aSnapshotAndAPruneRemoveWhatAnEarlierOneHasLeft() async throws {
        let endpoint = SimulatedEndpoint(keepsVersions: false)
        let started = try await StartedStore()
        try await started.store.put(started.bucket, "large", [UInt8](repeating: 1, count: 70_000))
        // Its own: one process at a time uses a repository.
        let prefix = "/repository-\(OperationID.random())"
        func open() throws -> Repository {
            try Repository.open(
                "\(SimulatedEndpoint.directory)\(prefix)", of: started.store.storeID, creates: true,
                fileSystem: try endpoint.fileSystem(below: prefix))
        }
        let key = "\(prefix.dropFirst())/blobs/00/00/\(BlobID(high: 0, low: 1))"
        endpoint.begin(key, hours: 48)
        var repository = try open()
        let first = try await SnapshotCreation(started.store, repository).run(name: "one")
        #expect(first.uploads == UnfinishedUploads(removed: 1) && endpoint.uploads.isEmpty)
        repository.close()
        endpoint.begin(key, hours: 48)
        repository = try open()
        #expect(try SnapshotPruning(repository).run(keeping: RetentionRule(last: 1)).uploads.removed == 1)
        #expect(endpoint.uploads.isEmpty)
        repository.close()
        endpoint.refuseUploads(501)
        repository = try open()
        let second = try await SnapshotCreation(started.store, repository).run(name: "two")
        #expect(second.manifest.isComplete && second.uploads.refusal?.contains("501") == true)
        repository.close()
        started.store.close()
    }
}
