"""`holdfast import`: folders, and buckets of another S3 server, which here is another Holdfast."""

import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess

import pytest
from holdfast import ACCESS_KEY, BINARY, SECRET_KEY, Server, holdfast, wait_until
from proxy import Proxy

MIB = 1024 * 1024


def run(directory, source, *flags, into="photos", status=0):
    """The outcomes by name and the summary."""
    done = holdfast("import", directory, "--from", source, "--into", into, "--json", *flags)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr
    *outcomes, summary = map(json.loads, done.stdout.splitlines())
    return outcomes, summary


def refused(directory, source, *flags, into="photos"):
    done = holdfast("import", directory, "--from", source, "--into", into, *flags)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def contents(s3, bucket="photos"):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, FetchOwner=True)
    return {o["Key"]: o for page in pages for o in page.get("Contents", [])}


def body(s3, key, bucket="photos", **more):
    return s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()


def write(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


def published(server):
    return [e for e in server.log() if "versionPublished" in json.dumps(e)]


# Folders


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory):
    """A thousand files as people have them, and what cannot be objects beside."""
    root = tmp_path_factory.mktemp("odd")
    draw = random.Random(11)
    words = ["Ünïcode", "two words", "plus+and&", "quote'\"", "日本語", "e\u0301", "é", ".hidden", "a,b", "%41", "tab\there", "#?"]
    sizes = [0, 1, 63, 65_535, 65_536, 65_537, 100_001]
    files = {}
    for n in range(1000):
        folders = "/".join(draw.choice(words) for _ in range(draw.randrange(4)))
        name = f"{folders}/{n} {draw.choice(words)}".lstrip("/") + draw.choice(["", ".jpg", ".JSON", ".unknown", ".tar.gz"])
        files[name] = draw.randbytes(draw.choice(sizes) if n % 10 == 0 else draw.randrange(300))
    files["large.bin"] = draw.randbytes(3 * MIB + 17)
    write(root, files)
    os.utime(root / "large.bin", ns=(0, 1354040105_123456700))
    (root / "link").symlink_to("large.bin")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    (root / "empty folder").mkdir()
    with open(os.fsencode(root) + b"/not \xff UTF-8", "wb") as file:
        file.write(b"x")
    return root, files


@pytest.mark.parametrize("stopped", [False, True])
def test_a_thousand_odd_files_come_in_whole(server, odd_files, stopped):
    root, files = odd_files
    if stopped:
        server.stop()
    outcomes, summary = run(server.directory, root, "--prefix", "old nas/", status=4)
    total = summary["total"]
    assert (total["imported"], total["skipped"], total["failed"]) == (1001, 3, 1)
    assert total["importedBytes"] == sum(map(len, files.values())) and summary["owners"]["root"]["imported"] == 1001
    passed = {o["name"]: o.get("detail", "") for o in outcomes if o["action"] in ("skipped", "failed")}
    assert passed["link"] == passed["dangling"] == "a symbolic link" and "neither" in passed["pipe"]
    assert "no UTF-8: 6e6f7420ff205554462d38" in passed["not \ufffd UTF-8"]
    if stopped:
        server.start()
    s3 = server.client()
    listed = contents(s3)
    assert {key: o["Size"] for key, o in listed.items()} == {f"old nas/{name}": len(data) for name, data in files.items()}
    for name, data in files.items():
        assert listed[f"old nas/{name}"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"', name
    large = s3.head_object(Bucket="photos", Key="old nas/large.bin", ChecksumMode="ENABLED")
    assert large["Metadata"]["mtime"] == "1354040105.1234567" and "ChecksumCRC64NVME" in large
    for name in random.Random(1).sample(sorted(files), 60) + ["large.bin"]:
        found = s3.get_object(Bucket="photos", Key=f"old nas/{name}")
        assert found["Body"].read() == files[name], name
        guess = {".jpg": "image/jpeg", ".json": "application/json", ".gz": "application/gzip"}
        assert found["ContentType"] == guess.get(pathlib.Path(name).suffix.lower(), "application/octet-stream"), name
    count = len(published(server))
    _, again = run(server.directory, root, "--prefix", "old nas/", status=4)
    assert again["total"]["present"] == 1001 and again["total"]["imported"] == 0
    assert len(published(server)) == count, "nothing is written twice"
    assert server.fsck("--deep")[2] == 0


def test_links_are_followed_when_told(server, tmp_path):
    root = tmp_path / "files"
    write(root, {"a/real.txt": b"real"})
    write(tmp_path / "outside", {"b.txt": b"outside"})
    (root / "a/alias.txt").symlink_to("real.txt")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "a/up").symlink_to("..")
    (root / "dangling").symlink_to("nowhere")
    outcomes, summary = run(server.directory, root, "--follow-symlinks", status=4)
    assert set(contents(server.client())) == {"a/real.txt", "a/alias.txt", "out/b.txt"}
    by_name = {o["name"]: o for o in outcomes}
    assert by_name["a/up"]["action"] == "skipped" and "leads back up" in by_name["a/up"]["detail"]
    assert by_name["dangling"]["action"] == "failed" and "No such file" in by_name["dangling"]["detail"]
    assert summary["total"]["imported"] == 3


