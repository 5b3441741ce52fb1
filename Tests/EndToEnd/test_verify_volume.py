"""The checker that was written from Documentation/formats.md alone agrees with fsck."""

import json
import os
import re
import runpy
import subprocess
import sys

import pytest

from holdfast import ROOT, Server, holdfast

FIVE = 5 << 20


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A stopped store with objects of every kind, which each test damages a copy of."""
    server = Server(tmp_path_factory.mktemp("checked") / "store")
    with server:
        s3 = server.client()
        s3.create_bucket(Bucket="checked")
        for size in (0, 1, 4096, 65_536, 65_537, 131_072, 300_001):
            s3.put_object(Bucket="checked", Key=f"of {size} bytes", Body=os.urandom(size))
        upload = s3.create_multipart_upload(Bucket="checked", Key="parts")["UploadId"]
        parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="checked", Key="parts", UploadId=upload, PartNumber=n,
                                                          Body=os.urandom(size))["ETag"]}
                 for n, size in ((1, FIVE), (2, 70_000))]
        s3.complete_multipart_upload(Bucket="checked", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
        s3.delete_object(Bucket="checked", Key="of 131072 bytes")
    return server.directory


@pytest.fixture
def store(filled, tmp_path):
    subprocess.run(["cp", "-a", filled, tmp_path / "store"], check=True)
    return Server(tmp_path / "store")


def verify(store, volume, *flags):
    done = subprocess.run([sys.executable, ROOT / "Scripts/verify_volume.py", store.volume(volume), "--json", *flags],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 4), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode == 4) == (len(lines) > 1)
    return lines[:-1], lines[-1]


def by_place(findings, volume):
    return sorted((f["class"], f["path"]) for f in findings if f.get("volume", volume) == volume)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


def largest(store, volume):
    return max(store.blobs(volume), key=lambda path: path.stat().st_size)


def two(store, volume):
    return store.blobs(volume)[:2]


def exchange(a, b):
    left, right = a.read_bytes(), b.read_bytes()
    a.write_bytes(right)
    b.write_bytes(left)


def grow(path):
    with open(path, "ab") as file:
        file.write(bytes(4096))


DAMAGE = {
    "a replica is missing": lambda store: largest(store, 1).unlink(),
    "bits flipped in two blocks": lambda store: (flip(largest(store, 2), 100), flip(largest(store, 2), 70_000)),
    "a bit flipped in the block table": lambda store: flip(largest(store, 3), FIVE + 8),
    "a bit flipped in the descriptor": lambda store: flip(largest(store, 1), FIVE + 4 * 80 + 20),
    "a bit flipped in the footer": lambda store: flip(largest(store, 2), largest(store, 2).stat().st_size - 60),
    "cut by one byte": lambda store: os.truncate(largest(store, 1), largest(store, 1).stat().st_size - 1),
    "cut to nothing": lambda store: os.truncate(largest(store, 3), 0),
    "grown": lambda store: grow(largest(store, 2)),
    "a hole of zeros": lambda store: largest(store, 1).open("r+b").write(bytes(65_536)),
    "two replicas exchanged": lambda store: exchange(*two(store, 2)),
    "a replica under a name of its own": lambda store: (
        store.volume(1) / "blobs/00/00").mkdir(parents=True, exist_ok=True) or (
        store.volume(1) / "blobs/00/00/00000000000000000000000000000001").write_bytes(largest(store, 1).read_bytes()),
    "a file that is no blob": lambda store: (largest(store, 3).parent / "notes.txt").write_text("mine"),
    "a strange file in incoming": lambda store: (store.volume(2) / "incoming/notes.txt").write_text("mine"),
}


def test_it_knows_each_kind_of_event_that_there_is():
    oneof = re.search(r"oneof change \{(.*?)\}", (ROOT / "Sources/Model/Events/event.proto").read_text(), re.S)[1]
    assert runpy.run_path(ROOT / "Scripts/verify_volume.py")["CHANGES"] == {int(n) for n in re.findall(r"= (\d+);", oneof)}


def test_a_store_that_is_whole_has_no_finding_and_the_head_that_the_log_has(store):
    heads = {line["volume"]: line for line in map(
        json.loads, holdfast("log", "verify", store.directory, "--json", check=0).stdout.splitlines())}
    for volume in (1, 2, 3):
        findings, summary = verify(store, volume)
        assert findings == []
        assert summary["head"] == heads[volume]["head"] and summary["sequence"] == heads[volume]["events"]
        assert summary["blobs"] == len(store.blobs(volume))


@pytest.mark.parametrize("damage", DAMAGE)
def test_it_finds_what_fsck_finds(store, damage):
    DAMAGE[damage](store)
    found, _, status = store.fsck("--deep")
    assert status == 4 and found
    for volume in (1, 2, 3):
        assert by_place(verify(store, volume)[0], volume) == by_place(found, volume)


def test_a_damaged_event_is_found_in_its_mirror_and_no_other(store):
    segment = next((store.volume(2) / "log").glob("*.log"))
    data = segment.read_bytes()
    # Event 4: a frame begins at a multiple of 8 and with its magic.
    flip(segment, data.index(b"HFEV\1\0\0\0\4") + 100)
    findings, summary = verify(store, 2)
    assert [(f["class"], f["sequence"]) for f in findings] == [("log.damaged-frame", 4)]
    assert summary["sequence"] == verify(store, 1)[1]["sequence"]
    assert summary["head"] == verify(store, 1)[1]["head"]
    for volume in (1, 3):
        assert verify(store, volume)[0] == []


def test_a_volume_that_is_none_is_refused(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "Scripts/verify_volume.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 8 and "volume.json" in done.stderr


def test_a_format_that_it_does_not_know_is_refused_by_name(store):
    path = store.volume(1) / "volume.json"
    identity = json.loads(path.read_text())
    path.write_text(json.dumps(identity | {"format": 9}))
    done = subprocess.run([sys.executable, ROOT / "Scripts/verify_volume.py", store.volume(1)], capture_output=True, text=True)
    assert done.returncode == 8 and "format 9" in done.stderr
