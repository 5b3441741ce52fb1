import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import TestSupport
import Testing

@Suite struct MultipartTests {
    private let s3: S3Fixture
    private let large = SeededGenerator.bytes(seed: 1, 5 << 20)
    private let small = SeededGenerator.bytes(seed: 2, 1000)

    init() async throws {
        s3 = try await S3Fixture()
        try #require(await s3.send(.put, "/bucket").status == .ok)
    }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    private func begin(_ headers: [(String, String)] = []) async throws -> String {
        let response = await s3.send(.post, "/bucket/key", "uploads=", headers)
        return try #require(response.element("UploadId"), "\(response.text)")
    }

    private func put(_ id: String, _ number: Int, _ bytes: [UInt8], _ headers: [(String, String)] = [])
        async throws
        -> String
    {
        let response = await s3.send(
            .put, "/bucket/key", "partNumber=\(number)&uploadId=\(id)", headers, body: bytes)
        try #require(response.status == .ok, "\(response.text)")
        return try #require(response.headers[.eTag])
    }

    private func complete(_ id: String, _ parts: [String], _ headers: [(String, String)] = []) async
        -> ServiceResponse
    {
        let body = "<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>"
        return await s3.send(.post, "/bucket/key", "uploadId=\(id)", headers, body: Array(body.utf8))
    }

    private static func part(_ number: Int, _ etag: String, _ more: String = "") -> String {
        "<Part><PartNumber>\(number)</PartNumber><ETag>\(etag)</ETag>\(more)</Part>"
    }

