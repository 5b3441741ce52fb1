"""Objects: ranges, parts, attributes, metadata and keys."""

import base64
import hashlib
import http.client
import urllib.parse

import pytest
from checksums import BIG, checksum, failure, send_trailer, upload
from signing import Raw, Signer

# Ranges and parts


@pytest.mark.parametrize("size, asked, wanted", [
    (10, "bytes=0-3", (0, 4)), (10, "bytes=9-9", (9, 10)), (10, "bytes=5-", (5, 10)), (10, "bytes=-3", (7, 10)),
    (10, "bytes=-99", (0, 10)), (10, "bytes=0-99999999999999999999", (0, 10)), (10, "BYTES=1-2", (1, 3)),
    (10, "bytes=10-", 416), (10, "bytes=10-20", 416), (10, "bytes=-0", 416), (0, "bytes=0-", 416), (0, "bytes=-5", 416),
    (10, "bytes=99999999999999999999-", 416),
    # Amazon S3 sends the whole for what makes no sense, and for several ranges.
    (10, "bytes=5-2", None), (10, "bytes=a-b", None), (10, "bytes=-", None), (10, "bytes=", None), (10, "bytes=3", None),
    (10, "items=0-3", None), (10, "bytes=0-1,4-5", None), (10, "bytes=+1-2", None), (10, "bytes=1--2", None), (0, "bytes=5-2", None),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ranges(shared, s3, bucket, method, size, asked, wanted):
    body = b"0123456789"[:size]
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    raw = Raw(shared)
    status, code, got = raw.send(method, f"/{bucket}/key", headers={"Range": asked})
    if wanted == 416:
        assert status == 416 and code == ("InvalidRange" if method == "GET" else "")
    else:
        start, end = wanted or (0, size)
        assert status == (206 if wanted else 200) and got == (body[start:end] if method == "GET" else b"")
    assert raw.send("GET", f"/{bucket}/key")[2] == body


def test_parts_are_read_by_number(s3, bucket):
    bodies = [BIG, BIG[::-1], b"the end"]
    upload(s3, bucket, "key", bodies, ChecksumAlgorithm="SHA256")
    size, start = sum(map(len, bodies)), 0
    for number, body in enumerate(bodies, 1):
        for call in (s3.get_object, s3.head_object):
            got = call(Bucket=bucket, Key="key", PartNumber=number, ChecksumMode="ENABLED")
            assert got["PartsCount"] == 3 and got["ContentLength"] == len(body)
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert got["ResponseMetadata"]["HTTPHeaders"]["content-range"] == f"bytes {start}-{start + len(body) - 1}/{size}"
            assert got["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
            if "Body" in got:
                assert got["Body"].read() == body
        start += len(body)
    assert failure(s3.get_object, Bucket=bucket, Key="key", PartNumber=4) == (416, "InvalidPartNumber")
    assert "PartsCount" not in s3.get_object(Bucket=bucket, Key="key")


def test_an_object_of_one_request_is_its_own_first_part(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", ChecksumAlgorithm="SHA1")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    got = s3.get_object(Bucket=bucket, Key="key", PartNumber=1, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"body" and "PartsCount" not in got and got["ChecksumSHA1"]
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["Body"].read() == b""
    assert failure(s3.get_object, Bucket=bucket, Key="key", PartNumber=2) == (416, "InvalidPartNumber")
    assert failure(s3.get_object, Bucket=bucket, Key="key", PartNumber=0) == (400, "InvalidArgument")
    assert failure(s3.get_object, Bucket=bucket, Key="key", PartNumber=10_001) == (400, "InvalidArgument")
    assert failure(s3.get_object, Bucket=bucket, Key="key", PartNumber=1, Range="bytes=0-1") == (400, "InvalidRequest")


# Attributes

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def test_attributes_of_an_object(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"body", ChecksumAlgorithm="SHA256", StorageClass="STANDARD_IA")
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=ALL)
    assert told["ETag"] == put["ETag"].strip('"') and told["ObjectSize"] == 4 and told["StorageClass"] == "STANDARD_IA"
    assert told["Checksum"] == {"ChecksumSHA256": put["ChecksumSHA256"], "ChecksumType": "FULL_OBJECT"}
    assert "ObjectParts" not in told and told["LastModified"] == s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    few = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ObjectSize"])
    assert {"ETag", "Checksum", "StorageClass"}.isdisjoint(few) and few["ObjectSize"] == 4


def test_attributes_of_an_object_in_parts(s3, bucket):
    bodies = [BIG, BIG, b"end"]
    done = upload(s3, bucket, "key", bodies, ChecksumAlgorithm="SHA1")
    told = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=ALL)
    assert told["Checksum"] == {"ChecksumSHA1": done["ChecksumSHA1"], "ChecksumType": "COMPOSITE"}
    parts = told["ObjectParts"]
    assert parts["TotalPartsCount"] == 3 and not parts["IsTruncated"]
    assert [(p["PartNumber"], p["Size"], p["ChecksumSHA1"]) for p in parts["Parts"]] == [
        (n, len(b), base64.b64encode(hashlib.sha1(b).digest()).decode()) for n, b in enumerate(bodies, 1)]
    found, marker = [], 0
    while True:
        page = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts"], MaxParts=2,
                                        PartNumberMarker=marker)["ObjectParts"]
        found += [p["PartNumber"] for p in page["Parts"]]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert found == [1, 2, 3]


def test_attributes_of_a_version_and_of_what_is_not_there(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=bucket, Key="key", Body=b"x" * n)["VersionId"] for n in (1, 2))
    told = s3.get_object_attributes(Bucket=bucket, Key="key", VersionId=first, ObjectAttributes=["ObjectSize"])
    assert told["ObjectSize"] == 1 and told["VersionId"] == first
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    ask = dict(Bucket=bucket, Key="key", ObjectAttributes=["ETag"])
    assert failure(s3.get_object_attributes, **ask) == (404, "NoSuchKey")
    assert failure(s3.get_object_attributes, VersionId=marker, **ask) == (405, "MethodNotAllowed")
    assert failure(s3.get_object_attributes, VersionId="0" * 32, **ask) == (404, "NoSuchVersion")
    assert failure(s3.get_object_attributes, **{**ask, "Bucket": "no-such-bucket"}) == (404, "NoSuchBucket")


