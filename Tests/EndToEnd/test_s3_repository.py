"""A repository at an S3 endpoint, which here is another Holdfast: whole, cut off, refused, robbed."""

import concurrent.futures
import contextlib
import datetime
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config
from certificates import Authority, replace
from holdfast import ACCESS_KEY, BINARY, SECRET_KEY, Server, holdfast, wait_until
from proxy import Proxy


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The endpoint."""
    with Server(tmp_path_factory.mktemp("elsewhere") / "store") as server:
        yield server


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "backup.json"
    path.write_text(json.dumps({"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}))
    path.chmod(0o600)
    return path


names = iter(f"backup-{n}" for n in range(1000))


@pytest.fixture
def place(elsewhere, credentials):
    """Gives the repository's place; `port` is of another way to the same endpoint."""
    bucket = next(names)

    class Place:
        def __init__(self):
            self.bucket = bucket
            self.client = elsewhere.client()

        def make(self, **options):
            self.client.create_bucket(Bucket=bucket, **options)
            return self

        def at(self, port=None, **items):
            items = {"endpoint": f"http://127.0.0.1:{port or elsewhere.port}", "credentials": credentials, **items}
            return f"s3://{bucket}/of/store?" + "&".join(f"{k.replace('_', '-')}={v}" for k, v in items.items())

        def keys(self):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}

    return Place()


def create(server, repository, name=None, status=0):
    flags = ["--name", name] if name else []
    done = holdfast("snapshot", "create", server.directory, "--to", repository, "--json", *flags)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def lines(*arguments, status=0):
    done = holdfast(*arguments, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def fill(s3, prefix="", count=6, size=40_000):
    bodies = {f"{prefix}{n}": os.urandom(size * n) for n in range(count)}
    for key, body in bodies.items():
        s3.put_object(Bucket="photos", Key=key, Body=body)
    return bodies


def restored(tmp_path, repository, name, bodies, status=0):
    """Makes a store of the repository alone, and compares."""
    target = tmp_path / f"again-{name}"
    done = holdfast("restore", target, "--from", repository, "--snapshot", name, "--all")
    assert done.returncode == status, done.stderr
    (target / "state").mkdir(exist_ok=True)
    with Server(target) as again:
        s3 = again.client()
        for key, body in bodies.items():
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body, key
        assert again.fsck("--deep")[2] == 0


@pytest.mark.parametrize("stopped", [False, True])
def test_a_store_comes_back_from_an_endpoint_alone(server, place, tmp_path, stopped):
    place.make()
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3)
    if stopped:
        server.stop()
    first = create(server, place.at(), "first")
    assert first["snapshot"]["versions"] == 6 and first["blobs"] == 4
    before = place.keys()
    assert "of/store/snapshots/first.json" in before and "of/store/volume.json" in before
    if stopped:
        server.start()
        s3 = server.client()
    bodies["big"] = os.urandom(20_000_000)
    s3.put_object(Bucket="photos", Key="big", Body=bodies["big"])
    second = create(server, place.at(), "second")
    assert second["blobs"] == 1 and second["snapshot"]["parent"] == "first"
    assert all(place.keys()[key] == size for key, size in before.items()), "what is there is not put again"
    big = [k for k, size in place.keys().items() if size > 20_000_000]
    assert len(big) == 1 and place.client.head_object(Bucket=place.bucket, Key=big[0])["ETag"].endswith('-3"')
    assert [s["name"] for s in lines("snapshot", "list", place.at())] == ["first", "second"]
    assert lines("snapshot", "show", place.at(), "second") == [second["snapshot"]]
    *flaws, summary = lines("snapshot", "verify", place.at(), "--read-data", "100")
    assert flaws == [] and summary["blobsRead"] == 5
    assert lines("snapshot", "diff", place.at(), "first", "second")[-1]["added"] == 1
    assert lines("drill", place.at(), "--sample", "3")[-1]["failures"] == 0
    s3.delete_object(Bucket="photos", Key="5")
    holdfast("restore", server.directory, "--from", place.at(), "--snapshot", "first", "--bucket", "photos", check=0)
    assert s3.get_object(Bucket="photos", Key="5")["Body"].read() == bodies["5"]
    restored(tmp_path, place.at(), "second", bodies)
    [report] = lines("snapshot", "prune", place.at(), "--keep-last", "1")
    assert report["deleted"] == ["first"] and report["locked"] == []
    [report] = lines("snapshot", "delete", place.at(), "second")
    assert report["blobs"] == 5
    # Besides the log, what is left says how far a check came.
    assert not [k for k in place.keys() if "/blobs/" in k or "/snapshots/" in k and not k.endswith("/snapshots/verified")]


