import HTTPTypes
import Model
import S3
import Testing

@Suite struct AccessRecordTests {
    private static let bucket: Bucket = {
        do {
            return Bucket(
                name: try BucketName("photos"), owner: "owner", region: "us-east-1",
                created: Timestamp(microseconds: 0), createdSequence: SequenceNumber(1), versioning: .off,
                settings: BucketSettings())
        } catch { preconditionFailure("\(error)") }
    }()

    private static func line(
        _ head: HTTPRequest, _ operation: Operation?, _ response: ServiceResponse,
        requester: String? = "asker",
        sent: UInt64 = 0
    ) throws -> String {
        let target = try RequestTarget(uri: head.path ?? "", host: nil, domains: [])
        let rules = try LoggingRules(
            stored: Array(
                "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix/></LoggingEnabled></BucketLoggingStatus>"
                    .utf8))
        let note = AccessNote(
            bucket: bucket, rules: rules, target: target, requester: requester, operation: operation,
            requestID: "ID", hostID: "HOST")
        let facts = AccessFacts(
            remoteAddress: "192.0.2.3", tlsVersion: "TLSv1.3", bytesSent: sent,
            duration: .milliseconds(1234), turnAround: .microseconds(5999))
        let bytes = AccessRecord.line(
            note, head, response, facts, time: Timestamp(microseconds: exampleTime * 1_000_000))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func aRecordHasEveryFieldInItsPlace() throws {
        let head = request(
            .get, "/photos/a%20b?versionId=v1", host: "s3.example",
            [
                ("authorization", "AWS4-HMAC-SHA256 x"), ("user-agent", "An agent/1"),
                ("referer", "http://a/"),
            ])
        var response = ServiceResponse(
            .partialContent, headers: [.contentLength: "10", .contentRange: "bytes 0-9/500"])
        response.errorCode = nil
        #expect(
            try Self.line(head, .getObject, response, sent: 10)
                == "owner photos [24/May/2013:00:00:00 +0000] 192.0.2.3 asker ID REST.GET.OBJECT a%20b "
                + "\"GET /photos/a%20b?versionId=v1 HTTP/1.1\" 206 - 10 500 1234 5 \"http://a/\" \"An agent/1\" v1 HOST "
                + "SigV4 - AuthHeader s3.example TLSv1.3 - -\n")
    }

    @Test func whatIsNotKnownIsADash() throws {
        var response = ServiceResponse(.forbidden)
        response.errorCode = "AccessDenied"
        #expect(
            try Self.line(request(.delete, "/photos", host: ""), nil, response, requester: nil)
                == "owner photos [24/May/2013:00:00:00 +0000] 192.0.2.3 - ID REST.DELETE.BUCKET - "
                + "\"DELETE /photos HTTP/1.1\" 403 AccessDenied - - 1234 5 \"-\" \"-\" - HOST - - - - TLSv1.3 - -\n"
        )
    }

    @Test(arguments: [
        ("/photos/k?X-Amz-Signature=1", "", "SigV4", "QueryString"),
        ("/photos/k?Signature=1&AWSAccessKeyId=a", "", "SigV2", "QueryString"),
        ("/photos/k", "AWS a:b", "SigV2", "AuthHeader"), ("/photos/k", "", "-", "-"),
    ])
    func theRecordTellsHowARequestWasSigned(path: String, header: String, version: String, kind: String)
        throws
    {
        let head = request(.get, path, host: "h", header.isEmpty ? [] : [("authorization", header)])
        let line = try Self.line(head, .getObject, ServiceResponse(.ok))
        #expect(line.hasSuffix(" HOST \(version) - \(kind) h TLSv1.3 - -\n"))
    }

    /// A client that could end a field early could write the rest of the line itself.
    @Test(arguments: ["\"", "a\" 200 - \"", "\u{1}", "a\tb", "\u{7F}"])
    func nothingThatAClientSendsEndsAField(text: String) throws {
        let head = request(.get, "/photos/k?\"x", host: "a b", [("user-agent", text), ("referer", text)])
        let line = try Self.line(head, .getObject, ServiceResponse(.ok))
        #expect(line.count { $0 == "\"" } == 6)
        #expect(!line.dropLast().unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F })
        #expect(line.contains(" a%20b "))
    }

    @Test func everyOperationHasAName() {
        for operation in Operation.allCases {
            #expect(AccessOperation.names[operation]?.hasPrefix("REST.") == true, "\(operation)")
        }
    }
}
