"""Incidents: what is told of damage is what was planted, at every moment, to everyone whose files it was."""

import collections
import csv
import html.parser
import io
import json
import os
import re
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError
from holdfast import BINARY, Server, s3_client, wait_until

SIZE = 200_000
QUIET = 5
NASTY = "=cmd|' /C calc'!A0,\"<script>alert(1)</script>\" ü.bin"


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def incidents(server):
    return lines(server.command("incident", "list", "--json", check=0))


def numbered(server):
    """Without what makes no incident, or none yet."""
    return [incident for incident in incidents(server) if incident["incident"]]


def show(server, number, *flags):
    [shown] = lines(server.command("incident", "show", str(number), "--json", *flags, check=0))
    return shown


def states(shown):
    return {state: count for state, count in shown["totals"]["states"].items() if count}


def flip(path, offset=70_000):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


class Planted:
    """Objects of two owners in three buckets, some of them copies of others; and what is damaged of them."""

    def __init__(self, server, objects=12):
        self.server = server
        self.owners = {}
        self.truth = {}     # (bucket, key) -> the state that it must have
        self.sizes = {}
        self.blob = {}      # (bucket, key) -> name of the file
        self.keys = {}
        for name in ("alice", "bob"):
            identity, access, secret = server.user(name)
            self.keys[name] = access, secret
            self.owners[name] = identity
        self.owner = {}
        plan = [("alice", "photos"), ("alice", "letters"), ("bob", "films")]
        for name, bucket in plan:
            self.client(name).create_bucket(Bucket=bucket)
        for number in range(objects):
            name, bucket = plan[number % 3]
            key = f"{('2025', '2026')[number % 2]}/k{number}"
            self.client(name).put_object(Bucket=bucket, Key=key, Body=os.urandom(SIZE + number))
            self.note(name, bucket, key)
        # Copies share the bytes of what they are copied from.
        self.client("alice").copy_object(Bucket="letters", Key="copies/k0", CopySource="photos/2025/k0")
        self.note("alice", "letters", "copies/k0")
        self.client("bob").put_object(Bucket="films", Key="small", Body=b"in the log")

    def client(self, name):
        """Of the server as it is now: started again, it listens elsewhere."""
        return s3_client(self.server.endpoint, *self.keys[name])

    def note(self, name, bucket, key):
        self.owner[bucket, key] = name

    def find(self):
        """The files of the objects."""
        for place in self.owner:
            [told] = lines(self.server.command("explain", "/".join(place), "--json"))
            self.sizes[place] = told["size"]
            self.blob[place] = told["pieces"][0]["blob"]

    def paths(self, place):
        return [next(p for p in self.server.blobs(n) if p.name == self.blob[place]) for n in (1, 2, 3)]

    def sharing(self, place):
        return [other for other in self.owner if self.blob[other] == self.blob[place]]

    def damage(self, place, *volumes, state):
        for volume in volumes:
            flip(self.paths(place)[volume - 1], 70_000)
        self.set(place, state)

    def set(self, place, state):
        for other in self.sharing(place):
            self.truth[other] = state

    def totals(self, key=lambda place: "all"):
        found = collections.defaultdict(collections.Counter)
        for place, state in self.truth.items():
            found[key(place)][state] += 1
        return found

    def agrees(self, shown):
        """Whether totals, by owner, by bucket and by prefix, and their bytes, are what was planted."""
        counts = lambda group: (dict(group["counts"]["states"]), group["counts"]["bytes"])
        size = lambda places: sum(self.sizes[p] for p in places)
        def expected(key):
            totals = self.totals(key)
            return {name: (dict(states), size([p for p in self.truth if key(p) == name])) for name, states in totals.items()}
        prefix = lambda place: place[0] + "/" + (place[1].split("/")[0] + "/" if "/" in place[1] else "")
        return (shown["totals"]["states"], shown["totals"]["bytes"]) == expected(lambda p: "all").get("all", ({}, 0)) \
            and {g["name"]: counts(g) for g in shown["owners"]} == expected(lambda p: self.owner[p]) \
            and {g["bucket"]: counts(g) for g in shown["buckets"]} == expected(lambda p: p[0]) \
            and {g["bucket"] + "/" + g["prefix"]: counts(g) for g in shown["prefixes"]} == expected(prefix)


