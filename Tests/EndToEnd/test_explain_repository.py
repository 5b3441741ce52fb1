"""What explain says of the snapshots that hold an object."""

import json
import os

import pytest

from holdfast import Server, holdfast


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    base = tmp_path_factory.mktemp("explained")
    with Server(base / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        server.bodies = {}
        server.first, server.second = base / "first", base / "second"
        for number, (name, size) in enumerate((("one", 3000), ("two", 200_000), ("three", 100))):
            server.bodies[name] = os.urandom(size)
            s3.put_object(Bucket="photos", Key="cat", Body=server.bodies[name])
            s3.put_object(Bucket="photos", Key=f"other {number}", Body=b"other")
            holdfast("snapshot", "create", server.directory, "--to", server.first, "--name", name, check=0)
        holdfast("snapshot", "create", server.directory, "--to", server.second, "--name", "late", check=0)
        s3.delete_object(Bucket="photos", Key="other 0")
        yield server


def explain(server, object, *flags, check=0):
    done = server.command("explain", object, "--repository", str(server.first), "--repository", str(server.second), *flags,
                          "--json", check=check)
    [told] = [json.loads(line) for line in done.stdout.splitlines()]
    return told


def held(told):
    return [[(version["size"], version["inStore"], version["snapshots"], bool(version["flaws"])) for version in part["versions"]]
            for part in told["repositories"]]


def test_each_version_is_named_with_the_snapshots_that_hold_it(store):
    told = explain(store, "photos/cat")
    assert [part["repository"] for part in told["repositories"]] == [str(store.first), str(store.second)]
    assert [part["snapshots"] for part in told["repositories"]] == [3, 1]
    assert held(told) == [[(100, True, ["three"], False), (200_000, False, ["two"], False), (3000, False, ["one"], False)],
                          [(100, True, ["late"], False)]]
    text = store.command("explain", "photos/cat", "--repository", str(store.first), check=0).stdout
    assert f"repository {store.first}, 3 snapshots" in text and "in two" in text and "not in the store any more: good" in text


def test_an_object_that_the_store_has_not_any_more_is_told_of(store):
    told = explain(store, "photos/other 0", check=1)
    assert told["absent"] == "there is no object other 0"
    assert held(told) == [[(5, False, ["one", "two", "three"], False)], [(5, False, ["late"], False)]]
    assert explain(store, "photos/nothing", check=1)["repositories"][0]["versions"] == []
    assert store.command("explain", "photos/other 0", check=1).stderr == "holdfast: there is no object other 0\n"


def test_bytes_that_a_repository_has_not_good_are_told(store):
    [blob] = [p for p in (store.first / "blobs").rglob("*") if p.is_file()]
    blob.write_bytes(blob.read_bytes()[:100_000])
    told = explain(store, "photos/cat", check=4)
    assert [flawed for *_, flawed in held(told)[0]] == [False, True, False]
    manifest = store.first / "snapshots/one.json"
    manifest.write_text(manifest.read_text().replace('"versions"', '"versiona"'))
    told = explain(store, "photos/cat", check=4)
    assert told["repositories"][0]["unusable"][0]["snapshot"] == "one"
    assert "one cannot be asked" in store.command("explain", "photos/cat", "--repository", str(store.first), check=4).stdout


def test_what_is_no_repository_of_the_store_is_refused(store, tmp_path):
    assert "is not a repository" in store.command("explain", "photos/cat", "--repository", str(tmp_path / "none"), check=1).stderr
