import Encryption
import TestSupport
import Testing

@Suite struct SealedPieceTests {
    static let lengths = [1, 15, 16, 17, 65_535, 65_536, 65_537, 131_072, 200_001]

    private static func seal(_ bytes: [UInt8], _ key: SecretKey, salt: [UInt8]) -> [[UInt8]] {
        let sealer = PieceSealer(dataKey: key, salt: salt)
        return stride(from: 0, to: bytes.count, by: SealedPiece.chunkByteCount).map { start in
            let end = min(start + SealedPiece.chunkByteCount, bytes.count)
            return bytes.withUnsafeBytes {
                sealer.seal(.init(rebasing: $0[start..<end]), isLast: end == bytes.count)
            }
        }
    }

    /// What the stored bytes open to, read as a reader does; `nil` if a chunk does not open.
    private static func open(_ stored: [UInt8], _ key: SecretKey, salt: [UInt8]) -> [UInt8]? {
        let opener = PieceOpener(dataKey: key, salt: salt)
        var opened: [UInt8] = []
        let step = SealedPiece.sealedChunkByteCount
        for (index, start) in stride(from: 0, to: stored.count, by: step).enumerated() {
            let end = min(start + step, stored.count)
            var chunk = Array(stored[start..<end])
            let isGood = chunk.withUnsafeMutableBytes {
                opener.open($0, index: index, isLast: end == stored.count)
            }
            guard isGood else { return nil }
            opened += chunk.dropLast(AESGCM.tagByteCount)
        }
        return opened
    }

    @Test(arguments: lengths) func whatIsSealedOpens(length: Int) {
        var random = SeededGenerator(seed: UInt64(length))
        let bytes = random.bytes(length)
        let key = SecretKey.random()
        let salt = SecureRandom.bytes(16)
        let stored = Array(Self.seal(bytes, key, salt: salt).joined())
        #expect(UInt64(stored.count) == SealedPiece.sealedLength(of: UInt64(length)))
        #expect(SealedPiece.openedLength(of: UInt64(stored.count)) == UInt64(length))
        #expect(Self.open(stored, key, salt: salt) == bytes)
    }

    @Test func noBytesAreNoChunk() {
        #expect(SealedPiece.sealedLength(of: 0) == 0)
        #expect(SealedPiece.openedLength(of: 0) == 0)
    }

    @Test func everyBitThatIsChangedIsSeen() {
        let key = SecretKey.random()
        let salt = SecureRandom.bytes(16)
        let stored = Array(Self.seal(Array("a small object".utf8), key, salt: salt).joined())
        for place in stored.indices {
            for bit in 0..<8 {
                var changed = stored
                changed[place] ^= 1 << UInt8(bit)
                let opened = Self.open(changed, key, salt: salt)
                #expect(opened == nil, "bit \(bit) of byte \(place)")
            }
        }
    }

    @Test func whatIsCutSwappedOrSplicedIsSeen() {
        var random = SeededGenerator(seed: 7)
        let bytes = random.bytes(3 * SealedPiece.chunkByteCount)
        let key = SecretKey.random()
        let (salt, otherSalt) = (SecureRandom.bytes(16), SecureRandom.bytes(16))
        let chunks = Self.seal(bytes, key, salt: salt)
        let others = Self.seal(bytes, key, salt: otherSalt)
        let damaged: [(String, [[UInt8]])] = [
            ("the last chunk is gone", [chunks[0], chunks[1]]),
            ("only the first is left", [chunks[0]]),
            ("the first is gone", [chunks[1], chunks[2]]),
            ("the last is a byte short", [chunks[0], chunks[1], chunks[2].dropLast()]),
            ("a byte was added", [chunks[0], chunks[1], chunks[2] + [0]]),
            ("two are swapped", [chunks[1], chunks[0], chunks[2]]),
            ("one is there twice", [chunks[0], chunks[0], chunks[2]]),
            ("the last comes in the middle", [chunks[0], chunks[2], chunks[2]]),
            ("one is of another piece with the same key", [chunks[0], others[1], chunks[2]]),
            ("all are of another piece", others),
        ]
        for (what, stored) in damaged {
            let opened = Self.open(Array(stored.joined()), key, salt: salt)
            #expect(opened == nil, "\(what)")
        }
        let whole = Array(chunks.joined())
        #expect(Self.open(whole, .random(), salt: salt) == nil)
        #expect(Self.open(whole, key, salt: otherSalt) == nil)
    }
}

@Suite struct WrappedKeyTests {
    @Test func aWrappedKeyOpensWithItsMasterIDAndContextAlone() throws {
        let key = SecretKey.random()
        let master = SecretKey.random()
        let wrapped = WrappedKey.wrap(key, with: master, generation: 258, keyID: "id", context: "c")
        #expect(wrapped.count == WrappedKey.byteCount)
        #expect(WrappedKey.generation(of: wrapped) == 258)
        let same = try #require(WrappedKey.unwrap(wrapped, with: master, keyID: "id", context: "c"))
        #expect(same.isEqual(to: key))
        #expect(WrappedKey.unwrap(wrapped, with: .random(), keyID: "id", context: "c") == nil)
        #expect(WrappedKey.unwrap(wrapped, with: master, keyID: "other", context: "c") == nil)
        #expect(WrappedKey.unwrap(wrapped, with: master, keyID: "id", context: "") == nil)
        for place in wrapped.indices {
            var changed = wrapped
            changed[place] ^= 1
            let opened = WrappedKey.unwrap(changed, with: master, keyID: "id", context: "c")
            #expect(opened == nil, "byte \(place)")
        }
    }

    @Test func aCustomersKeyIsRecognisedAndNoOtherIs() throws {
        let key = SecretKey.random()
        let check = CustomerKeyCheck.make(key)
        let first = try #require(CustomerKeyCheck.dataKey(key, check: check))
        let second = try #require(CustomerKeyCheck.dataKey(key, check: check))
        #expect(first.isEqual(to: second))
        #expect(!first.isEqual(to: key))
        #expect(CustomerKeyCheck.dataKey(.random(), check: check) == nil)
        #expect(CustomerKeyCheck.dataKey(key, check: Array(check.dropLast())) == nil)
        #expect(check != CustomerKeyCheck.make(key))
    }
}
