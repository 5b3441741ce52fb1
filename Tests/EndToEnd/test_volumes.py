"""Any one volume lost during load: requests go on, and it is brought back from the log alone."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest
from holdfast import BINARY, Server, holdfast, wait_until
from load import Load, seed
from mounts import MEGABYTE


@pytest.fixture
def store(tmp_path):
    server = Server(tmp_path / "store")
    yield server
    if server.process:
        server.stop()


def under_load(server, volume, fail, mend, reason):
    """Fails a volume in the middle of a load and mends it before the end; all that was acknowledged is there."""
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    load = Load(server, number, tries=3)
    with load:
        more(load)
        fail()
        wait_until(lambda: load.has_failed or server.standings()[volume]["standing"] == "set aside", what="the volume set aside")
        more(load)
        standing = server.standings()
        assert reason in standing[volume]["reason"], standing
        assert all(standing[other]["standing"] == "in service" for other in {1, 2, 3} - {volume}), standing
        findings, _, status = server.fsck()
        assert status == 4 and ("volume.out", volume) in {(f["class"], f["volume"]) for f in findings}
        mend()
        wait_until(lambda: load.has_failed or server.standings()[volume]["standing"] == "in service", what="the volume back")
        more(load)
    assert load.retries <= len(load.workers), "only what was in flight may have been refused"
    print(f"{load.acknowledged} changes acknowledged, {load.retries} requests sent again")
    load.prove(whole=True)
    changes = [(name, change) for event in server.log() for name, change in event["event"].items() if name.startswith("volume")]
    assert changes[0][0] == "volumeSetAside" and changes[-1][0] == "volumeReturned", changes
    assert server.fsck("--deep")[::2] == ([], 0)
    server.command("log", "verify", check=0)
    server.wait_alike()


def more(load, changes=60):
    enough = load.acknowledged + changes
    wait_until(lambda: load.has_failed or load.acknowledged >= enough, what="load")


@pytest.mark.parametrize("volume", [1, 2, 3])
def test_a_volume_removed_under_load_comes_back_from_the_log(store, volume):
    store.start()
    place = store.volume(volume)
    aside = place.with_name("aside")
    under_load(store, volume, lambda: place.rename(aside), lambda: aside.rename(place), "does not exist")


def test_a_volume_emptied_under_load_is_filled_anew(store):
    store.start()
    load = Load(store, seed(), tries=3)
    with load:
        more(load)
        # Again until nothing is left: the server may make a directory while its parent is being removed.
        while entries := list(store.volume(3).iterdir()):
            for entry in entries:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
        wait_until(lambda: load.has_failed or [e for e in store.log() if "volumeReturned" in e["event"]], what="its return")
        more(load)
    load.prove(whole=True)
    store.wait_in_service()
    assert "volumeReplaced" in {name for event in store.log() for name in event["event"]}
    assert store.fsck("--deep")[::2] == ([], 0)


def test_a_file_in_place_of_a_volume(store):
    store.start()
    place = store.volume(2)
    aside = place.with_name("aside")

    def fail():
        place.rename(aside)
        place.write_text("no directory")

    def mend():
        place.unlink()
        aside.rename(place)

    under_load(store, 2, fail, mend, "not a directory")


def test_a_full_volume(store, mounted):
    place = store.volume(3)
    mounted(place, "tmpfs", 1500)
    store.start()
    ballast = place / "lost+found"

    def fill():
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(MEGABYTE))

    under_load(store, 3, fill, ballast.unlink, "No space left")


def test_a_disk_that_is_taken_out_and_put_back(store, mounted):
    mount = mounted(store.volume(1), "ext4", 4000)
    store.start()
    # The mount point is an empty directory now, which must not be taken for a volume that was emptied.
    under_load(store, 1, mount.unmount, mount.mount, "is empty: mount its disk")


def test_a_disk_whose_file_system_gave_up(store, mounted):
    mount = mounted(store.volume(2), "ext4", 4000)
    store.start()
    load = Load(store, seed(), tries=3)
    with load:
        more(load)
        mount.abort()
        wait_until(lambda: load.has_failed or store.standings()[2]["standing"] == "set aside", what="the volume set aside")
        more(load)
    assert load.retries <= len(load.workers)
    load.prove(whole=True)
    store.stop()
    mount.unmount()
    subprocess.run(["e2fsck", "-fp", mount.image], stdout=subprocess.DEVNULL)
    mount.mount()
    store.start()
    store.wait_in_service()
    load.prove(whole=True)
    assert store.fsck("--deep")[::2] == ([], 0)


def test_a_volume_that_misses_a_whole_run_catches_up_at_the_next(store):
    store.start()
    load = Load(store, seed())
    with load:
        more(load)
    store.stop()
    aside = store.volume(2).with_name("aside")
    store.volume(2).rename(aside)
    store.start()
    with load:
        more(load)
    store.stop()
    aside.rename(store.volume(2))
    store.start()
    store.wait_in_service()
    load.prove(whole=True)
    assert store.fsck("--deep")[::2] == ([], 0)


def test_a_store_with_one_volume_left_serves_nobody_and_says_why(store):
    store.start()
    store.stop()
    for number in (1, 3):
        store.volume(number).rename(store.volume(number).with_name(f"aside {number}"))
    error = refused(store)
    assert "1 of 3 volumes can be used" in error
    assert str(store.volume(1)) in error and str(store.volume(3)) in error


# Replacing


@pytest.mark.parametrize("running", [True, False])
def test_a_lost_volume_is_replaced(store, running):
    store.start()
    load = Load(store, seed())
    with load:
        more(load, 20)
    # Moved first: what the server still writes there does not come between.
    shutil.rmtree(store.volume(2).rename(store.volume(2).with_name("lost")), ignore_errors=True)
    if running:
        wait_until(lambda: store.standings()[2]["standing"] == "set aside", what="the volume set aside")
    else:
        store.stop()
    store.volume(2).mkdir()
    done = store.command("volume", "replace", "2", "--json", check=0)
    assert [json.loads(line)["standing"] for line in done.stdout.splitlines()] == ["in service"] * 3
    if not running:
        assert store.fsck("--deep")[::2] == ([], 0)
        store.start()
    load.prove(whole=True)
    assert store.fsck("--deep")[::2] == ([], 0)


def test_what_volume_replace_refuses(store):
    store.start()
    assert "good standing" in store.command("volume", "replace", "2", check=1).stderr
    assert "no volume 4" in store.command("volume", "replace", "4", check=1).stderr
    aside = store.volume(2).with_name("aside")
    store.volume(2).rename(aside)
    wait_until(lambda: store.standings()[2]["standing"] == "set aside", what="the volume set aside")
    store.volume(2).mkdir()
    (store.volume(2) / "precious").write_text("mine")
    assert "not empty" in store.command("volume", "replace", "2", check=1).stderr
    assert (store.volume(2) / "precious").read_text() == "mine"


# Refused at start


def refused(store, *flags):
    done = subprocess.run([BINARY, "serve", str(store.directory), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                           *flags], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr


def test_two_volumes_exchanged_are_refused_by_name(store):
    store.start()
    store.stop()
    one, three = store.volume(1), store.volume(3)
    one.rename("%s.x" % one)
    three.rename(one)
    os.rename("%s.x" % one, three)
    error = refused(store)
    assert f"{one} is volume 3" in error and "given as volume 1" in error
    os.rename(one, "%s.x" % one)
    three.rename(one)
    os.rename("%s.x" % one, three)
    store.start()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_volume_of_another_store_is_refused_by_name(store, number):
    store.start()
    store.stop()
    other = store.directory.with_name("other")
    holdfast("init", other, check=0)
    shutil.rmtree(store.volume(number))
    shutil.copytree(other / f"volume-{number}", store.volume(number))
    error = refused(store)
    assert f"{store.volume(number)} belongs to" in error, error


def test_one_directory_given_as_two_volumes_is_refused_by_name(store):
    store.start()
    store.stop()
    shutil.rmtree(store.volume(3))
    store.volume(3).symlink_to(store.volume(2))
    assert str(store.volume(3)) in refused(store)


def test_a_directory_with_something_else_in_it_is_refused_by_name(store):
    store.start()
    store.stop()
    shutil.rmtree(store.volume(2))
    store.volume(2).mkdir()
    (store.volume(2) / "holiday.jpg").write_text("mine")
    error = refused(store)
    assert f"{store.volume(2)} is not a volume" in error


def test_a_second_server_on_a_store_is_refused_by_name(store):
    store.start()
    error = refused(store)
    assert "another process has the store" in error and str(store.directory / "state") in error
    other = store.directory.with_name("other")
    volumes = ",".join(str(store.volume(number)) for number in (1, 2, 3))
    error = subprocess.run(
        [BINARY, "serve", str(other), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--set", f"volumes={volumes}"],
        capture_output=True, text=True, timeout=60).stderr
    assert f"{store.volume(1)} is in use by another process" in error
    store.client().list_buckets()
