"""The clients that people have, each with its own default settings."""

import filecmp
import hashlib
import json
import os
import random
import subprocess

import pytest
from holdfast import ACCESS_KEY, CLIENTS, REGION, SECRET_KEY


def run(shared, *arguments, **environment):
    done = subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, timeout=300,
        env=dict(shared.environment(), **environment))
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A directory of files of many sizes, with names that need care."""
    root = tmp_path_factory.mktemp("tree")
    noise = random.Random(7)
    for number, size in enumerate([0, 1, 100, 4096, 65_536, 65_537, 300_000, 1_000_000, 9_000_000]):
        for folder in ("", "sub", "sub/ünï çødé", "a+b & c"):
            path = root / folder / f"file {number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(noise.randbytes(size))
    return root


def assert_same(left, right):
    found = filecmp.dircmp(left, right)
    assert not found.left_only and not found.right_only and not found.funny_files
    _, different, errors = filecmp.cmpfiles(left, right, found.common_files, shallow=False)
    assert not different and not errors
    for name in found.common_dirs:
        assert_same(left / name, right / name)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def test_aws_cli_syncs_a_tree(shared, bucket, tree, tmp_path):
    aws = [CLIENTS / "aws", "--endpoint-url", shared.endpoint, "s3"]
    run(shared, *aws, "sync", "--quiet", tree, f"s3://{bucket}/tree")
    run(shared, *aws, "sync", "--quiet", f"s3://{bucket}/tree", tmp_path / "back")
    assert_same(tree, tmp_path / "back")
    assert run(shared, *aws, "sync", tree, f"s3://{bucket}/tree") == ""
    run(shared, *aws, "rm", "--quiet", "--recursive", f"s3://{bucket}/")
    run(shared, *aws, "rb", f"s3://{bucket}")


def test_aws_cli_copies_200_mib(shared, bucket, tmp_path):
    source = tmp_path / "big"
    with open(source, "wb") as file:
        for _ in range(200):
            file.write(os.urandom(1 << 20))
    aws = [CLIENTS / "aws", "--endpoint-url", shared.endpoint, "s3", "cp", "--quiet"]
    run(shared, *aws, source, f"s3://{bucket}/big")
    run(shared, *aws, f"s3://{bucket}/big", tmp_path / "back")
    assert sha256(source) == sha256(tmp_path / "back")


def test_s3cmd(shared, bucket, tree, tmp_path):
    settings = tmp_path / "s3cfg"
    address = shared.endpoint.removeprefix("http://")
    settings.write_text(
        f"[default]\naccess_key = {ACCESS_KEY}\nsecret_key = {SECRET_KEY}\nhost_base = {address}\n"
        f"host_bucket = {address}\nuse_https = False\nbucket_location = {REGION}\n")
    s3cmd = [CLIENTS / "s3cmd", "-c", settings, "--no-progress", "-q"]
    run(shared, *s3cmd, "mb", f"s3://{bucket}-own")
    run(shared, *s3cmd, "sync", f"{tree}/", f"s3://{bucket}-own/tree/")
    run(shared, *s3cmd, "sync", f"s3://{bucket}-own/tree/", f"{tmp_path}/back/")
    assert_same(tree, tmp_path / "back")
    assert "file 0.bin" in run(shared, CLIENTS / "s3cmd", "-c", settings, "ls", f"s3://{bucket}-own/tree/")
    run(shared, *s3cmd, "del", "--recursive", "--force", f"s3://{bucket}-own/")
    run(shared, *s3cmd, "rb", f"s3://{bucket}-own")


def test_rclone(shared, bucket, tree, tmp_path):
    remote = dict(
        RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_HF_TYPE="s3", RCLONE_CONFIG_HF_PROVIDER="Other",
        RCLONE_CONFIG_HF_ENDPOINT=shared.endpoint, RCLONE_CONFIG_HF_ACCESS_KEY_ID=ACCESS_KEY,
        RCLONE_CONFIG_HF_SECRET_ACCESS_KEY=SECRET_KEY, RCLONE_CONFIG_HF_REGION=REGION)
    rclone = CLIENTS / "rclone"
    run(shared, rclone, "copy", tree, f"hf:{bucket}/tree", **remote)
    run(shared, rclone, "check", "--download", tree, f"hf:{bucket}/tree", **remote)
    run(shared, rclone, "copy", f"hf:{bucket}/tree", f"hf:{bucket}/copy", **remote)
    run(shared, rclone, "check", f"hf:{bucket}/tree", f"hf:{bucket}/copy", **remote)
    run(shared, rclone, "copy", f"hf:{bucket}/copy", tmp_path / "back", **remote)
    assert_same(tree, tmp_path / "back")


def test_minio_py(shared, bucket, tree, tmp_path):
    from minio import Minio
    from minio.deleteobjects import DeleteObject

    client = Minio(shared.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False, region=REGION)
    paths = [p for p in tree.rglob("*") if p.is_file()]
    for path in paths:
        client.fput_object(bucket, str(path.relative_to(tree)), str(path), metadata={"origin": "tree"})
    assert {o.object_name for o in client.list_objects(bucket, recursive=True)} == {
        str(p.relative_to(tree)) for p in paths}
    for path in paths:
        name = str(path.relative_to(tree))
        assert client.stat_object(bucket, name).size == path.stat().st_size
        client.fget_object(bucket, name, str(tmp_path / "got"))
        assert (tmp_path / "got").read_bytes() == path.read_bytes()
    names = [DeleteObject(str(p.relative_to(tree))) for p in paths]
    assert list(client.remove_objects(bucket, names)) == []


def test_restic(shared, bucket, tree, tmp_path):
    repository = ["restic", "--repo", f"s3:{shared.endpoint}/{bucket}/backup", "--no-cache", "--json"]
    secret = dict(RESTIC_PASSWORD="test")
    run(shared, *repository, "init", **secret)
    run(shared, *repository, "backup", tree, **secret)
    run(shared, *repository, "check", "--read-data", **secret)
    snapshots = json.loads(run(shared, *repository, "snapshots", **secret))
    assert len(snapshots) == 1
    run(shared, *repository, "restore", "latest", "--target", tmp_path / "back", **secret)
    assert_same(tree, tmp_path / "back" / tree.relative_to("/"))


def test_nothing_is_wrong_after_all_of_them(shared):
    findings, summary, status = shared.fsck("--deep")
    assert (findings, status) == ([], 0)
    assert summary["blobs"] > 0
