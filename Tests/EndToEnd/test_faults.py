"""The fault matrix: every class planted in every replica of objects of every size is found, called by its name, mended or
declared lost, and a second check is clean."""

import contextlib
import json
import os
import sqlite3
import subprocess

import pytest

from faults import BLOCK, INJECT, PART, digests, inject, place, places, wait_confirmed
from holdfast import Server, holdfast

SIZES = {"empty": 0, "one": 1, "inline": 4096, "limit-1": BLOCK - 1, "limit": BLOCK, "limit+1": BLOCK + 1,
         "block+1": 2 * BLOCK + 1, "block": 2 * BLOCK, "block-1": 2 * BLOCK - 1, "many": 300_001}
SIZES |= {f"same {n}": 100 for n in range(6)}  # events side by side that take as many bytes
LARGE = ["limit+1", "block+1", "block", "block-1", "many", "parts"]
SMALL = ["one", "inline", "limit-1", "limit"]
REPLICA_FAULTS = ["missing", "flip-data", "flip-table", "flip-descriptor", "flip-footer", "truncate-byte", "truncate-block",
                  "truncate-zero", "extend", "hole", "older", "foreign-replica", "unreadable", "swap-volumes"]
FRAME_FAULTS = ["frame-body", "frame-header", "frame-payload", "frame-missing", "frame-forked"]


