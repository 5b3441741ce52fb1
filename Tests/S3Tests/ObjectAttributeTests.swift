import S3
import Testing

@Suite struct ObjectAttributeTests {
    @Test func attributesAreAListOfNames() throws {
        #expect(try ObjectAttribute.parse("ETag, ObjectSize,ETag") == [.eTag, .size])
        #expect(
            try ObjectAttribute.parse("ETag,Checksum,ObjectParts,StorageClass,ObjectSize")
                == Set(ObjectAttribute.allCases))
    }

    @Test(
        arguments: [
            (nil, "InvalidRequest"), ("", "InvalidRequest"), (" , ", "InvalidRequest"),
            ("ETag,Owner", "InvalidArgument"), ("etag", "InvalidArgument"),
        ] as [(String?, String)])
    func aListOfNothingAndAnUnknownNameAreRefused(header: String?, expected: String) {
        do {
            let found = try ObjectAttribute.parse(header)
            Issue.record("\(found)")
        } catch { #expect((error as? S3Error)?.code.name == expected) }
    }
}
