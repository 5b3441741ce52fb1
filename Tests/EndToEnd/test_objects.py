"""Objects: ranges, parts, attributes, copies, checksums, metadata, keys, and deleting many."""

import base64
import functools
import hashlib
import http.client
import os
import urllib.parse
import xml.etree.ElementTree
import zlib

import pytest
from botocore.exceptions import ClientError
from signing import Raw, Signer

PART = 5 * 1024 * 1024
BIG = os.urandom(PART)
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
POLYNOMIALS = {"CRC32C": (32, 0x82F63B78), "CRC64NVME": (64, 0x9A6C9329AC4BC9B5)}


@functools.cache
def crc_table(polynomial):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


@functools.cache
def digest(algorithm, body):
    """The bytes of a checksum, by Python alone: boto3 needs a library for two of them."""
    if algorithm == "CRC32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm not in POLYNOMIALS:
        return hashlib.new(algorithm.lower(), body).digest()
    width, polynomial = POLYNOMIALS[algorithm]
    table, crc = crc_table(polynomial), (1 << width) - 1
    for byte in body:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return (crc ^ (1 << width) - 1).to_bytes(width // 8, "big")


def checksum(algorithm, body):
    """As arguments of boto3."""
    return {f"Checksum{algorithm}": base64.b64encode(digest(algorithm, body)).decode()}


def failure(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def upload(s3, bucket, key, bodies, complete=None, **create):
    """A multipart upload of the bodies; each part's checksums are named as it is completed."""
    identity = s3.create_multipart_upload(Bucket=bucket, Key=key, **create)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        extra = checksum(create["ChecksumAlgorithm"], body) if "ChecksumAlgorithm" in create else {}
        done = s3.upload_part(Bucket=bucket, Key=key, UploadId=identity, PartNumber=number, Body=body, **extra)
        parts.append({"PartNumber": number, **{k: v for k, v in done.items()
                                               if k == "ETag" or k.startswith("Checksum") and k != "ChecksumType"}})
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=identity, MultipartUpload={"Parts": parts}, **(complete or {}))


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


# Copies


@pytest.mark.parametrize("form", ["/{b}/{k}", "{b}/{k}", "/{b}%2F{k}", "%2F{b}/{k}"])
def test_the_source_of_a_copy_is_named_in_several_forms(shared, s3, bucket, form):
    key = "a b+ü?x/ÿ%41"
    s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    source = form.format(b=bucket, k=urllib.parse.quote(key, safe="/"))
    raw = Raw(shared)
    assert raw.send("PUT", f"/{bucket}/copy", headers={"x-amz-copy-source": source})[0] == 200
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"body"


@pytest.mark.parametrize("source, status, code", [
    ("", 400, "InvalidArgument"), ("/", 400, "InvalidArgument"), ("{b}", 400, "InvalidArgument"), ("{b}/", 400, "InvalidArgument"),
    ("/{b}/%", 400, "InvalidArgument"), ("/{b}/%FF", 400, "InvalidArgument"), ("/B_/key", 400, "InvalidArgument"),
    ("/{b}/key?versionId=", 400, "InvalidArgument"), ("/{b}/key?versionId=x", 400, "InvalidArgument"),
    ("/{b}/none", 404, "NoSuchKey"), ("/{b}/key?versionId=" + "0" * 32, 404, "NoSuchVersion"), ("/no-such-bucket/key", 404, "NoSuchBucket"),
    ("arn:aws:s3:us-east-1:1:accesspoint/x/object/key", 501, "NotImplemented"),
    ("arn%3Aaws%3As3%3Aus-east-1%3A1%3Aaccesspoint%2Fx/object/key", 501, "NotImplemented"),
])
def test_sources_that_are_none(shared, s3, bucket, source, status, code):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    headers = {"x-amz-copy-source": source.format(b=bucket)}
    assert Raw(shared).send("PUT", f"/{bucket}/copy", headers=headers)[:2] == (status, code)


@pytest.mark.parametrize("body", [b"", b"body", os.urandom(70_000)], ids=len)
def test_a_copy_keeps_or_replaces_what_its_directive_says(s3, bucket, body):
    said = dict(ContentType="text/plain", CacheControl="no-cache", ContentDisposition="attachment", ContentLanguage="de",
                ContentEncoding="gzip", Metadata={"a": "1"})
    s3.put_object(Bucket=bucket, Key="key", Body=body, StorageClass="STANDARD_IA", WebsiteRedirectLocation="/x", **said)
    s3.copy_object(Bucket=bucket, Key="same", CopySource=f"{bucket}/key", ContentType="ignored/type", Metadata={"b": "2"})
    same = s3.get_object(Bucket=bucket, Key="same")
    assert same["Body"].read() == body and {k: same[k] for k in said} == said
    # These are the copy's own.
    assert "StorageClass" not in same and "WebsiteRedirectLocation" not in same
    s3.copy_object(Bucket=bucket, Key="other", CopySource=f"{bucket}/key", MetadataDirective="REPLACE", ContentType="new/type",
                   Metadata={"b": "2"}, StorageClass="ONEZONE_IA")
    other = s3.get_object(Bucket=bucket, Key="other")
    assert other["Body"].read() == body and other["Metadata"] == {"b": "2"} and other["ContentType"] == "new/type"
    assert other["StorageClass"] == "ONEZONE_IA" and "CacheControl" not in other


def test_a_copy_to_itself_must_change_something(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Metadata={"a": "1"})
    itself = dict(Bucket=bucket, Key="key", CopySource=f"{bucket}/key")
    assert failure(s3.copy_object, **itself) == (400, "InvalidRequest")
    assert failure(s3.copy_object, Metadata={"a": "2"}, **itself) == (400, "InvalidRequest")
    assert failure(s3.copy_object, TaggingDirective="REPLACE", Tagging="a=b", **itself) == (400, "InvalidRequest")
    s3.copy_object(MetadataDirective="REPLACE", Metadata={"a": "2"}, **itself)
    s3.copy_object(StorageClass="STANDARD_IA", **itself)
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (got["Metadata"], got["StorageClass"], got["Body"].read()) == ({"a": "2"}, "STANDARD_IA", b"body")


def test_an_older_version_is_restored_by_a_copy_of_it(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"first")["VersionId"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"second")
    source = {"Bucket": bucket, "Key": "key", "VersionId": first}
    done = s3.copy_object(Bucket=bucket, Key="key", CopySource=source)
    assert done["CopySourceVersionId"] == first and done["VersionId"] != first
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"first"
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    assert failure(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/key") == (404, "NoSuchKey")
    assert failure(s3.copy_object, Bucket=bucket, Key="copy", CopySource={**source, "VersionId": marker}) == (400, "InvalidRequest")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 10, 1_500_000])