@pytest.mark.parametrize("versions", ["Suspended", "Enabled"])
def test_a_prune_gives_the_space_of_small_objects_in_the_log_back(server, place, tmp_path, versions):
    place.make()
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": versions})

    def log_size():
        pages = place.client.get_paginator("list_object_versions").paginate(Bucket=place.bucket, Prefix="of/store/log/")
        return sum(o["Size"] for page in pages for o in page.get("Versions", []))

    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = {f"small/{n:04}": os.urandom(60_000) for n in range(1200)}  # more than a segment of 64 MiB
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket="photos", Key=key, Body=bodies[key]), bodies))
    create(server, place.at(), "first")
    kept = {key: bodies.pop(key) for key in list(bodies)[::50]}
    for start in range(0, len(bodies), 1000):
        objects = [{"Key": key} for key in list(bodies)[start:start + 1000]]
        assert "Errors" not in s3.delete_objects(Bucket="photos", Delete={"Objects": objects})
    create(server, place.at(), "second")
    before = log_size()
    [report] = lines("snapshot", "prune", place.at(), "--keep-last", "1")
    assert report["payloads"] > 800 and report["payloadBytes"] > 800 * 60_000
    assert report["lockedSegments"] == 0 and report["damagedSegments"] == 0
    assert log_size() == before - report["payloadBytes"], "nothing is left of what was there before"
    assert lines("snapshot", "verify", place.at(), "--read-data", "100")[-1]["flaws"] == 0
    create(server, place.at(), "third")
    restored(tmp_path, place.at(), "third", kept)


def test_the_log_goes_on_in_objects_of_its_own(server, place):
    place.make()
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    for n in range(4):
        fill(s3, f"{n}/", 20, size=1000)
        create(server, place.at(), f"s{n}")
    parts = [k for k in place.keys() if "/log/" in k]
    assert len(parts) == 4 and sum("~" in k for k in parts) == 3
    assert lines("snapshot", "verify", place.at(), "--read-data", "100")[-1]["flaws"] == 0
    assert lines("drill", place.at(), "--snapshot", "s0")[-1]["failures"] == 0


@pytest.fixture
def proxied(elsewhere):
    with contextlib.ExitStack() as stack:
        def start(harm=lambda n: None, **more):
            proxy = Proxy(elsewhere.port, harm, **more)
            stack.callback(proxy.close)
            return proxy
        yield start


def test_an_endpoint_that_fails_at_random_is_asked_again(server, place, proxied, tmp_path):
    place.make()
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3, count=12, size=30_000)
    draw = random.Random(5)
    proxy = proxied(lambda n: draw.choice(["503", "reset", "truncate", None, None]))
    taken = create(server, place.at(proxy.port), "one")
    assert taken["blobs"] == 9
    assert lines("snapshot", "verify", place.at(proxy.port), "--read-data", "100")[-1]["flaws"] == 0
    assert proxy.harmed > 0
    restored(tmp_path, place.at(), "one", bodies)


def test_an_endpoint_that_keeps_failing_is_named(server, place, proxied, tmp_path):
    place.make()
    server.client().create_bucket(Bucket="photos")
    fill(server.client())
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"access-key": ACCESS_KEY, "secret-key": "another"}))
    wrong.chmod(0o600)
    said = create(server, place.at(credentials=wrong), status=1)
    assert "403 SignatureDoesNotMatch" in said and place.bucket in said and "127.0.0.1" in said
    wrong.chmod(0o644)
    assert f"{wrong} has mode 644" in create(server, place.at(credentials=wrong), status=1)
    missing = place.at().replace(place.bucket, "no-such-bucket")
    assert "NoSuchBucket" in create(server, missing, status=1)
    for bad in ["s3://", "s3://b?endpoint=ftp://x", "s3://b?secret-key=x", place.at(retain_days="x")]:
        done = holdfast("snapshot", "list", bad)
        assert done.returncode == 1 and done.stderr.startswith("holdfast: ") and "secret-key=x" not in done.stderr
    assert "no object lock" in create(server, place.at(retain_days=3), status=1)
    # Nothing of a repository was made on the way.
    assert place.keys() == {}
    assert "is not a repository" in holdfast("snapshot", "list", place.at()).stderr


