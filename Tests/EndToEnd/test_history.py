"""A store as it was: `holdfast ls --at`, `restore --at` and `snapshot diff`."""

import json
import os
import re

import pytest
from holdfast import Server, holdfast, wait_until

BODIES = {"docs/small": b"mine", "docs/large": os.urandom(300_000), "pictures/ä": os.urandom(70_000), "empty": b""}


def sequence(response):
    return response["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"]


def ls(server, *arguments, status=0):
    done = server.command("ls", *arguments, "--json", check=status)
    return [json.loads(line) for line in done.stdout.splitlines()] if status == 0 else done.stderr


def restore(server, moment, *flags, status=0):
    done = server.command("restore", "--at", moment, "--json", *flags)
    assert done.returncode == status, done.stderr
    *outcomes, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return outcomes, summary["total"]


def body(server, key):
    return server.client().get_object(Bucket="photos", Key=key)["Body"].read()


def fill(server):
    """Objects in a bucket; the sequence of the last of them."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for key, value in BODIES.items():
        last = s3.put_object(Bucket="photos", Key=key, Body=value)
    return sequence(last)


def time_of(server, number):
    [event] = [e for e in server.log("--from", number) if str(e["sequence"]) == str(number)]
    return event["time"]


@pytest.fixture(params=["served", "stopped"])
def pause(request):
    """Stops the server, in one of two runs."""
    return (lambda server: server.stop()) if request.param == "stopped" else (lambda server: None)


def start(server):
    if not server.process:
        server.start()


def test_what_ransomware_overwrote_comes_back_as_it_was_the_moment_before(server, pause):
    before = time_of(server, fill(server))
    s3 = server.client()
    for key in BODIES:
        s3.put_object(Bucket="photos", Key=key, Body=b"pay me" * 20_000)
    s3.put_object(Bucket="photos", Key="README", Body=b"send coins")
    pause(server)
    outcomes, total = restore(server, before, "--all")
    assert total["newer"] == len(BODIES) and total["restored"] == 0, "nothing newer goes unless told"
    plan, planned = restore(server, before, "--all", "--overwrite", "--dry-run")
    outcomes, total = restore(server, before, "--all", "--overwrite")
    assert total == planned and [o["key"] for o in outcomes] == [o["key"] for o in plan]
    assert total["restored"] == len(BODIES) and total["failed"] == 0
    assert restore(server, before, "--all", "--overwrite")[1]["present"] == len(BODIES)
    start(server)
    for key, value in BODIES.items():
        assert body(server, key) == value
    reasons = {e["event"]["versionPublished"].get("reason") for e in server.log() if "versionPublished" in e["event"]}
    assert any(reason and reason.startswith("restored from event ") for reason in reasons)
    assert server.fsck("--deep")[2] == 0


def test_a_bucket_that_was_removed_with_all_in_it_comes_back(server, pause):
    s3 = server.client()
    fill(server)
    s3.put_bucket_tagging(Bucket="photos", Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
    last = s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    before = sequence(last)
    for version in s3.list_object_versions(Bucket="photos")["Versions"]:
        s3.delete_object(Bucket="photos", Key=version["Key"], VersionId=version["VersionId"])
    s3.delete_bucket(Bucket="photos")
    pause(server)
    assert ls(server) == [] and [b["bucket"] for b in ls(server, "--at", before)] == ["photos"]
    assert {o["key"] for o in ls(server, "photos", "--at", before)} == set(BODIES)
    outcomes, total = restore(server, before, "--bucket", "photos")
    assert total["restored"] == len(BODIES)
    start(server)
    for key, value in BODIES.items():
        assert body(server, key) == value
    client = server.client()
    assert client.get_bucket_versioning(Bucket="photos")["Status"] == "Enabled"
    assert client.get_bucket_tagging(Bucket="photos")["TagSet"] == [{"Key": "team", "Value": "blue"}]
    assert server.fsck("--deep")[2] == 0


def test_listings_show_now_and_then(server, pause):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    marks = []
    for n in range(3):
        marks.append(sequence(s3.put_object(Bucket="photos", Key="k", Body=b"x" * n)))
    marks.append(sequence(s3.delete_object(Bucket="photos", Key="k")))
    s3.put_object(Bucket="photos", Key="kk", Body=b"after")
    pause(server)
    for n in range(3):
        [object] = ls(server, "photos/k", "--at", marks[n])
        assert object["size"] == n and object["key"] == "k" and object["latest"]
        assert len(ls(server, "photos", "--at", marks[n], "--versions")) == n + 1
    assert ls(server, "photos", "--at", marks[3]) == []
    assert [o["key"] for o in ls(server, "photos")] == ["kk"]
    versions = ls(server, "photos", "--versions")
    assert [(o["key"], o["deleteMarker"], o["latest"]) for o in versions] == [
        ("k", True, True), ("k", False, False), ("k", False, False), ("k", False, False), ("kk", False, True)]
    assert [o["key"] for o in ls(server, "photos/kk")] == ["kk"] and ls(server, "photos/nothing") == []
    text = server.command("ls", "photos", "--versions", check=0).stdout
    assert "delete marker  k" in text and "(latest)" in text
    assert [b["versioning"] for b in ls(server)] == ["Enabled"]


def test_moments_are_named_as_people_name_them(server):
    number = fill(server)
    time = time_of(server, number)
    for moment in (number, time, time.replace("Z", "+00:00"), "0s", "0m ago"):
        assert {o["key"] for o in ls(server, "photos", "--at", moment)} == set(BODIES), moment
    assert "the store begins at" in ls(server, "--at", "1w", status=1)
    assert "the store begins at" in ls(server, "--at", "2020-01-01T00:00:00Z", status=1)
    assert "is yet to come" in ls(server, "--at", "2999-01-01T00:00:00Z", status=1)
    assert "there is no event 100000" in ls(server, "--at", "100000", status=1)
    assert "there is no bucket nothing" in ls(server, "nothing", status=1)
    assert "there is no bucket photos" in ls(server, "photos", "--at", "1", status=1)
    for bad in ("yesterday", "2026-13-01T00:00:00Z", "10 parsecs", "", "-5"):
        assert holdfast("ls", server.directory, f"--at={bad}").returncode == 64, bad
    assert holdfast("ls", server.directory, "--versions").returncode == 64


def test_what_was_reclaimed_is_out_of_reach_and_the_oldest_moment_is_named(tmp_path):
    with Server(tmp_path / "store", "--set", "history-hours=0") as server:
        before = fill(server)
        s3 = server.client()
        for key in BODIES:
            s3.put_object(Bucket="photos", Key=key, Body=b"new" * 30_000)
        after = sequence(s3.put_object(Bucket="photos", Key="last", Body=b"x"))
        wait_until(lambda: len(server.blobs(1)) == len(BODIES), what="reclaiming")
        done = server.command("restore", "--at", before, "--all", "--overwrite")
        assert done.returncode == 1
        [oldest] = re.findall(r"the oldest moment that can be restored is event (\d+), (\S+Z)$", done.stderr.strip())
        assert int(before) < int(oldest[0]) <= int(after)
        assert len(ls(server, "photos", "--at", before)) == len(BODIES), "what was there can still be seen"
        for moment in oldest:
            restore(server, moment, "--all", "--dry-run", "--overwrite")
        assert server.command("restore", "--at", str(int(oldest[0]) - 1), "--all", "--dry-run").returncode == 1


def test_history_within_the_window_is_kept(server):
    """Seven days by default: nothing is reclaimed meanwhile, however often keys are overwritten."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    marks = []
    for n in range(12):
        marks.append((sequence(s3.put_object(Bucket="photos", Key="k", Body=bytes([n]) * 70_000)), bytes([n]) * 70_000))
    for number, value in reversed(marks):
        restore(server, number, "--bucket", "photos", "--overwrite")
        assert body(server, "k") == value


