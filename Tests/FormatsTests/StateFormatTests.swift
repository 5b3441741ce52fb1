import Catalog
import Foundation
import GRDB
import HoldfastServer
import Logging
import Model
import S3
import TestSupport
import Testing
import Volumes

/// What stands in the state directory, and the settings file.
@Suite struct StateFormatTests {
    private func withDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
        let path = FileManager.default.temporaryDirectory.path + "/holdfast-formats-\(StoreID.random())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    @Test func theCatalogsSchemaIsTheSame() throws {
        let text = try withDirectory { directory in
            let path = directory + "/catalog.sqlite"
            let catalog = try Catalog(path: path, storeID: EveryEvent.storeID, readers: 1)
            return try withExtendedLifetime(catalog) {
                let queue = try DatabaseQueue(path: path)
                return try queue.read { database in
                    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
                    let statements = try String.fetchAll(
                        database, sql: "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
                    return "PRAGMA user_version = \(version);\n" + statements.map { $0 + ";\n" }.joined()
                }
            }
        }
        try GoldenFile(name: "catalog-schema.sql").expect(Array(text.utf8))
    }

    /// A store's own keys are random; these were made up.
    private static let firstKeys = """
        {"format": 1, "keys": [
          {"accessKey": "HFAAAAAAAAAAAAAAAAAA", "created": "2026-01-01T00:00:00.000Z", "isRoot": true,
            "secretKey": "0123456789012345678901234567890123456789", "user": "root"},
          {"accessKey": "HFBBBBBBBBBBBBBBBBBB", "created": "2026-01-02T00:00:00.000Z", "isRoot": false,
            "secretKey": "abcdefghijabcdefghijabcdefghijabcdefghij", "user": "ölga"}]}
        """

