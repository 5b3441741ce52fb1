"""How requests are signed, and what a connection is worth after each that fails."""

import base64
import datetime
import hashlib
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from holdfast import ACCESS_KEY, BINARY, CLIENTS, REGION, SECRET_KEY, Server
from signing import Raw, Signer, now, sha256
from wire import Wire

ODD_KEYS = [
    "a b", "a+b", "a%2Fb", "a%b", "a//b", "/leading", "trailing/", "a/./b", "a/../b", "..", "é", "e\u0301", "日本語", "😀",
    "a&b=c", "a?b#c", "a;b,c:d@e$f!g*h'i(j)k", "~tilde_-.", "\x01\x7f", "a\"b<c>d\\e^f`g{h|i}j", "k" * 1024, "+", "%20", "=",
]


@pytest.fixture
def wire(shared):
    with Wire(shared) as wire:
        yield wire


@pytest.fixture
def raw(shared):
    return Raw(shared)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A server that takes Signature V2."""
    with Server(tmp_path_factory.mktemp("old") / "store", "--set", "signature-v2=on") as server:
        server.client().create_bucket(Bucket="bucket")
        yield server


@pytest.fixture(autouse=True)
def names_of_buckets(monkeypatch):
    """A name below localhost is this machine's, whatever the resolver knows."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve(
        "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more))


def fetch(url, method="GET", data=None, headers=None):
    """Status, headers and body, errors included."""
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers or {}))
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read()


# Signature V4


@pytest.mark.parametrize("addressing", ["path", "virtual"])
def test_odd_keys_are_signed_as_botocore_signs_them(shared, bucket, addressing):
    client = shared.client("localhost", s3={"addressing_style": addressing})
    for key in ODD_KEYS:
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode(), key
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert sorted(o["Key"] for o in listed) == sorted(ODD_KEYS)


@pytest.mark.parametrize("query", [
    "", "a", "a=", "a=&a=b", "a&a=b&a", "b=2&a=1", "a=1&a=1", "p=a%2Fb", "p=a/b", "p=%2B", "p=a%20b", "p=%C3%A9", "=v",
    "a-b=1&a=1&aB=2", "p=a%3Db", "p==", "p=%26", "p=~-._", "prefix=%00",
])
def test_queries_are_signed_as_botocore_signs_them(shared, bucket, query):
    url = f"{shared.endpoint}/{bucket}" + (f"?{query}" if query else "")
    request = AWSRequest("GET", url)
    # botocore signs the text of a query as it stands.
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(request)
    canonical = query not in ("p=a/b", "p==")
    status, _, body = fetch(url, headers=dict(request.headers))
    assert (status == 200) == canonical, body


def test_the_date_header_will_do(shared, bucket, wire):
    when = now()
    signer = Signer(time=when)
    date = when.strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"Host": wire.host, "Date": date, "x-amz-content-sha256": sha256(b"")}
    authorization = signer.sign("GET", f"/{bucket}", (), headers, sha256(b""))
    head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    wire.send(f"GET /{bucket} HTTP/1.1\r\n{head}Authorization: {authorization}\r\n\r\n".encode())
    assert wire.answer().status == 200


def test_equal_headers_are_joined_and_blanks_within_made_one(shared, bucket, wire):
    signer = Signer()
    signed = {"Host": wire.host, "x-amz-date": signer.time, "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
              "x-amz-meta-a": "one two,three"}
    authorization = signer.sign("PUT", f"/{bucket}/k", (), signed, "UNSIGNED-PAYLOAD")
    wire.send(
        f"PUT /{bucket}/k HTTP/1.1\r\nHost: {wire.host}\r\nX-Amz-Date: {signer.time}\r\n"
        f"X-AMZ-META-A:   one \t two  \r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-amz-meta-a:three\r\n"
        f"Authorization: {authorization}\r\nContent-Length: 1\r\n\r\nx".encode())
    answer = wire.answer()
    assert answer.status == 200, answer


