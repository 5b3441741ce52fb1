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

    private func withScratch(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/scratch-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: path) } }
        try body(path)
    }

    @Test func aScratchFileHasNoNameThatCouldOutliveItsProcess() throws {
        try withScratch { scratch in
            let endpoint = SimulatedEndpoint(keepsVersions: false)
            let fileSystem = try endpoint.fileSystem(scratch: scratch)
            let file = try fileSystem.open(Self.path, [.write, .createNew], permissions: 0o600)
            try file.write(Self.bytes, at: 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch) == [])
            #expect(try fileSystem.status(of: Self.path)?.size == 5000)
            file.close()

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
            #expect(try endpoint.fileSystem().contents(of: Self.published) == Self.bytes)
        }
    }

    @Test func aFileThatCouldNotBePutIsThereToBePutAgain() throws {
        try withScratch { scratch in
            let endpoint = SimulatedEndpoint(keepsVersions: false)
            let fileSystem = try endpoint.fileSystem(scratch: scratch)
            let file = try fileSystem.open(Self.path, [.write, .createNew], permissions: 0o600)
            try file.write(Self.bytes, at: 0)
            #expect(try fileSystem.list("\(SimulatedEndpoint.directory)/blobs") == [])
            endpoint.stop(afterChanges: 0, makesLast: false)
            #expect(throws: FileSystemError.self) { try fileSystem.link(Self.path, to: Self.published) }
            endpoint.goOn()
            try fileSystem.link(Self.path, to: Self.published)
            #expect(try endpoint.fileSystem().contents(of: Self.published) == Self.bytes)
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch) == [])
        }
    }
}
