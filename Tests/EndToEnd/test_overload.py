"""More than a server can do, and clients that are too slow: who is refused is told so, and everybody else is served."""

import concurrent.futures
import contextlib
import json
import os
import socket
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError
from faults import slow_disk
from holdfast import SECRET_KEY, ACCESS_KEY, Server, s3_client, wait_until
from prometheus_client import parser as prometheus
from wire import Wire


def metrics(server):
    with urllib.request.urlopen(server.admin + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {(s.name, *sorted(s.labels.values())): s.value
            for family in prometheus.text_string_to_metric_families(text) for s in family.samples}


def health(server):
    with urllib.request.urlopen(server.admin + "/health/ready", timeout=10) as answer:
        return answer.status


def settings(*values):
    return [word for value in values for word in ("--set", value)]


def refused(server, kind=None):
    return sum(value for name, value in metrics(server).items()
               if name[0] == "holdfast_admission_refused_requests_total" and (kind is None or kind in name))


@pytest.fixture
def start(tmp_path):
    """A server with settings of its own, and a bucket with something in it."""
    running = []

    def begin(*values):
        server = Server(tmp_path / "store", *settings(*values))
        running.append(server)
        server.start()
        s3 = server.client(retries={"max_attempts": 5})
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"x" * 1000)
        return server

    yield begin
    for server in running:
        server.stop()


def slow_reads(server, count, key="large"):
    """Clients that ask for an object and take nothing of it: each holds a place, or memory, for as long as it likes."""
    wires = []
    for _ in range(count):
        wire = Wire(server)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(wire.request("GET", f"/bucket/{key}"))
        wires.append(wire)
    return wires


def test_a_flood_is_refused_with_an_answer_and_health_answers_meanwhile(start):
    server = start("admission=fixed", "lists-at-once=1", "queue-milliseconds=20", "connections=300")
    s3 = server.client(retries={"max_attempts": 5})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket="bucket", Key=f"many/{n:04}", Body=b""), range(1000)))
    answers, over, healthy = [], threading.Event(), []

    def ask():
        # One connection, asked again and again without regard for what it says.
        with Wire(server) as wire:
            while not over.is_set():
                wire.send(wire.request("GET", "/bucket", query=[("list-type", "2")]))
                answers.append(wire.answer())

    askers = [threading.Thread(target=ask) for _ in range(64)]
    for asker in askers:
        asker.start()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        healthy.append(health(server))
        time.sleep(0.1)
    # Another class is not concerned.
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000
    # A client that tries again gets through.
    patient = server.client(retries={"max_attempts": 30, "mode": "standard"})
    assert patient.list_objects_v2(Bucket="bucket", MaxKeys=5)["KeyCount"] == 5
    over.set()
    for asker in askers:
        asker.join()
    assert None not in answers, "a connection ended without an answer"
    good = [a for a in answers if a.status == 200]
    slowed = [a for a in answers if a.status == 503]
    assert good and slowed and len(good) + len(slowed) == len(answers)
    assert {(a.code, a.headers["retry-after"], "connection" in a.headers) for a in slowed} == {("SlowDown", "1", False)}
    assert len({a.headers["x-amz-request-id"] for a in slowed}) == len(slowed)
    assert set(healthy) == {200}
    found = metrics(server)
    # The patient client may have been refused, too.
    assert len(slowed) <= refused(server, "list") <= len(slowed) + 30 and refused(server, "list") == refused(server)
    assert found["holdfast_admission_limit", "list"] == 1
    assert found["holdfast_admission_admitted_requests_total", "list"] >= len(good)

    def all_is_given_back():
        found = metrics(server)
        return found["holdfast_body_memory_bytes",] == 0 and all(
            found[name, kind] == 0 for name in ("holdfast_admission_in_flight", "holdfast_admission_queue_length")
            for kind in ("read", "write", "list", "admin"))
    wait_until(all_is_given_back, what="the end of all")