    @Test func theChecksumOfTheWholeIsTheObjectsAndNotTheDocuments() async throws {
        let whole = Self.base64(EventChecksumAlgorithm.crc32C.digest(large + small))
        for (expected, code) in [(Self.base64([0, 0, 0, 0]), "BadDigest"), (whole, nil)] {
            let id = try await begin([
                ("x-amz-checksum-algorithm", "CRC32C"), ("x-amz-checksum-type", "FULL_OBJECT"),
            ])
            let parts = [
                Self.part(1, try await put(id, 1, large)), Self.part(2, try await put(id, 2, small)),
            ]
            let done = await complete(
                id, parts, [("x-amz-checksum-crc32c", expected), ("x-amz-checksum-type", "FULL_OBJECT")])
            #expect(done.errorCode == code, "\(done.text)")
            if code == nil {
                #expect(
                    done.element("ChecksumCRC32C") == whole && done.element("ChecksumType") == "FULL_OBJECT")
            }
        }
        let head = await s3.send(.head, "/bucket/key", "", [("x-amz-checksum-mode", "ENABLED")])
        #expect(head.headers[name("x-amz-checksum-crc32c")] == whole)
    }

    @Test func aChecksumThatCannotBeCheckedIsRefusedAndNotDropped() async throws {
        let id = try await begin()
        let parts = [Self.part(1, try await put(id, 1, small))]
        let other = await complete(id, parts, [("x-amz-checksum-sha256", Self.base64(SHA256.hash(small)))])
        #expect(other.errorCode == "InvalidRequest", "the upload's parts have CRC64NVME")
        let type = await complete(id, parts, [("x-amz-checksum-type", "COMPOSITE")])
        #expect(type.errorCode == "InvalidRequest")
        #expect(await complete(id, parts).status == .ok)
    }

    @Test func aCompositeChecksumIsThatOfThePartsChecksums() async throws {
        let id = try await begin([("x-amz-checksum-algorithm", "SHA256")])
        let sums = [SHA256.hash(large), SHA256.hash(small)]
        let first = try await put(id, 1, large, [("x-amz-checksum-sha256", Self.base64(sums[0]))])
        let second = try await put(id, 2, small)
        let whole = Self.base64(SHA256.hash(sums[0] + sums[1]))
        let wrong = await complete(
            id,
            [
                Self.part(1, first, "<ChecksumSHA256>\(Self.base64(sums[1]))</ChecksumSHA256>"),
                Self.part(2, second, "<ChecksumSHA256>\(Self.base64(sums[1]))</ChecksumSHA256>"),
            ])
        #expect(wrong.errorCode == "InvalidPart")
        let missing = await complete(
            id,
            [
                Self.part(1, first, "<ChecksumSHA256>\(Self.base64(sums[0]))</ChecksumSHA256>"),
                Self.part(2, second),
            ])
        #expect(missing.errorCode == "InvalidRequest", "a composite checksum is of checksums that are named")
        let parts = [
            Self.part(1, first, "<ChecksumSHA256>\(Self.base64(sums[0]))</ChecksumSHA256>"),
            Self.part(2, second, "<ChecksumSHA256>\(Self.base64(sums[1]))</ChecksumSHA256>"),
        ]
        let done = await complete(id, parts, [("x-amz-checksum-sha256", "\(whole)-2")])
        #expect(done.status == .ok, "\(done.text)")
        #expect(done.element("ChecksumSHA256") == "\(whole)-2" && done.element("ChecksumType") == "COMPOSITE")
        let md5 = MD5.hash(MD5.hash(large) + MD5.hash(small)).hexadecimal
        #expect(done.element("ETag") == "&quot;\(md5)-2&quot;")
    }

    @Test(
        arguments: [
            ("MD5", nil), ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"),
            ("CRC32", "OTHER"),
        ] as [(String, String?)])
    func aChecksumTypeThatCannotBeIsRefused(algorithm: String, type: String?) async {
        var headers = [("x-amz-checksum-algorithm", algorithm)]
        if let type { headers.append(("x-amz-checksum-type", type)) }
        #expect(await s3.send(.post, "/bucket/key", "uploads=", headers).errorCode == "InvalidRequest")
    }

    @Test func whatIsWrongWithACompletionIsSaid() async throws {
        let id = try await begin()
        let first = try await put(id, 1, small)
        let second = try await put(id, 2, small)
        #expect(await complete(id, [Self.part(1, "x")]).errorCode == "InvalidPart")
        #expect(await complete(id, [Self.part(3, first)]).errorCode == "InvalidPart")
        #expect(
            await complete(id, [Self.part(2, second), Self.part(1, first)]).errorCode == "InvalidPartOrder")
        #expect(
            await complete(id, [Self.part(1, first), Self.part(1, first)]).errorCode == "InvalidPartOrder")
        #expect(
            await complete(id, [Self.part(1, first), Self.part(2, second)]).errorCode == "EntityTooSmall")
        #expect(await complete(id, []).errorCode == "MalformedXML")
        #expect(
            await complete(id, ["<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>"]).errorCode
                == "MalformedXML")
        #expect(await complete(id, ["<Part><PartNumber>1</PartNumber></Part>"]).errorCode == "MalformedXML")
        #expect(
            await complete(id, [Self.part(1, first)], [("x-amz-mp-object-size", "999")]).errorCode
                == "InvalidRequest")
        #expect(await complete("\(UploadID.random())", [Self.part(1, first)]).errorCode == "NoSuchUpload")
        #expect(await complete("nonsense", [Self.part(1, first)]).errorCode == "NoSuchUpload")
        let done = await complete(id, [Self.part(1, first)], [("x-amz-mp-object-size", "1000")])
        #expect(done.status == .ok)
        #expect(
            await complete(id, [Self.part(1, first)]).element("ETag") == done.element("ETag"), "asked again")
    }

    @Test(arguments: ["0", "10001", "-1", "x", ""])
    func aPartsNumberIsFrom1To10000(number: String) async throws {
        let id = try await begin()
        let response = await s3.send(
            .put, "/bucket/key", "partNumber=\(number)&uploadId=\(id)", body: [1])
        #expect(response.errorCode == "InvalidArgument")
    }

    @Test func partsAreListedPageByPage() async throws {
        let id = try await begin([("x-amz-checksum-algorithm", "CRC32")])
        for number in [1, 2, 7] { _ = try await put(id, number, small) }
        let first = await s3.send(.get, "/bucket/key", "max-parts=2&uploadId=\(id)")
        #expect(first.element("IsTruncated") == "true" && first.element("NextPartNumberMarker") == "2")
        #expect(first.element("ChecksumAlgorithm") == "CRC32" && first.element("ChecksumType") == "COMPOSITE")
        let last = await s3.send(.get, "/bucket/key", "part-number-marker=2&uploadId=\(id)")
        #expect(last.element("IsTruncated") == "false" && last.element("PartNumber") == "7")
        #expect(last.element("ChecksumCRC32") == Self.base64(EventChecksumAlgorithm.crc32.digest(small)))
        #expect(await s3.send(.delete, "/bucket/key", "uploadId=\(id)").status == .noContent)
        #expect(await s3.send(.get, "/bucket/key", "uploadId=\(id)").errorCode == "NoSuchUpload")
    }
}

extension SeededGenerator {
    static func bytes(seed: UInt64, _ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return generator.bytes(count)
    }
}
