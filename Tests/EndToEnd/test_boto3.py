"""Objects through boto3 with its default settings."""

import base64
import hashlib
import io
import os
import socket
import zlib

import pytest
from botocore.exceptions import ClientError
from holdfast import wait_until

SMALL = b"a small object"
LARGE = os.urandom(3_000_001)


def code(error):
    return error.value.response["Error"]["Code"]


@pytest.mark.parametrize("body", [b"", SMALL, os.urandom(65_536), os.urandom(65_537), LARGE], ids=len)
def test_what_is_put_is_got(s3, bucket, body):
    put = s3.put_object(Bucket=bucket, Key="key", Body=body, Metadata={"colour": "red"})
    headers = put["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-holdfast-sequence"]) > 0 and headers["x-holdfast-replicas"] == "3"
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"colour": "red"} and got["ETag"] == put["ETag"]
    assert s3.head_object(Bucket=bucket, Key="key")["ContentLength"] == len(body)
    s3.delete_object(Bucket=bucket, Key="key")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="key")
    assert code(error) == "NoSuchKey"


@pytest.mark.parametrize("asked, wanted", [
    ("bytes=0-0", (0, 1)), ("bytes=65530-70000", (65_530, 70_001)), ("bytes=2999990-", (2_999_990, 3_000_001)),
    ("bytes=-7", (2_999_994, 3_000_001)), ("bytes=1000000-99999999", (1_000_000, 3_000_001)),
])
def test_ranges(s3, bucket, asked, wanted):
    s3.put_object(Bucket=bucket, Key="key", Body=LARGE)
    got = s3.get_object(Bucket=bucket, Key="key", Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {wanted[0]}-{wanted[1] - 1}/{len(LARGE)}"
    assert got["Body"].read() == LARGE[wanted[0]:wanted[1]]


def test_a_range_behind_the_end_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=SMALL)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="key", Range="bytes=100-")
    assert code(error) == "InvalidRange"


def test_conditional_reads(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=SMALL)["ETag"]
    assert s3.get_object(Bucket=bucket, Key="key", IfMatch=etag)["Body"].read() == SMALL
    for condition, status in (({"IfMatch": '"other"'}, 412), ({"IfNoneMatch": etag}, 304)):
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="key", **condition)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_conditional_writes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    s3.put_object(Bucket=bucket, Key="key", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=b"4", IfMatch=etag)
    assert code(error) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"3"


@pytest.mark.parametrize("key", ["a b+c&d=e", "ünï/çødé/日本", "//double//", "/leading", "dot/./../dots", "q?x#y%41", "a" * 1024])
def test_odd_keys(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    assert s3.head_object(Bucket=bucket, Key=key) and url
    s3.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_kept_and_shown(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="key", Body=LARGE, ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    digest = {"CRC32": lambda: zlib.crc32(LARGE).to_bytes(4, "big"), "SHA1": lambda: hashlib.sha1(LARGE).digest(),
              "SHA256": lambda: hashlib.sha256(LARGE).digest()}[algorithm]()
    assert put[name] == head[name] == base64.b64encode(digest).decode()
    assert head["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("header, value", [
    ("ChecksumCRC32", "AAAAAA=="), ("ChecksumCRC32C", "AAAAAA=="), ("ChecksumCRC64NVME", "AAAAAAAAAAA="),
    ("ChecksumSHA1", base64.b64encode(bytes(20)).decode()), ("ChecksumSHA256", base64.b64encode(bytes(32)).decode()),
    ("ContentMD5", base64.b64encode(bytes(16)).decode()),
])
def test_a_wrong_checksum_publishes_nothing(shared, s3, bucket, header, value):
    for body in (SMALL, LARGE):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="key", Body=body, **{header: value})
        assert code(error) == "BadDigest"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert not shared.incoming()


def test_versions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="key", Body=b"%d" % n)["VersionId"] for n in range(3)]
    assert s3.get_object(Bucket=bucket, Key="key", VersionId="null")["Body"].read() == b"null"
    for number, version in enumerate(ids):
        assert s3.get_object(Bucket=bucket, Key="key", VersionId=version)["Body"].read() == b"%d" % number
    marker = s3.delete_object(Bucket=bucket, Key="key")
    assert marker["DeleteMarker"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="key")
    assert error.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    listed = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == [*reversed(ids), "null"]
    assert [m["IsLatest"] for m in listed["DeleteMarkers"]] == [True]
    s3.delete_object(Bucket=bucket, Key="key", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert s3.put_object(Bucket=bucket, Key="key", Body=b"new null")["VersionId"] == "null"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 4


def test_listing_with_delimiter_and_pages(s3, bucket):
    keys = sorted(f"{d}/{n}" for d in "abc" for n in range(5)) + ["z 1", "ä"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 4}))
    assert [o["Key"] for p in pages for o in p.get("Contents", [])] == keys
    top = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [p["Prefix"] for p in top["CommonPrefixes"]] == ["a/", "b/", "c/"]
    assert [o["Key"] for o in top["Contents"]] == ["z 1", "ä"]
    pages = list(s3.get_paginator("list_objects").paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 1}))
    assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a/", "b/", "c/"]
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="b/", StartAfter="b/2")["Contents"]] == ["b/3", "b/4"]


