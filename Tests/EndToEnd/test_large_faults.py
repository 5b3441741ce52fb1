"""The fault matrix on an object of 100 MiB. A few classes always; all of them, and the same in parts, with
HOLDFAST_LARGE_FAULTS=1."""

import hashlib
import os

import pytest

from faults import digests, inject, places, wait_confirmed
from holdfast import Server

SIZE = 100 * 1024 * 1024
ALL = bool(os.environ.get("HOLDFAST_LARGE_FAULTS"))
ONE = ["missing", "flip-data", "flip-table", "flip-descriptor", "flip-footer", "truncate-byte", "truncate-block",
       "truncate-zero", "extend", "hole", "foreign-replica", "unreadable"] if ALL else ["flip-data", "flip-footer", "truncate-block"]
KEYS = ["whole", "parts"] if ALL else ["whole"]
REPLICAS = [1, 2, 3] if ALL else [2]
# With the trailers or single blocks of all three damaged, the bytes are there still; with all three files gone, they are not.
EVERYWHERE = ["flip-data", "flip-table", "flip-descriptor", "flip-footer", "truncate-byte"] if ALL else ["flip-data", "flip-footer"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    # Zeroing any of it changes something, and no two of its blocks are the same.
    mebibyte = os.urandom(1 << 20).translate(bytes([1]) + bytes(range(1, 256)))
    body = b"".join(mebibyte[n:] + mebibyte[:n] for n in range(1, (SIZE >> 20) + 1))
    with Server(tmp_path_factory.mktemp("large") / "store", "--set", "test-store=true", "--set", "scrub-period-days=0") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="faults")
        s3.put_object(Bucket="faults", Key="whole", Body=body)
        if "parts" in KEYS:
            upload = s3.create_multipart_upload(Bucket="faults", Key="parts")["UploadId"]
            done = []
            for number, start in enumerate(range(0, SIZE, 40 << 20), 1):
                part = s3.upload_part(Bucket="faults", Key="parts", UploadId=upload, PartNumber=number,
                                      Body=body[start:start + (40 << 20)])
                done.append({"PartNumber": number, "ETag": part["ETag"]})
            s3.complete_multipart_upload(Bucket="faults", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
        server.sha256 = hashlib.sha256(body).digest()
        wait_confirmed(server)
        yield server


def reads_right(server, key):
    found = hashlib.sha256()
    for piece in server.client().get_object(Bucket="faults", Key=key)["Body"].iter_chunks(1 << 20):
        found.update(piece)
    assert found.digest() == server.sha256


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("replica", REPLICAS)
@pytest.mark.parametrize("fault", ONE)
def test_a_fault_of_one_replica(store, fault, replica, key):
    before = digests(store)
    planted = inject(store, fault, "--bucket", "faults", "--key", key, "--replica", replica)
    findings, _, status = store.fsck("--deep")
    assert status == 4 and places(findings) == places(planted)
    mended, _, status = store.fsck("--deep", "--repair")
    assert status == 1 and all(f["repaired"] for f in mended), mended
    assert store.fsck("--deep")[::2] == ([], 0)
    changed = {(item["volume"], item["path"]) for item in planted}
    assert {place for place, digest in digests(store).items() if before.get(place) != digest} <= changed
    reads_right(store, key)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("fault", EVERYWHERE)
def test_a_fault_of_all_replicas_that_leaves_every_byte_somewhere(store, fault, key):
    planted = inject(store, fault, "--bucket", "faults", "--key", key, "--replica", "all", "--seed", 5)
    findings, _, status = store.fsck("--deep")
    assert status == 4 and places(f for f in findings if f["class"] != "metadata.dangling") == places(planted)
    mended, _, status = store.fsck("--deep", "--repair")
    assert status == 1 and all(f["repaired"] for f in mended), mended
    assert store.fsck("--deep")[::2] == ([], 0)
    reads_right(store, key)


def test_an_object_none_of_whose_replicas_is_there_is_lost_and_said_to_be(store):
    for kept in (path for n in (1, 2, 3) for path in (store.volume(n) / "quarantine").iterdir()):
        kept.unlink()  # what earlier tests damaged is whole enough there to mend this
    saved = {path: path.rename(store.directory / f"saved-{n}-{path.name}") for n in (1, 2, 3) for path in store.blobs(n)}
    findings, _, status = store.fsck("--deep", "--repair")
    assert status == 4 and {f["key"] for f in findings if f["class"] == "metadata.dangling"} == set(KEYS)
    for path, kept in saved.items():
        kept.rename(path)
    store.fsck("--deep", "--repair")
    assert store.fsck("--deep")[::2] == ([], 0)
    for key in KEYS:
        reads_right(store, key)
