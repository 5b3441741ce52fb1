"""Requests that no SDK sends: the right error, nothing published, a connection that still works or is closed."""

import base64
import datetime
import hashlib
import socket
import urllib.request
import urllib.error
import zlib

import pytest
from holdfast import wait_until
from signing import Raw, Signer, now, sha256

UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
DATA = bytes(range(256)) * 500


@pytest.fixture
def raw(shared):
    return Raw(shared)


@pytest.fixture(autouse=True)
def nothing_leaks(shared):
    yield
    wait_until(lambda: not shared.incoming(), what="an empty incoming/")


def still_works(raw, bucket):
    assert raw.send("PUT", f"/{bucket}/after", b"fine")[0] == 200


def keys(s3, bucket):
    return [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize("signer, code", [
    (lambda: Signer(secret="wrong"), "SignatureDoesNotMatch"),
    (lambda: Signer(access="NOBODY"), "InvalidAccessKeyId"),
    (lambda: Signer(region="mars-1"), "AuthorizationHeaderMalformed"),
    (lambda: Signer(service="ec2"), "AuthorizationHeaderMalformed"),
    (lambda: Signer(time=now() - datetime.timedelta(minutes=16)), "RequestTimeTooSkewed"),
    (lambda: Signer(time=now() + datetime.timedelta(minutes=16)), "RequestTimeTooSkewed"),
])
def test_signatures(raw, s3, bucket, signer, code):
    assert raw.send("PUT", f"/{bucket}/key", b"x", signer=signer())[1] == code
    still_works(raw, bucket)
    assert keys(s3, bucket) == ["after"]


def test_a_body_that_is_not_the_one_signed(raw, s3, bucket):
    for body in (b"small", DATA):
        assert raw.send("PUT", f"/{bucket}/key", body, payload=sha256(b"other"))[1] == "XAmzContentSHA256Mismatch"
    still_works(raw, bucket)
    assert keys(s3, bucket) == ["after"]


def test_an_anonymous_request(shared):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(shared.endpoint + "/")
    assert error.value.code == 403 and b"<Code>AccessDenied</Code>" in error.value.read()


def test_presigned_requests(shared, bucket):
    s3 = shared.client(signature_version="s3v4")
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "key", "ResponseContentType": "text/y"})
    answer = urllib.request.urlopen(url)
    assert answer.read() == b"x" and answer.headers["Content-Type"] == "text/y"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url.replace("key", "other"))
    assert b"SignatureDoesNotMatch" in error.value.read()
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put"})
    assert urllib.request.urlopen(urllib.request.Request(put, data=DATA, method="PUT")).status == 200
    assert s3.get_object(Bucket=bucket, Key="put")["Body"].read() == DATA


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def chunked(length, payload, checksum=False):
    headers = {"x-amz-decoded-content-length": length, "Content-Encoding": "aws-chunked"}
    if checksum:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    return dict(headers=headers, payload=payload)


