"""The command line: help, JSON, exit statuses, log, keys; on a stopped and on a running store."""

import base64
import contextlib
import json
import os
import pty
import re
import sqlite3
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError
from holdfast import BINARY, Server, holdfast, s3_client, wait_until

COMMANDS = ["init", "serve", "fsck", "log", "log show", "log verify", "log cut", "explain", "rebuild-catalog", "volume", "volume list",
            "volume replace", "volume return", "status", "scrub", "scrub status", "scrub start", "scrub pause", "sink", "sink status", "sink pause",
            "sink resume", "sink replay", "key", "key create", "key list", "key delete", "user", "user create", "user list",
            "user delete", "user policy", "user policy put", "user policy list", "user policy show", "user policy delete",
            "encryption-key", "encryption-key create", "encryption-key list", "encryption-key rotate",
            "encryption-key enable", "encryption-key disable", "snapshot", "snapshot create", "snapshot list", "snapshot show",
            "snapshot diff", "snapshot verify", "snapshot delete", "snapshot prune", "restore", "import", "ls", "rebuild", "drill",
            "repair", "repair list", "repair undo",
            "jobs", "jobs list", "jobs pause", "jobs resume", "jobs run",
            "incident", "incident list", "incident show", "incident report", "incident open", "incident acknowledge",
            "postmortem", "config", "config check", "config list", "doctor", "upgrade"]


