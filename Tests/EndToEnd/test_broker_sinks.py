"""Whom the store tells over brokers: Kafka, AMQP and NATS JetStream. The binary is built with all three traits."""

import json
import threading
import time

import pytest
from brokers import NATS, QUEUE, Kafka, RabbitMQ
from certificates import Authority
from holdfast import Server, keep_secret, wait_until

KINDS = {made.kind: made for made in (Kafka, RabbitMQ, NATS)}


@pytest.fixture(scope="module")
def brokers(tmp_path_factory):
    """Those that are running, by kind; each is started when a test first asks for it."""
    made = {}
    yield made
    for broker in made.values():
        broker.stop()


@pytest.fixture(params=list(KINDS))
def broker(request, brokers, tmp_path_factory):
    kind = request.param
    if kind not in brokers:
        brokers[kind] = KINDS[kind](tmp_path_factory.mktemp(kind))
        brokers[kind].start()
    brokers[kind].take()
    return brokers[kind]


@pytest.fixture
def told(tmp_path):
    """Starts a server with one sink."""
    servers = []

    def start(setting, **members):
        server = Server(tmp_path / "store")
        server.directory.mkdir()
        sink = {"name": "orders", "deadline-seconds": 2, "events": ["s3:ObjectCreated:*"], **setting, **members}
        (server.directory / "holdfast.json").write_text(json.dumps({"sinks": [sink]}))
        server.start()
        servers.append(server)
        server.client().create_bucket(Bucket="photos")
        return server
    yield start
    for server in servers:
        if server.process:
            server.stop()


def status(server):
    return json.loads(server.command("sink", "status", "orders", "--json", check=0).stdout)


class Told:
    """What a broker was told, gathered as it comes."""

    def __init__(self, broker, queue=QUEUE):
        self.broker, self.queue = broker, queue
        self.records, self.names = [], []

    def gather(self):
        for name, body in self.broker.take(self.queue):
            document = json.loads(body)
            assert list(document) == ["Records"] and len(document["Records"]) == 1
            self.names.append(name)
            self.records += document["Records"]
        return self.records

    def keys(self):
        return [record["s3"]["object"]["key"] for record in self.records]

    def wait(self, count, seconds=60):
        """Until there are so many different keys."""
        wait_until(lambda: self.gather() and len(set(self.keys())) >= count, seconds, f"{count} records")

    def prove(self, versions):
        """Nothing is missing, and what of one key was told first came in the order of the log."""
        first = {}
        for record in self.records:
            first.setdefault(record["holdfast"]["sequence"], record)
        by_key = {}
        for sequence, record in first.items():
            by_key.setdefault(record["s3"]["object"]["key"], []).append(sequence)
        assert all(sequences == sorted(sequences) for sequences in by_key.values())
        chain = sorted(first)
        assert [first[sequence]["holdfast"]["previous"] for sequence in chain] == [0, *chain[:-1]]
        assert len(chain) == versions


def put(server, keys, versions=1):
    s3 = server.client()
    slowest = 0
    for number in range(keys * versions):
        begun = time.monotonic()
        s3.put_object(Bucket="photos", Key=f"k/{number % keys:03}", Body=b"1")
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


def test_each_record_is_a_message_of_its_key_in_order_and_without_a_gap(broker, told):
    server = told(broker.setting())
    server.client().put_object(Bucket="photos", Key="a b/ü.jpg", Body=b"12345")
    put(server, 40, versions=5)
    heard = Told(broker)
    heard.wait(41)
    wait_until(lambda: status(server)["lag"] == 0, what="the end of the log")
    heard.gather()
    heard.prove(201)
    assert len(heard.records) == 201, "what nothing went wrong with came once"
    record = heard.records[heard.keys().index("a+b/%C3%BC.jpg")]
    assert record["eventName"] == "ObjectCreated:Put" and record["s3"]["object"]["size"] == 5
    if broker.kind == "kafka":
        assert heard.names[heard.records.index(record)] == "photos/a b/ü.jpg"
    else:
        assert len(set(heard.names)) == 201
    shown = status(server)
    assert shown["kind"] == broker.kind and shown["breaker"] == "closed" and shown["delivered"] == 201


