"""Notifications' configuration and the small settings that clients read of every bucket."""

import json
import subprocess

import pytest
from botocore.exceptions import ClientError
from holdfast import CLIENTS
from signing import Raw

QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:resize"


def error(call, **options):
    with pytest.raises(ClientError) as caught:
        call(**options)
    told = caught.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]


def put(s3, bucket, **configuration):
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def get(s3, bucket):
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    told.pop("ResponseMetadata")
    return told


def rules(**names):
    return {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in names.items()]}}


def test_a_bucket_begins_without_notifications(s3, bucket):
    assert get(s3, bucket) == {}


def test_notifications_are_kept_as_they_were_put(s3, bucket):
    wanted = {
        "TopicConfigurations": [{"Id": "one", "TopicArn": TOPIC, "Events": ["s3:ObjectRemoved:*", "s3:ObjectTagging:Put"]}],
        "QueueConfigurations": [
            {"Id": "two", "QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"], "Filter": rules(Prefix="in/", Suffix=".jpg")},
            {"Id": "three", "QueueArn": QUEUE + ".fifo", "Events": ["s3:ObjectCreated:Put"],
             "Filter": rules(Prefix="in/", Suffix="<&>\"'é .png")}],
        "LambdaFunctionConfigurations": [
            {"Id": "four", "LambdaFunctionArn": FUNCTION + ":live", "Events": ["s3:LifecycleExpiration:Delete"]}],
        "EventBridgeConfiguration": {},
    }
    put(s3, bucket, **wanted)
    assert get(s3, bucket) == wanted
    put(s3, bucket)
    assert get(s3, bucket) == {}


def test_notifications_outlive_a_restart(server):
    server.client().create_bucket(Bucket="photos")
    put(server.client(), "photos", QueueConfigurations=[{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}])
    before = get(server.client(), "photos")
    server.stop()
    server.start()
    assert get(server.client(), "photos") == before


def test_ids_are_made_where_there_are_none(s3, bucket):
    put(s3, bucket, QueueConfigurations=[{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:Put"]},
                                         {"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:Copy"]}])
    ids = [c["Id"] for c in get(s3, bucket)["QueueConfigurations"]]
    assert len(set(ids)) == 2 and all(ids)


@pytest.mark.parametrize("event, is_known", [
    ("s3:ObjectCreated:*", True), ("s3:ObjectCreated:Put", True), ("s3:ObjectCreated:Post", True),
    ("s3:ObjectCreated:Copy", True), ("s3:ObjectCreated:CompleteMultipartUpload", True), ("s3:ObjectRemoved:*", True),
    ("s3:ObjectRemoved:Delete", True), ("s3:ObjectRemoved:DeleteMarkerCreated", True), ("s3:ObjectRestore:*", True),
    ("s3:ObjectRestore:Post", True), ("s3:ObjectRestore:Completed", True), ("s3:ObjectRestore:Delete", True),
    ("s3:ReducedRedundancyLostObject", True), ("s3:Replication:*", True), ("s3:LifecycleTransition", True),
    ("s3:IntelligentTiering", True), ("s3:ObjectAcl:Put", True), ("s3:LifecycleExpiration:*", True),
    ("s3:LifecycleExpiration:DeleteMarkerCreated", True), ("s3:ObjectTagging:*", True), ("s3:ObjectTagging:Delete", True),
    ("s3:*", False), ("*", False), ("s3:ObjectCreated", False), ("s3:ObjectCreated:", False), ("s3:ObjectCreated:put", False),
    ("s3:objectcreated:*", False), ("s3:ObjectAcl:*", False), ("s3:TestEvent", False), ("", False)])
def test_only_events_that_s3_has_can_be_asked_for(s3, bucket, event, is_known):
    wanted = [{"QueueArn": QUEUE, "Events": [event]}]
    if is_known:
        put(s3, bucket, QueueConfigurations=wanted)
        assert get(s3, bucket)["QueueConfigurations"][0]["Events"] == [event]
    else:
        assert error(put, s3=s3, bucket=bucket, QueueConfigurations=wanted) == ("InvalidArgument", 400)
        assert get(s3, bucket) == {}


@pytest.mark.parametrize("kind, name, arn", [
    ("QueueConfigurations", "QueueArn", TOPIC), ("QueueConfigurations", "QueueArn", ""),
    ("QueueConfigurations", "QueueArn", "queue"), ("QueueConfigurations", "QueueArn", "arn:aws:sqs:us-east-1:12:queue"),
    ("QueueConfigurations", "QueueArn", "arn:aws:sqs::123456789012:queue"),
    ("QueueConfigurations", "QueueArn", "arn:gcp:sqs:us-east-1:123456789012:queue"),
    ("QueueConfigurations", "QueueArn", QUEUE + "/x"), ("QueueConfigurations", "QueueArn", QUEUE + ":x"),
    ("QueueConfigurations", "QueueArn", "arn:aws:sqs:us-east-1:123456789012:" + "q" * 81),
    ("TopicConfigurations", "TopicArn", QUEUE), ("TopicConfigurations", "TopicArn", "arn:aws:sns:us-east-1:123456789012:"),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", "arn:aws:lambda:us-east-1:123456789012:resize"),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", FUNCTION + ":a:b"),
    ("LambdaFunctionConfigurations", "LambdaFunctionArn", FUNCTION + ":")])
