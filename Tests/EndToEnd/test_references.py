"""`holdfast fsck --refs`: the store against an application's own records."""

import csv
import hashlib
import io
import json
import os
import random
import subprocess

import pytest

from holdfast import BINARY, holdfast

ROOT_ID = hashlib.sha256(b"holdfast user root").hexdigest()


@pytest.fixture(params=["running", "stopped"])
def store(request, server):
    s3 = server.client()
    for bucket in ("photos", "other"):
        s3.create_bucket(Bucket=bucket)
    server.bodies = {f"key {n}": os.urandom(100 * n + 1) for n in range(8)} | {"large": os.urandom(100_000),
                                                                            'quotes ", and\nlines': b"x", "Ünïcode": b"y"}
    for key, body in server.bodies.items():
        s3.put_object(Bucket="photos", Key=key, Body=body)
    s3.put_object(Bucket="other", Key="not asked about", Body=b"z")
    if request.param == "stopped":
        server.stop()
    return server


def rows(store):
    return [{"key": key, "size": len(body), "hash": hashlib.md5(body).hexdigest(), "owner": "root"}
            for key, body in store.bodies.items()]


def compare(store, text, *flags, status=None):
    done = subprocess.run([BINARY, "fsck", str(store.directory), "--refs", "-", "--json", *flags],
                          input=text, capture_output=True, text=isinstance(text, str), timeout=300)
    assert status is None or done.returncode == status, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1] if lines else None, done


def as_csv(records, columns=("key", "size", "hash", "owner"), end="\r\n"):
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def as_json(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.mark.parametrize("form", [as_csv, as_json, lambda r: as_csv(r, end="\n"), lambda r: "\ufeff" + as_csv(r)])
def test_records_that_agree_have_no_difference(store, form):
    findings, summary, _ = compare(store, form(rows(store)), "--bucket", "photos", status=0)
    assert not list((store.directory / "state").glob("refs-*"))
    assert findings == []
    assert (summary["rows"], summary["objects"]) == (len(store.bodies), len(store.bodies))


def test_each_difference_is_named_with_its_row(store):
    records = rows(store)
    records[0]["size"] = 77
    records[1]["hash"] = hashlib.md5(b"other").hexdigest()
    records[2]["owner"] = "somebody"
    del records[3]
    records.append({"key": "zz lost in flight", "size": 5, "hash": "", "owner": ""})
    findings, summary, _ = compare(store, as_csv(records), "--bucket", "photos", status=4)
    assert {(f["class"], f["key"]) for f in findings} == {
        ("reference.size-differs", "key 0"), ("reference.hash-differs", "key 1"), ("reference.owner-differs", "key 2"),
        ("reference.no-row", "key 3"), ("reference.no-object", "zz lost in flight")}
    assert all(f["bucket"] == "photos" and f["evidence"] for f in findings)
    assert "line 2:" in next(f["evidence"] for f in findings if f["key"] == "key 0")
    assert summary["findings"] == 5 and summary["exitStatus"] == 4


def test_a_sha256_and_an_owners_id_are_understood(store):
    records = [{"bucket": "photos", "key": key, "hash": hashlib.sha256(body).hexdigest().upper(), "owner": ROOT_ID}
               for key, body in store.bodies.items()]
    assert compare(store, as_json(records), status=0)[0] == []


def test_versions_are_looked_up_by_their_ids(store):
    records = rows(store) + [{"key": "key 1", "version": "null", "size": 101},
                             {"key": "key 1", "version": "0" * 32, "size": 101}]
    findings, _, _ = compare(store, as_csv(records, ("key", "version", "size")), "--bucket", "photos", status=4)
    assert [(f["class"], f["key"], f["versionId"]) for f in findings] == [("reference.no-object", "key 1", "0" * 32)]


def test_a_bucket_that_is_not_there_has_no_objects(store):
    records = [{"bucket": "never-made", "key": "a"}, {"bucket": "other", "key": "not asked about"}]
    findings, summary, _ = compare(store, as_json(records), status=4)
    assert [(f["class"], f["bucket"]) for f in findings] == [("reference.no-object", "never-made")]
    assert summary["rows"] == 2


@pytest.mark.parametrize("text, reason", [
    ("name,size\na,1\n", "'key' is none of"), ("key,size\na\n", "line 2: has 1 columns"),
    ("key,size\na,many\n", "line 2: 'many' is no number"), ("key\n\"a\n", "a quote that does not end"),
    ('{"key": "a"}\n{nonsense\n', "line 2: is no JSON object"), ('{"bucket": "photos"}\n', "line 1: has no key"),
    ("key,version\na,latest\n", "'latest' is no version's id"), ("key\n" + "k" * 70_000 + "\n", "line 2: is longer than"),
])
def test_a_row_that_makes_no_sense_is_refused_by_its_line(server, text, reason):
    _, summary, done = compare(server, text, "--bucket", "photos", status=8)
    assert reason in done.stderr and summary is None


def test_a_row_without_a_bucket_and_flags_that_contradict_are_refused(server, tmp_path):
    assert "has no bucket" in compare(server, "key\na\n", status=8)[2].stderr
    assert "No such file" in holdfast("fsck", server.directory, "--refs", tmp_path / "none", check=8).stderr \
        or "doesn’t exist" in holdfast("fsck", server.directory, "--refs", tmp_path / "none", check=8).stderr
    holdfast("fsck", server.directory, "--refs", "-", "--repair", check=16)
    holdfast("fsck", server.directory, "--bucket", "b", check=16)


def test_many_rows_in_any_order_are_compared_as_sorted(server):
    seed = int(os.environ.get("HOLDFAST_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}")
    draw = random.Random(seed)
    s3 = server.client(max_pool_connections=8)
    s3.create_bucket(Bucket="many")
    alphabet = ["a", "b", "/", "é", "z", "\U0001f600"]
    keys = {"".join(draw.choices(alphabet, k=draw.randint(1, 6))) for _ in range(150)}
    stored = {key for key in keys if draw.random() < 0.7}
    listed = {key for key in keys if draw.random() < 0.7}
    for key in stored:
        s3.put_object(Bucket="many", Key=key, Body=b"")
    order = list(listed)
    draw.shuffle(order)
    findings, summary, _ = compare(server, as_csv([{"bucket": "many", "key": k} for k in order], ("bucket", "key")))
    assert {f["key"] for f in findings if f["class"] == "reference.no-row"} == stored - listed
    assert {f["key"] for f in findings if f["class"] == "reference.no-object"} == listed - stored
    assert len(findings) == len(stored ^ listed) and summary["rows"] == len(listed)