def test_a_copy_has_the_checksum_that_is_asked_for(s3, bucket, algorithm, size):
    body = BIG[:size]
    wanted = checksum(algorithm, body)[f"Checksum{algorithm}"]
    s3.put_object(Bucket=bucket, Key="key", Body=body, ChecksumAlgorithm="SHA1")
    done = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", ChecksumAlgorithm=algorithm)
    assert done["CopyObjectResult"][f"Checksum{algorithm}"] == wanted
    got = s3.get_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert got["Body"].read() == body and got[f"Checksum{algorithm}"] == wanted and got["ChecksumType"] == "FULL_OBJECT"
    plain = s3.copy_object(Bucket=bucket, Key="plain", CopySource=f"{bucket}/key")
    assert plain["CopyObjectResult"]["ChecksumSHA1"]


def test_a_copy_of_an_object_in_parts(s3, bucket):
    bodies = [BIG, b"end"]
    upload(s3, bucket, "key", bodies, ChecksumAlgorithm="SHA256", Metadata={"a": "1"})
    done = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", ChecksumAlgorithm="SHA256")
    whole = base64.b64encode(hashlib.sha256(b"".join(bodies)).digest()).decode()
    assert done["CopyObjectResult"]["ChecksumSHA256"] == whole
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert got["Body"].read() == b"".join(bodies) and got["Metadata"] == {"a": "1"}
    assert failure(s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{bucket}/none", ChecksumAlgorithm="SHA256")[0] == 404


@pytest.mark.parametrize("asked, wanted", [
    ("bytes=0-0", (0, 1)), ("bytes=65535-65536", (65_535, 65_537)), ("bytes=100-5242879", (100, PART)), (None, (0, PART)),
])
def test_a_part_is_copied_from_a_range(s3, bucket, asked, wanted):
    s3.put_object(Bucket=bucket, Key="key", Body=BIG)
    identity = s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="copy", UploadId=identity, PartNumber=1, CopySource=f"{bucket}/key",
                               **({"CopySourceRange": asked} if asked else {}))["CopyPartResult"]
    body = BIG[slice(*wanted)]
    assert part["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    s3.complete_multipart_upload(Bucket=bucket, Key="copy", UploadId=identity, MultipartUpload={"Parts": [
        {"PartNumber": 1, **{k: part[k] for k in part if k == "ETag" or k.startswith("ChecksumCRC")}}]})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body