def test_a_destination_has_an_arn_of_its_kind(s3, bucket, kind, name, arn):
    wanted = {kind: [{name: arn, "Events": ["s3:ObjectCreated:*"]}]}
    assert error(put, s3=s3, bucket=bucket, **wanted) == ("InvalidArgument", 400)
    assert get(s3, bucket) == {}


OVERLAPS = [
    # events, filters, whether they overlap
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {}, {}, True),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:Put", {}, {}, True),
    ("s3:ObjectCreated:Copy", "s3:ObjectCreated:Put", {}, {}, False),
    ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", {}, {}, False),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Prefix": "a/"}, {"Prefix": "b/"}, False),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Prefix": "a/"}, {"Prefix": "a/b"}, True),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Prefix": "a/"}, {}, True),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Suffix": "jpg"}, {"Suffix": "png"}, False),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Suffix": "jpg"}, {"Suffix": ".jpg"}, True),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Prefix": "a/"}, {"Suffix": ".jpg"}, True),
    ("s3:ObjectCreated:*", "s3:ObjectCreated:*", {"Prefix": "a", "Suffix": "x"}, {"Prefix": "a", "Suffix": "y"}, False),
]


@pytest.mark.parametrize("one, other, first, second, overlap", OVERLAPS, ids=range(len(OVERLAPS)))
def test_one_event_is_told_to_one_destination(s3, bucket, one, other, first, second, overlap):
    wanted = dict(
        QueueConfigurations=[{"QueueArn": QUEUE, "Events": [one], "Filter": rules(**first)}],
        TopicConfigurations=[{"TopicArn": TOPIC, "Events": [other], "Filter": rules(**second)}])
    if overlap:
        assert error(put, s3=s3, bucket=bucket, **wanted) == ("InvalidArgument", 400)
        assert get(s3, bucket) == {}
    else:
        put(s3, bucket, **wanted)
        assert get(s3, bucket).keys() == wanted.keys()


QUEUE_XML = f"<Queue>{QUEUE}</Queue><Event>s3:ObjectCreated:*</Event>"


@pytest.mark.parametrize("content, code", [
    ("<QueueConfiguration/>", "MalformedXML"),
    (f"<QueueConfiguration><Queue>{QUEUE}</Queue></QueueConfiguration>", "MalformedXML"),
    (f"<QueueConfiguration>{QUEUE_XML}<Filter><S3Key><FilterRule><Name>prefix</Name></FilterRule></S3Key></Filter>"
     "</QueueConfiguration>", "MalformedXML"),
    (f"<QueueConfiguration>{QUEUE_XML}<Filter><S3Key><FilterRule><Name>infix</Name><Value>a</Value></FilterRule></S3Key>"
     "</Filter></QueueConfiguration>", "InvalidArgument"),
    (f"<QueueConfiguration>{QUEUE_XML}<Filter><S3Key>" + "<FilterRule><Name>prefix</Name><Value>a</Value></FilterRule>" * 2 +
     "</S3Key></Filter></QueueConfiguration>", "InvalidArgument"),
    (f"<QueueConfiguration>{QUEUE_XML}<Filter><S3Key><FilterRule><Name>prefix</Name><Value>{'a' * 1025}</Value></FilterRule>"
     "</S3Key></Filter></QueueConfiguration>", "InvalidArgument"),
    (f"<QueueConfiguration><Id>{'i' * 256}</Id>{QUEUE_XML}</QueueConfiguration>", "InvalidArgument"),
    (f"<QueueConfiguration><Id>i</Id>{QUEUE_XML}</QueueConfiguration><TopicConfiguration><Id>i</Id><Topic>{TOPIC}</Topic>"
     "<Event>s3:ObjectRemoved:*</Event></TopicConfiguration>", "InvalidArgument"),
    ("".join(f"<QueueConfiguration>{QUEUE_XML}<Filter><S3Key><FilterRule><Name>prefix</Name><Value>{n:03}</Value></FilterRule>"
             "</S3Key></Filter></QueueConfiguration>" for n in range(101)), "InvalidArgument"),
], ids=lambda value: None)
def test_a_bad_notification_document_changes_nothing(shared, s3, bucket, content, code):
    for root in ("NotificationConfiguration",):
        document = f"<{root}>{content}</{root}>"
        assert Raw(shared).send("PUT", f"/{bucket}", document.encode(), query=[("notification", "")])[1] == code
    assert get(s3, bucket) == {}


def test_what_is_no_notification_document_is_malformed(shared, s3, bucket):
    for document in (b"", b"<", b"<Other/>", b"\xff"):
        assert Raw(shared).send("PUT", f"/{bucket}", document, query=[("notification", "")])[:2] == (400, "MalformedXML")
    assert get(s3, bucket) == {}


