import Foundation
import Model
import S3Repository
import Testing
import Volumes

/// What is on its way to an endpoint lies in scratch files.
@Suite struct ScratchFileTests {
    private static let path = "\(SimulatedEndpoint.directory)/incoming/1"
    private static let published = "\(SimulatedEndpoint.directory)/blobs/1"
    private static let bytes = (0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    /// An endpoint that has nothing, and a file that was written and is on its way there.
    private struct Stage {
        let endpoint: SimulatedEndpoint
        let fileSystem: ObjectFileSystem
        let file: any File
        /// The directory of scratch files.
        let scratch: String

        var scratchFiles: [String] {
            get throws { try FileManager.default.contentsOfDirectory(atPath: scratch) }
        }
    }

    private func withStage(_ body: (Stage) throws -> Void) throws {
        let scratch = FileManager.default.temporaryDirectory.path + "/scratch-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: scratch) } }
        let endpoint = SimulatedEndpoint(keepsVersions: false)
        let fileSystem = try endpoint.fileSystem(scratch: scratch)
        let file = try fileSystem.open(Self.path, [.write, .createNew], permissions: 0o600)
        try file.write(Self.bytes, at: 0)
        try body(Stage(endpoint: endpoint, fileSystem: fileSystem, file: file, scratch: scratch))
    }

    @Test func aScratchFileHasNoNameThatCouldOutliveItsProcess() throws {
        try withStage { stage in
            let fileSystem = stage.fileSystem
            #expect(try stage.scratchFiles == [])
            #expect(try fileSystem.status(of: Self.path)?.size == 5000)
            stage.file.close()

            #expect(throws: FileSystemError.self) {
                try fileSystem.open(Self.path, [.write, .createNew], permissions: 0o600)
            }
            #expect(try fileSystem.contents(of: Self.path) == Self.bytes)
            try fileSystem.link(Self.path, to: Self.published)
            let reader = try fileSystem.open(Self.path, [], permissions: 0)
            try fileSystem.remove(Self.path)
            #expect(try fileSystem.status(of: Self.path) == nil)
            // As of any file that is removed while somebody has it open.
            #expect(try reader.bytes(5000, at: 0) == Self.bytes)
            #expect(try stage.endpoint.fileSystem().contents(of: Self.published) == Self.bytes)
        }
    }

    @Test func aFileThatCouldNotBePutIsThereToBePutAgain() throws {
        try withStage { stage in
            #expect(try stage.fileSystem.list("\(SimulatedEndpoint.directory)/blobs") == [])
            stage.endpoint.stop(afterChanges: 0, makesLast: false)
            #expect(throws: FileSystemError.self) {
                try stage.fileSystem.link(Self.path, to: Self.published)
            }
            stage.endpoint.goOn()
            try stage.fileSystem.link(Self.path, to: Self.published)
            #expect(try stage.endpoint.fileSystem().contents(of: Self.published) == Self.bytes)
            #expect(try stage.scratchFiles == [])
        }
    }
}