def test_a_name_that_no_key_can_have_is_named(server, tmp_path):
    root = tmp_path / "files"
    deep = "/".join("x" * 250 for _ in range(4))
    write(root, {f"{deep}/short": b"fits", f"{deep}/{'y' * 100}": b"too long"})
    outcomes, _ = run(server.directory, root, status=4)
    failed = [o for o in outcomes if o["action"] == "failed"]
    assert len(failed) == 1 and failed[0]["name"].endswith("y") and "1024 bytes" in failed[0]["detail"]
    assert list(contents(server.client())) == [f"{deep}/short"]


@pytest.mark.parametrize("killed", ["command", "server"])
def test_an_import_that_was_killed_is_finished_by_giving_it_again(server, tmp_path, killed):
    root = tmp_path / "files"
    files = write(root, {f"{n % 7}/{n}": os.urandom(90_000 if n % 2 else 900) for n in range(400)})
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_bucket_versioning(Bucket="photos", VersioningConfiguration={"Status": "Enabled"})
    if killed == "command":
        server.stop()
    for _ in range(2):
        process = subprocess.Popen(
            [BINARY, "import", str(server.directory), "--from", str(root), "--into", "photos", "--rate", "4", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        done = [process.stdout.readline() for _ in range(90)]
        assert all('"action"' in line for line in done), done[-1]
        if killed == "command":
            process.send_signal(signal.SIGKILL)
        else:
            server.kill()
            server.start()
        process.communicate()
    outcomes, summary = run(server.directory, root)
    assert 90 <= summary["total"]["present"] < 400 and summary["total"]["imported"] == 400 - summary["total"]["present"]
    if killed == "command":
        server.start()
    s3 = server.client()
    versions = [v["Key"] for page in s3.get_paginator("list_object_versions").paginate(Bucket="photos") for v in page["Versions"]]
    assert sorted(versions) == sorted(files), "no key has two versions"
    for name, data in files.items():
        assert body(s3, name) == data
    assert server.incoming() == []
    assert server.fsck("--deep")[2] == 0


def test_what_changed_comes_again_and_what_others_wrote_stays(server, tmp_path):
    root = tmp_path / "files"
    write(root, {"changed": b"first", "theirs": b"ours", "same": b"same"})
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="theirs", Body=b"not from the folder")
    outcomes, summary = run(server.directory, root, status=4)
    assert {o["name"]: o["action"] for o in outcomes} == {"changed": "imported", "theirs": "conflict", "same": "imported"}
    assert body(s3, "theirs") == b"not from the folder"
    (root / "changed").write_bytes(b"second")
    outcomes, _ = run(server.directory, root, status=4)
    assert {o["name"]: o["action"] for o in outcomes} == {"changed": "updated", "theirs": "conflict", "same": "present"}
    assert body(s3, "changed") == b"second"
    outcomes, _ = run(server.directory, root, "--overwrite")
    assert {o["name"]: o["action"] for o in outcomes} == {"changed": "present", "theirs": "updated", "same": "present"}
    assert body(s3, "theirs") == b"ours"
    done = holdfast("import", server.directory, "--from", root, "--into", "photos", check=0)
    assert "same  4 bytes  is there already" in done.stdout and "total: 0 imported of 0 bytes" in done.stdout


def test_a_dry_run_says_all_and_writes_nothing(server, tmp_path):
    root = tmp_path / "files"
    write(root, {"a": b"1", "b/c": b"22"})
    head = server.log()[-1]
    outcomes, summary = run(server.directory, root, "--dry-run")
    assert [(o["name"], o["action"]) for o in outcomes if "version" not in o] and summary["total"]["importedBytes"] == 3
    assert server.log()[-1] == head
    assert server.client().list_buckets()["Buckets"] == []
    server.stop()
    assert run(server.directory, root, "--dry-run")[1]["total"]["imported"] == 2
    server.start()


def sums(files, algorithm):
    return "".join(f"{hashlib.new(algorithm, data).hexdigest()}  {name}\n" for name, data in files.items())


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_bytes_that_are_not_what_the_sums_say_are_not_published(server, tmp_path, algorithm):
    root = tmp_path / "files"
    files = write(root, {"good": b"good", "bad": b"bad", "big": os.urandom(MIB), "empty": b""})
    table = tmp_path / "SUMS"
    table.write_text(sums({**files, "bad": b"other", "gone": b""}, algorithm))
    write(root, {"unlisted": b"u"})
    outcomes, summary = run(server.directory, root, "--sums", table, status=4)
    by_name = {o["name"]: o for o in outcomes}
    assert by_name["bad"]["action"] == "mismatch" and hashlib.new(algorithm, b"bad").hexdigest() in by_name["bad"]["detail"]
    assert by_name["gone"]["action"] == "failed" and "No such file" in by_name["gone"]["detail"]
    assert not by_name["unlisted"]["verified"] and "does not name it" in by_name["unlisted"]["detail"]
    s3 = server.client()
    assert set(contents(s3)) == {"good", "big", "empty", "unlisted"}
    assert summary["total"]["verified"] == 3 and summary["total"]["mismatches"] == 1
    # Mended, and read from the standard input.
    write(root, {"gone": b""})
    text = sums({**files, "gone": b"", "unlisted": b"u"}, algorithm)
    done = subprocess.run(
        [BINARY, "import", server.directory, "--from", root, "--into", "photos", "--sums", "-", "--json"],
        input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    again = {o["name"]: o["action"] for o in map(json.loads, done.stdout.splitlines()[:-1])}
    assert again == {n: "imported" if n in ("bad", "gone") else "present" for n in [*files, "gone", "unlisted"]}
    assert body(s3, "bad") == b"bad"
    # What is stored is compared too.
    s3.put_object(Bucket="photos", Key="good", Body=b"evil", Metadata=s3.head_object(Bucket="photos", Key="good")["Metadata"])
    table.write_text(text)
    outcomes, _ = run(server.directory, root, "--sums", table, status=4)
    assert [o["action"] for o in outcomes if o["name"] == "good"] == ["conflict"]
    table.write_text("nonsense\n")
    assert "line 1" in refused(server.directory, root, "--sums", table)


def test_the_bucket_enciphers_what_comes_in(server, tmp_path):
    root = tmp_path / "files"
    files = write(root, {"small": b"secret", "large": os.urandom(200_000), "empty": b""})
    holdfast("encryption-key", "create", server.directory, "k1", check=0)
    s3 = server.client()
    for bucket, rule in [("plain-keys", {"SSEAlgorithm": "AES256"}), ("kms-keys", {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k1"})]:
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": rule}]})
        table = tmp_path / "SUMS"
        table.write_text(sums(files, "sha256"))
        for action in ("imported", "present"):
            outcomes, _ = run(server.directory, root, "--sums", table, into=bucket)
            assert {o["action"] for o in outcomes} == {action}
        for name, data in files.items():
            found = s3.get_object(Bucket=bucket, Key=name)
            assert found["Body"].read() == data and found["ServerSideEncryption"] == rule["SSEAlgorithm"]
    assert server.fsck("--deep")[2] == 0


def test_a_locked_bucket_locks_what_comes_in(server, tmp_path):
    write(tmp_path / "files", {"a": b"1"})
    s3 = server.client()
    s3.create_bucket(Bucket="photos", ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(Bucket="photos", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}})
    run(server.directory, tmp_path / "files")
    assert s3.head_object(Bucket="photos", Key="a")["ObjectLockMode"] == "GOVERNANCE"


# Owners


def test_owners_are_mapped_by_folder(server, tmp_path):
    root = tmp_path / "files"
    write(root, {"alice/1": b"1", "alice/shared/2": b"22", "bob/3": b"333"})
    alice = server.user("alice")[0]
    owners = tmp_path / "owners.csv"
    owners.write_text("alice/,alice\n")
    said = refused(server.directory, root, "--owners", owners)
    assert "bob/" in said and "alice" not in said.replace(str(root), "")
    owners.write_text("alice/,alice\nalice/shared/,root\nbob/,bob\n")
    for flags in ([], ["--dry-run"]):
        assert "no user 'bob'" in refused(server.directory, root, "--owners", owners, *flags)
    s3 = server.client()
    assert s3.list_buckets()["Buckets"] == [], "nothing was written by then"
    bob = server.user("bob")[0]
    outcomes, summary = run(server.directory, root, "--owners", owners)
    assert {o["name"]: o["owner"] for o in outcomes} == {"alice/1": "alice", "alice/shared/2": "root", "bob/3": "bob"}
    assert {name: count["importedBytes"] for name, count in summary["owners"].items()} == {"alice": 1, "root": 2, "bob": 3}
    listed = contents(s3)
    assert listed["alice/1"]["Owner"]["ID"] == alice and listed["bob/3"]["Owner"]["ID"] == bob
    # Where all is the bucket owner's, no other owner is made up.
    s3.create_bucket(Bucket="enforced")
    assert "ObjectWriter" in refused(server.directory, root, "--owners", owners, into="enforced")
    assert contents(s3, "enforced") == {}
    run(server.directory, root, "--owner", "bob", into="bobs")
    assert {o["Owner"]["ID"] for o in contents(s3, "bobs").values()} == {bob}
    assert "no user" in refused(server.directory, root, "--owner", "nobody", into="other")


# Another S3 server


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("elsewhere") / "store") as server:
        yield server


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "old.json"
    path.write_text(json.dumps({"access-key": ACCESS_KEY, "secret-key": SECRET_KEY}))
    path.chmod(0o600)
    return path


names = iter(f"old-{n}" for n in range(1000))


@pytest.fixture
def old(elsewhere, credentials):
    """A bucket elsewhere, to fill and to import; `port` is of another way to it."""
    class Old:
        bucket = next(names)
        client = elsewhere.client()

        def place(self, prefix="", port=None, **items):
            items = {"endpoint": f"http://127.0.0.1:{port or elsewhere.port}", "credentials": credentials, **items}
            return f"s3://{self.bucket}/{prefix}?" + "&".join(f"{k}={v}" for k, v in items.items())

        def put(self, key, data=b"", **more):
            return self.client.put_object(Bucket=self.bucket, Key=key, Body=data, **more)

        def put_parts(self, key, parts, **more):
            begun = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **more)
            where = dict(Bucket=self.bucket, Key=key, UploadId=begun["UploadId"])
            named = []
            for number, data in enumerate(parts, 1):
                algorithm = {k: more[k] for k in more if k == "ChecksumAlgorithm"}
                done = self.client.upload_part(PartNumber=number * 2, Body=data, **where, **algorithm)
                sums = {k: done[k] for k in done if k.startswith("Checksum") and k != "ChecksumType"}
                named.append({"PartNumber": number * 2, "ETag": done["ETag"], **sums})
            self.client.complete_multipart_upload(MultipartUpload={"Parts": named}, **where)

    found = Old()
    found.client.create_bucket(Bucket=found.bucket)
    return found


def told(s3, bucket, key, **more):
    """All that is told of an object that an import is to keep."""
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **more)
    kept = {k: v for k, v in head.items() if k not in ("ResponseMetadata", "LastModified", "VersionId", "ReplicationStatus")}
    tags = s3.get_object_tagging(Bucket=bucket, Key=key, **more)["TagSet"]
    return kept, sorted(tags, key=lambda tag: tag["Key"])


@pytest.mark.parametrize("stopped", [False, True])
def test_objects_come_with_all_that_is_told_of_them(server, old, stopped):
    draw = random.Random(3)
    bodies = {"small": b"s", "empty": b"", "inline": draw.randbytes(65_000), "blob": draw.randbytes(300_000),
              "nine": draw.randbytes(9 * MIB), "a/ü + 日本/x y?&=%41": b"key", "folder/": b""}
    for key, data in bodies.items():
        old.put(key, data)
    old.put("rich", b"rich", ContentType="text/x-odd; charset=utf-8", CacheControl="max-age=60", ContentDisposition="inline",
            ContentEncoding="br", ContentLanguage="de", Expires="Wed, 21 Oct 2026 07:28:00 GMT", StorageClass="STANDARD_IA",
            Metadata={"mtime": "12.5", "colour": "red"}, Tagging="kind=raw&owner+of=me%2Byou", ChecksumAlgorithm="SHA256",
            WebsiteRedirectLocation="/other")
    old.put("nine-tagged", bodies["nine"], Tagging="kind=large")
    parts = [draw.randbytes(5 * MIB), draw.randbytes(5 * MIB + 1), draw.randbytes(1000)]
    for name, more in {"parts": {}, "crc32": {"ChecksumAlgorithm": "CRC32"}, "sha256": {"ChecksumAlgorithm": "SHA256"},
                       "full": {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"},
                       "one": {"ChecksumAlgorithm": "SHA1", "Tagging": "a=b"}}.items():
        old.put_parts(name, parts[2:] if name == "one" else parts, **more)
        bodies[name] = parts[2] if name == "one" else b"".join(parts)
    bodies |= {"rich": b"rich", "nine-tagged": bodies["nine"]}
    if stopped:
        server.stop()
    outcomes, summary = run(server.directory, old.place())
    assert summary["total"]["imported"] == summary["total"]["verified"] == len(bodies)
    again, repeated = run(server.directory, old.place())
    assert repeated["total"]["present"] == len(bodies) and repeated["total"]["imported"] == 0
    if stopped:
        server.start()
    s3 = server.client()
    assert set(contents(s3)) == set(bodies)
    for key, data in bodies.items():
        assert body(s3, key) == data, key
        assert told(s3, "photos", key) == told(old.client, old.bucket, key), key
    for number in (1, 2, 3):
        there = old.client.get_object(Bucket=old.bucket, Key="sha256", PartNumber=number, ChecksumMode="ENABLED")
        here = s3.get_object(Bucket="photos", Key="sha256", PartNumber=number, ChecksumMode="ENABLED")
        assert here["Body"].read() == parts[number - 1] == there["Body"].read()
        assert here["PartsCount"] == 3 and here["ChecksumSHA256"] == there["ChecksumSHA256"]
    assert server.incoming() == []
    assert server.fsck("--deep")[2] == 0


def test_an_object_keeps_its_own_retention_and_legal_hold(server, old):
    old.bucket = next(names)
    old.client.create_bucket(Bucket=old.bucket, ObjectLockEnabledForBucket=True)
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)).replace(microsecond=0)
    old.put("plain", b"p")
    old.put("governed", b"g", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    old.put("complied", b"c", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")
    old.put("held", b"h", ObjectLockLegalHoldStatus="ON")
    s3 = server.client()
    s3.create_bucket(Bucket="photos", ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(Bucket="photos", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}})
    run(server.directory, old.place())
    found = {key: s3.head_object(Bucket="photos", Key=key) for key in ("plain", "governed", "complied", "held")}
    for key, mode in (("governed", "GOVERNANCE"), ("complied", "COMPLIANCE")):
        assert (found[key]["ObjectLockMode"], found[key]["ObjectLockRetainUntilDate"]) == (mode, until), key
    # What has no retention of its own gets the bucket's.
    for key in ("plain", "held"):
        assert found[key]["ObjectLockMode"] == "GOVERNANCE" and found[key]["ObjectLockRetainUntilDate"] < until, key
    assert {key for key in found if found[key].get("ObjectLockLegalHoldStatus") == "ON"} == {"complied", "held"}
    for key in ("complied", "held"):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(Bucket="photos", Key=key, VersionId=found[key]["VersionId"], BypassGovernanceRetention=True)
    # A bucket without Object Lock takes the objects without their locks.
    run(server.directory, old.place(), into="open")
    assert "ObjectLockMode" not in s3.head_object(Bucket="open", Key="complied")


def test_tags_that_may_not_be_read_are_told_of(server, elsewhere, old, tmp_path):
    old.put("untold", b"1")
    old.put("large", os.urandom(9 * MIB))
    old.put("tagged", b"2", Tagging="a=b")
    name = f"reader-{old.bucket}"
    _, access, secret = elsewhere.user(name)
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{old.bucket}"},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{old.bucket}/*"}]}
    put = subprocess.run([BINARY, "user", "policy", "put", elsewhere.directory, name, "read", "-"],
                         input=json.dumps(policy), text=True, capture_output=True, timeout=60)
    assert put.returncode == 0, put.stderr
    keys = tmp_path / "reader.json"
    keys.write_text(json.dumps({"access-key": access, "secret-key": secret}))
    keys.chmod(0o600)
    outcomes, summary = run(server.directory, old.place(credentials=keys), status=4)
    by_name = {o["name"]: o for o in outcomes}
    for key in ("untold", "large"):
        assert by_name[key]["action"] == "imported" and "s3:GetObjectTagging" in by_name[key]["detail"], key
        assert by_name[key]["mayLackTags"], key
    assert by_name["tagged"]["action"] == "failed"
    assert summary["total"]["imported"] == 2 and summary["total"]["failed"] == 1 and summary["total"]["mayLackTags"] == 2
    outcomes, _ = run(server.directory, old.place())
    assert {o["name"]: o["action"] for o in outcomes} == {"untold": "present", "large": "present", "tagged": "imported"}


