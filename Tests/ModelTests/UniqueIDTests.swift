import Model
import Testing

@Suite struct UniqueIDTests {
    private let text = "0123456789abcdeffedcba9876543210"

    @Test func digitsAndBytesAreTwoFormsOfOneID() throws {
        let id = try #require(BlobID(text))
        #expect(id.high == 0x0123_4567_89ab_cdef)
        #expect(id.low == 0xfedc_ba98_7654_3210)
        #expect(id.description == text)
        #expect(id.bytes.hexadecimal == text)
        #expect(BlobID(bytes: id.bytes) == id)
    }

    @Test(arguments: [
        "", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba98765432100",
        "0123456789ABCDEFfedcba9876543210", "0123456789abcdeffedcba987654321g",
        " 123456789abcdeffedcba9876543210",
        "0123456789abcdef-edcba9876543210", "é123456789abcdeffedcba987654321",
    ])
    func anythingButThirtyTwoLowerCaseDigitsIsNoID(text: String) {
        #expect(BlobID(text) == nil)
    }

    @Test(arguments: [0, 15, 17])
    func anyOtherCountOfBytesIsNoID(count: Int) {
        #expect(BlobID(bytes: [UInt8](repeating: 0, count: count)) == nil)
    }

    @Test func idsAreOrderedAsTheirDigitsAre() throws {
        let ids = (0..<100).map { _ in BlobID.random() }
        #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
        #expect(Set(ids).count == ids.count)
    }
}
