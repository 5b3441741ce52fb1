"""`holdfast doctor`: what it says of the machine, and what it leaves behind, which is nothing."""

import json
import os
import subprocess
import time

import pytest
from holdfast import BINARY, Server, holdfast


def examine(directory, check=None, **options):
    done = subprocess.run([BINARY, "doctor", directory, "--json"], capture_output=True, text=True, timeout=120, **options)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    assert (done.returncode == 4) == any(line["verdict"] == "fail" for line in found) and done.returncode in (0, 4)
    if check is not None:
        assert done.returncode == check, found
    return {line["subject"]: line for line in found}


@pytest.fixture
def store(tmp_path):
    with Server(tmp_path / "store") as server:
        server.client().create_bucket(Bucket="photos")
        server.command("key", "create", check=0)
        yield server


def test_a_store_in_order(store):
    found = examine(store.directory)
    for subject in ("settings", "formats", "permissions", "clock", "memory", "open files", "volume 1 space", "volume 2 sync",
                    "volume 3 direct access"):
        assert found[subject]["verdict"] in ("ok", "warn"), found[subject]
    assert "after the log's last event" in found["clock"]["finding"]
    assert "half took" in found["volume 1 sync"]["finding"] and " ms" in found["volume 1 sync"]["finding"]
    # On one disk, as in every test.
    assert found["devices"]["verdict"] == "warn" and "volumes 1, 2, 3" in found["devices"]["finding"]
    assert found["devices"]["advice"]
    assert not list(store.directory.rglob("doctor-probe*"))
    assert store.fsck("--deep")[::2] == ([], 0)
    text = holdfast("doctor", store.directory).stdout
    assert "\nwarn  devices: volumes 1, 2, 3 are on one device" in text


def test_it_works_on_a_stopped_store_and_before_there_is_one(store, tmp_path):
    store.stop()
    assert "after the log's last event" in examine(store.directory)["clock"]["finding"]
    found = examine(tmp_path / "nothing", check=4)
    assert found["volume 1"]["verdict"] == "fail" and "does not exist" in found["volume 1"]["finding"]
    assert not (tmp_path / "nothing").exists()
    store.start()


@pytest.mark.parametrize("name, mode, wanted", [
    ("state/keys.json", 0o644, "600"), ("state", 0o755, "700"), ("state/holdfast.sock", 0o666, "600")])
def test_secrets_that_others_may_open(store, name, mode, wanted):
    path = store.directory / name
    path.chmod(mode)
    line = examine(store.directory, check=4)["permissions"]
    assert line["verdict"] == "fail" and str(path) in line["finding"] and f"chmod {wanted} {path}" in line["advice"]
    path.chmod(int(wanted, 8))
    assert examine(store.directory)["permissions"]["verdict"] == "ok"


def test_a_clock_that_is_behind_the_log(store, tmp_path):
    """The log's last event is in a future that this machine has not reached: its time is set forward in the frame."""
    store.stop()
    segment = sorted((store.directory / "volume-1/log").glob("*.log"))[-1]
    data = bytearray(segment.read_bytes())
    # The first frame's header, after the segment's: its time at 24, its checksum over 84 bytes at 84.
    start = 4096
    while True:
        length = 88 + int.from_bytes(data[start + 32:start + 36], "little") + int.from_bytes(data[start + 36:start + 40], "little")
        following = start + (length + 7 & ~7)
        if data[following:following + 4] != b"HFEV":
            break
        start = following
    later = int((time.time() + 86_400) * 1_000_000)
    data[start + 24:start + 32] = later.to_bytes(8, "little")
    from test_upgrade import crc32c
    data[start + 84:start + 88] = crc32c(bytes(data[start:start + 84])).to_bytes(4, "little")
    good = segment.read_bytes()
    segment.write_bytes(data)
    line = examine(store.directory, check=4)["clock"]
    assert line["verdict"] == "fail" and "set the clock" in line["advice"]
    segment.write_bytes(good)
    assert examine(store.directory)["clock"]["verdict"] == "ok"
    store.start()


def test_bad_settings_a_newer_format_and_few_files(store):
    (store.directory / "holdfast.json").write_text('{"wrokers": 3}')
    line = examine(store.directory, check=4)["settings"]
    assert line["verdict"] == "fail" and "the nearest is 'workers'" in line["finding"]
    (store.directory / "holdfast.json").unlink()

    path = store.directory / "volume-1/volume.json"
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), "format": 9}))
    line = examine(store.directory, check=4)["format of volume 1"]
    assert "format 9" in line["finding"] and "release that wrote it" in line["advice"]
    path.write_text(good)

    import resource
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))  # noqa: E731
    line = examine(store.directory, check=4, preexec_fn=few)["open files"]
    assert line["verdict"] == "fail" and "256" in line["finding"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_memory_is_no_disk(store, tmp_path):
    place = tmp_path / "memory"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", place], check=True)
    try:
        other = tmp_path / "other"
        other.mkdir()
        (other / "holdfast.json").write_text(json.dumps({"volumes": [str(place / "v"), str(tmp_path / "b"), str(tmp_path / "c")]}))
        for path in (place / "v", tmp_path / "b", tmp_path / "c"):
            path.mkdir()
        found = examine(other, check=4)
        assert found["volume 1 file system"]["verdict"] == "fail" and "tmpfs" in found["volume 1 file system"]["finding"]
        assert found["volume 1 space"]["verdict"] == "fail", "64 MiB are no room"
        assert "volumes 2, 3" in found["devices"]["finding"]
        assert found["volume 2"]["verdict"] == "warn" and "is empty" in found["volume 2"]["finding"]
    finally:
        subprocess.run(["umount", place], check=True)
