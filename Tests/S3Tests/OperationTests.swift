import HTTPTypes
import S3
import Testing

@Suite struct OperationTests {
    private static func operation(
        _ method: HTTPRequest.Method, _ path: String, _ headers: [(String, String)] = []
    ) throws -> String {
        let head = request(method, path, host: "localhost", headers)
        return try Operation(head, RequestTarget(uri: path, host: "localhost", domains: [])).rawValue
    }

    private static func error(_ method: HTTPRequest.Method, _ path: String) -> S3Error? {
        do {
            let found = try operation(method, path)
            Issue.record("\(method) \(path) is \(found)")
            return nil
        } catch { return error as? S3Error }
    }

    @Test(arguments: [
        ("GET", "/", "ListBuckets"), ("GET", "/?max-buckets=5", "ListBuckets"), ("GET", "/b", "ListObjects"),
        ("GET", "/b?list-type=2", "ListObjectsV2"), ("GET", "/b?list-type=1", "ListObjects"),
        ("GET", "/b/?prefix=x&delimiter=/", "ListObjects"),
        ("GET", "/b?versions&prefix=x", "ListObjectVersions"),
        ("GET", "/b?uploads", "ListMultipartUploads"), ("GET", "/b?location", "GetBucketLocation"),
        ("GET", "/b?versioning", "GetBucketVersioning"), ("GET", "/b?acl", "GetBucketAcl"),
        ("PUT", "/b?acl", "PutBucketAcl"), ("GET", "/b?cors", "GetBucketCors"),
        ("PUT", "/b?cors", "PutBucketCors"), ("DELETE", "/b?cors", "DeleteBucketCors"),
        ("GET", "/b?policy", "GetBucketPolicy"), ("PUT", "/b?policy", "PutBucketPolicy"),
        ("DELETE", "/b?policy", "DeleteBucketPolicy"), ("GET", "/b?policyStatus", "GetBucketPolicyStatus"),
        ("GET", "/b?publicAccessBlock", "GetPublicAccessBlock"),
        ("PUT", "/b?publicAccessBlock", "PutPublicAccessBlock"),
        ("DELETE", "/b?publicAccessBlock", "DeletePublicAccessBlock"),
        ("GET", "/b?ownershipControls", "GetBucketOwnershipControls"),
        ("PUT", "/b?ownershipControls", "PutBucketOwnershipControls"),
        ("DELETE", "/b?ownershipControls", "DeleteBucketOwnershipControls"),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("PUT", "/b?lifecycle", "PutBucketLifecycleConfiguration"),
        ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle"), ("GET", "/b?tagging", "GetBucketTagging"),
        ("PUT", "/b?tagging", "PutBucketTagging"), ("DELETE", "/b?tagging", "DeleteBucketTagging"),
        ("GET", "/b?encryption", "GetBucketEncryption"), ("PUT", "/b?encryption", "PutBucketEncryption"),
        ("DELETE", "/b?encryption", "DeleteBucketEncryption"),
        ("GET", "/b?object-lock", "GetObjectLockConfiguration"),
        ("PUT", "/b?object-lock", "PutObjectLockConfiguration"),
        ("GET", "/b?logging", "GetBucketLogging"), ("PUT", "/b?logging", "PutBucketLogging"),
        ("GET", "/b?notification", "GetBucketNotificationConfiguration"),
        ("PUT", "/b?notification", "PutBucketNotificationConfiguration"),
        ("GET", "/b?requestPayment", "GetBucketRequestPayment"),
        ("PUT", "/b?requestPayment", "PutBucketRequestPayment"),
        ("GET", "/b?accelerate", "GetBucketAccelerateConfiguration"), ("POST", "/b", "PostObject"),
        ("OPTIONS", "/b", "Preflight"), ("OPTIONS", "/b/k", "Preflight"),
        ("PUT", "/b/k?acl", "PutObjectAcl"), ("GET", "/b/k?tagging", "GetObjectTagging"),
        ("PUT", "/b/k?tagging", "PutObjectTagging"), ("DELETE", "/b/k?tagging", "DeleteObjectTagging"),
        ("GET", "/b/k?retention", "GetObjectRetention"), ("PUT", "/b/k?retention", "PutObjectRetention"),
        ("GET", "/b/k?legal-hold", "GetObjectLegalHold"), ("PUT", "/b/k?legal-hold", "PutObjectLegalHold"),
        ("GET", "/b/k?attributes", "GetObjectAttributes"),
        ("GET", "/b?replication", "GetBucketSetting"), ("GET", "/b?website", "GetBucketSetting"),
        ("GET", "/b?inventory", "GetBucketSetting"), ("GET", "/b?analytics&id=1", "GetBucketSetting"),
        ("GET", "/b?metrics", "GetBucketSetting"), ("GET", "/b?intelligent-tiering", "GetBucketSetting"),
        ("HEAD", "/b", "HeadBucket"), ("PUT", "/b", "CreateBucket"), ("PUT", "/b/", "CreateBucket"),
        ("PUT", "/b?versioning", "PutBucketVersioning"), ("DELETE", "/b", "DeleteBucket"),
        ("POST", "/b?delete", "DeleteObjects"), ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?versionId=1", "GetObject"),
        ("GET", "/b/k?partNumber=1", "GetObject"), ("GET", "/b/k?response-content-type=a", "GetObject"),
        ("GET", "/b/k?x-id=GetObject", "GetObject"), ("GET", "/b/k?uploadId=1", "ListParts"),
        ("GET", "/b/k?acl", "GetObjectAcl"), ("HEAD", "/b/k", "HeadObject"), ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=1", "UploadPart"), ("DELETE", "/b/k", "DeleteObject"),
        ("DELETE", "/b/k?versionId=1", "DeleteObject"), ("DELETE", "/b/k?uploadId=1", "AbortMultipartUpload"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=1", "CompleteMultipartUpload"),
    ])
    func methodAndQueryMakeTheOperation(method: String, path: String, operation: String) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        #expect(try Self.operation(method, path) == operation)
    }

