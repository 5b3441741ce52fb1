"""Object Lock, as SDKs ask for it and as a client would that wants round it."""

import datetime
import itertools

import pytest
from botocore.exceptions import ClientError

from holdfast import wait_until
from signing import Raw

names = itertools.count(1)
DENIED = "Access Denied because object protected by object lock."


def later(**period):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**period)).replace(microsecond=0)


def error(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    told = caught.value.response
    return told["ResponseMetadata"]["HTTPStatusCode"], told["Error"]["Code"]


@pytest.fixture
def locked(s3):
    name = f"locked-{next(names)}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def test_a_bucket_made_with_lock_is_versioned_for_good(s3, locked):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    assert error(s3.put_bucket_versioning, Bucket=locked, VersioningConfiguration={"Status": "Suspended"}) \
        == (409, "InvalidBucketState")


def test_a_bucket_without_lock_says_so_of_each_operation(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": later(days=1)}
    assert error(s3.get_object_lock_configuration, Bucket=bucket) == (404, "ObjectLockConfigurationNotFoundError")
    for call, more in ((s3.get_object_retention, {}), (s3.get_object_legal_hold, {}),
                       (s3.put_object_retention, {"Retention": retention}),
                       (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
                       (s3.put_object, {"ObjectLockLegalHoldStatus": "ON"}),
                       (s3.create_multipart_upload, {"ObjectLockMode": "GOVERNANCE",
                                                     "ObjectLockRetainUntilDate": later(days=1)})):
        assert error(call, Bucket=bucket, Key="k", **more) == (400, "InvalidRequest")
    configuration = {"ObjectLockEnabled": "Enabled"}
    assert error(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=configuration) \
        == (409, "InvalidBucketState")
    assert error(s3.delete_object, Bucket=bucket, Key="k", BypassGovernanceRetention=True) == (400, "InvalidArgument")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == configuration


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_what_is_retained_stays_whoever_asks(s3, locked, mode):
    until = later(days=2)
    put = s3.put_object(Bucket=locked, Key="k", Body=b"kept", ObjectLockMode=mode, ObjectLockRetainUntilDate=until)
    place = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    head = s3.head_object(**place)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == (mode, until)
    assert s3.get_object_retention(**place)["Retention"] == {"Mode": mode, "RetainUntilDate": until}
    assert error(s3.delete_object, **place) == (403, "AccessDenied")
    done = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": "k", "VersionId": put["VersionId"]}]})
    assert [(e["Code"], e["Message"]) for e in done["Errors"]] == [("AccessDenied", DENIED)]
    # A marker hides it and an overwrite supersedes it; neither takes it away.
    marker = s3.delete_object(Bucket=locked, Key="k")
    assert marker["DeleteMarker"]
    s3.delete_object(Bucket=locked, Key="k", VersionId=marker["VersionId"])
    s3.put_object(Bucket=locked, Key="k", Body=b"newer")
    assert s3.get_object(**place)["Body"].read() == b"kept"
    shorter = {"Mode": mode, "RetainUntilDate": later(days=1)}
    longer = {"Mode": mode, "RetainUntilDate": later(days=3)}
    other = {"Mode": "COMPLIANCE" if mode == "GOVERNANCE" else "GOVERNANCE", "RetainUntilDate": later(days=4)}
    for weaker in (shorter, other, {}):
        assert error(s3.put_object_retention, Retention=weaker, **place) == (403, "AccessDenied")
    s3.put_object_retention(Retention=longer, **place)
    assert s3.get_object_retention(**place)["Retention"] == longer
    assert error(s3.delete_bucket, Bucket=locked) == (409, "BucketNotEmpty")
    if mode == "COMPLIANCE":
        for weaker in (shorter, other, {}):
            assert error(s3.put_object_retention, Retention=weaker, BypassGovernanceRetention=True, **place) \
                == (403, "AccessDenied")
        assert error(s3.delete_object, BypassGovernanceRetention=True, **place) == (403, "AccessDenied")
    else:
        s3.put_object_retention(Retention=shorter, BypassGovernanceRetention=True, **place)
        s3.put_object_retention(Retention={}, BypassGovernanceRetention=True, **place)
        assert error(s3.get_object_retention, **place) == (404, "NoSuchObjectLockConfiguration")
        s3.put_object_retention(Retention=longer, **place)
        s3.delete_object(BypassGovernanceRetention=True, **place)
        assert error(s3.head_object, **place)[0] == 404


def test_a_hold_holds_until_it_is_lifted(s3, locked):
    put = s3.put_object(Bucket=locked, Key="k", Body=b"x")
    place = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    assert error(s3.get_object_legal_hold, **place) == (404, "NoSuchObjectLockConfiguration")
    s3.put_object_legal_hold(LegalHold={"Status": "ON"}, **place)
    assert s3.head_object(**place)["ObjectLockLegalHoldStatus"] == "ON"
    assert error(s3.delete_object, BypassGovernanceRetention=True, **place) == (403, "AccessDenied")
    s3.put_object_legal_hold(LegalHold={"Status": "OFF"}, **place)
    assert s3.get_object_legal_hold(**place)["LegalHold"] == {"Status": "OFF"}
    s3.delete_object(**place)


def test_retention_ends_by_itself(s3, locked):
    put = s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockMode="COMPLIANCE",
                        ObjectLockRetainUntilDate=later(seconds=3))
    place = {"Bucket": locked, "Key": "k", "VersionId": put["VersionId"]}
    assert error(s3.delete_object, **place) == (403, "AccessDenied")

    def goes():
        try:
            return s3.delete_object(**place)
        except ClientError:
            return None
    wait_until(goes, seconds=20, what="the end of retention")


@pytest.mark.parametrize("period, days", [({"Days": 3}, 3), ({"Years": 2}, 730)])
def test_the_default_holds_for_what_asks_for_nothing(s3, locked, period, days):
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", **period}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=configuration)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == configuration
    s3.put_object(Bucket=locked, Key="put", Body=b"x")
    s3.copy_object(Bucket=locked, Key="copy", CopySource=f"{locked}/put")
    upload = s3.create_multipart_upload(Bucket=locked, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=locked, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(Bucket=locked, Key="parts", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    for key in ("put", "copy", "parts"):
        head = s3.head_object(Bucket=locked, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert abs(head["ObjectLockRetainUntilDate"] - later(days=days)) < datetime.timedelta(minutes=2)
    own = later(days=1)
    s3.put_object(Bucket=locked, Key="own", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=own)
    head = s3.head_object(Bucket=locked, Key="own")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", own)


def test_a_copy_takes_no_lock_along(s3, locked):
    s3.put_object(Bucket=locked, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON", ObjectLockMode="COMPLIANCE",
                  ObjectLockRetainUntilDate=later(days=1))
    s3.copy_object(Bucket=locked, Key="copy", CopySource=f"{locked}/k")
    head = s3.head_object(Bucket=locked, Key="copy")
    assert "ObjectLockMode" not in head and "ObjectLockLegalHoldStatus" not in head
    s3.copy_object(Bucket=locked, Key="held", CopySource=f"{locked}/k", ObjectLockLegalHoldStatus="ON")
    assert s3.head_object(Bucket=locked, Key="held")["ObjectLockLegalHoldStatus"] == "ON"


def lock_headers(mode="GOVERNANCE", until=None):
    return {"x-amz-object-lock-mode": mode,
            "x-amz-object-lock-retain-until-date": until or later(days=1).strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.mark.parametrize("headers, code", [
    (lock_headers(mode="governance"), "InvalidArgument"),
    (lock_headers(until="2020-01-01T00:00:00Z"), "InvalidArgument"),
    (lock_headers(until="tomorrow"), "InvalidArgument"),
    ({"x-amz-object-lock-mode": "GOVERNANCE"}, "InvalidArgument"),
    ({"x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z"}, "InvalidArgument"),
    ({"x-amz-object-lock-legal-hold": "on"}, "InvalidArgument"),
])
def test_locks_that_make_no_sense_publish_nothing(shared, s3, locked, headers, code):
    digest = {"Content-MD5": "nOTkMVm6ENVJTt0wKLcAgA=="}  # never right: the headers are looked at first
    status, told, _ = Raw(shared).send("PUT", f"/{locked}/k", b"x", {**headers, **digest})[:3]
    assert (status, told) == (400, code)
    assert "Versions" not in s3.list_object_versions(Bucket=locked)


def test_a_lock_needs_a_digest(shared, locked):
    assert Raw(shared).send("PUT", f"/{locked}/k", b"x", lock_headers())[:2] == (400, "InvalidRequest")
    body = b"<LegalHold><Status>ON</Status></LegalHold>"
    assert Raw(shared).send("PUT", f"/{locked}/k", body, query=[("legal-hold", "")])[:2] == (400, "InvalidRequest")


@pytest.mark.parametrize("rule, code", [
    ({"Mode": "GOVERNANCE"}, "MalformedXML"), ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
    ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidArgument"), ({"Mode": "GOVERNANCE", "Days": -1}, "InvalidArgument"),
    ({"Mode": "governance", "Days": 1}, "MalformedXML"), ({"Mode": "GOVERNANCE", "Years": 101}, "InvalidArgument"),
    ({"Days": 1}, "MalformedXML"),
])
def test_a_default_that_makes_no_sense_is_refused(s3, locked, rule, code):
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": rule}}
    assert error(s3.put_object_lock_configuration, Bucket=locked, ObjectLockConfiguration=configuration) == (400, code)


def test_locks_survive_a_new_catalog_and_a_check(server):
    s3 = server.client()
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    put = s3.put_object(Bucket="locked", Key="k", Body=b"x" * 200_000, ObjectLockMode="COMPLIANCE",
                        ObjectLockRetainUntilDate=later(days=1))
    s3.put_object_legal_hold(Bucket="locked", Key="k", LegalHold={"Status": "ON"})
    server.stop()
    for path in (server.directory / "state").glob("catalog.sqlite*"):
        path.unlink()
    server.start()
    s3 = server.client()
    place = {"Bucket": "locked", "Key": "k", "VersionId": put["VersionId"]}
    assert error(s3.delete_object, BypassGovernanceRetention=True, **place) == (403, "AccessDenied")
    head = s3.head_object(**place)
    assert (head["ObjectLockMode"], head["ObjectLockLegalHoldStatus"]) == ("COMPLIANCE", "ON")
    assert s3.get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"
    findings, _, status = server.fsck("--repair")
    assert (findings, status) == ([], 0)
    assert s3.get_object(**place)["Body"].read() == b"x" * 200_000
