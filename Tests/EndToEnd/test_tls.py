"""S3 over TLS: certificates, their renewal under way, and clients that do not speak it."""

import concurrent.futures
import http.client
import io
import json
import os
import re
import signal
import socket
import ssl
import time

import boto3
import pytest
from botocore.config import Config
from certificates import Authority, replace
from holdfast import ACCESS_KEY, REGION, SECRET_KEY, Server, wait_until
from signing import Raw


class SecureServer(Server):
    def __init__(self, directory, authority, *flags, kind="EC"):
        self.authority = authority
        self.certificate, self.key = directory.parent / "server.pem", directory.parent / "server.key"
        self.install(*authority.leaf("first", kind))
        super().__init__(
            directory, "--set", f"tls-certificate={self.certificate}", "--set", f"tls-key={self.key}", *flags)

    def install(self, certificate, key):
        replace(self.certificate, certificate)
        replace(self.key, key)

    def client(self, **options):
        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            region_name=REGION, verify=str(self.authority.ca),
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **options))

    def context(self):
        return ssl.create_default_context(cafile=str(self.authority.ca))

    def connect(self, context=None):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return (context or self.context()).wrap_socket(plain, server_hostname="127.0.0.1")

    def subject(self):
        """The name in the certificate that a new connection is shown."""
        with self.connect() as connection:
            return dict(item[0] for item in connection.getpeercert()["subject"])["commonName"]

    def raw(self, context=None):
        raw = Raw(self)
        raw.connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=context or self.context())
        return raw


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), has_intermediate=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, authority):
    with SecureServer(tmp_path_factory.mktemp("tls") / "store", authority) as server:
        yield server


@pytest.fixture
def server(tmp_path, authority):
    with SecureServer(tmp_path / "store", authority) as server:
        yield server


def errors(server):
    return server.errors.read_text()


