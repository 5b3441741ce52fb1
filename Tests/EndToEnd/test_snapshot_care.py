"""What keeps snapshots worth having: mended repositories, whole histories, stores made anew that show what was shown, and
a thousand damaged objects among a hundred thousand."""

import hashlib
import json
import os
import subprocess
import threading

import pytest
from holdfast import ACCESS_KEY, ROOT, SECRET_KEY, holdfast, wait_until

BENCH = os.environ.get("HOLDFAST_BENCH", str(ROOT / ".build/release/holdfast-bench"))


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "backup"


@pytest.fixture(params=["served", "stopped"])
def pause(request):
    """Stops the server, in one of two runs."""
    return (lambda server: server.stop()) if request.param == "stopped" else (lambda server: None)


def snapshot(server, repository, name="one"):
    return json.loads(holdfast("snapshot", "create", server.directory, "--to", repository, "--name", name, "--json", check=0).stdout)


def verify(repository, *flags, status=0):
    done = holdfast("snapshot", "verify", repository, "--json", *flags, check=status)
    *lines, summary = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, summary


def strike(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0xFF]))


def strike_payload(repository, payload):
    for path in (repository / "log").iterdir():
        place = path.read_bytes().find(payload)
        if place >= 0:
            return strike(path, place + 3)
    raise AssertionError("the repository's log has no such payload")


def test_a_damaged_repository_is_mended_from_its_store(server, repository, pause):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    small = os.urandom(3000)
    s3.put_object(Bucket="photos", Key="small", Body=small)
    for n in range(4):
        s3.put_object(Bucket="photos", Key=f"k{n}", Body=os.urandom(200_000))
    snapshot(server, repository)
    blobs = sorted(p for p in (repository / "blobs").rglob("*") if p.is_file())
    strike(blobs[0], 100_000)
    os.truncate(blobs[1], 50_000)
    os.unlink(blobs[2])
    strike_payload(repository, small)
    pause(server)
    flaws, summary = verify(repository, "--read-data", "100", status=4)
    assert summary["flaws"] == 4 and summary["mended"] == 0
    lines, summary = verify(repository, "--read-data", "100", "--mend", server.directory)
    assert summary["mended"] == 4 and sum(line.get("mended", False) for line in lines) == 4
    assert verify(repository, "--read-data", "100")[1]["flaws"] == 0
    assert len(list((repository / "quarantine").glob("*.json"))) == 3, "what was there is kept"
    # Small and large come out of it again.
    made = repository.parent / "made"
    holdfast("restore", made, "--from", repository, "--snapshot", "one", "--all", check=0)
    assert holdfast("fsck", made, "--deep", check=0)


def test_what_a_check_found_bad_is_copied_anew_by_the_next_snapshot(server, repository):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    small = os.urandom(3000)
    s3.put_object(Bucket="photos", Key="small", Body=small)
    s3.put_object(Bucket="photos", Key="large", Body=os.urandom(200_000))
    snapshot(server, repository)
    [blob] = [p for p in (repository / "blobs").rglob("*") if p.is_file()]
    strike(blob, 100_000)
    strike_payload(repository, small)
    assert verify(repository, "--read-data", "100", status=4)[1]["flaws"] == 2
    assert snapshot(server, repository, "two")["mended"] == 2
    assert verify(repository, "--read-data", "100")[1]["flaws"] == 0
    assert snapshot(server, repository, "three")["mended"] == 0


def shown(server, *flags):
    return [json.loads(line) for line in server.command("ls", "photos", "--versions", "--json", *flags, check=0).stdout.splitlines()]


def test_every_version_comes_back_under_its_id(server, repository, pause):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    bodies = {}
    for size in (10, 100_000, 0):
        body = os.urandom(size)
        bodies[s3.put_object(Bucket="photos", Key="k", Body=body)["VersionId"]] = body
    marker = s3.delete_object(Bucket="photos", Key="k")["VersionId"]
    s3.put_object(Bucket="photos", Key="other", Body=b"other")
    before = [(v["key"], v["version"], v["deleteMarker"]) for v in shown(server)]
    snapshot(server, repository)
    for key, version, _ in before:
        s3.delete_object(Bucket="photos", Key=key, VersionId=version)
    pause(server)
    source = ["--from", repository, "--snapshot", "one"]
    for expected in ("restored", "present"):
        done = server.command("restore", *source, "--bucket", "photos", "--versions", "--json", check=0)
        assert json.loads(done.stdout.splitlines()[-1])["total"][expected] == 5
        assert [(v["key"], v["version"], v["deleteMarker"]) for v in shown(server)] == before
    if not server.process:
        server.start()
    for version, body in bodies.items():
        assert server.client().get_object(Bucket="photos", Key="k", VersionId=version)["Body"].read() == body
    assert server.client().head_object(Bucket="photos", Key="other")
    assert marker == [v for _, v, is_marker in before if is_marker][0]
    assert "--versions goes without" in server.command("restore", *source, "--all", "--versions", "--damaged-only", check=64).stderr


