"""`holdfast restore` from a snapshot: every unit, every place, served or stopped, cut off and gone on with."""

import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError
from holdfast import BINARY, Server, holdfast, s3_client, wait_until
from takeover import follow

MIB = 1024 * 1024
BODIES = {"a/small": os.urandom(1000), "a/large": os.urandom(300_000), "b/empty": b"", "b/ü 1": os.urandom(70_000)}


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "backup"


@pytest.fixture
def store(server, repository):
    """Two buckets with objects of two owners, and a snapshot "one" of them."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="other", ObjectOwnership="ObjectWriter")
    for key, body in BODIES.items():
        s3.put_object(Bucket="photos", Key=key, Body=body)
    s3.put_object(Bucket="other", Key="thing", Body=b"thing")
    server.anna, access, secret = server.user("anna")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"CanonicalUser": server.anna}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::other/*"}]}
    s3.put_bucket_policy(Bucket="other", Policy=json.dumps(policy))
    s3_client(server.endpoint, access, secret).put_object(Bucket="other", Key="hers", Body=b"of anna" * 20_000)
    snapshot(server, repository)
    return server


def snapshot(server, repository, name="one"):
    holdfast("snapshot", "create", server.directory, "--to", repository, "--name", name, check=0)


def restore(server, repository, *flags, status=0, name="one"):
    """The outcomes and the summary."""
    done = holdfast("restore", server.directory, "--from", repository, "--snapshot", name, "--json", *flags)
    assert done.returncode == status, done.stderr + done.stdout
    *outcomes, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return outcomes, summary


def actions(outcomes):
    return {f"{o['bucket']}/{o['key']}": o["action"] for o in outcomes}


def body(server, key, bucket="photos", **more):
    return server.client().get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def remove(server, *keys, bucket="photos"):
    for key in keys:
        server.client().delete_object(Bucket=bucket, Key=key)


UNITS = {
    "all": (["--all"], {"photos/a/small", "photos/a/large", "photos/b/empty", "photos/b/ü 1", "other/thing", "other/hers"}),
    "bucket": (["--bucket", "photos"], {"photos/a/small", "photos/a/large", "photos/b/empty", "photos/b/ü 1"}),
    "prefix": (["--bucket", "photos", "--prefix", "b/"], {"photos/b/empty", "photos/b/ü 1"}),
    "key": (["--bucket", "photos", "--key", "a/large"], {"photos/a/large"}),
    "owner": (["--owner", "anna"], {"other/hers"}),
    "owner in bucket": (["--owner", "anna", "--bucket", "photos"], set()),
}


@pytest.mark.parametrize("stopped", [False, True], ids=["served", "stopped"])
@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_planned_restored_and_then_present(store, repository, unit, stopped):
    flags, expected = UNITS[unit]
    remove(store, *BODIES)
    remove(store, "thing", "hers", bucket="other")
    if stopped:
        store.stop()
    head = store.log()[-1]["sequence"]
    plan, planned = restore(store, repository, *flags, "--dry-run")
    if stopped:
        assert store.log()[-1]["sequence"] == head, "a plan changes nothing"
    else:
        assert not store.client().list_objects_v2(Bucket="photos").get("Contents")
    outcomes, summary = restore(store, repository, *flags)
    assert actions(outcomes) == actions(plan) == {name: "restored" for name in expected}
    assert summary["total"] == planned["total"] and summary["owners"] == planned["owners"]
    again, summary = restore(store, repository, *flags)
    assert actions(again) == {name: "present" for name in expected} and summary["total"]["restored"] == 0
    if stopped:
        store.start()
    found = {f"{bucket}/{o['Key']}" for bucket in ("photos", "other")
             for o in store.client().list_objects_v2(Bucket=bucket).get("Contents", [])}
    assert found == expected
    for name in expected:
        bucket, key = name.split("/", 1)
        if bucket == "photos":
            assert body(store, key) == BODIES[key]
    findings, _, status = store.fsck("--deep")
    assert findings == [] and status == 0


def test_into_another_bucket_and_out_to_a_folder(store, repository, tmp_path):
    outcomes, _ = restore(store, repository, "--bucket", "photos", "--into", "copy")
    assert set(actions(outcomes).values()) == {"restored"}
    for key, expected in BODIES.items():
        assert body(store, key, "copy") == expected and body(store, key) == expected
    folder = tmp_path / "out"
    plan, _ = restore(store, repository, "--all", "--out", folder, "--dry-run")
    assert not folder.exists()
    head = store.log()[-1]["sequence"]
    outcomes, summary = restore(store, repository, "--all", "--out", folder)
    assert actions(outcomes) == actions(plan) and summary["total"]["restored"] == 6
    assert not [e for e in store.log("--from", head + 1) if "versionPublished" in e["event"]]
    for key, expected in BODIES.items():
        assert (folder / "photos" / key).read_bytes() == expected
    outcomes, _ = restore(store, repository, "--all", "--out", folder)
    assert set(actions(outcomes).values()) == {"present"}


def test_keys_that_no_file_can_have_are_written_under_the_folder(server, repository, tmp_path):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    keys = ["../../evil", "/rooted", "a//b", "x" * 1000, "per%cent", "trailing/"]
    for key in keys:
        s3.put_object(Bucket="photos", Key=key, Body=key.encode())
    snapshot(server, repository)
    folder = tmp_path / "deep" / "out"
    outcomes, _ = restore(server, repository, "--all", "--out", folder)
    assert {o["key"]: o["action"] for o in outcomes} == {key: "restored" for key in keys}
    written = [p for p in folder.rglob("*") if p.is_file()]
    assert sorted(p.read_bytes() for p in written) == sorted(key.encode() for key in keys)
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"out"}


def test_a_newer_version_stays_unless_told_otherwise(store, repository):
    store.client().put_object(Bucket="photos", Key="a/large", Body=b"newer")
    outcomes, _ = restore(store, repository, "--bucket", "photos")
    assert actions(outcomes)["photos/a/large"] == "newer" and body(store, "a/large") == b"newer"
    outcomes, _ = restore(store, repository, "--bucket", "photos", "--key", "a/large", "--overwrite")
    assert actions(outcomes) == {"photos/a/large": "restored"} and body(store, "a/large") == BODIES["a/large"]


def test_versions_come_back_by_their_id_and_nothing_older_goes(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket="photos", Key="k", Body=b"v%d" % n * 30_000)["VersionId"] for n in range(3)]
    snapshot(server, repository)
    s3.delete_object(Bucket="photos", Key="k")
    outcomes, _ = restore(server, repository, "--bucket", "photos", "--key", "k", "--version", ids[0])
    assert [o["version"] for o in outcomes] == [ids[0]]
    assert body(server, "k") == b"v0" * 30_000
    listed = s3.list_object_versions(Bucket="photos")
    assert len(listed["Versions"]) == 4 and len(listed["DeleteMarkers"]) == 1
    assert listed["Versions"][0]["VersionId"] not in ids


def test_what_an_object_has_besides_bytes_comes_back(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos", ObjectLockEnabledForBucket=True)
    until = "2099-01-01T00:00:00Z"
    s3.put_object(
        Bucket="photos", Key="k", Body=b"x" * 100_000, ContentType="image/png", CacheControl="no-store",
        Metadata={"who": "me"}, Tagging="team=blue&cost=3", ChecksumAlgorithm="SHA256",
        ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")
    upload = s3.create_multipart_upload(Bucket="photos", Key="parts", ContentType="video/mp4")["UploadId"]
    parts = [os.urandom(5 * MIB), os.urandom(1234)]
    done = [{"PartNumber": n + 1, "ETag": s3.upload_part(
        Bucket="photos", Key="parts", UploadId=upload, PartNumber=n + 1, Body=part)["ETag"]} for n, part in enumerate(parts)]
    s3.complete_multipart_upload(Bucket="photos", Key="parts", UploadId=upload, MultipartUpload={"Parts": done})
    names = ["ContentType", "CacheControl", "Metadata", "ETag", "ContentLength", "ChecksumSHA256", "ObjectLockMode",
             "ObjectLockLegalHoldStatus", "ObjectLockRetainUntilDate"]

    def heads():
        head = {key: s3.head_object(Bucket="photos", Key=key, ChecksumMode="ENABLED") for key in ("k", "parts")}
        return {key: {name: value.get(name) for name in names} for key, value in head.items()}

    def second_part():
        return s3.get_object(Bucket="photos", Key="parts", PartNumber=2)["Body"].read()
    before = heads()
    assert before["parts"]["ETag"].endswith('-2"') and before["k"]["ChecksumSHA256"]
    snapshot(server, repository)
    s3.delete_object(Bucket="photos", Key="k")
    s3.delete_object(Bucket="photos", Key="parts")
    outcomes, _ = restore(server, repository, "--bucket", "photos")
    assert set(actions(outcomes).values()) == {"restored"}
    assert heads() == before
    assert second_part() == parts[1] and body(server, "parts") == b"".join(parts)
    tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket="photos", Key="k")["TagSet"]}
    assert tags == {"team": "blue", "cost": "3"}


def test_owners_come_back_with_an_account_each(store, repository):
    remove(store, "hers", "thing", bucket="other")
    _, summary = restore(store, repository, "--bucket", "other")
    assert summary["owners"]["anna"]["restored"] == 1 and summary["owners"]["root"]["restored"] == 1
    [ended] = [e["event"]["restoreEnded"] for e in store.log() if "restoreEnded" in e["event"]]
    assert ended["snapshot"] == "one" and ended["unit"] == "bucket other" and ended["complete"] and "unnoted" not in summary
    accounts = {account["owner"]: account for account in ended["owners"]}
    assert accounts[store.anna]["ownerDisplayName"] == "anna" and accounts[store.anna]["restoredBytes"] == "140000"
    assert {account["restored"] for account in accounts.values()} == {"1"} and len(accounts) == 2
    [line] = [line for line in store.command("log", check=0).stdout.splitlines() if "restore of bucket other" in line]
    assert "from snapshot one in" in line and "owner anna: 1 restored of 140000 bytes" in line
    [hers] = [o for o in store.client().list_objects_v2(Bucket="other", FetchOwner=True)["Contents"] if o["Key"] == "hers"]
    assert hers["Owner"]["ID"] == store.anna


def test_an_owner_is_found_by_name_whatever_is_shown(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos", ObjectOwnership="ObjectWriter")
    users = {"anna": server.user("anna", "--display-name", "Anna B."), "bert": server.user("bert", "--display-name", "anna")}
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"CanonicalUser": identity}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::photos/*"}
        for identity, _, _ in users.values()]}
    s3.put_bucket_policy(Bucket="photos", Policy=json.dumps(policy))
    for name, (_, access, secret) in users.items():
        s3_client(server.endpoint, access, secret).put_object(Bucket="photos", Key=name, Body=name.encode())
    s3.put_object(Bucket="photos", Key="root", Body=b"root")
    snapshot(server, repository)
    for owner, key in [("anna", "anna"), ("Anna B.", "anna"), ("bert", "bert"), (users["bert"][0], "bert"), ("root", "root")]:
        remove(server, "anna", "bert", "root")
        outcomes, _ = restore(server, repository, "--owner", owner)
        assert actions(outcomes) == {f"photos/{key}": "restored"}, owner


def test_enciphered_objects_come_back_without_any_key(tmp_path, repository):
    with Server(tmp_path / "store", "--set", "sse-c-over-http=true") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
        plain = os.urandom(200_000)
        s3.put_object(Bucket="photos", Key="mine", Body=plain, **key)
        s3.put_object(Bucket="photos", Key="stores", Body=plain, ServerSideEncryption="AES256")
        s3.put_object(Bucket="photos", Key="tiny", Body=b"secret", ServerSideEncryption="aws:kms")
        snapshot(server, repository)
        remove(server, "mine", "stores", "tiny")
        folder = tmp_path / "out"
        outcomes, _ = restore(server, repository, "--all", "--out", folder, status=4)
        assert set(actions(outcomes).values()) == {"failed"} and "enciphered" in outcomes[0]["detail"]
        outcomes, _ = restore(server, repository, "--all")
        assert set(actions(outcomes).values()) == {"restored"}
        assert body(server, "mine", **key) == plain and body(server, "stores") == plain and body(server, "tiny") == b"secret"
        with pytest.raises(ClientError):
            body(server, "mine")


def removed(server, repository, count):
    """Objects that a snapshot has, and the store no more."""
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = {f"k{n:02}": os.urandom(MIB) for n in range(count)}
    for key, value in bodies.items():
        s3.put_object(Bucket="photos", Key=key, Body=value)
    snapshot(server, repository)
    remove(server, *bodies)
    return bodies


def test_a_restore_that_is_killed_is_finished_by_giving_it_again(server, repository):
    bodies = removed(server, repository, 24)
    # First the server dies while it restores for a command, then a command that has the store to itself.
    for stopped in (False, True):
        if stopped:
            server.stop()
        command = subprocess.Popen(
            [BINARY, "restore", server.directory, "--from", repository, "--snapshot", "one", "--all", "--rate", "8", "--json"],
            stdout=subprocess.PIPE, text=True)
        lines = [json.loads(command.stdout.readline())]
        while lines[-1]["action"] == "present":
            lines.append(json.loads(command.stdout.readline()))
        assert lines[-1]["action"] == "restored"
        if stopped:
            command.send_signal(signal.SIGKILL)
            command.wait(60)
        else:
            server.kill()
            assert command.wait(60) != 0
            server.start()
        command.stdout.close()
    server.start()
    outcomes, summary = restore(server, repository, "--all")
    assert summary["total"]["present"] >= 2 and summary["total"]["restored"] > 0
    assert summary["total"]["present"] + summary["total"]["restored"] == 24
    for key, value in bodies.items():
        assert body(server, key) == value
    findings, _, status = server.fsck("--deep")
    assert findings == [] and status == 0
    assert not [p for p in (server.directory / "state").iterdir() if p.name.startswith("snapshot-")]


def test_a_restore_ends_with_the_server_that_carries_it_out_and_holds_up_nobody_who_takes_over(server, repository):
    bodies = removed(server, repository, 30)
    command = subprocess.Popen(
        [BINARY, "restore", server.directory, "--from", repository, "--snapshot", "one", "--all", "--rate", "1", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert json.loads(command.stdout.readline())["action"] == "restored"
    follow(server)
    _, errors = command.communicate(timeout=60)
    assert command.returncode not in (0, 4) and "the server is stopping, and the command was broken off" in errors
    assert "left behind" not in server.errors.read_text()
    outcomes, summary = restore(server, repository, "--all")
    assert 1 <= summary["total"]["present"] < 30 and summary["total"]["present"] + summary["total"]["restored"] == 30
    assert all(body(server, key) == value for key, value in bodies.items())


def test_a_rate_bounds_a_restore(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(4):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(MIB))
    snapshot(server, repository)
    remove(server, *(f"k{n}" for n in range(4)))
    start = time.monotonic()
    restore(server, repository, "--all", "--rate", "2")
    assert time.monotonic() - start >= 1.9


# Only what is damaged


def damage_blob(server, number, offset=1000, volumes=(1, 2, 3)):
    """Damages the replicas of one blob, in the order of their names; returns their paths."""
    paths = [server.blobs(volume)[number] for volume in volumes]
    for path in paths:
        with open(path, "r+b") as file:
            file.seek(offset)
            old = file.read(4)
            file.seek(offset)
            file.write(bytes(b ^ 0xFF for b in old))
    return paths


def damage_payload(server, payload, volumes=(1, 2, 3)):
    """Damages the bytes of a small object in the log."""
    for volume in volumes:
        for path in (server.volume(volume) / "log").glob("0*.log"):
            with open(path, "r+b") as file:
                place = file.read().find(payload)
                if place < 0:
                    continue
                file.seek(place)
                file.write(b"\0damaged\0")
                break
        else:
            raise AssertionError(f"volume {volume} has no such payload")


def hashes(server):
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for n in (1, 2, 3) for path in server.blobs(n)}


@pytest.mark.parametrize("stopped", [False, True], ids=["served", "stopped"])
def test_only_what_is_damaged_changes(server, repository, stopped):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = {f"k{n:03}": os.urandom(66_000 + n) for n in range(100)}
    versions = {}
    for key, value in bodies.items():
        s3.put_object(Bucket="photos", Key=key, Body=value)
    snapshot(server, repository)
    server.stop()
    before = hashes(server)
    damaged = {str(path) for number in range(0, 100, 10) for path in damage_blob(server, number)}
    gone = {str(server.blobs(volume)[55]) for volume in (1, 2, 3)}
    for path in gone:
        os.unlink(path)
    if not stopped:
        server.start()
    plan, planned = restore(server, repository, "--damaged-only", "--all", "--dry-run")
    outcomes, summary = restore(server, repository, "--damaged-only", "--all")
    assert actions(plan) == actions(outcomes) and len(outcomes) == 11
    assert summary["total"] == planned["total"] and summary["total"]["restored"] == 11
    after = hashes(server)
    assert after == before, "every file is what it was before the damage, and no other was made"
    if stopped:
        server.start()
    for key, value in bodies.items():
        assert body(server, key) == value
    events = [e["event"]["replicaRepaired"] for e in server.log() if "replicaRepaired" in e["event"]]
    assert len([e for e in events if e["source"] == "snapshot one"]) == 11
    outcomes, summary = restore(server, repository, "--damaged-only", "--all")
    assert outcomes == [] and summary["total"]["restored"] == 0
    assert len(damaged | gone) == 33


def test_small_objects_damaged_on_every_mirror_come_back_in_place(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = {f"k{n:02}": os.urandom(2000) for n in range(20)}
    for key, value in bodies.items():
        s3.put_object(Bucket="photos", Key=key, Body=value)
    snapshot(server, repository)
    s3.put_object(Bucket="photos", Key="later", Body=b"later" * 300)
    ids = {o["Key"]: o["LastModified"] for o in s3.list_objects_v2(Bucket="photos")["Contents"]}
    damaged = ["k03", "k04", "k11"]
    for key in damaged:
        damage_payload(server, bodies[key])
    damage_payload(server, bodies["k15"], volumes=(1,))
    head = int(s3.put_object(Bucket="photos", Key="last", Body=b"")["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"])
    damage_payload(server, b"later" * 300)
    for key in damaged:
        with pytest.raises(ClientError):
            body(server, key)
    plan, _ = restore(server, repository, "--damaged-only", "--bucket", "photos", "--dry-run", status=4)
    outcomes, summary = restore(server, repository, "--damaged-only", "--bucket", "photos", status=4)
    assert actions(outcomes) == actions(plan) == {f"photos/{key}": "restored" for key in damaged} | {"photos/later": "failed"}
    for key, value in bodies.items():
        assert body(server, key) == value
    assert ids.items() <= {o["Key"]: o["LastModified"] for o in s3.list_objects_v2(Bucket="photos")["Contents"]}.items()
    mended = [e["event"]["replicaRepaired"] for e in server.log("--from", head) if "replicaRepaired" in e["event"]]
    mended = [e for e in mended if e["source"] == "snapshot one"]
    assert sorted((e["finding"]["key"], e["finding"]["volume"]) for e in mended) == [(k, v) for k in damaged for v in (1, 2, 3)]
    assert all((server.volume(e["finding"]["volume"]) / e["quarantined"]).exists() for e in mended)


def test_what_the_repository_has_damaged_too_is_said_and_left(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(3):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(100_000))
    snapshot(server, repository)
    server.stop()
    damage_blob(server, 0)
    damage_blob(server, 1)
    name = server.blobs(1)[0].name
    [copy] = [p for p in (repository / "blobs").rglob(name)]
    with open(copy, "r+b") as file:
        file.seek(5)
        file.write(b"bad")
    before = hashes(server)
    outcomes, summary = restore(server, repository, "--damaged-only", "--all", status=4)
    assert summary["total"]["restored"] == 1 and summary["total"]["failed"] == 1
    changed = {path for path, digest in hashes(server).items() if before[path] != digest}
    assert len(changed) == 3 and not [p for p in changed if p.endswith(name)]


def test_what_is_there_without_its_bytes_is_no_success(server, repository):
    content = os.urandom(100_000)
    server.client().create_bucket(Bucket="photos")
    server.client().put_object(Bucket="photos", Key="k", Body=content)
    snapshot(server, repository)
    server.stop()
    for volume in (1, 2, 3):
        [path] = server.blobs(volume)
        os.unlink(path)
    outcomes, _ = restore(server, repository, "--bucket", "photos", status=4)
    assert actions(outcomes) == {"photos/k": "failed"} and "--damaged-only" in outcomes[0]["detail"]
    outcomes, _ = restore(server, repository, "--bucket", "photos", "--overwrite")
    assert actions(outcomes) == {"photos/k": "restored"}
    server.start()
    assert body(server, "k") == content


# What cannot be done


def test_what_cannot_be_restored_is_said_by_name(store, repository, tmp_path):
    def fails(*flags, status=1):
        done = holdfast("restore", store.directory, *flags)
        assert done.returncode == status, done.stderr
        return done.stderr
    source = ["--from", repository, "--snapshot", "one"]
    assert "no snapshot two" in fails("--from", repository, "--snapshot", "two", "--all")
    assert "there is no bucket nothing" in fails(*source, "--bucket", "nothing")
    assert "there is no object a/smal" in fails(*source, "--bucket", "photos", "--key", "a/smal")
    assert "has no version 12" in fails(*source, "--bucket", "photos", "--key", "a/small", "--version", "12")
    assert "there is no user 'ana'" in fails(*source, "--owner", "ana")
    nothing = holdfast("restore", store.directory, *source, "--bucket", "photos", "--prefix", "c/", check=0)
    assert "nothing is there of what was asked for: bucket photos, prefix c/" in nothing.stdout
    assert str(tmp_path / "none") in fails("--from", tmp_path / "none", "--snapshot", "one", "--all")
    assert "say what to restore" in fails(*source, status=64)
    assert "say from where" in fails("--all", status=64)
    assert "say from where" in fails(*source, "--at", "5", "--all", status=64)
    assert "--key" in fails(*source, "--all", "--version", "null", status=64)
    assert "--from and --snapshot" in fails("--at", "5", "--damaged-only", status=64)
    assert "exclude" in fails(*source, "--bucket", "photos", "--into", "x", "--out", "y", status=64)
    assert "--into goes with --bucket" in fails(*source, "--all", "--into", "x", status=64)
    assert "--into goes with --bucket" in fails(*source, "--owner", "anna", "--into", "x", status=64)
    assert "is none of these" in fails("--at", "yesterday", "--all", status=64)
