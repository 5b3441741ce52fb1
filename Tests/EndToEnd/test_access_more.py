"""Policies that are refused, conditions of request bodies, names that are given again, and more lines in access logs."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from botocore.exceptions import ClientError
from holdfast import Server, holdfast, s3_client
from signing import Raw, Signer
from test_access import code, make_stage
from test_access_logs import enable, records, wait_for


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    directory = tmp_path_factory.mktemp("access-more") / "store"
    with Server(directory, "--set", "access-log-seconds=1") as server:
        yield make_stage(server)


def policy(bucket, effect, action, principal, condition=None, resource="/*"):
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": f"arn:aws:s3:::{bucket}{resource}"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("action,resource,word", [
    ("s3:GetObjct", "/*", "Policy has invalid action"),
    ("s3:ListBucket", "/*", "Action does not apply to any resource(s) in statement"),
    ("s3:GetObject", "-other/*", "Policy has invalid resource"),
])
def test_a_policy_that_would_never_apply_is_refused(stage, action, resource, word):
    stage.alice.create_bucket(Bucket="typo")
    try:
        with pytest.raises(ClientError) as caught:
            stage.alice.put_bucket_policy(Bucket="typo", Policy=policy("typo", "Deny", action, "*", resource=resource))
        error = caught.value.response["Error"]
        assert error["Code"] == "MalformedPolicy" and error["Message"].startswith(word)
        assert code(stage.alice.get_bucket_policy, Bucket="typo") == "NoSuchBucketPolicy"
    finally:
        stage.alice.delete_bucket(Bucket="typo")


def test_conditions_ask_for_what_the_body_says(stage):
    bucket = "body"
    stage.alice.create_bucket(Bucket=bucket)
    stage.alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    bob = {"AWS": "arn:aws:iam:::user/bob"}
    stage.alice.put_bucket_policy(Bucket=bucket, Policy=policy(
        bucket, "Allow", "s3:PutObjectTagging", bob, {"StringEquals": {"s3:RequestObjectTag/team": "blue"}}))

    def tag(value):
        return code(stage.bob.put_object_tagging, Bucket=bucket, Key="k",
                    Tagging={"TagSet": [{"Key": "team", "Value": value}]})

    assert tag("blue") is None and tag("red") == "AccessDenied"
    # What a header says of tags is nothing to an operation that has them in its body.
    forged = b"<Tagging><TagSet><Tag><Key>other</Key><Value>red</Value></Tag></TagSet></Tagging>"
    assert Raw(stage.server).send(
        "PUT", f"/{bucket}/k", forged, {"x-amz-tagging": "team=blue"}, query=[("tagging", "")],
        signer=Signer(*stage.keys["bob"]))[:2] == (403, "AccessDenied")
    assert stage.alice.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "team", "Value": "blue"}]


@pytest.mark.parametrize("key,value,allowed", [
    ("aws:PrincipalArn", "arn:aws:iam:::user/bob", True), ("aws:PrincipalArn", "arn:aws:iam:::user/alice", False),
    ("s3:ResourceAccount", "alice", True), ("s3:ResourceAccount", "bob", False),
    ("aws:ResourceAccount", "alice", True), ("aws:PrincipalAccount", "bob", True),
    ("aws:username", "bob", True), ("aws:userid", "bob", True), ("aws:SecureTransport", "true", False),
    ("s3:TlsVersion", "1.3", False), ("s3:authType", "REST-HEADER", True), ("s3:signatureversion", "AWS4-HMAC-SHA256", True),
])
def test_a_condition_knows_who_asks_and_how(stage, key, value, allowed):
    bucket = "keys"
    if code(stage.alice.head_bucket, Bucket=bucket):
        stage.alice.create_bucket(Bucket=bucket)
        stage.alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    if key != "aws:username":
        value = stage.ids.get(value, value)
    stage.alice.put_bucket_policy(Bucket=bucket, Policy=policy(
        bucket, "Allow", "s3:GetObject", {"AWS": "arn:aws:iam:::user/bob"}, {"StringEquals": {key: value}}))
    assert (code(stage.bob.get_object, Bucket=bucket, Key="k") is None) == allowed


def test_retention_is_bounded_by_days(stage):
    bucket = "days"
    stage.alice.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    stage.alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    stage.alice.put_bucket_policy(Bucket=bucket, Policy=policy(
        bucket, "Deny", "s3:PutObjectRetention", "*",
        {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}))

    def retain(days):
        until = datetime.now(timezone.utc) + timedelta(days=days)
        return code(stage.alice.put_object_retention, Bucket=bucket, Key="k",
                    Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})

    assert retain(11) == "AccessDenied" and retain(10) is None


def test_a_users_policy_bounds_where_buckets_are_made(stage):
    _, access, secret = stage.server.user("maker")
    file = stage.server.directory / "maker.json"

    raw = Raw(stage.server)
    body = b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"
    for region, status in (("eu-west-1", 403), ("us-east-1", 200)):
        file.write_text(json.dumps({"Statement": {
            "Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*",
            "Condition": {"StringEquals": {"s3:LocationConstraint": region}}}}))
        holdfast("user", "policy", "put", stage.server.directory, "maker", "make", file, check=0)
        assert raw.send("PUT", "/made", body, signer=Signer(access, secret))[0] == status


def test_whoever_gets_a_name_again_does_not_get_the_buckets(stage):
    first, access, secret = stage.server.user("dora")
    s3_client(stage.server.endpoint, access, secret).create_bucket(Bucket="doras")
    stage.server.command("user", "delete", "dora", "--force", check=0)
    second, access, secret = stage.server.user("dora")
    assert first != second
    again = s3_client(stage.server.endpoint, access, secret)
    assert code(again.list_objects_v2, Bucket="doras") == "AccessDenied"
    assert [b["Name"] for b in again.list_buckets()["Buckets"]] == []


def test_each_key_of_many_and_the_source_of_a_copy_leave_a_record(stage):
    s3 = stage.alice
    for name in ("many", "many-logs"):
        s3.create_bucket(Bucket=name)
    s3.put_object(Bucket="many", Key="a", Body=b"12345")
    enable(s3, "many", "many-logs")
    s3.copy_object(Bucket="many-logs", Key="copy", CopySource={"Bucket": "many", "Key": "a"})
    s3.delete_objects(Bucket="many", Delete={"Objects": [{"Key": "a"}, {"Key": "b c"}]})
    found = {}
    wait_for(LogsOf(s3), "many-logs", 4)
    for record in records(LogsOf(s3), "many-logs"):
        found.setdefault(record["operation"], []).append(record)
    source, = found["REST.COPY.OBJECT_GET"]
    assert (source["bucket"], source["key"], source["status"], source["size"]) == ("many", "a", "200", "5")
    batch = found["BATCH.DELETE.OBJECT"]
    assert sorted((r["key"], r["status"], r["uri"]) for r in batch) == [("a", "204", "-"), ("b%20c", "204", "-")]
    whole, = found["REST.POST.MULTI_OBJECT_DELETE"]
    assert whole["id"] == batch[0]["id"] == batch[1]["id"]


def test_the_source_of_a_part_leaves_a_record(stage):
    s3 = stage.alice
    for name in ("whole", "whole-logs"):
        s3.create_bucket(Bucket=name)
    version = s3.put_object(Bucket="whole", Key="a b", Body=b"12345")
    assert "VersionId" not in version
    enable(s3, "whole", "whole-logs")
    upload = s3.create_multipart_upload(Bucket="whole-logs", Key="copy")["UploadId"]
    arguments = dict(Bucket="whole-logs", Key="copy", UploadId=upload, PartNumber=1)
    s3.upload_part_copy(CopySource={"Bucket": "whole", "Key": "a b"}, CopySourceRange="bytes=1-3", **arguments)
    assert code(s3.upload_part_copy, CopySource={"Bucket": "whole", "Key": "none"}, **arguments) == "NoSuchKey"
    found = wait_for(LogsOf(s3), "whole-logs", 2)
    assert sorted((r["operation"], r["bucket"], r["key"], r["status"], r["error"], r["size"]) for r in found) == [
        ("REST.COPY.PART_GET", "whole", "a%20b", "200", "-", "5"),
        ("REST.COPY.PART_GET", "whole", "none", "404", "NoSuchKey", "-")]
    s3.abort_multipart_upload(Bucket="whole-logs", Key="copy", UploadId=upload)


class LogsOf:
    """A client that does not see the copy among the logs."""

    def __init__(self, s3):
        self.s3 = s3

    def list_objects_v2(self, Bucket):
        page = self.s3.list_objects_v2(Bucket=Bucket)
        return {"Contents": [item for item in page.get("Contents", []) if item["Key"] != "copy"]}

    def get_object(self, **arguments):
        return self.s3.get_object(**arguments)


def test_a_target_with_default_retention_is_refused(stage):
    s3 = stage.alice
    s3.create_bucket(Bucket="source")
    s3.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    enable(s3, "source", "kept", "before/")
    s3.put_object_lock_configuration(Bucket="kept", ObjectLockConfiguration={
        "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}})
    assert code(s3.put_bucket_logging, Bucket="source", BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": "kept", "TargetPrefix": ""}}) == "InvalidTargetBucketForLogging"
    s3.head_bucket(Bucket="source")
    wait_for(s3, "kept", 1)
    key = s3.list_objects_v2(Bucket="kept")["Contents"][0]["Key"]
    assert s3.get_object_retention(Bucket="kept", Key=key)["Retention"]["Mode"] == "GOVERNANCE"