def test_a_creation_that_was_killed_goes_on(server, place, proxied, tmp_path):
    place.make()
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3, count=30, size=20_000)
    server.stop()
    gate = threading.Event()
    proxy = proxied(lambda n: gate.wait(0.02) and None)
    for wanted in (3, 12):
        process = subprocess.Popen(
            [BINARY, "snapshot", "create", str(server.directory), "--to", place.at(proxy.port), "--name", "one"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: len(place.keys()) >= wanted or process.poll() is not None, what="some objects")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert lines("snapshot", "list", place.at()) == []
    done = lines("snapshot", "create", server.directory, "--to", place.at(), "--name", "one")[0]
    assert 0 < done["blobs"] < 26, "what was there is not copied again"
    assert lines("snapshot", "verify", place.at(), "--read-data", "100")[-1]["flaws"] == 0
    restored(tmp_path, place.at(), "one", bodies)
    server.start()


def test_a_thief_with_the_keys_hides_nothing_that_is_locked(server, place, tmp_path):
    place.make(ObjectLockEnabledForBucket=True)
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3)
    create(server, place.at(retain_days=2), "one")
    thief = place.client
    refused = 0
    for version in [v for page in thief.get_paginator("list_object_versions").paginate(Bucket=place.bucket)
                    for v in page["Versions"]]:
        try:
            thief.delete_object(Bucket=place.bucket, Key=version["Key"], VersionId=version["VersionId"])
        except thief.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDenied"
            refused += 1
        thief.delete_object(Bucket=place.bucket, Key=version["Key"])
        thief.put_object(Bucket=place.bucket, Key=version["Key"], Body=b"pay us")
        thief.delete_object(Bucket=place.bucket, Key=version["Key"])
    assert refused >= 7 and place.keys() == {}
    assert [s["name"] for s in lines("snapshot", "list", place.at())] == ["one"]
    assert lines("snapshot", "verify", place.at(), "--read-data", "100")[-1]["flaws"] == 0
    restored(tmp_path, place.at(), "one", bodies)
    # What is locked stays, and that is said.
    [report] = lines("snapshot", "delete", place.at(), "one")
    assert report["deleted"] == [] and report["locked"] == ["one"]
    said = holdfast("snapshot", "delete", place.at(), "one").stdout
    assert "snapshot one stays" in said and "locked until" in said
    s3.delete_object(Bucket="photos", Key="1")
    assert create(server, place.at(retain_days=2))["blobs"] == 0


