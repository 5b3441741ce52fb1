import Foundation
import HoldfastServer
import Model
import Testing
import Volumes

/// What commands of a repository put among the temporary files, and what killed ones leave there.
@Suite struct CommandScratchTests {
    private func withDirectory(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.path + "/temporary-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: path) } }
        try body(path)
    }

    private func names(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }

    private func make(_ path: String, with file: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try #require(FileManager.default.createFile(atPath: path + "/" + file, contents: Data([1])))
    }

    @Test func itIsThereForAsLongAsTheCommandIs() throws {
        try withDirectory { directory in
            let scratch = try CommandScratch(in: directory)
            #expect(scratch.path.hasPrefix(directory + "/holdfast-scratch-"))
            let permissions = try #require(try RealFileSystem().status(of: scratch.path)).permissions
            #expect(permissions & 0o077 == 0, "nobody else reads what is restored there")
            try #require(FileManager.default.createFile(atPath: scratch.path + "/a", contents: Data([1])))
            scratch.remove()
            #expect(try names(directory) == [])
        }
    }

    @Test func whatAKilledCommandLeftGoesWithTheNextOneAndWhatOneThatIsAtWorkHasStays() throws {
        try withDirectory { directory in
            // As of one that was killed: its lock went with it.
            try make(directory + "/holdfast-scratch-1", with: "lock")
            try make(directory + "/holdfast-scratch-2", with: "snapshot-3.sqlite")
            let first = try CommandScratch(in: directory)
            #expect(try names(directory).map { directory + "/" + $0 } == [first.path])
            let second = try CommandScratch(in: directory)
            #expect(try names(directory).count == 2)
            first.remove()
            #expect(try names(directory).map { directory + "/" + $0 } == [second.path])
            second.remove()
        }
    }

    /// Where everybody makes files, a name says nothing.
    @Test func whatOnlyLooksLikeOneIsNotTouched() throws {
        try withDirectory { directory in
            let others = ["holdfast-scratch-file", "holdfast-scratch-link", "somewhere"]
            try make(directory + "/somewhere", with: "file")
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/holdfast-scratch-link", withDestinationPath: directory + "/somewhere")
            try #require(
                FileManager.default.createFile(
                    atPath: directory + "/holdfast-scratch-file", contents: Data([1])))
            let scratch = try CommandScratch(in: directory)
            scratch.remove()
            #expect(try names(directory) == others)
            #expect(try names(directory + "/somewhere") == ["file"])
        }
    }
}
