"""`holdfast snapshot`: a repository that follows a store, running or stopped, and what is made of its damage."""

import json
import os
import threading

import pytest

from holdfast import holdfast


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "backup"


def create(server, repository, name=None, status=0):
    flags = ["--name", name] if name else []
    done = holdfast("snapshot", "create", server.directory, "--to", repository, "--json", *flags)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def lines(*arguments, status=0):
    done = holdfast("snapshot", *arguments, "--json")
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def fill(s3, prefix="", count=6):
    for n in range(count):
        s3.put_object(Bucket="photos", Key=f"{prefix}{n}", Body=os.urandom(40_000 * n))


@pytest.mark.parametrize("stopped", [False, True])
def test_snapshots_are_taken_listed_shown_and_verified(server, repository, stopped):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3)
    if stopped:
        server.stop()
    first = create(server, repository, "first")
    assert first["snapshot"]["versions"] == 6 and first["snapshot"]["buckets"] == 1
    assert first["blobs"] == 4, "the smaller ones stand in the log"
    second = create(server, repository)
    assert second["snapshot"]["parent"] == "first" and second["blobs"] == 0
    listed = lines("list", repository)
    assert [s["name"] for s in listed] == ["first", second["snapshot"]["name"]]
    assert lines("show", repository, "first") == [first["snapshot"]]
    *flaws, summary = lines("verify", repository, "--read-data", "100")
    assert flaws == [] and summary["snapshots"] == 2 and summary["blobsRead"] == 4
    assert "6 versions" in holdfast("snapshot", "show", repository, "first").stdout


def test_a_snapshot_under_load_fails_no_request_and_is_whole(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3, "before/")
    failures, end = [], threading.Event()

    def write(number):
        client = server.client()
        count = 0
        while not end.is_set():
            try:
                client.put_object(Bucket="photos", Key=f"{number}/{count % 7}", Body=os.urandom(70_000 + count))
                if count % 3 == 0:
                    client.delete_object(Bucket="photos", Key=f"{number}/{count % 5}")
            except Exception as error:
                failures.append(error)
            count += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    try:
        taken = [create(server, repository, f"s{n}") for n in range(4)]
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert failures == []
    sequences = [report["snapshot"]["sequence"] for report in taken]
    assert sequences == sorted(set(sequences))
    *flaws, summary = lines("verify", repository, "--read-data", "100")
    assert flaws == [] and summary["snapshots"] == 4


def test_damage_in_a_repository_is_named(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3)
    create(server, repository, "one")
    blobs = sorted(p for p in (repository / "blobs").rglob("*") if p.is_file())
    with open(blobs[0], "r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    blobs[1].unlink()
    *flaws, summary = lines("verify", repository, "--read-data", "100", status=4)
    assert {flaw["path"] for flaw in flaws} == {str(p.relative_to(repository)) for p in blobs[:2]}
    manifest = repository / "snapshots" / "one.json"
    manifest.write_text(manifest.read_text().replace('"versions" : 6', '"versions" : 7'))
    assert "one.json" in lines("list", repository)[0]["path"]
    assert holdfast("snapshot", "show", repository, "one").returncode == 1


def test_snapshots_that_go_give_back_what_no_other_needs(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3)
    create(server, repository, "one")
    s3.delete_object(Bucket="photos", Key="5")
    create(server, repository, "two")
    [plan] = lines("prune", repository, "--keep-last", "1", "--dry-run")
    assert plan["deleted"] == ["one"] and plan["dryRun"]
    assert holdfast("snapshot", "prune", repository, "--keep-last", "1", "--dry-run").stdout == "snapshot one would be deleted\n"
    assert len(lines("list", repository)) == 2
    [report] = lines("prune", repository, "--keep-last", "1")
    assert report["deleted"] == ["one"] and report["blobs"] == 1 and report["bytes"] == 200_000 and not report["dryRun"]
    assert report["payloads"] == 0 and report["payloadBytes"] == 0, "the log has no segment that is sealed"
    assert lines("verify", repository, "--read-data", "100")[-1]["flaws"] == 0
    assert lines("delete", repository, "two")[0]["blobs"] == 3
    assert lines("list", repository) == []
    assert not [p for p in (repository / "blobs").rglob("*") if p.is_file()]


def test_damaged_manifests_and_catalogs_are_made_anew_or_deleted(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3)
    create(server, repository, "one")
    create(server, repository, "two")
    manifest = repository / "snapshots" / "one.json"
    catalog = repository / "snapshots" / "one.catalog.gz"
    manifest.write_text(manifest.read_text().replace('"versions" : 6', '"versions" : 7'))
    [report] = lines("prune", repository, "--keep-last", "1", status=4)
    assert report["unknown"] == ["one"] and report["deleted"] == []
    assert lines("verify", repository, status=4)[0]["path"] == "snapshots/one.json"
    assert lines("verify", repository, "--mend", server.directory)[-1]["mended"] == 1
    assert lines("show", repository, "one")[0]["versions"] == 6
    catalog.unlink()
    assert lines("verify", repository, status=4)[0]["path"] == "snapshots/one.catalog.gz"
    assert lines("verify", repository, "--mend", server.directory)[-1]["mended"] == 1
    assert lines("verify", repository, "--read-data", "100")[-1]["flaws"] == 0
    manifest.write_text("{}")
    catalog.unlink()
    assert lines("verify", repository, "--mend", server.directory, status=4)[-1]["unmended"] == 1
    assert lines("delete", repository, "one")[0]["deleted"] == ["one"]
    assert lines("verify", repository)[-1]["flaws"] == 0


def test_what_cannot_be_done_is_said_by_name(server, repository, tmp_path):
    server.client().create_bucket(Bucket="photos")
    create(server, repository, "one")
    assert "snapshot one already" in create(server, repository, "one", status=1)
    assert "names no snapshot" in create(server, repository, "a/b", status=1)
    assert "volume-1" in create(server, server.directory / "volume-1", status=1)
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("x")
    assert str(full) in create(server, full, status=1)
    for arguments in (["show", repository, "two"], ["delete", repository, "two"], ["list", tmp_path / "none"]):
        done = holdfast("snapshot", *arguments)
        assert done.returncode == 1 and done.stderr.startswith("holdfast: "), arguments
    assert holdfast("snapshot", "prune", repository).returncode == 64
    assert len(lines("list", repository)) == 1


def test_a_repository_is_of_one_store(server, repository, tmp_path):
    server.client().create_bucket(Bucket="photos")
    create(server, repository, "one")
    other = tmp_path / "other"
    assert holdfast("init", other).returncode == 0
    done = holdfast("snapshot", "create", other, "--to", repository)
    assert done.returncode == 1 and "belongs to store" in done.stderr
    assert len(lines("list", repository)) == 1
