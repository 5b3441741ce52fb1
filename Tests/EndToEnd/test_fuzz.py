"""The HTTP surface under requests that nobody meant: validly signed, made of good ones by a few changes.

Whatever is asked, the answer is well-formed HTTP and XML, never a 500, and comes at once; the server's memory stays
bounded, and the store is whole afterwards. `HOLDFAST_SEED` repeats a run.
"""

import base64
import collections
import errno
import hashlib
import http.client
import os
import random
import re
import socket
import urllib.parse
import xml.etree.ElementTree

from holdfast import ACCESS_KEY, Server
from signing import Signer, sha256

SEED = int(os.environ.get("HOLDFAST_SEED", random.SystemRandom().randrange(2**32)))
REQUESTS = int(os.environ.get("HOLDFAST_FUZZ_REQUESTS", "3000"))
MEMORY_GROWTH_KIB = 256 * 1024

SUBRESOURCES = [
    "abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
    "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics", "notification", "object-lock",
    "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore",
    "retention", "select", "tagging", "torrent", "uploads", "versioning", "versions", "website"]
VALUES = ["", "0", "1", "-1", "1000", "1001", "10000", "10001", "99999999999999999999", "null", "url", "/", "a", "é", "%",
          "%2F", "+", " ", "\u20ac", "../", "true", "STANDARD", "Enabled", "aws:kms", "AES256", "bytes=0-4", "*", "\"x\"",
          "a" * 1025, "Sun, 06 Nov 1994 08:49:37 GMT", "2024-02-30T00:00:00Z", "{bucket}/key", "/{bucket}/key?versionId=x"]
QUERIES = ["list-type", "prefix", "delimiter", "marker", "max-keys", "continuation-token", "start-after", "encoding-type",
           "fetch-owner", "versionId", "key-marker", "version-id-marker", "upload-id-marker", "max-uploads", "max-parts",
           "part-number-marker", "partNumber", "uploadId", "response-content-type", "response-expires", "x-id"]
HEADERS = ["Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Content-MD5", "Content-Type",
           "Content-Encoding", "Cache-Control", "Expires", "Origin", "Access-Control-Request-Method", "Referer",
           "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-copy-source-if-match", "x-amz-metadata-directive",
           "x-amz-tagging", "x-amz-tagging-directive", "x-amz-acl", "x-amz-grant-read", "x-amz-storage-class",
           "x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm",
           "x-amz-server-side-encryption-customer-key", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date",
           "x-amz-object-lock-legal-hold", "x-amz-bypass-governance-retention", "x-amz-checksum-crc32",
           "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm", "x-amz-checksum-type",
           "x-amz-object-attributes", "x-amz-website-redirect-location", "x-amz-meta-a", "x-amz-expected-bucket-owner",
           "x-amz-request-payer", "x-amz-mp-object-size", "x-amz-decoded-content-length", "x-amz-trailer"]
NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
BODIES = [
    b"", b"hello", b"\0" * 70000,
    f"<Delete {NS}><Object><Key>k</Key></Object><Quiet>true</Quiet></Delete>".encode(),
    f"<CompleteMultipartUpload {NS}><Part><PartNumber>1</PartNumber><ETag>&quot;x&quot;</ETag></Part></CompleteMultipartUpload>".encode(),
    f"<CreateBucketConfiguration {NS}><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>".encode(),
    f"<VersioningConfiguration {NS}><Status>Enabled</Status></VersioningConfiguration>".encode(),
    f"<Tagging {NS}><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>".encode(),
    f"<CORSConfiguration {NS}><CORSRule><AllowedOrigin>http://*.a</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>".encode(),
    f"<LifecycleConfiguration {NS}><Rule><ID>a</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3000</Days></Expiration></Rule></LifecycleConfiguration>".encode(),
    f"<ObjectLockConfiguration {NS}><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>".encode(),
    f"<Retention {NS}><Mode>GOVERNANCE</Mode><RetainUntilDate>2000-01-01T00:00:00Z</RetainUntilDate></Retention>".encode(),
    f"<LegalHold {NS}><Status>OFF</Status></LegalHold>".encode(),
    f"<ServerSideEncryptionConfiguration {NS}><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>".encode(),
    f"<OwnershipControls {NS}><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>".encode(),
    f"<PublicAccessBlockConfiguration {NS}><BlockPublicAcls>false</BlockPublicAcls></PublicAccessBlockConfiguration>".encode(),
    f'<AccessControlPolicy {NS}><Owner><ID>a</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>'.encode(),
    f"<BucketLoggingStatus {NS}><LoggingEnabled><TargetBucket>b</TargetBucket><TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>".encode(),
    f"<NotificationConfiguration {NS}><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>".encode(),
    f"<RequestPaymentConfiguration {NS}><Payer>BucketOwner</Payer></RequestPaymentConfiguration>".encode(),
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam:::user/x"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::fuzz-a/*"}]}',
]
FORM = (b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name="file"; '
        b'filename="f"\r\n\r\nhello\r\n--b--\r\n')


