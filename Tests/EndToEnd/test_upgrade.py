"""Formats: one that is newer is refused by name; an earlier one is kept until `holdfast upgrade`."""

import json
import shutil
import sqlite3
import stat

import pytest
from holdfast import Server, holdfast, wait_until


def lines(done):
    return {line["what"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture
def store(tmp_path):
    """A stopped store with a user, whose keys are as the second format had them."""
    with Server(tmp_path / "store") as server:
        server.user("alice")
        server.client().create_bucket(Bucket="photos")
    keys = server.directory / "state/keys.json"
    document = json.loads(keys.read_text())
    document["format"] = 2
    for user in document["users"]:
        del user["canonicalID"]
    keys.write_text(json.dumps(document))
    keys.chmod(0o600)
    return server


def test_a_store_is_not_written_in_a_newer_format_by_serving_it(store):
    keys = store.directory / "state/keys.json"
    before = keys.read_bytes()
    store.start()
    assert "alice" in store.command("user", "list", check=0).stdout
    refused = store.command("key", "create", "--user", "bob", check=1)
    assert "format 2" in refused.stderr and "holdfast upgrade" in refused.stderr
    store.stop()
    assert keys.read_bytes() == before


def test_upgrade_shows_what_there_is_and_keeps_what_was(store):
    keys = store.directory / "state/keys.json"
    before = keys.read_bytes()
    dry = lines(holdfast("upgrade", store.directory, "--dry-run", "--json", check=0))
    assert set(dry) == {"volume 1", "volume 2", "volume 3", "log of volume 1", "log of volume 2", "log of volume 3", "keys",
                        "jobs", "catalog"} & set(dry) | {"volume 1", "log of volume 3", "keys", "catalog"}
    assert dry["keys"]["format"] == 2 and dry["keys"]["newest"] == 3 and dry["keys"]["action"] == "upgrade"
    assert "copy" not in dry["keys"] and keys.read_bytes() == before
    assert {line["action"] for name, line in dry.items() if name != "keys"} == {"none"}
    assert "would become format 3" in holdfast("upgrade", store.directory, "--dry-run", check=0).stdout

    done = lines(holdfast("upgrade", store.directory, "--json", check=0))
    copy = store.directory / "state/keys.json.format-2"
    assert done["keys"]["copy"] == str(copy) and copy.read_bytes() == before
    assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert json.loads(keys.read_text())["format"] == 3
    assert lines(holdfast("upgrade", store.directory, "--json", check=0))["keys"]["action"] == "none"
    store.start()
    store.command("key", "create", "--user", "alice", check=0)
    store.stop()
    # The copy is what an earlier release goes back to.
    shutil.copy(copy, keys)
    store.start()
    assert "alice" in store.command("user", "list", check=0).stdout
    store.stop()


def test_upgrade_refuses_a_store_that_is_served(store):
    store.start()
    refused = holdfast("upgrade", store.directory, "--json", check=1)
    assert "another process has the store" in refused.stderr and refused.stdout == ""
    store.stop()


@pytest.mark.parametrize("name, what", [
    ("volume-1/volume.json", "volume 1"), ("state/keys.json", "keys"), ("state/jobs.json", "jobs")])
def test_a_newer_format_is_refused_by_name(store, name, what):
    path = store.directory / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), "format": 99}))
    refused = holdfast("upgrade", store.directory, check=1)
    assert f"{what} has format 99 ({path})" in refused.stderr
    store.spawn()
    if what == "jobs":  # it may be lost, and is begun anew
        store.process.stdout.readline()
        store.stop()
        return
    assert store.process.wait(60) == 1
    store.process.stdout.close()
    store.process = None
    assert "format 99" in store.errors.read_text()


def test_a_segment_of_a_newer_format_is_refused_by_name(store):
    segment = sorted((store.directory / "volume-2/log").glob("*.log"))[0]
    data = bytearray(segment.read_bytes())
    data[8:12] = (7).to_bytes(4, "little")
    data[72:76] = crc32c(bytes(data[:72])).to_bytes(4, "little")
    segment.write_bytes(data)
    refused = holdfast("upgrade", store.directory, check=1)
    assert "log of volume 2 has format 7" in refused.stderr


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_a_catalog_of_a_newer_schema_is_computed_anew(store):
    """It is a view: going back to an earlier release costs time, and nothing else."""
    with sqlite3.connect(store.directory / "state/catalog.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    shown = lines(holdfast("upgrade", store.directory, "--json", check=0))["catalog"]
    assert shown["format"] == 99 and shown["action"] == "computed"
    store.start()
    assert store.client().list_buckets()["Buckets"][0]["Name"] == "photos"
    wait_until(lambda: store.fsck()[2] == 0, what="a clean store")
    store.stop()
