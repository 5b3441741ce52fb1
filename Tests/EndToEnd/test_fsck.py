"""What fsck finds, names and mends: every kind of damage done by hand, on a running and on a stopped store."""

import hashlib
import os
import re
import sqlite3

import pytest
from faults import wait_confirmed

BODIES = {f"large {n}": os.urandom(200_000 + n) for n in range(4)} | {"small": b"in the log"}


@pytest.fixture(params=["running", "stopped"])
def store(request, server):
    """A store with a few objects; `settle` stops it if the check is to meet a stopped one."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for key, body in BODIES.items():
        s3.put_object(Bucket="photos", Key=key, Body=body)
    server.is_stopped = request.param == "stopped"
    if server.is_stopped:
        server.stop()
    else:
        wait_confirmed(server)  # what is damaged from now on is left for the check to find
    return server


def replica(store, key, volume):
    """The file that holds a large object on a volume."""
    digest = hashlib.sha256(BODIES[key]).digest()
    for path in store.blobs(volume):
        if hashlib.sha256(path.read_bytes()[:len(BODIES[key])]).digest() == digest:
            return path
    raise AssertionError(f"no replica of {key} on volume {volume}")


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def swap(a, b):
    left, right = a.read_bytes(), b.read_bytes()
    a.write_bytes(right)
    b.write_bytes(left)


def fingerprint(store):
    """Every file of the volumes, by its content."""
    return {p: hashlib.sha256(p.read_bytes()).hexdigest()
            for n in (1, 2, 3) for p in store.volume(n).rglob("*") if p.is_file()}


def check(store, codes, volume=None, key=None, deep=True):
    """Finds exactly these, changes nothing; repairs them; then finds nothing. Objects read right all along."""
    flags = ["--deep"] if deep else []
    before = fingerprint(store) if store.is_stopped else None
    findings, summary, status = store.fsck(*flags)
    assert status == 4 and summary["exitStatus"] == 4
    assert sorted({f["class"] for f in findings}) == sorted(codes), findings
    for finding in findings:
        assert re.fullmatch(r"HF\d{3}", finding["code"])
        assert finding["evidence"] and finding["repair"] and not finding["repaired"]
        assert volume is None or finding["volume"] == volume
        if key:
            assert (finding["bucket"], finding["key"], finding["versionId"]) == ("photos", key, "null")
    if before:
        assert fingerprint(store) == before
    reads_right(store)
    repaired, summary, status = store.fsck(*flags, "--repair")
    assert all(f["repaired"] for f in repaired)
    # A running store may have mended by itself what the reads met.
    assert status == 1 if store.is_stopped else status in (0, 1)
    assert store.fsck("--deep")[::2] == ([], 0)
    reads_right(store)


def reads_right(store):
    if store.is_stopped:
        return
    for key, body in BODIES.items():
        assert store.client().get_object(Bucket="photos", Key=key)["Body"].read() == body


@pytest.fixture(autouse=True)
def objects_are_whole_in_the_end(store):
    yield
    if store.is_stopped:
        store.start()
        store.is_stopped = False
    reads_right(store)


def test_a_clean_store(store):
    findings, summary, status = store.fsck("--deep", check=0)
    assert findings == [] and summary["blobs"] == 4 and summary["replicas"] == 12


def test_a_flipped_byte(store):
    flip(replica(store, "large 1", 2), 70_000)
    if store.is_stopped:
        assert store.fsck()[2] == 0, "the quick check reads no data"
    check(store, ["replica.corrupt-block"], 2, "large 1")


def test_a_truncated_file(store):
    os.truncate(replica(store, "large 1", 1), 100_000)
    check(store, ["replica.truncated"], 1, "large 1", deep=False)


def test_an_extended_file(store):
    with open(replica(store, "large 2", 3), "ab") as file:
        file.write(b"more")
    check(store, ["replica.extended"], 3, "large 2", deep=False)


def test_a_missing_replica(store):
    replica(store, "large 3", 2).unlink()
    check(store, ["replica.missing"], 2, "large 3", deep=False)


def test_swapped_files(store):
    swap(replica(store, "large 0", 1), replica(store, "large 1", 1))
    findings, _, status = store.fsck()
    assert status == 4 and {f["key"] for f in findings} == {"large 0", "large 1"}
    assert {f["class"] for f in findings} <= {"replica.wrong-identity", "replica.truncated", "replica.extended"}
    assert store.fsck("--repair")[2] == 1
    assert store.fsck("--deep")[2] == 0


def test_a_damaged_trailer(store):
    path = replica(store, "large 1", 1)
    flip(path, path.stat().st_size - 20)
    check(store, ["replica.damaged-trailer"], 1, "large 1", deep=False)


def test_every_replica_damaged_in_another_place(store):
    for volume, offset in ((1, 10), (2, 70_000), (3, 140_000)):
        flip(replica(store, "large 1", volume), offset)
    reads_right(store)
    if store.is_stopped:
        check(store, ["replica.corrupt-block"], None, "large 1")
    else:
        # What the reads met may be mended already.
        assert store.fsck("--deep", "--repair")[2] in (0, 1)
        assert store.fsck("--deep")[::2] == ([], 0)


@pytest.mark.parametrize("store", ["running"], indirect=True)
def test_a_check_and_the_server_mend_the_same_replica_at_once(store):
    places = [(replica(store, "large 1", volume), offset) for volume, offset in ((1, 10), (2, 70_000), (3, 140_000))]
    for _ in range(10):
        for path, offset in places:
            flip(path, offset)
        # The read tells the server of what it met; the check begins while that is mended.
        assert store.client().get_object(Bucket="photos", Key="large 1")["Body"].read() == BODIES["large 1"]
        findings, _, status = store.fsck("--deep", "--repair")
        assert status in (0, 1), findings
        assert store.fsck("--deep")[::2] == ([], 0)
    assert not store.incoming()


def test_an_object_that_is_lost_is_named(store):
    for volume in (1, 2, 3):
        flip(replica(store, "large 1", volume), 10)
    findings, _, status = store.fsck("--deep")
    lost = [f for f in findings if f["class"] == "metadata.dangling"]
    assert status == 4 and [(f["bucket"], f["key"]) for f in lost] == [("photos", "large 1")]
    assert store.fsck("--deep", "--repair")[2] == 4, "nothing can mend it"
    for volume in (1, 2, 3):
        flip(replica_of_damaged(store, volume), 10)
    assert store.fsck("--deep", "--repair")[2] in (0, 1)


def replica_of_damaged(store, volume):
    size = len(BODIES["large 1"])
    wanted = bytearray(BODIES["large 1"])
    wanted[10] ^= 0xFF
    return next(p for p in store.blobs(volume) if p.read_bytes()[:size] == bytes(wanted))


def test_files_that_nothing_explains(store):
    (store.volume(1) / "blobs/stray").write_bytes(b"?")
    (store.volume(2) / "incoming/stray").write_bytes(b"?")
    source = replica(store, "large 1", 3)
    name = "ab" * 16
    orphan = store.volume(3) / "blobs/ab/ab" / name
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(source.read_bytes())
    check(store, ["file.duplicate", "file.foreign"], deep=False)
    assert not orphan.exists()
    assert list((store.volume(3) / "quarantine").iterdir()), "it was set aside, not deleted"


def test_a_leftover_in_incoming(store):
    (store.volume(2) / "incoming" / ("cd" * 16)).write_bytes(b"half an upload")
    check(store, ["incoming.leftover"], 2, deep=False)


def test_a_damaged_frame_of_the_log(store):
    segment = min((store.volume(3) / "log").glob("0*.log"))
    content = segment.read_bytes()
    flip(segment, content.index(b"in the log") + 3)
    check(store, ["log.damaged-frame"], 3, deep=False)
    assert store.command("log", "verify", check=0)


def test_a_catalog_row_that_differs_from_the_log(store):
    with sqlite3.connect(store.directory / "state/catalog.sqlite") as catalog:
        changed = catalog.execute("UPDATE current SET time = time + 1 WHERE key = ?", (b"small",)).rowcount
    assert changed == 1
    catalog.close()
    check(store, ["catalog.row-differs"], 0, deep=False)


def test_exit_statuses(store, tmp_path):
    assert store.command("fsck", "--nonsense").returncode == 16
    from holdfast import holdfast
    assert holdfast("fsck", tmp_path / "nowhere").returncode == 8
    assert not (tmp_path / "nowhere").exists(), "a check makes no store"
