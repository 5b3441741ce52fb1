"""Checksums of all five algorithms, of objects put whole and in parts."""

import base64

import pytest
from checksums import ALGORITHMS, BIG, checksum, digest, failure, send_trailer, upload
from signing import Raw


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
