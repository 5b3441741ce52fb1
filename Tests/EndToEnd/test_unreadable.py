"""Objects that cannot be read: what the client is told, what the operator is told, and that it passes."""

import json
import os

import pytest
from botocore.exceptions import ClientError
from holdfast import Server, keep_secret, wait_until

KINDS = {
    "s3": {"ServerSideEncryption": "AES256"},
    "kms": {"ServerSideEncryption": "aws:kms"},
}


def refusal(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def keys_of(server):
    return server.directory / "state/master-keys.json"


def test_with_no_volume_left_a_get_is_to_be_tried_again(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        bodies = {"small": os.urandom(5_000), "large": os.urandom(500_000)}
        for key, body in bodies.items():
            s3.put_object(Bucket="photos", Key=key, Body=body)
        for number in (1, 2, 3):
            server.volume(number).rename(server.directory / f"away-{number}")
        wait_until(lambda: all(v["standing"] != "in service" for v in server.standings().values()), what="no volume left")
        for key, body in bodies.items():
            assert refusal(s3.get_object, Bucket="photos", Key=key) == ("ServiceUnavailable", 503)
            assert s3.head_object(Bucket="photos", Key=key)["ContentLength"] == len(body)
        for number in (1, 2, 3):
            (server.directory / f"away-{number}").rename(server.volume(number))
        server.wait_in_service()
        for key, body in bodies.items():
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body


def test_a_bad_replica_is_lost_only_when_every_volume_was_asked(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        body = os.urandom(300_000)
        s3.put_object(Bucket="photos", Key="k", Body=body)
        server.stop()
        kept = {}
        for number in (1, 2, 3):
            blob = server.blobs(number)[0]
            kept[blob] = blob.read_bytes()
            damaged = bytearray(kept[blob])
            damaged[100_000] ^= 1
            blob.write_bytes(damaged)
        server.volume(3).rename(server.directory / "away")
        server.start()
        s3 = server.client()
        assert refusal(s3.get_object, Bucket="photos", Key="k") == ("ServiceUnavailable", 503)
        (server.directory / "away").rename(server.volume(3))
        server.wait_in_service()
        assert refusal(s3.get_object, Bucket="photos", Key="k") == ("ObjectLost", 500)
        blob = server.blobs(3)[0]
        blob.write_bytes(kept[blob])
        assert wait_until(lambda: s3.get_object(Bucket="photos", Key="k")["Body"].read() == body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_without_its_master_keys_says_so_when_it_starts(tmp_path, kind):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos", )
        s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
        body = os.urandom(100_000)
        for key in ("a", "a", "b"):
            s3.put_object(Bucket="photos", Key=key, Body=body, **KINDS[kind])
        s3.create_multipart_upload(Bucket="photos", Key="u", **KINDS[kind])
        s3.put_object(Bucket="photos", Key="plain", Body=body)
        server.stop()
        assert "master key" not in server.errors.read_text()
        kept = keys_of(server).read_bytes()
        identity = json.loads(kept)["keys"][0]["id"]
        keys_of(server).unlink()
        server.start()
        s3 = server.client()
        line = wait_until(
            lambda: [x for x in server.errors.read_text().splitlines() if "master key" in x], what="a warning")[0]
        assert "4 objects cannot be read" in line and identity in line and "generation 1" in line
        expected = ("MasterKeyUnavailable", 409) if kind == "s3" else ("KMS.NotFoundException", 400)
        assert refusal(s3.get_object, Bucket="photos", Key="a") == expected
        assert refusal(s3.get_object, Bucket="photos", Key="a", Range="bytes=5-9") == expected
        assert refusal(s3.copy_object, Bucket="photos", Key="c", CopySource="photos/a", **KINDS[kind])[1] in (400, 409)
        assert s3.head_object(Bucket="photos", Key="a")["ContentLength"] == len(body)
        assert s3.get_object(Bucket="photos", Key="plain")["Body"].read() == body
        server.stop()
        keep_secret(keys_of(server), kept)
        server.start()
        assert server.client().get_object(Bucket="photos", Key="a")["Body"].read() == body


def test_an_older_file_of_master_keys_is_told_by_its_generation(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="old", Body=b"old", **KINDS["s3"])
        older = keys_of(server).read_bytes()
        server.command("encryption-key", "rotate", check=0)
        s3.put_object(Bucket="photos", Key="new", Body=b"new", **KINDS["s3"])
        server.stop()
        keys_of(server).write_bytes(older)
        server.start()
        s3 = server.client()
        line = wait_until(
            lambda: [x for x in server.errors.read_text().splitlines() if "master key" in x], what="a warning")[0]
        assert "1 object cannot be read" in line and "generation 2" in line
        assert s3.get_object(Bucket="photos", Key="old")["Body"].read() == b"old"
        assert refusal(s3.get_object, Bucket="photos", Key="new") == ("MasterKeyUnavailable", 409)


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_under_way_are_rewrapped_and_need_no_older_generation(tmp_path, kind):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        part = os.urandom(5 * 1024 * 1024)
        uploads = {}
        for key in ("before", "between"):
            uploads[key] = s3.create_multipart_upload(Bucket="photos", Key=key, **KINDS[kind])["UploadId"]
        before = s3.upload_part(Bucket="photos", Key="before", UploadId=uploads["before"], PartNumber=1, Body=part)
        done = server.command("encryption-key", "rotate", "--rewrap", "--json", check=0)
        assert json.loads(done.stdout.splitlines()[-1]) == {"rewrapped": 2}
        again = server.command("encryption-key", "rotate", "--json", check=0)
        assert "rewrapped" not in again.stdout
        server.command("encryption-key", "rotate", "--rewrap", check=0)
        between = s3.upload_part(Bucket="photos", Key="between", UploadId=uploads["between"], PartNumber=1, Body=part)
        server.stop()
        # Of each key the newest generation alone is kept.
        keys = json.loads(keys_of(server).read_text())
        for key in keys["keys"]:
            key["generations"] = key["generations"][-1:]
        keys_of(server).write_text(json.dumps(keys))
        server.start()
        s3 = server.client()
        last = s3.upload_part(Bucket="photos", Key="before", UploadId=uploads["before"], PartNumber=2, Body=b"end")
        for key, parts in (("before", [before, last]), ("between", [between])):
            s3.complete_multipart_upload(
                Bucket="photos", Key=key, UploadId=uploads[key],
                MultipartUpload={"Parts": [{"PartNumber": n, "ETag": p["ETag"]} for n, p in enumerate(parts, 1)]})
        assert s3.get_object(Bucket="photos", Key="before")["Body"].read() == part + b"end"
        assert s3.get_object(Bucket="photos", Key="between")["Body"].read() == part
        server.stop()
        assert "master key" not in server.errors.read_text()
        server.fsck("--deep", check=0)
