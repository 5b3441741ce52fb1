"""Encryption at rest: every kind, through boto3 and through raw requests, over restarts and rotations."""

import base64
import hashlib
import json
import os

import pytest
from botocore.exceptions import ClientError
from holdfast import Server, keep_secret
from signing import Raw

MIB = 1024 * 1024
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


def sse_c(key=KEY):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def copy_sse_c(key=KEY):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


KINDS = {
    "none": {},
    "customer": sse_c(),
    "s3": {"ServerSideEncryption": "AES256"},
    "kms": {"ServerSideEncryption": "aws:kms"},
    "kms with context": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True, "SSEKMSEncryptionContext":
                         base64.b64encode(json.dumps({"project": "plainly-visible"}).encode()).decode()},
}
ENCRYPTED = [name for name in KINDS if name != "none"]


def reading(kind):
    return sse_c() if kind == "customer" else {}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("shared") / "store", "--set", "sse-c-over-http=true") as server:
        yield server


def code(error):
    return error.value.response["Error"]["Code"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def fails(call, expected, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert code(error) == expected
    return error


def stored(server):
    """Every byte on the first volume."""
    return b"".join(p.read_bytes() for p in server.volume(1).rglob("*") if p.is_file())


def assert_shown(answer, kind):
    if kind == "customer":
        assert answer["SSECustomerAlgorithm"] == "AES256"
        assert answer["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(KEY).digest()).decode()
        assert "ServerSideEncryption" not in answer
    elif kind == "none":
        assert "ServerSideEncryption" not in answer
    else:
        assert answer["ServerSideEncryption"] == KINDS[kind]["ServerSideEncryption"]
        assert ("SSEKMSKeyId" in answer) == kind.startswith("kms")
        assert answer.get("BucketKeyEnabled", False) == (kind == "kms with context")


@pytest.mark.parametrize("size", [0, 1, 65_520, 65_536, 65_537, 300_000, 3 * MIB + 1])
@pytest.mark.parametrize("kind", ENCRYPTED)
def test_every_kind_reads_back(s3, bucket, kind, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **KINDS[kind])
    assert_shown(put, kind)
    got = s3.get_object(Bucket=bucket, Key="k", **reading(kind))
    assert got["Body"].read() == body and got["ContentLength"] == size
    assert_shown(got, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED", **reading(kind))
    assert head["ContentLength"] == size and head["ETag"] == put["ETag"] and head["ChecksumCRC32"]
    assert_shown(head, kind)
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert (listed["Size"], listed["ETag"]) == (size, put["ETag"])
    is_md5 = put["ETag"].strip('"') == hashlib.md5(body).hexdigest()
    assert is_md5 == (kind == "s3") and len(put["ETag"]) == 34


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_ranges(s3, bucket, kind):
    body = os.urandom(400_000)
    s3.put_object(Bucket=bucket, Key="k", Body=body, **KINDS[kind])
    for first, last in [(0, 0), (65_535, 65_536), (65_536, 131_071), (1, 399_998), (399_999, 399_999), (131_072, 131_072)]:
        got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}", **reading(kind))
        assert got["Body"].read() == body[first:last + 1]
        assert got["ContentRange"] == f"bytes {first}-{last}/400000"
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=-5", **reading(kind))["Body"].read() == body[-5:]


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_multipart(s3, bucket, kind):
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB + 12_345), os.urandom(100)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **KINDS[kind])
    assert_shown(upload, kind)
    place = dict(Bucket=bucket, Key="k", UploadId=upload["UploadId"])
    done = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(PartNumber=number, Body=part, **place, **reading(kind))
        done.append({"PartNumber": number, "ETag": answer["ETag"]})
    assert [p["Size"] for p in s3.list_parts(**place)["Parts"]] == [len(p) for p in parts]
    if kind == "customer":
        fails(s3.upload_part, "InvalidRequest", PartNumber=4, Body=b"x", **place)
        fails(s3.upload_part, "InvalidRequest", PartNumber=4, Body=b"x", **place, **sse_c(OTHER))
    else:
        fails(s3.upload_part, "InvalidRequest", PartNumber=4, Body=b"x", **place, **sse_c())
    completed = s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **place)
    assert completed["ETag"].endswith('-3"')
    whole = b"".join(parts)
    got = s3.get_object(Bucket=bucket, Key="k", **reading(kind))
    assert got["Body"].read() == whole
    assert_shown(got, kind)
    edge = 5 * MIB
    got = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={edge - 3}-{edge + 3}", **reading(kind))
    assert got["Body"].read() == whole[edge - 3:edge + 4]
    got = s3.get_object(Bucket=bucket, Key="k", PartNumber=2, **reading(kind))
    assert got["Body"].read() == parts[1] and got["PartsCount"] == 3


