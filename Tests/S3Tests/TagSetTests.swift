import S3
import Testing

@Suite struct TagSetTests {
    private static func outcome(_ make: () throws -> TagSet) -> String {
        do { return try make().tags.map { "\($0.key)=\($0.value)" }.joined(separator: ";") } catch {
            return (error as? S3Error)?.code.name ?? "\(error)"
        }
    }

    @Test(arguments: [
        ("", ""), ("a=1&b=2", "a=1;b=2"), ("b=2&a=1", "b=2;a=1"), ("a", "a="), ("a=", "a="),
        ("a+b=c%2Bd", "a b=c+d"),
        ("a=b=c", "a=b=c"), ("&&a=1&", "a=1"), ("=1", "InvalidTag"), ("a=1&a=1", "InvalidTag"),
        ("aws%3Aa=1", "InvalidTag"), ("AWS:a=1", "AWS:a=1"), ("a=%0A", "InvalidTag"),
        ("a=%zz", "InvalidArgument"), ("a=%FF", "InvalidArgument"), ("a=%E6%97%A5", "a=日"),
        ("a=!", "InvalidTag"), ("a=x@y:z/1_2.3-4", "a=x@y:z/1_2.3-4"),
    ])
    func aHeadersTagsAreThoseOfAQuery(header: String, expected: String) {
        #expect(Self.outcome { try TagSet(header: header) } == expected)
    }

    @Test(arguments: [
        (128, 256, "ok"), (129, 0, "InvalidTag"), (1, 257, "InvalidTag"), (0, 1, "InvalidTag"),
    ])
    func aKeyHas128CharactersAndAValue256(key: Int, value: Int, expected: String) {
        let header = "\(String(repeating: "ü", count: key))=\(String(repeating: "日", count: value))"
        let found = Self.outcome { try TagSet(header: header) }
        #expect(expected == "ok" ? found == header : found == expected)
    }

    @Test(arguments: [
        (TagSet.Holder.object, 10, true), (.object, 11, false), (.bucket, 50, true), (.bucket, 51, false),
    ])
    func anObjectHasTenTagsAndABucketFifty(holder: TagSet.Holder, count: Int, isTaken: Bool) throws {
        let tags = (0..<count).map { "<Tag><Key>k\($0)</Key><Value/></Tag>" }.joined()
        let document = try XMLElement.parse(
            Array("<Tagging><TagSet>\(tags)</TagSet></Tagging>".utf8), root: "Tagging")
        let found = Self.outcome { try TagSet(document, of: holder) }
        #expect((found == "BadRequest") == !isTaken)
    }
}
