"""Access logs: where they go, what stands in them, and what happens when they cannot go there."""

import re
import time

import pytest
from botocore.exceptions import ClientError
from certificates import Authority
from holdfast import ACCESS_KEY, Server, wait_until
from signing import Raw, Signer
from test_tls import SecureServer

FIELDS = ["owner", "bucket", "time", "ip", "requester", "id", "operation", "key", "uri", "status", "error", "sent",
          "size", "total", "turnaround", "referrer", "agent", "version", "host_id", "signature", "cipher", "auth", "host",
          "tls", "arn", "acl"]
FIELD = re.compile(r'\[[^\]]*\]|"[^"]*"|[^ ]+')
SECOND = ("--set", "access-log-seconds=1")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("logs") / "store", *SECOND) as server:
        yield server


@pytest.fixture
def logs(s3, bucket):
    """The name of a bucket that keeps the log of `bucket`."""
    name = f"{bucket}-logs"
    s3.create_bucket(Bucket=name)
    enable(s3, bucket, name, "log/")
    return name


def enable(s3, bucket, target, prefix="", **more):
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix, **more}})


def objects(s3, bucket):
    return s3.list_objects_v2(Bucket=bucket).get("Contents", [])


def records(s3, logs):
    found = []
    for item in objects(s3, logs):
        for line in s3.get_object(Bucket=logs, Key=item["Key"])["Body"].read().decode().splitlines():
            values = FIELD.findall(line)
            assert len(values) == len(FIELDS), line
            found.append(dict(zip(FIELDS, values)))
    # The request that turns a log on may be in it or not.
    return [r for r in found if r["operation"] != "REST.PUT.LOGGING_STATUS"]


def wait_for(s3, logs, count):
    def enough():
        found = records(s3, logs)
        return found if len(found) >= count else None
    return wait_until(enough, what=f"{count} records")


def codes(call, *arguments, **options):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **options)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_a_request_leaves_one_record_that_says_all_of_it(shared, s3, bucket, logs):
    body = b"x" * 5000
    put = s3.put_object(Bucket=bucket, Key="a b/ü", Body=body)
    s3.get_object(Bucket=bucket, Key="a b/ü", Range="bytes=10-19")["Body"].read()
    found = {r["operation"]: r for r in wait_for(s3, logs, 2)}
    owner = s3.list_buckets()["Owner"]["ID"]
    record = found["REST.PUT.OBJECT"]
    assert record["owner"] == record["requester"] == owner
    assert record["bucket"] == bucket and record["key"] == "a%20b/%C3%BC" and record["ip"] == "127.0.0.1"
    assert record["id"] == put["ResponseMetadata"]["RequestId"]
    assert record["host_id"] == put["ResponseMetadata"]["HostId"]
    assert record["uri"] == f'"PUT /{bucket}/a%20b/%C3%BC HTTP/1.1"'
    assert (record["status"], record["error"], record["size"], record["sent"]) == ("200", "-", "5000", "-")
    assert "Boto3" in record["agent"] and record["referrer"] == '"-"' and record["version"] == "-"
    assert (record["signature"], record["auth"], record["tls"], record["cipher"]) == ("SigV4", "AuthHeader", "-", "-")
    assert record["host"] == f"127.0.0.1:{shared.port}" and record["arn"] == record["acl"] == "-"
    assert int(record["turnaround"]) <= int(record["total"]) < 60_000
    when = time.strptime(record["time"], "[%d/%b/%Y:%H:%M:%S +0000]")
    assert abs(time.mktime(when) - time.mktime(time.gmtime())) < 120
    record = found["REST.GET.OBJECT"]
    assert (record["status"], record["sent"], record["size"]) == ("206", "10", "5000")


