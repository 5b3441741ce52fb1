import Encryption
import Foundation
import HoldfastServer
import TestSupport
import Testing
import Volumes

@Suite struct MasterKeyStoreTests {
    private static let path = "/state/master-keys.json"

    @Test func aKeyIsOnTheDiskBeforeItWrapsAnything() throws {
        let disk = SimulatedFileSystem()
        let store = try MasterKeyStore(path: Self.path, fileSystem: disk)
        #expect(try disk.status(of: Self.path) == nil)
        let made = try store.makeDataKey(.store, context: "")
        #expect(try disk.status(of: Self.path)?.permissions == 0o600)
        let again = try MasterKeyStore(path: Self.path, fileSystem: disk)
        let key = try again.dataKey(wrapped: made.wrapped, keyID: made.keyID, context: "")
        #expect(key.isEqual(to: made.key))
    }

    @Test func aDataKeyIsNotGivenOutIfItsMasterKeyCannotBeKept() throws {
        let disk = SimulatedFileSystem()
        let store = try MasterKeyStore(path: Self.path, fileSystem: disk)
        disk.inject(Fault(.fail(EIO), on: [.sync]) { $0.hasPrefix("/state") })
        #expect(throws: FileSystemError.self) { try store.makeDataKey(.store, context: "") }
    }

    @Test func theStoresKeyAndTheDefaultOneAreTwo() throws {
        let store = try MasterKeyStore(path: Self.path, fileSystem: SimulatedFileSystem())
        let own = try store.makeDataKey(.store, context: "")
        let named = try store.makeDataKey(.named(nil), context: "")
        #expect(own.keyID != named.keyID)
        let ways = [
            named.keyID, "holdfast/s3", "alias/holdfast/s3", "alias/aws/s3",
            "arn:aws:kms:r:1:key/\(named.keyID)",
        ]
        for way in ways {
            let found = try store.makeDataKey(.named(way), context: "").keyID
            #expect(found == named.keyID, "\(way)")
        }
        #expect(throws: KeyProviderError.self) { try store.makeDataKey(.named("nobody"), context: "") }
        #expect(throws: KeyProviderError.self) { try store.makeDataKey(.named(own.keyID), context: "") }
    }

    @Test func aWrappedKeyOpensForItsContextAlone() throws {
        let store = try MasterKeyStore(path: Self.path, fileSystem: SimulatedFileSystem())
        let made = try store.makeDataKey(.named(nil), context: "a")
        #expect(throws: KeyProviderError.self) {
            try store.dataKey(wrapped: made.wrapped, keyID: made.keyID, context: "b")
        }
        #expect(try store.rewrapped(made.wrapped, keyID: made.keyID, context: "a") == nil)
    }

    @Test(arguments: [
        (#"{"format": 2, "keys": []}"#, "it has format 2, not 1"),
        (#"{"format": 1, "keys": [{"id": "SECRETSECRET"}]}"#, "not what it should be"),
        ("nonsense", "no JSON"),
    ])
    func aFileThatCannotBeReadIsRefusedWithoutSayingWhatIsInIt(text: String, reason: String) throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(text.utf8), at: Self.path)
        let error = #expect(throws: KeyProviderError.self) {
            try MasterKeyStore(path: Self.path, fileSystem: disk)
        }
        let told = "\(try #require(error))"
        #expect(told.contains(Self.path) && told.contains(reason) && !told.contains("SECRET"))
    }
}