def test_the_bucket_owner_pays(s3, bucket):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    for payer, code in (("Requester", "NotImplemented"), ("Nobody", "MalformedXML")):
        told = error(s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration={"Payer": payer})
        assert told[0] == code


def test_nothing_is_accelerated(s3, bucket):
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    for status in ("Enabled", "Suspended"):
        assert error(s3.put_bucket_accelerate_configuration, Bucket=bucket, AccelerateConfiguration={"Status": status}) == (
            "NotImplemented", 501)


@pytest.mark.parametrize("name", ["analytics", "inventory", "metrics", "intelligent_tiering"])
def test_lists_of_configurations_are_empty(s3, bucket, name):
    listed = getattr(s3, f"list_bucket_{name}_configurations")(Bucket=bucket)
    listed.pop("ResponseMetadata")
    assert listed == {"IsTruncated": False}
    one = getattr(s3, f"get_bucket_{name}_configuration")
    assert error(one, Bucket=bucket, Id="one") == ("NoSuchConfiguration", 404)
    assert error(getattr(s3, f"delete_bucket_{name}_configuration"), Bucket=bucket, Id="one") == ("NotImplemented", 501)


@pytest.mark.parametrize("call, code", [
    ("get_bucket_website", "NoSuchWebsiteConfiguration"), ("get_bucket_replication", "ReplicationConfigurationNotFoundError")])
def test_what_was_never_set_is_told_apart_from_what_cannot_be(s3, bucket, call, code):
    assert error(getattr(s3, call), Bucket=bucket) == (code, 404)


@pytest.mark.parametrize("call", [
    "get_bucket_request_payment", "get_bucket_accelerate_configuration", "get_bucket_website", "get_bucket_replication",
    "get_bucket_notification_configuration", "list_bucket_inventory_configurations", "get_bucket_location"])
def test_nothing_is_told_of_a_bucket_that_is_not_there(s3, call):
    assert error(getattr(s3, call), Bucket="no-such-bucket-x") == ("NoSuchBucket", 404)


def test_the_location_of_us_east_1_is_told_by_an_empty_constraint(shared, s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    status, _, body = Raw(shared).send("GET", f"/{bucket}", query=[("location", "")])
    assert status == 200 and b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>' in body


def test_a_setting_for_which_there_is_no_method_is_refused_by_name(shared, bucket):
    for method, item in (("PUT", "website"), ("PUT", "replication"), ("PUT", "accelerate"), ("PUT", "inventory"),
                         ("POST", "metadataConfiguration"), ("DELETE", "notification"), ("DELETE", "logging")):
        status, code, body = Raw(shared).send(method, f"/{bucket}", query=[(item, "")])
        assert (status, code) == (501, "NotImplemented") and f"?{item} ".encode() in body


# What programs ask of a bucket before they do anything with it. An answer is a document, or the error that
# Amazon S3 has for "never set"; anything else makes them give up.
PROBES = {
    "accelerate": None, "acl": None, "cors": "NoSuchCORSConfiguration", "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle": "NoSuchLifecycleConfiguration", "location": None, "logging": None, "notification": None,
    "object-lock": "ObjectLockConfigurationNotFoundError", "ownershipControls": "OwnershipControlsNotFoundError",
    "policy": "NoSuchBucketPolicy", "policyStatus": "NoSuchBucketPolicy",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration", "replication": "ReplicationConfigurationNotFoundError",
    "requestPayment": None, "tagging": "NoSuchTagSet", "versioning": None, "website": "NoSuchWebsiteConfiguration",
    "inventory": None, "analytics": None, "metrics": None, "intelligent-tiering": None, "uploads": None, "versions": None,
}


@pytest.mark.parametrize("item", PROBES)
def test_what_terraform_and_others_probe_has_an_answer(shared, bucket, item):
    status, code, _ = Raw(shared).send("GET", f"/{bucket}", query=[(item, "")])
    assert status == 200 or (status == 404 and code == PROBES[item])


@pytest.mark.parametrize("command, status", [
    ("get-bucket-acl", 0), ("get-bucket-location", 0), ("get-bucket-logging", 0), ("get-bucket-versioning", 0),
    ("get-bucket-notification-configuration", 0), ("get-bucket-request-payment", 0),
    ("get-bucket-accelerate-configuration", 0), ("list-bucket-inventory-configurations", 0),
    ("list-bucket-metrics-configurations", 0), ("list-bucket-analytics-configurations", 0),
    ("list-bucket-intelligent-tiering-configurations", 0), ("get-bucket-website", 255), ("get-bucket-replication", 255)])
def test_the_aws_command_line_understands_each_answer(shared, bucket, command, status):
    done = subprocess.run(
        [CLIENTS / "aws", "--endpoint-url", shared.endpoint, "--output", "json", "s3api", command, "--bucket", bucket],
        capture_output=True, text=True, timeout=60, env=shared.environment())
    assert done.returncode == status, done.stderr
    if status == 0 and done.stdout:
        json.loads(done.stdout)
    if status:
        assert "404" not in done.stdout and "(No" in done.stderr or "NotFound" in done.stderr