FLAGS = ("--set", "scrub-period-days=0", "--set", "incident-findings=3", "--set", f"incident-seconds={QUIET}")


def config(directory):
    """For commands on a stopped store too."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "holdfast.json").write_text(json.dumps(
        {"scrub-period-days": 0, "incident-findings": 3, "incident-seconds": QUIET}))


@pytest.fixture
def server(tmp_path):
    config(tmp_path / "store")
    with Server(tmp_path / "store") as server:
        yield server


def wait_confirmed(server, place):
    wait_until(lambda: lines(server.command("explain", "/".join(place), "--json"))[0]["confirmed"], what="the confirmation")


def wait_agree(server, planted, number):
    try:
        wait_until(lambda: planted.agrees(show(server, number)), seconds=20, what="the truth")
    except AssertionError:
        raise AssertionError(f"planted {planted.truth}, told {show(server, number)}")


@pytest.mark.parametrize("way", ["running", "stopped", "killed"])
def test_totals_are_the_planted_truth(server, way):
    planted = Planted(server)
    places = sorted(planted.owner)
    planted.find()
    for place in places:
        wait_confirmed(server, place)
    assert incidents(server) == []
    if way == "stopped":
        server.stop()
    # One replica, two in different places, all three.
    planted.damage(("photos", "2025/k0"), 1, state="repaired")
    planted.damage(("letters", "2026/k1"), 2, state="repaired")
    for volume, offset in ((1, 10), (3, 150_000)):
        flip(planted.paths(("films", "2025/k2"))[volume - 1], offset)
    planted.set(("films", "2025/k2"), "repaired")
    planted.damage(("photos", "2026/k3"), 1, 2, 3, state="lost")
    planted.paths(("films", "2026/k5"))[0].unlink()
    planted.set(("films", "2026/k5"), "repaired")
    # A check that only looks changes nothing.
    findings, _, status = server.fsck("--deep")
    assert status == 4 and len(findings) >= 5
    assert incidents(server) == []
    findings, _, status = server.fsck("--deep", "--repair")
    assert status == 4
    if way == "killed":
        server.kill()
        server.start()
    [opened] = wait_until(lambda: numbered(server), what="the incident")
    number = opened["incident"]
    assert opened["cause"] == "findings"
    if way != "stopped":
        assert opened["open"]
    wait_agree(server, planted, number)
    if way == "stopped":
        # Another look is the same, and so is the server's.
        assert [i["incident"] for i in incidents(server)] == [number]
        server.start()
        wait_agree(server, planted, number)
    # What was lost comes back.
    for path in planted.paths(("photos", "2026/k3")):
        flip(path)
    planted.client("alice").get_object(Bucket="photos", Key="2026/k3")["Body"].read()
    planted.set(("photos", "2026/k3"), "repaired")
    wait_agree(server, planted, number)
    wait_until(lambda: not incidents(server)[-1]["open"], what="its end")
    assert incidents(server)[-1]["outcome"] == f"{len(planted.truth)} repaired"
    server.kill()
    server.start()
    assert planted.agrees(show(server, number))
    assert [i["incident"] for i in incidents(server)] == [number]
    server.stop()
    server.command("rebuild-catalog", check=0)
    assert planted.agrees(show(server, number))
    assert server.fsck("--deep")[::2] == ([], 0)


def test_what_reads_find_flows_into_the_same_incident(server):
    planted = Planted(server)
    planted.find()
    for place in planted.owner:
        wait_confirmed(server, place)
    [opened] = lines(server.command("incident", "open", "users complain", "--json", check=0))
    for number in range(6):
        place = sorted(planted.owner)[number]
        # Whichever is read first meets it.
        for volume in (1, 2, 3):
            flip(planted.paths(place)[volume - 1], (volume - 1) * 65_536 + 10)
        planted.set(place, "repaired")
    for place in list(planted.truth):
        name = planted.owner[place]
        planted.client(name).get_object(Bucket=place[0], Key=place[1])["Body"].read()
    wait_agree(server, planted, opened["incident"])
    assert [i["incident"] for i in incidents(server)] == [opened["incident"]]


def test_an_older_version_that_is_there_is_named(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="photos", Key="cat", Body=os.urandom(SIZE))["VersionId"]
    before = {path.name for path in server.blobs(1)}
    s3.put_object(Bucket="photos", Key="cat", Body=os.urandom(SIZE))
    wait_confirmed(server, ("photos", "cat"))
    [opened] = lines(server.command("incident", "open", "a person said so", "--json", check=0))
    number = opened["incident"]
    assert opened["cause"] == "operator" and opened["open"]
    for volume in (1, 2, 3):
        [path] = [p for p in server.blobs(volume) if p.name not in before]
        flip(path)
    assert server.fsck("--deep", "--repair")[2] == 4
    wait_until(lambda: states(show(server, number)) == {"older-version-available": 1}, what="the loss")
    report = server.command("incident", "report", str(number), check=0).stdout
    assert f"older-version-available (version {first} of " in report
    page = server.command("incident", "report", str(number), "--format", "html", "--owner", "root", check=0).stdout
    assert first in page and "older version" in page
    wait_until(lambda: not incidents(server)[-1]["open"], what="its end")
    assert incidents(server)[-1]["outcome"] == "1 older-version-available"


def test_what_is_deleted_before_it_is_mended_is_waited_for_no_longer(server):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="cat", Body=os.urandom(SIZE))
    wait_confirmed(server, ("photos", "cat"))
    [opened] = lines(server.command("incident", "open", "look", "--json", check=0))
    for volume in (1, 2, 3):
        flip(server.blobs(volume)[0])
    with pytest.raises(ClientError):
        s3.get_object(Bucket="photos", Key="cat")
    wait_until(lambda: states(show(server, opened["incident"])) == {"lost": 1}, what="the loss")
    s3.delete_object(Bucket="photos", Key="cat")
    wait_until(lambda: not incidents(server)[-1]["open"], what="its end")


# Volumes


def replicas_there(server, planted, volume):
    names = {path.name for path in server.blobs(volume)} if (server.volume(volume) / "blobs").exists() else set()
    return {place for place in planted.owner if planted.blob[place] in names}


def test_a_lost_volume_is_told_of_while_it_is_filled_and_after(tmp_path):
    directory = tmp_path / "store"
    config(directory)
    with Server(directory, "--set", "refill-rate=1000000", "--set", "scrub-period-days=30") as server:
        planted = Planted(server, objects=24)
        planted.find()
        everything = {**planted.owner, ("films", "small"): "bob"}
        for place in planted.owner:
            wait_confirmed(server, place)
        server.volume(2).rename(tmp_path / "broken")
        [opened] = wait_until(lambda: numbered(server), what="the incident")
        number = opened["incident"]
        assert opened["cause"] == "volume" and opened["volume"] == 2 and opened["open"]
        shown = show(server, number)
        assert states(shown) == {"detected": len(everything)} and shown["progress"]["phase"] == "volume out"
        by_owner = collections.Counter(everything.values())
        assert {g["name"]: g["counts"]["versions"] for g in shown["owners"]} == by_owner
        server.volume(2).mkdir()
        thread = threading.Thread(target=lambda: server.command("volume", "replace", "2"))
        thread.start()
        seen = []
        left = []
        while thread.is_alive():
            before = len(replicas_there(server, planted, 2))
            shown = show(server, number)
            after = len(replicas_there(server, planted, 2))
            repaired = states(shown).get("repaired", 0)
            assert shown["totals"]["versions"] == len(everything)
            if shown["progress"]["phase"] == "filling":
                # A copy's bytes are there with its source's, and its event comes last; one object is in the log.
                assert before - 2 <= repaired <= after + 1, (before, repaired, after)
                seen.append(repaired)
                left += [shown["progress"]["secondsLeft"]] if "secondsLeft" in shown["progress"] else []
        thread.join()
        assert len(set(seen)) >= 4 and seen == sorted(seen) and left, seen
        server.wait_in_service()
        assert states(show(server, number)) == {"repaired": len(everything)}
        wait_until(lambda: not incidents(server)[-1]["open"], what="the healing")
        assert incidents(server)[-1]["outcome"] == f"{len(everything)} repaired"
        server.client().put_object(Bucket="films", Key="later", Body=os.urandom(SIZE))
        assert show(server, number)["totals"]["versions"] == len(everything)
    assert [i["incident"] for i in incidents(server)] == [number]
    assert states(show(server, number)) == {"repaired": len(everything)}


def test_a_server_killed_while_it_fills_a_volume_tells_the_truth_afterwards(tmp_path):
    directory = tmp_path / "store"
    config(directory)
    with Server(directory, "--set", "refill-rate=500000", "--set", "scrub-period-days=30") as server:
        planted = Planted(server, objects=9)
        planted.find()
        count = len(planted.owner) + 1
        server.volume(3).rename(tmp_path / "broken")
        [opened] = wait_until(lambda: numbered(server), what="the incident")
        number = opened["incident"]
        server.volume(3).mkdir()
        thread = threading.Thread(target=lambda: server.command("volume", "replace", "3"))
        thread.start()
        wait_until(lambda: states(show(server, number)).get("repaired", 0) >= 2, what="a part of it")
        server.kill()
        thread.join()
        # Nobody serves: what was brought is no volume in service yet.
        told = states(show(server, number))
        assert sum(told.values()) == count and told.get("detected", 0) > 0, told
        server.start()
        assert [i["incident"] for i in incidents(server)] == [number]
        assert sum(states(show(server, number)).values()) == count
        server.wait_in_service()
        assert states(show(server, number)) == {"repaired": count}
        wait_until(lambda: not incidents(server)[-1]["open"], what="the healing")


# Reports


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.links = collections.Counter(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.links += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def reported(server):
    """An incident of two owners, one with an object whose name is meant badly."""
    planted = Planted(server, objects=6)
    planted.client("alice").put_object(Bucket="photos", Key=NASTY, Body=os.urandom(SIZE))
    planted.note("alice", "photos", NASTY)
    planted.client("alice").put_object(Bucket="photos", Key="=plain", Body=os.urandom(SIZE))
    planted.note("alice", "photos", "=plain")
    planted.find()
    for place in planted.owner:
        wait_confirmed(server, place)
    planted.damage(("photos", NASTY), 1, 2, 3, state="lost")
    for place in [("photos", "=plain"), ("films", "2025/k2"), ("films", "2026/k5")]:
        planted.damage(place, 2, state="repaired")
    server.fsck("--deep", "--repair", check=4)
    [opened] = wait_until(lambda: numbered(server), what="the incident")
    wait_agree(server, planted, opened["incident"])
    return server, planted, opened["incident"]


def test_a_csv_names_every_version_and_is_no_formula(reported):
    server, planted, number = reported
    done = subprocess.run([*command(server, "report", number), "--format", "csv"], capture_output=True)
    assert done.returncode == 0 and b"\r\n" in done.stdout and b"\n" not in done.stdout.replace(b"\r\n", b"")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert {(r["bucket"], r["key"].removeprefix("'")): r["state"] for r in rows} == planted.truth
    for row in rows:
        assert not any(cell[:1] in "=+-@\t\r" for cell in row.values() if cell)
        assert row["owner_name"] == planted.owner[row["bucket"], row["key"].removeprefix("'")]
    only = server.command("incident", "report", str(number), "--format", "csv", "--owner", "bob", check=0).stdout
    assert len(list(csv.DictReader(io.StringIO(only)))) == 2


def command(server, action, *arguments):
    return [BINARY, "incident", action, str(server.directory), *map(str, arguments)]


def test_json_lists_the_versions_behind_the_summary(reported):
    server, planted, number = reported
    summary, *versions = lines(server.command("incident", "report", str(number), "--json", check=0))
    assert planted.agrees(summary)
    assert {(v["bucket"], v["key"]): v["state"] for v in versions} == planted.truth
    shown = show(server, number, "--owner", "bob", "--prefix-depth", "2")
    assert states(shown) == {"repaired": 2} and [o["name"] for o in shown["owners"]] == ["bob"]
    shown = show(server, number, "--owner", planted.owners["bob"], "--prefix-depth", "0")
    assert states(shown) == {"repaired": 2} and shown["prefixes"] == []


def test_each_owner_gets_a_page_that_can_be_sent(reported, tmp_path):
    server, planted, number = reported
    pages = tmp_path / "pages"
    files = server.command("incident", "report", str(number), "--format", "html", "--output", str(pages), check=0).stdout.split()
    assert sorted(files) == sorted(str(p) for p in pages.iterdir()) and len(files) == 2
    alice, bob = (next(p for p in pages.iterdir() if name in p.name).read_text() for name in ("alice", "bob"))
    for text in (alice, bob):
        page = Page(text)
        assert page.links == [] and page.tags["script"] == page.tags["img"] == page.tags["link"] == 0
        assert "url(" not in text and "@import" not in text and "@media print" in text
    told = "".join(Page(alice).text)
    assert f"photos/{NASTY}" in told and "<script>" not in alice and "could not be recovered" in told
    assert "films/" not in told and "bob" not in told
    told = "".join(Page(bob).text)
    assert "Nothing of them was lost" in told and "photos/" not in told and "alice" not in told
    assert told.count("films/") == 2 and re.search(r"volume \d", told)
    # One at a time goes to the terminal; two do not.
    assert server.command("incident", "report", str(number), "--format", "html", "--owner", "bob", check=0).stdout.startswith("<!DOCTYPE html>")
    assert "--owner" in server.command("incident", "report", str(number), "--format", "html", check=1).stderr
    assert "nothing of carol" in server.command("incident", "report", str(number), "--owner", "carol", check=1).stderr
    server.stop()
    again = server.command("incident", "report", str(number), "--format", "html", "--owner", "bob", check=0).stdout
    assert [r for r in again.splitlines() if r.startswith("<tr>")] == [r for r in bob.splitlines() if r.startswith("<tr>")]


def test_what_was_told_is_acknowledged(reported):
    server, planted, number = reported
    def acknowledged():
        return {g["name"]: g["counts"]["acknowledged"] for g in show(server, number)["owners"]}
    assert set(acknowledged().values()) == {0}
    done = server.command("incident", "acknowledge", str(number), "--owner", "bob", "--note", "told", "--json", check=0)
    assert lines(done) == [{"incident": number, "acknowledged": 2}]
    assert acknowledged() == {"alice": 0, "bob": 2}
    server.command("incident", "acknowledge", str(number), "photos/=plain", check=0)
    assert acknowledged() == {"alice": 1, "bob": 2}
    for bad in (["--owner", "carol"], ["photos/none"], ["--bucket", "none"]):
        assert "affects nothing" in server.command("incident", "acknowledge", str(number), *bad, check=1).stderr
    server.command("incident", "acknowledge", "999999", check=1)
    server.command("incident", "show", "999999", check=1)
    server.stop()
    server.command("incident", "acknowledge", str(number), check=0)
    assert acknowledged() == {"alice": 2, "bob": 2}
    notes = show(server, number)["acknowledgements"]
    assert notes[0]["note"] == "told" and notes[0]["owner"] == planted.owners["bob"]


def test_explain_names_incidents_and_findings(reported):
    server, planted, number = reported
    [told] = lines(server.command("explain", "films/2025/k2", "--json"))
    assert [(i["incident"], i["state"]) for i in told["incidents"]] == [(number, "repaired")]
    assert any(f["repaired"] and f["volume"] == 2 for f in told["findings"])
    assert f"incident {number}" in server.command("explain", "films/2025/k2").stdout
    head = planted.client("bob").head_object(Bucket="films", Key="2025/k2")["ResponseMetadata"]["HTTPHeaders"]
    assert head["x-holdfast-integrity"] == "repaired"


def test_a_file_that_cannot_be_written_is_an_error(reported, tmp_path):
    server, _, number = reported
    (tmp_path / "file").write_text("x")
    done = server.command("incident", "report", str(number), "--output", str(tmp_path / "file" / "below"))
    assert done.returncode == 1 and done.stderr