def test_a_restore_within_the_store_writes_no_blob(server, pause):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    bodies = {f"k{n}": os.urandom(100_000 + n) for n in range(5)}
    for key, body in bodies.items():
        put = s3.put_object(Bucket="photos", Key=key, Body=body)
    moment = put["ResponseMetadata"]["HTTPHeaders"]["x-holdfast-sequence"]
    for key in bodies:
        s3.put_object(Bucket="photos", Key=key, Body=b"ransom" * 20_000)
    before = server.blobs(1)
    pause(server)
    server.command("restore", "--at", moment, "--all", "--overwrite", check=0)
    assert server.blobs(1) == before
    findings, _, _ = server.fsck("--deep", check=0)
    assert findings == []
    if not server.process:
        server.start()
    for key, body in bodies.items():
        assert server.client().get_object(Bucket="photos", Key=key)["Body"].read() == body


def dump(directory, *moment):
    """The SHA-256 of every version that a store shows, in order."""
    digest = hashlib.sha256()
    for line in holdfast("ls", directory, "--json", *moment, check=0).stdout.splitlines():
        bucket = json.loads(line)["bucket"]
        digest.update(holdfast("ls", directory, bucket, "--versions", "--json", *moment, check=0).stdout.encode())
    return digest.hexdigest()


def test_a_store_made_of_a_snapshot_under_load_shows_what_the_log_had_there(server, repository, tmp_path):
    s3 = server.client()
    for bucket in ("photos", "versioned"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    failures, end = [], threading.Event()

    def write(number):
        client, count = server.client(), 0
        while not end.is_set():
            try:
                for bucket in ("photos", "versioned"):
                    client.put_object(Bucket=bucket, Key=f"{number}/{count % 7}", Body=os.urandom(count * 7919 % 150_000),
                                      Metadata={"count": str(count)}, Tagging=f"turn={count % 3}")
                if count % 4 == 0:
                    client.put_object_tagging(Bucket="photos", Key=f"{number}/{count % 7}",
                                              Tagging={"TagSet": [{"Key": "late", "Value": str(count)}]})
                if count % 3 == 0:
                    client.delete_object(Bucket="versioned", Key=f"{number}/{count % 5}")
            except Exception as error:
                failures.append(error)
            count += 1

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(server.blobs(1)) > 40, what="some load")
        taken = [snapshot(server, repository, f"s{n}")["snapshot"] for n in range(2)]
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert failures == []
    for manifest in taken:
        made = tmp_path / manifest["name"]
        holdfast("restore", made, "--from", repository, "--snapshot", manifest["name"], "--all", check=0)
        assert dump(made) == dump(server.directory, "--at", manifest["sequence"]), manifest["name"]
        # What a listing does not show (metadata, tags, locks, settings): the log is the same to the hash, and the catalog is that of the log.
        head = holdfast("log", made, "--from", manifest["sequence"], "--json", check=0).stdout.splitlines()[0]
        assert json.loads(head)["chain"] == manifest["chain"]
        assert holdfast("fsck", made, "--deep").returncode == 0


def test_one_in_a_hundred_damaged_on_every_volume_comes_back_and_nothing_else_changes(server, repository):
    """HOLDFAST_DAMAGED_OF=100000 makes it as many objects; of each hundred, one is damaged."""
    count = int(os.environ.get("HOLDFAST_DAMAGED_OF", "300"))
    environment = dict(os.environ, HOLDFAST_ROOT_ACCESS_KEY=ACCESS_KEY, HOLDFAST_ROOT_SECRET_KEY=SECRET_KEY)
    subprocess.run(
        [BENCH, "load", "--endpoint", f"127.0.0.1:{server.port}", "--operation", "get", "--size", "66000", "--keys", str(count),
         "--seconds", "0.1", "--connections", "64"], check=True, env=environment, capture_output=True)
    snapshot(server, repository)
    server.stop()
    blobs = [server.blobs(volume) for volume in (1, 2, 3)]
    assert [len(b) for b in blobs] == [count] * 3

    def state(path):
        """What a file was, by its bytes and by what the file system says of it."""
        status = path.stat()
        return hashlib.sha256(path.read_bytes()).digest(), status.st_ino, status.st_mtime_ns

    before = {path: state(path) for volume in blobs for path in volume}
    struck = {volume[number] for volume in blobs for number in range(0, count, 100)}
    for path in struck:
        strike(path, 1000)
    server.start()
    done = server.command("restore", "--from", repository, "--snapshot", "one", "--all", "--damaged-only", "--json", check=0)
    *outcomes, summary = [json.loads(line) for line in done.stdout.splitlines()]
    assert summary["total"]["restored"] == len(outcomes) == count // 100 and summary["total"]["failed"] == 0
    after = {path: state(path) for volume in (1, 2, 3) for path in server.blobs(volume)}
    assert {path: s[0] for path, s in after.items()} == {path: s[0] for path, s in before.items()}
    assert {path for path in after if after[path] != before[path]} == struck, "only what was damaged was written"
    s3 = server.client()
    for outcome in outcomes[:20]:
        assert len(s3.get_object(Bucket=outcome["bucket"], Key=outcome["key"])["Body"].read()) == 66_000
