import Foundation
import Model
import Snapshots
import Testing

/// Directories that two processes see under one path, or do not.
@Suite struct FolderSightTests {
    @Test func theNearestDirectoryThatIsThereIsLookedAt() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/sight-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let sight = try FolderSight(of: folder + "/out/photos")
        #expect(sight.path == folder && sight.isSeenHere)
        #expect(try FolderSight(of: folder) == sight)
        #expect(try FolderSight(of: "/").path == "/")
        try FileManager.default.removeItem(atPath: folder)
        #expect(!sight.isSeenHere)
        // Another directory of that name, as in a service's own /tmp.
        let other = FileManager.default.temporaryDirectory.path + "/sight-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        let text = String(decoding: try JSONEncoder().encode(try FolderSight(of: "/")), as: UTF8.self)
        let path = String(decoding: try JSONEncoder().encode("/"), as: UTF8.self)
        let moved = text.replacing(
            "\"path\":\(path)", with: "\"path\":\"\(other)\"")
        try #require(moved != text)
        #expect(try !JSONDecoder().decode(FolderSight.self, from: Data(moved.utf8)).isSeenHere)
        try FileManager.default.removeItem(atPath: other)
    }
}