def test_a_damaged_replica_does_not_keep_the_past_from_coming_back(server):
    number = fill(server)
    s3 = server.client()
    s3.delete_object(Bucket="photos", Key="docs/large")
    server.stop()
    for volume, offset in ((1, 10), (2, 70_000)):
        for path in server.blobs(volume):
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(b"bad")
    outcomes, total = restore(server, number, "--bucket", "photos", "--key", "docs/large")
    assert total["restored"] == 1
    server.start()
    assert body(server, "docs/large") == BODIES["docs/large"]


# snapshot diff


def test_a_difference_names_what_was_added_changed_and_removed(server, tmp_path):
    repository = tmp_path / "backup"
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for key in ("same", "overwritten", "removed", "tagged"):
        s3.put_object(Bucket="photos", Key=key, Body=key.encode())
    s3.put_object(Bucket="versioned", Key="hidden", Body=b"x")
    s3.put_object(Bucket="versioned", Key="again", Body=b"x")

    def take(name):
        holdfast("snapshot", "create", server.directory, "--to", repository, "--name", name, check=0)

    def diff(first, second):
        done = holdfast("snapshot", "diff", repository, first, second, "--json", check=0)
        return [json.loads(line) for line in done.stdout.splitlines()]
    take("one")
    s3.put_object(Bucket="photos", Key="overwritten", Body=b"other")
    s3.delete_object(Bucket="photos", Key="removed")
    s3.put_object(Bucket="photos", Key="new", Body=b"new")
    s3.put_object_tagging(Bucket="photos", Key="tagged", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(Bucket="versioned", Key="hidden")
    s3.put_object(Bucket="versioned", Key="again", Body=b"y")
    take("two")
    *keys, summary = diff("one", "two")
    assert [(k["bucket"], k["key"], k["change"]) for k in keys] == [
        ("photos", "new", "added"), ("photos", "overwritten", "changed"), ("photos", "removed", "removed"),
        ("photos", "tagged", "changed"), ("versioned", "again", "changed"), ("versioned", "hidden", "removed")]
    counts = {k["key"]: tuple(len(k[part]) for part in ("added", "amended", "removed")) for k in keys}
    assert counts == {"new": (1, 0, 0), "overwritten": (1, 0, 1), "removed": (0, 0, 1), "tagged": (0, 1, 0),
                      "again": (1, 0, 0), "hidden": (1, 0, 0)}
    assert (summary["added"], summary["changed"], summary["removed"]) == (1, 3, 2)
    *keys, summary = diff("two", "one")
    assert (summary["added"], summary["changed"], summary["removed"]) == (2, 3, 1)
    assert diff("one", "one") == [{"added": 0, "changed": 0, "removed": 0, "summary": True}]
    text = holdfast("snapshot", "diff", repository, "one", "two", check=0).stdout
    assert "+ photos/new" in text and "~ photos/tagged" in text and "- photos/removed" in text
    assert holdfast("snapshot", "diff", repository, "one", "none").returncode == 1
