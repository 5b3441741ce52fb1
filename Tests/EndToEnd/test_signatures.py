"""How requests are signed: Signature V4, presigned, and Signature V2 for clients that know no other."""

import datetime
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

ODD_KEYS = [
    "a b", "a+b", "a%2Fb", "a%b", "a//b", "/leading", "trailing/", "a/./b", "a/../b", "..", "é", "e\u0301", "日本語", "😀",
    "a&b=c", "a?b#c", "a;b,c:d@e$f!g*h'i(j)k", "~tilde_-.", "\x01\x7f", "a\"b<c>d\\e^f`g{h|i}j", "k" * 1024, "+", "%20", "=",
]


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


def test_nothing_is_wrong_after_all_of_them(shared):
    assert shared.fsck("--deep")[2] == 0
    assert "internal" not in shared.errors.read_text()
