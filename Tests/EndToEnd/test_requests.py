"""What is said before a body comes, and what a connection is worth after each request that fails."""

import base64
import datetime
import hashlib
import os
import socket
import time

import pytest
from signing import Signer, now, sha256
from wire import Wire

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
    ("/{b}/k", dict(signer=lambda: Signer(secret="wrong")), 403, "SignatureDoesNotMatch"),
    ("/{b}/k", dict(signer=lambda: Signer(access="NOBODY")), 403, "InvalidAccessKeyId"),
    ("/{b}/k", dict(signer=lambda: Signer(region="mars-1")), 400, "AuthorizationHeaderMalformed"),
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
    "a wrong secret": ("PUT", "/{b}/k", dict(body=b"x" * 5000, signer=lambda: Signer(secret="wrong"))),
    "a wrong secret, a large body": ("PUT", "/{b}/k", dict(body=b"x" * 3_000_000, signer=lambda: Signer(secret="wrong"))),
    "nobody's key": ("GET", "/{b}/k", dict(signer=lambda: Signer(access="NOBODY"))),
    "a wrong region": ("PUT", "/{b}/k", dict(body=b"x", signer=lambda: Signer(region="mars-1"))),
    "an old clock": ("PUT", "/{b}/k", dict(body=b"x", signer=lambda: Signer(time=now() - datetime.timedelta(hours=1)))),
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


@pytest.mark.parametrize("size, count", [(0, 1), (1000, 2), (200_000, 1), (200_000, 20), (5_000_000, 2)])
def test_a_client_may_close_its_side_behind_its_request(wire, s3, bucket, size, count):
    """As one that pipes its requests into a socket does, and takes the answers as slowly as it likes."""
    body = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body)
    wire.send(wire.request("GET", f"/{bucket}/k") * count)
    wire.socket.shutdown(socket.SHUT_WR)
    time.sleep(0.2)  # so that the server has answered as far as the sockets hold it
    for _ in range(count):
        answer = wire.answer()
        assert answer.status == 200 and answer.body == body
    assert wire.closed()


def test_an_upload_is_answered_whose_client_has_closed_its_side(wire, s3, bucket):
    wire.send(wire.request("PUT", f"/{bucket}/k", b"x" * 100_000))
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.answer().status == 200 and wire.closed()
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 100_000


def test_a_client_that_closes_its_side_between_requests_is_gone(wire, bucket):
    wire.send(wire.request("HEAD", f"/{bucket}"))
    assert wire.answer("HEAD").status == 200
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.closed()


def test_nothing_is_wrong_after_all_of_them(shared):
    assert shared.fsck("--deep")[2] == 0
    assert "internal" not in shared.errors.read_text()