def test_a_refused_upload_is_refused_before_its_body(start):
    server = start("admission=fixed", "writes-at-once=1", "queue-milliseconds=0")
    s3 = server.client()
    with Wire(server) as holder:
        # It waits for its body, which is no work: the other gets in.
        holder.send(holder.request("PUT", "/bucket/held", b"", length=100_000, payload="UNSIGNED-PAYLOAD"))
        wait_until(lambda: metrics(server)["holdfast_requests_in_flight",] == 1, what="the first upload")
        wait_until(lambda: metrics(server)["holdfast_admission_in_flight", "write"] == 0, what="its pause")
        s3.put_object(Bucket="bucket", Key="other", Body=b"y")
        holder.send(b"z" * 100_000)
        assert holder.answer().status == 200
    assert len(s3.get_object(Bucket="bucket", Key="held")["Body"].read()) == 100_000


def flood_with_uploads(server, count, headers=None, body=b"q" * 200_000):
    """As many uploads at once: their answers, and what came before those."""
    def put(number):
        with Wire(server) as wire:
            request = wire.request("PUT", f"/bucket/up-{number}", b"", headers=headers, length=len(body), payload="UNSIGNED-PAYLOAD")
            wire.send(request)
            first = None
            if headers:
                first = wire.answer()
                if first.status != 100:
                    return first, wire.closed()
            wire.send(body)
            answer = wire.answer()
            # Refused or not, the connection goes on.
            wire.send(wire.request("HEAD", "/bucket/key"))
            return answer, wire.answer("HEAD").status
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(put, range(count)))


