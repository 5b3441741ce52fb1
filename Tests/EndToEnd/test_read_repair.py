"""Reads over damaged replicas: no wrong byte, no cut body, and what they meet is mended. HOLDFAST_SEED, HOLDFAST_READS."""

import concurrent.futures
import hashlib
import http.client
import os
import random
import urllib.parse

import pytest

from faults import wait_confirmed
from holdfast import Server, wait_until
from load import seed

BLOCK = 65_536
READS = int(os.environ.get("HOLDFAST_READS", 10_000))
ROUNDS = 5
THREADS = 8


@pytest.fixture
def store(tmp_path):
    # Nothing is read back but what requests read.
    with Server(tmp_path / "store", "--set", "scrub-period-days=0") as server:
        s3 = server.client(signature_version="s3v4")
        s3.create_bucket(Bucket="photos")
        server.bodies = {f"k{n}": os.urandom(size) for n, size in enumerate(
            [1, 900, 40_000, BLOCK, BLOCK + 1, 2 * BLOCK, 300_000, 700_001, 1_500_000])}
        for key, body in server.bodies.items():
            s3.put_object(Bucket="photos", Key=key, Body=body)
        wait_confirmed(server)
        server.urls = {key: s3.generate_presigned_url("get_object", {"Bucket": "photos", "Key": key}, ExpiresIn=3600)
                       for key in server.bodies}
        yield server


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x55]))


def places(server):
    """Of every block of every object the three places where it stands: file and range."""
    found = {}
    for number in (1, 2, 3):
        files = [(path, path.read_bytes()) for path in server.blobs(number)]
        files += [(path, path.read_bytes()) for path in (server.volume(number) / "log").glob("0*.log")]
        for key, body in server.bodies.items():
            [(path, start)] = [(path, content.find(body)) for path, content in files if content.find(body) >= 0] \
                if len(body) > 1 else [(None, 0)]
            for block in range(0, len(body), BLOCK):
                if path:
                    found.setdefault((key, block), []).append((path, start + block, min(BLOCK, len(body) - block)))
    return found


def damage(chance, where):
    """Every block in one or two of its three places."""
    for copies in where.values():
        for path, start, count in chance.sample(copies, chance.randint(1, 2)):
            flip(path, start + chance.randrange(count))


def read(server, chance, connection):
    key = chance.choice(list(server.bodies))
    body = server.bodies[key]
    url = urllib.parse.urlsplit(server.urls[key])
    headers, wanted = {}, body
    if chance.random() < 0.7:
        first = chance.randrange(len(body))
        last = min(len(body) - 1, first + chance.choice([0, 1, 100, BLOCK - 1, BLOCK, 400_000]))
        headers, wanted = {"Range": f"bytes={first}-{last}"}, body[first:last + 1]
    connection.request("GET", f"{url.path}?{url.query}", headers=headers)
    answer = connection.getresponse()
    content = answer.read()  # an IncompleteRead if it is cut
    assert answer.status == (206 if headers else 200), (key, headers, content[:300])
    assert content == wanted, (key, headers)


def reads(server, number, count):
    chance = random.Random(number)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(count):
        read(server, chance, connection)
    connection.close()


def test_reads_over_damaged_replicas_give_every_byte_and_mend_what_they_meet(store):
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    chance = random.Random(number)
    where = places(store)
    files = sorted({str(path) for copies in where.values() for path, _, _ in copies if "blobs" in path.parts})
    before = {path: hashlib.sha256(open(path, "rb").read()).digest() for path in files}
    for turn in range(ROUNDS):
        damage(chance, where)
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(reads, store, f"{number} {turn} {thread}", READS // ROUNDS // THREADS)
                         for thread in range(THREADS)]:
                done.result()
        found, _, status = store.fsck("--deep", "--repair")
        assert status in (0, 1), found
        assert {path: hashlib.sha256(open(path, "rb").read()).digest() for path in files} == before
    events = [event["event"]["replicaRepaired"]["finding"] for event in store.log() if "replicaRepaired" in event["event"]]
    assert {finding["key"] for finding in events if finding.get("bucket") == "photos"} == set(store.bodies) - {"k0"}
