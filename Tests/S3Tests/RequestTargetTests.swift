import S3
import Testing

@Suite struct RequestTargetTests {
    private func target(_ uri: String, _ host: String? = "localhost:9000", domains: [String] = ["localhost"])
        throws
        -> RequestTarget
    {
        try RequestTarget(uri: uri, host: host, domains: domains)
    }

    @Test(
        arguments: [
            ("/", nil, nil), ("/bucket", "bucket", nil), ("/bucket/", "bucket", nil),
            ("/bucket/key", "bucket", "key"),
            ("/bucket/a/b//c/", "bucket", "a/b//c/"), ("/bucket//key", "bucket", "/key"),
            ("/bucket/a%2Fb", "bucket", "a/b"),
            ("/bucket/a+b", "bucket", "a+b"), ("/bucket/a%20b", "bucket", "a b"),
            ("/bucket/%00", "bucket", "\u{0}"),
            ("/bucket/../x", "bucket", "../x"), ("/bucket/.", "bucket", "."), ("/bucket?key", "bucket", nil),
            ("/bucket/a%3Fb?c", "bucket", "a?b"), ("/bucket/%CC%81a", "bucket", "\u{301}a"),
            ("//key", "", "key"),
        ] as [(String, String?, String?)])
    func aPathNamesBucketAndKey(uri: String, bucket: String?, key: String?) throws {
        let target = try target(uri)
        #expect(target.bucket == bucket)
        #expect(target.key.map { Array($0.utf8) } == key.map { Array($0.utf8) })
    }

    @Test(
        arguments: [
            ("bucket.localhost", "bucket", "key"), ("Bucket.LocalHost:9000", "bucket", "key"),
            ("my.bucket.localhost", "my.bucket", "key"), ("localhost", "key", nil),
            ("127.0.0.1:9000", "key", nil),
            ("[::1]:9000", "key", nil), ("notlocalhost", "key", nil), ("localhost.example.com", "key", nil),
            (nil, "key", nil),
        ] as [(String?, String, String?)])
    func aHostBelowADomainNamesTheBucket(host: String?, bucket: String, key: String?) throws {
        let target = try target("/key", host)
        #expect(target.bucket == bucket)
        #expect(target.key == key)
        #expect(target.path == "/key")
    }

    @Test func theLongestDomainCounts() throws {
        for domains in [["example.com", "s3.example.com"], ["s3.example.com", "example.com"]] {
            #expect(try target("/key", "bucket.s3.example.com", domains: domains).bucket == "bucket")
            #expect(try target("/key", "bucket.example.com", domains: domains).bucket == "bucket")
            #expect(try target("/bucket/key", "s3.example.com", domains: domains).bucket == "bucket")
        }
    }

    @Test func aKeyOfAVirtualHostIsEverythingBehindTheFirstSlash() throws {
        for (uri, key) in [
            ("/", nil), ("/a/b", "a/b"), ("//", "/"), ("/%CC%81a", "\u{301}a"), ("/%E2%80%8Da", "\u{200D}a"),
        ] as [(String, String?)] {
            let found = try target(uri, "bucket.localhost").key
            #expect(found.map { Array($0.utf8) } == key.map { Array($0.utf8) }, "\(uri)")
        }
    }

    @Test(arguments: ["", "bucket", "?a", "*", "/%", "/%zz", "/a?%", "/a?b=%f", "/%FF", "/a?b=%FF"])
    func whatIsNoURIIsRefused(uri: String) {
        let error = #expect(throws: S3Error.self) { try self.target(uri) }
        #expect(error?.code.name == "InvalidURI")
    }

    @Test func aQueryIsDecodedInOrder() throws {
        let query = try Query("b=2&a=1&a=3&c&=x&d=e=f&g=h+i%2B")
        #expect(query.items.map(\.name) == ["b", "a", "a", "c", "", "d", "g"])
        #expect(query.items.map(\.value) == ["2", "1", "3", "", "x", "e=f", "h i+"])
        #expect(query["a"] == "1", "the first counts")
        #expect(query["c"] == "" && query["none"] == nil)
        #expect(try Query("").items.isEmpty && Query("&&").items.isEmpty)
    }
}