def test_chunked_bodies(raw, s3, bucket):
    line = f"x-amz-checksum-crc32:{crc32(DATA)}"
    half = len(DATA) // 2
    forms = {
        SIGNED: lambda s: s.chunk(DATA[:half]) + s.chunk(DATA[half:]) + s.chunk(b"") + b"\r\n",
        SIGNED_TRAILER: lambda s: s.chunk(DATA) + s.chunk(b"") + s.trailer(line),
        UNSIGNED: lambda s: b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n" + line.encode() + b"\r\n\r\n",
    }
    for payload, framed in forms.items():
        status, code, _ = raw.send(
            "PUT", f"/{bucket}/key", framed=framed, **chunked(len(DATA), payload, payload != SIGNED))
        assert (status, code) == (200, ""), payload
        got = s3.get_object(Bucket=bucket, Key="key")
        assert got["Body"].read() == DATA and "ContentEncoding" not in got
        s3.delete_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize("payload, framed, code", [
    (SIGNED, lambda s: s.chunk(DATA).replace(b"\x00\x01", b"\x01\x01", 1) + s.chunk(b"") + b"\r\n", "SignatureDoesNotMatch"),
    (SIGNED, lambda s: s.chunk(DATA) + b"0;chunk-signature=00\r\n\r\n", "SignatureDoesNotMatch"),
    (SIGNED, lambda s: b"zz;chunk-signature=00\r\n" + DATA + b"\r\n", "InvalidRequest"),
    (SIGNED, lambda s: b"-5;chunk-signature=00\r\n" + DATA + b"\r\n", "InvalidRequest"),
    (SIGNED, lambda s: s.chunk(DATA), "IncompleteBody"),
    (SIGNED, lambda s: s.chunk(DATA)[:-100], "IncompleteBody"),
    (SIGNED, lambda s: s.chunk(DATA + b"more") + s.chunk(b"") + b"\r\n", "IncompleteBody"),
    (SIGNED, lambda s: s.chunk(DATA[:-1]) + s.chunk(b"") + b"\r\n", "IncompleteBody"),
    (UNSIGNED, lambda s: b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
    (UNSIGNED, lambda s: b"%x\r\n" % len(DATA) + DATA + b"\r\n0\r\n\r\n", "MalformedTrailerError"),
    (UNSIGNED, lambda s: b"%x\r\n" % len(DATA) + DATA + b"XX0\r\n\r\n", "InvalidRequest"),
    (UNSIGNED, lambda s: b"f" * 40_000, "InvalidRequest"),
    (SIGNED_TRAILER, lambda s: s.chunk(DATA) + s.chunk(b"") + f"x-amz-checksum-crc32:{crc32(DATA)}\r\n\r\n".encode(),
     "SignatureDoesNotMatch"),
])
def test_bad_framing(raw, s3, bucket, payload, framed, code):
    answer = raw.send("PUT", f"/{bucket}/key", framed=framed, **chunked(len(DATA), payload, payload != SIGNED))
    assert answer[1] == code
    still_works(raw, bucket)
    assert keys(s3, bucket) == ["after"]


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_a_body_shorter_than_announced(shared, raw, s3, bucket, size):
    raw.connection.connect()
    signer = Signer()
    headers = {"Host": raw.host, "x-amz-date": signer.time, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    authorization = signer.sign("PUT", f"/{bucket}/key", (), headers, "UNSIGNED-PAYLOAD")
    head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    raw.connection.sock.sendall(
        f"PUT /{bucket}/key HTTP/1.1\r\n{head}Authorization: {authorization}\r\nContent-Length: {size}\r\n\r\n".encode()
        + b"x" * (size // 2))
    raw.connection.sock.shutdown(socket.SHUT_WR)
    while raw.connection.sock.recv(65536):
        pass
    assert keys(s3, bucket) == []


def test_bytes_behind_the_body_are_no_request(shared, raw, s3, bucket):
    signer = Signer()
    headers = {"Host": raw.host, "x-amz-date": signer.time, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    authorization = signer.sign("PUT", f"/{bucket}/key", (), headers, "UNSIGNED-PAYLOAD")
    head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    raw.connection.connect()
    raw.connection.sock.sendall(
        f"PUT /{bucket}/key HTTP/1.1\r\n{head}Authorization: {authorization}\r\nContent-Length: 4\r\n\r\nfour, and more".encode())
    received = b""
    while piece := raw.connection.sock.recv(65536):
        received += piece
    assert received.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" in received
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"four"


def test_no_length(raw, bucket):
    status, code, _ = raw.send(
        "PUT", f"/{bucket}/key", b"3\r\nabc\r\n0\r\n\r\n", headers={"Transfer-Encoding": "chunked"}, payload="UNSIGNED-PAYLOAD")
    assert (status, code) == (411, "MissingContentLength")
    still_works(raw, bucket)


@pytest.mark.parametrize("path, query, body, code", [
    ("/{b}", [("delete", "")], b"<Delete><Object>", "MalformedXML"),
    ("/{b}", [("delete", "")], b"<Other/>", "MalformedXML"),
    ("/{b}", [("delete", "")], b"", "MalformedXML"),
    ("/{b}", [("delete", "")], b'<!DOCTYPE x [<!ENTITY a "b">]><Delete><Object><Key>&a;</Key></Object></Delete>', "MalformedXML"),
    ("/{b}", [("delete", "")], b"<a>" * 100_000, "MalformedXML"),
    ("/{b}", [("delete", "")], b"x" * 5_000_000, "MaxMessageLengthExceeded"),
])
def test_bad_documents(raw, bucket, path, query, body, code):
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    assert raw.send("POST", path.format(b=bucket), body, {"Content-MD5": md5}, query)[1] == code
    still_works(raw, bucket)


@pytest.mark.parametrize("method, path, query, code", [
    ("PUT", "/ab", (), "InvalidBucketName"), ("PUT", "/Upper-case", (), "InvalidBucketName"),
    ("PUT", "/192.168.0.1", (), "InvalidBucketName"), ("PUT", "/" + "a" * 64, (), "InvalidBucketName"),
    ("PUT", "/{b}/" + "k" * 1025, (), "KeyTooLongError"),
    ("PUT", "/{b}/k", [("partNumber", "0"), ("uploadId", "0" * 32)], "InvalidArgument"),
    ("PUT", "/{b}/k", [("partNumber", "10001"), ("uploadId", "0" * 32)], "InvalidArgument"),
    ("PUT", "/{b}/k", [("partNumber", "1"), ("uploadId", "0" * 32)], "NoSuchUpload"),
    ("PUT", "/{b}/k", [("partNumber", "1"), ("uploadId", "nonsense")], "NoSuchUpload"),
    ("GET", "/{b}/k", [("versionId", "nonsense")], "InvalidArgument"),
    ("GET", "/{b}/k", [("versionId", "0" * 32)], "NoSuchVersion"),
    ("GET", "/{b}", [("max-keys", "many")], "InvalidArgument"),
    ("GET", "/{b}", [("list-type", "2"), ("continuation-token", "***")], "InvalidArgument"),
    ("GET", "/{b}", [("encoding-type", "base64")], "InvalidArgument"),
    ("GET", "/no-such-bucket/k", (), "NoSuchBucket"),
    ("PUT", "/{b}", [("lifecycle", "")], "InvalidRequest"), ("GET", "/{b}/k", [("torrent", "")], "NotImplemented"),
    ("GET", "/{b}", [("policy", "")], "NoSuchBucketPolicy"),
    ("PATCH", "/{b}/k", (), "MethodNotAllowed"),
])
def test_bad_requests(raw, bucket, method, path, query, code):
    assert raw.send(method, path.format(b=bucket), b"", query=query)[1] == code
    still_works(raw, bucket)


def test_a_feature_that_is_not_there_is_named(raw, bucket):
    status, code, body = raw.send("PUT", f"/{bucket}/k", b"x", {"x-amz-server-side-encryption": "aws:kms:dsse"})
    assert (status, code) == (501, "NotImplemented") and b"encryption" in body


def test_too_much_metadata(raw, bucket):
    assert raw.send("PUT", f"/{bucket}/k", b"x", {"x-amz-meta-a": "b" * 2048})[1] == "MetadataTooLarge"
    still_works(raw, bucket)


def test_a_header_outside_the_signature(raw, bucket):
    signer = Signer()
    headers = {"Host": raw.host, "x-amz-date": signer.time, "x-amz-content-sha256": sha256(b"")}
    authorization = signer.sign("PUT", f"/{bucket}/k", (), headers, sha256(b""))
    raw.connection.request("PUT", f"/{bucket}/k", b"", {**headers, "Authorization": authorization, "x-amz-meta-a": "b"})
    assert raw.answer()[1] == "AccessDenied"


@pytest.mark.parametrize("text", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes="])
def test_ranges_that_make_no_sense_are_ignored(raw, s3, bucket, text):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert raw.send("GET", f"/{bucket}/k", headers={"Range": text})[::2] == (200, b"0123456789")


def test_too_large_a_body_is_refused_before_it_is_sent(raw, bucket):
    status, code, _ = raw.send(
        "PUT", f"/{bucket}/k", headers={"Content-Length": str(6 << 30), "Expect": "100-continue"}, payload="UNSIGNED-PAYLOAD")
    assert code == "EntityTooLarge"


def test_nothing_is_wrong_after_all_of_them(shared):
    assert shared.fsck("--deep")[2] == 0
    assert "internal" not in shared.errors.read_text()