def test_an_object_where_probes_are_elsewhere_is_admitted_like_any_other(start):
    server = start("admission=fixed")
    before = metrics(server)["holdfast_admission_admitted_requests_total", "read"]
    for host in ("bucket.localhost", "localhost"):
        with Wire(server) as wire:
            wire.send(f"HEAD /_holdfast/health/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert wire.answer("HEAD").status == (200 if host == "localhost" else 403)
    # By another spelling of the same path it is of the same class.
    s3 = server.client()
    with Wire(server) as wire:
        wire.send(b"GET /bucket%2Fkey HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.answer().status == 403
    assert metrics(server)["holdfast_admission_admitted_requests_total", "read"] == before + 2
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000


def test_uploads_that_are_refused_keep_their_connections(start):
    server = start("body-memory=1048576", "queue-milliseconds=0")
    answers = flood_with_uploads(server, 48)
    statuses = [answer.status for answer, _ in answers]
    assert set(statuses) == {200, 503}, statuses
    assert all(after == 200 for _, after in answers)
    assert {answer.code for answer, _ in answers if answer.status == 503} == {"SlowDown"}
    assert metrics(server)["holdfast_admission_refused_requests_total", "memory", "write"] == statuses.count(503)


def test_who_asks_before_sending_is_refused_in_place_of_100_continue(start):
    server = start("body-memory=1048576", "queue-milliseconds=0")
    answers = flood_with_uploads(server, 48, {"Expect": "100-continue"})
    first = [answer.status for answer, _ in answers]
    assert set(first) == {200, 503}, first
    for answer, after in answers:
        if answer.status == 503:
            assert answer.code == "SlowDown" and answer.headers["connection"] == "close" and after is True
        else:
            assert after == 200


def test_bodies_take_no_more_memory_than_they_may(start):
    server = start("body-memory=4194304", "queue-milliseconds=100")
    s3 = server.client(retries={"max_attempts": 10, "mode": "standard"})
    s3.put_object(Bucket="bucket", Key="large", Body=os.urandom(20_000_000))
    held = slow_reads(server, 16)
    try:
        wait_until(lambda: refused(server, "memory") == 8, what="eight that are refused")
        found = metrics(server)
        assert found["holdfast_body_memory_bytes",] == found["holdfast_body_memory_limit_bytes",] == 4_194_304
        # What takes no memory is answered.
        assert s3.head_object(Bucket="bucket", Key="large")["ContentLength"] == 20_000_000
        with pytest.raises(ClientError) as error:
            server.client().get_object(Bucket="bucket", Key="key")
        assert error.value.response["Error"]["Code"] == "SlowDown"
    finally:
        for wire in held:
            wire.socket.close()
    wait_until(lambda: metrics(server)["holdfast_body_memory_bytes",] == 0, what="the memory back")
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000


@pytest.mark.parametrize("limits,reason", [
    ('{"keys": {"%s": {"requests": 5, "burst": 10}}}' % ACCESS_KEY, "key-rate"),
    ('{"buckets": {"bucket": {"requests": 5, "burst": 10}}}', "bucket-rate")])
def test_requests_beyond_their_rate_are_told_when_to_come_again(start, tmp_path, limits, reason):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "holdfast.json").write_text('{"rate-limits": %s}' % limits)
    server = start("request-log=errors", "log-format=json")
    s3 = server.client()
    codes = []
    for _ in range(40):
        try:
            s3.head_object(Bucket="bucket", Key="key")
            codes.append(200)
        except ClientError as error:
            codes.append(error.response["ResponseMetadata"]["HTTPStatusCode"])
            assert error.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert set(codes) == {200, 503}
    # A refused connection is read from again after a fifth of a second, in which one more is allowed: some get through.
    assert codes.count(503) > 10
    found = metrics(server)
    assert found["holdfast_admission_refused_requests_total", reason, "read"] == codes.count(503)
    # They are counted like others, and the log says whose they are; not of each, but it says of how many it does not.
    assert found["holdfast_requests_total", "503", "Refused"] == codes.count(503)
    assert found["holdfast_request_errors_total", "SlowDown"] == codes.count(503)

    def lines():
        return [json.loads(line) for line in server.errors.read_text().splitlines() if '"Refused"' in line]
    wait_until(lines, what="a line")
    for line in lines():
        assert (line["status"], line["error"], line["reason"], line["class"]) == (503, "SlowDown", reason, "read")
        assert (line["claimedAccessKey"], line["bucket"], line["remote"]) == (ACCESS_KEY, "bucket", "127.0.0.1")
    assert 1 <= sum(1 + line["leftOut"] for line in lines()) <= codes.count(503)
    # Another key, or another bucket, is not concerned.
    if reason == "key-rate":
        _, access, secret = server.user("other")
        others = s3_client(server.endpoint, access, secret)
        assert [others.list_buckets()["Buckets"] for _ in range(20)] == [[]] * 20
    else:
        patient = server.client(retries={"max_attempts": 10, "mode": "standard"})
        patient.create_bucket(Bucket="elsewhere")
        for number in range(20):
            s3.put_object(Bucket="elsewhere", Key=str(number), Body=b"")
    # Who tries again as SDKs do gets all through.
    patient = server.client(retries={"max_attempts": 10, "mode": "standard"})
    for _ in range(8):
        assert patient.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000


def test_bytes_beyond_their_rate_are_refused_and_forgers_cost_the_owner_nothing(start, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "holdfast.json").write_text('{"rate-limits": {"each-key": {"bytes": 100000, "requests": 50, "burst": 50}}}')
    server = start()
    s3 = server.client()
    forger = s3_client(server.endpoint, ACCESS_KEY, SECRET_KEY + "x")
    for _ in range(100):
        with pytest.raises(ClientError) as error:
            forger.head_object(Bucket="bucket", Key="key")
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    s3.put_object(Bucket="bucket", Key="large", Body=bytes(300_000))
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="bucket", Key="large")
    answer = error.value.response
    assert answer["Error"]["Code"] == "SlowDown"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] in ("2", "3")


