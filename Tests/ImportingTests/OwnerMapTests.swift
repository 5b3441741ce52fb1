import Importing
import Testing

@Suite struct OwnerMapTests {
    private func user(_ map: OwnerMap, _ name: String, id: String? = nil, called: String? = nil) -> String? {
        map.user(for: name, owner: (id, called))
    }

    @Test(arguments: [
        "photos/,alice\nphotos/bob/, bob \n# a comment\n\n1234abcd,carol\nDave,dave\n*,root",
        #"{"photos/": "alice", "photos/bob/": "bob", "1234abcd": "carol", "Dave": "dave", "*": "root"}"#,
    ])
    func theLongestPrefixCountsThenTheOwnerThenTheRest(text: String) throws {
        let map = try OwnerMap(text)
        #expect(map.users == ["alice", "bob", "carol", "dave", "root"])
        #expect(user(map, "photos/1.jpg") == "alice")
        #expect(user(map, "photos/bob/1.jpg", id: "1234abcd") == "bob")
        #expect(user(map, "photo", id: "1234abcd") == "carol")
        #expect(user(map, "x", id: "unknown", called: "Dave") == "dave")
        #expect(user(map, "x") == "root")
    }

    @Test func prefixesOfTwoUnicodeFormsAreTwo() throws {
        let map = try OwnerMap("cafe\u{301}/,alice\ncaf\u{E9}/,bob")
        #expect(user(map, "cafe\u{301}/1") == "alice")
        #expect(user(map, "caf\u{E9}/1") == "bob")
    }

    @Test func whatNobodyIsNamedForIsTold() throws {
        let map = try OwnerMap("a/,alice")
        #expect(user(map, "b/c") == nil)
        #expect(OwnerMap.unmapped("b/c/d", owner: (nil, nil)) == "b/")
        #expect(OwnerMap.unmapped("c", owner: (nil, nil)) == "files that are in no folder")
        #expect(OwnerMap.unmapped("b/c", owner: ("12", "Eve")) == "Eve (12)")
    }

    @Test(arguments: [
        ("alice", 1), ("a/,alice\n,bob", 2), ("a/,alice\na/,bob", 2), ("a/,alice\nb,", 2),
        ("{\"a\": 1}", 1), ("{", 1), ("*,a\n*,b", 2),
    ])
    func whatCannotBeMeantIsRefusedByItsLine(text: String, line: Int) throws {
        var message = ""
        do { _ = try OwnerMap(text) } catch { message = "\(error)" }
        #expect(message.contains("line \(line)"), "\(text): \(message)")
    }
}
