import HoldfastServer
import NIOHTTP1
import S3
import Testing

@Suite struct RequestOutlineTests {
    private static func outline(
        _ method: HTTPMethod, _ uri: String, _ headers: HTTPHeaders = [:], host: String = "127.0.0.1:9000"
    ) -> RequestOutline {
        var headers = headers
        headers.add(name: "Host", value: host)
        return RequestOutline(
            HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers),
            domains: ["localhost", "s3.example.org"], needsNames: true)
    }

    @Test(arguments: [
        (HTTPMethod.GET, "/", RequestClass.list, ""), (.GET, "/bucket", .list, "bucket"),
        (.GET, "/bucket/", .list, "bucket"), (.GET, "/bucket?list-type=2&prefix=a", .list, "bucket"),
        (.GET, "/bucket?versions", .list, "bucket"), (.GET, "/bucket?uploads", .list, "bucket"),
        (.HEAD, "/bucket", .read, "bucket"), (.GET, "/bucket/key", .read, "bucket"),
        (.HEAD, "/bucket/key", .read, "bucket"),
        (.GET, "/bucket/key?versionId=1&partNumber=2", .read, "bucket"),
        (.GET, "/bucket/key?attributes", .read, "bucket"), (.GET, "/bucket/key?uploadId=x", .list, "bucket"),
        (.GET, "/bucket/key?tagging", .admin, "bucket"), (.PUT, "/bucket/key?acl", .admin, "bucket"),
        (.PUT, "/bucket/key", .write, "bucket"),
        (.PUT, "/bucket/key?partNumber=1&uploadId=x", .write, "bucket"),
        (.POST, "/bucket/key?uploads", .write, "bucket"), (.POST, "/bucket/key?uploadId=x", .write, "bucket"),
        (.DELETE, "/bucket/key", .write, "bucket"), (.POST, "/bucket?delete", .write, "bucket"),
        (.POST, "/bucket", .write, "bucket"), (.PUT, "/bucket", .admin, "bucket"),
        (.DELETE, "/bucket", .admin, "bucket"), (.GET, "/bucket?policy", .admin, "bucket"),
        (.PUT, "/bucket?lifecycle", .admin, "bucket"), (.OPTIONS, "/bucket/key", .read, "bucket"),
        (.GET, "https://host/bucket%2Fkey?x", .read, "bucket"), (.GET, "http://h//b/k", .list, ""),
        (.GET, "httpx://h/b/k", .list, ""),
        (.GET, "/b%75cket/key", .read, "bucket"), (.GET, "/bucket%2Fkey", .read, "bucket"),
        (.GET, "%2Fbucket%2fkey", .read, "bucket"), (.GET, "/bucket%2F", .list, "bucket"),
        (.PUT, "/bucket%2Fkey", .write, "bucket"), (.GET, "/bucket?%75ploads", .list, "bucket"),
        (.GET, "/bucket/key?%74agging=", .admin, "bucket"), (.GET, "http://host/bucket/key", .read, "bucket"),
        (.GET, "", .list, ""), (.GET, "?", .list, ""), (.GET, "*", .list, ""), (.GET, "/%", .list, ""),
    ])
    func aRequestIsOfTheClassOfItsWork(
        method: HTTPMethod, uri: String, kind: RequestClass, bucket: String
    ) {
        let outline = Self.outline(method, uri)
        #expect(outline.kind == kind && outline.bucket == bucket, "\(outline)")
    }

    @Test func aHostNamesABucketUnderOneOfTheDomains() {
        for host in ["photos.s3.example.org", "PHOTOS.S3.Example.Org:9000", "photos.localhost"] {
            #expect(Self.outline(.GET, "/", host: host).bucket == "photos")
            #expect(Self.outline(.GET, "/", host: host).kind == .list)
            #expect(Self.outline(.GET, "/key", host: host).kind == .read)
        }
        for host in ["s3.example.org", "notlocalhost", "localhost", "x.example.org"] {
            #expect(Self.outline(.GET, "/key", host: host).bucket == "key")
        }
        #expect(Self.outline(.GET, "%2Fa%2Fb", host: "photos.localhost").bucket == "photos")
        #expect(Self.outline(.GET, "/_holdfast/health/live", host: "photos.localhost").kind == .read)
    }

    /// Or a limit would be passed by naming the same thing otherwise.
    @Test(arguments: [
        "/", "//", "///", "/b", "/b/", "/b//", "/b/k", "/b%2Fk", "%2Fb%2Fk", "/%2Fb/k", "/b%2F", "/b%2f%2fk",
        "/b%3Fk",
        "/b/%CC%81k", "/b%2F%CC%81k", "/%CC%81b/k", "b/k", "http://h", "/b/k?a=%zz", "/b%/k", "/b%FF/k",
    ])
    func anOutlineNamesWhatTheRequestDoes(uri: String) {
        for host in ["localhost", "photos.localhost", "a.b.s3.example.org:9000", ""] {
            let outline = Self.outline(.GET, uri, host: host)
            // What cannot be read names nothing.
            let target = try? RequestTarget(uri: uri, host: host, domains: ["localhost", "s3.example.org"])
            #expect(outline.bucket == target?.bucket ?? "")
            #expect(outline.target?.path == target?.path && outline.target?.key == target?.key)
            #expect(outline.kind == (target?.key != nil && outline.bucket != "" ? .read : .list))
        }
    }

    @Test func theKeyIsWhatTheSignatureClaims() {
        let version4 =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        #expect(Self.outline(.GET, "/b/k", ["Authorization": version4]).accessKey == "AKID")
        #expect(Self.outline(.GET, "/b/k", ["Authorization": "AWS AKID:sig"]).accessKey == "AKID")
        #expect(Self.outline(.GET, "/b/k?X-Amz-Credential=AK%49D%2F20260101%2Fx").accessKey == "AKID")
        #expect(Self.outline(.GET, "/b/k?AWSAccessKeyId=AKID&Signature=x").accessKey == "AKID")
        #expect(Self.outline(.GET, "/b/k").accessKey == "")
        #expect(Self.outline(.GET, "/b/k", ["Authorization": "Bearer x"]).accessKey == "")
    }

    /// Or a limit would be another's than the one who is then let in.
    @Test func theKeyIsReadAsTheSignatureIs() {
        let scope = "20260101/us-east-1/s3/aws4_request"
        for authorization in [
            "AWS4-HMAC-SHA256 XCredential=F, Credential=a/b/\(scope) , Credential=F",
            "AWS4-HMAC-SHA256 Credential=a/b/\(scope),SignedHeaders=host,Signature=0", "AWS  a/b:sig",
        ] {
            #expect(Self.outline(.GET, "/b/k", ["Authorization": authorization]).accessKey == "a/b")
        }
        let twice: HTTPHeaders = [
            "Authorization": "AWS4-HMAC-SHA256 SignedHeaders=host",
            "authorization": "Credential=AKID/\(scope)",
        ]
        #expect(Self.outline(.GET, "/b/k", twice).accessKey == "AKID")
        #expect(
            Self.outline(.GET, "/b/k", ["Authorization": "Bearer Credential=AKID/\(scope)"]).accessKey == "")
        let query = "X-Amz-Credential=a%2Fb%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
        #expect(Self.outline(.GET, "/b/k?\(query)").accessKey == "a/b")
    }

    @Test func memoryIsAskedForAsMuchAsABodyMayTakeAtOnce() {
        #expect(Self.outline(.PUT, "/b/k", ["Content-Length": "100"]).byteCount == 100)
        let large = Self.outline(.PUT, "/b/k", ["Content-Length": "5000000000"])
        #expect((1_000_000...2_000_000).contains(large.byteCount) && large.bodyByteCount == 5_000_000_000)
        let unknown = Self.outline(.PUT, "/b/k", ["Transfer-Encoding": "chunked"])
        #expect(unknown.byteCount == large.byteCount && unknown.bodyByteCount == 0)
        let framed = Self.outline(
            .PUT, "/b/k", ["Transfer-Encoding": "chunked", "x-amz-decoded-content-length": "5000000000"])
        #expect(framed.byteCount == large.byteCount && framed.bodyByteCount == 5_000_000_000)
        #expect(Self.outline(.HEAD, "/b/k").byteCount == 0)
        #expect(Self.outline(.GET, "/b/k").byteCount == 512 * 1024)
        #expect(Self.outline(.PUT, "/b/k", ["Content-Length": "-5"]).byteCount == 0)
    }
}