def test_every_version_is_deleted_page_by_page(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(30):
        s3.put_object(Bucket=bucket, Key=f"k{number % 3}", Body=b"%d" % number)
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7}):
        names = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", [])]
        assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": names})
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def test_a_thousand_objects_are_deleted_at_once(s3, bucket):
    names = [{"Key": f"k{n}"} for n in range(1000)]
    s3.put_object(Bucket=bucket, Key="k7", Body=b"x")
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": names})["Deleted"]) == 1000
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_multipart(shared, s3, bucket):
    parts = [os.urandom(5 * 1024 * 1024), os.urandom(6_000_000), b"tail"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", Metadata={"a": "b"})["UploadId"]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    etags = [s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=n, Body=part)["ETag"]
             for n, part in enumerate(parts, 1)]
    listed = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload, MaxParts=2)
    assert [p["Size"] for p in listed["Parts"]] == [len(p) for p in parts[:2]] and listed["IsTruncated"]
    named = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    for wrong, expected in ((named[::-1], "InvalidPartOrder"), ([dict(named[0], ETag='"x"')], "InvalidPart"),
                            ([named[2], dict(named[2], PartNumber=4)], "InvalidPart")):
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": wrong})
        assert code(error) == expected
    done = s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": named})
    md5s = b"".join(hashlib.md5(p).digest() for p in parts)
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    again = s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": named})
    assert again["ETag"] == done["ETag"]
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == b"".join(parts) and got["Metadata"] == {"a": "b"}
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert second["Body"].read() == parts[1] and second["PartsCount"] == 3
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_small_parts_are_refused_and_an_upload_is_aborted(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    named = [{"PartNumber": n, "ETag": s3.upload_part(
        Bucket=bucket, Key="key", UploadId=upload, PartNumber=n, Body=SMALL)["ETag"]} for n in (1, 2)]
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": named})
    assert code(error) == "EntityTooSmall"
    s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=upload)
    with pytest.raises(ClientError) as error:
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=SMALL)
    assert code(error) == "NoSuchUpload"


def test_upload_fileobj_in_parts(s3, bucket):
    body = os.urandom(40_000_000)
    s3.upload_fileobj(io.BytesIO(body), bucket, "key")
    sink = io.BytesIO()
    s3.download_fileobj(bucket, "key", sink)
    assert sink.getvalue() == body


def test_copies(s3, bucket):
    for body in (SMALL, LARGE):
        s3.put_object(Bucket=bucket, Key="source +ä", Body=body, Metadata={"a": "b"}, ContentType="text/x")
        source = {"Bucket": bucket, "Key": "source +ä"}
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
        got = s3.get_object(Bucket=bucket, Key="copy")
        assert got["Body"].read() == body and got["Metadata"] == {"a": "b"} and got["ContentType"] == "text/x"
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"})
        assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"c": "d"}
        s3.delete_object(Bucket=bucket, Key="source +ä")
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    upload = s3.create_multipart_upload(Bucket=bucket, Key="joined")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=bucket, Key="joined", UploadId=upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "copy"},
        CopySourceRange="bytes=1000-2000000")["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="joined", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    assert s3.get_object(Bucket=bucket, Key="joined")["Body"].read() == LARGE[1000:2_000_001]


def test_virtual_hosted_buckets(shared, bucket, monkeypatch):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: resolve(
        "127.0.0.1" if str(host).endswith("localhost") else host, *rest))
    client = shared.client(host="localhost", s3={"addressing_style": "virtual"})
    client.put_object(Bucket=bucket, Key="key", Body=SMALL)
    assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == SMALL


def test_buckets(s3, bucket):
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket=bucket)
    assert code(error) == "BucketAlreadyOwnedByYou"
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket=bucket)
    assert code(error) == "NoSuchBucket"


def test_each_upload_is_confirmed_by_an_event(shared, s3, bucket):
    sequence = int(s3.put_object(Bucket=bucket, Key="key", Body=LARGE)["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"])

    def confirmed():
        for event in shared.log("--from", str(sequence)):
            confirmation = event["event"].get("uploadsConfirmed")
            if confirmation and int(confirmation["throughSequence"]) >= sequence:
                return confirmation
    confirmation = wait_until(confirmed, what="the confirmation")
    assert confirmation["volumes"] == [1, 2, 3] and "exceptions" not in confirmation
