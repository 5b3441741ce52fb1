import Foundation
import HoldfastServer
import Model
import S3
import TestSupport
import Testing
import Volumes

@Suite final class KeyStoreTests {
    private let directory: String

    init() { directory = FileManager.default.temporaryDirectory.path + "/holdfast-keys-\(BlobID.random())" }

    deinit {
        guard FileManager.default.fileExists(atPath: directory) else { return }
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    private var path: String { directory + "/keys.json" }
    private static let environment = [
        "HOLDFAST_ROOT_ACCESS_KEY": "root-key", "HOLDFAST_ROOT_SECRET_KEY": "root-secret",
    ]

    private func permissions(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func aKeyIsMadeFoundListedAndDeleted() throws {
        let keys = try KeyStore(stateDirectory: directory)
        #expect(keys.all.isEmpty && keys.identity(accessKey: "none") == nil)
        let alice = try keys.create(user: "alice")
        let again = try keys.create(user: "alice")
        let bob = try keys.create(user: "bob")
        #expect(alice.accessKey.hasPrefix("HF") && alice.accessKey.count == 20 && alice.secretKey.count == 40)
        #expect(Set([alice, again, bob].map(\.accessKey)).count == 3)
        #expect(Set([alice, again, bob].map(\.secretKey)).count == 3)
        let found = try #require(keys.identity(accessKey: alice.accessKey))
        #expect(found.secretKey == alice.secretKey && found.displayName == "alice")
        #expect(found.userID.count == 64)
        #expect(
            keys.identity(accessKey: again.accessKey)?.userID == found.userID,
            "keys of one user are one owner")
        #expect(keys.identity(accessKey: bob.accessKey)?.userID != found.userID)
        #expect(keys.all == [alice, again, bob])
        try keys.delete(alice.accessKey)
        #expect(keys.identity(accessKey: alice.accessKey) == nil && keys.all == [again, bob])
        let error = #expect(throws: KeyError.self) { try keys.delete(alice.accessKey) }
        #expect(error?.description.contains(alice.accessKey) == true)
    }

    @Test func keysAreThereWhenTheStoreIsOpenedAgain() throws {
        let made = try KeyStore(stateDirectory: directory).create(user: "alice")
        #expect(try KeyStore(stateDirectory: directory).all == [made])
    }

    @Test func theFileIsItsOwnersAlone() throws {
        let keys = try KeyStore(stateDirectory: directory)
        _ = try keys.create(user: "alice")
        #expect(try permissions(path) == 0o600)
        #expect(try permissions(directory) == 0o700)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        _ = try keys.create(user: "bob")
        #expect(try permissions(path) == 0o600, "a change makes it so again")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["keys.json"])
    }

    @Test func aRootKeyIsMadeOnce() throws {
        let keys = try KeyStore(stateDirectory: directory)
        let root = try #require(try keys.makeRootKeyIfNeeded())
        #expect(root.isRoot && root.user == "root")
        #expect(try keys.makeRootKeyIfNeeded() == nil)
        #expect(try KeyStore(stateDirectory: directory).makeRootKeyIfNeeded() == nil)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.components(separatedBy: root.secretKey).count == 2, "kept once")
        try keys.delete(root.accessKey)
        #expect(try keys.makeRootKeyIfNeeded()?.accessKey != root.accessKey)
    }

    @Test func theEnvironmentsKeyIsNeverWrittenDown() throws {
        let keys = try KeyStore(stateDirectory: directory, environment: Self.environment)
        #expect(try keys.makeRootKeyIfNeeded() == nil)
        #expect(keys.identity(accessKey: "root-key")?.secretKey == "root-secret")
        #expect(!FileManager.default.fileExists(atPath: path))
        let alice = try keys.create(user: "alice")
        #expect(keys.all.map(\.accessKey) == ["root-key", alice.accessKey])
        #expect(try !String(contentsOfFile: path, encoding: .utf8).contains("root-secret"))
        #expect(throws: KeyError.self) { try keys.delete("root-key") }
        let later = try KeyStore(stateDirectory: directory)
        let root = try #require(try later.makeRootKeyIfNeeded())
        #expect(
            later.identity(accessKey: root.accessKey)?.userID == keys.identity(accessKey: "root-key")?.userID,
            "whoever is root owns what root made")
    }

    @Test(arguments: [
        (["HOLDFAST_ROOT_ACCESS_KEY": "root-key"], "only one of them is set"),
        (["HOLDFAST_ROOT_SECRET_KEY": "root-secret"], "only one of them is set"),
        (
            ["HOLDFAST_ROOT_ACCESS_KEY": "ab", "HOLDFAST_ROOT_SECRET_KEY": "root-secret"],
            "HOLDFAST_ROOT_ACCESS_KEY is shorter than 3"
        ),
        (
            ["HOLDFAST_ROOT_ACCESS_KEY": "root-key", "HOLDFAST_ROOT_SECRET_KEY": "1234567"],
            "HOLDFAST_ROOT_SECRET_KEY is shorter than 8"
        ),
    ])
    func aRootKeyThatCannotBeOneIsRefused(environment: [String: String], reason: String) {
        let error = #expect(throws: KeyError.self) {
            try KeyStore(stateDirectory: self.directory, environment: environment)
        }
        #expect(error?.description.contains(reason) == true)
        #expect(error?.description.contains("1234567") == false, "no secret is shown")
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "{\"format\": 4, \"keys\": []}", "{\"format\": 2, \"keys\": []}",
        "{\"format\": 1, \"keys\": [{}]}", "\u{0}",
    ])
    func aDamagedFileIsRefusedByNameAndLeftAsItIs(text: String) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        let error = #expect(throws: KeyError.self) { try KeyStore(stateDirectory: self.directory) }
        #expect(error?.description.hasPrefix("the keys in \(path) cannot be read: ") == true)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test func aKeyThatCouldNotBeKeptIsNoKey() throws {
        let disk = SimulatedFileSystem()
        let keys = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        let alice = try keys.create(user: "alice")
        let fault = disk.inject(Fault(.fail(EIO), on: [.sync], times: nil) { $0.hasPrefix("/state/") })
        #expect(throws: (any Error).self) { try keys.create(user: "bob") }
        #expect(throws: (any Error).self) { try keys.delete(alice.accessKey) }
        #expect(keys.all == [alice])
        disk.removeFault(fault)
        #expect(try KeyStore(stateDirectory: "/state", fileSystem: disk).all == [alice])
    }
}