def test_every_kind_of_request_has_its_name_and_its_end(shared, s3, bucket, logs):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read()
    s3.head_object(Bucket=bucket, Key="k")
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "k"})
    s3.list_objects_v2(Bucket=bucket)
    s3.list_object_versions(Bucket=bucket)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}]})
    s3.delete_object(Bucket=bucket, Key="k")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    s3.list_parts(Bucket=bucket, Key="m", UploadId=upload)
    s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={
        "Parts": [{"PartNumber": 1, "ETag": part}]})
    assert codes(s3.get_object, Bucket=bucket, Key="no") == ("NoSuchKey", 404)
    assert codes(s3.get_bucket_website, Bucket=bucket)[1] == 404
    raw = Raw(shared)
    assert raw.send("GET", f"/{bucket}/k", signer=Signer(secret="wrong"))[:2] == (403, "SignatureDoesNotMatch")
    assert raw.send("PATCH", f"/{bucket}/k")[0] == 405
    wanted = {
        ("REST.PUT.VERSIONING", "200", "-"), ("REST.PUT.OBJECT", "200", "-"), ("REST.GET.OBJECT", "200", "-"),
        ("REST.HEAD.OBJECT", "200", "-"), ("REST.COPY.OBJECT", "200", "-"), ("REST.GET.BUCKET", "200", "-"),
        ("REST.GET.BUCKETVERSIONS", "200", "-"), ("REST.POST.MULTI_OBJECT_DELETE", "200", "-"),
        ("REST.DELETE.OBJECT", "204", "-"), ("REST.POST.UPLOADS", "200", "-"), ("REST.PUT.PART", "200", "-"),
        ("REST.GET.UPLOAD", "200", "-"), ("REST.POST.UPLOAD", "200", "-"), ("REST.GET.OBJECT", "404", "NoSuchKey"),
        ("REST.GET.BUCKET_CONFIGURATION", "404", "NoSuchWebsiteConfiguration"),
        ("REST.GET.OBJECT", "403", "SignatureDoesNotMatch"), ("REST.PATCH.OBJECT", "405", "MethodNotAllowed")}
    found = wait_for(s3, logs, len(wanted))
    ends = {(r["operation"], r["status"], r["error"]) for r in found}
    assert wanted <= ends, wanted - ends
    refused = next(r for r in found if r["status"] == "403")
    assert refused["requester"] == "-"
    assert next(r for r in found if r["operation"] == "REST.GET.OBJECT" and r["status"] == "200")["version"] == version


@pytest.mark.parametrize("agent", ['quo"te" - "x', "tab\there", "a  b", ""])
def test_no_client_can_forge_a_field(shared, s3, bucket, logs, agent):
    """`records` counts the fields of each line."""
    headers = {"User-Agent": agent, "Referer": '" 200 - "'}
    # Blanks side by side are signed as one, which the signer of these tests leaves out.
    assert Raw(shared).send("GET", f'/{bucket}/k"e\ny', headers=headers)[0] in (403, 404)
    found = wait_for(s3, logs, 1)
    assert len(found) == 1 and found[0]["key"] == "k%22e%0Ay"
    assert found[0]["referrer"] == '"%22 200 - %22"'
    assert found[0]["agent"] == '"' + (agent.replace('"', "%22").replace("\t", "%09") or "-") + '"'


def test_the_key_of_a_log_object_tells_when_and_has_its_own_end(s3, bucket, logs):
    s3.head_bucket(Bucket=bucket)
    wait_for(s3, logs, 1)
    assert all(re.fullmatch(r"log/\d{4}(-\d\d){5}-[0-9A-F]{16}", item["Key"]) for item in objects(s3, logs))
    head = s3.head_object(Bucket=logs, Key=objects(s3, logs)[0]["Key"])
    assert head["ContentType"] == "text/plain"