def test_what_a_bucket_may_move_is_counted_by_what_moved(start, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "holdfast.json").write_text('{"rate-limits": {"each-bucket": {"bytes": 100000}}}')
    server = start()
    s3 = server.client()
    # Unsigned, expired and with another's name: whatever they announce, the bucket's owner does not wait for it.
    for line in ("", "Authorization: AWS4-HMAC-SHA256 Credential=%s/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, "
                     "Signature=0\r\nx-amz-date: 20200101T000000Z\r\n" % ACCESS_KEY):
        with Wire(server) as wire:
            wire.send(f"PUT /bucket/key HTTP/1.1\r\nHost: {wire.host}\r\n{line}Content-Length: 4000000000\r\n\r\n".encode())
            assert wire.answer().status == 403
    # Refused for a condition before its body: what was announced did not come.
    with Wire(server) as wire:
        wire.send(wire.request("PUT", "/bucket/key", b"", headers={"If-None-Match": "*", "Expect": "100-continue"},
                               length=4_000_000_000, payload="UNSIGNED-PAYLOAD"))
        assert wire.answer().status in (100, 412)
    wait_until(lambda: metrics(server)["holdfast_requests_in_flight",] == 0, what="the end of the request")
    patient = server.client(retries={"max_attempts": 10, "mode": "standard"})
    assert patient.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000
    # What came without being announced counts all the same.
    with Wire(server) as wire:
        request = wire.request("PUT", "/bucket/large", b"", payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers={
            "x-amz-decoded-content-length": "400000", "content-encoding": "aws-chunked"})
        body = b"61a80\r\n" + bytes(400_000) + b"\r\n0\r\n\r\n"
        chunked = request.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        wire.send(chunked + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        assert wire.answer().status == 200
    with pytest.raises(ClientError) as error:
        s3.head_bucket(Bucket="bucket")
    headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503 and headers["retry-after"] in ("2", "3", "4")
    # Another bucket is not concerned.
    s3.create_bucket(Bucket="elsewhere")


def test_a_head_that_does_not_end_is_answered_and_closed(start):
    server = start("header-seconds=1")
    started = time.monotonic()
    drips = [Wire(server) for _ in range(20)]
    for drip in drips:
        drip.send(b"GET /bucket/key HTTP/1.1\r\nHost: a\r\n")
    silent = Wire(server)
    open_ones = list(drips)
    while open_ones and time.monotonic() - started < 20:
        # A byte now and then, as slowloris sends them, keeps nobody waiting any longer.
        for drip in list(open_ones):
            try:
                drip.send(b"X")
                drip.socket.settimeout(0.01)
                if not drip.fill():
                    open_ones.remove(drip)
            except TimeoutError:
                pass
            except ConnectionError:
                open_ones.remove(drip)
        time.sleep(0.1)
    took = time.monotonic() - started
    assert not open_ones and 0.9 < took < 8, took
    for drip in drips:
        assert drip.buffer.startswith(b"HTTP/1.1 408 ") and b"<Code>RequestTimeout</Code>" in drip.buffer
        drip.socket.close()
    # Who never sent anything is closed without a word.
    assert silent.closed()
    silent.socket.close()
    found = metrics(server)
    assert found["holdfast_slow_clients_total", "header"] == 21
    wait_until(lambda: metrics(server)["holdfast_connections",] <= 1, what="the connections gone")


def test_a_body_that_comes_too_slowly_is_told_so_and_closed(start):
    server = start("minimum-rate=10000", "grace-seconds=1")
    with Wire(server) as wire, Wire(server) as quick:
        started = time.monotonic()
        for one in (wire, quick):
            one.send(one.request("PUT", "/bucket/slow", b"", length=40_000, payload="UNSIGNED-PAYLOAD"))
        answer = None
        # A tenth of the rate, and its double.
        for number in range(40):
            if number % 5 == 0 and answer is None:
                try:
                    wire.send(b"z" * 100)
                except ConnectionError:
                    pass
            quick.send(b"z" * 1000)
            time.sleep(0.05)
        answer = wire.answer()
        assert time.monotonic() - started < 10
        assert (answer.status, answer.code, answer.headers["connection"]) == (400, "RequestTimeout", "close")
        assert wire.closed()
        assert quick.answer().status == 200
    found = metrics(server)
    assert found["holdfast_slow_clients_total", "body"] == 1
    assert server.client().head_object(Bucket="bucket", Key="slow")["ContentLength"] == 40_000


def test_a_client_that_does_not_take_its_answer_is_given_up(start):
    server = start("minimum-rate=100000", "grace-seconds=1")
    server.client().put_object(Bucket="bucket", Key="large", Body=os.urandom(20_000_000))
    held = slow_reads(server, 3)
    wait_until(lambda: metrics(server)["holdfast_slow_clients_total", "response"] == 3, what="three that are given up")
    wait_until(lambda: metrics(server)["holdfast_requests_in_flight",] == 0, what="the end of their requests")
    assert metrics(server)["holdfast_body_memory_bytes",] == 0
    for wire in held:
        wire.socket.close()
    # Slow, and quick enough.
    with Wire(server) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wire.send(wire.request("GET", "/bucket/large"))
        got = 0
        end = time.monotonic() + 4
        while time.monotonic() < end:
            got += len(wire.socket.recv(100_000))
            time.sleep(0.05)
        assert got > 500_000


def test_an_answer_is_taken_though_a_request_waits_behind_it_and_its_client_has_closed_its_side(start, tmp_path, monkeypatch):
    control = tmp_path / "slow"
    for name, value in {"LD_PRELOAD": slow_disk(tmp_path), "HOLDFAST_SLOW_BELOW": f"{tmp_path}/store/volume-1/",
                        "HOLDFAST_SLOW_WHILE": control, "HOLDFAST_SLOW_SECONDS": 3}.items():
        monkeypatch.setenv(name, str(value))
    server = start("admission=fixed", "writes-at-once=1", "queue-milliseconds=60000")
    control.touch()
    with Wire(server) as slow, Wire(server) as wire:
        slow.send(slow.request("PUT", "/bucket/slow", b"x" * 1000))
        wait_until(lambda: metrics(server)["holdfast_admission_in_flight", "write"] == 1, what="a place that is taken")
        wire.send(wire.request("GET", "/bucket/key") + wire.request("PUT", "/bucket/behind", b"x"))
        wire.socket.shutdown(socket.SHUT_WR)
        answer = wire.answer()
        assert answer.status == 200 and answer.body == b"x" * 1000
        assert wire.closed(), wire.buffer
        control.unlink()
        assert slow.answer().status == 200
    assert refused(server) == 0
    with pytest.raises(ClientError):
        server.client().head_object(Bucket="bucket", Key="behind")


def put_piece(server):
    server.client().put_object(Bucket="bucket", Key="piece", Body=bytes(200_000))


def ask_ahead(server, count):
    """A client that asks for 200 kB again and again, and takes nothing yet: more than the kernel keeps for it."""
    wire = Wire(server, timeout=60)
    wire.send(wire.request("GET", "/bucket/piece") * count)
    return wire


def test_answers_in_one_piece_are_memory_until_they_are_taken(start):
    server = start("body-memory=4194304", "queue-milliseconds=0")
    put_piece(server)
    with contextlib.ExitStack() as wires:
        def one_more():
            # Each has one answer that waits, however many it asked for. One that is refused has none.
            wires.enter_context(ask_ahead(server, 60))
            held = metrics(server)["holdfast_body_memory_bytes",]
            assert held <= 4_194_304
            return held > 3_000_000 and refused(server, "memory") > 0

        wait_until(one_more, what="memory full of answers that wait, and others refused")
    wait_until(lambda: metrics(server)["holdfast_body_memory_bytes",] == 0, what="the memory back")
    assert server.client().get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000


def test_a_client_that_takes_no_answer_gets_no_second_one_and_is_given_up_whatever_it_asks_for(start):
    server = start("minimum-rate=100000", "grace-seconds=1")
    put_piece(server)
    key = ("holdfast_slow_clients_total", "response")
    with ask_ahead(server, 150) as wire:
        most = 0
        while metrics(server)[key] == 0:
            most = max(most, metrics(server)["holdfast_body_memory_bytes",])
            with contextlib.suppress(OSError):  # it is closed
                wire.send(wire.request("HEAD", "/bucket/key"))
            time.sleep(0.1)
        assert most < 1_000_000
        wait_until(lambda: metrics(server)["holdfast_body_memory_bytes",] == 0, what="the memory back")


def test_answers_in_one_piece_are_taken_to_their_end_while_a_server_stops(tmp_path):
    with Server(tmp_path / "store") as server:
        server.client().create_bucket(Bucket="bucket")
        put_piece(server)
        with ask_ahead(server, 150) as wire:
            key = ("holdfast_requests_total", "200", "GetObject")
            wait_until(lambda: metrics(server).get(key, 0) > 2, what="some answers")
            # Until one has to wait for the client.
            wait_until(lambda: metrics(server)["holdfast_body_memory_bytes",] > 0, what="an answer that is not taken")
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            # Longer than a connection may be silent.
            time.sleep(2)
            answers = list(iter(wire.answer, None))
            assert len(answers) > 2 and wire.closed()
            assert {(answer.status, len(answer.body)) for answer in answers} == {(200, 200_000)}
            assert answers[-1].headers.get("connection") == "close"
        stopping.join()


def test_an_idle_connection_is_closed_and_one_that_is_used_is_not(start):
    server = start("idle-seconds=1")
    with Wire(server) as idle, Wire(server) as used:
        for wire in (idle, used):
            wire.send(wire.request("HEAD", "/bucket/key"))
            assert wire.answer("HEAD").status == 200
        for _ in range(15):
            time.sleep(0.2)
            used.send(used.request("HEAD", "/bucket/key"))
            assert used.answer("HEAD").status == 200
        assert idle.closed()
    assert metrics(server)["holdfast_slow_clients_total", "idle"] >= 1


def test_connections_more_than_there_may_be_are_answered(start):
    server = start("connections=5")
    server.client().head_object(Bucket="bucket", Key="key")
    held = []
    while metrics(server)["holdfast_connections",] < 5:
        held.append(Wire(server))
        held[-1].send(held[-1].request("HEAD", "/bucket/key"))
        held[-1].answer("HEAD")
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        def ask(_):
            with Wire(server) as wire:
                wire.send(wire.request("PUT", "/bucket/over", b"w" * 50_000))
                answer = wire.answer()
                return answer.status, answer.code, answer.headers["retry-after"], answer.headers["connection"], wire.closed()
        answers = list(pool.map(ask, range(40)))
    assert set(answers) == {(503, "SlowDown", "1", "close", True)}
    assert health(server) == 200
    assert metrics(server)["holdfast_refused_connections_total",] >= 40
    # Those that were there first go on.
    held[0].send(held[0].request("HEAD", "/bucket/key"))
    assert held[0].answer("HEAD").status == 200
    held.pop().socket.close()
    patient = server.client(retries={"max_attempts": 10, "mode": "standard"})
    assert patient.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x" * 1000
    for wire in held:
        wire.socket.close()


def test_a_crowd_of_connections_is_answered_one_by_one(start):
    """Far more than are even refused at once: the rest waits to be accepted, and none is reset."""
    server = start("connections=5")
    wires = [Wire(server, timeout=60) for _ in range(200)]
    statuses = []
    for wire in wires:
        wire.send(wire.request("HEAD", "/bucket/key"))
    for wire in wires:
        answer = wire.answer("HEAD")
        statuses.append(answer.status)
        wire.socket.close()
    assert set(statuses) <= {200, 503} and len(statuses) == 200
    wait_until(lambda: metrics(server)["holdfast_connections",] <= 1, what="the connections gone")
    assert server.client().head_object(Bucket="bucket", Key="key")["ContentLength"] == 1000


def test_hot_objects_are_answered_from_memory_and_never_stale(start):
    server = start("cache-bytes=1000000")
    s3 = server.client()
    for round in range(5):
        body = bytes([round]) * 3000
        s3.put_object(Bucket="bucket", Key="hot", Body=body)
        for _ in range(6):
            assert s3.get_object(Bucket="bucket", Key="hot")["Body"].read() == body
            assert s3.get_object(Bucket="bucket", Key="hot", Range="bytes=5-9")["Body"].read() == body[5:10]
    found = metrics(server)
    assert found["holdfast_cache_hits_total",] >= 40
    assert found["holdfast_cache_invalidations_total",] >= 4
    assert 0 < found["holdfast_cache_bytes",] < found["holdfast_cache_limit_bytes",] <= 1_000_000
    s3.delete_object(Bucket="bucket", Key="hot")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="bucket", Key="hot")


def test_requests_in_one_piece_are_refused_one_after_the_other(start):
    server = start("body-memory=1048576", "queue-milliseconds=0")
    server.client().put_object(Bucket="bucket", Key="large", Body=os.urandom(20_000_000))
    held = slow_reads(server, 2)
    wait_until(lambda: metrics(server)["holdfast_body_memory_bytes",] == 1_048_576, what="two that take all memory")
    with Wire(server) as wire:
        wire.send(wire.request("GET", "/bucket/key") * 1000)
        started = time.monotonic()
        assert [wire.answer().status for _ in range(5)] == [503] * 5
        assert 0.6 < time.monotonic() - started < 10
    assert health(server) == 200
    for wire in held:
        wire.socket.close()
