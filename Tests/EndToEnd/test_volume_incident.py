"""The incident of a lost volume: what it lost is restored from a snapshot, and what it came to stays told."""

import json
import os
import shutil

import pytest
from botocore.exceptions import ClientError

from faults import wait_confirmed
from holdfast import Server, holdfast, wait_until


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def incidents(server):
    return [line for line in lines(server.command("incident", "list", "--json", check=0)) if line["incident"]]


def show(server, number, *flags):
    [shown] = lines(server.command("incident", "show", str(number), "--json", *flags, check=0))
    return shown


def told(shown):
    counts = shown["totals"]
    return {state: count for state, count in counts["states"].items() if count}, counts["versions"], counts["bytes"]


@pytest.fixture
def store(tmp_path):
    with Server(tmp_path / "store") as server:
        server.user("ann")
        s3 = server.client()
        for bucket in ("photos", "letters"):
            s3.create_bucket(Bucket=bucket)
        server.bodies = {(bucket, key): os.urandom(200_000) for bucket, key in
                         (("photos", "cat"), ("photos", "dog"), ("letters", "one"), ("letters", "two"))}
        for (bucket, key), body in server.bodies.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        s3.put_object(Bucket="letters", Key="small", Body=b"in the log")
        wait_confirmed(server)
        server.repository = tmp_path / "repository"
        holdfast("snapshot", "create", server.directory, "--to", server.repository, "--name", "one", check=0)
        yield server


def lose_volume(server, *damaged):
    """Volume 3 is gone, and the others have the same block of these objects damaged."""
    server.stop()
    shutil.rmtree(server.volume(3))
    server.volume(3).mkdir()
    for number in (1, 2):
        for path in server.blobs(number):
            if any(path.read_bytes().startswith(server.bodies[place][:99]) for place in damaged):
                with open(path, "r+b") as file:
                    file.seek(70_000)
                    file.write(b"\0" * 1000)
    server.start()
    server.command("volume", "replace", "3", check=0)
    server.wait_in_service()
    wait_until(lambda: incidents(server), what="the incident")
    return incidents(server)[0]


def test_what_a_volume_took_with_it_is_restored_by_the_name_of_its_incident(store):
    incident = lose_volume(store, ("photos", "cat"))
    assert incident["cause"] == "volume"
    s3 = store.client()
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="photos", Key="cat")
    assert refused.value.response["Error"]["Code"] == "ObjectLost"
    flags = ("--from", store.repository, "--snapshot", "one", "--damaged-only", "--json", "--incident")
    assert "no incident 999" in store.command("restore", *flags, "999", check=1).stderr
    would = lines(store.command("restore", *flags, str(incident["incident"]), "--dry-run", check=0))
    restored = lines(store.command("restore", *flags, str(incident["incident"]), check=0))
    assert [line["key"] for line in would[:-1]] == [line["key"] for line in restored[:-1]] == ["cat"]
    for (bucket, key), body in store.bodies.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_totals_of_a_closed_incident_stay_when_objects_are_deleted(store):
    number = lose_volume(store)["incident"]
    wait_until(lambda: not incidents(store)[0]["open"], what="the healing")
    before = show(store, number)
    assert told(before) == ({"repaired": 5}, 5, 800_010)
    s3 = store.client()
    for key in ("one", "small"):
        s3.delete_object(Bucket="letters", Key=key)
    s3.delete_object(Bucket="photos", Key="cat")
    after = show(store, number)
    assert told(after) == told(before)
    assert after["owners"] == before["owners"] and after["buckets"] == before["buckets"]
    owner = before["owners"][0]["name"]
    assert told(show(store, number, "--owner", owner)) == told(before)
    store.command("incident", "acknowledge", str(number), "--bucket", "letters", check=0)
    assert show(store, number)["totals"]["acknowledged"] == 3
    store.stop()
    store.command("rebuild-catalog", check=0)
    assert told(show(store, number)) == told(before)
    assert incidents(store)[0]["outcome"] == "5 repaired"