    private static let keys = #"""
        {
          "format" : 3,
          "keys" : [
            {
              "accessKey" : "HFAAAAAAAAAAAAAAAAAA",
              "created" : "2026-01-01T00:00:00.000Z",
              "isRoot" : true,
              "secretKey" : "0123456789012345678901234567890123456789",
              "user" : "root"
            },
            {
              "accessKey" : "HFBBBBBBBBBBBBBBBBBB",
              "created" : "2026-01-02T00:00:00.000Z",
              "isRoot" : false,
              "secretKey" : "abcdefghijabcdefghijabcdefghijabcdefghij",
              "user" : "ölga"
            }
          ],
          "users" : [
            {
              "canonicalID" : "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e",
              "created" : "2026-01-02T00:00:00.000Z",
              "displayName" : "Ölga",
              "name" : "ölga",
              "policies" : {
                "read" : "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Resource\": \"arn:aws:s3:::b/*\"}}"
              }
            }
          ]
        }
        """#

    /// The second format had no canonical ids.
    private static let secondKeys = #"""
        {
          "format" : 2,
          "keys" : [
            {
              "accessKey" : "HFAAAAAAAAAAAAAAAAAA",
              "created" : "2026-01-01T00:00:00.000Z",
              "isRoot" : true,
              "secretKey" : "0123456789012345678901234567890123456789",
              "user" : "root"
            },
            {
              "accessKey" : "HFBBBBBBBBBBBBBBBBBB",
              "created" : "2026-01-02T00:00:00.000Z",
              "isRoot" : false,
              "secretKey" : "abcdefghijabcdefghijabcdefghijabcdefghij",
              "user" : "ölga"
            }
          ],
          "users" : [
            {
              "created" : "2026-01-02T00:00:00.000Z",
              "displayName" : "Ölga",
              "name" : "ölga",
              "policies" : {
                "read" : "{\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", \"Resource\": \"arn:aws:s3:::b/*\"}}"
              }
            }
          ]
        }
        """#

    @Test func keysAreWrittenTheSameToTheByteForTheirOwnerAlone() throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(Self.keys.utf8), at: "/state/keys.json")
        let store = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        _ = try store.create(user: "passing")
        try store.deleteUser("passing")
        try GoldenFile(name: "keys.json").expect(try disk.contents(of: "/state/keys.json"))
        #expect(try disk.status(of: "/state/keys.json")?.permissions == 0o600)
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func keysAreRead() throws {
        let disk = SimulatedFileSystem()
        try disk.place(try GoldenFile(name: "keys.json").bytes(), at: "/state/keys.json")
        let store = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        #expect(store.all.map(\.accessKey) == ["HFAAAAAAAAAAAAAAAAAA", "HFBBBBBBBBBBBBBBBBBB"])
        #expect(store.all.map(\.user) == ["root", "ölga"])
        #expect(store.all.map(\.isRoot) == [true, false])
        #expect(store.all.map(\.secretKey.count) == [40, 40])
        let olga = try #require(store.identity(accessKey: "HFBBBBBBBBBBBBBBBBBB"))
        #expect(olga.displayName == "Ölga" && olga.userName == "ölga" && olga.policies != nil)
        #expect(olga.userID == String(repeating: "5ca1ab1e", count: 8))
        #expect(store.users.map(\.canonicalID) == [olga.userID])
    }

    /// Whoever had buckets in a store of an earlier format has them still.
    @Test(arguments: [firstKeys, secondKeys])
    func usersOfEarlierFormatsKeepTheCanonicalIDOfTheirName(text: String) throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(text.utf8), at: "/state/keys.json")
        let id = "773040727971c04a098d45d2ae9275ddf527f7bb364a839db8a8d50a0e37ae1f"
        let store = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        #expect(store.identity(accessKey: "HFBBBBBBBBBBBBBBBBBB")?.userID == id)
        #expect(store.displayName(userID: id) != nil)
        #expect(throws: KeyError.self) { try store.createUser("passing") }
        #expect(
            try disk.contents(of: "/state/keys.json") == Array(text.utf8),
            "nothing is written in a newer format")
        let upgraded = try #require(try KeyFileUpgrade.run("/state/keys.json", disk))
        #expect(try disk.contents(of: upgraded.copy) == Array(text.utf8))
        #expect(try disk.status(of: upgraded.copy)?.permissions == 0o600)
        #expect(try KeyFileUpgrade.run("/state/keys.json", disk) == nil, "once is enough")
        _ = try KeyStore(stateDirectory: "/state", fileSystem: disk).createUser("passing")
        let later = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        #expect(try later.user("ölga").canonicalID == id, "a later format keeps it")
    }

    @Test func keysOfTheFirstFormatAreRead() throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(Self.firstKeys.utf8), at: "/state/keys.json")
        let store = try KeyStore(stateDirectory: "/state", fileSystem: disk)
        #expect(store.all.map(\.user) == ["root", "ölga"] && store.users.map(\.name) == ["ölga"])
        #expect(store.users.first?.policies.isEmpty == true)
        #expect(store.identity(accessKey: "HFAAAAAAAAAAAAAAAAAA")?.isRoot == true)
        #expect(store.identity(accessKey: "HFBBBBBBBBBBBBBBBBBB")?.isRoot == false)
    }

    @Test func keysOfAnUnknownFormatAreRefusedByName() throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(#"{"format": 4, "keys": []}"#.utf8), at: "/state/keys.json")
        let error = #expect(throws: KeyError.self) {
            try KeyStore(stateDirectory: "/state", fileSystem: disk)
        }
        #expect(
            "\(try #require(error))".contains("/state/keys.json cannot be read: it has format 4, not 1 to 3"))
    }

    private static let settings = """
        {
          "volumes": ["/disks/a", "/disks/b", "/disks/c"],
          "listen": "0.0.0.0:9000",
          "admin": "127.0.0.1:9001",
          "region": "eu-central-1",
          "domains": ["s3.example.org"],
          "history-hours": 48,
          "deadline-seconds": 5,
          "workers": 4,
          "connections": 100,
          "log-level": "info",
          "master-keys": "keys/master-keys.json",
          "sse-c-over-http": "true",
          "default-encryption": "AES256",
          "test-store": "true",
          "buckets-start": "open",
          "users": [
            {
              "name": "alice",
              "display-name": "Alice",
              "access-key": "ALICESKEY",
              "secret-key": "alices-secret",
              "policies": {
                "read": {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}
              }
            }
          ]
        }

        """

    @Test func everySettingIsReadFromTheSettingsFile() throws {
        let file = GoldenFile(name: "holdfast.json")
        try file.expect(Array(Self.settings.utf8))
        try withDirectory { directory in
            try Data(try file.bytes()).write(to: URL(fileURLWithPath: directory + "/holdfast.json"))
            let found = try ServerSettings.load(directory: directory, environment: [:], flags: [])
            #expect(found.volumePaths == ["/disks/a", "/disks/b", "/disks/c"])
            #expect(found.listen == .init(host: "0.0.0.0", port: 9000))
            #expect(found.admin == .init(host: "127.0.0.1", port: 9001))
            #expect(found.region == "eu-central-1")
            #expect(found.domains == ["s3.example.org"])
            #expect(found.historyHours == 48)
            #expect(found.deadlineSeconds == 5)
            #expect(found.workers == 4)
            #expect(found.connectionLimit == 100)
            #expect(found.logLevel == .info)
            #expect(!found.bucketsStartLocked)
            let alice = try #require(found.users.first)
            #expect(alice.name == "alice" && alice.displayName == "Alice" && found.users.count == 1)
            #expect(alice.accessKey == "ALICESKEY" && alice.secretKey == "alices-secret")
            #expect(
                alice.policies["read"]
                    == #"{"Statement":{"Action":"s3:GetObject","Effect":"Allow","Resource":"arn:aws:s3:::b/*"}}"#
            )
            #expect(found.masterKeysPath == found.directory + "/keys/master-keys.json")
            #expect(found.allowsCustomerKeysOverHTTP)
            #expect(found.encryptsNewBuckets)
            #expect(found.isTestStore)
        }
    }
}
