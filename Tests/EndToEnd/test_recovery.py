"""The paths of Documentation/recovery.md, each walked with the commands that stand there."""

import hashlib
import json
import os
import shutil
import time

import pytest
from botocore.exceptions import ClientError
from holdfast import Server, holdfast, wait_until

MIB = 1024 * 1024
BODIES = {"tiny": b"stands in the log", "middle": os.urandom(70_000), "large": os.urandom(3 * MIB)}


@pytest.fixture
def store(server, tmp_path):
    """A server with objects, and a snapshot "one" of them in tmp_path/backup."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for key, value in BODIES.items():
        s3.put_object(Bucket="photos", Key=key, Body=value, Metadata={"k": key}, Tagging="team=blue")
    server.backup = tmp_path / "backup"
    holdfast("snapshot", "create", server.directory, "--to", server.backup, "--name", "one", check=0)
    return server


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def bodies(server, bucket="photos"):
    s3 = server.client()
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {o["Key"]: s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read() for o in listed}


def is_clean(server):
    findings, _, status = server.fsck("--deep")
    return findings == [] and status == 0


def test_the_catalog_is_lost(store):
    store.stop()
    for path in (store.directory / "state").glob("catalog.sqlite*"):
        path.unlink()
    assert "computed from" in holdfast("rebuild-catalog", store.directory, check=0).stdout
    store.start()
    assert bodies(store) == BODIES and is_clean(store)


def test_one_volume_is_lost(store):
    shutil.rmtree(store.volume(2))
    store.volume(2).mkdir()
    wait_until(lambda: store.standings()[2]["standing"] != "in service", what="volume 2 set aside")
    assert bodies(store) == BODIES
    holdfast("volume", "replace", store.directory, "2", check=0)
    store.wait_in_service()
    assert is_clean(store) and len(store.blobs(2)) == 2


def test_two_volumes_are_lost(store):
    """Two mirrors make a log: of the one that is left a second is made."""
    store.client().put_object(Bucket="photos", Key="after the snapshot", Body=b"kept")
    store.stop()
    for number in (2, 3):
        shutil.rmtree(store.volume(number))
    assert "1 of 3 volumes" in holdfast("volume", "list", store.directory).stderr
    for number in (2, 3):
        store.volume(number).mkdir()
    report = objects(holdfast("volume", "replace", store.directory, "2", "--from", "1", "--json", check=0))[-1]
    assert (report["blobs"], report["damaged"]) == (2, 0)
    store.start()
    assert bodies(store) == BODIES | {"after the snapshot": b"kept"}
    holdfast("volume", "replace", store.directory, "3", check=0)
    store.wait_in_service()
    assert is_clean(store) and [len(store.blobs(n)) for n in (1, 2, 3)] == [2, 2, 2]


def test_a_volume_is_made_of_another_only_when_that_one_alone_is_left(store):
    def fails(number, source):
        done = holdfast("volume", "replace", store.directory, str(number), "--from", str(source))
        assert done.returncode == 1
        return done.stderr
    assert "another process has the store" in fails(2, 1)
    store.stop()
    assert "has a log too" in fails(2, 1)
    shutil.rmtree(store.volume(2))
    assert "has a log too" in fails(2, 1)
    assert "not filled from itself" in fails(1, 1) and "volumes are 1 to 3" in fails(4, 1)
    store.start()
    assert bodies(store) == BODIES


@pytest.mark.parametrize("keeps_state", [False, True])
def test_three_volumes_are_lost(store, keeps_state):
    """The whole store comes back from the repository: the same store, the same log, version for version."""
    before = [(e["sequence"], e["chain"]) for e in store.log()]
    snapshot = json.loads(holdfast("snapshot", "show", store.backup, "one", "--json", check=0).stdout)
    store.client().put_object(Bucket="photos", Key="after the snapshot", Body=b"lost")
    versions = [o for o in objects(store.command("ls", "photos", "--versions", "--json", check=0)) if o["key"] in BODIES]
    store.stop()
    for number in (1, 2, 3):
        shutil.rmtree(store.volume(number))
    if keeps_state:
        # Volumes are new disks: the state directory stands elsewhere, and is moved away.
        shutil.move(store.directory / "state", store.directory / "state.old")
    else:
        shutil.rmtree(store.directory / "state")
    done = holdfast("restore", store.directory, "--from", store.backup, "--snapshot", "one", "--all", "--json", check=0)
    report = objects(done)[-1]
    assert (report["sequence"], report["chain"], report["missing"]) == (snapshot["sequence"], snapshot["chain"], 0)
    after = [(e["sequence"], e["chain"]) for e in store.log()]
    assert after[:snapshot["sequence"]] == before[:snapshot["sequence"]]
    assert objects(store.command("ls", "photos", "--versions", "--json", check=0)) == versions
    store.start()
    assert bodies(store) == BODIES and is_clean(store)
    # The repository goes on with the store that it made.
    store.client().put_object(Bucket="photos", Key="new", Body=b"new")
    holdfast("snapshot", "create", store.directory, "--to", store.backup, "--name", "two", check=0)
    assert holdfast("snapshot", "verify", store.backup, "--read-data", "100").returncode == 0


def test_what_a_repository_has_damaged_is_named_when_a_store_is_made_of_it(store, tmp_path):
    name = store.blobs(1)[0].name
    [copy] = [p for p in (store.backup / "blobs").rglob(name)]
    copy.write_bytes(b"bad")
    other = tmp_path / "other"
    done = holdfast("restore", other, "--from", store.backup, "--snapshot", "one", "--all", "--json")
    assert done.returncode == 4
    missing, report = objects(done)
    assert missing["bucket"] == "photos" and missing["blob"] == name and report["missing"] == 1
    with Server(other) as made:
        assert len(made.client().list_objects_v2(Bucket="photos")["Contents"]) == 3
        broken = [key for key in BODIES if not can_read(made, key)]
        assert broken == [missing["key"]]


def can_read(server, key):
    try:
        return server.client().get_object(Bucket="photos", Key=key)["Body"].read() is not None
    except ClientError:
        return False


def test_a_store_is_made_only_where_there_is_none(store, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "volume-1").mkdir()
    (tmp_path / "full" / "volume-1" / "mine").write_text("x")
    done = holdfast("restore", tmp_path / "full", "--from", store.backup, "--snapshot", "one", "--all")
    assert done.returncode == 1
    assert (tmp_path / "full" / "volume-1" / "mine").read_text() == "x"
    command = ["restore", tmp_path / "new", "--from", store.backup, "--snapshot", "one", "--all", "--dry-run"]
    [plan] = objects(holdfast(*command, "--json", check=0))
    snapshot = json.loads(holdfast("snapshot", "show", store.backup, "one", "--json", check=0).stdout)
    assert plan["dryRun"] and (plan["sequence"], plan["versions"], plan["bytes"]) == (
        snapshot["sequence"], snapshot["versions"], snapshot["blobBytes"])
    assert "would make the store" in holdfast(*command, check=0).stdout and not (tmp_path / "new").exists()
    done = holdfast("restore", tmp_path / "new", "--from", store.backup, "--snapshot", "none", "--all")
    assert done.returncode == 1 and "no snapshot none" in done.stderr and not (tmp_path / "new").exists()
    done = holdfast("restore", tmp_path / "new", "--from", store.backup, "--snapshot", "one", "--bucket", "photos")
    assert done.returncode == 1 and "there is no store" in done.stderr
    command = ["restore", tmp_path / "new", "--from", store.backup, "--snapshot", "one", "--all"]
    for flags in (["--overwrite"], ["--versions"]):
        done = holdfast(*command, *flags)
        assert done.returncode == 1 and flags[0] in done.stderr and not (tmp_path / "new").exists()


def test_a_rate_bounds_a_store_that_is_made(server, tmp_path):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="k", Body=os.urandom(2 * MIB))
    holdfast("snapshot", "create", server.directory, "--to", tmp_path / "backup", "--name", "one", check=0)
    start = time.monotonic()
    holdfast(
        "restore", tmp_path / "new", "--from", tmp_path / "backup", "--snapshot", "one", "--all", "--rate", "2", check=0)
    assert time.monotonic() - start >= 2.9


def test_a_log_mirror_is_damaged(store):
    """Frames of one mirror are taken from the others."""
    store.stop()
    [log] = (store.volume(1) / "log").glob("0*.log")
    with open(log, "r+b") as file:
        file.seek(4096 + 200)
        file.write(b"damage")
    assert store.fsck("--repair")[2] in (0, 1)
    store.start()
    assert bodies(store) == BODIES and is_clean(store)


def lose_the_log(server):
    server.stop()
    for number in (1, 2, 3):
        shutil.rmtree(server.volume(number) / "log")


def test_only_blob_files_are_left(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="versioned", ObjectLockEnabledForBucket=True)
    anna, access, secret = server.user("anna")
    plain = os.urandom(100_000)
    s3.put_object(Bucket="photos", Key="a/ü", Body=plain, ContentType="image/png", Metadata={"k": "v"}, Tagging="team=blue",
                  ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket="photos", Key="small", Body=b"in the log")
    s3.put_object(Bucket="photos", Key="secret", Body=plain, ServerSideEncryption="AES256")
    upload = s3.create_multipart_upload(Bucket="photos", Key="parts", ContentType="video/mp4",
                                        ServerSideEncryption="AES256")["UploadId"]
    parts = [os.urandom(5 * MIB), os.urandom(100_000)]
    done = [{"PartNumber": n + 1, "ETag": s3.upload_part(
        Bucket="photos", Key="parts", UploadId=upload, PartNumber=n + 1, Body=part)["ETag"]} for n, part in enumerate(parts)]
    s3.complete_multipart_upload(Bucket="photos", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
    upload = s3.create_multipart_upload(Bucket="photos", Key="plain parts")["UploadId"]
    done = [{"PartNumber": n + 1, "ETag": s3.upload_part(
        Bucket="photos", Key="plain parts", UploadId=upload, PartNumber=n + 1, Body=part)["ETag"]} for n, part in enumerate(parts)]
    s3.complete_multipart_upload(Bucket="photos", Key="plain parts", UploadId=upload, MultipartUpload={"Parts": done})
    versions = [s3.put_object(Bucket="versioned", Key="k", Body=bytes([n]) * 70_000, ObjectLockMode="GOVERNANCE",
                              ObjectLockRetainUntilDate="2099-01-01T00:00:00Z")["VersionId"] for n in range(2)]
    names = ["ETag", "ContentLength", "ContentType", "Metadata", "ChecksumSHA256", "LastModified", "ServerSideEncryption"]

    def heads():
        found = {}
        for key in ("a/ü", "plain parts", "secret", "parts"):
            head = server.client().head_object(Bucket="photos", Key=key, ChecksumMode="ENABLED")
            found[key] = {name: head.get(name) for name in names}
            if "ServerSideEncryption" in head:
                del found[key]["ETag"]
            if key != "a/ü":
                del found[key]["LastModified"]
        return found
    before = heads()
    assert before["secret"]["ServerSideEncryption"] == "AES256"

    done = server.command("rebuild", "--from-replicas")
    assert done.returncode == 1, "not while a server has the store"
    server.stop()
    assert "there is a log" in server.command("rebuild", "--from-replicas", check=1).stderr
    server.start()
    lose_the_log(server)
    assert holdfast("volume", "list", server.directory).returncode == 1
    files = {path: hashlib.sha256(path.read_bytes()).digest() for n in (1, 2, 3) for path in server.blobs(n)}
    *plan, planned = objects(server.command("rebuild", "--from-replicas", "--dry-run", "--json", check=0))
    assert not (server.volume(1) / "log").exists()
    *lines, summary = objects(server.command("rebuild", "--from-replicas", "--json", check=0))
    assert plan == lines and summary["versions"] == planned["versions"] == 6 and planned["dryRun"]
    assert {line["bucket"]: (line["versions"], line["versioned"]) for line in lines} == {
        "photos": (4, False), "versioned": (2, True)}
    assert (summary["multipart"], summary["enciphered"], summary["problems"]) == (2, 2, 0)
    assert any("stood in the log" in sentence for sentence in summary["unknown"])
    server.start()
    assert {path: hashlib.sha256(path.read_bytes()).digest() for n in (1, 2, 3) for path in server.blobs(n)} == files
    s3 = server.client()
    assert heads() == before
    assert bodies(server) == {"a/ü": plain, "secret": plain, "parts": b"".join(parts), "plain parts": b"".join(parts)}
    tags = s3.get_object_tagging(Bucket="photos", Key="a/ü")["TagSet"]
    assert tags == [{"Key": "team", "Value": "blue"}]
    listed = s3.list_object_versions(Bucket="versioned")["Versions"]
    assert [v["VersionId"] for v in listed] == versions[::-1] and listed[0]["IsLatest"]
    for n, version in enumerate(versions):
        assert s3.get_object(Bucket="versioned", Key="k", VersionId=version)["Body"].read() == bytes([n]) * 70_000
        with pytest.raises(ClientError):
            s3.delete_object(Bucket="versioned", Key="k", VersionId=version)
    owner = s3.list_objects_v2(Bucket="photos", FetchOwner=True)["Contents"][0]["Owner"]
    assert owner["ID"] == s3.list_buckets()["Owner"]["ID"]
    assert is_clean(server)
    s3.put_object(Bucket="photos", Key="new", Body=b"goes on")


def test_a_rebuild_names_what_it_leaves_out_and_is_made_with_a_volume_missing(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(4):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(70_000 + n))
    damaged = server.blobs(1)[0].name
    # A part between others that nobody has any more, or that never was: that cannot be told.
    upload = s3.create_multipart_upload(Bucket="photos", Key="gap")["UploadId"]
    done = [{"PartNumber": n, "ETag": s3.upload_part(
        Bucket="photos", Key="gap", UploadId=upload, PartNumber=n, Body=os.urandom(5 * MIB))["ETag"]} for n in (1, 3)]
    etag = s3.complete_multipart_upload(Bucket="photos", Key="gap", UploadId=upload, MultipartUpload={"Parts": done})["ETag"]
    lose_the_log(server)
    shutil.rmtree(server.volume(3))
    for number in (1, 2):
        with open(next(path for path in server.blobs(number) if path.name == damaged), "r+b") as file:
            file.truncate(5)
    *lines, planned = objects(server.command(
        "rebuild", "--from-replicas", "--publish-with-gaps", "--dry-run", "--json", check=0))
    assert planned["versions"] == 4 and planned["gapped"] == 1 and planned["incomplete"] == 0
    (gap,) = [line for line in lines if line.get("lacking")]
    assert gap["key"] == "gap" and not gap["incomplete"] and gap["etag"] == etag.strip('"')
    *lines, summary = objects(server.command("rebuild", "--from-replicas", "--json", check=4))
    assert summary["versions"] == 3 and summary["problems"] == 1 and summary["incomplete"] == 1
    assert [line["path"] for line in lines if "path" in line] == [f"blob {damaged}"]
    (gap,) = [line for line in lines if "lacking" in line]
    assert gap["key"] == "gap" and gap["incomplete"] and gap["lacking"] == ["2"] and len(gap["blobs"]) == 2
    assert gap["doubtful"], "a small part may have followed, which stood in the log"
    server.start()
    assert len(bodies(server)) == 3
    assert holdfast("rebuild", server.directory).returncode == 64


def test_a_store_moves_to_another_machine(store, tmp_path):
    store.stop()
    moved = tmp_path / "elsewhere" / "store"
    shutil.copytree(store.directory, moved)
    assert holdfast("fsck", moved, "--deep").returncode == 0
    with Server(moved) as server:
        assert bodies(server) == BODIES


def test_keys_and_master_keys_are_kept_beside_a_repository(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="secret", Body=b"x" * 70_000, ServerSideEncryption="AES256")
        anna, _, _ = server.user("anna")
        backup = tmp_path / "backup"
        holdfast("snapshot", "create", server.directory, "--to", backup, "--name", "one", check=0)
        kept = tmp_path / "kept"
        kept.mkdir()
        for name in ("keys.json", "master-keys.json"):
            shutil.copy(server.directory / "state" / name, kept)
    other = tmp_path / "other"
    holdfast("restore", other, "--from", backup, "--snapshot", "one", "--all", check=0)
    for name in ("keys.json", "master-keys.json"):
        shutil.copy(kept / name, other / "state")
    with Server(other) as server:
        assert bodies(server) == {"secret": b"x" * 70_000}
        users = objects(server.command("user", "list", "--json", check=0))
        assert anna in {user["canonicalID"] for user in users}