@pytest.mark.parametrize("target", list(KINDS))
@pytest.mark.parametrize("source", list(KINDS))
def test_copies_between_kinds(s3, bucket, source, target):
    body = os.urandom(200_000)
    s3.put_object(Bucket=bucket, Key="from", Body=body, Metadata={"a": "b"}, **KINDS[source])
    key = copy_sse_c() if source == "customer" else {}
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **key, **KINDS[target])
    assert_shown(copied, target)
    got = s3.get_object(Bucket=bucket, Key="to", **reading(target))
    assert got["Body"].read() == body and got["Metadata"] == {"a": "b"}
    assert_shown(got, target)
    if source == "customer":
        fails(s3.copy_object, "InvalidRequest", Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **KINDS[target])
        fails(s3.copy_object, "AccessDenied", Bucket=bucket, Key="to", CopySource=f"{bucket}/from",
              **copy_sse_c(OTHER), **KINDS[target])


def test_part_copy_reads_and_writes_enciphered(s3, bucket):
    body = os.urandom(6 * MIB)
    s3.put_object(Bucket=bucket, Key="from", Body=body, **sse_c())
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to", **sse_c(OTHER))
    place = dict(Bucket=bucket, Key="to", UploadId=upload["UploadId"])
    answer = s3.upload_part_copy(
        PartNumber=1, CopySource=f"{bucket}/from", CopySourceRange=f"bytes=7-{6 * MIB - 1}", **place, **copy_sse_c(),
        **sse_c(OTHER))
    s3.complete_multipart_upload(
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]}, **place)
    assert s3.get_object(Bucket=bucket, Key="to", **sse_c(OTHER))["Body"].read() == body[7:]


def test_an_object_can_be_copied_to_itself_to_encipher_it(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", ServerSideEncryption="AES256")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == b"body" and got["ServerSideEncryption"] == "AES256"


def test_a_customers_key_must_come_and_be_the_one(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **sse_c())
    fails(s3.get_object, "InvalidRequest", Bucket=bucket, Key="k")
    assert status(fails(s3.head_object, "400", Bucket=bucket, Key="k")) == 400
    assert status(fails(s3.get_object, "AccessDenied", Bucket=bucket, Key="k", **sse_c(OTHER))) == 403
    assert status(fails(s3.head_object, "403", Bucket=bucket, Key="k", **sse_c(OTHER))) == 403
    s3.put_object(Bucket=bucket, Key="plain", Body=b"body")
    fails(s3.get_object, "InvalidRequest", Bucket=bucket, Key="plain", **sse_c())


CUSTOMER = "x-amz-server-side-encryption-customer-"


def test_attributes_of_an_object_take_its_key(s3, bucket):
    def written(key):
        """boto3 does not encode the key of this one operation."""
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b64(key),
                "SSECustomerKeyMD5": b64(hashlib.md5(key).digest())}

    s3.put_object(Bucket=bucket, Key="k", Body=b"body", **sse_c())
    asked = dict(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize", "Checksum"])
    fails(s3.get_object_attributes, "InvalidRequest", **asked)
    fails(s3.get_object_attributes, "AccessDenied", **asked, **written(OTHER))
    assert s3.get_object_attributes(**asked, **written(KEY))["ObjectSize"] == 4
    s3.put_object(Bucket=bucket, Key="plain", Body=b"body", ServerSideEncryption="AES256")
    asked["Key"] = "plain"
    assert s3.get_object_attributes(**asked)["ObjectSize"] == 4
    fails(s3.get_object_attributes, "InvalidRequest", **asked, **written(KEY))


def b64(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("headers, expected", [
    ({CUSTOMER + "key": b64(KEY)}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256"}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": b64(KEY)}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key-MD5": b64(hashlib.md5(KEY).digest())}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES128", CUSTOMER + "key": b64(KEY), CUSTOMER + "key-MD5": b64(hashlib.md5(KEY).digest())},
     "InvalidEncryptionAlgorithmError"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": b64(KEY), CUSTOMER + "key-MD5": b64(hashlib.md5(OTHER).digest())},
     "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": b64(KEY[:16]),
      CUSTOMER + "key-MD5": b64(hashlib.md5(KEY[:16]).digest())}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": "%%%", CUSTOMER + "key-MD5": "x"}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": b64(KEY), CUSTOMER + "key-MD5": b64(hashlib.md5(KEY).digest()),
      "x-amz-server-side-encryption": "AES256"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "AES512"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "aws:kms:dsse"}, "NotImplemented"),
    ({"x-amz-server-side-encryption": "AES256", "x-amz-server-side-encryption-aws-kms-key-id": "k"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption-aws-kms-key-id": "k"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": "not base64!"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": b64(b'{"a": 1}')}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "nobody"},
     "KMS.NotFoundException"),
])
def test_bad_headers_are_refused_and_tell_no_key(shared, bucket, headers, expected):
    raw = Raw(shared)
    status, code, body = raw.send("PUT", f"/{bucket}/k", b"body", headers)
    assert code == expected
    assert b64(KEY).encode() not in body and KEY.hex().encode() not in body
    assert raw.send("GET", f"/{bucket}/k")[1] == "NoSuchKey"


