"""What an incident lost comes back from a snapshot, and the incident says so."""

import json
import os

import pytest
from botocore.exceptions import ClientError

from holdfast import Server, holdfast, wait_until


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def incident(server):
    """The one incident with a number, once there is one."""
    def numbered():
        return [line["incident"] for line in lines(server.command("incident", "list", "--json", check=0)) if line["incident"]]
    wait_until(numbered, what="an incident")
    [number] = numbered()
    return number


def states(server, number):
    [shown] = lines(server.command("incident", "show", str(number), "--json", check=0))
    return {state: count for state, count in shown["totals"]["states"].items() if count}


def damage(path):
    with open(path, "r+b") as file:
        file.seek(70_000)
        byte = file.read(1)
        file.seek(70_000)
        file.write(bytes([byte[0] ^ 0xFF]))


@pytest.fixture
def store(tmp_path):
    with Server(tmp_path / "store", "--set", "incident-findings=2") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        server.bodies = {key: os.urandom(200_000) for key in ("cat", "dog", "emu")}
        for key, body in server.bodies.items():
            s3.put_object(Bucket="photos", Key=key, Body=body)
        server.repository = tmp_path / "repository"
        holdfast("snapshot", "create", server.directory, "--to", server.repository, "--name", "one", check=0)
        yield server


def test_what_an_incident_lost_is_restored_and_told(store):
    for path in [path for number in (1, 2, 3) for path in store.blobs(number)]:
        if any(part in path.read_bytes() for part in (store.bodies["cat"][:99], store.bodies["dog"][:99])):
            damage(path)
    assert store.fsck("--deep", "--repair")[2] == 4
    number = incident(store)
    wait_until(lambda: states(store, number) == {"lost": 2}, what="two lost versions")
    s3 = store.client()
    for key in ("cat", "dog"):
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket="photos", Key=key)
        assert refused.value.response["Error"]["Code"] == "ObjectLost"
    flags = ("--from", store.repository, "--snapshot", "one", "--damaged-only", "--json")
    assert "no incident 999" in store.command("restore", *flags, "--incident", "999", check=1).stderr
    restored = lines(store.command("restore", *flags, "--incident", str(number), check=0))
    assert sorted(line["key"] for line in restored[:-1]) == ["cat", "dog"]
    wait_until(lambda: states(store, number) == {"restored": 2}, what="two restored versions")
    [ended] = [line["event"]["restoreEnded"] for line in store.log() if "restoreEnded" in line["event"]]
    assert ended["incident"] == str(number) and ended["complete"] and ended["owners"][0]["restored"] == "2"
    for key, body in store.bodies.items():
        assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
        told = s3.head_object(Bucket="photos", Key=key)["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-integrity"]
        assert told.startswith("restored") == (key != "emu"), told


def test_an_incident_is_only_asked_for_with_what_is_damaged(store):
    done = store.command("restore", "--from", store.repository, "--snapshot", "one", "--all", "--incident", "7")
    assert done.returncode == 64 and "--damaged-only" in done.stderr