def test_the_ready_line_says_https(tmp_path, authority, serve):
    (tmp_path / "a.pem").write_bytes(authority.leaf("a")[0])
    replace(tmp_path / "a.key", (authority.directory / "a.key").read_bytes())
    store = tmp_path / "store"
    # Relative paths are the store directory's.
    process = serve(store, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", HOLDFAST_TLS_CERTIFICATE="../a.pem",
                    HOLDFAST_TLS_KEY="../a.key", HOLDFAST_ROOT_ACCESS_KEY=ACCESS_KEY, HOLDFAST_ROOT_SECRET_KEY=SECRET_KEY)
    assert re.fullmatch(r"ready: S3 on https://127\.0\.0\.1:\d+, admin on http://127\.0\.0\.1:\d+\n", process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_boto3_trusts_the_authority_and_nobody_else(tmp_path, kind):
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    with SecureServer(tmp_path / "store", authority, kind=kind) as server:
        client = server.client()
        client.create_bucket(Bucket="photos")
        client.put_object(Bucket="photos", Key="one", Body=b"one")
        assert client.get_object(Bucket="photos", Key="one")["Body"].read() == b"one"
        server.authority = other
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            server.client().list_buckets()


def test_large_bodies_pass_both_ways(shared):
    client = shared.client()
    client.create_bucket(Bucket="large")
    body = os.urandom(40 * 1024 * 1024 + 17)
    client.upload_fileobj(io.BytesIO(body), "large", "parts")
    client.put_object(Bucket="large", Key="whole", Body=body)
    for key in ("parts", "whole"):
        assert client.get_object(Bucket="large", Key=key)["Body"].read() == body
    assert client.get_object(Bucket="large", Key="whole", Range="bytes=70000-9000000")["Body"].read() == body[70_000:9_000_001]


def test_a_policy_knows_the_version_of_tls(shared):
    client = shared.client()
    client.create_bucket(Bucket="modern")
    client.put_object(Bucket="modern", Key="k", Body=b"x")
    client.put_bucket_policy(Bucket="modern", Policy=json.dumps({"Statement": {
        "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::modern/*",
        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.3"}}}}))
    for version, status in ((ssl.TLSVersion.TLSv1_2, 403), (ssl.TLSVersion.TLSv1_3, 200)):
        context = shared.context()
        context.minimum_version = context.maximum_version = version
        raw = shared.raw(context)
        assert raw.send("GET", "/modern/k")[0] == status
        # What the policy is not about goes on, over either.
        assert raw.send("PUT", "/modern/other", b"y")[0] == 200


def test_a_presigned_url_works(shared):
    client = shared.client(signature_version="s3v4")
    client.create_bucket(Bucket="presigned")
    url = client.generate_presigned_url("put_object", Params={"Bucket": "presigned", "Key": "a"}, ExpiresIn=60)
    assert url.startswith("https://")
    connection = http.client.HTTPSConnection("127.0.0.1", shared.port, context=shared.context())
    connection.request("PUT", url.split(str(shared.port), 1)[1], body=b"presigned")
    assert connection.getresponse().status == 200
    assert client.get_object(Bucket="presigned", Key="a")["Body"].read() == b"presigned"


def test_many_clients_at_once(shared):
    shared.client().create_bucket(Bucket="many")

    def work(number):
        client = shared.client()
        for round in range(10):
            body = os.urandom(1000 * number)
            client.put_object(Bucket="many", Key=f"{number}/{round}", Body=body)
            assert client.get_object(Bucket="many", Key=f"{number}/{round}")["Body"].read() == body

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work, number) for number in range(16)]:
            done.result()


def test_requests_that_come_in_one_write_are_answered_in_order(shared):
    with shared.connect() as connection:
        connection.sendall(b"GET /?x HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /none/k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 403 ") == 4


def test_a_connection_goes_on_after_an_error(shared):
    raw = shared.raw()
    assert raw.send("GET", "/no-such-bucket-here/key")[:2] == (404, "NoSuchBucket")
    first = raw.connection.sock
    assert raw.send("GET", "/")[0] == 200
    assert raw.connection.sock is first


@pytest.mark.parametrize("version, works", [
    (ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)])
def test_only_current_versions_of_tls_are_spoken(shared, version, works):
    context = shared.context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if works:
        with shared.connect(context) as connection:
            assert connection.version() == {"TLSv1_3": "TLSv1.3", "TLSv1_2": "TLSv1.2"}[version.name]
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shared.connect(context)


def test_http_1_1_is_negotiated(shared):
    context = shared.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with shared.connect(context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("text", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x00" * 64, b"\xff" * 4096, b"\x16\x03\x01\xff\xff" + b"\x41" * 70_000,
    b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_what_is_no_tls_is_closed_and_harms_nobody(shared, text):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as connection:
        try:
            connection.sendall(text)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            received = b""
    assert b"HTTP/1.1" not in received
    assert shared.client().list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_handshake_that_does_not_come_is_given_up(shared):
    """A byte now and then keeps a connection from being idle, and does not keep it open."""
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", shared.port), timeout=2) as connection:
        hello = iter(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" + b"\x00" * 100)
        while True:
            try:
                connection.sendall(bytes([next(hello)]))
                if connection.recv(100) == b"":
                    break
            except TimeoutError:
                assert time.monotonic() - start < 30
            except ConnectionError:
                break
    assert 5 < time.monotonic() - start < 30


def test_the_limit_of_connections_holds(tmp_path, authority):
    with SecureServer(tmp_path / "store", authority, "--set", "connections=3") as server:
        held = [server.connect() for _ in range(3)]
        assert ask(server).startswith(b"HTTP/1.1 503 ")
        held.pop().close()
        wait_until(lambda: ask(server).startswith(b"HTTP/1.1 403 "), what="room for a connection")
        for connection in held:
            connection.close()


def ask(server):
    """What a connection is answered, whose end is no reset."""
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_a_new_certificate_serves_new_connections_and_old_ones_go_on(server, authority):
    old = server.raw()
    assert old.send("GET", "/")[0] == 200
    first = old.connection.sock
    assert server.subject() == "first"
    server.install(*authority.leaf("second"))
    wait_until(lambda: server.subject() == "second", what="the new certificate")
    assert old.send("GET", "/")[0] == 200 and old.connection.sock is first
    assert "new connections use the certificate that is now in" in errors(server)


def test_sighup_reads_the_files_at_once(server, authority):
    server.install(*authority.leaf("third"))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.subject() == "third", what="the new certificate")
    assert server.process.poll() is None


@pytest.mark.parametrize("certificate, key, reason", [
    (b"no certificate", None, "tls-certificate.* is no chain of certificates in PEM form|has no certificate in it"),
    (b"", None, "tls-certificate"),
    (None, b"no key", "tls-key.* is no private key in PEM form"),
    (None, b"", "tls-key"),
    ("other", None, "tls-key.* is not the key of the certificate"),
    ("gone", None, "tls-certificate.* cannot be read"),
    (None, "gone", "tls-key.* cannot be read"),
], ids=lambda value: None)
def test_a_broken_pair_is_refused_and_the_old_one_stays(server, authority, certificate, key, reason):
    if certificate == "gone":
        server.certificate.unlink()
    elif certificate is not None:
        replace(server.certificate, authority.leaf("other")[0] if certificate == "other" else certificate)
    if key == "gone":
        server.key.unlink()
    elif key is not None:
        replace(server.key, key)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "TLS: the certificate stays as it was" in errors(server), what="a line in the log")
    assert re.search(reason, errors(server)), errors(server)
    assert server.subject() == "first"
    server.install(*authority.leaf("mended"))
    wait_until(lambda: server.subject() == "mended", what="the mended certificate")


def test_a_key_that_others_may_read_is_refused_and_the_old_one_stays(server, authority, serve):
    certificate, key = authority.leaf("open")
    replace(server.certificate, certificate)
    beside = server.key.with_suffix(".open")
    beside.write_bytes(key)
    beside.chmod(0o644)
    os.replace(beside, server.key)
    server.process.send_signal(signal.SIGHUP)
    told = rf"setting 'tls-key' \({server.key}\) is refused: {server.key} has mode 644: .*; chmod 6[04]0 {server.key}"
    wait_until(lambda: re.search(f"TLS: the certificate stays as it was: {told}", errors(server)), what="a line in the log")
    assert server.subject() == "first" and server.process.poll() is None
    # The next start would be refused, and so is one that would take over.
    process = serve(server.directory, "--takeover", "--set", f"tls-certificate={server.certificate}", "--set", f"tls-key={server.key}")
    assert re.search(told, process.communicate(timeout=60)[1]) and process.returncode == 1
    assert server.subject() == "first"
    server.key.chmod(0o600)
    wait_until(lambda: server.subject() == "open", what="the new certificate")


def test_a_server_does_not_start_with_a_broken_pair(tmp_path, authority, serve):
    good = authority.leaf("good")
    other = authority.leaf("other")
    cases = [
        ((good[0], None), r"setting 'tls-key' \(not set\) goes together with 'tls-certificate'"),
        ((None, good[1]), r"setting 'tls-certificate' \(not set\) goes together with 'tls-key'"),
        ((good[0], other[1]), r"setting 'tls-key' \(.*\) is not the key of the certificate"),
        ((b"x", good[1]), r"setting 'tls-certificate' \(.*\)"),
    ]
    for number, ((certificate, key), reason) in enumerate(cases):
        flags = []
        for name, data in (("tls-certificate", certificate), ("tls-key", key)):
            if data is not None:
                path = tmp_path / f"{name}-{number}"
                replace(path, data)
                flags += ["--set", f"{name}={path}"]
        process = serve(tmp_path / "store", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *flags)
        output, told = process.communicate(timeout=60)
        assert process.returncode == 1 and output == ""
        assert re.search(reason, told) and told.count("\n") == 1, told


def test_sigterm_ends_a_server_with_idle_connections(tmp_path, authority):
    with SecureServer(tmp_path / "store", authority) as server:
        idle = [server.connect() for _ in range(5)]
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 20
        for connection in idle:
            connection.close()