def without_zeros(size):
    """Random bytes of which zeroing any changes something."""
    return os.urandom(size).translate(bytes([1]) + bytes(range(1, 256)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with an object of every size, each written twice, so that there is an older copy."""
    with Server(tmp_path_factory.mktemp("faults") / "store", "--set", "test-store=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="faults")
        server.bodies = {}
        for _ in range(2):
            for key, size in SIZES.items():
                server.bodies[key] = without_zeros(size)
                s3.put_object(Bucket="faults", Key=key, Body=server.bodies[key])
            parts = [os.urandom(PART), os.urandom(70_000)]
            upload = s3.create_multipart_upload(Bucket="faults", Key="parts")["UploadId"]
            done = [{"PartNumber": n, "ETag": s3.upload_part(
                Bucket="faults", Key="parts", UploadId=upload, PartNumber=n, Body=part)["ETag"]}
                for n, part in enumerate(parts, 1)]
            s3.complete_multipart_upload(Bucket="faults", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
            server.bodies["parts"] = b"".join(parts)
        wait_confirmed(server)
        yield server


@pytest.fixture
def store(filled):
    """The same store for every test, whole before and after."""
    yield filled
    if filled.process is None:
        filled.start()
    findings, _, status = filled.fsck("--deep")
    assert (findings, status) == ([], 0)
    reads_right(filled)


def reads_right(server):
    s3 = server.client()
    for key, body in server.bodies.items():
        assert s3.get_object(Bucket="faults", Key=key)["Body"].read() == body, key


def finds_and_mends(server, planted):
    """Exactly these findings; all of them repaired; nothing left."""
    findings, _, status = server.fsck("--deep")
    assert status == 4 and places(findings) == places(planted)
    mended, _, status = server.fsck("--deep", "--repair")
    assert status == 1 and all(f["repaired"] for f in mended), mended
    assert server.fsck("--deep")[::2] == ([], 0)


@pytest.mark.parametrize("replica", [1, 2, 3])
@pytest.mark.parametrize("fault", REPLICA_FAULTS)
def test_a_fault_of_one_replica_of_objects_of_every_size(store, fault, replica):
    planted = [item for key in LARGE for item in inject(store, fault, "--bucket", "faults", "--key", key, "--replica", replica)]
    assert len(planted) == len(LARGE) * (2 if fault == "swap-volumes" else 1)
    everything_else = digests(store, *((item["volume"], item["path"]) for item in planted))
    finds_and_mends(store, planted)
    assert digests(store, *((item["volume"], item["path"]) for item in planted)) == everything_else


@pytest.mark.parametrize("replica", [1, 2, 3])
@pytest.mark.parametrize("fault", FRAME_FAULTS)
def test_a_fault_of_one_mirror_s_event_with_a_small_object(store, fault, replica):
    planted = [item for key in SMALL for item in inject(store, fault, "--bucket", "faults", "--key", key, "--replica", replica)]
    assert len(planted) == len(SMALL)
    finds_and_mends(store, planted)


@pytest.mark.parametrize("replica", [1, 2, 3])
@pytest.mark.parametrize("fault", ["frame-body", "frame-header", "frame-missing"])
def test_a_fault_of_one_mirror_s_event_with_an_empty_object(store, fault, replica):
    inject(store, "frame-payload", "--bucket", "faults", "--key", "empty", "--replica", replica, check=3)
    finds_and_mends(store, inject(store, fault, "--bucket", "faults", "--key", "empty", "--replica", replica))


@pytest.mark.parametrize("fault", [f for f in REPLICA_FAULTS if f != "swap-volumes"])
def test_a_fault_of_all_replicas_is_mended_or_declared_lost(store, fault):
    saved = {(n, path): path.read_bytes() for n in (1, 2, 3) for path in store.blobs(n)}
    planted = [item for key in LARGE for item in inject(store, fault, "--bucket", "faults", "--key", key, "--replica", "all")]
    findings, _, status = store.fsck("--deep")
    assert status == 4 and places(f for f in findings if f["class"] != "metadata.dangling") == places(planted)
    named = {f["key"] for f in findings if f["class"] == "metadata.dangling"}
    after, _, status = store.fsck("--deep", "--repair")
    lost = {f["key"] for f in after if f["class"] == "metadata.dangling"}
    assert lost <= set(LARGE) and named >= lost
    left = store.fsck("--deep")[0]
    assert {f["key"] for f in left} <= lost, "what is left to find is lost, and said to be"
    for key in LARGE:
        if key not in lost:
            assert store.client().get_object(Bucket="faults", Key=key)["Body"].read() == store.bodies[key]
    for (_, path), content in saved.items():
        if not path.is_file() or path.is_symlink() or path.read_bytes() != content:
            if path.is_symlink():
                path.unlink()
            path.write_bytes(content)
    store.fsck("--deep", "--repair")


@pytest.mark.parametrize("key", SMALL)
def test_an_event_that_no_mirror_has_any_more_is_named(store, key):
    planted = inject(store, "frame-body", "--bucket", "faults", "--key", key, "--replica", "all", "--seed", 3)
    findings, _, status = store.fsck("--deep")
    assert status == 4
    lost = [f for f in findings if f["class"] == "log.lost-event"]
    assert len(lost) == 1 and lost[0]["evidence"].startswith(f"event {planted[0]['sequence']}:")
    assert store.fsck("--deep", "--repair")[2] == 4, "no mirror has it"
    for item in planted:  # every bit is flipped back
        path = store.volume(item["volume"]) / item["path"]
        with open(path, "r+b") as file:
            file.seek(item["offset"])
            byte = file.read(1)[0]
            file.seek(item["offset"])
            file.write(bytes([byte ^ 1 << int(item["what"].split()[1])]))


@pytest.mark.parametrize("replica", [1, 2, 3])
@pytest.mark.parametrize("key", LARGE)
def test_two_replicas_exchanged(store, key, replica):
    finds_and_mends(store, inject(store, "swap", "--bucket", "faults", "--key", key, "--replica", replica, "--seed", replica))


@pytest.mark.parametrize("replica", [1, 2, 3, "all"])
@pytest.mark.parametrize("fault", ["duplicate", "orphan", "leftover", "foreign", "name-case"])
def test_files_that_no_object_explains(store, fault, replica):
    before = digests(store)
    finds_and_mends(store, inject(store, fault, "--bucket", "faults", "--key", "many", "--replica", replica))
    assert digests(store) == before, "they went to quarantine, and nothing else"


@pytest.mark.parametrize("replica", [1, 2, 3])
def test_events_exchanged_on_one_mirror(store, replica):
    finds_and_mends(store, inject(store, "frame-swapped", "--bucket", "faults", "--key", "same 3", "--replica", replica))


@pytest.mark.parametrize("key", ["one", "many", "parts"])
@pytest.mark.parametrize("fault", ["row-missing", "row-extra", "row-altered", "tags", "retention", "references"])
def test_rows_that_are_not_the_log_s(store, fault, key):
    if fault == "references" and key == "one":
        inject(store, fault, "--bucket", "faults", "--key", key, check=3)
        return
    planted = inject(store, fault, "--bucket", "faults", "--key", key)
    findings, _, _ = store.fsck("--deep")
    assert [(f["bucket"], f["key"]) for f in findings] == [(planted[0]["bucket"], planted[0]["key"])]
    finds_and_mends(store, planted)


def test_a_catalog_that_cannot_be_read(store):
    store.stop()
    # A write-ahead log that the server left would hide what is done to the file.
    with contextlib.closing(sqlite3.connect(store.directory / "state/catalog.sqlite")) as catalog:
        catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finds_and_mends(store, inject(store, "catalog-damaged"))


@pytest.mark.parametrize("replica", [1, 2, 3])
@pytest.mark.parametrize("fault", ["mirror-short", "mirror-long"])
def test_a_mirror_that_ends_early_or_late(store, fault, replica):
    store.stop()
    planted = inject(store, fault, "--replica", replica)
    findings, _, status = store.fsck("--deep")
    assert status == 4 and [(f["code"], f["volume"]) for f in findings] == [(planted[0]["code"], replica)]
    assert store.fsck("--deep", "--repair")[2] == 1
    assert store.fsck("--deep")[::2] == ([], 0)


@pytest.mark.parametrize("fault", ["volume-missing", "volume-empty"])
def test_a_volume_that_is_not_there(store, fault):
    store.stop()
    inject(store, fault, "--replica", 2)
    findings, _, status = store.fsck()
    assert status == 4 and [(f["class"], f["volume"]) for f in findings] == [("volume.out", 2)]
    path = store.volume(2)
    if path.exists():
        path.rmdir()
    path.with_name(path.name + ".away").rename(path)


def test_volumes_in_each_other_s_place_are_named_and_nothing_is_opened(store):
    store.stop()
    planted = inject(store, "volumes-exchanged", "--replica", 1)
    refused(store, planted)
    inject(store, "volumes-exchanged", "--replica", 1)


def test_a_volume_of_another_store_is_named_and_nothing_is_opened(store):
    store.stop()
    identity = store.volume(3) / "volume.json"
    before = identity.read_text()
    planted = inject(store, "volume-foreign", "--replica", 3)
    refused(store, planted)
    identity.write_text(before)


def refused(store, planted):
    done = store.command("fsck", "--json", check=8)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted((f["code"], f["volume"]) for f in findings) == sorted((p["code"], p["volume"]) for p in planted)
    assert done.stderr


@pytest.mark.parametrize("fault", ["missing", "flip-data", "truncate-block"])
def test_an_object_of_a_hundred_megabytes(store, fault):
    s3 = store.client()
    body = os.urandom(1024 * 1024) * 100
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="k", Body=body)
    wait_confirmed(store)
    finds_and_mends(store, inject(store, fault, "--bucket", "large", "--key", "k", "--replica", 2))
    assert s3.get_object(Bucket="large", Key="k")["Body"].read() == body
    s3.delete_object(Bucket="large", Key="k")
    s3.delete_bucket(Bucket="large")


def test_a_store_that_is_no_test_store_is_refused(tmp_path):
    holdfast("init", tmp_path / "real", check=0)
    done = subprocess.run([INJECT, "missing", str(tmp_path / "real")], capture_output=True, text=True)
    assert done.returncode == 1 and "not marked as a test store" in done.stderr
    holdfast("init", tmp_path / "test", "--test-store", check=0)
    assert (tmp_path / "test/test-store").is_file()
    done = subprocess.run([INJECT, "foreign", str(tmp_path / "test")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert holdfast("fsck", tmp_path / "test").returncode == 4


def test_the_same_seed_does_the_same_again(store):
    first = inject(store, "flip-data", "--bucket", "faults", "--key", "many", "--seed", 9)
    second = inject(store, "flip-data", "--bucket", "faults", "--key", "many", "--seed", 9)
    assert place(first[0]) == place(second[0]) and first[0]["offset"] == second[0]["offset"]
    assert (first[0]["before"], first[0]["after"]) == (second[0]["after"], second[0]["before"])


def test_the_list_names_the_finding_of_every_class():
    lines = subprocess.run([INJECT, "--list", "--json"], capture_output=True, text=True, check=True).stdout.splitlines()
    classes = {line["class"]: line["name"] for line in map(json.loads, lines)}
    assert classes["flip-data"] == "replica.corrupt-block" and set(REPLICA_FAULTS + FRAME_FAULTS) <= set(classes)
