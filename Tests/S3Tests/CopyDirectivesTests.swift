import HTTPTypes
import Model
import S3
import Testing

@Suite struct CopyDirectivesTests {
    private static func copied(_ headers: [(String, String)]) throws -> EventMetadata {
        var source = EventMetadata()
        source.contentType = "old/type"
        source.user = ["old": "1"]
        source.tags = ["old": "tag"]
        source.storageClass = "STANDARD_IA"
        source.websiteRedirectLocation = "/old"
        source.legalHold = true
        let fields = request(.put, "/", headers).headerFields
        return try CopyDirectives(fields).metadata(
            copying: source, given: try ObjectMetadata.parse(fields))
    }

    @Test func whatTheRequestDoesNotReplaceIsCopied() throws {
        let copy = try Self.copied([
            ("content-type", "new/type"), ("x-amz-meta-new", "2"), ("x-amz-tagging", "new=2"),
        ])
        #expect(copy.contentType == "old/type" && copy.user == ["old": "1"] && copy.tags == ["old": "tag"])
    }

    @Test func metadataAndTagsAreReplacedEachByItself() throws {
        let said = [("content-type", "new/type"), ("x-amz-meta-new", "2"), ("x-amz-tagging", "new=2")]
        let metadata = try Self.copied(said + [("x-amz-metadata-directive", "REPLACE")])
        #expect(metadata.contentType == "new/type" && metadata.user == ["new": "2"])
        #expect(metadata.tags == ["old": "tag"])
        let tags = try Self.copied(said + [("x-amz-tagging-directive", "REPLACE")])
        #expect(tags.contentType == "old/type" && tags.tags == ["new": "2"])
    }

    @Test func storageClassRedirectAndHoldAreTheCopysOwn() throws {
        let copy = try Self.copied([])
        #expect(copy.storageClass == "STANDARD" && copy.websiteRedirectLocation.isEmpty && !copy.legalHold)
        #expect(try Self.copied([("x-amz-storage-class", "ONEZONE_IA")]).storageClass == "ONEZONE_IA")
    }

    @Test(arguments: ["x-amz-metadata-directive", "x-amz-tagging-directive"])
    func anUnknownDirectiveIsRefused(header: String) {
        for value in ["", "copy", "MERGE"] {
            do {
                _ = try Self.copied([(header, value)])
                Issue.record("\(header): \(value) was taken")
            } catch { #expect((error as? S3Error)?.code.name == "InvalidArgument") }
        }
    }
}
