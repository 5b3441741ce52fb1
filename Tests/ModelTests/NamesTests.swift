import Model
import Testing

@Suite struct BucketNameTests {
    @Test(arguments: [
        "abc", "a-b", "a.b.c", "123", "1.2.3", "1.2.3.4.5", "1.2.3.a", "my-bucket.example.com", "xn-a",
        String(repeating: "a", count: 63), "sthree", "a--b", "a-.b", "300.1.2",
    ])
    func aNameWithinTheRulesIsTaken(name: String) throws {
        #expect(try BucketName(name).rawValue == name)
    }

    @Test(arguments: [
        ("", "is shorter than 3 characters"), ("ab", "is shorter than 3 characters"),
        (String(repeating: "a", count: 64), "is longer than 63 characters"),
        ("Abc", "has a character other than a-z, 0-9, '.' and '-'"),
        ("a_b", "has a character other than a-z, 0-9, '.' and '-'"),
        ("a b", "has a character other than a-z, 0-9, '.' and '-'"),
        ("a/b", "has a character other than a-z, 0-9, '.' and '-'"),
        ("bücket", "has a character other than a-z, 0-9, '.' and '-'"),
        ("abc\u{0}", "has a character other than a-z, 0-9, '.' and '-'"),
        ("-abc", "does not begin and end with a letter or a digit"),
        (".abc", "does not begin and end with a letter or a digit"),
        ("abc-", "does not begin and end with a letter or a digit"),
        ("abc.", "does not begin and end with a letter or a digit"),
        ("a..b", "has two periods side by side"), ("192.168.5.4", "is formatted as an IP address"),
        ("999.999.999.999", "is formatted as an IP address"),
        ("xn--abc", "begins with the reserved prefix 'xn--'"),
        ("sthree-abc", "begins with the reserved prefix 'sthree-'"),
        ("amzn-s3-demo-abc", "begins with the reserved prefix 'amzn-s3-demo-'"),
        ("abc-s3alias", "ends with the reserved suffix '-s3alias'"),
        ("abc--ol-s3", "ends with the reserved suffix '--ol-s3'"),
        ("abc.mrap", "ends with the reserved suffix '.mrap'"),
        ("abc--x-s3", "ends with the reserved suffix '--x-s3'"),
        ("abc--table-s3", "ends with the reserved suffix '--table-s3'"),
    ])
    func aNameThatBreaksARuleIsRefusedWithTheRule(name: String, reason: String) {
        let error = #expect(throws: InvalidName.self) { try BucketName(name) }
        #expect(error == InvalidName(kind: "bucket name", value: name, reason: reason))
    }

    @Test func namesAreOrderedByTheirBytes() throws {
        let names = try ["a.b", "a-b", "aab", "a0b", "b--b"].map { try BucketName($0) }
        #expect(names.sorted().map(\.rawValue) == ["a-b", "a.b", "a0b", "aab", "b--b"])
    }
}

@Suite struct ObjectKeyTests {
    @Test func aKeyHasFrom1To1024Bytes() throws {
        #expect(throws: InvalidName.self) { try ObjectKey("") }
        #expect(try ObjectKey(String(repeating: "k", count: 1024)).utf8.count == 1024)
        #expect(throws: InvalidName.self) { try ObjectKey(String(repeating: "k", count: 1025)) }
    }

    @Test func theLimitCountsBytesAndNotCharacters() throws {
        #expect(try ObjectKey(String(repeating: "é", count: 512)).utf8.count == 1024)
        #expect(throws: InvalidName.self) { try ObjectKey(String(repeating: "é", count: 512) + "a") }
        #expect(throws: InvalidName.self) { try ObjectKey(String(repeating: "👩‍👩‍👧", count: 100)) }
    }

    @Test func unicodeFormsOfOneCharacterAreDifferentKeys() throws {
        let composed = try ObjectKey("caf\u{E9}")
        let decomposed = try ObjectKey("cafe\u{301}")
        #expect(composed.rawValue == decomposed.rawValue, "Swift takes them for one String")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(Set([composed, try ObjectKey("caf\u{E9}")]).count == 1)
    }

    @Test func keysAreOrderedByTheirUTF8Bytes() throws {
        // By UTF-16, a surrogate pair would come before U+FF61; by Swift's String, forms would be equal.
        let keys = try ["\u{1F600}", "\u{FF61}", "cafe\u{301}", "caf\u{E9}", "Z", "a", "a\u{0}", "\u{7F}"]
            .map { try ObjectKey($0) }
        let ordered = keys.sorted().map { Array($0.utf8) }
        #expect(ordered == keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(keys.sorted().last?.rawValue == "\u{1F600}")
    }

    @Test func anErrorShowsNoMoreThanTheBeginningOfALongName() {
        let error = InvalidName(
            kind: "object key", value: String(repeating: "k", count: 5000), reason: "is longer")
        #expect(error.description == "object key '\(String(repeating: "k", count: 80))' is longer")
    }
}
