"""What was repaired can be shown and taken back; what is lost is said, and said again when it is back."""

import json
import os

import pytest
from botocore.exceptions import ClientError
from holdfast import wait_until

BODY = os.urandom(300_000)


@pytest.fixture
def store(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="cat", Body=BODY)
    return server


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def repairs(store):
    return [json.loads(line) for line in store.command("repair", "list", "--json", check=0).stdout.splitlines()]


def integrity(store):
    return store.client().head_object(Bucket="photos", Key="cat")["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-integrity"]


@pytest.mark.parametrize("stopped", [False, True])
def test_a_repair_is_listed_and_undone(store, stopped):
    if stopped:
        store.stop()
    path = store.blobs(3)[0]
    flip(path, 70_000)
    damaged = path.read_bytes()
    assert store.fsck("--deep", "--repair")[2] in (0, 1)
    [repair] = repairs(store)
    assert repair["source"] == "volume 1" and repair["class"] == "replica.corrupt-block" and not repair["undone"]
    assert (store.volume(3) / repair["quarantined"]).read_bytes() == damaged
    undone = json.loads(store.command("repair", "undo", str(repair["repair"]), "--json", check=0).stdout)
    assert path.read_bytes() == damaged
    assert (store.volume(3) / undone["quarantined"]).read_bytes() != damaged
    assert repairs(store)[0]["undone"]
    refused = store.command("repair", "undo", str(repair["repair"]), check=1)
    assert "undone already" in refused.stderr
    assert "is no repair" in store.command("repair", "undo", "1", check=1).stderr
    assert store.fsck("--deep", "--repair")[2] in (0, 1)
    assert store.fsck("--deep")[::2] == ([], 0)
    if stopped:
        store.start()
    assert store.client().get_object(Bucket="photos", Key="cat")["Body"].read() == BODY


def test_an_object_that_is_lost_says_so_until_it_is_back(store):
    wait_until(lambda: integrity(store) == "confirmed; replicas=3", what="the confirmation")
    blobs = [store.blobs(volume)[0] for volume in (1, 2, 3)]
    for path in blobs:
        flip(path, 70_000)
    with pytest.raises(ClientError) as error:
        store.client().get_object(Bucket="photos", Key="cat")["Body"].read()
    told = error.value.response["Error"]
    assert told["Code"] == "ObjectLost" and told["Key"] == "cat" and told["VersionId"] == "null"
    wait_until(lambda: integrity(store) == "lost", what="the loss")
    assert [o["Key"] for o in store.client().list_objects_v2(Bucket="photos")["Contents"]] == ["cat"]
    for path in blobs:
        flip(path, 70_000)
    assert store.client().get_object(Bucket="photos", Key="cat")["Body"].read() == BODY
    wait_until(lambda: integrity(store) == "repaired", what="the recovery")
    store.kill()
    store.start()
    assert integrity(store) == "repaired"
