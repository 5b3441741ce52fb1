"""A repository at an S3 endpoint, which here is another Holdfast: whole, cut off, refused, robbed."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from holdfast import ACCESS_KEY, BINARY, SECRET_KEY, Server, holdfast, wait_until


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
    assert not [k for k in place.keys() if "/blobs/" in k or "/snapshots/" in k]


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


class Proxy:
    """Between a client and an endpoint: does to every connection what `harm` says."""

    def __init__(self, port, harm):
        self.target, self.harm = port, harm
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.count = 0
        self.harmed = 0
        self.clients = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.count += 1
                self.clients.append(client)
                threading.Thread(target=self.serve, args=(client, self.harm(self.count)), daemon=True).start()

    def serve(self, client, harm):
        with contextlib.suppress(OSError), client:
            self.harmed += harm is not None
            if harm == "reset":
                client.recv(100)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            if harm == "503":
                head = client.recv(65536)
                body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
                while head and client.recv(65536):
                    pass
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                threading.Thread(target=self.pump, args=(client, server, None), daemon=True).start()
                self.pump(server, client, 300 if harm == "truncate" else None)

    @staticmethod
    def pump(source, sink, limit):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if limit is not None:
                    data, limit = data[:limit], limit - len(data[:limit])
                sink.sendall(data)
                if limit == 0:
                    break
            sink.shutdown(socket.SHUT_WR)

    def cut(self):
        """Ends the connections that there are."""
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


@pytest.fixture
def proxied(elsewhere):
    with contextlib.ExitStack() as stack:
        def start(harm):
            proxy = Proxy(elsewhere.port, harm)
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
    assert "0600" in create(server, place.at(credentials=wrong), status=1)
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
