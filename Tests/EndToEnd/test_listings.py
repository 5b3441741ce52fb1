"""Listings, against a model of them that is written to be read and not to be fast."""

import os
import random
import urllib.parse
import xml.etree.ElementTree

import pytest
from botocore.exceptions import ClientError
from signing import Raw

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
SEED = int(os.environ.get("HOLDFAST_SEED", random.SystemRandom().randrange(1 << 32)))
MANY = ["", "a", "a/", "a/b", "b", "日", "日/", "é", "x", "\x01"]
DELIMITERS = ["", "/", "//", "b", "a/b", "日", "/日", "é", "\x01"]


def code(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


# The model: keys are byte strings in order; what falls under a common prefix is one entry.


def entries(keys, prefix, delimiter, after=""):
    """What a listing shows: `(name, is_prefix)` in order, all behind `after`."""
    shown = []
    for key in sorted(key.encode() for key in keys):
        if not key.startswith(prefix.encode()):
            continue
        rest, sep = key[len(prefix.encode()):], delimiter.encode()
        common = prefix.encode() + rest[:rest.index(sep) + len(sep)] if sep and sep in rest else None
        item = (common or key, common is not None)
        if item[0] > after.encode() and item not in shown:
            shown.append(item)
    return [(name.decode(), is_prefix) for name, is_prefix in shown]


def random_keys(chance, count):
    pieces = ["a", "b", "/", "//", "日", "é", "e\u0301", "x", "ab", "\x01", " ", "+", "%", "\U0001F600", "&<"]
    return {"".join(chance.choice(pieces) for _ in range(chance.randint(1, 6))) for _ in range(count)}


def names(page, key="Key"):
    shown = [(o[key], False) for o in page.get("Contents", [])] + [(p["Prefix"], True) for p in page.get("CommonPrefixes", [])]
    return sorted(shown, key=lambda item: item[0].encode())


def pages_v1(s3, bucket, **query):
    marker = None
    while True:
        page = s3.list_objects(Bucket=bucket, **query, **({"Marker": marker} if marker is not None else {}))
        yield page
        if not page["IsTruncated"]:
            return
        marker = page.get("NextMarker") or page["Contents"][-1]["Key"]


def pages_v2(s3, bucket, **query):
    token = None
    while True:
        page = s3.list_objects_v2(Bucket=bucket, **query, **({"ContinuationToken": token} if token else {}))
        assert page["KeyCount"] == len(names(page))
        yield page
        if not page["IsTruncated"]:
            return
        token = page["NextContinuationToken"]


@pytest.mark.parametrize("pages", [pages_v1, pages_v2])
def test_a_listing_shows_what_the_model_does(s3, bucket, pages):
    print("HOLDFAST_SEED =", SEED)
    chance = random.Random(SEED)
    keys = random_keys(chance, 40)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for prefix in MANY:
        for delimiter in DELIMITERS:
            wanted = entries(keys, prefix, delimiter)
            sizes = {1, len(wanted), len(wanted) + 1, chance.randint(1, len(wanted) + 1), chance.randint(1, 7)} - {0}
            for size in sizes:
                found = [names(page) for page in pages(s3, bucket, Prefix=prefix, Delimiter=delimiter, MaxKeys=size)]
                context = f"seed {SEED} prefix {prefix!r} delimiter {delimiter!r} size {size}"
                assert sum(found, []) == wanted, context
                # Every page but the last is full, and the last is not empty unless all is.
                assert all(len(page) == size for page in found[:-1]), context
                assert len(found) == max(1, -(-len(wanted) // size)), context


def test_every_page_size_cuts_exactly(s3, bucket):
    keys = [f"{a}/{n}" for a in "abc" for n in range(4)] + ["top", "zz", "a", "b0"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for delimiter in ("", "/"):
        wanted = entries(keys, "", delimiter)
        for size in range(1, len(wanted) + 2):
            for pages in (pages_v1, pages_v2):
                found = [names(page) for page in pages(s3, bucket, Delimiter=delimiter, MaxKeys=size)]
                assert sum(found, []) == wanted and len(found) == -(-len(wanted) // size)


def test_a_listing_begins_behind_any_text(s3, bucket):
    chance = random.Random(SEED)
    keys = random_keys(chance, 30)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for after in [*random_keys(chance, 20), *keys, "\U0010FFFF"]:
        wanted = entries(keys, "", "", after)
        assert names(s3.list_objects_v2(Bucket=bucket, StartAfter=after)) == wanted, f"seed {SEED} after {after!r}"
        assert names(s3.list_objects(Bucket=bucket, Marker=after)) == wanted, f"seed {SEED} after {after!r}"


# Versions


def test_versions_are_listed_newest_first_and_cut_anywhere(s3, bucket):
    print("HOLDFAST_SEED =", SEED)
    chance = random.Random(SEED)
    wanted = []
    keys = sorted(random_keys(chance, 12), key=str.encode)
    made = {key: [] for key in keys}
    for key in keys[:4]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
        made[key].insert(0, "null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(30):
        key = chance.choice(keys)
        change = s3.delete_object if chance.random() < 0.3 else s3.put_object
        made[key].insert(0, change(Bucket=bucket, Key=key)["VersionId"])
    for key in keys:
        wanted += [(key, version, number == 0) for number, version in enumerate(made[key])]
    for size in range(1, len(wanted) + 2):
        found, query = [], {}
        while True:
            page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, **query)
            items = [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
            order = {item: number for number, item in enumerate(wanted)}
            found += sorted(items, key=order.__getitem__)
            if not page["IsTruncated"]:
                break
            assert len(items) == size
            query = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert found == wanted, f"seed {SEED} size {size}"
    for delimiter in ("/", "日", "b"):
        shown = entries([key for key in keys if made[key]], "", delimiter)
        for size in (1, 2, 3, 50):
            found, query = [], {}
            while True:
                page = s3.list_object_versions(Bucket=bucket, MaxKeys=size, Delimiter=delimiter, **query)
                found += [(v["Key"], False) for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
                found += [(p["Prefix"], True) for p in page.get("CommonPrefixes", [])]
                if not page["IsTruncated"]:
                    break
                query = {"KeyMarker": page["NextKeyMarker"]}
                if "NextVersionIdMarker" in page:
                    query["VersionIdMarker"] = page["NextVersionIdMarker"]
            assert sorted(set(found), key=lambda i: i[0].encode()) == shown, f"seed {SEED} {delimiter!r} {size}"
            versions = sum(len(made[key]) for key, is_prefix in shown if not is_prefix)
            assert len(found) == versions + sum(is_prefix for _, is_prefix in shown)


def test_a_version_marker_wants_a_key_marker(s3, bucket):
    assert code(s3.list_object_versions, Bucket=bucket, VersionIdMarker="null") == "InvalidArgument"
    assert code(s3.list_object_versions, Bucket=bucket, KeyMarker="a", VersionIdMarker="nonsense") == "InvalidArgument"


# Uploads and parts


def test_uploads_are_listed_in_the_order_of_keys_and_of_time(s3, bucket):
    chance = random.Random(SEED)
    # The answer to an upload's creation says the key, and XML carries no control characters.
    keys = sorted({key.replace("\x01", "c") for key in random_keys(chance, 8)}, key=str.encode)
    wanted = []
    for key in keys:
        for _ in range(chance.randint(1, 3)):
            wanted.append((key, s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]))
    for size in range(1, len(wanted) + 2):
        found, query = [], {}
        while True:
            page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, **query)
            found += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            if not page["IsTruncated"]:
                break
            query = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        assert found == wanted, f"seed {SEED} size {size}"
    for delimiter in ("/", "日", "a"):
        for size in (1, 2, 50):
            found, query = [], {}
            while True:
                page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=size, Delimiter=delimiter, **query)
                found += [(u["Key"], False) for u in page.get("Uploads", [])]
                found += [(p["Prefix"], True) for p in page.get("CommonPrefixes", [])]
                if not page["IsTruncated"]:
                    break
                query = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}
            assert sorted(set(found), key=lambda i: i[0].encode()) == entries(keys, "", delimiter), f"seed {SEED}"
    # Without a key, the marker of an upload says nothing.
    page = s3.list_multipart_uploads(Bucket=bucket, UploadIdMarker=wanted[0][1])
    assert len(page["Uploads"]) == len(wanted)


def test_parts_are_listed_by_number(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a key", ChecksumAlgorithm="SHA1")["UploadId"]
    numbers = [1, 2, 5, 9, 10_000]
    for number in reversed(numbers):
        s3.upload_part(Bucket=bucket, Key="a key", UploadId=upload, PartNumber=number, Body=b"x", ChecksumAlgorithm="SHA1")
    for size in range(1, 7):
        found, marker = [], 0
        while True:
            page = s3.list_parts(Bucket=bucket, Key="a key", UploadId=upload, MaxParts=size, PartNumberMarker=marker)
            found += [p["PartNumber"] for p in page["Parts"]]
            assert all(p["Size"] == 1 and p["ChecksumSHA1"] for p in page["Parts"]) and page["ChecksumAlgorithm"] == "SHA1"
            if not page["IsTruncated"]:
                break
            marker = page["NextPartNumberMarker"]
        assert found == numbers
    assert "Parts" not in s3.list_parts(Bucket=bucket, Key="a key", UploadId=upload, PartNumberMarker=10_000)
    assert not s3.list_parts(Bucket=bucket, Key="a key", UploadId=upload, MaxParts=0)["IsTruncated"]


# Arguments


LISTS = [("list_objects", "MaxKeys"), ("list_objects_v2", "MaxKeys"), ("list_object_versions", "MaxKeys"),
         ("list_multipart_uploads", "MaxUploads")]


@pytest.mark.parametrize("operation, limit", LISTS)
def test_limits(s3, bucket, operation, limit):
    for key in ("a", "b/c"):
        s3.put_object(Bucket=bucket, Key=key)
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    call = getattr(s3, operation)
    none = call(Bucket=bucket, **{limit: 0})
    assert not none["IsTruncated"] and not {"Contents", "Versions", "Uploads", "CommonPrefixes"} & set(none)
    assert none[limit] == 0
    assert call(Bucket=bucket, **{limit: 5000})[limit] == 1000
    assert code(call, Bucket=bucket, **{limit: -1}) == "InvalidArgument"
    assert code(call, Bucket="no-such-bucket", **{limit: 0}) == "NoSuchBucket"


@pytest.mark.parametrize("query, expected", [
    ([("max-keys", "x")], "InvalidArgument"), ([("max-keys", "1.5")], "InvalidArgument"), ([("encoding-type", "xml")], "InvalidArgument"),
    ([("list-type", "2"), ("continuation-token", "")], "InvalidArgument"),
    ([("list-type", "2"), ("continuation-token", "!")], "InvalidArgument"),
    ([("uploads", ""), ("max-uploads", "x")], "InvalidArgument"), ([("versions", ""), ("max-keys", "99999999999")], "InvalidArgument"),
])
def test_arguments_that_make_no_sense(shared, bucket, query, expected):
    assert Raw(shared).send("GET", f"/{bucket}", query=query)[:2] == (400, expected)


def get(shared, path, query, headers=None):
    status, _, body = Raw(shared).send("GET", path, query=query, headers=headers)
    assert status == 200
    return xml.etree.ElementTree.fromstring(body)


ODD = "a b+c&<日>/x\x01%.-_~*"
ENCODED = urllib.parse.quote(ODD, safe="/")


@pytest.mark.parametrize("query, fields", [
    ([("marker", "a \x01"), ("prefix", "a "), ("delimiter", "~*")], ["Marker", "Prefix", "Delimiter", "CommonPrefixes/Prefix"]),
    ([("marker", "!")], ["Contents/Key"]),
    ([("list-type", "2"), ("start-after", "a \x01")], ["StartAfter", "Contents/Key"]),
    ([("versions", ""), ("key-marker", "a \x01"), ("prefix", "a ")], ["KeyMarker", "Prefix", "Version/Key"]),
    ([("uploads", ""), ("key-marker", "a \x01"), ("prefix", "a ")], ["KeyMarker", "Prefix", "Upload/Key"]),
])
def test_with_an_encoding_type_every_name_is_encoded(shared, s3, bucket, query, fields):
    s3.put_object(Bucket=bucket, Key=ODD)
    assert Raw(shared).send("POST", f"/{bucket}/{ODD}", query=[("uploads", "")])[0] == 200
    root = get(shared, f"/{bucket}", query + [("encoding-type", "url")])
    values = dict(query)
    wanted = {"Marker": "marker", "KeyMarker": "key-marker", "StartAfter": "start-after", "Delimiter": "delimiter"}
    assert root.findtext(SPACE + "EncodingType") == "url"
    for field in fields:
        text = root.findtext("/".join(SPACE + step for step in field.split("/")))
        if field == "Prefix":
            assert text == urllib.parse.quote(values["prefix"], safe="/")
        elif field in wanted:
            assert text == urllib.parse.quote(values[wanted[field]], safe="/")
        else:
            assert text == ENCODED


def test_owners_are_shown_where_they_are_asked_for(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key")
    assert "Owner" not in s3.list_objects_v2(Bucket=bucket)["Contents"][0]
    owner = s3.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"][0]["Owner"]
    assert owner["ID"] and s3.list_objects(Bucket=bucket)["Contents"][0]["Owner"]["ID"] == owner["ID"]
    assert s3.list_object_versions(Bucket=bucket)["Versions"][0]["Owner"]["ID"] == owner["ID"]
    optional = {"x-amz-optional-object-attributes": "RestoreStatus"}
    assert get(shared, f"/{bucket}", [("list-type", "2")], optional).findtext(f"{SPACE}Contents/{SPACE}Key") == "key"


def test_more_than_a_thousand_keys(shared, s3, bucket):
    raw = Raw(shared)
    keys = [f"{n:04}" for n in range(1003)]
    for key in keys:
        assert raw.send("PUT", f"/{bucket}/{key}")[0] == 200
    page = s3.list_objects_v2(Bucket=bucket, MaxKeys=2000)
    assert page["IsTruncated"] and page["KeyCount"] == 1000 and page["MaxKeys"] == 1000
    paginator = s3.get_paginator("list_objects_v2")
    assert [o["Key"] for p in paginator.paginate(Bucket=bucket) for o in p["Contents"]] == keys
    for start in range(0, len(keys), 1000):
        chunk = [{"Key": key} for key in keys[start:start + 1000]]
        assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": chunk})["Deleted"]) == len(chunk)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


# Buckets


def test_buckets_come_in_pages(server):
    s3 = server.client()
    names = sorted(f"{a}-bucket-{n}" for a in ("x", "y") for n in range(5))
    for name in reversed(names):
        s3.create_bucket(Bucket=name)
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == names
    for prefix, wanted in (("", names), ("x-", names[:5]), ("y-bucket-3", names[8:9]), ("z", [])):
        for size in range(1, 12):
            found, query = [], {}
            while True:
                page = s3.list_buckets(MaxBuckets=size, Prefix=prefix, **query)
                assert page["Prefix"] == prefix and len(page["Buckets"]) <= size
                found += [b["Name"] for b in page["Buckets"]]
                if "ContinuationToken" not in page:
                    break
                query = {"ContinuationToken": page["ContinuationToken"]}
            assert found == wanted
    assert len(s3.list_buckets(BucketRegion="us-east-1")["Buckets"]) == 10
    assert not s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]
    raw = Raw(server)
    for query in ([("max-buckets", "0")], [("max-buckets", "10001")], [("max-buckets", "x")], [("continuation-token", "!")]):
        assert raw.send("GET", "/", query=query)[:2] == (400, "InvalidArgument")
