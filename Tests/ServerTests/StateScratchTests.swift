import Foundation
import HoldfastServer
import Model
import Testing

/// What killed processes leave in a store's state directory.
@Suite struct StateScratchTests {
    private func withState(_ body: (String) throws -> Void) throws {
        let state = FileManager.default.temporaryDirectory.path + "/state-\(OperationID.random())"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: state) } }
        try body(state)
    }

    private func names(_ directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }

    @Test func whatKilledJobsLeftGoesAndNothingElse() throws {
        try withState { state in
            let kept = ["catalog.sqlite", "catalog.sqlite-wal", "jobs.json", "keys.json", "lock"]
            let left = ["blobs-1", "drill-2", "snapshot-3.sqlite", "snapshot-3.sqlite-wal"]
            for name in kept + left {
                try #require(FileManager.default.createFile(atPath: state + "/" + name, contents: Data([1])))
            }
            try StateScratch.clear(state)
            #expect(try names(state) == kept.sorted())
        }
    }

    /// A server may see another `/tmp`, and be of another user.
    @Test func recordsThatTheServerReadsStandInItsStateDirectory() throws {
        try withState { state in
            let source = state + "/rows.csv"
            let text = Data("bucket,key\nphotos,1\nphotos,2\n".utf8)
            try #require(FileManager.default.createFile(atPath: source, contents: text))
            // Of a command that was killed: nobody has it locked.
            let left = state + "/refs-killed"
            try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: false)
            try #require(FileManager.default.createFile(atPath: left + "/rows.sqlite", contents: text))
            do {
                let file = try ReferenceFile(source, bucket: "", in: state)
                #expect(file.rowCount == 2 && file.path.hasPrefix(state + "/refs-"))
                #expect(try names(state).count == 2, "what was left is gone")
                try StateScratch.clear(state)
                #expect(FileManager.default.fileExists(atPath: file.path), "the command is at work")
                withExtendedLifetime(file) {}
            }
            #expect(try names(state) == ["rows.csv"])
            #expect(throws: (any Error).self) { try SumsFile(source, in: state) }
            #expect(try names(state) == ["rows.csv"], "nor is anything left of records that make no sense")
        }
    }

    @Test func recordsAreReadWhereThereIsNoStoreYet() throws {
        try withState { state in
            let source = state + "/SUMS"
            let line = String(repeating: "0", count: 64) + "  a\n"
            try #require(FileManager.default.createFile(atPath: source, contents: Data(line.utf8)))
            let file = try SumsFile(source, in: state + "/none")
            #expect(FileManager.default.fileExists(atPath: file.path))
            #expect(try names(state) == ["SUMS"], "who opens the store says that there is none")
            withExtendedLifetime(file) {}
        }
    }
}
