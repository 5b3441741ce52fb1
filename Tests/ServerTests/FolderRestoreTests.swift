import Foundation
import HoldfastServer
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing

/// Restores out to a directory, which the server may see otherwise than who asks for them.
@Suite final class FolderRestoreTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/out-\(OperationID.random())"

    deinit {
        // What cannot be taken away is left to the system, as all that is temporary.
        for suffix in ["", ".moved"] { try? FileManager.default.removeItem(atPath: directory + suffix) }
    }

    private struct Silence: CommandOutput {
        func line(_ text: String) {}
        func progress(_ part: Double) {}
    }

    private func make() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    }

    private var content: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: directory) }
    }

    @Test func aDirectoryThatTheServerSeesOtherwiseIsRefusedAndNothingIsWritten() async throws {
        let started = try await StartedStore()
        let store = started.store
        try await store.put(started.bucket, "k", [1, 2, 3])
        let runner = try CommandRunner(
            stopped: store, keys: try KeyStore(stateDirectory: "/state", fileSystem: SimulatedFileSystem()),
            masterKeys: try MasterKeyStore(
                path: "/state/master-keys.json", fileSystem: SimulatedFileSystem()),
            settings: ServerSettings(directory: "/store"))
        try make()
        var order = RestoreOrder(at: .event(store.head.sequence.rawValue))
        order.folder = directory + "/files"
        order.sight = try FolderSight(of: directory + "/files")
        func refusal() async throws -> String? {
            do {
                let status = try await runner.run(.restore(order, json: true), Silence())
                #expect(status == 0)
                return nil
            } catch let error as StoreError { return "\(error)" }
        }
        #expect(try await refusal() == nil)
        #expect(FileManager.default.fileExists(atPath: directory + "/files/bucket/k"))
        // Another one stands there, as a service's own /tmp does.
        try FileManager.default.moveItem(atPath: directory, toPath: directory + ".moved")
        try make()
        let head = store.head
        let other = try #require(try await refusal())
        #expect(other.contains("sees no \(directory)") && other.contains("ReadWritePaths="))
        #expect(try content == [])
        try FileManager.default.removeItem(atPath: directory)
        #expect(try await refusal() != nil)
        #expect(!FileManager.default.fileExists(atPath: directory))
        #expect(store.head == head, "the log has no restore that ended")
        // Who may not look at it says nothing of it.
        order.sight = nil
        #expect(try await refusal() == nil)
        #expect(FileManager.default.fileExists(atPath: directory + "/files/bucket/k"))
        store.close()
    }
}
