"""Lifecycle rules: as XML, and as they are carried out with a day of one second."""

import datetime

import pytest
from botocore.exceptions import ClientError

from holdfast import Server, wait_until
from signing import Raw
from test_object_lock import error, later


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A server on which a day lasts a second."""
    with Server(tmp_path_factory.mktemp("quick") / "store", "--set", "lifecycle-day-seconds=1") as server:
        yield server


def rule(**parts):
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **parts}


def put(s3, bucket, *rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def versions(s3, bucket, kind="Versions"):
    return [(v["Key"], v["VersionId"]) for v in s3.list_object_versions(Bucket=bucket).get(kind, [])]


def keys(s3, bucket):
    return [o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def versioned(s3, name, **options):
    s3.create_bucket(Bucket=name, **options)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def test_rules_come_back_as_they_were_put(s3, bucket):
    assert error(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")
    midnight = datetime.datetime(2031, 1, 2, tzinfo=datetime.timezone.utc)
    rules = [
        rule(ID="a", Expiration={"Days": 3}),
        rule(ID="b", Filter={"Tag": {"Key": "k", "Value": "v"}}, Expiration={"Date": midnight}),
        rule(ID="c", Filter={"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 9,
                                     "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": ""}]}},
             Status="Disabled", NoncurrentVersionExpiration={"NoncurrentDays": 4, "NewerNoncurrentVersions": 5}),
        rule(ID="d", Filter={"Prefix": "q"}, Expiration={"ExpiredObjectDeleteMarker": True},
             AbortIncompleteMultipartUpload={"DaysAfterInitiation": 6}),
    ]
    put(s3, bucket, *rules)
    got = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert sorted(map(str, got["Rules"])) == sorted(map(str, rules)) or got["Rules"] == rules
    assert got["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.put_bucket_lifecycle(Bucket=bucket, LifecycleConfiguration={
        "Rules": [{"Prefix": "old/", "Status": "Enabled", "Expiration": {"Days": 1}}]})
    old = s3.get_bucket_lifecycle(Bucket=bucket)["Rules"][0]
    assert old["Prefix"] == "old/" and old["ID"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert error(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")


RULE = "<Rule><ID>r</ID><Status>Enabled</Status>{}</Rule>"
ALL = "<Filter><Prefix></Prefix></Filter>"
DAYS = "<Expiration><Days>1</Days></Expiration>"


@pytest.mark.parametrize("body, status, code", [
    ("", 400, "MalformedXML"),
    (RULE.format(ALL), 400, "InvalidRequest"),
    (RULE.format(DAYS), 400, "MalformedXML"),
    (RULE.format(ALL + "<Prefix>a</Prefix>" + DAYS), 400, "MalformedXML"),
    (RULE.format(ALL + DAYS).replace("Enabled", "enabled"), 400, "MalformedXML"),
    (RULE.format(ALL + DAYS.replace("1", "0")), 400, "InvalidArgument"),
    (RULE.format(ALL + DAYS.replace("1", "-1")), 400, "InvalidArgument"),
    (RULE.format(ALL + DAYS.replace("1", "x")), 400, "MalformedXML"),
    (RULE.format(ALL + "<Expiration><Date>2031-01-02T01:00:00Z</Date></Expiration>"), 400, "InvalidArgument"),
    (RULE.format(ALL + "<Expiration><Days>1</Days><Date>2031-01-02T00:00:00Z</Date></Expiration>"), 400, "MalformedXML"),
    (RULE.format(ALL + DAYS) * 2, 400, "InvalidArgument"),
    (RULE.format(ALL + DAYS).replace("<ID>r", "<ID>" + "r" * 256), 400, "InvalidArgument"),
    (RULE.format(ALL + "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"), 501, "NotImplemented"),
    (RULE.format(ALL + "<NoncurrentVersionTransition/>"), 501, "NotImplemented"),
    (RULE.format("<Filter><Prefix>a</Prefix><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>" + DAYS), 400, "MalformedXML"),
    (RULE.format("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><AbortIncompleteMultipartUpload>"
                 "<DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), 400, "InvalidRequest"),
    (RULE.format("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration>"
                 "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"), 400, "InvalidRequest"),
    (RULE.format(ALL + "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>"
                 "<NewerNoncurrentVersions>101</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), 400, "InvalidArgument"),
    ("".join(RULE.format(ALL + DAYS).replace("<ID>r", f"<ID>{n}") for n in range(1001)), 400, "MalformedXML"),
])
def test_rules_that_make_no_sense_are_refused(shared, s3, bucket, body, status, code):
    import base64
    import hashlib
    document = f"<LifecycleConfiguration>{body}</LifecycleConfiguration>".encode()
    digest = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
    assert Raw(shared).send("PUT", f"/{bucket}", document, digest, query=[("lifecycle", "")])[:2] == (status, code)
    assert Raw(shared).send("PUT", f"/{bucket}", document, query=[("lifecycle", "")])[:2] == (400, "InvalidRequest")
    assert error(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == (404, "NoSuchLifecycleConfiguration")


def test_the_expiry_is_told_and_is_a_midnight(s3, bucket):
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="logs/a", Body=b"x")
    put(s3, bucket, rule(ID="old logs", Filter={"Prefix": "logs/"}, Expiration={"Days": 3}),
        rule(ID="later", Expiration={"Days": 30}))
    told = s3.put_object(Bucket=bucket, Key="logs/a", Body=b"x")["Expiration"]
    assert 'rule-id="old%20logs"' in told and ' 00:00:00 GMT"' in told
    assert s3.head_object(Bucket=bucket, Key="logs/a")["Expiration"] == told
    assert s3.get_object(Bucket=bucket, Key="logs/a")["Expiration"] == told
    assert 'rule-id="later"' in s3.put_object(Bucket=bucket, Key="b", Body=b"x")["Expiration"]
    date = datetime.datetime.strptime(told.split('"')[1], "%a, %d %b %Y %H:%M:%S GMT")
    days = date - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    assert datetime.timedelta(days=3) - datetime.timedelta(minutes=5) < days <= datetime.timedelta(days=4)


def test_objects_go_by_prefix_and_size_and_the_log_says_why(quick):
    s3 = quick.client()
    s3.create_bucket(Bucket="plain")
    for key, size in (("tmp/a", 10), ("tmp/b", 1000), ("tmp/c", 100_000), ("keep", 1000)):
        s3.put_object(Bucket="plain", Key=key, Body=b"x" * size)
    put(s3, "plain", rule(ID="tidy", Filter={"And": {"Prefix": "tmp/", "ObjectSizeGreaterThan": 10,
                                                     "ObjectSizeLessThan": 100_000}}, Expiration={"Days": 1}))
    wait_until(lambda: "tmp/b" not in keys(s3, "plain"), what="expiry")
    assert keys(s3, "plain") == ["keep", "tmp/a", "tmp/c"]
    assert versions(s3, "plain", "DeleteMarkers") == []
    removed = [e["event"] for e in quick.log() if "versionRemoved" in e["event"]]
    assert any(e["actor"] == "holdfast" and e["versionRemoved"]["reason"] == "lifecycle: tidy" for e in removed)
    assert "(lifecycle: tidy)" in quick.command("log", check=0).stdout


def test_a_versioned_object_is_hidden_then_gone_then_its_marker_too(quick):
    s3 = quick.client()
    versioned(s3, "history")
    s3.put_object(Bucket="history", Key="k", Body=b"x")
    put(s3, "history", rule(ID="hide", Expiration={"Days": 1}))
    marker = wait_until(lambda: versions(s3, "history", "DeleteMarkers"), what="a delete marker")
    assert len(versions(s3, "history")) == 1 and len(marker) == 1
    explained = quick.command("explain", "history/k", check=0).stdout
    assert "made by lifecycle: hide" in explained
    put(s3, "history", rule(ID="drop", Expiration={"ExpiredObjectDeleteMarker": True},
                            NoncurrentVersionExpiration={"NoncurrentDays": 1}))
    wait_until(lambda: not versions(s3, "history") and not versions(s3, "history", "DeleteMarkers"), what="all gone")


def test_newer_noncurrent_versions_are_kept(quick):
    s3 = quick.client()
    versioned(s3, "counted")
    for number in range(6):
        s3.put_object(Bucket="counted", Key="k", Body=b"%d" % number)
    all_versions = versions(s3, "counted")
    put(s3, "counted", rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2}))
    wait_until(lambda: len(versions(s3, "counted")) <= 3, what="expiry")
    assert versions(s3, "counted") == all_versions[:3]


def test_a_locked_version_outlives_its_rule_until_it_is_released(quick):
    s3 = quick.client()
    versioned(s3, "safe", ObjectLockEnabledForBucket=True)
    held = s3.put_object(Bucket="safe", Key="held", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    kept = s3.put_object(Bucket="safe", Key="kept", Body=b"x", ObjectLockMode="COMPLIANCE",
                         ObjectLockRetainUntilDate=later(hours=1))["VersionId"]
    s3.put_object(Bucket="safe", Key="free", Body=b"x")
    for key in ("held", "kept", "free"):
        s3.put_object(Bucket="safe", Key=key, Body=b"newer")
    put(s3, "safe", rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}))
    wait_until(lambda: len(versions(s3, "safe")) == 5, what="the free version to go")
    assert {("held", held), ("kept", kept)} <= set(versions(s3, "safe"))
    s3.put_object_legal_hold(Bucket="safe", Key="held", VersionId=held, LegalHold={"Status": "OFF"})
    wait_until(lambda: ("held", held) not in versions(s3, "safe"), what="the released version to go")
    assert ("kept", kept) in versions(s3, "safe")


def test_unfinished_uploads_are_aborted(quick):
    s3 = quick.client()
    s3.create_bucket(Bucket="parts")
    upload = s3.create_multipart_upload(Bucket="parts", Key="in/a")["UploadId"]
    s3.upload_part(Bucket="parts", Key="in/a", UploadId=upload, PartNumber=1, Body=b"x")
    other = s3.create_multipart_upload(Bucket="parts", Key="out/a")["UploadId"]
    put(s3, "parts", rule(ID="stale", Filter={"Prefix": "in/"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}))

    def left():
        return [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="parts").get("Uploads", [])]
    wait_until(lambda: left() == [other], what="the abort")
    aborted = [e["event"]["uploadAborted"] for e in quick.log() if "uploadAborted" in e["event"]]
    assert [a["reason"] for a in aborted] == ["lifecycle: stale"]


def test_a_date_in_the_past_takes_all_at_once(quick):
    s3 = quick.client()
    s3.create_bucket(Bucket="dated")
    s3.put_object(Bucket="dated", Key="k", Body=b"x")
    put(s3, "dated", rule(Expiration={"Date": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)}))
    wait_until(lambda: keys(s3, "dated") == [], what="expiry")


def test_nothing_that_is_overwritten_while_rules_run_is_lost(quick):
    """Each key is written anew all the time; a version that is current and not a day old must never go."""
    s3 = quick.client()
    s3.create_bucket(Bucket="busy")
    put(s3, "busy", rule(Expiration={"Days": 2}))
    lost = []
    end = datetime.datetime.now() + datetime.timedelta(seconds=6)
    while datetime.datetime.now() < end:
        for key in range(5):
            etag = s3.put_object(Bucket="busy", Key=str(key), Body=str(end).encode())["ETag"]
            try:
                assert s3.head_object(Bucket="busy", Key=str(key))["ETag"] == etag
            except ClientError as gone:
                lost.append((key, gone))
    assert lost == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_pass_that_a_server_does_not_live_to_end_is_ended_by_the_next(tmp_path, end):
    """Slow enough that it is met in the middle; what each server did stands in the log."""
    server = Server(tmp_path / "store", "--set", "lifecycle-day-seconds=1", "--set", "lifecycle-rate=40")
    wanted = {f"k{n:03}" for n in range(120)}
    with server:
        s3 = server.client()
        s3.create_bucket(Bucket="slow")
        for key in wanted:
            s3.put_object(Bucket="slow", Key=key, Body=b"x")
        s3.put_object(Bucket="slow", Key="stays", Body=b"x")
        put(s3, "slow", rule(Filter={"Prefix": "k"}, Expiration={"Days": 1}))
        for _ in range(2):
            count = len(keys(server.client(), "slow"))
            left = wait_until(lambda: (found := len(keys(server.client(), "slow"))) < count and found, what="the first to go")
            assert left > 1, "the pass is under way"
            getattr(server, end)()
            server.start()
        wait_until(lambda: keys(server.client(), "slow") == ["stays"], what="the rest to go")
        removed = [e["event"]["versionRemoved"] for e in server.log() if "versionRemoved" in e["event"]]
        assert sorted(change["key"] for change in removed) == sorted(wanted), "each of them once"
        assert {change["reason"] for change in removed} == {"lifecycle: r"}
        server.fsck(check=0)
