"""What clients do that asks more of a server: parallel parts, streams, mirrors, a mounted bucket."""

import contextlib
import filecmp
import io
import os
import pathlib
import random
import shutil
import subprocess

import pytest
from boto3.s3.transfer import TransferConfig
from holdfast import ACCESS_KEY, CLIENTS, REGION, SECRET_KEY, wait_until
from test_clients import assert_same, run, sha256

MIB = 1 << 20


@pytest.fixture
def aws(shared):
    return lambda *arguments: run(shared, CLIENTS / "aws", "--endpoint-url", shared.endpoint, *arguments)


@pytest.fixture
def rclone(shared):
    remote = dict(
        RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_HF_TYPE="s3", RCLONE_CONFIG_HF_PROVIDER="Other",
        RCLONE_CONFIG_HF_ENDPOINT=shared.endpoint, RCLONE_CONFIG_HF_ACCESS_KEY_ID=ACCESS_KEY,
        RCLONE_CONFIG_HF_SECRET_ACCESS_KEY=SECRET_KEY, RCLONE_CONFIG_HF_REGION=REGION)
    return lambda *arguments: run(shared, CLIENTS / "rclone", *arguments, **remote)


@pytest.fixture
def small_tree(tmp_path):
    root = tmp_path / "tree"
    noise = random.Random(11)
    for number, size in enumerate([0, 1, 4096, 65_537, 300_000, 6_000_000]):
        for folder in ("", "sub", "ünï çødé/x"):
            path = root / folder / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(size))
    return root


def keys(s3, bucket):
    return {item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for item in page.get("Contents", [])}


def test_boto3_uploads_a_hundred_parts_in_parallel(shared, bucket):
    s3 = shared.client(max_pool_connections=32)
    piece = os.urandom(5 * MIB)
    body = b"".join(number.to_bytes(4, "big") + piece[4:] for number in range(99)) + b"the last part is short"
    transfer = TransferConfig(
        multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=24, use_threads=True)
    s3.upload_fileobj(io.BytesIO(body), bucket, "parts", Config=transfer, ExtraArgs={"ChecksumAlgorithm": "SHA256"})
    head = s3.head_object(Bucket=bucket, Key="parts", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-100"') and head["ContentLength"] == len(body)
    assert head["ChecksumSHA256"].endswith("-100")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "parts", back, Config=transfer)
    assert back.getvalue() == body
    assert s3.get_object(Bucket=bucket, Key="parts", PartNumber=50)["Body"].read() == body[49 * 5 * MIB:50 * 5 * MIB]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_aws_cli_copies_a_stream_there_and_back(shared, bucket):
    body = os.urandom(20 * MIB + 3)
    aws = [str(CLIENTS / "aws"), "--endpoint-url", shared.endpoint, "s3", "cp"]
    for data in (body, b"", b"short"):
        put = subprocess.run([*aws, "-", f"s3://{bucket}/stream"], input=data, capture_output=True, timeout=300,
                             env=shared.environment())
        assert put.returncode == 0, put.stderr
        got = subprocess.run([*aws, f"s3://{bucket}/stream", "-"], capture_output=True, timeout=300,
                             env=shared.environment())
        assert got.returncode == 0 and got.stdout == data, got.stderr


def test_aws_cli_makes_both_sides_the_same(shared, s3, bucket, aws, small_tree, tmp_path):
    aws("s3", "sync", "--quiet", small_tree, f"s3://{bucket}/")
    (small_tree / "sub/1.bin").unlink()
    (small_tree / "new.bin").write_bytes(b"new")
    (small_tree / "2.bin").write_bytes(b"changed, and of another size")
    told = aws("s3", "sync", "--delete", "--no-progress", small_tree, f"s3://{bucket}/")
    assert sorted(line.split(":")[0] for line in told.splitlines()) == ["delete", "upload", "upload"]
    assert keys(s3, bucket) == {str(p.relative_to(small_tree)) for p in small_tree.rglob("*") if p.is_file()}
    shutil.copytree(small_tree, tmp_path / "back")
    (tmp_path / "back/extra").write_bytes(b"goes")
    aws("s3", "sync", "--delete", "--quiet", f"s3://{bucket}/", tmp_path / "back")
    assert_same(small_tree, tmp_path / "back")
    aws("s3", "mv", "--quiet", f"s3://{bucket}/new.bin", f"s3://{bucket}/moved.bin")
    assert "moved.bin" in keys(s3, bucket) and "new.bin" not in keys(s3, bucket)