def body_of(word):
    """The body with this word in it."""
    return next(body for body in BODIES if word.encode() in body)


# Requests that mean something: method, whether of an object, subresource, headers, body. Each setting is put, got and deleted.
SETTINGS = {
    "acl": "<AccessControlPolicy", "cors": "<CORSConfiguration", "encryption": "<ServerSideEncryption",
    "lifecycle": "<LifecycleConfiguration", "logging": "<BucketLoggingStatus", "notification": "<NotificationConfiguration",
    "object-lock": "<ObjectLockConfiguration", "ownershipControls": "<OwnershipControls", "policy": '"Version"',
    "publicAccessBlock": "<PublicAccessBlock", "requestPayment": "<RequestPayment", "tagging": "<Tagging",
    "versioning": "<Versioning"}
OBJECT_SETTINGS = {"acl": "<AccessControlPolicy", "legal-hold": "<LegalHold", "retention": "<Retention", "tagging": "<Tagging"}
TEMPLATES = [
    (method, is_object, name, {}, body_of(word) if method == "PUT" else b"")
    for settings, is_object in ((SETTINGS, False), (OBJECT_SETTINGS, True)) for name, word in settings.items()
    for method in ("PUT", "PUT", "GET", "DELETE")
] + [
    ("GET", False, name, {}, b"") for name in ("location", "policyStatus", "uploads", "versions", "list-type=2", "list-type=1")
] + [
    ("POST", False, "delete", {}, body_of("<Delete")), ("OPTIONS", True, "", {"Origin": "http://a"}, b""),
    ("POST", False, "", {"Content-Type": "multipart/form-data; boundary=b"}, FORM),
    ("GET", True, "attributes", {"x-amz-object-attributes": "ETag,ObjectSize"}, b""),
    ("GET", True, "", {"Range": "bytes=0-2"}, b""), ("HEAD", True, "", {}, b""), ("DELETE", True, "", {}, b""),
    ("PUT", True, "", {}, b"hello"), ("PUT", True, "", {"x-amz-meta-a": "b", "x-amz-tagging": "a=b"}, b"hello"),
    ("PUT", True, "", {"x-amz-copy-source": "/fuzz-a/k", "x-amz-metadata-directive": "REPLACE"}, b""),
    ("PUT", True, "", {"x-amz-server-side-encryption": "AES256"}, b"hello"),
    ("PUT", True, "", {"x-amz-acl": "public-read"}, b"hello"), ("POST", True, "uploads", {}, b""),
    ("PUT", True, "uploadId={upload}&partNumber=1", {}, b"hello"),
    ("PUT", True, "uploadId={upload}&partNumber=2", {"x-amz-copy-source": "/fuzz-a/k"}, b""),
    ("GET", True, "uploadId={upload}", {}, b""), ("DELETE", True, "uploadId={upload}", {}, b""),
    ("POST", True, "uploadId={upload}", {}, body_of("<CompleteMultipart")),
]


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        # The last upload that the server began, so that its parts are found.
        self.upload = "none"

    def value(self):
        value = self.random.choice(VALUES).replace("{bucket}", "fuzz-a")
        return value if self.random.random() < 0.8 else value + self.random.choice(VALUES)

    def path(self):
        bucket = self.random.choice(["fuzz-a"] * 6 + ["fuzz-b", "fuzz-b", "no-such-bucket", "X", "a..b", "é", ""])
        key = self.random.choice([None, None, "", "k", "k", "k", "dir/", "dir/x", "é\u20ac", "a b+c&d=e", "..", "%2F", "k" * 1024,
                                  "k" * 1025, "\x01", "\x00"])
        return "/" + bucket if key is None or not bucket else f"/{bucket}/{key}"

    def query(self):
        query = []
        if self.random.random() < 0.6:
            query.append((self.random.choice(SUBRESOURCES), self.value() if self.random.random() < 0.1 else ""))
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 4])):
            query.append((self.random.choice(QUERIES), self.value()))
        return query

    def headers(self):
        chosen = {}
        for _ in range(self.random.choice([0, 0, 1, 1, 2, 5])):
            value = self.value().encode("ascii", "ignore").decode()
            chosen[self.random.choice(HEADERS)] = value.strip()
        return chosen

    def changed(self, body):
        body = bytearray(body)
        if body and self.random.random() < 0.5:
            for _ in range(self.random.choice([1, 1, 2, 5])):
                at = self.random.randrange(len(body) + 1)
                kind = self.random.randrange(4)
                if kind == 0:
                    body[at:at] = self.random.choice(VALUES).encode()
                elif kind == 1:
                    del body[at:at + self.random.randrange(30)]
                elif kind == 2:
                    body[at:at] = body[at:at + self.random.randrange(60)] * self.random.randrange(4)
                elif at < len(body):
                    body[at] = self.random.randrange(256)
        return bytes(body)

    def request(self):
        """Three of four are a template with a change or none; the others anything."""
        if self.random.random() < 0.25:
            return self.anything()
        method, is_object, query, headers, body = self.random.choice(TEMPLATES)
        path = "/" + self.random.choice(["fuzz-a"] * 9 + ["fuzz-b"]) + (
            "/" + self.random.choice(["k", "k", "k", "dir/x", "é\u20ac"]) if is_object else "")
        query = [tuple((item + "=").split("=")[:2]) for item in query.format(upload=self.upload).split("&") if item]
        headers = dict(headers)
        if self.random.random() < 0.5:
            body = self.changed(body)
        if body.startswith((b"<", b"{")) and self.random.random() < 0.9:
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
        change = self.random.randrange(8)
        if change == 0:
            headers.update(self.headers())
        elif change == 1:
            query += self.query()[-1:]
        elif change == 2 and headers:
            headers[self.random.choice(list(headers))] = self.value().encode("ascii", "ignore").decode().strip()
        elif change == 3 and query:
            at = self.random.randrange(len(query))
            query[at] = query[at][0], self.value()
        return method, path, query, headers, body

    def anything(self):
        method = self.random.choice(["GET"] * 3 + ["PUT"] * 4 + ["DELETE", "POST", "POST", "HEAD", "OPTIONS", "PATCH"])
        has_body = method in ("PUT", "POST", "PATCH") or self.random.random() < 0.1
        body = self.changed(self.random.choice(BODIES)) if has_body else b""
        headers = self.headers()
        if method == "POST" and self.random.random() < 0.1:
            body, headers["Content-Type"] = FORM, "multipart/form-data; boundary=b"
        return method, self.path(), self.query(), headers, body