def test_a_broker_that_is_killed_and_comes_back_misses_nothing(broker, told):
    server = told(broker.setting())
    heard = Told(broker)
    writer = threading.Thread(target=put, args=(server, 60, 10))
    writer.start()
    heard.wait(20)
    broker.kill()
    wait_until(lambda: status(server).get("lastError"), what="the first failure")
    broker.start()
    writer.join()
    heard.wait(60)
    wait_until(lambda: status(server)["lag"] == 0, 90, "the end of the log")
    heard.gather()
    heard.prove(600)


def test_a_broker_that_hangs_costs_a_put_nothing_and_misses_nothing(broker, told):
    server = told(broker.setting())
    heard = Told(broker)
    put(server, 1)
    heard.wait(1)
    broker.hang()
    try:
        slowest = put(server, 200)
        wait_until(lambda: status(server)["lag"] > 0 and status(server).get("lastError"), what="the first time-out")
        server.kill()
        server.start()
        wait_until(lambda: status(server).get("lastError"), what="another")
    finally:
        broker.go_on()
    assert slowest < 1.5, "less than the sink's deadline"
    heard.wait(200)
    wait_until(lambda: status(server)["lag"] == 0, 90, "the end of the log")
    heard.gather()
    heard.prove(201)


def test_a_server_stops_quickly_while_a_broker_hangs(broker, told):
    server = told(broker.setting(), **{"deadline-seconds": 600})
    put(server, 1)
    Told(broker).wait(1)
    broker.hang()
    try:
        put(server, 1)
        wait_until(lambda: status(server)["lag"] > 0, what="what is not confirmed")
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 15
    finally:
        broker.go_on()


def test_a_replay_tells_a_broker_again(broker, told):
    server = told(broker.setting())
    first = server.client().put_object(Bucket="photos", Key="k/000", Body=b"1")
    put(server, 5)
    heard = Told(broker)
    heard.wait(5)
    wait_until(lambda: status(server)["lag"] == 0, what="the end of the log")
    heard.gather()
    assert len(heard.records) == 6
    sequence = first["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"]
    server.command("sink", "replay", "orders", "--from", sequence, check=0)
    wait_until(lambda: heard.gather() and len(heard.records) == 12, what="all of it again")
    assert sorted(heard.keys()[6:]) == sorted(heard.keys()[:6])


@pytest.mark.parametrize("broker, named", [("amqp", "full"), ("nats", "maximum messages")], indirect=["broker"])
def test_a_queue_that_is_full_gets_the_rest_in_order_when_it_has_room(broker, named, told):
    broker.declare("short", most=3)
    server = told(broker.setting("short"))
    put(server, 2, versions=5)
    wait_until(lambda: named in status(server).get("lastError", ""), what="the refusal")
    assert status(server)["deadLetters"] == 0
    heard = Told(broker, "short")
    wait_until(lambda: heard.gather() and status(server)["lag"] == 0, what="the end of the log")
    heard.gather()
    heard.prove(10)


@pytest.mark.parametrize("broker", ["kafka"], indirect=True)
def test_a_message_that_a_broker_refuses_for_good_is_a_dead_letter_alone(broker, told):
    server = told(broker.setting())
    server.command("sink", "pause", "orders", check=0)
    put(server, 1, versions=3)
    # MSG_SIZE_TOO_LARGE: three times for all of them together, three times for the first of them by itself.
    broker.tell("fail", 10, 6)
    server.command("sink", "resume", "orders", check=0)
    wait_until(lambda: status(server)["lag"] == 0, what="the end of the log")
    heard = Told(broker)
    wait_until(lambda: len(heard.gather()) == 2, what="the other two")
    shown = status(server)
    assert (shown["deadLetters"], shown["delivered"]) == (1, 2)
    letter = json.loads((server.directory / "state/sinks/orders.dead.jsonl").read_text().splitlines()[0])
    assert len(json.loads(letter["body"])["Records"]) == 1 and "too large" in letter["reason"].lower()


