import HTTPTypes
import Model
import S3
import Testing

@Suite struct ObjectMetadataTests {
    private static func parse(_ headers: [(String, String)]) throws -> EventMetadata {
        try ObjectMetadata.parse(request(.put, "/", headers).headerFields)
    }

    private static func error(_ headers: [(String, String)]) -> S3Error? {
        do {
            _ = try parse(headers)
            return nil
        } catch { return error as? S3Error }
    }

    @Test func whatTheWriterSaysIsShownAgain() throws {
        let said = [
            ("content-type", "text/plain"), ("content-encoding", "gzip"), ("content-language", "de"),
            ("content-disposition", "attachment"), ("cache-control", "no-cache"), ("expires", "never"),
            ("x-amz-website-redirect-location", "/x"), ("x-amz-storage-class", "STANDARD_IA"),
            ("x-amz-meta-a", "1"), ("x-amz-meta-b-c", " zwei é "), ("x-amz-meta-empty", ""),
        ]
        var record = EventVersionPublished()
        record.metadata = try Self.parse(said)
        record.etag = "e"
        record.versionID = .init(VersionID(high: 0, low: 1).bytes)
        let version = ObjectVersion(
            sequence: SequenceNumber(1), published: Timestamp(microseconds: 784_111_777_000_000),
            record: record)
        let shown = ObjectMetadata.headers(of: version, isVersioned: true)
        for (field, value) in said {
            #expect(shown[name(field)] == HTTPField(name: name(field), value: value).value, "\(field)")
        }
        #expect(shown[.eTag] == "\"e\"" && shown[.lastModified] == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(shown[.acceptRanges] == "bytes")
        #expect(shown[name("x-amz-version-id")] == "00000000000000000000000000000001")
        let plain = ObjectMetadata.headers(of: version, isVersioned: false)
        #expect(plain[name("x-amz-version-id")] == nil)
    }

    @Test func whatIsNotSaidHasItsStandard() throws {
        let metadata = try Self.parse([])
        #expect(metadata.storageClass == "STANDARD" && metadata.user.isEmpty)
        var record = EventVersionPublished()
        record.metadata = metadata
        let shown = ObjectMetadata.headers(
            of: ObjectVersion(
                sequence: SequenceNumber(1), published: Timestamp(microseconds: 0), record: record),
            isVersioned: false)
        #expect(shown[.contentType] == "binary/octet-stream")
        #expect(shown[name("x-amz-storage-class")] == nil, "S3 shows all but STANDARD")
        #expect(shown[.contentEncoding] == nil)
    }

    @Test func userMetadataHaveLowerCaseNamesAndRepeatedOnesAreJoined() throws {
        let metadata = try Self.parse([("X-Amz-Meta-Name", "1"), ("x-amz-meta-name", "2")])
        #expect(metadata.user == ["name": "1,2"])
    }

    @Test func userMetadataHave2048Bytes() throws {
        #expect(try Self.parse([("x-amz-meta-a", String(repeating: "v", count: 2047))]).user.count == 1)
        let error = Self.error([("x-amz-meta-a", String(repeating: "v", count: 2048))])
        #expect(error?.code.name == "MetadataTooLarge" && error?.code.status == 400)
        #expect(
            Self.error([
                ("x-amz-meta-a", String(repeating: "v", count: 1024)),
                ("x-amz-meta-b", String(repeating: "v", count: 1023)),
            ])?
            .code.name == "MetadataTooLarge", "all of them together")
    }

    @Test(arguments: [
        ("aws-chunked", ""), ("aws-chunked,gzip", "gzip"), ("gzip, aws-chunked", "gzip"), ("gzip", "gzip"),
        ("gzip,br", "gzip,br"), ("br, aws-chunked , gzip", "br,gzip"), ("AWS-Chunked", ""),
        ("x-aws-chunked", "x-aws-chunked"),
    ])
    func howABodyTravelsIsNotWhatItIs(header: String, stored: String) throws {
        #expect(try Self.parse([("content-encoding", header)]).contentEncoding == stored)
    }

    @Test(arguments: [
        ("x-amz-write-offset-bytes", "Appending")
    ])
    func whatWouldChangeWhatIsStoredIsRefusedAndNotDropped(header: String, feature: String) {
        let error = Self.error([(header, "x")])
        #expect(error?.code.name == "NotImplemented")
        #expect(error?.message.contains(feature) == true && error?.message.contains(header) == true)
    }

    @Test func storageClassesThatMeanNothingHereAreRefused() throws {
        for known in ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"] {
            #expect(try Self.parse([("x-amz-storage-class", known)]).storageClass == known)
        }
        for other in ["", "GLACIER", "standard"] {
            #expect(Self.error([("x-amz-storage-class", other)])?.code.name == "InvalidStorageClass")
        }
    }
}
