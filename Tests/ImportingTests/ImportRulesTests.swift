import Importing
import Model
import S3Repository
import Testing

@Suite struct ImportRulesTests {
    @Test(arguments: [
        (0, "0"), (1_354_040_105_123_456_789, "1354040105.123456789"),
        (1_354_040_105_000_000_000, "1354040105"),
        (1_354_040_105_123_000_000, "1354040105.123"), (5, "0.000000005"), (-1_500_000_000, "-1.5"),
        (-1, "-0.000000001"),
    ])
    func timesAreAsRcloneWritesThem(nanoseconds: Int64, text: String) {
        #expect(ModificationTime.text(nanoseconds: nanoseconds) == text)
    }

    @Test(arguments: [
        ("a/b.JPG", "image/jpeg"), ("x.tar.gz", "application/gzip"), ("x.html", "text/html"),
        (".txt", ContentTypes.unknown), ("a.txt/b", ContentTypes.unknown), ("", ContentTypes.unknown),
        ("a.", ContentTypes.unknown), ("a.unheard", ContentTypes.unknown),
    ])
    func theEndOfANameTellsTheContentType(name: String, type: String) {
        #expect(ContentTypes.guess(name) == type)
    }

    // MARK: Parts

    @Test func whatFitsOneUploadIsPutWhole() {
        #expect(PartCutting.lengths(0) == nil && PartCutting.lengths(Limits.uploadByteCount) == nil)
    }

    @Test(arguments: [
        Limits.uploadByteCount + 1, 6 * Limits.uploadByteCount,
        UInt64(Limits.partCount) * Limits.uploadByteCount - 1,
        UInt64(Limits.partCount) * Limits.uploadByteCount,
    ])
    func moreIsCutIntoPartsThatS3Takes(size: UInt64) throws {
        let lengths = try #require(PartCutting.lengths(size))
        #expect(lengths.reduce(0, +) == size && lengths.count <= Limits.partCount)
        #expect(lengths.allSatisfy { (1...Limits.uploadByteCount).contains($0) })
        #expect(lengths.dropLast().allSatisfy { $0 >= Limits.minimumPartByteCount })
    }

    // MARK: Ids

    private func listed(_ id: String?, key: String = "k", etag: String = "e") -> ListedObject {
        ListedObject(key: key, size: 1, etag: etag, versionID: id, modified: Timestamp(microseconds: 7))
    }

    @Test func aVersionOfAHoldfastKeepsItsID() {
        let id = VersionID.random()
        #expect(listed(id.description).importedID(place: "s3://b/k") == id)
    }

    @Test func anyOtherVersionHasOneIDInEveryRun() {
        let foreign = listed("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY").importedID(place: "s3://b/k")
        #expect(listed("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY").importedID(place: "s3://b/k") == foreign)
        #expect(listed("another").importedID(place: "s3://b/k") != foreign)
        #expect(listed("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY").importedID(place: "s3://c/k") != foreign)
        // The null version is another when it was written over.
        let null = listed(nil).importedID(place: "s3://b/k")
        #expect(listed(nil).importedID(place: "s3://b/k") == null)
        #expect(listed(nil, etag: "f").importedID(place: "s3://b/k") != null)
    }
}