@pytest.fixture
def store(server):
    """A running server with a small object, a large one, an overwritten and a deleted one."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="other")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="photos", Key="small", Body=b"first")
    s3.put_object(Bucket="photos", Key="small", Body=b"second")
    s3.put_object(Bucket="photos", Key="large", Body=os.urandom(300_000))
    s3.put_object(Bucket="photos", Key="gone", Body=b"x")
    s3.delete_object(Bucket="photos", Key="gone")
    s3.put_object(Bucket="other", Key="thing", Body=b"y")
    return server


@pytest.fixture(params=["running", "stopped"])
def either(request, store):
    """The store, running or stopped: commands answer alike."""
    if request.param == "stopped":
        store.stop()
    yield store
    if not store.process:
        store.start()


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# Help


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help_with_an_example(command):
    text = holdfast(*command.split(), "--help", check=0).stdout
    assert f"Example:\n  holdfast {command.split()[0] if command else ''}" in text


def test_the_help_names_every_command():
    text = holdfast("--help", check=0).stdout
    assert {command.split()[0] for command in COMMANDS} == set(re.findall(r"^  ([a-z][a-z-]+)  +[A-Z]", text, re.M))


def test_every_command_that_prints_takes_json():
    for command in COMMANDS:
        if command not in ("log", "volume", "key", "user", "user policy", "encryption-key", "snapshot", "repair", "scrub", "incident", "sink", "jobs", "config"):
            assert "--json" in holdfast(*command.split(), "--help").stdout, command


# JSON and exit statuses


def test_json_is_one_object_a_line(either):
    keys = objects(either.command("key", "create", "--json", "--user", "backup", check=0))
    assert keys[0]["user"] == "backup" and len(keys[0]["secretKey"]) == 40
    commands = [["fsck"], ["log"], ["log", "verify"], ["volume", "list"], ["key", "list"],
                ["key", "delete", keys[0]["accessKey"]]]
    for command in commands:
        lines = objects(either.command(*command, "--json", check=0))
        assert lines and all(isinstance(line, dict) for line in lines), command
    lines = objects(either.command("explain", "photos/large", "--json", check=0))
    assert len(lines) == 1 and len(lines[0]["pieces"][0]["replicas"]) == 3


def test_exit_statuses(either, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (["log"], ["log", "verify"], ["volume", "list"], ["key", "list"], ["rebuild-catalog"]):
        done = holdfast(*command, nowhere, check=1)
        assert f"there is no store in {nowhere}: 'holdfast init' makes one" in done.stderr
    assert holdfast("fsck", nowhere).returncode == 8
    assert not nowhere.exists()
    assert either.command("explain", "photos/nothing", check=1).stderr == "holdfast: there is no object nothing\n"
    assert either.command("explain", "nobucket/small", check=1).stderr == "holdfast: there is no bucket nobucket\n"
    assert "is not BUCKET/KEY" in either.command("explain", "photos", check=1).stderr
    assert either.command("log", "--from", "x").returncode == 64
    assert either.command("fsck", "--from", "x").returncode == 16
    assert holdfast("nonsense").returncode == 64
    assert "there is no access key HFX" in either.command("key", "delete", "HFX", check=1).stderr


def test_what_is_not_there_is_said_in_a_sentence(store, tmp_path):
    nowhere = tmp_path / "nowhere"
    for command in (["list"], ["verify"], ["show", "monday"], ["delete", "monday"], ["prune", "--keep-last", "1"]):
        done = holdfast("snapshot", command[0], nowhere, *command[1:], check=1)
        assert f"{nowhere} is not a repository: it is missing or empty" in done.stderr and "volume" not in done.stderr
    restored = store.command("restore", "--from", nowhere, "--snapshot", "monday", "--all", check=1)
    assert f"{nowhere} is not a repository" in restored.stderr
    refs = store.command("fsck", "--refs", nowhere, check=8).stderr
    assert refs.startswith(f"holdfast: {nowhere} cannot be read: ") and "NSCocoa" not in refs
    store.command("user", "create", "alice", check=0)
    done = holdfast("user", "policy", "put", store.directory, "alice", "p", nowhere, check=1)
    assert done.stderr.startswith(f"holdfast: {nowhere} cannot be read: ")
    done = holdfast("serve", store.directory, "--set", "listen")
    assert done.returncode == 64 and "--set takes NAME=VALUE" in done.stderr and "Usage: holdfast serve" in done.stderr


def test_a_part_of_an_upload_under_way_is_named_without_a_version(store):
    s3 = store.client()
    upload = s3.create_multipart_upload(Bucket="photos", Key="film")["UploadId"]
    before = set(store.blobs(2))
    s3.upload_part(Bucket="photos", Key="film", UploadId=upload, PartNumber=1, Body=os.urandom(300_000))
    blob, = set(store.blobs(2)) - before
    store.stop()  # or what reads the part back might mend it first
    blob.unlink()
    text = store.command("fsck", check=4).stdout
    assert "    object: photos/film\n" in text


def test_no_secret_of_a_command_goes_to_the_log(tmp_path):
    with Server(tmp_path / "store", "--set", "log-level=info") as server:
        server.command("user", "create", "alice", "--key-id", "ALICESKEY", "--secret", "not-for-the-log", check=0)
        log = server.errors.read_text()
        assert "command createUser" in log and "not-for-the-log" not in log


def test_init_makes_a_store_where_it_is_told_and_never_twice(tmp_path):
    paths = [tmp_path / f"disk{n}" / "hf" for n in (1, 2, 3)]
    directory = tmp_path / "store"
    lines = objects(holdfast("init", directory, "--volumes", ",".join(map(str, paths)), "--json", check=0))
    assert lines == [{"volumes": [str(path) for path in paths]}]
    assert all((path / "volume.json").exists() for path in paths)
    assert "not empty" in holdfast("init", directory, check=1).stderr
    volumes = objects(holdfast("volume", "list", directory, "--json", check=0))
    assert [volume["path"] for volume in volumes] == [str(path) for path in paths]
    for bad in ("one,two", "one,two,two"):
        assert "setting 'volumes' (--volumes)" in holdfast("init", tmp_path / "bad", "--volumes", bad, check=1).stderr
    with Server(directory) as server:
        server.client().create_bucket(Bucket="photos")
        assert not (directory / "volume-1").exists()


def test_init_refuses_a_directory_with_something_in_it(tmp_path):
    (tmp_path / "store/volume-2").mkdir(parents=True)
    (tmp_path / "store/volume-2/mine").write_text("precious")
    assert f"{tmp_path}/store/volume-2 is not empty" in holdfast("init", tmp_path / "store", check=1).stderr


# log


def test_log_shows_what_is_asked_for(either):
    events = either.log()
    sequences = [event["sequence"] for event in events]
    assert sequences == list(range(1, len(events) + 1))
    assert all({"sequence", "epoch", "time", "chain", "event"} <= event.keys() for event in events)
    # What was confirmed meanwhile is told of, too.
    assert [event["sequence"] for event in either.log("--from", 5)][:len(sequences) - 4] == sequences[4:]
    assert either.log("--from", len(events) + 100) == []
    names = {name for event in either.log("--bucket", "other") for name in event["event"]}
    assert {"bucketCreated", "versionPublished"} <= names and "epochOpened" not in names
    text = either.command("log", "--bucket", "photos", check=0).stdout
    assert text.count("photos/small: version ") == 2 and "photos/gone: delete marker" in text and "other/" not in text


def test_every_upload_is_confirmed_by_an_event(store):
    def confirmed():
        last = store.client().put_object(Bucket="photos", Key="proof", Body=b"?")
        sequence = int(last["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"])
        return wait_until(lambda: [e for e in store.log() if "uploadsConfirmed" in e["event"]
                                   and int(e["event"]["uploadsConfirmed"]["throughSequence"]) >= sequence], what="confirmation")
    event = confirmed()[-1]["event"]["uploadsConfirmed"]
    assert event["volumes"] == [1, 2, 3] and "exceptions" not in event
    assert "read back from volumes 1, 2, 3" in store.command("log").stdout
    explained = objects(store.command("explain", "photos/proof", "--json", check=0))[0]
    assert explained["confirmed"] is True


def test_log_follows_a_running_server(store, spawn):
    process = spawn("log", store.directory, "--follow", "--json", "--bucket", "photos", stderr=subprocess.PIPE)
    # Without an answer in time it ends, and with it the lines.
    timer = threading.Timer(60, process.kill)
    timer.start()
    for number in range(3):
        store.client().put_object(Bucket="photos", Key=f"followed {number}", Body=b"z")
        lines = map(json.loads, iter(process.stdout.readline, ""))
        assert any(line["event"].get("versionPublished", {}).get("key") == f"followed {number}" for line in lines)
    store.stop()
    assert process.wait(30) == 1
    assert "the server is stopping, and the command was broken off" in process.stderr.read()
    timer.cancel()
    store.start()


def test_the_head_of_a_stopped_store_is_part_of_its_log_for_ever(store):
    store.stop()
    first = objects(store.command("log", "verify", "--json", check=0))[0]
    assert objects(store.command("log", "verify", "--json", check=0))[0] == first, "looking adds nothing"
    text = store.command("log", "verify", check=0).stdout.splitlines()
    assert text[-1] == f"event {first['events']}  chain {first['head']}"
    store.start()
    assert store.log("--from", first["events"])[0]["chain"] == first["head"]


def test_log_verify_tells_of_a_changed_event(store):
    segment = min((store.volume(2) / "log").glob("0*.log"))
    with open(segment, "r+b") as file:
        file.seek(file.read().index(b"second") + 2)
        file.write(b"?")
    done = store.command("log", "verify", check=4)
    assert "log.damaged-frame  volume 2" in done.stdout and "volume 1: " in done.stdout
    assert store.fsck("--repair")[2] == 1
    store.command("log", "verify", check=0)


# explain, rebuild-catalog


def test_explain_tells_where_every_byte_is(either):
    large = objects(either.command("explain", "photos/large", "--json", check=0))[0]
    for replica in large["pieces"][0]["replicas"]:
        assert (either.volume(replica["volume"]) / replica["path"]).is_file() and replica["flaws"] == []
    small = objects(either.command("explain", "photos/small", "--json", check=0))[0]
    assert small["pieces"][0]["payloadOfEvent"] == small["sequence"] and small["size"] == 6
    marker = objects(either.command("explain", "photos/gone", "--json", check=0))[0]
    assert marker["deleteMarker"] is True
    older = next(e["event"]["versionPublished"] for e in either.log("--bucket", "photos") if "versionPublished" in e["event"])
    version = base64.b64decode(older["versionId"] if "versionId" in older else older["versionID"]).hex()
    assert objects(either.command("explain", "photos/small", "--version", version, "--json", check=0))[0]["size"] == 5
    path = either.volume(3) / large["pieces"][0]["replicas"][2]["path"]
    path.unlink()
    assert "volume 3" in either.command("explain", "photos/large", check=4).stdout
    either.command("fsck", "--repair", check=1)


def answers(server):
    s3 = server.client()
    parts = [s3.list_buckets()["Buckets"]]
    for bucket in ("photos", "other"):
        versions = s3.list_object_versions(Bucket=bucket)
        parts.append([versions.get("Versions"), versions.get("DeleteMarkers"), s3.list_objects_v2(Bucket=bucket)["Contents"]])
    parts.append([server.command("explain", f"photos/{key}", "--json").stdout for key in ("small", "large", "gone")])
    return parts


def test_a_rebuilt_catalog_gives_the_same_answers(store):
    wait_until(lambda: all('"confirmed":true' in text for text in answers(store)[-1]), what="confirmation")
    before = answers(store)
    catalog = store.directory / "state/catalog.sqlite"
    error = store.command("rebuild-catalog", check=1).stderr
    assert "another process has the store" in error and catalog.exists()
    assert answers(store) == before
    store.stop()
    with contextlib.closing(sqlite3.connect(catalog)) as old:
        old.execute("CREATE TABLE of_the_old_catalog (n)")
    done = objects(store.command("rebuild-catalog", "--json", check=0))
    assert done[0]["events"] > 8
    with contextlib.closing(sqlite3.connect(catalog)) as new:
        tables = {name for name, in new.execute("SELECT name FROM sqlite_master")}
    assert "current" in tables and "of_the_old_catalog" not in tables
    store.start()
    assert answers(store) == before
    assert store.fsck("--deep")[::2] == ([], 0)


# keys


def test_a_key_works_from_its_creation_to_its_deletion(store):
    key = objects(store.command("key", "create", "--user", "backup", "--json", check=0))[0]
    client = s3_client(store.endpoint, key["accessKey"], key["secretKey"])
    client.create_bucket(Bucket="backups")
    client.put_object(Bucket="backups", Key="by backup", Body=b"1")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket="photos", Key="by backup", Body=b"1")
    listed = store.command("key", "list", check=0).stdout
    assert key["accessKey"] in listed and key["secretKey"] not in listed and "TESTACCESSKEY  root  from the server's" in listed
    store.stop()
    assert key["accessKey"] in store.command("key", "list", check=0).stdout
    store.start()
    client = s3_client(store.endpoint, key["accessKey"], key["secretKey"])
    assert client.get_object(Bucket="backups", Key="by backup")["Body"].read() == b"1"
    assert key["accessKey"] in store.command("key", "delete", key["accessKey"], check=0).stdout
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client.get_object(Bucket="backups", Key="by backup")
    assert key["accessKey"] not in store.command("key", "list", check=0).stdout


# Output


def test_progress_goes_to_a_terminal_and_never_into_a_pipe(either):
    done = either.command("fsck", "--deep", check=0)
    assert done.stderr == "" and "%" not in done.stdout and "\r" not in done.stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen([BINARY, "fsck", either.directory, "--deep"], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1000)
        except OSError:  # how Linux says that the other side of a terminal is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    output = process.communicate()[0]
    assert b"%" in shown and b"%" not in output and process.returncode == 0


def test_a_reader_that_goes_away_ends_the_command_quietly(store):
    for number in range(300):
        store.client().put_object(Bucket="other", Key=f"key {number}", Body=b"")
    process = subprocess.Popen([BINARY, "log", store.directory, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    process.wait(30)
    assert b"Fatal" not in process.stderr.read()
    assert store.client().list_buckets()["Buckets"]