@pytest.mark.parametrize("source, clock", [("EventTime", "00-00-00"), ("DeliveryTime", r"\d\d-\d\d-\d\d"), (None, r"\d\d-\d\d-\d\d")])
def test_keys_may_be_partitioned(s3, bucket, source, clock):
    target = f"{bucket}-parted"
    s3.create_bucket(Bucket=target)
    partitioned = {"PartitionDateSource": source} if source else {}
    enable(s3, bucket, target, "p/", TargetObjectKeyFormat={"PartitionedPrefix": partitioned})
    s3.head_bucket(Bucket=bucket)
    wait_for(s3, target, 1)
    owner = s3.list_buckets()["Owner"]["ID"]
    key = objects(s3, target)[0]["Key"]
    assert re.fullmatch(
        rf"p/{owner}/us-east-1/{bucket}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3-{clock}-[0-9A-F]{{16}}", key), key


def test_what_was_set_is_read_back_and_can_be_taken_away(s3, bucket, logs):
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == {"TargetBucket": logs, "TargetPrefix": "log/"}
    for format in ({"SimplePrefix": {}}, {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}):
        enable(s3, bucket, logs, "<&>", TargetObjectKeyFormat=format)
        told = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
        assert told == {"TargetBucket": logs, "TargetPrefix": "<&>", "TargetObjectKeyFormat": format}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="unseen", Body=b"")
    enable(s3, bucket, logs, "again/")
    s3.head_bucket(Bucket=bucket)
    wait_until(lambda: any(i["Key"].startswith("again/") for i in objects(s3, logs)), what="the log that is on again")
    assert not [r for r in records(s3, logs) if r["key"] == "unseen"]


@pytest.mark.parametrize("document, code", [
    ("", "MalformedXML"), ("<x/>", "MalformedXML"),
    ("<BucketLoggingStatus><LoggingEnabled/></BucketLoggingStatus>", "MalformedXML"),
    ("<BucketLoggingStatus><LoggingEnabled><TargetBucket>BUCKET</TargetBucket></LoggingEnabled></BucketLoggingStatus>",
     "MalformedXML"),
    ("ENABLED<TargetBucket>no-such-bucket-x</TargetBucket><TargetPrefix/>", "InvalidTargetBucketForLogging"),
    ("ENABLED<TargetBucket>Not A Name</TargetBucket><TargetPrefix/>", "InvalidTargetBucketForLogging"),
    ("ENABLED<TargetBucket>BUCKET</TargetBucket><TargetPrefix>" + "p" * 600 + "</TargetPrefix>", "InvalidArgument"),
    ("ENABLED<TargetBucket>BUCKET</TargetBucket><TargetPrefix/><TargetObjectKeyFormat/>", "MalformedXML"),
    ("ENABLED<TargetBucket>BUCKET</TargetBucket><TargetPrefix/><TargetObjectKeyFormat><PartitionedPrefix>"
     "<PartitionDateSource>Never</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>", "MalformedXML"),
    ("ENABLED<TargetBucket>BUCKET</TargetBucket><TargetPrefix/><TargetGrants><Grant/></TargetGrants>", "NotImplemented"),
])
def test_a_bad_configuration_changes_nothing(shared, s3, bucket, document, code):
    document = document.replace("BUCKET", bucket)
    if document.startswith("ENABLED"):
        document = (f"<BucketLoggingStatus xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><LoggingEnabled>"
                    f"{document[7:]}</LoggingEnabled></BucketLoggingStatus>")
    assert Raw(shared).send("PUT", f"/{bucket}", document.encode(), query=[("logging", "")])[1] == code
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)


def test_a_bucket_that_is_not_there_cannot_be_logged(s3, bucket):
    assert codes(s3.get_bucket_logging, Bucket="no-such-bucket-x") == ("NoSuchBucket", 404)
    assert codes(enable, s3, "no-such-bucket-x", bucket) == ("NoSuchBucket", 404)


