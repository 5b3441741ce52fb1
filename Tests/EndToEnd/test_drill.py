"""`holdfast drill`: a restore that is practised."""

import fcntl
import json
import os

from holdfast import holdfast

MIB = 1024 * 1024


def drill(repository, *flags, status=0):
    done = holdfast("drill", repository, "--json", *flags)
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_sample_of_every_kind_of_object_comes_back_as_it_was(server, tmp_path):
    repository = tmp_path / "backup"
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(10):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(20_000 * n))
    s3.put_object(Bucket="photos", Key="secret", Body=os.urandom(200_000), ServerSideEncryption="AES256")
    upload = s3.create_multipart_upload(Bucket="photos", Key="parts")["UploadId"]
    done = [{"PartNumber": n, "ETag": s3.upload_part(
        Bucket="photos", Key="parts", UploadId=upload, PartNumber=n, Body=os.urandom(size))["ETag"]}
        for n, size in ((1, 5 * MIB + 3), (2, 100))]
    s3.complete_multipart_upload(Bucket="photos", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
    assert holdfast("drill", repository).returncode == 1
    for name in ("one", "two"):
        holdfast("snapshot", "create", server.directory, "--to", repository, "--name", name, check=0)
    server.stop()
    [summary] = drill(repository)
    assert (summary["snapshot"], summary["objects"], summary["failures"]) == ("two", 12, 0)
    assert summary["bytes"] == sum(20_000 * n for n in range(10)) + 200_000 + 5 * MIB + 103
    assert drill(repository, "--snapshot", "one", "--sample", "3")[0]["objects"] == 3
    assert "12 objects restored and compared" in holdfast("drill", repository, check=0).stdout
    assert holdfast("drill", repository, "--sample", "0").returncode == 64
    assert "no snapshot three" in holdfast("drill", repository, "--snapshot", "three", check=1).stderr


def test_what_does_not_come_back_is_named(server, tmp_path):
    repository = tmp_path / "backup"
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(4):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(70_000))
    holdfast("snapshot", "create", server.directory, "--to", repository, "--name", "one", check=0)
    damaged = sorted(p for p in (repository / "blobs").rglob("*") if p.is_file())[0]
    with open(damaged, "r+b") as file:
        file.seek(66_000)
        file.write(b"bad")
    failure, summary = drill(repository, status=4)
    assert failure["bucket"] == "photos" and "block 1" in failure["reason"]
    assert summary["objects"] == 4 and summary["failures"] == 1


def test_nothing_stays_among_the_temporary_files_of_commands_that_were_killed(server, tmp_path, monkeypatch):
    repository, temporary = tmp_path / "backup", tmp_path / "temporary"
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="k", Body=os.urandom(70_000))
    holdfast("snapshot", "create", server.directory, "--to", repository, "--name", "one", check=0)
    at_work = temporary / "holdfast-scratch-work"
    at_work.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))
    with open(at_work / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["drill"], ["snapshot", "verify"], ["snapshot", "prune", "--keep-last", "1"], ["snapshot", "diff"]):
            killed = temporary / "holdfast-scratch-killed"
            killed.mkdir()
            (killed / "snapshot-1.sqlite").write_bytes(bytes(1000))
            (killed / "lock").touch()
            holdfast(*command, repository, *(["one", "one"] if command[-1] == "diff" else []), check=0)
            assert list(temporary.iterdir()) == [at_work], command
