import Foundation
import HoldfastServer
import Model
import Testing

/// What killed processes leave in a store's state directory.
@Suite struct StateScratchTests {
    @Test func whatKilledJobsLeftGoesAndNothingElse() throws {
        let state = FileManager.default.temporaryDirectory.path + "/state-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: state) } }
        let kept = ["catalog.sqlite", "catalog.sqlite-wal", "jobs.json", "keys.json", "lock"]
        let left = ["blobs-1", "drill-2", "snapshot-3.sqlite", "snapshot-3.sqlite-wal"]
        for name in kept + left {
            try #require(FileManager.default.createFile(atPath: state + "/" + name, contents: Data([1])))
        }
        try StateScratch.clear(state)
        #expect(try FileManager.default.contentsOfDirectory(atPath: state).sorted() == kept.sorted())
    }
}
