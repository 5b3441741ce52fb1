"""Many faults at once: one command finds and mends them all; and a check in a loop beside a store that is written to finds
every fault and none besides. HOLDFAST_FAULT_OBJECTS, HOLDFAST_FAULTS and HOLDFAST_FAULT_SECONDS make them as large as the
issue asks (100000, 1000, 600)."""

import concurrent.futures
import hashlib
import os
import random
import time

from faults import digests, inject, place, places, wait_confirmed
from holdfast import Server, wait_until
from load import Load, seed

OBJECTS = int(os.environ.get("HOLDFAST_FAULT_OBJECTS", 3000))
FAULTS = int(os.environ.get("HOLDFAST_FAULTS", max(30, OBJECTS // 100)))
SECONDS = float(os.environ.get("HOLDFAST_FAULT_SECONDS", 30))


def fill(server, bucket, count, number, large=0.2):
    """Objects with bytes that their key and the seed give."""
    client = server.client(max_pool_connections=16)
    client.create_bucket(Bucket=bucket)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(client.put_object, Bucket=bucket, Key=f"k{n}", Body=body(bucket, n, number, large))
                     for n in range(count)]:
            done.result()


def body(bucket, n, number, large):
    chance = random.Random(f"{bucket} {n} {number}")
    return chance.randbytes(chance.randint(65_537, 200_000) if chance.random() < large else chance.randint(1, 3000))


def test_one_command_finds_and_mends_all_faults_and_touches_nothing_else(tmp_path):
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    with Server(tmp_path / "store", "--set", "test-store=true") as server:
        fill(server, "faults", OBJECTS, number, large=0.1)
        wait_confirmed(server)
        planted = inject(server, "any", "--bucket", "faults", "--count", FAULTS, "--seed", number)
        damaged = [(item["volume"], item["path"]) for item in planted]
        assert len({place(item) for item in planted}) == FAULTS
        before = digests(server, *damaged)
        found, summary, status = server.fsck("--deep", "--repair")
        assert places(found) == places(planted)
        assert status == 1 and all(f["repaired"] for f in found)
        assert server.fsck("--deep")[::2] == ([], 0)
        assert digests(server, *damaged) == before
        client = server.client(max_pool_connections=16)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            def reads_right(n):
                content = client.get_object(Bucket="faults", Key=f"k{n}")["Body"].read()
                return hashlib.sha256(content).digest() == hashlib.sha256(body("faults", n, number, 0.1)).digest()
            assert all(pool.map(reads_right, range(OBJECTS)))


def test_a_check_in_a_loop_under_load_finds_every_fault_and_no_other(tmp_path):
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    batches, each = 5, 10
    # Without a history, what is overwritten is reclaimed while the checks run.
    with Server(tmp_path / "store", "--set", "test-store=true", "--set", "history-hours=0") as server:
        for batch in range(batches):
            fill(server, f"still-{batch}", 15, number, large=0.7)
        wait_confirmed(server)
        planted, seen, checks = [], set(), 0
        load = Load(server, number, workers=64, tries=300, pause=0.1)
        with load:
            begun = time.monotonic()
            wait_until(lambda: load.has_failed or load.acknowledged > 200, what="load")
            while not load.has_failed:
                elapsed = time.monotonic() - begun
                if len(planted) < batches * each and elapsed >= SECONDS * len(planted) / (batches * each):
                    batch = len(planted) // each
                    planted += inject(server, "any", "--bucket", f"still-{batch}", "--count", each, "--seed", number)
                findings, _, status = server.fsck("--deep")
                checks += 1
                assert status in (0, 4)
                strangers = [f for f in findings if place(f) not in {place(item) for item in planted}]
                assert not strangers, strangers
                seen |= {place(f) for f in findings}
                if elapsed >= SECONDS and len(planted) == batches * each:
                    break
        print(f"{checks} checks, {load.acknowledged} changes acknowledged")
        # A segment of the log is mended by the server before payloads are dropped from it, and the log says so; what is planted
        # there afterwards stays.
        repairs = [event["event"]["replicaRepaired"]["finding"] for event in server.log() if "replicaRepaired" in event["event"]]
        mended = {(finding["volume"], finding["path"]) for finding in repairs if finding["path"].startswith("log/")}

        def unmended(found):
            return [place(item) for item in planted if place(item) not in found and (item["volume"], item["path"]) not in mended]

        assert not unmended(seen) and len(planted) == batches * each
        assert seen <= {place(item) for item in planted}
        found, _, status = server.fsck("--deep", "--repair")
        assert status == 1 and places(found) <= places(planted) and not unmended(places(found))
        assert server.fsck("--deep")[::2] == ([], 0)
        load.prove()
