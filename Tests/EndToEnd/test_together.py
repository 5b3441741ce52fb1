"""Features that meet in one request: forms with rights, tags and keys, customers' keys over TLS, rules by tag."""

import os

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from certificates import Authority
from holdfast import REGION, Server, wait_until
from test_form_post import post
from test_lifecycle import keys, put, rule
from test_tls import SecureServer

TAGGING = "<Tagging><TagSet><Tag><Key>colour</Key><Value>red + blue</Value></Tag></TagSet></Tagging>"


@pytest.fixture(scope="module")
def open_buckets(tmp_path_factory):
    """A server whose new buckets take lists of access."""
    with Server(tmp_path_factory.mktemp("open") / "store", "--set", "buckets-start=open") as server:
        yield server


def anonymous(server):
    return boto3.client("s3", endpoint_url=server.endpoint, region_name=REGION,
                        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"max_attempts": 0}))


def test_a_form_gives_rights_tags_and_a_cipher(open_buckets):
    s3 = open_buckets.client()
    s3.create_bucket(Bucket="formed")
    fields = {"acl": "public-read", "tagging": TAGGING, "x-amz-server-side-encryption": "AES256"}
    form = open_buckets.client(signature_version="s3v4").generate_presigned_post(
        "formed", "a", Fields=fields, Conditions=[{k: v} for k, v in fields.items()])
    assert post(open_buckets, "formed", form["fields"], b"hello").status == 204
    assert s3.get_object_tagging(Bucket="formed", Key="a")["TagSet"] == [{"Key": "colour", "Value": "red + blue"}]
    assert s3.head_object(Bucket="formed", Key="a")["ServerSideEncryption"] == "AES256"
    assert anonymous(open_buckets).get_object(Bucket="formed", Key="a")["Body"].read() == b"hello"


def test_a_form_takes_the_buckets_standard_encryption(open_buckets):
    s3 = open_buckets.client()
    s3.create_bucket(Bucket="ciphered")
    s3.put_bucket_encryption(Bucket="ciphered", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    form = open_buckets.client(signature_version="s3v4").generate_presigned_post("ciphered", "a")
    assert post(open_buckets, "ciphered", form["fields"], b"hello").status == 204
    got = s3.get_object(Bucket="ciphered", Key="a")
    assert got["ServerSideEncryption"] == "AES256" and got["Body"].read() == b"hello"


def test_nobody_may_send_a_form_but_where_the_bucket_lets_everybody_write(open_buckets):
    s3 = open_buckets.client()
    for name, acl in (("closed-to-all", "private"), ("open-to-all", "public-read-write")):
        s3.create_bucket(Bucket=name, ACL=acl)
    assert post(open_buckets, "closed-to-all", {"key": "a"}, b"hello").status == 403
    assert post(open_buckets, "open-to-all", {"key": "a"}, b"hello").status == 204
    assert keys(s3, "open-to-all") == ["a"] and keys(s3, "closed-to-all") == []


def test_nobody_overrides_the_headers_of_an_answer(open_buckets):
    open_buckets.client().create_bucket(Bucket="shown")
    open_buckets.client().put_object(Bucket="shown", Key="a", Body=b"x", ACL="public-read")
    stranger = anonymous(open_buckets)
    assert stranger.get_object(Bucket="shown", Key="a")["Body"].read() == b"x"
    with pytest.raises(ClientError) as caught:
        stranger.get_object(Bucket="shown", Key="a", ResponseContentType="text/html")
    assert caught.value.response["Error"]["Code"] == "InvalidRequest"


def test_a_customers_key_is_taken_over_tls_and_not_without(tmp_path):
    key = os.urandom(32)
    with SecureServer(tmp_path / "store", Authority(tmp_path / "ca")) as server:
        s3 = server.client()
        s3.create_bucket(Bucket="secret")
        s3.put_object(Bucket="secret", Key="a", Body=b"hello", SSECustomerKey=key, SSECustomerAlgorithm="AES256")
        got = s3.get_object(Bucket="secret", Key="a", SSECustomerKey=key, SSECustomerAlgorithm="AES256")
        assert got["Body"].read() == b"hello"
        with pytest.raises(ClientError):
            s3.get_object(Bucket="secret", Key="a")


def test_a_rule_by_tag_takes_what_has_the_tag_and_nothing_else(tmp_path):
    with Server(tmp_path / "store", "--set", "lifecycle-day-seconds=1") as server:
        s3 = server.client()
        s3.create_bucket(Bucket="tagged")
        for key, tags in (("old", "end=soon"), ("kept", "end=never"), ("bare", "")):
            s3.put_object(Bucket="tagged", Key=key, Body=b"x", Tagging=tags)
        put(s3, "tagged", rule(Filter={"Tag": {"Key": "end", "Value": "soon"}}, Expiration={"Days": 1}))
        wait_until(lambda: keys(s3, "tagged") == ["bare", "kept"], what="the tagged object's end")
        # Tagged later, it goes later.
        s3.put_object_tagging(Bucket="tagged", Key="kept", Tagging={"TagSet": [{"Key": "end", "Value": "soon"}]})
        wait_until(lambda: keys(s3, "tagged") == ["bare"], what="the end of the object tagged later")