    @Test(arguments: [("PUT", "/b/k?versionId=1"), ("POST", "/b/k?uploadId=1&versionId=1")])
    func whatIsWrittenTakesNoVersion(method: String, path: String) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        #expect(Self.error(method, path)?.code.name == "InvalidArgument")
    }

    @Test func aCopySourceMakesItACopy() throws {
        let header = [("x-amz-copy-source", "/a/b")]
        #expect(try Self.operation(.put, "/b/k", header) == "CopyObject")
        #expect(try Self.operation(.put, "/b/k?partNumber=1&uploadId=1", header) == "UploadPartCopy")
    }

    /// What S3 has and this store does not: never taken for the plain operation of the same method.
    @Test(arguments: [
        ("PUT", "/b?website"), ("DELETE", "/b?website"), ("PUT", "/b?replication"),
        ("DELETE", "/b?replication"), ("PUT", "/b?accelerate"), ("PUT", "/b?inventory&id=1"),
        ("DELETE", "/b?inventory&id=1"), ("PUT", "/b?analytics&id=1"), ("PUT", "/b?metrics&id=1"),
        ("PUT", "/b?intelligent-tiering&id=1"), ("GET", "/b?session"), ("POST", "/b?metadataTable"),
        ("POST", "/b?metadataConfiguration"), ("GET", "/b?metadataConfiguration"),
        ("DELETE", "/b?metadataConfiguration"), ("PUT", "/b?metadataInventoryTable"),
        ("PUT", "/b?metadataJournalTable"), ("GET", "/b?abac"), ("PUT", "/b?abac"), ("GET", "/b/k?torrent"),
        ("POST", "/b/k?restore"), ("POST", "/b/k?select&select-type=2"), ("PUT", "/b/k?renameObject"),
        ("PUT", "/b/k?encryption"),
    ])
    func aFeatureThatIsNotHereIsRefusedByItsName(method: String, path: String) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        let error = try #require(Self.error(method, path))
        #expect(error.code.name == "NotImplemented")
        let feature = try #require(path.split(separator: "?").last?.split(separator: "&").first)
        #expect(error.message.contains("?\(feature) "), "\(error.message)")
    }

    @Test(arguments: [
        ("PUT", "/"), ("DELETE", "/"), ("POST", "/"), ("HEAD", "/"), ("POST", "/b/k"), ("PATCH", "/b/k"),
        ("OPTIONS", "/"), ("PATCH", "/b"), ("TRACE", "/b"),
    ])
    func aMethodThatMeansNothingThereIsNotAllowed(method: String, path: String) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        let error = try #require(Self.error(method, path))
        #expect(error.code.name == "MethodNotAllowed" && error.code.status == 405)
    }
}
