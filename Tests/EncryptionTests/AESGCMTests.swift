import Encryption
import Testing

/// Source: McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16 (NIST's for AES-256).
@Suite struct AESGCMTests {
    private static func bytes(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8).map { $0 <= 0x39 ? $0 - 0x30 : $0 - 0x57 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    struct Vector: Sendable {
        let key: String
        let nonce: String
        let plaintext: String
        let associated: String
        let sealed: String
    }

    private static let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
    private static let plaintext =
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
    private static let ciphertext =
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"

    static let vectors = [
        Vector(
            key: String(repeating: "0", count: 64), nonce: String(repeating: "0", count: 24), plaintext: "",
            associated: "", sealed: "530f8afbc74536b9a963b4f1c4cb738b"),
        Vector(
            key: String(repeating: "0", count: 64), nonce: String(repeating: "0", count: 24),
            plaintext: String(repeating: "0", count: 32), associated: "",
            sealed: "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
        Vector(
            key: key, nonce: "cafebabefacedbaddecaf888", plaintext: plaintext, associated: "",
            sealed: ciphertext + "b094dac5d93471bdec1a502270e3cc6c"),
        Vector(
            key: key, nonce: "cafebabefacedbaddecaf888", plaintext: String(plaintext.dropLast(8)),
            associated: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            sealed: String(ciphertext.dropLast(8)) + "76fc6ece0f4e1768cddf8853bb2d551b"),
    ]

    @Test(arguments: vectors) func knownAnswersAreGiven(_ vector: Vector) throws {
        let key = try #require(SecretKey(Self.bytes(vector.key)))
        let nonce = Self.bytes(vector.nonce)
        let associated = Self.bytes(vector.associated)
        let sealed = AESGCM.seal(
            Self.bytes(vector.plaintext), key: key, nonce: nonce, associated: associated)
        #expect(sealed == Self.bytes(vector.sealed))
        let opened = AESGCM.open(sealed, key: key, nonce: nonce, associated: associated)
        #expect(opened == Self.bytes(vector.plaintext))
    }

    @Test func anotherKeyNonceOrAssociatedDataOpensNothing() throws {
        let key = SecretKey.random()
        let nonce = SecureRandom.bytes(12)
        let sealed = AESGCM.seal([1, 2, 3], key: key, nonce: nonce, associated: [9])
        #expect(AESGCM.open(sealed, key: .random(), nonce: nonce, associated: [9]) == nil)
        let otherNonce = SecureRandom.bytes(12)
        #expect(AESGCM.open(sealed, key: key, nonce: otherNonce, associated: [9]) == nil)
        #expect(AESGCM.open(sealed, key: key, nonce: nonce, associated: [8]) == nil)
        #expect(AESGCM.open(Array(sealed.prefix(15)), key: key, nonce: nonce, associated: [9]) == nil)
    }

    @Test func aKeySaysNothingOfItself() {
        #expect("\(SecretKey.random())" == "a secret key")
        #expect(String(reflecting: SecretKey.random()) == "a secret key")
    }
}
