import Foundation
import HTTPTypes
import Model
import S3
import Testing

@Suite struct ChecksumTests {
    /// Of "123456789": the check values of the CRC catalogue, and FIPS 180's digests.
    private static let check: [(EventChecksumAlgorithm, String, String, String)] = [
        (.crc32, "CRC32", "x-amz-checksum-crc32", "y/Q5Jg=="),
        (.crc32C, "CRC32C", "x-amz-checksum-crc32c", "4waSgw=="),
        (.crc64Nvme, "CRC64NVME", "x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        (.sha1, "SHA1", "x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (.sha256, "SHA256", "x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ]

    private static func announced(_ headers: [(String, String)]) throws -> AnnouncedChecksum? {
        try AnnouncedChecksum(request(.put, "/", headers).headerFields)
    }

    private static func code(_ headers: [(String, String)]) -> String? {
        do {
            _ = try announced(headers)
            return nil
        } catch { return (error as? S3Error)?.code.name ?? "\(error)" }
    }

    @Test func eachOfTheFiveIsKnownByNameAndHeaderAndComputed() throws {
        #expect(EventChecksumAlgorithm.known.count == 5)
        for (algorithm, name, header, value) in Self.check {
            #expect(algorithm.wireName == name && algorithm.header.canonicalName == header)
            #expect(EventChecksumAlgorithm(wireName: name) == algorithm)
            #expect(EventChecksumAlgorithm(wireName: name.lowercased()) == algorithm)
            let digest = algorithm.digest(Array("123456789".utf8))
            #expect(Data(digest).base64EncodedString() == value)
            #expect(digest.count == algorithm.byteCount)
            let found = try #require(try Self.announced([(header, value)]))
            #expect(found.algorithm == algorithm && found.value == digest)
            let trailing = try #require(try Self.announced([("x-amz-trailer", header)]))
            #expect(trailing.algorithm == algorithm && trailing.value == nil)
        }
        #expect(EventChecksumAlgorithm(wireName: "MD5") == nil)
        #expect(EventChecksumAlgorithm(wireName: "") == nil)
        #expect(try Self.announced([]) == nil)
    }

    @Test func aValueThatCannotBeOneIsRefused() {
        for (_, _, header, value) in Self.check {
            for bad in ["", "!", String(value.dropLast(4)), value + "AAAA", "AA==", "é"] {
                #expect(Self.code([(header, bad)]) == "InvalidRequest", "\(header): \(bad)")
            }
        }
    }

    @Test func oneChecksumIsEnough() {
        #expect(
            Self.code([("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")])
                == "InvalidRequest")
        #expect(
            Self.code([("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-trailer", "x-amz-checksum-crc32")])
                == "InvalidRequest")
        #expect(
            Self.code([("x-amz-trailer", "x-amz-checksum-crc32, x-amz-checksum-sha1")]) == "InvalidRequest")
    }

    @Test func aTrailerMayBeOneOfSeveralAndMustBeKnown() throws {
        let found = try Self.announced([("x-amz-trailer", "other, X-Amz-Checksum-SHA1 ")])
        #expect(found?.algorithm == .sha1)
        #expect(Self.code([("x-amz-trailer", "x-amz-checksum-md5")]) == "InvalidRequest")
    }

    @Test func theAlgorithmThatAnSDKNamesMustBeTheOneThatIsSent() {
        let sdk = "x-amz-sdk-checksum-algorithm"
        #expect(Self.code([(sdk, "CRC32"), ("x-amz-checksum-crc32", "y/Q5Jg==")]) == nil)
        #expect(Self.code([(sdk, "crc32"), ("x-amz-trailer", "x-amz-checksum-crc32")]) == nil)
        #expect(Self.code([(sdk, "SHA1"), ("x-amz-checksum-crc32", "y/Q5Jg==")]) == "InvalidRequest")
        #expect(Self.code([(sdk, "MD5")]) == "InvalidRequest")
        #expect(Self.code([(sdk, "CRC32")]) == "InvalidRequest", "named, and none sent")
    }
}