@pytest.mark.parametrize("asked", ["bytes=0-10", "bytes=10-", "bytes=-3", "bytes=3-2", "0-3", "bytes=0-1,2-3", "bytes=1--2", "bytes=+1-2",
                                   "bytes=a-b", "bytes=", ""])
def test_a_range_of_a_source_that_makes_no_sense(shared, s3, bucket, asked):
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    identity = s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"]
    headers = {"x-amz-copy-source": f"{bucket}/key", "x-amz-copy-source-range": asked}
    query = [("partNumber", "1"), ("uploadId", identity)]
    assert Raw(shared).send("PUT", f"/{bucket}/copy", headers=headers, query=query)[:2] == (400, "InvalidArgument")


# Checksums


def combined(algorithm, bodies, kind):
    """The checksum that the parts make."""
    if kind == "COMPOSITE":
        parts = b"".join(digest(algorithm, body) for body in bodies)
        return base64.b64encode(digest(algorithm, parts)).decode() + f"-{len(bodies)}"
    return base64.b64encode(digest(algorithm, b"".join(bodies))).decode()


@pytest.mark.parametrize("algorithm, kind", [
    ("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"), ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT"),
    ("SHA1", "COMPOSITE"), ("SHA256", "COMPOSITE"),
])
def test_checksums_of_objects_in_parts(s3, bucket, algorithm, kind):
    bodies, name = [BIG, b"end"], f"Checksum{algorithm}"
    done = upload(s3, bucket, "key", bodies, ChecksumAlgorithm=algorithm, ChecksumType=kind,
                  complete={"ChecksumType": kind, "MpuObjectSize": sum(map(len, bodies))})
    assert done["ChecksumType"] == kind and done[name] == combined(algorithm, bodies, kind)
    for call in (s3.get_object, s3.head_object):
        got = call(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
        assert got[name] == done[name] and got["ChecksumType"] == kind
        assert name not in call(Bucket=bucket, Key="key", ChecksumMode="ENABLED", Range="bytes=0-9")
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert listed["ChecksumAlgorithm"] == [algorithm] and listed["ChecksumType"] == kind
    assert s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["Body"].read() == b"".join(bodies)


@pytest.mark.parametrize("algorithm, kind", [
    ("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("MD4", None), ("CRC32", "OTHER"),
    (None, "FULL_OBJECT"),
])
def test_checksums_that_an_upload_cannot_have(shared, bucket, algorithm, kind):
    headers = {k: v for k, v in (("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)) if v}
    assert Raw(shared).send("POST", f"/{bucket}/key", headers=headers, query=[("uploads", "")])[:2] == (400, "InvalidRequest")


def test_a_completion_that_says_other_than_the_parts_is_refused(s3, bucket):
    identity = s3.create_multipart_upload(Bucket=bucket, Key="key", ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="key", UploadId=identity, PartNumber=1, Body=b"part", ChecksumAlgorithm="SHA256")
    named = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
    zeros = base64.b64encode(bytes(32)).decode()

    def complete(part, **said):
        return dict(Bucket=bucket, Key="key", UploadId=identity, MultipartUpload={"Parts": [part]}, **said)

    for arguments, code in [
        (complete({k: named[k] for k in ("PartNumber", "ETag")}), "InvalidRequest"),
        (complete({**named, "ChecksumSHA256": zeros}), "InvalidPart"), (complete({**named, "ETag": '"' + "0" * 32 + '"'}), "InvalidPart"),
        (complete({**named, "PartNumber": 2}), "InvalidPart"), (complete(named, MpuObjectSize=5), "InvalidRequest"),
        (complete(named, ChecksumType="FULL_OBJECT"), "InvalidRequest"), (complete(named, ChecksumSHA256=f"{zeros}-1"), "BadDigest"),
        (complete(named, ChecksumCRC32="AAAAAA=="), "InvalidRequest"),
    ]:
        assert failure(s3.complete_multipart_upload, **arguments) == (400, code), arguments
    assert s3.complete_multipart_upload(**complete(named, MpuObjectSize=4, ChecksumType="COMPOSITE"))


def send_trailer(raw, path, name, value, coding="aws-chunked"):
    """Puts `body` with a checksum behind it, as SDKs send it over TLS."""
    frames = f"4\r\nbody\r\n0\r\n{name}:{value}\r\n\r\n".encode()
    headers = {"x-amz-trailer": name, "x-amz-decoded-content-length": "4", "Content-Encoding": coding,
               "Content-Length": str(len(frames))}
    return raw.send("PUT", path, headers=headers, framed=lambda _: frames, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_body_whose_checksum_is_wrong_is_not_stored(shared, s3, bucket, algorithm):
    right = checksum(algorithm, b"body")[f"Checksum{algorithm}"]
    name = f"x-amz-checksum-{algorithm.lower()}"
    wrong = base64.b64encode(bytes(len(base64.b64decode(right)))).decode()
    raw = Raw(shared)
    assert raw.send("PUT", f"/{bucket}/key", b"body", {name: right})[0] == 200
    assert send_trailer(raw, f"/{bucket}/trailer", name, right)[0] == 200
    for key in ("key", "trailer"):
        got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert got["Body"].read() == b"body" and got[f"Checksum{algorithm}"] == right
    for value, code in ((wrong, "BadDigest"), ("AAAA", "InvalidRequest"), ("!", "InvalidRequest")):
        assert raw.send("PUT", f"/{bucket}/wrong", b"body", {name: value})[:2] == (400, code)
        assert send_trailer(raw, f"/{bucket}/wrong", name, value)[:2] == (400, code)
    assert failure(s3.head_object, Bucket=bucket, Key="wrong")[0] == 404


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


# Deleting many


def send_delete(shared, bucket, document, headers=None):
    if headers is None:
        headers = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
    return Raw(shared).send("POST", f"/{bucket}", document, headers, query=[("delete", "")])


def objects(*keys):
    return b"<Delete>" + b"".join(f"<Object><Key>{key}</Key></Object>".encode() for key in keys) + b"</Delete>"


def test_many_are_deleted_quietly_or_not(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "none"}]})
    assert [d["Key"] for d in done["Deleted"]] == ["a", "none"] and "Errors" not in done
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_versions_and_markers_are_deleted_together(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="b")
    marker = s3.delete_object(Bucket=bucket, Key="c")["VersionId"]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "a", "VersionId": version}, {"Key": "b"}, {"Key": "c", "VersionId": marker}, {"Key": "a", "VersionId": "nonsense"}]})
    a, b, c = done["Deleted"]
    assert a == {"Key": "a", "VersionId": version}
    assert b["DeleteMarker"] and b["DeleteMarkerVersionId"] and "VersionId" not in b
    assert c["DeleteMarker"] and c["DeleteMarkerVersionId"] == c["VersionId"] == marker
    assert [(e["Key"], e["VersionId"], e["Code"]) for e in done["Errors"]] == [("a", "nonsense", "NoSuchVersion")]