def test_a_read_that_names_a_method_is_refused(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"body", ServerSideEncryption="AES256")
    assert Raw(shared).send("GET", f"/{bucket}/k", headers={"x-amz-server-side-encryption": "AES256"})[:2] == (
        400, "InvalidArgument")


def test_customers_keys_are_refused_over_plain_http(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fails(s3.put_object, "InvalidRequest", Bucket="photos", Key="k", Body=b"x", **sse_c())
    fails(s3.create_multipart_upload, "InvalidRequest", Bucket="photos", Key="k", **sse_c())
    s3.put_object(Bucket="photos", Key="k", Body=b"x")
    fails(s3.get_object, "InvalidRequest", Bucket="photos", Key="k", **sse_c())


def rule(algorithm, key=None):
    apply = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key} if key else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": apply, "BucketKeyEnabled": algorithm == "aws:kms"}]}


def test_the_buckets_default(s3, bucket):
    fails(s3.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError", Bucket=bucket)
    for algorithm in ("AES256", "aws:kms"):
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule(algorithm))
        got = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        assert got == rule(algorithm)
        s3.put_object(Bucket=bucket, Key=algorithm, Body=b"body")
        got = s3.get_object(Bucket=bucket, Key=algorithm)
        assert got["ServerSideEncryption"] == algorithm and got["Body"].read() == b"body"
        upload = s3.create_multipart_upload(Bucket=bucket, Key="m")
        assert upload["ServerSideEncryption"] == algorithm
    s3.put_object(Bucket=bucket, Key="own", Body=b"body", ServerSideEncryption="AES256")
    assert s3.head_object(Bucket=bucket, Key="own")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="plain", Body=b"body")
    assert "ServerSideEncryption" not in s3.head_object(Bucket=bucket, Key="plain")
    fails(s3.put_bucket_encryption, "InvalidArgument", Bucket=bucket, ServerSideEncryptionConfiguration=rule("AES256", "k"))
    fails(s3.put_bucket_encryption, "MalformedXML", Bucket=bucket, ServerSideEncryptionConfiguration=rule("ROT13"))