def test_logs_end_up_whole_when_the_server_is_stopped_and_go_on_when_it_is_started(tmp_path):
    with Server(tmp_path / "store") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="source")
        s3.create_bucket(Bucket="target")
        enable(s3, "source", "target")
        for number in range(50):
            s3.put_object(Bucket="source", Key=str(number), Body=b"")
        # Nothing is due for five minutes yet.
        assert objects(s3, "target") == []
        server.stop()
        server.start()
        s3 = server.client()
        assert {r["key"] for r in records(s3, "target")} == set(map(str, range(50)))
        s3.put_object(Bucket="source", Key="later", Body=b"")
        server.stop()
        server.start()
        assert "later" in {r["key"] for r in records(server.client(), "target")}
        findings, _, status = server.fsck("--deep")
        assert (findings, status) == ([], 0)


def test_many_requests_make_objects_of_about_a_mebibyte(tmp_path):
    with Server(tmp_path / "store", "--set", "access-log-seconds=86400") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="source")
        s3.create_bucket(Bucket="target")
        enable(s3, "source", "target")
        raw = Raw(server)
        agent = "a" * 7000
        for _ in range(160):
            raw.send("GET", "/source/k", headers={"User-Agent": agent})
        wait_until(lambda: objects(s3, "target"), what="a full batch")
        assert 1_000_000 < objects(s3, "target")[0]["Size"] < 1_200_000
        # The bucket's own log does not log its delivery.
        server.stop()
        server.start()
        found = records(server.client(), "target")
        assert len(found) == 160 and {r["bucket"] for r in found} == {"source"}


def test_a_target_that_is_gone_is_told_of_and_harms_nobody(tmp_path):
    with Server(tmp_path / "store", *SECOND) as server:
        s3 = server.client()
        for name in ("source", "target"):
            s3.create_bucket(Bucket=name)
        enable(s3, "source", "target")
        s3.head_bucket(Bucket="source")
        wait_until(lambda: objects(s3, "target"), what="the first log")
        for item in objects(s3, "target"):
            s3.delete_object(Bucket="target", Key=item["Key"])
        s3.delete_bucket(Bucket="target")
        s3.put_object(Bucket="source", Key="a", Body=b"a")
        wait_until(lambda: "records are lost" in server.errors.read_text(), what="a line in the log")
        assert "access log: bucket source, to bucket target" in server.errors.read_text()
        assert s3.get_object(Bucket="source", Key="a")["Body"].read() == b"a"
        # It comes back, and so do the logs.
        s3.create_bucket(Bucket="target")
        s3.put_object(Bucket="source", Key="b", Body=b"b")
        assert any(r["key"] == "b" for r in wait_for(s3, "target", 1))


def test_a_bucket_may_keep_its_own_log(s3, bucket):
    enable(s3, bucket, bucket, "own/")
    s3.head_bucket(Bucket=bucket)
    found = wait_until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix="own/").get("Contents"), what="its log")
    assert found[0]["Size"] > 0


def test_a_bucket_of_the_same_name_made_anew_logs_nothing(s3, bucket, logs):
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="unseen", Body=b"")
    enable(s3, bucket, logs, "new/")
    s3.head_bucket(Bucket=bucket)
    wait_until(lambda: any(i["Key"].startswith("new/") for i in objects(s3, logs)), what="the new log")
    assert not [r for r in records(s3, logs) if r["key"] == "unseen"]


def test_over_tls_a_record_tells_its_version(tmp_path):
    with SecureServer(tmp_path / "store", Authority(tmp_path / "ca"), *SECOND) as server:
        s3 = server.client(signature_version="s3v4")
        for name in ("source", "target"):
            s3.create_bucket(Bucket=name)
        enable(s3, "source", "target")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "source", "Key": "k"}, ExpiresIn=60)
        raw = server.raw()
        raw.connection.request("GET", url.split(str(server.port), 1)[1])
        assert raw.connection.getresponse().status == 404
        found = wait_for(s3, "target", 1)
        assert {r["tls"] for r in found} == {"TLSv1.3"}
        assert next(r for r in found if r["key"] == "k")["auth"] == "QueryString"
        assert ACCESS_KEY in next(r for r in found if r["key"] == "k")["uri"]
