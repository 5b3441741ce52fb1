"""Requests that nobody meant, by senders who may do little: none, or one with other rights, a presigned URL, a body in
chunks, a browser's form, each a few changes away from a good one.

No answer is a 500, none is late, and nothing succeeds that the sender, as the request stood before it was changed, had
no right to. `HOLDFAST_SEED` repeats a run.
"""

import base64
import json
import random
import urllib.parse
import zlib

import pytest
from holdfast import ACCESS_KEY, Server, holdfast
from signing import Signer
from test_fuzz import REQUESTS, SEED, SUBRESOURCES, VALUES, Connection, Generator, check

SECRET = b"\x00not for everybody\xff" * 20
PUBLIC = b"P" * 300
# What others may read is made of this byte alone, so that any part of it is told from any other body.
ALICES = b"A" * 300
# What of an object takes another right than to read, write or delete it.
OTHER_RIGHTS = {"acl", "attributes", "legal-hold", "restore", "retention", "select", "tagging", "torrent"}
COUNT = REQUESTS // 3


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Everybody reads dir/ of fuzz-b; alice reads, writes and deletes its key k; bob may do nothing."""
    print(f"HOLDFAST_SEED={SEED}")
    directory = tmp_path_factory.mktemp("rights")
    with Server(directory / "store") as server:
        s3 = server.client()
        for bucket in ("fuzz-a", "fuzz-b", "drop"):
            s3.create_bucket(Bucket=bucket)
        for bucket, key in (("fuzz-a", "k"), ("fuzz-a", "dir/x"), ("fuzz-b", "é\u20ac")):
            s3.put_object(Bucket=bucket, Key=key, Body=SECRET)
        s3.put_object(Bucket="fuzz-b", Key="dir/x", Body=PUBLIC)
        s3.put_object(Bucket="fuzz-b", Key="k", Body=ALICES)
        s3.delete_public_access_block(Bucket="fuzz-b")
        s3.put_bucket_policy(Bucket="fuzz-b", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::fuzz-b/dir/*"}]}))
        server.users = {}
        for name, actions, resource in (
                ("alice", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "fuzz-b/k"), ("bob", ["s3:GetObject"], "none/*")):
            identity, access, secret = server.user(name)
            server.users[name] = identity, lambda access=access, secret=secret: Signer(access, secret)
            document = directory / f"{name}.json"
            document.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{resource}"}]}))
            holdfast("user", "policy", "put", server.directory, name, "own", document, check=0)
        yield server
        assert server.process.poll() is None
        server.fsck(check=0)
        assert "internal" not in server.errors.read_text()


def state(server):
    """All that others than alice must leave as it is."""
    s3 = server.client()
    found = {}
    for bucket in ("fuzz-a", "fuzz-b", "drop"):
        listed = s3.list_object_versions(Bucket=bucket)
        found[bucket] = [(v["Key"], v["VersionId"], v["ETag"], v["LastModified"]) for v in listed.get("Versions", [])]
        found[bucket] += s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        found[bucket].append(s3.get_bucket_versioning(Bucket=bucket).get("Status"))
        for setting in ("acl", "ownership_controls"):
            answer = getattr(s3, f"get_bucket_{setting}")(Bucket=bucket)
            found[bucket].append({k: v for k, v in answer.items() if k != "ResponseMetadata"})
    found["buckets"] = [b["Name"] for b in s3.list_buckets()["Buckets"]]
    found["policy"] = s3.get_bucket_policy(Bucket="fuzz-b")["Policy"]
    return found


def is_nothing_deleted(answer):
    """Whether it is a deletion of several keys whose every key was refused, which is a 200. What a quiet one leaves out, the
    log tells."""
    return b"<DeleteResult" in answer[2] and b"<Deleted>" not in answer[2]


def changes(server, first):
    """The events behind `first` that somebody asked for."""
    return [e for e in server.log() if e["sequence"] > first and e["event"].get("actor") != "holdfast"]


def shown(request, answer):
    return f"HOLDFAST_SEED={SEED}", request, answer[0], answer[2][:200]


def is_public_read(request, answer):
    """Whether it is an answer with the one object, or a part of it, that everybody may read."""
    return request[0] in ("GET", "HEAD") and (
        answer[0] == 304 or set(answer[2]) <= set(PUBLIC) and answer[1].get("ETag") is not None)


@pytest.mark.parametrize("who", ["nobody", "bob"])
def test_who_has_no_rights_changes_and_learns_nothing(stage, who):
    generator = Generator(SEED)
    chance = random.Random(SEED)
    connection = Connection(stage)
    before, first = state(stage), stage.log()[-1]["sequence"]
    successes = 0
    for _ in range(COUNT):
        method, path, query, headers, body = request = generator.request()
        if chance.random() < 0.2:
            path = "/fuzz-b/dir/x"
            request = method, path, query, headers, body
        if who == "bob":
            answer = connection.send(*request, signer=stage.users["bob"][1]())
        else:
            target = urllib.parse.quote(path, safe="/-._~")
            if query:
                target += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
            if chance.random() < 0.1:
                headers = {**headers, "Host": f"fuzz-a.localhost:{stage.port}"}
            if chance.random() < 0.1:
                headers = {**headers, "Authorization": chance.choice(
                    ["", "AWS", "AWS a:b", "AWS4-HMAC-SHA256", "Basic YTpi", "Bearer x", f"AWS {ACCESS_KEY}:",
                     f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="])}
            answer = connection.exchange(method, target, headers, body)
        check(request, *answer)
        assert SECRET[:16] not in answer[2], shown(request, answer)
        if answer[0] < 400 and not is_nothing_deleted(answer):
            assert is_public_read(request, answer), shown(request, answer)
            successes += 1
    assert successes > 0, "some of them ask for what everybody may read"
    assert state(stage) == before
    assert changes(stage, first) == []


def test_a_user_does_what_her_policy_allows_and_no_more(stage):
    generator = Generator(SEED + 1)
    chance = random.Random(SEED + 1)
    connection = Connection(stage)
    before = {k: v for k, v in state(stage).items() if k != "fuzz-b"}
    first = stage.log()[-1]["sequence"]
    successes = 0
    for _ in range(COUNT):
        method, path, query, headers, body = generator.request()
        if chance.random() < 0.4:
            path = "/fuzz-b/k"
        request = method, path, query, headers, body
        answer = connection.send(*request, signer=stage.users["alice"][1]())
        check(request, *answer)
        assert SECRET[:16] not in answer[2], shown(request, answer)
        if answer[0] < 300 and not is_public_read(request, answer):
            successes += 1
            names = {name for name, _ in query}
            if "delete" in names and method == "POST":
                assert path == "/fuzz-b" or is_nothing_deleted(answer), shown(request, answer)
                continue
            # A form has its key inside; the log tells which.
            assert path == "/fuzz-b/k" or path == "/fuzz-b" and method == "POST", shown(request, answer)
            assert "uploads" in names or not names & OTHER_RIGHTS, shown(request, answer)
            # To a part, and to its upload's completion, the header means nothing.
            assert method not in ("PUT", "POST") or "uploadId" in names or not headers.get("x-amz-tagging"), \
                shown(request, answer)
            if b"<UploadId>" in answer[2]:
                generator.upload = answer[2].split(b"<UploadId>")[1].split(b"<")[0].decode()
    assert successes > COUNT / 50
    now = state(stage)
    assert {k: v for k, v in now.items() if k != "fuzz-b"} == before
    for event in changes(stage, first):
        change = next(v for v in event["event"].values() if isinstance(v, dict))
        assert event["event"]["actor"] == stage.users["alice"][0], event
        assert (change.get("bucket"), change.get("key")) == ("fuzz-b", "k"), event
    listed = stage.client().list_object_versions(Bucket="fuzz-b")
    assert {v["Key"] for v in listed["Versions"]} <= {"k", "dir/x", "é\u20ac"}
    for version in listed["Versions"]:
        if version["Key"] == "k":
            got = stage.client().get_object(Bucket="fuzz-b", Key="k")["Body"].read()
            assert SECRET[:16] not in got, "she copied what she may not read"


def items(query):
    """What a query says, whatever the order and the escapes. The signature is no part of what is signed, so only the
    first that a query has is looked at."""
    found = urllib.parse.parse_qsl(query, keep_blank_values=True)
    signature = [item for item in found if item[0] == "X-Amz-Signature"][:1]
    return sorted(item for item in found if item[0] != "X-Amz-Signature") + signature


def mutated_query(chance, query):
    """A presigned query with parts changed, left out, doubled, moved and added."""
    parts = query.split("&")
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(len(parts))
        kind = chance.randrange(8)
        if kind == 0 and len(parts) > 1:
            del parts[at]
        elif kind == 1:
            parts.insert(chance.randrange(len(parts) + 1), parts[at])
        elif kind == 2:
            chance.shuffle(parts)
        elif kind == 3:
            name = chance.choice(SUBRESOURCES + ["versionId", "response-content-type", "partNumber", "x-id", "X-Amz-Expires"])
            parts.append(f"{name}={urllib.parse.quote(chance.choice(VALUES))}")
        elif kind == 4:
            name = parts[at].split("=")[0]
            parts[at] = f"{name}={urllib.parse.quote(chance.choice(VALUES))}"
        elif kind == 5:
            part = parts[at]
            where = chance.randrange(len(part) + 1)
            parts[at] = part[:where] + chance.choice("0aZ%=&+;/-. \"<").replace(" ", "%20").replace('"', "%22").replace(
                "<", "%3C") + part[where + chance.randrange(2):]
        elif kind == 6:
            parts[at] = parts[at].swapcase()
        else:
            name, _, value = parts[at].partition("=")
            parts[at] = name + "=" + "".join(f"%{byte:02x}" for byte in urllib.parse.unquote_to_bytes(value))
    return "&".join(parts)


def test_a_presigned_url_is_good_for_what_was_signed_alone(stage):
    chance = random.Random(SEED + 2)
    connection = Connection(stage)
    client = stage.client(signature_version="s3v4")
    links = [
        ("GET", client.generate_presigned_url("get_object", Params={"Bucket": "fuzz-a", "Key": "k"})),
        ("GET", client.generate_presigned_url(
            "get_object", Params={"Bucket": "fuzz-a", "Key": "dir/x", "ResponseContentType": "a/b+c", "ResponseCacheControl": "x y"})),
        ("HEAD", client.generate_presigned_url("head_object", Params={"Bucket": "fuzz-a", "Key": "k"})),
        ("PUT", client.generate_presigned_url("put_object", Params={"Bucket": "drop", "Key": "put"})),
        ("GET", client.generate_presigned_url("list_objects_v2", Params={"Bucket": "fuzz-a", "Prefix": "di"})),
    ]
    before = {k: v for k, v in state(stage).items() if k != "drop"}
    good = 0
    for number in range(COUNT):
        meant, url = links[number % len(links)]
        parsed = urllib.parse.urlsplit(url)
        query = mutated_query(chance, parsed.query)
        method = meant if chance.random() < 0.8 else chance.choice(["GET", "PUT", "DELETE", "HEAD", "POST", "OPTIONS"])
        path = parsed.path if chance.random() < 0.9 else chance.choice(["/fuzz-a/k", "/fuzz-a/", "/fuzz-b/k", "/fuzz-a//k", "/"])
        answer = connection.exchange(method, f"{path}?{query}", {}, b"put" if method == "PUT" else b"")
        request = method, path, query
        check((method, path), *answer)
        is_same = method == meant and path == parsed.path and items(query) == items(parsed.query)
        assert is_same or answer[0] >= 400, shown(request, answer)
        assert is_same or SECRET[:16] not in answer[2], shown(request, answer)
        good += answer[0] < 300
    assert good > 0, "order and escapes of a query are nothing"
    assert {k: v for k, v in state(stage).items() if k != "drop"} == before
    listed = stage.client().list_objects_v2(Bucket="drop").get("Contents", [])
    assert {o["Key"] for o in listed} <= {"put"}


CONTENT = bytes(range(256)) * 80
TRAILER = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()
PIECES = [CONTENT[:8192], CONTENT[8192:16384], CONTENT[16384:]]


def signed(signer):
    return b"".join(signer.chunk(piece) for piece in PIECES) + signer.chunk(b"") + b"\r\n"


def signed_with_trailer(signer):
    return b"".join(signer.chunk(piece) for piece in PIECES) + signer.chunk(b"") + signer.trailer(TRAILER)


def unsigned_with_trailer(_):
    return b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in PIECES) + f"0\r\n{TRAILER}\r\n\r\n".encode()


def mutated_frames(chance, body):
    """A body whose frames, and now and then whose bytes, are others."""
    body = bytearray(body)
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        # Most of the body is content: the frames are found by their line ends.
        ends = [at for at in range(len(body)) if body[at:at + 2] == b"\r\n"]
        at = chance.choice(ends) if ends and chance.random() < 0.8 else chance.randrange(len(body) + 1)
        at = max(0, min(len(body), at + chance.randrange(-6, 6)))
        kind = chance.randrange(6)
        if kind == 0:
            del body[at:at + chance.randrange(1, 4)]
        elif kind == 1:
            body[at:at] = chance.choice([b"\r\n", b"\n", b"\r", b"0", b"0\r\n\r\n", b"f" * 16, b";", b";a=b", b"-1", b" ", b"\0", b":", b"x:y\r\n"])
        elif kind == 2 and at < len(body):
            body[at] = chance.randrange(256)
        elif kind == 3:
            del body[at:]
        elif kind == 4:
            body[at:at] = body[max(0, at - 300):at + 300]
        else:
            body += chance.choice([b"\r\n", b"0\r\n\r\n", b"x" * 100])
    return bytes(body)


@pytest.mark.parametrize("payload, frames", [
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", signed), ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", signed_with_trailer),
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", unsigned_with_trailer)], ids=["signed", "signed-trailer", "unsigned-trailer"])
def test_a_body_in_chunks_is_stored_as_it_was_meant_or_not_at_all(stage, payload, frames):
    chance = random.Random(SEED + 3)
    connection = Connection(stage)
    client = stage.client()
    stored = 0
    for number in range(COUNT // 5):
        key = f"chunks-{payload}-{number}"
        signer = Signer()
        headers = {"Host": f"127.0.0.1:{stage.port}", "x-amz-date": signer.time, "x-amz-content-sha256": payload,
                   "Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(CONTENT))}
        if payload.endswith("TRAILER"):
            headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        headers["Authorization"] = signer.sign("PUT", f"/drop/{key}", [], headers, payload)
        body = mutated_frames(chance, frames(signer))
        answer = connection.exchange("PUT", f"/drop/{key}", headers, body)
        check(("PUT", f"/drop/{key}"), *answer)
        if answer[0] < 300:
            stored += 1
            assert client.get_object(Bucket="drop", Key=key)["Body"].read() == CONTENT, shown(body[:600], answer)
        else:
            assert "Contents" not in client.list_objects_v2(Bucket="drop", Prefix=key), shown(body[:600], answer)
    assert 0 < stored < COUNT // 5


def form_body(fields, content):
    return b"".join(
        f'--bound\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()) + (
        b'--bound\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
        + content + b"\r\n--bound--\r\n")


def mutated_form(chance, fields, content):
    fields = dict(fields)
    if chance.random() < 0.5:
        name = chance.choice(list(fields) + ["acl", "tagging", "x-amz-meta-a", "Content-Type", "bucket", "success_action_status"])
        if chance.random() < 0.3:
            fields.pop(name, None)
        else:
            fields[name] = chance.choice(
                VALUES + ["in/x", "out/x", "in/../k", "public-read", "201", "fuzz-a", fields.get(name, "") + " "])
    if chance.random() < 0.2:
        items = list(fields.items())
        chance.shuffle(items)
        fields = dict(items)
    body = bytearray(form_body(fields, content))
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(len(body) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            del body[at:at + chance.randrange(40)]
        elif kind == 1:
            body[at:at] = chance.choice([b"\r\n", b"--bound\r\n", b"--bound--\r\n", b'"', b";", b"\0", b"\r\n\r\n", b"name=key", b"x" * 300])
        elif kind == 2 and at < len(body):
            body[at] = chance.randrange(256)
        elif kind == 3:
            del body[at:]
        else:
            body[at:at] = body[max(0, at - 100):at + 100]
    return bytes(body)


def test_a_form_writes_where_its_policy_says_or_nothing(stage):
    chance = random.Random(SEED + 4)
    connection = Connection(stage)
    form = stage.client(signature_version="s3v4").generate_presigned_post(
        "drop", "in/${filename}", Fields={"x-amz-meta-a": "1"}, Conditions=[
            ["starts-with", "$key", "in/"], {"x-amz-meta-a": "1"}, ["content-length-range", 1, 100]])["fields"]
    others = {k: v for k, v in state(stage).items() if k != "drop"}
    client = stage.client()
    before = {o["Key"] for o in client.list_objects_v2(Bucket="drop").get("Contents", [])}
    taken = 0
    for _ in range(COUNT):
        content = chance.choice([b"", b"hello", b"x" * 100, b"x" * 101, b"\r\n--boun", b"\r\n--bound", bytes(range(99))])
        bucket = "drop" if chance.random() < 0.9 else chance.choice(["fuzz-a", "fuzz-b", "none"])
        kind = "multipart/form-data; boundary=bound" if chance.random() < 0.9 else chance.choice(
            ["multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="bound"', "text/plain",
             "multipart/form-data; boundary=" + "b" * 300, "multipart/form-data; boundary=bound; boundary=x"])
        body = mutated_form(chance, form, content)
        answer = connection.exchange("POST", f"/{bucket}", {"Content-Type": kind}, body)
        check(("POST", f"/{bucket}"), *answer)
        if answer[0] < 300:
            taken += 1
            assert bucket == "drop", shown(body, answer)
    assert 0 < taken < COUNT
    assert {k: v for k, v in state(stage).items() if k != "drop"} == others
    made = [o for page in client.get_paginator("list_objects_v2").paginate(Bucket="drop") for o in page.get("Contents", [])
            if o["Key"] not in before]
    assert made and all(o["Key"].startswith("in/") and 1 <= o["Size"] <= 100 for o in made), made
    for o in made:
        assert client.head_object(Bucket="drop", Key=o["Key"])["Metadata"] == {"a": "1"}