class Connection:
    """One kept alive as long as the server does."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.is_new = True

    def send(self, method, path, query, headers, body, signer=None):
        """Signs: by `signer`, or root."""
        signer = signer or Signer()
        sent = {"Host": f"127.0.0.1:{self.server.port}", "x-amz-date": signer.time, "x-amz-content-sha256": sha256(body),
                **headers}
        sent["Authorization"] = signer.sign(method, path, query, sent, sha256(body))
        target = urllib.parse.quote(path, safe="/-._~")
        if query:
            target += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        return self.exchange(method, target, sent, body)

    def exchange(self, method, target, sent, body):
        """Returns status, headers and body; reconnects where the server had closed after an answer."""
        sent = {"Host": f"127.0.0.1:{self.server.port}", **sent, "Content-Length": str(len(body))}
        while True:
            try:
                self.connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                for name, value in sent.items():
                    self.connection.putheader(name, value)
                try:
                    self.connection.endheaders(body)
                except (BrokenPipeError, ConnectionResetError):
                    # Refused before the whole body was there: the answer is still to be read.
                    if self.connection.sock is None:
                        raise
                response = self.connection.getresponse()
                answer = response.status, response.headers, response.read()
                self.is_new = response.will_close
                return answer
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.connection.close()
                assert not self.is_new, "the server closed a new connection without an answer"
                self.is_new = True


def resident_kib(server):
    with open(f"/proc/{server.process.pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def parsed(body):
    """As S3 does, a control character in a key is written as a reference, which XML 1.0 does not have."""
    return xml.etree.ElementTree.fromstring(re.sub(rb"&#(x[01]?[0-9a-fA-F]|[12]?[0-9]|3[01]);", b"?", body))


def check(request, status, headers, body):
    shown = (f"HOLDFAST_SEED={SEED}", request, status, body[:300])
    assert status < 500 or status == 501, shown
    assert headers.get("x-amz-request-id"), shown
    if request[0] == "HEAD" or status in (204, 304):
        assert body == b"", shown
    elif status >= 300:
        root = parsed(body)
        assert root.tag == "Error" and root.findtext("Code") and root.findtext("Message"), shown
    elif "xml" in headers.get("Content-Type", "") and body and not is_object_read(request):
        parsed(body)


def is_object_read(request):
    """Whether the body is an object's, which need not be the XML that it says it is."""
    return request[0] == "GET" and request[1].count("/") > 1


