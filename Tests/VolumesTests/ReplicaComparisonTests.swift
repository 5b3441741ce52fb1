import Digests
import Model
import TestSupport
import Testing
import Volumes

@Suite struct ReplicaComparisonTests {
    /// Three volumes of one store on one simulated disk, each with the blob.
    private struct Stage {
        let disk = SimulatedFileSystem()
        let volumes: [DirectoryVolume]
        let data: [UInt8]

        init(_ byteCount: Int) throws {
            data = BlobFixture.data(byteCount)
            volumes = try (1...3).map { [disk] index in
                let identity = VolumeIdentity(
                    storeID: BlobFixture.identity.storeID, volumeID: VolumeID(high: 3, low: UInt64(index)),
                    index: index, created: Timestamp(microseconds: 5))
                return try DirectoryVolume.create(identity, at: "/v\(index)", fileSystem: disk)
            }
            for volume in volumes { try BlobFixture.write(data, to: volume) }
        }

        func path(_ index: Int) -> String { "/v\(index)/" + volumes[index - 1].path(of: BlobFixture.id) }

        var areGood: Bool {
            ReplicaComparison.areGood(
                BlobFixture.id, length: UInt64(data.count), sha256: SHA256.hash(data), on: volumes)
        }
    }

    @Test(arguments: [0, 1, 65_536, 65_537, 3 << 20 | 5])
    func wholeReplicasAreGood(_ byteCount: Int) throws {
        let stage = try Stage(byteCount)
        #expect(stage.areGood)
    }

    @Test(arguments: 1...3)
    func aBitThatDiffersInOneOfThemIsSeen(_ index: Int) throws {
        let stage = try Stage(2 << 20 | 77)
        for offset in [0, 65_535, 1 << 20, stage.data.count - 1] {
            let damaged = [stage.data[offset] ^ 1]
            try stage.disk.corrupt(stage.path(index), at: UInt64(offset), with: damaged)
            #expect(!stage.areGood, "byte \(offset)")
            try stage.disk.corrupt(stage.path(index), at: UInt64(offset), with: [stage.data[offset]])
            #expect(stage.areGood)
        }
    }

    @Test func replicasThatAreTheSameAndNotWhatTheLogSaysAreNotGood() throws {
        let stage = try Stage(200_000)
        for index in 1...3 { try stage.disk.corrupt(stage.path(index), at: 70_000, with: [1, 2, 3]) }
        #expect(!stage.areGood)
        #expect(
            !ReplicaComparison.areGood(
                BlobFixture.id, length: 200_000, sha256: SHA256.hash([1]), on: stage.volumes))
    }

    @Test(arguments: 1...3)
    func oneThatIsMissingOrCutOffOrAnotherVolumesIsSeen(_ index: Int) throws {
        let missing = try Stage(100_000)
        try missing.disk.remove(missing.path(index))
        #expect(!missing.areGood)

        let cut = try Stage(100_000)
        let bytes = try cut.disk.contents(of: cut.path(index))
        try cut.disk.replaceFile(cut.path(index), with: Array(bytes.dropLast(4096)))
        #expect(!cut.areGood)

        let foreign = try Stage(100_000)
        let other = index % 3 + 1
        try foreign.disk.replaceFile(
            foreign.path(index), with: try foreign.disk.contents(of: foreign.path(other)))
        #expect(!foreign.areGood)
    }
}
