import Digests
import Foundation
import Testing

private func seed() -> UInt64 {
    let seed =
        ProcessInfo.processInfo.environment["HOLDFAST_SEED"].flatMap(UInt64.init) ?? .random(in: 0...(.max))
    print("HOLDFAST_SEED=\(seed)")
    return seed
}

private struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}

private let check = Array("123456789".utf8)

@Suite struct CRCTests {
    @Test(arguments: CRCKernel.runnable)
    func everyKernelGivesTheCatalogueCheckValues(kernel: CRCKernel) {
        var crc32 = CRC32(kernel: kernel)
        crc32.update(check)
        #expect(crc32.value == 0xCBF4_3926)
        var crc32c = CRC32C(kernel: kernel)
        crc32c.update(check)
        #expect(crc32c.value == 0xE306_9283)
        var crc64 = CRC64NVME(kernel: kernel)
        crc64.update(check)
        #expect(crc64.value == 0xAE8B_1486_0A79_9888)
    }

    @Test func crc32cGivesTheVectorsOfRFC3720() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    }

    @Test(arguments: CRCKernel.runnable)
    func everyKernelAgreesWithTheTableAtEveryLengthAndAlignment(kernel: CRCKernel) {
        var random = Random(state: seed())
        let bytes = (0..<6000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for count in Array(0...1100) + [2048, 4095, 4096, 5000] {
            let start = Int.random(in: 0...64, using: &random)
            let piece = Array(bytes[start..<start + count])
            var tables = (CRC32(kernel: .table), CRC32C(kernel: .table), CRC64NVME(kernel: .table))
            tables.0.update(piece)
            tables.1.update(piece)
            tables.2.update(piece)
            bytes.withUnsafeBytes { all in
                let unaligned = UnsafeRawBufferPointer(rebasing: all[start..<start + count])
                var fast = (CRC32(kernel: kernel), CRC32C(kernel: kernel), CRC64NVME(kernel: kernel))
                fast.0.update(unaligned)
                fast.1.update(unaligned)
                fast.2.update(unaligned)
                #expect(fast.0.value == tables.0.value, "CRC32 of \(count) bytes")
                #expect(fast.1.value == tables.1.value, "CRC32C of \(count) bytes")
                #expect(fast.2.value == tables.2.value, "CRC64NVME of \(count) bytes")
            }
        }
    }

    @Test func combiningTheChecksumsOfTwoHalvesGivesTheWhole() {
        var random = Random(state: seed())
        let bytes = (0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for cut in [0, 1, 7, 64, 1000, 4999, 5000] {
            let (a, b) = (Array(bytes[..<cut]), Array(bytes[cut...]))
            let count = UInt64(b.count)
            #expect(
                CRC32.combine(CRC32.checksum(a), CRC32.checksum(b), lengthOfB: count) == CRC32.checksum(bytes)
            )
            #expect(
                CRC32C.combine(CRC32C.checksum(a), CRC32C.checksum(b), lengthOfB: count)
                    == CRC32C.checksum(bytes))
            #expect(
                CRC64NVME.combine(CRC64NVME.checksum(a), CRC64NVME.checksum(b), lengthOfB: count)
                    == CRC64NVME.checksum(bytes))
        }
    }
}

@Suite struct HashTests {
    @Test func md5GivesTheVectorsOfRFC1321() {
        #expect(hexadecimal(MD5.hash([])) == "d41d8cd98f00b204e9800998ecf8427e")
        #expect(hexadecimal(MD5.hash(Array("abc".utf8))) == "900150983cd24fb0d6963f7d28e17f72")
        #expect(hexadecimal(MD5.hash(Array("message digest".utf8))) == "f96b697d7cb7938d525a2f31aaf161d0")
    }

    @Test func shaGivesTheVectorsOfFIPS180() {
        #expect(hexadecimal(SHA1.hash(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            hexadecimal(SHA256.hash(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            hexadecimal(SHA256.hash(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    }

    @Test func hmacGivesTheVectorsOfRFC4231() {
        #expect(
            hexadecimal(
                HMACSHA256.authenticate(Array("Hi There".utf8), key: [UInt8](repeating: 0x0B, count: 20)))
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        let long = HMACSHA256.authenticate(
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            key: [UInt8](repeating: 0xAA, count: 131))
        #expect(hexadecimal(long) == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test func everyChunkingGivesTheSameDigest() {
        var random = Random(state: seed())
        let bytes = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        func whole(_ digest: any StreamingDigest) -> [UInt8] {
            var digest = digest
            digest.update(bytes)
            return digest.finalize()
        }
        let makers: [() -> any StreamingDigest] = [
            { CRC32() }, { CRC32C() }, { CRC64NVME() }, { MD5() }, { SHA1() }, { SHA256() },
        ]
        for make in makers {
            let expected = whole(make())
            for _ in 0..<20 {
                var digest = make()
                var offset = 0
                while offset < bytes.count {
                    let count = min(
                        bytes.count - offset,
                        Int.random(in: 0...(Bool.random(using: &random) ? 200 : 30_000), using: &random))
                    digest.update(Array(bytes[offset..<offset + count]))
                    offset += count
                }
                #expect(digest.finalize() == expected, "\(type(of: digest))")
            }
        }
    }

    @Test func comparisonInConstantTimeKnowsEqualFromUnequal() {
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    }
}
