"""`holdfast jobs`, and what a server does by itself with the repositories of its settings."""

import collections
import json
import os
import urllib.request

import pytest
from holdfast import Server, holdfast, wait_until


def settings(tmp_path, **repository):
    store = tmp_path / "store"
    store.mkdir()
    place = tmp_path / "backup"
    (store / "holdfast.json").write_text(json.dumps({"repositories": {"nas": {"directory": str(place), **repository}}}))
    return store, place


def jobs(store, *arguments, check=0):
    done = holdfast("jobs", *(arguments[:1] or ["list"]), store, *arguments[1:], "--json", check=check)
    # What a job has not is left out of its line.
    return {line["job"]: collections.defaultdict(lambda: None, line) for line in map(json.loads, done.stdout.splitlines())}


def metrics(server):
    return urllib.request.urlopen(server.admin + "/metrics").read().decode()


def fill(server, count=4, size=70_000):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(count):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(size))


def snapshots(place):
    return [json.loads(line) for line in holdfast("snapshot", "list", place, "--json").stdout.splitlines()]


def test_snapshots_are_taken_and_pruned_by_themselves(tmp_path):
    store, place = settings(tmp_path, **{"snapshot-every": "2s", "keep-last": 2})
    with Server(store) as server:
        fill(server)
        wait_until(lambda: jobs(store)["prune:nas"]["lastResult"] not in (None, "0 snapshots deleted, 0 blobs of 0 bytes removed"),
                   what="a snapshot pruned")
        assert jobs(store)["snapshot:nas"]["lastGood"]
        assert 'holdfast_snapshot_age_seconds{repository="nas"}' in metrics(server)
        assert jobs(store)["confirm"]["state"] == "running"
        jobs(store, "pause", "snapshot:nas")
    assert 1 <= len(snapshots(place)) <= 3
    assert holdfast("snapshot", "verify", "nas", "--of", store).returncode == 0


def test_a_pause_outlasts_the_server(tmp_path):
    store, place = settings(tmp_path, **{"snapshot-every": "1s"})
    with Server(store) as server:
        jobs(store, "pause", "snapshot:nas")
        jobs(store, "pause", "scrub")
        server.stop()
        assert jobs(store)["snapshot:nas"]["state"] == "paused"
        server.start()
        found = jobs(store)
        assert (found["snapshot:nas"]["state"], found["scrub"]["state"]) == ("paused", "paused")
        assert "is paused" in holdfast("jobs", "run", store, "snapshot:nas", check=1).stderr
        assert "cannot be paused" in holdfast("jobs", "pause", store, "confirm", check=1).stderr
        assert "there is no job nothing" in holdfast("jobs", "pause", store, "nothing", check=1).stderr
        fill(server)
        jobs(store, "resume", "snapshot:nas")
        before = jobs(store)["snapshot:nas"]["lastStart"]
        wait_until(lambda: jobs(store)["snapshot:nas"]["lastStart"] != before, what="a snapshot")


def test_a_snapshot_that_was_killed_is_taken_up_again(tmp_path):
    store, place = settings(tmp_path, **{"snapshot-every": "1h", "rate": 1_000_000})
    with Server(store) as server:
        wait_until(lambda: jobs(store)["snapshot:nas"]["lastGood"], what="the first snapshot, of nothing")
        fill(server, count=4, size=1_000_000)
        jobs(store, "run", "snapshot:nas")
        def copied():
            return [p for p in (place / "blobs").rglob("*") if p.is_file()]
        wait_until(copied, what="a first blob copied")
        server.kill()
        first = {p.name: p.stat().st_mtime_ns for p in copied()}
        server.start()
        jobs(store, "run", "snapshot:nas")
        wait_until(lambda: len(snapshots(place)) == 2, what="the snapshot")
        after = {p.name: p.stat().st_mtime_ns for p in copied()}
        assert len(after) == 4 and first.items() <= after.items()
    assert holdfast("snapshot", "verify", place, "--read-data", "100").returncode == 0


