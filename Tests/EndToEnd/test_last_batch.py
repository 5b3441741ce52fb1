"""The very last batch of the log damaged on every mirror: the catalog proves that it was acknowledged."""

import json
import os

import pytest

from faults import inject, wait_confirmed
from holdfast import Server


@pytest.fixture
def store(tmp_path):
    with Server(tmp_path / "store", "--set", "test-store=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="notes")
        s3.put_object(Bucket="notes", Key="first", Body=os.urandom(2000))
        wait_confirmed(server)
        yield server


def last_event(server):
    """The last event of a store that does not run."""
    return server.log()[-1]["sequence"]


@pytest.mark.parametrize("fault", ["frame-header", "frame-body", "frame-missing"])
def test_the_last_event_is_not_cut_off_unasked(store, fault):
    store.stop()
    last = last_event(store)
    inject(store, fault, "--sequence", last, "--replica", "all")
    for command in (["fsck", "--json"], ["fsck", "--repair", "--json"]):
        refused = store.command(*command)
        assert refused.returncode == 8
        finding = json.loads(refused.stdout.splitlines()[0])
        assert finding["class"] == "log.lost-event" and finding["evidence"].startswith(f"event {last}: ")
        assert f"the catalog has applied event {last}" in finding["evidence"] and "holdfast log cut" in finding["evidence"]
    assert f"event {last}" in store.command("log", "cut", "--after", str(last), check=1).stderr
    cut = json.loads(store.command("log", "cut", "--after", str(last - 1), "--json", check=0).stdout)
    assert cut["after"] == last - 1 and cut["volumes"] == ([] if fault == "frame-missing" else [1, 2, 3])
    assert store.command("log", "cut", "--after", str(last - 1)).returncode == 1, "there is nothing to cut any more"
    store.start()
    assert store.fsck("--deep")[::2] == ([], 0)


def test_without_a_catalog_it_is_a_torn_write(store):
    store.stop()
    last = last_event(store)
    inject(store, "frame-header", "--sequence", last, "--replica", "all")
    for file in (store.directory / "state").glob("catalog.sqlite*"):
        file.unlink()
    store.start()
    assert store.client().head_object(Bucket="notes", Key="first")["ContentLength"] == 2000
