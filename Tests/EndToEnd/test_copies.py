"""Copies of objects and into parts: sources, directives, checksums, ranges."""

import base64
import hashlib
import os
import urllib.parse

import pytest
from checksums import ALGORITHMS, BIG, PART, checksum, failure, upload
from signing import Raw


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
