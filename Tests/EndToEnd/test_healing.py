"""What a server does by itself to heal, and that it can be kept from it."""

import itertools
import os
import shutil

import pytest
from faults import slow_disk, wait_confirmed
from holdfast import Server, wait_until


def acted(server):
    """What the log says that the server did: action, what to, why."""
    found = [event["event"]["healingActed"] for event in server.log() if "healingActed" in event["event"]]
    return [(item["action"], item["subject"], item["reason"]) for item in found]


def leave_and_return(server, number):
    away = server.volume(number).with_name("away")
    server.volume(number).rename(away)
    wait_until(lambda: server.standings()[number]["standing"] == "set aside", what="the volume set aside")
    if server.volume(number).exists():
        shutil.rmtree(server.volume(number))
    away.rename(server.volume(number))


def test_a_volume_that_keeps_leaving_stays_aside_until_it_is_wanted_back(tmp_path):
    with Server(tmp_path / "store", "--set", "heal-returns-per-hour=2") as server:
        server.client().create_bucket(Bucket="bucket")
        for _ in range(2):
            leave_and_return(server, 2)
            server.wait_in_service()
        leave_and_return(server, 2)
        wait_until(lambda: "volume return" in server.standings()[2].get("reason", ""), what="the volume held")
        server.client().put_object(Bucket="bucket", Key="k", Body=os.urandom(100_000))
        assert server.standings()[2]["standing"] == "set aside"
        assert "came back 2 times within an hour" in server.standings()[2]["reason"]
        assert "is in good standing" in server.command("volume", "return", "1", check=1).stderr
        assert "there is no volume 7" in server.command("volume", "return", "7", check=1).stderr
        server.command("volume", "return", "2", check=0)
        server.wait_in_service()
        assert [(action, subject) for action, subject, _ in acted(server)] == [
            ("hold-volume", "volume 2"), ("release-volume", "volume 2")]
        server.stop()
        assert "no server has the store" in server.command("volume", "return", "2", check=1).stderr
        assert server.fsck("--deep", check=0)


def test_volumes_come_back_only_when_wanted_where_healing_is_off(tmp_path):
    with Server(tmp_path / "store", "--set", "healing=none") as server:
        leave_and_return(server, 3)
        wait_until(lambda: "does not bring volumes back" in server.standings()[3].get("reason", ""), what="the volume held")
        server.command("volume", "return", "3", check=0)
        server.wait_in_service()


@pytest.mark.parametrize("healing", ["all", "volumes,jobs,space"])
def test_damage_is_mended_unless_the_settings_say_otherwise(tmp_path, healing):
    with Server(tmp_path / "store", "--set", f"healing={healing}") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="bucket")
        body = os.urandom(200_000)
        s3.put_object(Bucket="bucket", Key="k", Body=body)
        wait_confirmed(server)
        [blob] = server.blobs(2)
        with open(blob, "r+b") as file:
            file.seek(70_000)
            file.write(b"\0" * 100)
        server.command("scrub", "start", "--volume", "2", check=0)
        kinds = lambda: [kind for event in server.log() for kind in event["event"]
                         if kind in ("findingRecorded", "replicaRepaired")]
        wait_until(lambda: "findingRecorded" in kinds(), what="the finding")
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
        if healing == "all":
            wait_until(lambda: "replicaRepaired" in kinds(), what="the repair")
            wait_until(lambda: server.command("status").returncode == 0, what="green")
        else:
            # Everything that would mend it has had its turn when another pass is complete.
            passes = lambda: [event for event in server.log() if event["event"].get("scrubAdvanced", {}).get("complete")]
            before = len(passes())
            server.command("scrub", "start", "--volume", "2", check=0)
            wait_until(lambda: len(passes()) > before, what="another pass")
            assert kinds() == ["findingRecorded"]
            assert "a finding is open" in server.command("status", check=4).stdout
            server.stop()
            assert server.fsck("--deep", "--repair", check=1)


def test_space_is_given_back_early_where_there_is_little(tmp_path):
    with Server(tmp_path / "store", "--set", "heal-free-percent=99", "--set", "history-hours=0") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="bucket")
        wait_until(lambda: acted(server), what="the event")
        [(action, subject, reason)] = acted(server)
        assert action == "reclaim-early" and subject.startswith("volume ") and "less than 99 %" in reason
        s3.put_object(Bucket="bucket", Key="k", Body=os.urandom(200_000))
        s3.delete_object(Bucket="bucket", Key="k")
        wait_until(lambda: not server.blobs(1), what="the space given back", seconds=120)
        assert len(acted(server)) == 1


def test_a_disk_that_answers_and_is_much_slower_than_the_others_keeps_no_write_waiting_for_long(tmp_path, monkeypatch):
    control = tmp_path / "slow"
    store = tmp_path / "store"
    for name, value in {"LD_PRELOAD": slow_disk(tmp_path), "HOLDFAST_SLOW_BELOW": f"{store}/volume-2/",
                        "HOLDFAST_SLOW_WHILE": control, "HOLDFAST_SLOW_SECONDS": 1}.items():
        monkeypatch.setenv(name, str(value))
    with Server(store) as server:
        s3 = server.client()
        s3.create_bucket(Bucket="bucket")
        keys = itertools.count()

        def set_aside():
            s3.put_object(Bucket="bucket", Key=f"k{next(keys)}", Body=b"x")
            return [event["event"]["volumeSetAside"] for event in server.log() if "volumeSetAside" in event["event"]]

        control.touch()
        wait_until(set_aside, seconds=120, what="the slow volume set aside")
        # It comes back by itself, and is not slow any more.
        control.unlink()
        server.wait_in_service()
        events = set_aside()
        assert {event["volume"] for event in events} == {2}
        assert "to make a batch durable, the others less than" in events[0]["reason"]
        assert server.fsck("--deep")[::2] == ([], 0)