def test_rclone_compares_by_checksum_and_copies_on_the_server(shared, s3, bucket, rclone, small_tree, tmp_path):
    rclone("sync", "--checksum", small_tree, f"hf:{bucket}/a")
    # Of the same size and time: only the checksum tells.
    changed = small_tree / "4.bin"
    times = changed.stat()
    changed.write_bytes(os.urandom(times.st_size))
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    rclone("sync", "--checksum", small_tree, f"hf:{bucket}/a")
    rclone("check", "--download", small_tree, f"hf:{bucket}/a")
    before = len([e for e in shared.log("--bucket", bucket)])
    rclone("copy", f"hf:{bucket}/a", f"hf:{bucket}/b")
    rclone("check", f"hf:{bucket}/a", f"hf:{bucket}/b")
    copies = shared.log("--bucket", bucket)[before:]
    assert len(copies) >= 18
    rclone("move", f"hf:{bucket}/b", f"hf:{bucket}/c")
    assert not [k for k in keys(s3, bucket) if k.startswith("b/")]
    rclone("sync", f"hf:{bucket}/c", tmp_path / "back")
    assert_same(small_tree, tmp_path / "back")
    (small_tree / "sub/0.bin").unlink()
    rclone("sync", small_tree, f"hf:{bucket}/c")
    assert "c/sub/0.bin" not in keys(s3, bucket)
    rclone("purge", f"hf:{bucket}/c")
    assert not [k for k in keys(s3, bucket) if k.startswith("c/")]


def test_minio_py_streams_of_unknown_length_and_composes(shared, s3, bucket):
    from minio import Minio
    from minio.commonconfig import ComposeSource, CopySource

    client = Minio(shared.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False, region=REGION)
    body = os.urandom(12 * MIB)
    client.put_object(bucket, "stream", io.BytesIO(body), -1, part_size=5 * MIB)
    client.copy_object(bucket, "copy", CopySource(bucket, "stream"))
    client.compose_object(bucket, "both", [ComposeSource(bucket, "stream"), ComposeSource(bucket, "copy")])
    assert s3.get_object(Bucket=bucket, Key="both")["Body"].read() == body * 2
    with contextlib.closing(client.get_object(bucket, "stream", offset=1000, length=MIB)) as answer:
        assert answer.read() == body[1000:1000 + MIB]


def test_s3cmd_puts_gets_and_moves(shared, s3, bucket, tmp_path):
    settings = tmp_path / "s3cfg"
    address = shared.endpoint.removeprefix("http://")
    settings.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = {address}\n"
        f"host_bucket = {address}\nuse_https = False\nbucket_location = {REGION}\nmultipart_chunk_size_mb = 5\n")
    s3cmd = lambda *arguments: run(shared, CLIENTS / "s3cmd", "-c", settings, "--no-progress", *arguments)  # noqa: E731
    file = tmp_path / "file"
    file.write_bytes(os.urandom(17 * MIB))
    s3cmd("put", file, f"s3://{bucket}/a b/ü")
    s3cmd("cp", f"s3://{bucket}/a b/ü", f"s3://{bucket}/copy")
    s3cmd("mv", f"s3://{bucket}/copy", f"s3://{bucket}/moved")
    s3cmd("get", f"s3://{bucket}/moved", tmp_path / "back")
    assert sha256(file) == sha256(tmp_path / "back")
    assert keys(s3, bucket) == {"a b/ü", "moved"}
    told = s3cmd("info", f"s3://{bucket}/moved")
    assert str(17 * MIB) in told
    # What it reads of a bucket: location, payer, policy, CORS, ACL and more.
    assert "Payer:     BucketOwner" in s3cmd("info", f"s3://{bucket}")
    s3cmd("del", f"s3://{bucket}/moved")
    assert keys(s3, bucket) == {"a b/ü"}


