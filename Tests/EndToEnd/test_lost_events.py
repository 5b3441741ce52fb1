"""What no volume has good any more: an object's bytes in the log, and an event itself."""

import json
import os
import re
import shutil

import pytest
from botocore.exceptions import ClientError

from faults import inject, wait_confirmed
from holdfast import Server, holdfast, wait_until


@pytest.fixture
def store(tmp_path):
    with Server(tmp_path / "store", "--set", "test-store=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="notes")
        server.bodies = {f"note {n}": os.urandom(2000) for n in range(12)}
        for key, body in server.bodies.items():
            s3.put_object(Bucket="notes", Key=key, Body=body)
        wait_confirmed(server)
        yield server


def reads_right(server, lost=None):
    s3 = server.client()
    for key, body in server.bodies.items():
        if key != lost:
            assert s3.get_object(Bucket="notes", Key=key)["Body"].read() == body, key


def is_named_as_lost(server, key):
    s3 = server.client()
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="notes", Key=key)
    assert refused.value.response["Error"]["Code"] == "ObjectLost"
    assert s3.head_object(Bucket="notes", Key=key)["ContentLength"] == 2000
    assert key in [item["Key"] for item in s3.list_objects_v2(Bucket="notes")["Contents"]]


def lose_payload(server, key):
    planted = inject(server, "frame-payload", "--bucket", "notes", "--key", key, "--replica", "all")
    assert len(planted) == 3
    return planted


def test_the_bytes_of_one_object_are_lost_and_nothing_else_is(store):
    store.stop()
    planted = lose_payload(store, "note 3")
    store.start()
    is_named_as_lost(store, "note 3")
    reads_right(store, lost="note 3")
    findings, _, status = store.fsck("--deep", "--repair")
    assert status == 4
    assert sorted((f["code"], f["volume"]) for f in findings) == sorted((p["code"], p["volume"]) for p in planted)
    assert all(not f["repaired"] for f in findings)
    wait_until(lambda: store.client().head_object(Bucket="notes", Key="note 3")["ResponseMetadata"]["HTTPHeaders"]
               ["x-holdfast-integrity"].startswith("lost"), what="the loss to be stated")


def test_a_catalog_is_computed_past_bytes_that_are_lost(store):
    store.stop()
    lose_payload(store, "note 3")
    store.command("rebuild-catalog", check=0)
    store.start()
    is_named_as_lost(store, "note 3")
    reads_right(store, lost="note 3")


def test_a_volume_comes_back_past_bytes_that_are_lost(store):
    store.stop()
    lose_payload(store, "note 3")
    shutil.rmtree(store.volume(3))
    store.volume(3).mkdir()
    store.start()
    store.command("volume", "replace", "3", check=0)
    store.wait_in_service()
    store.stop()
    store.volume(1).rename(store.directory / "away")
    store.start()
    reads_right(store, lost="note 3")


def test_a_volume_comes_back_past_a_blob_that_is_lost(store):
    s3 = store.client()
    store.bodies["large"] = os.urandom(200_000)
    s3.put_object(Bucket="notes", Key="large", Body=store.bodies["large"])
    store.bodies["whole"] = os.urandom(200_000)
    s3.put_object(Bucket="notes", Key="whole", Body=store.bodies["whole"])
    wait_confirmed(store)
    store.stop()
    shutil.rmtree(store.volume(3))
    store.volume(3).mkdir()
    for number in (1, 2):  # the same block on both: there is nothing to put together
        [path] = [p for p in store.blobs(number) if p.read_bytes().startswith(store.bodies["large"])]
        with open(path, "r+b") as file:
            file.seek(1000)
            file.write(b"\0" * 1000)
    store.start()
    store.command("volume", "replace", "3", check=0)
    store.wait_in_service()
    with pytest.raises(ClientError) as refused:
        store.client().get_object(Bucket="notes", Key="large")
    assert refused.value.response["Error"]["Code"] == "ObjectLost"
    reads_right(store, lost="large")


def lose_event(server, key):
    inject(server, "frame-header", "--bucket", "notes", "--key", key, "--replica", "all")


def contents(server):
    return {p: p.read_bytes() for n in (1, 2, 3) for p in sorted((server.volume(n) / "log").glob("0*.log"))} | {
        p: p.read_bytes() for p in [server.directory / "state/catalog.sqlite"]}


def test_acknowledged_events_are_not_cut_off_unasked(store):
    store.stop()
    lose_event(store, "note 3")
    before = contents(store)
    refused = store.command("fsck", "--json")
    assert refused.returncode == 8
    finding = json.loads(refused.stdout.splitlines()[0])
    assert finding["class"] == "log.lost-event" and "holdfast log cut" in finding["evidence"]
    lost = int(re.match(r"event (\d+):", finding["evidence"])[1])
    for command in (["rebuild-catalog"], ["log", "cut", "--after", str(lost)], ["log", "cut", "--after", str(lost - 2)]):
        done = store.command(*command)
        assert done.returncode != 0 and f"event {lost}" in done.stderr, command
    assert contents(store) == before
    cut = json.loads(store.command("log", "cut", "--after", str(lost - 1), "--json", check=0).stdout)
    assert cut == {"after": lost - 1, "volumes": [1, 2, 3]}
    for number in (1, 2, 3):
        kept = [p for p in (store.volume(number) / "quarantine").iterdir() if p.suffix != ".json"]
        assert any(store.bodies["note 9"] in p.read_bytes() for p in kept)
    assert store.command("log", "cut", "--after", str(lost - 1)).returncode == 1, "there is nothing to cut any more"
    store.start()
    keys = [item["Key"] for item in store.client().list_objects_v2(Bucket="notes")["Contents"]]
    assert sorted(keys) == ["note 0", "note 1", "note 2"]
    assert store.fsck("--deep")[::2] == ([], 0)


def test_what_a_cut_gave_up_comes_back_from_a_snapshot(store, tmp_path):
    backup = tmp_path / "backup"
    holdfast("snapshot", "create", store.directory, "--to", backup, "--name", "one", check=0)
    store.stop()
    lose_event(store, "note 3")
    refused = store.command("fsck", "--json")
    assert refused.returncode == 8
    lost = int(re.match(r"event (\d+):", json.loads(refused.stdout.splitlines()[0])["evidence"])[1])
    store.command("log", "cut", "--after", str(lost - 1), check=0)
    source = ["--from", backup, "--snapshot", "one", "--all", "--json"]
    for expected in ({"restored": 9, "present": 3}, {"restored": 0, "present": 12}):
        done = store.command("restore", *source, check=0)
        total = json.loads(done.stdout.splitlines()[-1])["total"]
        assert {name: total[name] for name in expected} == expected and total["failed"] == 0
    store.start()
    reads_right(store)
    assert store.fsck("--deep")[::2] == ([], 0)
