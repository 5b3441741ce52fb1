import S3
import Testing

@Suite struct RedactedPathTests {
    @Test(arguments: [
        ("/b/k", "/b/k"), ("/b/k?versionId=1&x", "/b/k?versionId=1&x"),
        ("/b/k?X-Amz-Signature=abc&X-Amz-Date=1", "/b/k?X-Amz-Signature=REDACTED&X-Amz-Date=1"),
        ("/b/k?a=1&x%2Damz%2Dsignature=abc", "/b/k?a=1&x%2Damz%2Dsignature=REDACTED"),
        (
            "/b/k?AWSAccessKeyId=A&Signature=a%3D&Expires=1",
            "/b/k?AWSAccessKeyId=A&Signature=REDACTED&Expires=1"
        ),
        ("/b/Signature=x", "/b/Signature=x"),
    ])
    func whatCouldBeSentAgainIsLeftOut(_ path: String, _ text: String) {
        #expect(RedactedPath.text(path) == text)
    }
}