def test_new_buckets_may_begin_enciphered(tmp_path):
    with Server(tmp_path / "store", "--set", "default-encryption=AES256") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        assert s3.get_bucket_encryption(Bucket="photos")["ServerSideEncryptionConfiguration"] == rule("AES256")
        assert s3.put_object(Bucket="photos", Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"


def test_nothing_plain_or_secret_is_on_the_disk_or_in_the_log(tmp_path):
    with Server(tmp_path / "store", "--set", "sse-c-over-http=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        for number, kind in enumerate(ENCRYPTED):
            for size in (1, 10_000):
                s3.put_object(Bucket="photos", Key=f"{number}-{size}", Body=b"the bytes in plain words " * size, **KINDS[kind])
        fails(s3.get_object, "AccessDenied", Bucket="photos", Key="0-1", **sse_c(OTHER))
        server.stop()
        found = stored(server)
        for secret in (b"plain words", KEY, b64(KEY).encode(), b"plainly-visible", hashlib.md5(KEY).digest()):
            assert secret not in found
        errors = server.errors.read_text()
        assert b64(KEY) not in errors and "plainly-visible" not in errors
        assert (server.directory / "state/master-keys.json").stat().st_mode & 0o777 == 0o600


def test_restart_rotation_and_rewrapping(tmp_path):
    with Server(tmp_path / "store", "--set", "sse-c-over-http=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        server.command("encryption-key", "create", "payroll", check=0)
        assert server.command("encryption-key", "create", "payroll").returncode != 0
        bodies = {}

        def put(name, **kind):
            bodies[name] = (os.urandom(100_000), kind)
            s3.put_object(Bucket="photos", Key=name, Body=bodies[name][0], **kind)

        def check():
            for name, (body, kind) in bodies.items():
                key = sse_c() if "SSECustomerKey" in kind else {}
                assert s3.get_object(Bucket="photos", Key=name, **key)["Body"].read() == body, name

        kinds = dict(
            c=sse_c(), s=KINDS["s3"], k=KINDS["kms"],
            p={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/payroll"}, x=KINDS["kms with context"])
        for name, kind in kinds.items():
            put(f"{name}1", **kind)
        key_id = s3.head_object(Bucket="photos", Key="p1")["SSEKMSKeyId"]
        put("by-arn", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
        server.command("encryption-key", "rotate", check=0)
        for name, kind in kinds.items():
            put(f"{name}2", **kind)
        check()
        blobs = {p.name: p.stat().st_mtime_ns for p in server.blobs(1)}
        done = server.command("encryption-key", "rotate", "--rewrap", "--json", check=0)
        assert json.loads(done.stdout.splitlines()[-1]) == {"rewrapped": 9}
        assert {p.name: p.stat().st_mtime_ns for p in server.blobs(1)} == blobs
        check()
        server.stop()
        server.start()
        s3 = server.client()
        check()
        server.command("encryption-key", "disable", "payroll", check=0)
        fails(s3.get_object, "KMS.DisabledException", Bucket="photos", Key="p1")
        fails(s3.put_object, "KMS.DisabledException", Bucket="photos", Key="no", Body=b"", ServerSideEncryption="aws:kms",
              SSEKMSKeyId="payroll")
        server.command("encryption-key", "enable", "payroll", check=0)
        check()
        server.stop()
        lines = server.command("encryption-key", "list", "--json", check=0).stdout.splitlines()
        assert {json.loads(line)["generations"] for line in lines} == {3}


def test_fsck_needs_no_key_and_a_key_file_that_is_gone_is_told_of(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        body = os.urandom(500_000)
        s3.put_object(Bucket="photos", Key="k", Body=body, ServerSideEncryption="AES256")
        server.stop()
        keys = server.directory / "state/master-keys.json"
        kept = keys.read_bytes()
        keys.unlink()
        blob = server.blobs(2)[0]
        damaged = bytearray(blob.read_bytes())
        damaged[100_000] ^= 1
        blob.write_bytes(damaged)
        server.fsck("--deep", "--repair", check=1)
        server.fsck("--deep", check=0)
        server.start()
        s3 = server.client()
        assert status(fails(s3.get_object, "MasterKeyUnavailable", Bucket="photos", Key="k")) == 409
        assert "there is no encryption key" in server.errors.read_text()
        server.stop()
        keep_secret(keys, kept)
        server.start()
        assert server.client().get_object(Bucket="photos", Key="k")["Body"].read() == body