def test_a_drill_that_fails_is_a_finding_until_one_is_good(tmp_path):
    store, place = settings(tmp_path, **{"snapshot-every": "1h", "drill-every": "1s"})
    with Server(store) as server:
        wait_until(lambda: jobs(store)["snapshot:nas"]["lastGood"], what="the first snapshot, of nothing")
        fill(server)
        jobs(store, "run", "snapshot:nas")
        wait_until(lambda: "4 objects" in (jobs(store)["drill:nas"]["lastResult"] or ""), what="a good drill")
        wait_until(lambda: [p for p in (place / "blobs").rglob("*") if p.is_file()], what="blobs in the repository")
        blob = sorted(p for p in (place / "blobs").rglob("*") if p.is_file())[0]
        good = blob.read_bytes()
        blob.write_bytes(good[:66_000] + b"bad" + good[66_003:])
        wait_until(lambda: jobs(store)["drill:nas"]["lastGood"] is False, what="a failed drill")
        assert 'holdfast_drill_last_good{repository="nas"} 0' in metrics(server)
        recorded = [e for e in server.log() if "findingRecorded" in e["event"]]
        assert recorded[-1]["event"]["findingRecorded"]["finding"]["code"] == "HF045"
        assert "holdfast_open_findings 1" in metrics(server)
        blob.write_bytes(good)
        wait_until(lambda: jobs(store)["drill:nas"]["lastGood"], what="a good drill again")
        assert "holdfast_open_findings 0" in metrics(server)


def test_a_check_that_finds_damage_is_a_finding_until_it_is_mended(tmp_path):
    store, place = settings(tmp_path, **{"snapshot-every": "24h", "verify-every": "1s", "verify-percent": 100})
    with Server(store) as server:
        wait_until(lambda: jobs(store)["snapshot:nas"]["lastGood"], what="the first snapshot, of nothing")
        fill(server)
        jobs(store, "run", "snapshot:nas")
        wait_until(lambda: len([p for p in (place / "blobs").rglob("*") if p.is_file()]) == 4, what="blobs in the repository")
        wait_until(lambda: "4 blobs checked" in (jobs(store)["verify:nas"]["lastResult"] or ""), what="a good check")
        for blob in sorted(p for p in (place / "blobs").rglob("*") if p.is_file())[:2]:
            blob.write_bytes(blob.read_bytes()[:66_000] + b"bad" + blob.read_bytes()[66_003:])
        wait_until(lambda: jobs(store)["verify:nas"]["lastGood"] is False, what="a check that finds it")
        assert "2 flaws, the first in blobs/" in jobs(store)["verify:nas"]["lastResult"]
        recorded = [e["event"]["findingRecorded"]["finding"] for e in server.log() if "findingRecorded" in e["event"]]
        assert [(f["code"], f["path"]) for f in recorded] == [("HF046", "repository nas")], "once, however often it is found"
        assert "holdfast_open_findings 1" in metrics(server)
        wait_until(lambda: holdfast("jobs", "pause", store, "verify:nas").returncode == 0, what="a pause")
        wait_until(lambda: holdfast("snapshot", "verify", place, "--mend", store).returncode == 0, what="all of it mended")
        holdfast("jobs", "resume", store, "verify:nas", check=0)
        wait_until(lambda: jobs(store)["verify:nas"]["lastGood"], what="a good check again")
        assert "holdfast_open_findings 0" in metrics(server)


@pytest.mark.parametrize("member, value, told", [
    ("snapshot-every", "often", "such as 24h"), ("snapshot-at", "25:00", "such as 02:30"), ("keep-lots", 3, "keep-last"),
    ("directory", "", "without either a directory")])
def test_a_setting_that_makes_no_sense_is_refused(tmp_path, member, value, told):
    store, _ = settings(tmp_path, **{member: value})
    done = holdfast("serve", store, check=1)
    assert told in done.stderr and "repositories" in done.stderr
