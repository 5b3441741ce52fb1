"""Who is told of what happens: webhooks that follow the log."""

import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest
from holdfast import Server, holdfast, keep_secret, wait_until

SECRET = "a secret that both sides know"


class Receiver:
    """A web hook that answers as a test says, and keeps what it took."""

    def __init__(self):
        self.records, self.bodies, self.answers, self.hang = [], [], [], threading.Event()
        self.hang.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.hang.wait()
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 200:
                    receiver.bodies.append((dict(self.headers), body))
                    receiver.records += json.loads(body)["Records"]
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # the other side has given up

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=very-secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def names(self):
        return [(record["eventSource"], record["eventName"], record.get("s3", {}).get("object", {}).get("key"))
                for record in self.records]


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.hang.set()
    made.server.shutdown()


def told(tmp_path, receiver, **filters):
    """A server with one sink."""
    server = Server(tmp_path / "store")
    server.directory.mkdir()
    keep_secret(server.directory / "secret", SECRET + "\n")
    sink = {"name": "orders", "webhook": receiver.url, "secret-file": "secret", "deadline-seconds": 2, **filters}
    (server.directory / "holdfast.json").write_text(json.dumps({"sinks": [sink]}))
    server.start()
    return server


def status(server):
    return json.loads(server.command("sink", "status", "orders", "--json", check=0).stdout)