def test_restic_backs_up_forgets_prunes_and_checks(shared, bucket, small_tree, tmp_path):
    repository = ["restic", "--repo", f"s3:{shared.endpoint}/{bucket}", "--no-cache", "--quiet"]
    restic = lambda *arguments: run(shared, *repository, *arguments, RESTIC_PASSWORD="test")  # noqa: E731
    restic("init")
    restic("backup", small_tree)
    (small_tree / "5.bin").write_bytes(os.urandom(5_000_000))
    restic("backup", small_tree)
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "back")
    assert_same(small_tree, tmp_path / "back" / small_tree.relative_to("/"))


# A bucket as a directory


def why_not_mounted():
    if not shutil.which("s3fs"):
        return "s3fs is not installed"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"FUSE is not available: {error}"
    return None


@pytest.fixture
def mounted(shared, bucket, tmp_path):
    reason = why_not_mounted()
    if reason:
        pytest.skip(reason)
    place, secret = tmp_path / "mounted", tmp_path / "secret"
    place.mkdir()
    secret.write_text(f"{ACCESS_KEY}:{SECRET_KEY}")
    secret.chmod(0o600)
    log = open(tmp_path / "s3fs.log", "w")
    process = subprocess.Popen(
        ["s3fs", bucket, place, "-f", "-o", f"passwd_file={secret}", "-o", f"url={shared.endpoint}",
         "-o", "use_path_request_style", "-o", f"endpoint={REGION}", "-o", "multipart_size=10"],
        stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: os.path.ismount(place) or process.poll() is not None, what="the mount")
        if process.poll() is not None:
            told = (tmp_path / "s3fs.log").read_text()
            if "Operation not permitted" in told or "fuse:" in told:
                pytest.skip(f"FUSE does not mount here: {told.strip()[-200:]}")
            pytest.fail(told)
        yield pathlib.Path(place)
    finally:
        if process.poll() is None:
            subprocess.run(["umount", place], check=False)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
        log.close()


def test_s3fs_mounts_a_bucket(shared, s3, bucket, mounted, small_tree):
    (mounted / "hello.txt").write_text("hello")
    assert (mounted / "hello.txt").read_text() == "hello"
    assert s3.get_object(Bucket=bucket, Key="hello.txt")["Body"].read() == b"hello"
    with open(mounted / "hello.txt", "a") as file:
        file.write(", world")
    assert s3.get_object(Bucket=bucket, Key="hello.txt")["Body"].read() == b"hello, world"

    large = os.urandom(45 * MIB + 5)
    (mounted / "large").write_bytes(large)
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == len(large)
    assert (mounted / "large").read_bytes() == large
    os.rename(mounted / "large", mounted / "renamed")
    assert keys(s3, bucket) == {"hello.txt", "renamed"}
    assert s3.get_object(Bucket=bucket, Key="renamed")["Body"].read() == large

    shutil.copytree(small_tree, mounted / "tree")
    assert_same(small_tree, mounted / "tree")
    os.rename(mounted / "tree/sub", mounted / "tree/other")
    assert sorted(os.listdir(mounted / "tree/other")) == sorted(os.listdir(small_tree / "sub"))
    assert filecmp.cmp(small_tree / "sub/4.bin", mounted / "tree/other/4.bin", shallow=False)
    shutil.rmtree(mounted / "tree")
    os.unlink(mounted / "renamed")
    os.unlink(mounted / "hello.txt")
    assert keys(s3, bucket) == set()


def test_s3fs_sees_what_others_write(s3, bucket, mounted):
    s3.put_object(Bucket=bucket, Key="folder/file", Body=b"from boto3")
    assert (mounted / "folder/file").read_bytes() == b"from boto3"
    assert os.listdir(mounted / "folder") == ["file"]


def test_nothing_is_wrong_after_all_of_them(shared):
    findings, _, status = shared.fsck("--deep")
    assert (findings, status) == ([], 0)