@pytest.mark.parametrize("document, headers, expected", [
    (b"", None, "MalformedXML"), (b"<Delete/>", None, "MalformedXML"), (b"<Delete><Object/></Delete>", None, "MalformedXML"),
    (b"<Delete><Object><VersionId>null</VersionId></Object></Delete>", None, "MalformedXML"), (b"<Other/>", None, "MalformedXML"),
    (objects(*range(1001)), None, "MalformedXML"), (objects("a"), {}, "InvalidRequest"),
    (objects("a"), {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"), (objects("a"), {"Content-MD5": "x"}, "InvalidDigest"),
    (objects("a"), {"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
])
def test_documents_that_delete_nothing(shared, s3, bucket, document, headers, expected):
    s3.put_object(Bucket=bucket, Key="a")
    assert send_delete(shared, bucket, document, headers)[:2] == (400, expected)
    assert s3.head_object(Bucket=bucket, Key="a")


def test_a_key_that_cannot_be_is_an_error_of_its_own(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a")
    status, _, body = send_delete(shared, bucket, objects("", "x" * 1025, "a"))
    root = xml.etree.ElementTree.fromstring(body)
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert status == 200 and [d.findtext(f"{space}Key") for d in root.iter(f"{space}Deleted")] == ["a"]
    assert [e.findtext(f"{space}Code") for e in root.iter(f"{space}Error")] == ["UserKeyMustBeSpecified", "KeyTooLongError"]


def test_a_thousand_are_deleted_in_one_request_and_no_bucket_has_none(shared, s3, bucket):
    status, _, body = send_delete(shared, bucket, objects(*range(1000)))
    assert status == 200 and body.count(b"<Deleted>") == 1000
    assert send_delete(shared, "no-such-bucket", objects("a"))[:2] == (404, "NoSuchBucket")