def test_a_webhook_is_told_of_each_change_signed_and_in_order(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["s3:*"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="a b/ü.jpg", Body=b"12345")
    s3.copy_object(Bucket="photos", Key="copy", CopySource={"Bucket": "photos", "Key": "a b/ü.jpg"})
    upload = s3.create_multipart_upload(Bucket="photos", Key="large")["UploadId"]
    part = s3.upload_part(Bucket="photos", Key="large", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(Bucket="photos", Key="large", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket="photos", Key="copy")
    wait_until(lambda: len(receiver.records) >= 4, what="four records")
    assert receiver.names() == [
        ("aws:s3", "ObjectCreated:Put", "a+b/%C3%BC.jpg"), ("aws:s3", "ObjectCreated:Copy", "copy"),
        ("aws:s3", "ObjectCreated:CompleteMultipartUpload", "large"),
        ("aws:s3", "ObjectRemoved:DeleteMarkerCreated", "copy")]
    first = receiver.records[0]
    assert first["s3"]["object"]["size"] == 5 and first["s3"]["bucket"]["name"] == "photos"
    assert first["s3"]["object"]["eTag"] == hashlib.md5(b"12345").hexdigest()
    sequences = [record["holdfast"]["sequence"] for record in receiver.records]
    assert sequences == sorted(set(sequences))
    assert [record["holdfast"]["previous"] for record in receiver.records] == [0, *sequences[:-1]]
    for headers, body in receiver.bodies:
        seconds, signature = (part.split("=")[1] for part in headers["X-Holdfast-Signature"].split(","))
        expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(signature, expected) and abs(int(seconds) - time.time()) < 300
    server.stop()


def test_an_upload_is_told_to_be_confirmed_once_it_was_read_back(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["holdfast:Upload:Confirmed"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    put = s3.put_object(Bucket="photos", Key="k", Body=bytes(300_000))
    wait_until(lambda: receiver.records, what="the confirmation")
    record = receiver.records[0]
    assert (record["eventSource"], record["eventName"]) == ("holdfast", "Upload:Confirmed")
    assert record["holdfast"]["published"] == int(put["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"])
    assert record["holdfast"]["detail"] == {"volumes": "1,2,3"}
    server.stop()


def test_damage_and_its_repair_are_told(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["holdfast:Object:*"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="k", Body=bytes(300_000))
    wait_until(lambda: json.loads(server.command("explain", "photos/k", "--json", check=0).stdout)["confirmed"],
               what="the confirmation")
    server.blobs(2)[0].unlink()
    server.command("scrub", "start", check=0)
    wait_until(lambda: len(receiver.records) >= 2, what="both")
    assert receiver.names() == [("holdfast", "Object:Damaged", "k"), ("holdfast", "Object:Repaired", "k")]
    assert receiver.records[0]["holdfast"]["detail"]["code"] == "HF001"
    server.stop()


def test_tags_access_control_lists_and_snapshots_are_told(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["s3:ObjectTagging:*", "s3:ObjectAcl:Put", "holdfast:Snapshot:Taken"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos", ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="photos", Key="k", Body=b"1")["VersionId"]
    s3.put_object_tagging(Bucket="photos", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object_acl(Bucket="photos", Key="k", ACL="public-read")
    s3.delete_object_tagging(Bucket="photos", Key="k")
    taken = json.loads(holdfast("snapshot", "create", server.directory, "--to", tmp_path / "backup", "--name", "monday",
                                "--json", check=0).stdout)
    wait_until(lambda: len(receiver.records) >= 4, what="four records")
    assert receiver.names() == [
        ("aws:s3", "ObjectTagging:Put", "k"), ("aws:s3", "ObjectAcl:Put", "k"), ("aws:s3", "ObjectTagging:Delete", "k"),
        ("holdfast", "Snapshot:Taken", None)]
    assert all(record["s3"]["object"]["versionId"] == version for record in receiver.records[:3])
    detail = receiver.records[3]["holdfast"]["detail"]
    assert detail["snapshot"] == "monday" and detail["repository"] == str(tmp_path / "backup")
    assert detail["sequence"] == str(taken["snapshot"]["sequence"]) and detail["lostBlobs"] == "0"
    # A store at rest notes it just as well; whoever serves it next tells of it.
    server.stop()
    holdfast("snapshot", "create", server.directory, "--to", tmp_path / "backup", "--name", "tuesday", check=0)
    server.start()
    wait_until(lambda: len(receiver.records) >= 5, what="the other snapshot")
    assert receiver.records[4]["holdfast"]["detail"]["snapshot"] == "tuesday"
    assert "snapshot tuesday of event" in server.command("log", check=0).stdout
    server.stop()


def test_a_rule_of_the_bucket_reaches_the_sink_that_it_names(tmp_path, receiver):
    server = told(tmp_path, receiver)
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration={"QueueConfigurations": [{
        "Id": "pictures", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:orders", "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}}}]})
    s3.put_object(Bucket="photos", Key="no.txt", Body=b"1")
    s3.put_object(Bucket="photos", Key="yes.jpg", Body=b"1")
    wait_until(lambda: receiver.records, what="the record")
    wait_until(lambda: status(server)["lag"] == 0, what="the end of the log")
    assert receiver.names() == [("aws:s3", "ObjectCreated:Put", "yes.jpg")]
    assert receiver.records[0]["s3"]["configurationId"] == "pictures"
    server.stop()


def test_a_sink_that_hangs_costs_a_put_nothing_and_misses_nothing(tmp_path, receiver):
    deadline = 5
    server = told(tmp_path, receiver, events=["s3:ObjectCreated:*"], **{"deadline-seconds": deadline})
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    receiver.hang.clear()
    seconds = []
    for number in range(300):
        started = time.monotonic()
        s3.put_object(Bucket="photos", Key=f"{number:03}", Body=b"1")
        seconds.append(time.monotonic() - started)
    # One that waits for the sink waits until the sink is given up.
    assert max(seconds) < deadline
    wait_until(lambda: status(server).get("lastError"), what="the first time-out")
    server.kill()
    receiver.hang.set()
    server.start()
    wait_until(lambda: status(server)["lag"] == 0, what="the end of the log")
    keys = [key for _, _, key in receiver.names()]
    # Those that hung may have been taken and come again: at least once, and in order.
    assert list(dict.fromkeys(keys)) == [f"{number:03}" for number in range(300)]
    server.stop()


def test_refused_records_become_dead_letters_and_a_replay_brings_them(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["s3:ObjectCreated:*"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    receiver.answers = [500, 400, 400, 400]
    put = s3.put_object(Bucket="photos", Key="k", Body=b"1")
    wait_until(lambda: status(server)["deadLetters"] == 1, what="the dead letter")
    letter = json.loads((server.directory / "state/sinks/orders.dead.jsonl").read_text())
    assert letter["reason"] == "it answered 400" and '"k"' in letter["body"]
    assert not receiver.records
    first = put["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"]
    server.command("sink", "replay", "orders", "--from", first, check=0)
    wait_until(lambda: receiver.records, what="the record")
    assert receiver.names() == [("aws:s3", "ObjectCreated:Put", "k")]
    server.stop()


def test_a_pause_lasts_over_a_restart_until_it_is_resumed(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["s3:ObjectCreated:*"])
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    server.command("sink", "pause", "orders", check=0)
    s3.put_object(Bucket="photos", Key="k", Body=b"1")
    server.stop()
    server.start()
    assert status(server)["paused"] and status(server)["lag"] > 0 and not receiver.records
    assert "paused" in server.command("sink", "status", check=0).stdout
    server.command("sink", "resume", "orders", check=0)
    wait_until(lambda: receiver.records, what="the record")
    server.stop()


def test_secrets_are_told_to_nobody(tmp_path, receiver):
    server = told(tmp_path, receiver, events=["s3:*"])
    receiver.answers = [400] * 3
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="k", Body=b"1")
    wait_until(lambda: status(server)["deadLetters"] == 1, what="the dead letter")
    text = server.command("sink", "status", check=0).stdout + server.errors.read_text()
    assert "very-secret" not in text and SECRET not in text
    server.stop()


@pytest.mark.parametrize("sink, named", [
    ({"name": "a/b", "webhook": "http://localhost/"}, "name"),
    ({"name": "a"}, "webhook"),
    ({"name": "a", "webhook": "ftp://localhost/"}, "webhook"),
    ({"name": "a", "webhook": "http://localhost/", "evnets": []}, "evnets"),
    ({"name": "a", "webhook": "http://localhost/", "events": ["s3:Nonsense"]}, "s3:Nonsense"),
    ({"name": "a", "webhook": "http://localhost/", "secret-file": "nowhere"}, "nowhere"),
    ({"name": "a", "webhook": "http://localhost/", "deadline-seconds": 0}, "deadline-seconds"),
])
def test_a_sink_that_makes_no_sense_is_refused_by_name(tmp_path, sink, named):
    directory = tmp_path / "store"
    directory.mkdir()
    (directory / "holdfast.json").write_text(json.dumps({"sinks": [sink]}))
    done = holdfast("serve", directory, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    assert done.returncode == 1 and "sinks" in done.stderr and named in done.stderr, done.stderr
    assert not (directory / "volume-1").exists()


def test_there_is_no_such_sink(server):
    done = server.command("sink", "pause", "orders")
    assert done.returncode != 0 and "no sink 'orders'" in done.stderr
