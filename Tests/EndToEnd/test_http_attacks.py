"""What somebody sends who means harm: it is refused or stored as plain bytes, and costs little.

Slow senders are in the tests of overload."""

import base64
import gzip
import hashlib
import json
import pathlib
import re
import socket
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from holdfast import ACCESS_KEY, SECRET_KEY
from signing import Raw
from wire import Wire


def resident(server):
    """Bytes of memory that the server has."""
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


@pytest.fixture
def unmoved(shared):
    """The server goes on, and takes no more than a little memory for what the test sends it."""
    shared.client().list_buckets()
    before = resident(shared)
    yield
    assert shared.process.poll() is None, shared.errors.read_text()
    shared.client().list_buckets()
    assert resident(shared) - before < 128 * 1024 * 1024


def raw_request(server, data, port=None, timeout=20):
    """What comes back to the bytes, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port or server.port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


# Paths


TRAVERSALS = ["../../../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "....//....//etc/passwd",
              "..\\..\\etc\\passwd", "/etc/passwd", "a/../../b", ".", "..", "x/..", "%00/etc/passwd", "\u2025/etc/passwd"]


@pytest.mark.parametrize("key", TRAVERSALS)
def test_a_key_is_no_path(shared, bucket, s3, key):
    """It is a name, whatever is in it: it is stored under that name, or refused, and no file is read or written."""
    outside = {p for p in shared.directory.parent.iterdir()}
    decoded = key.replace("%00", "\0")
    try:
        s3.put_object(Bucket=bucket, Key=decoded, Body=b"mine")
        assert s3.get_object(Bucket=bucket, Key=decoded)["Body"].read() == b"mine"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, EncodingType="url")["Contents"]]
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403, 404), error
    assert {p for p in shared.directory.parent.iterdir()} == outside


@pytest.mark.parametrize("path", ["/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/_holdfast/../../etc/passwd",
                                  "/_holdfast/health/../../state/keys.json", "/health/../../../etc/passwd", "/state/keys.json",
                                  "/metrics/../../state/keys.json"])
@pytest.mark.parametrize("where", ["s3", "admin"])
def test_no_file_is_served_by_its_path(shared, path, where):
    port = shared.port if where == "s3" else int(shared.admin.rsplit(":", 1)[1])
    answer = raw_request(shared, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), port)
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer[:200]
    assert b"root:" not in answer and b"secretKey" not in answer


def test_a_bucket_is_no_path_either(shared, s3):
    for name in ("..", "../state", "a/b", "state/../x"):
        status, code, _ = Raw(shared).send("PUT", f"/{name}")
        assert status in (400, 403, 404), (name, status, code)


# Headers


@pytest.mark.parametrize("name, value", [
    ("response-content-disposition", "x\r\nX-Injected: 1"), ("response-content-type", "text/plain\r\n\r\n<script>"),
    ("response-cache-control", "x\nX-Injected: 1"), ("response-expires", "x\rX-Injected: 1"),
    ("response-content-language", "x\0y"), ("response-content-encoding", "x\r\n X-Injected: 1")])
def test_no_header_comes_in_by_a_query(shared, bucket, s3, name, value):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    with Wire(shared) as wire:
        wire.send(wire.request("GET", f"/{bucket}/a", query=[(name, value)]))
        answer = wire.answer()
        assert "x-injected" not in answer.headers and b"<script>" not in answer.body
        if answer.status == 200:
            assert not set("\r\n\0") & set(answer.headers.get(name.removeprefix("response-"), ""))
        else:
            assert answer.status == 400


@pytest.mark.parametrize("line", [b"x-amz-meta-a: b\x00c", b"x-amz-meta-a : b", b" x-amz-meta-a: b", b"x-amz-meta-a", b": b",
                                  b"x-amz-me\x01ta: b", b"x-amz-meta-a: b\rX-Injected: 1"])
def test_headers_that_are_none_are_refused(shared, bucket, unmoved, line):
    answer = raw_request(shared, b"PUT /" + bucket.encode() + b"/a HTTP/1.1\r\nHost: localhost\r\n" + line
                         + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert answer == b"" or re.match(rb"HTTP/1\.1 4\d\d ", answer), answer[:200]
    assert b"X-Injected" not in answer.split(b"\r\n\r\n")[0]


@pytest.mark.parametrize("second", ["localhost", "bucket.localhost"])
def test_a_request_names_one_host(shared, second):
    request = f"GET /_holdfast/health/live HTTP/1.1\r\nHost: localhost\r\nhost: {second}\r\n\r\n".encode()
    answer = raw_request(shared, request * 2)
    # The connection ends: what comes behind it is not read as another request.
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer[:500]


@pytest.mark.parametrize("target", ["/_holdfast/health/live", "http://localhost/_holdfast/health/live", "/bucket/key"])
def test_a_request_that_names_no_host_is_refused(shared, target):
    answer = raw_request(shared, f"GET {target} HTTP/1.1\r\n\r\n".encode() * 2)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer[:500]


def test_before_http_1_1_a_request_need_not_name_its_host(shared):
    answer = raw_request(shared, b"GET /_holdfast/health/live HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:500]


def test_a_name_in_an_error_is_escaped(shared, s3):
    name = "<script>alert(1)</script>&\"'"
    status, _, body = Raw(shared).send("GET", f"/{name}")
    assert status in (400, 403, 404) and b"<script>" not in body
    status, _, body = Raw(shared).send("GET", "/no-such-bucket/" + name)
    assert status == 404 and b"<script>" not in body


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 2_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200_000)) + b"\r\n",
    b"GET /" + b"x" * 2_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /?" + b"a=b&" * 500_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"G" * 1_000_000, b"\x00" * 100_000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)],
    ids=["large", "many", "path", "query", "method", "zeros", "tls"])
def test_headers_without_end_are_not_kept(shared, unmoved, data):
    answer = raw_request(shared, data)
    assert answer == b"" or re.match(rb"HTTP/1\.[01] [45]\d\d ", answer), answer[:200]


def framed(first, bucket):
    """A request with the header lines, whose body is another request if one reads it so."""
    hidden = b"GET /" + bucket.encode() + b"/hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return b"POST /" + bucket.encode() + b"?delete HTTP/1.1\r\nHost: localhost\r\n" + first(hidden) + b"\r\n\r\n" + hidden


@pytest.mark.parametrize("first", [
    lambda hidden: b"Content-Length: 0\r\nContent-Length: %d" % len(hidden),
    lambda hidden: b"Content-Length: %d\r\nContent-Length: 0" % len(hidden),
    lambda hidden: b"Content-Length: 0, %d" % len(hidden),
    lambda hidden: b"Content-Length: +%d" % len(hidden),
    lambda hidden: b"Content-Length: -1",
    lambda hidden: b"Content-Length: 99999999999999999999999",
    lambda hidden: b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(hidden),
    lambda hidden: b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(hidden),
    lambda hidden: b"Transfer-Encoding: xchunked",
    lambda hidden: b"Transfer-Encoding: chunked, identity",
    lambda hidden: b"Transfer-Encoding : chunked"],
    ids=["two", "two-reversed", "list", "plus", "minus", "huge", "both", "both-reversed", "unknown", "not-last", "blank"])
def test_a_request_is_not_two(shared, bucket, unmoved, first):
    """Requests whose length may be read in two ways: what one server takes for a body and another for a request."""
    answer = raw_request(shared, framed(first, bucket))
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert answer == b"" or re.match(rb"HTTP/1\.1 [45]\d\d ", answer), answer[:200]


@pytest.mark.parametrize("size", [b"-1", b"fffffffffffffffff", b"1g", b"0x10", b" 5", b"5" * 5000])
def test_a_chunk_of_no_size_ends_the_request(shared, bucket, unmoved, size):
    answer = raw_request(shared, b"PUT /" + bucket.encode() + b"/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                         b"Connection: close\r\n\r\n" + size + b"\r\nhello\r\n0\r\n\r\n")
    assert answer == b"" or re.match(rb"HTTP/1\.1 4\d\d ", answer), answer[:200]


# Documents


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "' + b"ha" * 50 + b'">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)) + b"]>"
FILE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/passwd">]>'
REMOTE = b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd" [<!ENTITY % j SYSTEM "http://127.0.0.1:1/y">%j;]>'
DOCUMENTS = {
    "delete": ("POST", b"<Delete><Object><Key>%s</Key></Object></Delete>"),
    "tagging": ("PUT", b"<Tagging><TagSet><Tag><Key>a</Key><Value>%s</Value></Tag></TagSet></Tagging>"),
    "versioning": ("PUT", b"<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>"),
    "cors": ("PUT", b"<CORSConfiguration><CORSRule><AllowedOrigin>%s</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"),
    "lifecycle": ("PUT", b"<LifecycleConfiguration><Rule><ID>%s</ID></Rule></LifecycleConfiguration>"),
    "": ("PUT", b"<CreateBucketConfiguration><LocationConstraint>%s</LocationConstraint></CreateBucketConfiguration>"),
}


def send_document(server, bucket, query, document, **headers):
    method, _ = DOCUMENTS[query]
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode(), **headers}
    return Raw(server).send(method, f"/{bucket}", document, headers, query=[(query, "")] if query else ())


@pytest.mark.parametrize("query", DOCUMENTS)
@pytest.mark.parametrize("kind, beginning", [("laughs", LAUGHS), ("file", FILE), ("remote", REMOTE)])
def test_no_entity_of_a_document_is_resolved(shared, bucket, unmoved, query, kind, beginning):
    document = beginning + DOCUMENTS[query][1] % b"&j;"
    start = time.monotonic()
    status, code, body = send_document(shared, bucket, query, document)
    assert status == 400 and code in ("MalformedXML", "IllegalLocationConstraintException", "InvalidLocationConstraint"), (status, code)
    assert b"root:" not in body and time.monotonic() - start < 5


@pytest.mark.parametrize("query", DOCUMENTS)
def test_a_deep_document_is_refused(shared, bucket, unmoved, query):
    document = b"<a>" * 100_000 + b"</a>" * 100_000
    status, code, _ = send_document(shared, bucket, query, document)
    assert status == 400, (status, code)


def test_a_document_without_end_is_not_kept(shared, bucket, unmoved):
    document = b"<Delete>" + b"<Object><Key>a</Key></Object>" * 2_000_000 + b"</Delete>"
    with Wire(shared, timeout=60) as wire:
        try:
            wire.send(wire.request("POST", f"/{bucket}", document, [("delete", "")]))
        except (BrokenPipeError, ConnectionResetError):
            return
        answer = wire.answer()
        assert answer is None or answer.status == 400, answer


def test_a_policy_without_end_is_refused(shared, bucket, s3, unmoved):
    deep = '{"Statement":' + "[" * 50_000 + "]" * 50_000 + "}"
    status, code, _ = Raw(shared).send("PUT", f"/{bucket}", deep.encode(), query=[("policy", "")])
    assert status == 400 and code in ("MalformedPolicy", "PolicyTooLarge", "EntityTooLarge"), (status, code)


# Compression: nothing that comes in is decompressed


BOMB = gzip.compress(bytes(200 * 1024 * 1024), 9)


def test_an_object_that_says_it_is_compressed_is_stored_as_it_is(shared, bucket, s3, unmoved):
    s3.put_object(Bucket=bucket, Key="bomb", Body=BOMB, ContentEncoding="gzip")
    found = s3.get_object(Bucket=bucket, Key="bomb")
    assert found["ContentLength"] == len(BOMB) and found["ContentEncoding"] == "gzip" and found["Body"].read() == BOMB


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
@pytest.mark.parametrize("query", ["delete", "tagging"])
def test_a_document_that_says_it_is_compressed_is_not_unpacked(shared, bucket, unmoved, encoding, query):
    status, code, _ = send_document(shared, bucket, query, BOMB[:200_000], **{"Content-Encoding": encoding})
    assert status == 400, (status, code)


def test_a_zip_file_is_bytes(shared, bucket, s3, unmoved):
    """As MinIO would unpack with x-minio-extract, and others with a suffix in the key."""
    import io
    import zipfile
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../outside", bytes(100 * 1024 * 1024))
    status, _, _ = Raw(shared).send("PUT", f"/{bucket}/bomb.zip", buffer.getvalue(), {"x-minio-extract": "true", "x-amz-meta-snowball-auto-extract": "true"})
    assert status == 200
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["bomb.zip"]
    assert s3.get_object(Bucket=bucket, Key="bomb.zip")["Body"].read() == buffer.getvalue()


# Nobody without a credential


@pytest.mark.parametrize("method, path", [("GET", "/"), ("PUT", "/anybody"), ("GET", "/BUCKET"), ("PUT", "/BUCKET/a"), ("GET", "/BUCKET/a"),
                                          ("DELETE", "/BUCKET/a"), ("DELETE", "/BUCKET"), ("GET", "/BUCKET?acl"), ("GET", "/BUCKET?policy"),
                                          ("POST", "/BUCKET?delete"), ("PUT", "/BUCKET?policy"), ("GET", "/BUCKET?versions")])
def test_s3_refuses_who_does_not_sign(shared, bucket, s3, method, path):
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    request = urllib.request.Request(shared.endpoint + path.replace("BUCKET", bucket), method=method, data=b"<x/>" if method in ("PUT", "POST") else None)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code in (400, 403)
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/keys", "/users", "/config", "/debug", "/state/keys.json", "/health", "/admin", "/log", "/shutdown",
                                  "/metrics", "/health/live"])
def test_the_admin_listener_tells_health_and_metrics_and_does_nothing(shared, path, method):
    request = urllib.request.Request(shared.admin + path, method=method, data=b"{}" if method in ("POST", "PUT") else None)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    assert (status == 200) == (method == "GET" and path in ("/metrics", "/health/live")), (status, body[:200])
    assert SECRET_KEY.encode() not in body and ACCESS_KEY.encode() not in body


@pytest.mark.parametrize("said", [b"", b"\n", b"nonsense\n", b"[]\n", b'{"noSuch": {}}\n', b"\xff\xfe\n", b"x" * 1_000_000,
                                  b'{"deleteKey": {"accessKey": 1}}\n', b"GET / HTTP/1.1\r\n\r\n"])
def test_nonsense_on_the_admin_socket_does_nothing(shared, unmoved, said):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(shared.directory / "state/holdfast.sock"))
        answer = b""
        try:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError):
            pass
    for line in answer.splitlines():
        assert set(json.loads(line)) == {"failure"}, line
