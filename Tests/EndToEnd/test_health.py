"""Probes: what they say when all is well, when volumes are away, when the server stops; and that they hide no bucket."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest
from faults import slow_disk
from holdfast import ACCESS_KEY, SECRET_KEY, Server, holdfast, keep_secret, wait_until
from signing import Raw, sha256
from wire import Wire


def get(url):
    """Status and body."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def both(server, probe):
    """By the admin listener and by that of S3: the same status."""
    admin, s3 = get(f"{server.admin}/health/{probe}"), get(f"{server.endpoint}/_holdfast/health/{probe}")
    assert admin[0] == s3[0], (admin, s3)
    return admin[0], admin[1], s3[1]


def test_metrics_are_for_whoever_shows_the_token_and_probes_for_everybody(tmp_path):
    token = "metrics-are-for-prometheus"
    keep_secret(tmp_path / "token", token + "\n")

    def ask(server, path, *authorization):
        request = urllib.request.Request(server.admin + path, headers={"Authorization": " ".join(authorization)} if authorization else {})
        return get(request)

    with Server(tmp_path / "store", "--set", f"metrics-token={tmp_path / 'token'}") as server:
        server.wait_in_service()
        for path, shown in (("/metrics", b"holdfast_build"), ("/metrics?x=1", b"holdfast_build"), ("/health/green", b"")):
            status, body = ask(server, path, "Bearer", token)
            assert status == 200 and shown in body, path
            for wrong in ((), ("Bearer", token + "x"), ("Bearer", "x"),
                          ("Basic", base64.b64encode(f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode())):
                status, body = ask(server, path, *wrong)
                assert status == 401 and b"metrics-token" in body and b"holdfast_" not in body, (path, wrong)
        assert ask(server, "/health/live")[0] == ask(server, "/health/ready")[0] == ask(server, "/health/cluster")[0] == 200
        assert token not in server.errors.read_text()
    (tmp_path / "token").chmod(0o644)
    refused = holdfast("config", "check", tmp_path / "store", "--set", f"metrics-token={tmp_path / 'token'}", check=1).stdout
    assert "metrics-token" in refused and "mode 644" in refused and token not in refused


def test_all_is_well(server):
    server.wait_in_service()
    assert both(server, "live")[:2] == (200, b"ok\n")
    status, admin, s3 = both(server, "ready")
    assert status == 200 and json.loads(admin)["status"] == json.loads(s3)["status"] == "ok"
    status, body, _ = both(server, "cluster")
    assert status == 200
    assert json.loads(body) == {
        "status": "ok", "inService": 3, "writeQuorum": 2, "tolerates": 1,
        "volumes": [{"volume": number, "standing": "in service"} for number in (1, 2, 3)]}
    assert both(server, "cluster?maintenance=true")[0] == 200


def test_one_volume_away_is_degraded_and_two_are_too_many(tmp_path):
    with Server(tmp_path / "store", "--set", "deadline-seconds=2") as server:
        server.client().create_bucket(Bucket="photos")
        for number, status, maintenance, ready in [(3, 200, 412, "degraded"), (2, 503, 503, "unavailable")]:
            shutil.move(server.volume(number), tmp_path / f"away-{number}")
            wait_until(lambda: server.standings()[number]["standing"] != "in service", what="the volume's leaving")
            assert both(server, "cluster")[0] == status
            assert both(server, "cluster?maintenance=true")[0] == maintenance
            code, admin, s3 = both(server, "ready")
            assert (code == 200) == (ready == "degraded") and json.loads(admin)["status"] == ready
            assert str(tmp_path).encode() not in s3, "strangers learn no path"
            assert both(server, "live")[0] == 200, "restarting would bring no volume back"
        for number in (2, 3):
            shutil.rmtree(server.volume(number), ignore_errors=True)
            shutil.move(tmp_path / f"away-{number}", server.volume(number))
        server.wait_in_service()
        assert both(server, "ready")[0] == 200


def test_a_disk_whose_reads_hang_keeps_no_probe_waiting(tmp_path, monkeypatch):
    control, store = tmp_path / "slow", tmp_path / "store"
    for name, value in {"LD_PRELOAD": slow_disk(tmp_path), "HOLDFAST_SLOW_BELOW": f"{store}/volume-1/", "HOLDFAST_SLOW_READS": 1,
                        "HOLDFAST_SLOW_WHILE": control, "HOLDFAST_SLOW_SECONDS": 15}.items():
        monkeypatch.setenv(name, str(value))
    with Server(store) as server:
        server.client().create_bucket(Bucket="photos")
        server.wait_in_service()
        control.touch()
        pages = [threading.Thread(target=ask, args=(server,)) for _ in range(4)]
        try:
            for page in pages:
                page.start()
            for _ in range(20):
                with urllib.request.urlopen(f"{server.admin}/health/live", timeout=5) as answer:
                    assert answer.read() == b"ok\n"
                with urllib.request.urlopen(f"{server.admin}/health/cluster", timeout=5) as answer:
                    assert answer.status == 200
                time.sleep(0.1)
        finally:
            control.unlink()
            for page in pages:
                page.join()


def ask(server):
    """For the status page, which may take as long as it takes."""
    credential = base64.b64encode(f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode()
    request = urllib.request.Request(server.admin + "/status", headers={"Authorization": f"Basic {credential}"})
    try:
        urllib.request.urlopen(request, timeout=120).close()
    except urllib.error.HTTPError as error:
        assert error.code == 503


def test_probes_hide_no_bucket_and_no_key(server):
    s3 = server.client()
    s3.create_bucket(Bucket="health")
    for key in ("live", "ready", "health/live"):
        s3.put_object(Bucket="health", Key=key, Body=key.encode())
        assert s3.get_object(Bucket="health", Key=key)["Body"].read() == key.encode()
    s3.create_bucket(Bucket="holdfast")
    s3.put_object(Bucket="holdfast", Key="health/live", Body=b"mine")
    assert s3.get_object(Bucket="holdfast", Key="health/live")["Body"].read() == b"mine"
    # Where the host names the bucket, the path is a key.
    s3.put_object(Bucket="health", Key="_holdfast/health/live", Body=b"a key")
    with Wire(server) as wire:
        wire.send(wire.request("GET", "/_holdfast/health/live", headers={"Host": f"health.localhost:{server.port}"}))
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, b"a key")
    assert get(f"{server.endpoint}/_holdfast/health/nothing")[0] == 404
    assert get(f"{server.endpoint}/_holdfast")[0] in (400, 403, 404)


def test_probes_take_no_credential_and_no_other_method(server):
    for url in (f"{server.admin}/health/ready", f"{server.endpoint}/_holdfast/health/ready"):
        request = urllib.request.Request(url, data=b"x", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == 405
        request = urllib.request.Request(url, method="HEAD")
        assert urllib.request.urlopen(request, timeout=10).status == 200


def test_probes_are_no_requests_of_s3(server):
    def answered():
        text = get(server.admin + "/metrics")[1].decode()
        return sum(float(l.rsplit(" ", 1)[1]) for l in text.splitlines() if l.startswith("holdfast_requests_total{"))

    before = answered()
    for _ in range(5):
        assert get(f"{server.endpoint}/_holdfast/health/live")[0] == 200
    assert answered() == before
    server.client().list_buckets()
    wait_until(lambda: answered() == before + 1, what="the count of a request")


# Stopping


@pytest.fixture
def slow_put():
    """A request that is under way until it is told to end."""
    class Slow:
        def __init__(self, server, key="slow"):
            self.half, self.go_on, self.answers, self.failure = threading.Event(), threading.Event(), [], None
            body = os.urandom(400_000)

            def pieces(_):
                yield body[:200_000]
                self.half.set()
                self.go_on.wait(60)
                yield body[200_000:]

            raw = Raw(server)

            def send():
                try:
                    self.answers.append(raw.send(
                        "PUT", f"/photos/{key}", headers={"Content-Length": str(len(body))}, payload=sha256(body), framed=pieces))
                except (OSError, http.client.HTTPException) as error:
                    self.failure = error

            self.thread = threading.Thread(target=send)
            self.thread.start()
            assert self.half.wait(30)
            self.body = body

        def finish(self):
            self.go_on.set()
            self.thread.join(30)
            assert self.failure is None, self.failure
            return self.answers[0]
    return Slow


def test_a_server_that_drains_says_so_before_it_turns_anybody_away(tmp_path, slow_put):
    with Server(tmp_path / "store", "--set", "drain-delay-seconds=3") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        slow = slow_put(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(server.admin + "/health/ready")[0] == 503, seconds=2, what="not being ready")
        status, body = get(f"{server.endpoint}/_holdfast/health/ready")
        assert status == 503 and "draining" in json.loads(body)["reason"]
        assert get(server.admin + "/health/live")[0] == 200
        # Whoever has not heard yet is served, and asked to connect elsewhere next time.
        answer = server.client().put_object(Bucket="photos", Key="late", Body=b"x")
        assert answer["ResponseMetadata"]["HTTPHeaders"]["connection"] == "close"
        assert slow.finish()[0] == 200
        assert server.process.wait(30) == 0
        server.process = None
        server.start()
        assert server.client().get_object(Bucket="photos", Key="slow")["Body"].read() == slow.body
        assert server.client().get_object(Bucket="photos", Key="late")["Body"].read() == b"x"


def test_what_takes_longer_than_the_deadline_is_cut_off_and_the_store_is_whole(tmp_path, slow_put):
    with Server(tmp_path / "store", "--set", "drain-seconds=1") as server:
        server.client().create_bucket(Bucket="photos")
        slow = slow_put(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        slow.go_on.set()
        server.process = None
        server.start()
        assert server.client().list_objects_v2(Bucket="photos")["KeyCount"] == 0 and server.incoming() == []
        assert server.fsck("--deep")[::2] == ([], 0)


def test_a_second_sigterm_waits_for_nobody_and_closes_the_store(tmp_path, slow_put):
    with Server(tmp_path / "store", "--set", "drain-seconds=600", "--set", "drain-delay-seconds=600") as server:
        server.client().create_bucket(Bucket="photos")
        slow = slow_put(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: get(server.admin + "/health/ready")[0] == 503, what="the drain")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        slow.go_on.set()
        server.process, server.flags = None, ()
        server.start()
        assert server.fsck("--deep")[::2] == ([], 0)


def test_an_idle_connection_does_not_hold_the_server_up(server):
    with Wire(server) as idle, Wire(server) as used:
        used.send(used.request("GET", "/"))
        assert used.answer().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert used.closed() and idle.closed()
    server.process = None


def test_without_room_for_the_catalog_nobody_is_sent_here(tmp_path, mounted):
    """What the catalog cannot take is refused, and whoever asks first goes elsewhere; with room again, all is well."""
    store = tmp_path / "store"
    mounted(store / "state", "tmpfs", 256)
    with Server(store) as server:
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        assert both(server, "ready")[0] == 200
        ballast = store / "state" / "ballast"
        with open(ballast, "wb", buffering=0) as file:
            file.write(bytes((256 - 32) << 20))
        status, admin, other = both(server, "ready")
        assert status == 503 and "the state directory has" in json.loads(admin)["reason"]
        assert json.loads(other)["reason"] == json.loads(admin)["reason"]
        # Restarting it would bring no room.
        assert both(server, "live")[0] == 200
        free = re.search(r"^holdfast_state_free_bytes (\S+)", get(server.admin + "/metrics")[1].decode(), re.MULTILINE)
        assert free and float(free[1]) <= 256 << 20
        ballast.unlink()
        assert both(server, "ready")[0] == 200
        s3.put_object(Bucket="photos", Key="there", Body=b"x")