def locks(place):
    """Until when each version is locked, and how."""
    pages = place.client.get_paginator("list_object_versions").paginate(Bucket=place.bucket)
    found = {}
    for version in [v for page in pages for v in page["Versions"]]:
        head = place.client.head_object(Bucket=place.bucket, Key=version["Key"], VersionId=version["VersionId"])
        found[version["Key"], version["VersionId"]] = (head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate"))
    return found


def test_locks_are_renewed_when_too_few_days_are_left(server, place, proxied):
    place.make(ObjectLockEnabledForBucket=True)
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    fill(s3)
    create(server, place.at(retain_days=10), "one")
    first = locks(place)
    assert len(first) >= 7 and {mode for mode, _ in first.values()} == {"COMPLIANCE", None}
    # Not yet: half of the days and more are left.
    create(server, place.at(retain_days=10), "two")
    second = locks(place)
    assert {name: second[name] for name in first} == first
    # More days are asked for than they were locked for. (What is written again and again has no lock: without it, locks are
    # renewed too often, or blobs read again.)
    now = datetime.datetime.now(datetime.timezone.utc)

    def needed(found):
        return {n: until for n, (_, until) in found.items() if not n[0].endswith(("/retained", "/damaged", "/pruned", "/verified"))}

    create(server, place.at(retain_days=20), "three")
    third = needed(locks(place))
    assert all(third[name] > until for name, until in needed(second).items()), "all that a snapshot needs"
    assert min(third.values()) > now + datetime.timedelta(days=20)
    create(server, place.at(retain_days=20), "four")
    assert {name: until for name, until in needed(locks(place)).items() if name in third} == third
    # To who reads listings through this, all of it is a year old, and so is the last renewal.
    aged = proxied(change=lambda data: data.replace(b"<LastModified>%d" % now.year, b"<LastModified>%d" % (now.year - 1)))
    then = int((now.timestamp() - 365 * 86400) * 1e6)
    place.client.put_object(Bucket=place.bucket, Key="of/store/snapshots/retained", Body=b"%d 30\n" % then)
    # Locks are set to the second.
    began = int(time.time())
    wait_until(lambda: int(time.time()) > began, what="the next second")
    create(server, place.at(aged.port, retain_days=20), "five")
    fifth = needed(locks(place))
    assert all(fifth[name] > until for name, until in third.items()), "too few days were left"
    # What was renewed a moment ago is not renewed again, old as it is.
    create(server, place.at(aged.port, retain_days=20), "six")
    assert {name: until for name, until in needed(locks(place)).items() if name in fifth} == fifth
    assert lines("snapshot", "verify", place.at(), "--read-data", "100")[-1]["flaws"] == 0


def test_a_lock_in_governance_mode_yields_to_who_may_bypass_it(server, place):
    place.make(ObjectLockEnabledForBucket=True)
    server.client().create_bucket(Bucket="photos")
    create(server, place.at(retain_days=2, retain_mode="governance"), "one")
    found = locks(place)
    assert {mode for (key, _), (mode, _) in found.items() if not key.endswith("/retained")} == {"GOVERNANCE"}
    [report] = lines("snapshot", "delete", place.at(), "one")
    assert report["locked"] == ["one"]
    (key, version), *_ = [name for name in found if name[0].endswith("one.json")]
    with pytest.raises(place.client.exceptions.ClientError, match="AccessDenied"):
        place.client.delete_object(Bucket=place.bucket, Key=key, VersionId=version)
    place.client.delete_object(Bucket=place.bucket, Key=key, VersionId=version, BypassGovernanceRetention=True)
    assert lines("snapshot", "list", place.at()) == []


def test_a_repository_is_seen_as_it_was(server, place, tmp_path):
    place.make()
    place.client.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3)
    create(server, place.at(), "one")
    then = place.client.head_object(Bucket=place.bucket, Key="of/store/snapshots/one.json")["LastModified"]

    def is_later():
        place.client.put_object(Bucket=place.bucket, Key="clock")
        return place.client.head_object(Bucket=place.bucket, Key="clock")["LastModified"] > then

    wait_until(is_later, what="the next second")
    fill(s3, "later/")
    create(server, place.at(), "two")
    # A thief puts something in front of all that is there, with versions of his own for what was never ours.
    for key in place.keys():
        place.client.put_object(Bucket=place.bucket, Key=key, Body=b"pay us")
    was = place.at(at=then.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert [s["name"] for s in lines("snapshot", "list", was)] == ["one"]
    assert lines("drill", was, "--sample", "6")[-1]["failures"] == 0
    restored(tmp_path, was, "one", bodies)
    assert "as it was at a moment" in create(server, was, "three", status=1)


def test_an_endpoint_with_a_certificate_of_ones_own(server, credentials, tmp_path):
    authority = Authority(tmp_path / "authority")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    for path, data in zip((certificate, key), authority.leaf("server")):
        replace(path, data)
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = fill(s3)
    with Server(tmp_path / "secure", "--set", f"tls-certificate={certificate}", "--set", f"tls-key={key}") as secure:
        assert secure.endpoint.startswith("https")
        place = f"s3://backups/here?endpoint={secure.endpoint}&credentials={credentials}"
        said = create(server, place, "one", status=1)
        assert "CERTIFICATE_VERIFY_FAILED" in said.upper().replace(" ", "_") or "certificate" in said.lower(), said
        said = create(server, f"{place}&ca={authority.ca}", "one", status=1)
        assert "NoSuchBucket" in said, "with the CA it is spoken to"
        bucket = boto3.client(
            "s3", endpoint_url=secure.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1", verify=str(authority.ca), config=Config(s3={"addressing_style": "path"}))
        bucket.create_bucket(Bucket="backups")
        assert create(server, f"{place}&ca={authority.ca}", "one")["blobs"] == 4
        restored(tmp_path, f"{place}&ca={authority.ca}", "one", bodies)
def test_an_endpoint_that_is_away_is_left_alone_until_it_answers(server, place, proxied):
    place.make()
    away = threading.Event()
    proxy = proxied(lambda n: "reset" if away.is_set() else None)
    server.stop()
    (server.directory / "holdfast.json").write_text(json.dumps({"repositories": {"far": {"s3": place.at(proxy.port)}}}))
    server.start()
    server.client().create_bucket(Bucket="photos")
    create(server, "far", "first")
    assert breaker(server) == 0
    away.set()
    proxy.cut()
    assert "tried 7 times" in create(server, "far", status=1)
    assert breaker(server) == 1
    seen = proxy.count
    begun = time.monotonic()
    assert "not asked" in create(server, "far", status=1)
    assert time.monotonic() - begun < 2 and proxy.count == seen, "nothing was asked"
    away.clear()
    wait_until(lambda: holdfast("snapshot", "create", server.directory, "--to", "far").returncode == 0,
               what="a snapshot")
    assert breaker(server) == 0
    taken = [line["event"]["snapshotTaken"] for line in server.log() if "snapshotTaken" in line["event"]]
    assert taken[0]["repository"] == "far" and taken[0]["snapshot"] == "first"


def breaker(server):
    with urllib.request.urlopen(server.admin + "/metrics") as answer:
        line = next(line for line in answer.read().decode().splitlines()
                    if line.startswith('holdfast_repository_breaker_open{repository="far"}'))
    return float(line.split()[1])