@pytest.mark.parametrize("broker", ["nats"], indirect=True)
def test_a_message_that_is_too_large_for_a_stream_is_a_dead_letter_alone(broker, told):
    broker.declare("small", largest=2000)
    server = told(broker.setting("small"))
    put(server, 2)
    # Its key stands in the record and in a header.
    server.client().put_object(Bucket="photos", Key="k" * 1000, Body=b"1")
    put(server, 2, versions=2)
    wait_until(lambda: status(server)["lag"] == 0, 90, "the end of the log")
    heard = Told(broker, "small")
    wait_until(lambda: len(heard.gather()) >= 6, what="the others")
    assert set(heard.keys()) == {"k/000", "k/001"} and status(server)["deadLetters"] == 1
    letter = json.loads((server.directory / "state/sinks/orders.dead.jsonl").read_text().splitlines()[0])
    assert len(json.loads(letter["body"])["Records"]) == 1 and "10054" in letter["reason"]


@pytest.mark.parametrize("broker, named", [("amqp", "no queue takes"), ("nats", "no stream takes")], indirect=["broker"])
def test_a_place_that_is_not_there_is_told_and_waited_for(broker, named, told):
    server = told(broker.setting("later"))
    put(server, 3)
    wait_until(lambda: named in status(server).get("lastError", ""), what="the reason")
    broker.declare("later")
    heard = Told(broker, "later")
    heard.wait(3)
    heard.prove(3)
    assert status(server)["deadLetters"] == 0


SECRET = "a password/that:nobody sees"


@pytest.mark.parametrize("kind", ["amqp", "nats"])
def test_a_broker_is_asked_over_tls_with_a_name_and_a_secret_that_is_told_to_nobody(kind, tmp_path, told):
    authority = Authority(tmp_path / "ca")
    for path, data in zip((tmp_path / "chain.pem", tmp_path / "key.pem"), authority.leaf("broker")):
        path.write_bytes(data)
    keep_secret(tmp_path / "secret", SECRET + "\n")
    keep_secret(tmp_path / "wrong", "another\n")
    if kind == "amqp":
        broker = RabbitMQ(tmp_path / "broker", ("holdfast", SECRET), {
            "cacertfile": authority.ca, "certfile": tmp_path / "chain.pem", "keyfile": tmp_path / "key.pem"})
    else:
        broker = NATS(tmp_path / "broker", ("holdfast", SECRET), {
            "cert_file": tmp_path / "chain.pem", "key_file": tmp_path / "key.pem", "ca": authority.ca})
    try:
        broker.start()
        setting = broker.setting()
        if kind == "amqp":
            setting["amqp"] = f"localhost:{broker.tls_port}"
        setting |= {"tls": True, "user": "holdfast", "authorities-file": str(authority.ca)}
        server = told(setting, **{"secret-file": str(tmp_path / "wrong")})
        put(server, 3)
        wait_until(lambda: status(server).get("lastError"), what="the refusal")
        change(server, **{"secret-file": str(tmp_path / "secret")})
        heard = Told(broker)
        heard.wait(3)
        heard.prove(3)
        text = server.command("sink", "status", check=0).stdout + server.errors.read_text()
        assert SECRET not in text and "another" not in text
        # Somebody else's authority: the broker is not believed.
        change(server, **{"authorities-file": str(Authority(tmp_path / "other").ca)})
        put(server, 1)
        wait_until(lambda: status(server).get("lastError"), what="the disbelief")
        assert status(server)["lag"] > 0
    finally:
        broker.stop()


def change(server, **members):
    """Changes the sink, and starts the server anew."""
    server.stop()
    path = server.directory / "holdfast.json"
    settings = json.loads(path.read_text())
    settings["sinks"][0].update(members)
    path.write_text(json.dumps(settings))
    server.start()