def test_a_prefix_is_imported_under_another(server, old):
    for key in ("2025/a", "2025/b/c", "2026/d", "2025", "2025x", "2025/"):
        old.put(key, key.encode())
    outcomes, _ = run(server.directory, old.place("2025"), "--prefix", "archive/")
    assert set(contents(server.client())) == {"archive/a", "archive/b/c"}
    assert [o["action"] for o in outcomes if o["name"] == "2025/"] == ["skipped"]


def test_a_source_object_that_changes_comes_again(server, old):
    old.put("a", b"first")
    old.put("b", b"b")
    s3 = server.client()
    run(server.directory, old.place())
    old.put("a", b"second")
    s3.put_object(Bucket="photos", Key="b", Body=b"changed here")
    outcomes, _ = run(server.directory, old.place(), status=4)
    assert {o["name"]: o["action"] for o in outcomes} == {"a": "updated", "b": "conflict"}
    assert body(s3, "a") == b"second" and body(s3, "b") == b"changed here"


def history(s3, bucket, prefix=""):
    """Versions and markers, newest first for each key."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        found += [(v["Key"], v["VersionId"], v["ETag"], v["IsLatest"]) for v in page.get("Versions", [])]
        found += [(m["Key"], m["VersionId"], "marker", m["IsLatest"]) for m in page.get("DeleteMarkers", [])]
    return sorted(found)


def test_histories_come_in_order_and_go_on(server, old):
    old.put("null", b"before versions")
    old.client.put_bucket_versioning(Bucket=old.bucket, VersioningConfiguration={"Status": "Enabled"})
    for n in range(4):
        old.put("often", b"%d" % n, Tagging=f"n={n}")
    old.put_parts("parts", [os.urandom(5 * MIB), b"x"])
    old.put("parts", b"whole")
    old.client.delete_object(Bucket=old.bucket, Key="often")
    old.put("often", b"again")
    old.put("deleted", b"d")
    old.client.delete_object(Bucket=old.bucket, Key="deleted")
    old.put("null", b"after")
    there = history(old.client, old.bucket)
    outcomes, summary = run(server.directory, old.place(), "--versions")
    assert summary["total"]["imported"] == len(there) == 12
    s3 = server.client()
    here = history(s3, "photos")
    assert [v for v in here if v[0] != "null"] == [v for v in there if v[0] != "null"]
    assert sorted((v[2], v[3]) for v in here if v[0] == "null") == sorted((v[2], v[3]) for v in there if v[0] == "null")
    for key, version, etag, _ in there:
        if etag != "marker" and version != "null":
            assert told(s3, "photos", key, VersionId=version) == told(old.client, old.bucket, key, VersionId=version)
            assert body(s3, key, VersionId=version) == body(old.client, key, old.bucket, VersionId=version)
    published_count = len(published(server))
    assert run(server.directory, old.place(), "--versions")[1]["total"]["present"] == 12
    assert len(published(server)) == published_count
    # What the source has since is put above; a key that somebody wrote to here is not.
    old.put("often", b"newest")
    old.put("deleted", b"back")
    s3.put_object(Bucket="photos", Key="deleted", Body=b"ours")
    outcomes, summary = run(server.directory, old.place(), "--versions", status=4)
    assert {(o["name"], o["action"]) for o in outcomes if o["action"] != "present"} == {("often", "imported"), ("deleted", "conflict")}
    assert body(s3, "often") == b"newest" and body(s3, "deleted") == b"ours"
    s3.create_bucket(Bucket="flat")
    assert "keeps no versions" in refused(server.directory, old.place(), "--versions", into="flat")


def test_a_bucket_is_imported_as_it_was(server, old):
    old.client.put_bucket_versioning(Bucket=old.bucket, VersioningConfiguration={"Status": "Enabled"})
    old.put("a", b"good")
    old.put("gone", b"good")
    marked = old.client.head_object(Bucket=old.bucket, Key="gone")["LastModified"]

    def is_later():
        old.put("clock")
        return old.client.head_object(Bucket=old.bucket, Key="clock")["LastModified"] > marked

    wait_until(is_later, what="the next second")
    old.put("a", b"encrypted by a thief")
    old.client.delete_object(Bucket=old.bucket, Key="gone")
    moment = marked.strftime("%Y-%m-%dT%H:%M:%SZ")
    run(server.directory, old.place(at=moment))
    s3 = server.client()
    assert body(s3, "a") == b"good" and body(s3, "gone") == b"good"


def test_owners_of_a_bucket_are_mapped(server, old, tmp_path):
    old.put("ours", b"1")
    root = contents(old.client, old.bucket)["ours"]["Owner"]["ID"]
    server.user("ann")
    owners = tmp_path / "owners.json"
    owners.write_text(json.dumps({"0123abcd": "ann"}))
    assert root in refused(server.directory, old.place(), "--owners", owners)
    owners.write_text(json.dumps({root: "ann", "*": "root"}))
    outcomes, summary = run(server.directory, old.place(), "--owners", owners)
    assert [o["owner"] for o in outcomes] == ["ann"] and summary["owners"]["ann"]["imported"] == 1


@pytest.fixture
def proxied(elsewhere):
    with contextlib.ExitStack() as stack:
        def start(harm=lambda n: None, **more):
            proxy = Proxy(elsewhere.port, harm, **more)
            stack.callback(proxy.close)
            return proxy
        yield start


def test_an_endpoint_that_fails_at_random_is_asked_again(server, old, proxied):
    bodies = {f"k{n}": os.urandom(n * 30_000) for n in range(40)}
    for key, data in bodies.items():
        old.put(key, data, Tagging="a=b")
    old.put_parts("parts", [os.urandom(5 * MIB), os.urandom(2 * MIB)])
    draw = random.Random(7)
    proxy = proxied(lambda n: draw.choice(["503", "reset", "truncate"] + [None] * 6))
    _, summary = run(server.directory, old.place(port=proxy.port), "--parallel", "8")
    assert summary["total"]["imported"] == summary["total"]["verified"] == 41 and proxy.harmed > 0
    s3 = server.client()
    for key, data in bodies.items():
        assert body(s3, key) == data
    assert contents(s3)["parts"]["ETag"] == contents(old.client, old.bucket)["parts"]["ETag"]
    assert server.fsck("--deep")[2] == 0


def test_bytes_that_are_not_what_the_endpoint_says_are_not_published(server, old, proxied):
    old.put("small", b"this is precious to me")
    old.put("large", b"x" * 9 * MIB + b"precious")
    old.put_parts("parts", [b"y" * 5 * MIB, b"precious"], ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    old.put("good", b"nothing")
    proxy = proxied(change=lambda data: data.replace(b"precious", b"preciouS"))
    outcomes, summary = run(server.directory, old.place(port=proxy.port), status=4)
    assert {o["name"]: o["action"] for o in outcomes} == {
        "small": "mismatch", "large": "mismatch", "parts": "mismatch", "good": "imported"}
    assert all("where the endpoint says" in o["detail"] for o in outcomes if o["action"] == "mismatch")
    s3 = server.client()
    assert set(contents(s3)) == {"good"} and server.incoming() == []
    # With a way that harms nothing, the rest comes.
    assert run(server.directory, old.place())[1]["total"]["imported"] == 3
    assert body(s3, "parts").endswith(b"precious")


def test_an_endpoint_that_cannot_be_asked_is_named(server, old, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"access-key": ACCESS_KEY, "secret-key": "another"}))
    wrong.chmod(0o600)
    assert "403 SignatureDoesNotMatch" in refused(server.directory, old.place(credentials=wrong))
    assert "NoSuchBucket" in refused(server.directory, old.place().replace(old.bucket, "no-such-bucket"))
    assert "cannot be imported" in refused(server.directory, tmp_path / "nowhere")
    assert "store's own files" in refused(server.directory, server.directory.parent)
    (tmp_path / "files").mkdir()
    assert "bucket name" in refused(server.directory, tmp_path / "files", into="Not_A_Bucket")
    assert server.client().list_buckets()["Buckets"] == []
    for flags in (["--versions"], ["--rate", "0"], ["--parallel", "33"], ["--owner", "a", "--owners", "b"]):
        assert holdfast("import", server.directory, "--from", tmp_path, "--into", "b", *flags).returncode == 64
    assert holdfast("import", server.directory, "--from", old.place(), "--into", "b", "--sums", wrong).returncode == 64