@pytest.mark.parametrize("headers, expected", [
    ({}, "InvalidRequest"), ({"x-amz-object-attributes": " "}, "InvalidRequest"),
    ({"x-amz-object-attributes": "ETag,Owner"}, "InvalidArgument"),
    ({"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "-1"}, "InvalidArgument"),
    ({"x-amz-object-attributes": "ObjectParts", "x-amz-part-number-marker": "x"}, "InvalidArgument"),
])
def test_attributes_asked_for_badly(shared, s3, bucket, headers, expected):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    assert Raw(shared).send("GET", f"/{bucket}/key", headers=headers, query=[("attributes", "")])[:2] == (400, expected)


# Metadata


def test_headers_are_kept_as_they_were_sent(shared, s3, bucket):
    said = {"Cache-Control": "max-age=3 , public", "Content-Disposition": 'attachment; filename="a b.txt"', "Content-Encoding": "gzip, br",
            "Content-Language": "de, en", "Expires": "not a date", "Content-Type": "text/x; charset=odd", "x-amz-meta-UPPER": "  kept Case  ",
            "x-amz-meta-empty": "", "x-amz-meta-mime": "=?UTF-8?B?w7w=?="}
    assert Raw(shared).send("PUT", f"/{bucket}/key", b"body", said)[0] == 200
    head = s3.head_object(Bucket=bucket, Key="key")
    got = {**head["ResponseMetadata"]["HTTPHeaders"], "expires": head["ExpiresString"]}  # boto3 takes it out
    assert {k: got[k.lower()] for k in said} == {k: v.strip() for k, v in said.items()}
    assert Raw(shared).send("PUT", f"/{bucket}/plain", b"body")[0] == 200
    assert s3.head_object(Bucket=bucket, Key="plain")["ContentType"] == "binary/octet-stream"


def test_metadata_that_are_not_ascii_come_back_as_they_were_sent(shared, s3, bucket):
    """Amazon S3 gives them back encoded by RFC 2047."""
    sent = {"x-amz-meta-name": "zürich 日本".encode().decode("latin-1")}
    signed = {"x-amz-meta-name": "zürich 日本"}
    signer = Signer()
    host = {"Host": f"127.0.0.1:{shared.port}", "x-amz-date": signer.time, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    authorization = signer.sign("PUT", f"/{bucket}/key", (), {**host, **signed}, "UNSIGNED-PAYLOAD")
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    connection.request("PUT", f"/{bucket}/key", b"", {**host, **sent, "Authorization": authorization})
    assert connection.getresponse().status == 200
    connection.close()
    got = s3.head_object(Bucket=bucket, Key="key")["ResponseMetadata"]["HTTPHeaders"]["x-amz-meta-name"]
    assert got.encode("latin-1").decode() == "zürich 日本"


def test_metadata_that_are_repeated_are_joined(shared, s3, bucket):
    signer = Signer()
    head = {"host": f"127.0.0.1:{shared.port}", "x-amz-date": signer.time, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    authorization = signer.sign("PUT", f"/{bucket}/key", (), {**head, "x-amz-meta-n": "1,2"}, "UNSIGNED-PAYLOAD")
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    connection.putrequest("PUT", f"/{bucket}/key", skip_host=True, skip_accept_encoding=True)
    for name, value in [*head.items(), ("x-amz-meta-n", "1"), ("x-amz-meta-n", "2"), ("content-length", "0"),
                        ("authorization", authorization)]:
        connection.putheader(name, value)
    connection.endheaders(b"")
    assert connection.getresponse().status == 200
    connection.close()
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == {"n": "1,2"}


@pytest.mark.parametrize("coding, kept", [("aws-chunked", None), ("aws-chunked,gzip", "gzip"), ("gzip, aws-chunked", "gzip")])
def test_how_a_body_travelled_is_not_kept(shared, s3, bucket, coding, kept):
    value = checksum("SHA256", b"body")["ChecksumSHA256"]
    assert send_trailer(Raw(shared), f"/{bucket}/key", "x-amz-checksum-sha256", value, coding)[0] == 200
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got.get("ContentEncoding") == kept and got["Body"].read() == b"body"


def test_metadata_have_two_kibibytes(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Metadata={"k": "v" * 2047})
    for call in (s3.put_object, s3.create_multipart_upload):
        assert failure(call, Bucket=bucket, Key="key", Metadata={"k": "v" * 2048}) == (400, "MetadataTooLarge")
    assert failure(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", MetadataDirective="REPLACE",
                   Metadata={"k": "v" * 2048}) == (400, "MetadataTooLarge")


# Keys

KEYS = ["\x00", "a\x00b", "/", "//", "a/", "/a", "a//b", ".", "..", "../..", "a/../b", "./a", " ", " a ", "a\tb", "a\nb", "a\rb", "a\r\nb", "\x01", "\x7f", "\x1f",
        "&<>\"'", "%00", "%2F", "+", "a+b c", "?", "a?b=c&d", "#", "é", "e\u0301", "日本", "\U0001F600", "\u200b", "\ufeff", "\u202e", "\\", "~",
        "x" * 1024, "é" * 512, "\U0001F600" * 256, "".join(map(chr, range(1, 128))), "versionId=x", "a;b", "a:b", "*"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: urllib.parse.quote(key)[:24])
def test_keys_of_every_byte_work_everywhere(shared, s3, bucket, key):
    raw, path = Raw(shared), f"/{bucket}/{key}"
    assert raw.send("PUT", path, key.encode())[0] == 200
    assert raw.send("GET", path)[2] == key.encode() and raw.send("HEAD", path)[0] == 200
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [v["Key"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]] == [key]
    source = {"x-amz-copy-source": urllib.parse.quote(f"{bucket}/{key}", safe="/")}
    assert raw.send("PUT", f"/{bucket}/copy", headers=source)[0] == 200
    assert raw.send("GET", f"/{bucket}/copy")[2] == key.encode()
    assert raw.send("DELETE", f"/{bucket}/copy")[0] == 204
    text = "".join(f"&#x{ord(c):x};" if ord(c) < 32 or c in "&<>" else c for c in key)
    document = f"<Delete><Object><Key>{text}</Key></Object></Delete>".encode()
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
    status, _, body = raw.send("POST", f"/{bucket}", document, headers, query=[("delete", "")])
    assert status == 200 and b"<Error>" not in body
    assert raw.send("HEAD", path)[0] == 404 and "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_keys_that_are_too_long(s3, bucket):
    for key in ("x" * 1025, "é" * 513):
        assert failure(s3.put_object, Bucket=bucket, Key=key, Body=b"") == (400, "KeyTooLongError")


def test_keys_that_differ_in_unicode_form_are_two(s3, bucket):
    for key in ("\u00e9", "e\u0301"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2
    s3.delete_object(Bucket=bucket, Key="\u00e9")
    assert s3.get_object(Bucket=bucket, Key="e\u0301")["Body"].read() == "e\u0301".encode()
