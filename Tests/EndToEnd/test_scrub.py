"""What is read back by itself, and what is called green: never while a replica is missing."""

import contextlib
import json
import random
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from holdfast import BINARY, Server, wait_until
from load import seed

SIZE = 200_000


def green(server):
    """Whether the admin listener calls the store green, and why not."""
    try:
        with urllib.request.urlopen(server.admin + "/health/green", timeout=10) as answer:
            body = json.load(answer)
    except urllib.error.HTTPError as error:
        assert error.code == 503
        body = json.load(error)
        assert not body["green"] and body["reasons"]
    return body["green"], body["reasons"]


def metrics(server):
    with urllib.request.urlopen(server.admin + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def fill(server, count, bucket="bucket"):
    s3 = server.client()
    s3.create_bucket(Bucket=bucket)
    for number in range(count):
        s3.put_object(Bucket=bucket, Key=f"k{number}", Body=f"{number} ".encode() + bytes(SIZE))
    return s3


def passes(server):
    advanced = [event["event"]["scrubAdvanced"] for event in server.log() if "scrubAdvanced" in event["event"]]
    return [change for change in advanced if change.get("complete") and "pass" in change]


def replicas(server):
    return [{path.name for path in server.blobs(number)} for number in (1, 2, 3)]


def test_a_new_store_is_green_and_says_since_when(server):
    fill(server, 2)
    assert green(server) == (True, [])
    done = server.command("status", check=0)
    assert done.stdout.startswith("green\n")
    lines = [json.loads(line) for line in server.command("scrub", "status", "--json", check=0).stdout.splitlines()]
    assert [line["volume"] for line in lines[:3]] == [1, 2, 3]
    assert lines[3]["bucket"] == "bucket" and lines[3]["verified"]
    found = metrics(server)
    assert found["holdfast_green"] == "1"
    for volume in (1, 2, 3):
        assert 0 <= float(found[f'holdfast_oldest_unverified_seconds{{volume="{volume}"}}']) < 600
    wait_until(lambda: json.loads(server.command("explain", "bucket/k1", "--json", check=0).stdout).get("lastVerified"),
               what="the confirmation")


def test_what_is_damaged_is_found_and_mended_by_a_scrub(server):
    fill(server, 6)
    server.client().put_object(Bucket="bucket", Key="small", Body=b"x" * 1000)
    wait_until(lambda: json.loads(server.command("explain", "bucket/small", "--json", check=0).stdout)["confirmed"],
               what="the confirmation")
    damaged, missing, cut = server.blobs(1)[0], server.blobs(2)[1], server.blobs(3)[2]
    with open(damaged, "r+b") as file:
        file.seek(100_000)
        file.write(b"\xff" * 16)
    missing.unlink()
    with open(cut, "r+b") as file:
        file.truncate(1000)
    server.command("scrub", "start", check=0)
    wait_until(lambda: len(passes(server)) == 3, what="a pass of each volume")
    wait_until(lambda: green(server)[0], what="green")
    events = [event["event"] for event in server.log()]
    found = {(e["findingRecorded"]["finding"]["faultClass"], e["findingRecorded"]["finding"]["volume"])
             for e in events if "findingRecorded" in e}
    assert {volume for _, volume in found} == {1, 2, 3}
    assert ("replica.corrupt-block", 1) in found and ("replica.missing", 2) in found
    assert {e["replicaRepaired"]["finding"]["volume"] for e in events if "replicaRepaired" in e} == {1, 2, 3}
    assert server.fsck("--deep")[::2] == ([], 0)


def test_what_cannot_be_mended_keeps_it_from_being_green(server):
    fill(server, 1)
    for number in (1, 2, 3):
        with open(server.blobs(number)[0], "r+b") as file:
            file.seek(100_000)
            file.write(b"\xff" * 16)
    server.command("scrub", "start", check=0)
    wait_until(lambda: len(passes(server)) == 3, what="a pass of each volume")
    is_green, reasons = green(server)
    assert not is_green and any("findings are open" in reason for reason in reasons), reasons
    assert server.command("status").returncode == 4
    server.stop()
    server.start()
    assert not green(server)[0]


def test_a_pause_lasts_until_it_is_started_again(server):
    fill(server, 1)
    server.command("scrub", "pause", check=0)
    server.stop()
    server.start()
    assert "(paused)" in server.command("scrub", "status", check=0).stdout
    server.command("scrub", "start", "--volume", "2", check=0)
    wait_until(lambda: [change["volume"] for change in passes(server)] == [2], what="a pass of volume 2")


def test_a_volume_that_is_not_there_is_no_volume(server):
    assert server.command("scrub", "start", "--volume", "4").returncode == 1
    server.stop()
    done = server.command("scrub", "start")
    assert done.returncode == 1 and "fsck --deep" in done.stderr
    server.start()


def test_a_replaced_volume_is_filled_at_its_rate_and_healed_when_it_is_read_back(tmp_path):
    with Server(tmp_path / "store", "--set", "refill-rate=2000000") as server:
        s3 = fill(server, 30)
        for entry in list(server.volume(2).iterdir()):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()
        wait_until(lambda: server.standings()[2]["state"] == "filling", what="the refill")
        began = time.monotonic()
        assert not green(server)[0]
        progress = wait_until(lambda: [v for v in [server.standings()[2]] if v.get("secondsLeft")], what="an estimate")[0]
        assert 0 < progress["progress"] < 1
        # Nobody waits for it.
        assert s3.get_object(Bucket="bucket", Key="k7")["Body"].read().startswith(b"7 ")
        s3.put_object(Bucket="bucket", Key="meanwhile", Body=bytes(SIZE))
        server.wait_in_service()
        assert time.monotonic() - began > 1.5, "6 MB at 2 MB/s"
        wait_until(lambda: server.standings()[2]["state"] == "healed", what="the reading back")
        wait_until(lambda: green(server)[0], what="green")
        kept = replicas(server)
        assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 31
        names = [name for event in server.log() for name in event["event"]]
        assert names.index("volumeReturned") < names.index("scrubAdvanced")
        assert server.fsck("--deep")[::2] == ([], 0)


def test_it_is_never_green_while_a_replica_is_missing_however_often_it_is_killed(tmp_path):
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    chance = random.Random(number)
    server = Server(tmp_path / "store", "--set", "refill-rate=3000000")
    server.start()
    fill(server, 40)
    server.kill()
    for entry in list(server.volume(3).iterdir()):
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    server.start()
    done = server.command("volume", "list", "--json", check=0)
    assert json.loads(done.stdout.splitlines()[2])["state"] == "set aside", done.stdout
    assert not green(server)[0]
    kills, is_replaced = 0, False
    while True:
        if not is_replaced:
            replacing = subprocess.Popen([BINARY, "volume", "replace", str(server.directory), "3"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            is_replaced = wait_until(lambda: (server.volume(3) / "volume.json").exists(), what="the new volume")
        deadline = time.monotonic() + chance.uniform(0.05, 0.8)
        is_green = False
        while kills >= 6 or time.monotonic() < deadline:
            # The order matters: what is missing when it was called green before was missing then.
            is_green = green(server)[0]
            if is_green:
                kept = replicas(server)
                assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 40, f"green after {kills} kills"
                break
            time.sleep(0.02)
        if is_green:
            break
        server.kill()
        kills += 1
        server.start()
    with contextlib.suppress(subprocess.TimeoutExpired):
        replacing.wait(30)
    replacing.kill()
    assert server.fsck("--deep")[::2] == ([], 0)
    server.stop()


def test_the_repairer_killed_at_random_never_leaves_green_behind(tmp_path):
    """Findings are recorded before they are mended: whoever comes after knows of them."""
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    chance = random.Random(number)
    server = Server(tmp_path / "store")
    server.start()
    fill(server, 30)
    wait_until(lambda: json.loads(server.command("explain", "bucket/k29", "--json", check=0).stdout)["confirmed"],
               what="the confirmation")
    for path in server.blobs(2)[::2]:
        path.unlink()
    server.command("scrub", "start", check=0)
    whole = set(path.name for path in server.blobs(1))
    known = False
    for kills in range(6):
        deadline = time.monotonic() + chance.uniform(0.0, 0.3)
        while time.monotonic() < deadline:
            is_green = green(server)[0]
            known = known or not is_green
            if known and is_green:
                # Once it knew of one it is green only when a whole pass of that volume has ended.
                if any(change["volume"] == 2 for change in passes(server)):
                    assert replicas(server)[1] == whole
        server.kill()
        server.start()
        server.command("scrub", "start", check=0)
    # A volume that a pass had ended on before the last kill is read anew, and counts for no other.
    wait_until(lambda: {change["volume"] for change in passes(server)} == {1, 2, 3}, what="a pass of each volume")
    wait_until(lambda: green(server)[0], what="green")
    assert replicas(server)[1] == whole
    assert server.fsck("--deep")[::2] == ([], 0)
    server.stop()


@pytest.mark.parametrize("setting, value", [
    ("scrub-window", "22-6"), ("scrub-window", "25:00-06:00"), ("scrub-period-days", "-1"), ("scrub-period-days", "often"),
    ("refill-rate", "-1"), ("refill-rate", "fast"),
])
def test_a_setting_that_makes_no_sense_is_refused_by_name(tmp_path, setting, value):
    done = subprocess.run([BINARY, "serve", str(tmp_path / "store"), "--set", f"{setting}={value}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and setting in done.stderr, done.stderr


def test_a_volume_directory_that_a_server_has_is_closed_to_a_second_store(server, tmp_path):
    fill(server, 1)
    volumes = ",".join(str(server.volume(number)) for number in (1, 2, 3))
    done = subprocess.run(
        [BINARY, "serve", str(tmp_path / "second"), "--set", f"volumes={volumes}", "--listen", "127.0.0.1:0", "--admin",
         "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "volume-1" in done.stderr, done.stderr
    assert server.client().get_object(Bucket="bucket", Key="k0")["Body"].read().startswith(b"0 ")
