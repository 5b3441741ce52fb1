import Encryption
import Foundation
import HoldfastServer
import Model
import ObjectStore
import TestSupport
import Testing

/// The files that an operator edits, under mutations: read, or refused with a sentence, and never the end of the process.
/// `HOLDFAST_SEED` repeats a run.
@Suite struct FileFuzzTests {
    private static let count = 2000

    private static func fixture(_ name: String) throws -> [UInt8] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return Array(try Data(contentsOf: root.appending(path: "Fixtures/\(name)")))
    }

    /// Gives `body` the files and then mutations of them.
    /// - Returns: how many of all it took.
    private static func feed(_ files: [[UInt8]], _ name: String, _ body: ([UInt8]) throws -> Bool) throws
        -> Int
    {
        let seed = SeededGenerator.seed(standard: UInt64.random(in: 0...UInt64.max))
        print("fuzz \(name): HOLDFAST_SEED=\(seed)")
        var mutator = Mutator(corpus: files, seed: seed)
        var taken = 0
        for file in files {
            let isTaken = try body(file)
            #expect(isTaken, "\(String(decoding: file, as: UTF8.self))")
        }
        for _ in 0..<count where try body(mutator.next()) { taken += 1 }
        return taken
    }

    @Test func aFileOfKeysIsReadOrRefused() throws {
        let users = #"""
            {"format": 2, "users": [{"name": "alice", "displayName": "A", "created": "2026-01-01T00:00:00Z",
            "policies": {"p": "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}}"}}],
            "keys": [{"accessKey": "ALICE", "secretKey": "secret-of-alice", "user": "alice", "created": "x", "isRoot": false}]}
            """#
        let taken = try Self.feed([try Self.fixture("keys.json"), Array(users.utf8)], "keys.json") { bytes in
            let disk = SimulatedFileSystem()
            try disk.place(bytes, at: "/state/keys.json")
            do {
                let store = try KeyStore(stateDirectory: "/state", fileSystem: disk)
                for key in store.all { _ = store.identity(accessKey: key.accessKey) }
                return true
            } catch is KeyError { return false }
        }
        #expect(taken < Self.count, "something of it is refused")
    }

    @Test func aFileOfMasterKeysIsReadOrRefused() throws {
        _ = try Self.feed([try Self.fixture("master-keys.json")], "master-keys.json") { bytes in
            let disk = SimulatedFileSystem()
            try disk.place(bytes, at: "/state/master-keys.json")
            do {
                _ = try MasterKeyStore(path: "/state/master-keys.json", fileSystem: disk)
                return true
            } catch is KeyProviderError { return false }
        }
    }

    @Test func aSettingsFileIsReadOrRefused() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/holdfast-settings-\(BlobID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer {
            do { try FileManager.default.removeItem(atPath: directory) } catch { Issue.record(error) }
        }
        let users = #"""
            {"region": "r", "workers": 4, "users": [{"name": "alice", "access-key": "ALICE", "secret-key": "secret-of-alice",
            "policies": {"p": {"Version": "2012-10-17", "Statement": []}, "q": "{}"}}]}
            """#
        let file = URL(fileURLWithPath: directory + "/" + ServerSettings.fileName)
        let taken = try Self.feed([try Self.fixture("holdfast.json"), Array(users.utf8)], "holdfast.json") {
            bytes in
            try Data(bytes).write(to: file)
            do {
                let settings = try ServerSettings.load(directory: directory, environment: [:], flags: [])
                #expect(settings.store.volumePaths.count == Limits.volumeCount)
                return true
            } catch is SettingError { return false }
        }
        #expect(taken < Self.count, "something of it is refused")
    }
}