def test_a_wrong_region_is_told_the_right_one(raw, bucket):
    status, code, body = raw.send("GET", f"/{bucket}", signer=Signer(region="eu-west-1"))
    assert (status, code) == (400, "AuthorizationHeaderMalformed")
    assert f"<Region>{REGION}</Region>".encode() in body and b"expecting" in body


def test_a_client_of_another_region_finds_its_way(shared, bucket):
    client = boto3.client("s3", endpoint_url=shared.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                          region_name="eu-west-1", config=Config(s3={"addressing_style": "path"}))
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# Presigned requests


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("addressing", ["path", "virtual"])
def test_presigned_requests(old, version, addressing):
    client = old.client("localhost", signature_version=version, s3={"addressing_style": addressing})
    for number, key in enumerate(["plain", "odd + key/é", "a//b"]):
        data = f"{version} {number}".encode()
        put = client.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
        assert fetch(put, "PUT", data, {"Content-Type": ""})[0] == 200
        get = client.generate_presigned_url("get_object", Params={
            "Bucket": "bucket", "Key": key, "ResponseContentType": "text/odd+",
            "ResponseContentDisposition": 'attachment; filename="a b+c&d.txt"', "ResponseCacheControl": "no-cache",
            "ResponseContentLanguage": "de", "ResponseContentEncoding": "identity",
            "ResponseExpires": datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc)}, ExpiresIn=60)
        status, headers, body = fetch(get)
        assert (status, body) == (200, data), body
        assert headers["Content-Disposition"] == 'attachment; filename="a b+c&d.txt"'
        assert headers["Content-Type"] == "text/odd+" and headers["Cache-Control"] == "no-cache"
        assert headers["Content-Language"] == "de" and headers["Content-Encoding"] == "identity"
        assert "2030" in headers["Expires"]
        assert fetch(get.replace("no-cache", "max-age%3D9"))[0] == 403, "what is overridden is signed"
        head = client.generate_presigned_url("head_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
        status, headers, body = fetch(head, "HEAD")
        assert status == 200 and headers["Content-Length"] == str(len(data)) and body == b""
        assert fetch(head, "GET")[0] == 403, "the method is signed"
        delete = client.generate_presigned_url("delete_object", Params={"Bucket": "bucket", "Key": key}, ExpiresIn=60)
        assert fetch(delete, "DELETE")[0] == 204
        assert fetch(get)[0] == 404


@pytest.mark.parametrize("version, expired", [("s3v4", "X-Amz-Expires"), ("s3", "Expires")])
def test_a_presigned_request_expires(old, version, expired):
    client = old.client(signature_version=version)
    client.put_object(Bucket="bucket", Key="short", Body=b"x")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "short"}, ExpiresIn=1)
    deadline = time.monotonic() + 10
    while (answer := fetch(url))[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert answer[0] == 403 and b"Request has expired" in answer[2] and b"<ServerTime>" in answer[2]


def test_a_presigned_request_may_bind_its_body(shared, s3, bucket):
    """With x-amz-content-sha256 signed, in the query or as a header."""
    signer = Signer()
    body = b"exactly this"

    def url(extra, headers, payload):
        query = [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", f"{ACCESS_KEY}/{signer.scope}"),
                 ("X-Amz-Date", signer.time), ("X-Amz-Expires", "60"),
                 ("X-Amz-SignedHeaders", ";".join(sorted(h.lower() for h in headers))), *extra]
        signer.sign("PUT", f"/{bucket}/k", query, headers, payload)
        return f"{shared.endpoint}/{bucket}/k?{urllib.parse.urlencode(query + [('X-Amz-Signature', signer.signature)])}"

    host = {"Host": f"127.0.0.1:{shared.port}"}
    hashed = {**host, "x-amz-content-sha256": sha256(body)}
    in_header = url([], hashed, sha256(body))
    in_query = url([("X-Amz-Content-Sha256", sha256(body))], host, sha256(body))
    for link, headers in ((in_header, hashed), (in_query, {})):
        status, _, answer = fetch(link, "PUT", b"something else", headers)
        assert status == 400 and b"XAmzContentSHA256Mismatch" in answer, answer
        assert fetch(link, "PUT", body, headers)[0] == 200
    assert fetch(in_header, "PUT", body)[0] == 403, "the header is missing"


def test_overriding_headers_takes_a_signature(shared, bucket):
    status, _, body = fetch(f"{shared.endpoint}/{bucket}/k?response-content-type=text/plain")
    assert status in (400, 403), body


# Signature V2


def test_boto3_with_signature_v2(old):
    client = old.client(signature_version="s3")
    client.put_object(Bucket="bucket", Key="v2/key", Body=b"x" * 100_000, Metadata={"a": "b  c"}, ContentType="text/plain")
    got = client.get_object(Bucket="bucket", Key="v2/key", Range="bytes=0-9")
    assert got["Body"].read() == b"x" * 10 and got["Metadata"] == {"a": "b  c"}
    assert [o["Key"] for o in client.list_objects_v2(Bucket="bucket", Prefix="v2/")["Contents"]] == ["v2/key"]
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    upload = client.create_multipart_upload(Bucket="bucket", Key="v2/parts")["UploadId"]
    part = client.upload_part(Bucket="bucket", Key="v2/parts", UploadId=upload, PartNumber=1, Body=b"y")
    client.complete_multipart_upload(Bucket="bucket", Key="v2/parts", UploadId=upload, MultipartUpload={
        "Parts": [{"ETag": part["ETag"], "PartNumber": 1}]})
    assert client.copy_object(Bucket="bucket", Key="v2/copy", CopySource="bucket/v2/parts")["CopyObjectResult"]["ETag"]
    client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": k} for k in ("v2/key", "v2/parts", "v2/copy")]})
    assert "Contents" not in client.list_objects_v2(Bucket="bucket", Prefix="v2/")


def test_signature_v2_is_refused_by_name_when_it_is_off(shared, bucket):
    client = shared.client(signature_version="s3")
    with pytest.raises(ClientError) as error:
        client.list_objects_v2(Bucket=bucket)
    assert error.value.response["Error"]["Code"] == "InvalidRequest"
    assert "Please use AWS4-HMAC-SHA256" in error.value.response["Error"]["Message"]
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    status, _, body = fetch(url)
    assert status == 400 and b"Please use AWS4-HMAC-SHA256" in body


def test_a_wrong_secret_with_signature_v2(old):
    client = boto3.client("s3", endpoint_url=old.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key="wrong",
                          region_name=REGION, config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    with pytest.raises(ClientError) as error:
        client.list_objects_v2(Bucket="bucket")
    assert error.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_s3cmd_with_signature_v2(old, tmp_path):
    settings = tmp_path / "s3cfg"
    settings.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = localhost:{old.port}\n"
        f"host_bucket = localhost:{old.port}/%(bucket)\nuse_https = False\n")
    source = tmp_path / "file with + and é"
    source.write_bytes(bytes(range(256)) * 1000)

    def s3cmd(*arguments):
        done = subprocess.run([CLIENTS / "s3cmd", "-c", settings, "--signature-v2", "--no-progress", *arguments],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    s3cmd("mb", "s3://old-bucket")
    s3cmd("put", source, "s3://old-bucket/dir/file with + and é")
    assert "file with + and é" in s3cmd("ls", "s3://old-bucket/dir/")
    s3cmd("get", "s3://old-bucket/dir/file with + and é", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    s3cmd("del", "--recursive", "--force", "s3://old-bucket/")
    s3cmd("rb", "s3://old-bucket")


def test_a_setting_that_is_neither_on_nor_off(tmp_path):
    done = subprocess.run([BINARY, "serve", tmp_path / "store", "--set", "signature-v2=yes"], capture_output=True, text=True)
    assert done.returncode != 0 and "signature-v2" in done.stderr


# Expect: 100-continue


EXPECT = {"Expect": "100-continue"}


def test_continue_is_said_when_the_body_is_wanted(wire, s3, bucket):
    wire.send(wire.request("PUT", f"/{bucket}/k", headers=EXPECT, payload=sha256(b"body"), length=4))
    assert wire.answer().status == 100
    wire.send(b"body")
    assert wire.answer().status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
    wire.send(wire.request("GET", f"/{bucket}/k"))
    assert wire.answer().body == b"body", "the connection goes on"


@pytest.mark.parametrize("path, options, status, code", [
    ("/{b}/k", dict(signer=Signer(secret="wrong")), 403, "SignatureDoesNotMatch"),
    ("/{b}/k", dict(signer=Signer(access="NOBODY")), 403, "InvalidAccessKeyId"),
    ("/{b}/k", dict(signer=Signer(region="mars-1")), 400, "AuthorizationHeaderMalformed"),
    ("/no-such-bucket/k", {}, 404, "NoSuchBucket"),
    ("/{b}/" + "k" * 1025, {}, 400, "KeyTooLongError"),
    ("/{b}/k", dict(headers={"Content-MD5": "nonsense"}), 400, "InvalidDigest"),
    ("/{b}/k", dict(headers={"x-amz-storage-class": "NONE"}), 400, "InvalidStorageClass"),
    ("/{b}/k", dict(headers={"x-amz-meta-a": "b" * 3000}), 400, "MetadataTooLarge"),
    ("/{b}/k", dict(length=6 << 30), 400, "EntityTooLarge"),
    ("/{b}/k", dict(query=[("uploadId", "0" * 32), ("partNumber", "1")]), 404, "NoSuchUpload"),
])
def test_no_continue_is_said_to_what_is_refused_without_the_body(wire, bucket, path, options, status, code):
    options = dict(options)
    headers = {**EXPECT, **options.pop("headers", {})}
    length = options.pop("length", 1000)
    wire.send(wire.request("PUT", path.format(b=bucket), headers=headers, payload="UNSIGNED-PAYLOAD", length=length, **options))
    answer = wire.answer()
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["connection"] == "close" and wire.closed(), "whether the body comes is not known"


def test_an_unsigned_request_is_not_told_to_go_on(wire, bucket):
    wire.send(f"PUT /{bucket}/k HTTP/1.1\r\nHost: {wire.host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode())
    answer = wire.answer()
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_client_that_does_not_wait_for_the_answer(wire, s3, bucket):
    wire.send(wire.request("PUT", f"/{bucket}/k", b"body", headers=EXPECT))
    answers = [wire.answer()]
    if answers[0].status == 100:
        answers.append(wire.answer())
    assert answers[-1].status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


# Keep-alive and pipelining


CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

FAILING = {
    "a wrong secret": ("PUT", "/{b}/k", dict(body=b"x" * 5000, signer=Signer(secret="wrong"))),
    "a wrong secret, a large body": ("PUT", "/{b}/k", dict(body=b"x" * 3_000_000, signer=Signer(secret="wrong"))),
    "nobody's key": ("GET", "/{b}/k", dict(signer=Signer(access="NOBODY"))),
    "a wrong region": ("PUT", "/{b}/k", dict(body=b"x", signer=Signer(region="mars-1"))),
    "an old clock": ("PUT", "/{b}/k", dict(body=b"x", signer=Signer(time=now() - datetime.timedelta(hours=1)))),
    "another hash": ("PUT", "/{b}/k", dict(body=b"x", payload=sha256(b"y"))),
    "a bad hash": ("PUT", "/{b}/k", dict(body=b"x", payload="nonsense")),
    "a bad MD5": ("PUT", "/{b}/k", dict(body=b"x", headers={"Content-MD5": "nonsense"})),
    "another MD5": ("PUT", "/{b}/k", dict(body=b"x" * 200_000, headers={
        "Content-MD5": base64.b64encode(hashlib.md5(b"").digest()).decode()})),
    "another checksum": ("PUT", "/{b}/k", dict(body=b"x", headers={"x-amz-checksum-crc32": "AAAAAA=="})),
    "no bucket": ("PUT", "/no-such-bucket/k", dict(body=b"x" * 100_000)),
    "no key": ("GET", "/{b}/none", {}),
    "no key, a body all the same": ("GET", "/{b}/none", dict(body=b"x" * 1000)),
    "a bad bucket's name": ("PUT", "/A", dict(body=b"x")),
    "too long a key": ("PUT", "/{b}/" + "k" * 1025, dict(body=b"x" * 1000)),
    "bad chunks": ("PUT", "/{b}/k", dict(body=b"nonsense\r\n" * 1000, payload=CHUNKS, headers={
        "x-amz-decoded-content-length": "10"})),
    "no XML": ("PUT", "/{b}", dict(body=b"nonsense", query=[("versioning", "")])),
    "a feature that is not there": ("PUT", "/{b}", dict(body=b"<x/>", query=[("website", "")])),
    "a method that is not there": ("POST", "/{b}/k", dict(body=b"x" * 100)),
    "too large a document": ("PUT", "/{b}", dict(body=b" " * 5_000_000, query=[("versioning", "")])),
    "an upload that is not there": ("PUT", "/{b}/k", dict(body=b"x", query=[("uploadId", "0" * 32), ("partNumber", "1")])),
    "a bad range of parts": ("PUT", "/{b}/k", dict(body=b"x", query=[("uploadId", "0" * 32), ("partNumber", "0")])),
    "too much metadata": ("PUT", "/{b}/k", dict(body=b"x", headers={"x-amz-meta-a": "b" * 3000})),
    "a range that is not there": ("GET", "/{b}/there", dict(headers={"Range": "bytes=100-"})),
    "a condition that fails": ("GET", "/{b}/there", dict(headers={"If-Match": '"other"'})),
    "a key that is there": ("PUT", "/{b}/there", dict(body=b"x", headers={"If-None-Match": "*"})),
    "not modified": ("GET", "/{b}/there", dict(headers={"If-None-Match": "*"})),
    "a head of nothing": ("HEAD", "/{b}/none", {}),
    "a head of no bucket": ("HEAD", "/no-such-bucket", {}),
    "a form that is none": ("POST", "/{b}", dict(body=b"x" * 1000)),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_connection_goes_on_after_an_error(wire, s3, bucket, what):
    method, path, options = FAILING[what]
    s3.put_object(Bucket=bucket, Key="there", Body=b"there")
    failing = wire.request(method, path.format(b=bucket), **options)
    good = wire.request("GET", f"/{bucket}/there")
    wire.send(failing)
    failed = wire.answer(method)
    assert failed.status >= 300 and "connection" not in failed.headers, failed
    if method == "HEAD" or failed.status == 304:
        assert failed.body == b""
    else:
        assert failed.code and failed.headers["content-type"] == "application/xml"
    wire.send(good)
    assert wire.answer().body == b"there"
    # The same again, both at once and twice over.
    wire.send(failing + good + failing + good)
    for _ in range(2):
        assert wire.answer(method).status == failed.status
        assert wire.answer().body == b"there"


def test_pipelined_requests_are_answered_in_order(wire, s3, bucket):
    wire.send(b"".join(wire.request("PUT", f"/{bucket}/{n}", f"{n}".encode() * 1000) for n in range(30)))
    assert [wire.answer().status for _ in range(30)] == [200] * 30
    wire.send(b"".join(
        wire.request(*(("GET", f"/{bucket}/{n}") if n % 3 else ("HEAD", f"/{bucket}/none"))) for n in range(30)))
    for n in range(30):
        if n % 3:
            assert wire.answer().body == f"{n}".encode() * 1000
        else:
            assert wire.answer("HEAD").status == 404


def test_a_request_in_pieces_of_one_byte(wire, s3, bucket):
    for byte in wire.request("PUT", f"/{bucket}/k", b"slow"):
        wire.send(bytes([byte]))
    assert wire.answer().status == 200


def lines(*lines):
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


HOST = "Host: localhost"

ABSURD = {
    "a header of 200 KB": lines("GET / HTTP/1.1", HOST, "X: " + "x" * 200_000),
    "a target of 200 KB": lines("GET /" + "x" * 200_000 + " HTTP/1.1", HOST),
    "ten thousand headers": lines("GET / HTTP/1.1", HOST, *(f"X-{n}: {n}" for n in range(10_000))),
    "two lengths": lines("PUT /b/k HTTP/1.1", HOST, "Content-Length: 5", "Content-Length: 6") + b"hello!",
    "a length and chunks": lines("PUT /b/k HTTP/1.1", HOST, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "a negative length": lines("PUT /b/k HTTP/1.1", HOST, "Content-Length: -5"),
    "a length that is none": lines("PUT /b/k HTTP/1.1", HOST, "Content-Length: five"),
    "a length beyond numbers": lines("PUT /b/k HTTP/1.1", HOST, "Content-Length: " + "9" * 40),
    "chunks that are none": lines("PUT /b/k HTTP/1.1", HOST, "Transfer-Encoding: chunked") + b"zz\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond numbers": lines("PUT /b/k HTTP/1.1", HOST, "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n",
    "another encoding": lines("PUT /b/k HTTP/1.1", HOST, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "an encoding that is not chunked": lines("PUT /b/k HTTP/1.1", HOST, "Transfer-Encoding: gzip") + b"hello",
    "a blank before the colon": lines("GET / HTTP/1.1", HOST, "X : 1"),
    "a folded header": lines("GET / HTTP/1.1", HOST, "X: 1", " 2"),
    "a header without a colon": lines("GET / HTTP/1.1", HOST, "nonsense"),
    "a NUL in a header": lines("GET / HTTP/1.1", HOST, "X: a\0b"),
    "another protocol": lines("GET / HTTP/9.9", HOST),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "a request of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method that is no token": lines("GE(T / HTTP/1.1", HOST),
    "no host": lines("GET / HTTP/1.1"),
    "a bad escape": lines("GET /%zz HTTP/1.1", HOST),
    "an escape that is no UTF-8": lines("GET /b/%ff HTTP/1.1", HOST),
    "a target that is no path": lines("GET nonsense HTTP/1.1", HOST),
    "an asterisk": lines("OPTIONS * HTTP/1.1", HOST),
    "a tunnel": lines("CONNECT localhost:80 HTTP/1.1", HOST),
    "an upgrade": lines("GET / HTTP/1.1", HOST, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAA"),
    "no form though it says so": lines(
        "POST /b HTTP/1.1", HOST, "Content-Type: multipart/form-data; boundary=x", "Content-Length: 5") + b"hello",
}


@pytest.mark.parametrize("what", ABSURD)
def test_an_absurd_request_is_answered_or_closed(shared, wire, bucket, what):
    try:
        wire.send(ABSURD[what])
    except (BrokenPipeError, ConnectionResetError):
        pass
    answer = wire.answer()
    assert answer is None or 400 <= answer.status < 505 and answer.status != 500, answer
    if answer and "connection" not in answer.headers:
        # It claims to go on, so it does.
        wire.send(wire.request("HEAD", f"/{bucket}"))
        assert wire.answer("HEAD").status == 200
    elif answer:
        assert wire.closed()
    with Wire(shared) as other:
        other.send(other.request("HEAD", f"/{bucket}"))
        assert other.answer("HEAD").status == 200


def test_http_1_0_is_answered_and_closed(wire, bucket):
    wire.send(wire.request("GET", f"/{bucket}").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert wire.answer().status == 200 and wire.closed()


def test_a_connection_is_closed_when_the_client_asks(wire, bucket):
    wire.send(wire.request("GET", f"/{bucket}/none", headers={"Connection": "close"}))
    assert wire.answer().status == 404 and wire.closed()


def test_nothing_is_wrong_after_all_of_them(shared):
    assert shared.fsck("--deep")[2] == 0
    assert "internal" not in shared.errors.read_text()