def test_no_request_brings_the_server_down(tmp_path):
    print(f"HOLDFAST_SEED={SEED}")
    generator = Generator(SEED)
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        for bucket in ("fuzz-a", "fuzz-b"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="fuzz-a", Key="k", Body=b"hello")
        connections = [Connection(server) for _ in range(4)]

        statuses = collections.Counter()

        def run(count):
            for number in range(count):
                request = generator.request()
                answer = connections[number % len(connections)].send(*request)
                check(request, *answer)
                statuses[answer[0]] += 1
                if found := re.search(rb"<UploadId>([^<]+)</UploadId>", answer[2]):
                    generator.upload = found[1].decode()
                if answer[0] == 404 and b"<Code>NoSuchBucket</Code>" in answer[2]:
                    # Deleted by a request that meant it: others need it.
                    connections[0].send("PUT", "/fuzz-a", [], {}, b"")

        # What caches and pools take at the start is not counted.
        run(REQUESTS // 3)
        before = resident_kib(server)
        run(REQUESTS - REQUESTS // 3)
        grown = resident_kib(server) - before
        assert grown < MEMORY_GROWTH_KIB, f"the server grew by {grown} KiB"
        assert server.process.poll() is None
        print(sorted(statuses.items()))
        # The requests are near enough to good ones that some are, and others get past the signature.
        assert sum(n for status, n in statuses.items() if status < 300) > REQUESTS / 50
        assert statuses[403] < REQUESTS / 4
        bucket = "still-alive"
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        for connection in connections:
            connection.connection.close()
        server.fsck(check=0)


HEADS = [
    b"GET /fuzz-a/k HTTP/1.1\r\nHost: x\r\n\r\n", b"PUT /fuzz-a/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /fuzz-a/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"OPTIONS /fuzz-a HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    (f"GET /fuzz-a HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/"
     "aws4_request, SignedHeaders=host;x-amz-date, Signature=00\r\nx-amz-date: 20130524T000000Z\r\n\r\n").encode(),
    b"GET /fuzz-a/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-SignedHeaders=host HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_no_bytes_bring_the_server_down(tmp_path):
    """Heads that are no HTTP any more: an error in good HTTP, or the end of the connection."""
    print(f"HOLDFAST_SEED={SEED}")
    chance = random.Random(SEED)
    with Server(tmp_path / "store") as server:
        server.client().create_bucket(Bucket="fuzz-a")
        before = resident_kib(server)
        for _ in range(max(REQUESTS // 6, 1)):
            head = bytearray(chance.choice(HEADS))
            for _ in range(chance.choice([1, 1, 2, 4])):
                at = chance.randrange(len(head))
                if chance.random() < 0.5:
                    head[at] = chance.randrange(256)
                else:
                    head[at:at + chance.randrange(8)] = chance.choice(
                        [b"", b"\r\n", b"\0", b"%", b":", b" ", b"A" * 20000, b"\xff", b"-1", b"99999999999999999999"])
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                answer = b""
                try:
                    connection.sendall(head)
                    connection.shutdown(socket.SHUT_WR)
                    while piece := connection.recv(65536):
                        answer += piece
                except TimeoutError:
                    raise AssertionError(f"HOLDFAST_SEED={SEED}: no answer and no end to {bytes(head)!r}") from None
                except OSError as error:
                    # Closed at once: the server had read what it needed.
                    assert error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN), error
            if answer:
                status = int(answer.split(b" ", 2)[1])
                assert answer.startswith(b"HTTP/1.") and (status < 500 or status in (501, 505)), (SEED, bytes(head), answer)
        assert resident_kib(server) - before < MEMORY_GROWTH_KIB
        assert server.process.poll() is None
        server.fsck(check=0)
