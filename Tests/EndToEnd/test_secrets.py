"""A whole session with secrets that are marked: none of them is in a log, a metric, an error, an event or a command's output."""

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from holdfast import ACCESS_KEY, BINARY, CLIENTS, REGION, SECRET_KEY, Server, keep_secret

ALICE = "MARKED-alices-secret-8Jk2"
BOB = "MARKED-bobs-secret-Qw7z"
HOOK = "MARKED-webhook-secret-Xy55"
CUSTOMER = b"MARKED-customer-key-32-bytes-AB!"
assert len(CUSTOMER) == 32


def forms(secret):
    """How a secret may be written."""
    data = secret if isinstance(secret, bytes) else secret.encode()
    return {data, base64.b64encode(data), data.hex().encode(), data.hex().upper().encode(), base64.urlsafe_b64encode(data)}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_is_told(tmp_path, log_format):
    directory = tmp_path / "store"
    directory.mkdir()
    keep_secret(tmp_path / "hook.secret", HOOK)
    keep_secret(directory / "holdfast.json", json.dumps({
        "users": [{"name": "alice", "access-key": "ALICESKEY", "secret-key": ALICE}], "sse-c-over-http": "true",
        "sinks": [{"name": "hook", "webhook": "http://127.0.0.1:9/", "secret-file": str(tmp_path / "hook.secret")}]}))
    told = []  # everything that came back or was written
    with Server(directory, "--set", "log-level=trace", "--set", f"log-format={log_format}", "--set", "request-log=all",
                "--set", "access-log-seconds=1") as server:
        def keep(*pieces):
            told.extend(p if isinstance(p, bytes) else str(p).encode() for p in pieces)

        def command(*arguments):
            done = server.command(*arguments)
            keep(done.stdout, done.stderr)
            return done

        def client(access, secret, **options):
            return boto3.client("s3", endpoint_url=server.endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
                                region_name=REGION, config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **options))

        def failing(call, **arguments):
            try:
                call(**arguments)
            except ClientError as error:
                keep(json.dumps(error.response, default=str))

        root, alice = server.client(), client("ALICESKEY", ALICE)
        root.create_bucket(Bucket="logs")
        alice.create_bucket(Bucket="photos")
        alice.put_object(Bucket="photos", Key="plain", Body=os.urandom(300_000))
        customer = dict(SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER)
        alice.put_object(Bucket="photos", Key="sealed", Body=b"x", **customer)
        assert alice.get_object(Bucket="photos", Key="sealed", **customer)["Body"].read() == b"x"
        alice.put_object(Bucket="photos", Key="kms", Body=b"x", ServerSideEncryption="AES256")
        failing(alice.get_object, Bucket="photos", Key="sealed")
        failing(alice.get_object, Bucket="photos", Key="sealed", SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER[::-1])
        failing(alice.put_object, Bucket="photos", Key="x", Body=b"x", SSECustomerAlgorithm="AES512", SSECustomerKey=CUSTOMER)
        failing(client("ALICESKEY", BOB).list_buckets)
        failing(client("NOBODY", ALICE).list_buckets)
        failing(alice.get_object, Bucket="logs", Key="none")
        for method in ("put", "get"):
            url = alice.generate_presigned_url(f"{method}_object", Params={"Bucket": "photos", "Key": "signed"}, ExpiresIn=60)
            for address in (url, url + "0", url.replace("Expires=60", "Expires=61")):
                try:
                    with urllib.request.urlopen(urllib.request.Request(address, method=method.upper(), data=b"x" if method == "put" else None), timeout=10) as answer:
                        keep(answer.headers, answer.read())
                except urllib.error.HTTPError as error:
                    keep(error.headers, error.read())
        signature = re.search(r"X-Amz-Signature=([0-9a-f]+)|Signature=([^&]+)", url)
        signature = signature[1] or signature[2]

        # Other clients, whose requests look otherwise.
        environment = dict(server.environment(), AWS_ACCESS_KEY_ID="ALICESKEY", AWS_SECRET_ACCESS_KEY=ALICE)
        (tmp_path / "file").write_bytes(os.urandom(100_000))
        host = f"127.0.0.1:{server.port}"
        for arguments in (
                ["aws", "--endpoint-url", server.endpoint, "s3", "cp", str(tmp_path / "file"), "s3://photos/aws"],
                ["s3cmd", f"--access_key=ALICESKEY", f"--secret_key={ALICE}", f"--host={host}", f"--host-bucket={host}", "--no-ssl",
                 "put", str(tmp_path / "file"), "s3://photos/s3cmd"],
                ["rclone", "copyto", str(tmp_path / "file"),
                 f":s3,provider=Other,access_key_id=ALICESKEY,secret_access_key={ALICE},endpoint='{server.endpoint}':photos/rclone"]):
            done = subprocess.run([str(CLIENTS / arguments[0]), *arguments[1:]], env=environment, capture_output=True, timeout=120)
            assert done.returncode == 0, done.stderr
        assert {"aws", "s3cmd", "rclone"} <= {o["Key"] for o in alice.list_objects_v2(Bucket="photos")["Contents"]}

        # Commands: of them one prints a secret, which is what it is for.
        made = json.loads(server.command("user", "create", "bob", "--json", "--key-id", "BOBSKEY", "--secret", BOB, check=0).stdout)
        assert made["accessKey"] == "BOBSKEY"
        fresh = json.loads(server.command("key", "create", "--user", "bob", "--json", check=0).stdout)["secretKey"]
        client("BOBSKEY", BOB).list_buckets()
        command("user", "create", "bob", "--key-id", "BOBSKEY", "--secret", BOB)
        for arguments in (["user", "list", "--json"], ["key", "list", "--json"], ["key", "list"], ["log", "--json"], ["log"], ["status", "--json"],
                          ["jobs", "list", "--json"], ["sink", "status", "--json"], ["encryption-key", "list", "--json"], ["volume", "list"],
                          ["explain", "photos/sealed", "--json"], ["fsck", "--deep", "--json"]):
            command(*arguments)
        environment = dict(os.environ, HOLDFAST_ROOT_ACCESS_KEY=ACCESS_KEY, HOLDFAST_ROOT_SECRET_KEY=SECRET_KEY)
        for arguments in (["config", "list"], ["config", "list", "--json"], ["config", "check"], ["doctor"], ["doctor", "--json"]):
            name = arguments[:2] if arguments[0] == "config" else arguments[:1]
            done = subprocess.run([BINARY, *name, directory, *arguments[len(name):]], capture_output=True, env=environment, timeout=60)
            keep(done.stdout, done.stderr)
        for path in ("/metrics", "/health/live", "/health/ready", "/health/cluster", "/health/green", "/nothing"):
            try:
                keep(urllib.request.urlopen(server.admin + path, timeout=10).read())
            except urllib.error.HTTPError as error:
                keep(error.read())
        master = [generation["key"] for key in json.loads((directory / "state/master-keys.json").read_text())["keys"]
                  for generation in key["generations"]]
    told.append(server.errors.read_bytes())
    assert b"PutObject" in told[-1] or b"REST" in told[-1] or b"PUT" in told[-1], "the log has the requests"
    everything = b"\n".join(told)
    secrets = {"alice": ALICE, "bob": BOB, "hook": HOOK, "customer": CUSTOMER, "root": SECRET_KEY, "made": fresh,
               **{f"master {n}": base64.b64decode(key) for n, key in enumerate(master)}}
    for name, secret in secrets.items():
        for form in forms(secret):
            at = everything.find(form)
            assert at < 0, f"the secret of {name} is told: …{everything[max(0, at - 200):at + 60]!r}"
    assert signature.encode() not in told[-1], "who reads the log could use a signed URL"


def test_no_secret_is_in_a_file_but_those_of_secrets(tmp_path):
    """What is written down besides the two files of keys: log, catalog, blobs, jobs, sinks."""
    with Server(tmp_path / "store") as server:
        server.command("user", "create", "bob", "--key-id", "BOBSKEY", "--secret", BOB, check=0)
        s3 = server.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="a", Body=os.urandom(300_000), ServerSideEncryption="AES256")
    keys = {"keys.json", "master-keys.json"}
    master = [base64.b64decode(g["key"]) for k in json.loads((server.directory / "state/master-keys.json").read_text())["keys"]
              for g in k["generations"]]
    secrets = [form for secret in (BOB, SECRET_KEY, *master) for form in forms(secret)]
    for path in server.directory.rglob("*"):
        if path.is_file() and path.name not in keys:
            data = path.read_bytes()
            assert not any(form in data for form in secrets), path
    assert not any(form in server.errors.read_bytes() for form in secrets)
