import Encryption
import HoldfastServer
import TestSupport
import Testing
import Volumes

/// What is enciphered, and the keys that it is enciphered with.
@Suite struct EncryptionFormatTests {
    private static let dataKey = Array(0..<32).map { UInt8($0) }
    private static let salt = Array(0..<16).map { UInt8(0xA0 + $0) }
    /// A whole chunk and one of a thousand bytes.
    private static let content = (0..<66_536).map { UInt8(truncatingIfNeeded: $0 * 7) }

    @Test func aPieceIsSealedTheSameToTheByte() throws {
        let sealer = PieceSealer(dataKey: try #require(SecretKey(Self.dataKey)), salt: Self.salt)
        let sealed = Self.content.withUnsafeBytes { bytes in
            sealer.seal(.init(rebasing: bytes[..<65_536]), isLast: false)
                + sealer.seal(.init(rebasing: bytes[65_536...]), isLast: true)
        }
        try GoldenFile(name: "encrypted-piece").expect(sealed)
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func aPieceIsOpened() throws {
        let stored = try GoldenFile(name: "encrypted-piece").bytes()
        let opener = PieceOpener(dataKey: try #require(SecretKey(Self.dataKey)), salt: Self.salt)
        var (first, last) = (Array(stored[..<65_552]), Array(stored[65_552...]))
        let areGood = [
            first.withUnsafeMutableBytes { opener.open($0, index: 0, isLast: false) },
            last.withUnsafeMutableBytes { opener.open($0, index: 1, isLast: true) },
        ]
        #expect(areGood == [true, true])
        let isSame = Array(first.dropLast(16) + last.dropLast(16)) == Self.content
        #expect(isSame)
    }

    /// A store's own keys are random; these were made up.
    private static let masterKeys = """
        {
          "format" : 1,
          "keys" : [
            {
              "created" : "2026-01-01T00:00:00.000Z",
              "enabled" : true,
              "generations" : [
                {
                  "created" : "2026-01-01T00:00:00.000Z",
                  "key" : "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                  "number" : 1
                },
                {
                  "created" : "2026-02-01T00:00:00.000Z",
                  "key" : "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
                  "number" : 2
                }
              ],
              "id" : "00000000-0000-4000-8000-000000000001",
              "name" : "holdfast/store"
            },
            {
              "created" : "2026-01-02T00:00:00.000Z",
              "enabled" : false,
              "generations" : [
                {
                  "created" : "2026-01-02T00:00:00.000Z",
                  "key" : "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=",
                  "number" : 1
                }
              ],
              "id" : "00000000-0000-4000-8000-000000000002",
              "name" : "payroll"
            }
          ]
        }
        """

    @Test func masterKeysAreWrittenTheSameToTheByteForTheirOwnerAlone() throws {
        let disk = SimulatedFileSystem()
        try disk.place(Array(Self.masterKeys.utf8), at: "/state/master-keys.json")
        let store = try MasterKeyStore(path: "/state/master-keys.json", fileSystem: disk)
        _ = try store.setEnabled(false, "payroll")
        try GoldenFile(name: "master-keys.json").expect(try disk.contents(of: "/state/master-keys.json"))
        #expect(try disk.status(of: "/state/master-keys.json")?.permissions == 0o600)
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func masterKeysAreRead() throws {
        let disk = SimulatedFileSystem()
        try disk.place(try GoldenFile(name: "master-keys.json").bytes(), at: "/state/master-keys.json")
        let store = try MasterKeyStore(path: "/state/master-keys.json", fileSystem: disk)
        let id = "00000000-0000-4000-8000-000000000001"
        let first = try #require(SecretKey(Self.dataKey))
        let secret = SecretKey.random()
        let wrapped = WrappedKey.wrap(secret, with: first, generation: 1, keyID: id, context: "")
        #expect(try store.dataKey(wrapped: wrapped, keyID: id, context: "").isEqual(to: secret))
        let made = try store.makeDataKey(.store, context: "")
        #expect(made.keyID == id)
        #expect(WrappedKey.generation(of: made.wrapped) == 2)
        #expect(throws: KeyProviderError.self) { try store.makeDataKey(.named("payroll"), context: "") }
    }
}
