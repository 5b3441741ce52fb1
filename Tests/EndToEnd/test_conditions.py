"""Conditional reads and writes, and that they hold when many ask at once."""

import concurrent.futures
import datetime
import email.utils
import threading

import pytest
from botocore.exceptions import ClientError
from signing import Raw

PART = 5 * 1024 * 1024


def failure(call, **arguments):
    """The status and code of a request that must fail."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def http_date(time, seconds=0):
    moment = time.astimezone(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return email.utils.format_datetime(moment, usegmt=True)


def together(count, action):
    """Runs `action(number)` on as many threads, begun at once; returns what each came to."""
    barrier = threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            return action(number)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# Reads


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("conditions, status", [
    ({"If-Match": "{etag}"}, 200), ({"If-Match": "*"}, 200), ({"If-Match": '"x", {etag}'}, 200), ({"If-Match": '"x"'}, 412),
    ({"If-None-Match": "{etag}"}, 304), ({"If-None-Match": "*"}, 304), ({"If-None-Match": '"x"'}, 200),
    ({"If-Modified-Since": "{same}"}, 304), ({"If-Modified-Since": "{before}"}, 200), ({"If-Modified-Since": "{after}"}, 304),
    ({"If-Unmodified-Since": "{same}"}, 200), ({"If-Unmodified-Since": "{before}"}, 412),
    ({"If-Modified-Since": "nonsense"}, 200), ({"If-Unmodified-Since": "nonsense"}, 200),
    # The two pairs that Amazon's documents name.
    ({"If-Match": "{etag}", "If-Unmodified-Since": "{before}"}, 200),
    ({"If-None-Match": "{etag}", "If-Modified-Since": "{before}"}, 304),
    ({"If-Match": '"x"', "If-None-Match": "{etag}"}, 412),
    # A condition counts before the range does.
    ({"If-Match": '"x"', "Range": "bytes=99-"}, 412), ({"If-None-Match": "{etag}", "Range": "bytes=0-1"}, 304),
])
def test_reads_heed_their_conditions(shared, s3, bucket, method, conditions, status):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    head = s3.head_object(Bucket=bucket, Key="key")
    values = {"etag": head["ETag"], "same": http_date(head["LastModified"]),
              "before": http_date(head["LastModified"], -1), "after": http_date(head["LastModified"], 1)}
    raw = Raw(shared)
    got, code, body = raw.send(method, f"/{bucket}/key", headers={k: v.format(**values) for k, v in conditions.items()})
    assert got == status
    assert body == (b"body" if method == "GET" and status == 200 else body if status == 412 else b"")
    # The connection goes on.
    assert raw.send("GET", f"/{bucket}/key")[0] == 200


def test_a_condition_on_a_key_that_is_not_there_finds_no_key(s3, bucket):
    for condition in ({"IfMatch": "*"}, {"IfNoneMatch": "*"}, {"IfMatch": '"x"'}):
        assert failure(s3.get_object, Bucket=bucket, Key="none", **condition) == (404, "NoSuchKey")


@pytest.mark.parametrize("validator, status", [
    ("{etag}", 206), ('"x"', 200), ("W/{etag}", 200), ("{same}", 206), ("{before}", 200), ("{after}", 200), ("nonsense", 200),
])
def test_a_range_counts_only_if_the_object_is_the_one_that_if_range_names(shared, s3, bucket, validator, status):
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    head = s3.head_object(Bucket=bucket, Key="key")
    value = validator.format(etag=head["ETag"], same=http_date(head["LastModified"]),
                             before=http_date(head["LastModified"], -1), after=http_date(head["LastModified"], 1))
    got, _, body = Raw(shared).send("GET", f"/{bucket}/key", headers={"Range": "bytes=2-3", "If-Range": value})
    assert (got, body) == ((206, b"23") if status == 206 else (200, b"0123456789"))


# Writes


def put(s3, bucket, key, body=b"body", **conditions):
    return s3.put_object(Bucket=bucket, Key=key, Body=body, **conditions)


def copy(s3, bucket, key, body=b"", **conditions):
    s3.put_object(Bucket=bucket, Key="the source", Body=body or b"body")
    result = s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": "the source"}, **conditions)
    return {"ETag": result["CopyObjectResult"]["ETag"]}


def complete(s3, bucket, key, body=b"body", **conditions):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)
    parts = [{"PartNumber": 1, **{k: v for k, v in part.items() if k == "ETag" or k.startswith("Checksum")}}]
    return s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **conditions)


WRITES = [put, copy, complete]


@pytest.mark.parametrize("write", WRITES)
def test_writes_heed_their_conditions(s3, bucket, write):
    assert failure(write, s3=s3, bucket=bucket, key="key", IfMatch="*") == (404, "NoSuchKey")
    assert failure(write, s3=s3, bucket=bucket, key="key", IfMatch='"x"') == (404, "NoSuchKey")
    etag = write(s3, bucket, "key", IfNoneMatch="*")["ETag"]
    assert failure(write, s3=s3, bucket=bucket, key="key", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert failure(write, s3=s3, bucket=bucket, key="key", IfMatch='"x"') == (412, "PreconditionFailed")
    assert failure(write, s3=s3, bucket=bucket, key="key", IfNoneMatch='"x"') == (501, "NotImplemented")
    second = write(s3, bucket, "key", body=b"another", IfMatch=etag)["ETag"]
    assert failure(write, s3=s3, bucket=bucket, key="key", IfMatch=etag) == (412, "PreconditionFailed")
    assert s3.head_object(Bucket=bucket, Key="key")["ETag"] == second
    assert write(s3, bucket, "key", IfMatch="*")


@pytest.mark.parametrize("write", WRITES)
def test_a_delete_marker_counts_as_nothing_there(s3, bucket, write):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    write(s3, bucket, "key")
    s3.delete_object(Bucket=bucket, Key="key")
    assert failure(write, s3=s3, bucket=bucket, key="key", IfMatch="*") == (404, "NoSuchKey")
    assert write(s3, bucket, "key", IfNoneMatch="*")


def test_a_put_is_not_taken_under_a_condition_that_s3_has_not(shared, bucket):
    headers = {"If-Unmodified-Since": http_date(datetime.datetime.now(datetime.timezone.utc))}
    assert Raw(shared).send("PUT", f"/{bucket}/key", b"x", headers)[:2] == (501, "NotImplemented")


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("write", WRITES)
def test_of_sixteen_creators_one_wins(shared, s3, bucket, write, size):
    bodies = [bytes([65 + number]) * size for number in range(16)]
    if write is copy:
        for number, body in enumerate(bodies):
            s3.put_object(Bucket=bucket, Key=f"source-{number}", Body=body)

    def create(number):
        client = clients[number]
        if write is copy:
            client.copy_object(Bucket=bucket, Key="key", IfNoneMatch="*",
                               CopySource={"Bucket": bucket, "Key": f"source-{number}"})
        else:
            write(client, bucket, "key", bodies[number], IfNoneMatch="*")
        return "created"

    clients = [shared.client() for _ in range(16)]
    outcomes = together(16, create)
    assert sorted(outcomes) == ["PreconditionFailed"] * 15 + ["created"]
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == bodies[outcomes.index("created")]


@pytest.mark.parametrize("write", [put, complete])
def test_a_counter_by_compare_and_swap_loses_nothing(shared, s3, bucket, write):
    s3.put_object(Bucket=bucket, Key="counter", Body=b"0")
    clients = [shared.client() for _ in range(8)]

    def count(number):
        client, done = clients[number], 0
        while done < 10:
            got = client.get_object(Bucket=bucket, Key="counter")
            value = int(got["Body"].read()) + 1
            try:
                write(client, bucket, "counter", str(value).encode(), IfMatch=got["ETag"])
                done += 1
            except ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed"
        return done

    assert together(8, count) == [10] * 8
    assert s3.get_object(Bucket=bucket, Key="counter")["Body"].read() == b"80"


def test_a_delete_under_a_condition_takes_no_newer_object_with_it(shared, s3, bucket):
    """Eight put and eight delete what they saw: whatever is deleted was seen by who deleted it."""
    clients = [shared.client() for _ in range(16)]
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"first")["ETag"]
    outcomes = together(16, lambda number: (
        clients[number].put_object(Bucket=bucket, Key="key", Body=b"new", IfMatch=first) and "put") if number < 8
        else (clients[number].delete_object(Bucket=bucket, Key="key", IfMatch=first) and "deleted"))
    winners = [outcome for outcome in outcomes if outcome in ("put", "deleted")]
    assert len(winners) == 1 and set(outcomes) <= {"put", "deleted", "PreconditionFailed", "NoSuchKey"}
    if winners == ["put"]:
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"new"
    else:
        assert failure(s3.head_object, Bucket=bucket, Key="key")[0] == 404


def test_sixteen_that_complete_one_upload_all_hear_of_one_object(shared, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"body")
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}]
    clients = [shared.client() for _ in range(16)]
    outcomes = together(16, lambda number: clients[number].complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")["VersionId"])
    assert len(set(outcomes)) == 1
    assert [v["VersionId"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]] == outcomes[:1]


def test_creators_of_every_kind_race_and_one_wins(shared, s3, bucket):
    """A put, a copy and a completion are three ways to the same key."""
    s3.put_object(Bucket=bucket, Key="source", Body=b"copied")
    clients = [shared.client() for _ in range(15)]

    def create(number):
        client = clients[number]
        if number % 3 == 0:
            client.put_object(Bucket=bucket, Key="key", Body=b"put", IfNoneMatch="*")
        elif number % 3 == 1:
            client.copy_object(Bucket=bucket, Key="key", CopySource=f"{bucket}/source", IfNoneMatch="*")
        else:
            complete(client, bucket, "key", b"completed", IfNoneMatch="*")
        return ("put", "copied", "completed")[number % 3]

    outcomes = together(15, create)
    winner = [outcome for outcome in outcomes if outcome != "PreconditionFailed"]
    assert len(winner) == 1
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == winner[0].encode()


# Deletes


def test_deletes_heed_their_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    other = modified - datetime.timedelta(seconds=1)
    for wrong in ({"IfMatch": '"x"'}, {"IfMatchSize": 5}, {"IfMatchLastModifiedTime": other}, {"IfMatch": etag, "IfMatchSize": 3}):
        assert failure(s3.delete_object, Bucket=bucket, Key="key", **wrong) == (412, "PreconditionFailed")
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=etag, IfMatchSize=4, IfMatchLastModifiedTime=modified)
    assert failure(s3.head_object, Bucket=bucket, Key="key")[0] == 404
    assert failure(s3.delete_object, Bucket=bucket, Key="key", IfMatch="*") == (404, "NoSuchKey")
    # Time and size are of what is there, if something is.
    s3.delete_object(Bucket=bucket, Key="key", IfMatchSize=4, IfMatchLastModifiedTime=modified)


@pytest.mark.parametrize("headers, status, code", [
    ({"x-amz-if-match-size": "four"}, 400, "InvalidArgument"), ({"x-amz-if-match-size": "-1"}, 400, "InvalidArgument"),
    ({"x-amz-if-match-last-modified-time": "yesterday"}, 400, "InvalidArgument"),
    ({"If-None-Match": "*"}, 501, "NotImplemented"),
])
def test_a_delete_under_a_condition_that_makes_no_sense_deletes_nothing(shared, s3, bucket, headers, status, code):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    assert Raw(shared).send("DELETE", f"/{bucket}/key", headers=headers)[:2] == (status, code)
    assert s3.head_object(Bucket=bucket, Key="key")


def test_each_of_many_deletes_has_its_own_condition(s3, bucket):
    etags = {key: s3.put_object(Bucket=bucket, Key=key, Body=b"body")["ETag"] for key in "abcde"}
    modified = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "a", "ETag": etags["a"]}, {"Key": "b", "ETag": '"x"'}, {"Key": "c", "Size": 5},
        {"Key": "d", "LastModifiedTime": modified - datetime.timedelta(days=1)}, {"Key": "e", "Size": 4},
        {"Key": "none", "ETag": "*"}, {"Key": "none", "Size": 7}]})
    assert sorted(d["Key"] for d in done["Deleted"]) == ["a", "e", "none"]
    assert [(e["Key"], e["Code"]) for e in done["Errors"]] == [
        ("b", "PreconditionFailed"), ("c", "PreconditionFailed"), ("d", "PreconditionFailed"), ("none", "NoSuchKey")]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b", "c", "d"]


def test_a_condition_on_a_named_version_is_on_that_version(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    new = s3.put_object(Bucket=bucket, Key="key", Body=b"newer")
    assert failure(s3.delete_object, Bucket=bucket, Key="key", VersionId=old["VersionId"], IfMatch=new["ETag"]) \
        == (412, "PreconditionFailed")
    s3.delete_object(Bucket=bucket, Key="key", VersionId=old["VersionId"], IfMatch=old["ETag"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"newer"


# The source of a copy


@pytest.mark.parametrize("conditions, holds", [
    ({"IfMatch": "{etag}"}, True), ({"IfMatch": '"x"'}, False), ({"IfNoneMatch": '"x"'}, True), ({"IfNoneMatch": "{etag}"}, False),
    ({"IfModifiedSince": -1}, True), ({"IfModifiedSince": 0}, False),
    ({"IfUnmodifiedSince": 0}, True), ({"IfUnmodifiedSince": -1}, False),
    ({"IfMatch": "{etag}", "IfUnmodifiedSince": -1}, True), ({"IfNoneMatch": "{etag}", "IfModifiedSince": -1}, False),
])
@pytest.mark.parametrize("by_part", [False, True], ids=["object", "part"])
def test_a_copy_heeds_the_conditions_on_its_source(s3, bucket, conditions, holds, by_part):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    head = s3.head_object(Bucket=bucket, Key="key")
    arguments = {
        f"CopySource{name}": value.format(etag=head["ETag"]) if isinstance(value, str)
        else head["LastModified"] + datetime.timedelta(seconds=value) for name, value in conditions.items()}
    arguments.update(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "key"})
    call = s3.copy_object
    if by_part:
        call = s3.upload_part_copy
        arguments.update(UploadId=s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"], PartNumber=1)
    if holds:
        assert call(**arguments)
    else:
        assert failure(call, **arguments) == (412, "PreconditionFailed")
