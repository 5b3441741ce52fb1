"""Many objects deleted by one request."""

import base64
import hashlib
import xml.etree.ElementTree

import pytest
from signing import Raw


def send_delete(shared, bucket, document, headers=None):
    if headers is None:
        headers = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
    return Raw(shared).send("POST", f"/{bucket}", document, headers, query=[("delete", "")])


def objects(*keys):
    return b"<Delete>" + b"".join(f"<Object><Key>{key}</Key></Object>".encode() for key in keys) + b"</Delete>"


def test_many_are_deleted_quietly_or_not(s3, bucket):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key)
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "none"}]})
    assert [d["Key"] for d in done["Deleted"]] == ["a", "none"] and "Errors" not in done
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_versions_and_markers_are_deleted_together(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="b")
    marker = s3.delete_object(Bucket=bucket, Key="c")["VersionId"]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": "a", "VersionId": version}, {"Key": "b"}, {"Key": "c", "VersionId": marker}, {"Key": "a", "VersionId": "nonsense"}]})
    a, b, c = done["Deleted"]
    assert a == {"Key": "a", "VersionId": version}
    assert b["DeleteMarker"] and b["DeleteMarkerVersionId"] and "VersionId" not in b
    assert c["DeleteMarker"] and c["DeleteMarkerVersionId"] == c["VersionId"] == marker
    assert [(e["Key"], e["VersionId"], e["Code"]) for e in done["Errors"]] == [("a", "nonsense", "NoSuchVersion")]


@pytest.mark.parametrize("document, headers, expected", [
    (b"", None, "MalformedXML"), (b"<Delete/>", None, "MalformedXML"), (b"<Delete><Object/></Delete>", None, "MalformedXML"),
    (b"<Delete><Object><VersionId>null</VersionId></Object></Delete>", None, "MalformedXML"), (b"<Other/>", None, "MalformedXML"),
    (objects(*range(1001)), None, "MalformedXML"), (objects("a"), {}, "InvalidRequest"),
    (objects("a"), {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"), (objects("a"), {"Content-MD5": "x"}, "InvalidDigest"),
    (objects("a"), {"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
])
def test_documents_that_delete_nothing(shared, s3, bucket, document, headers, expected):
    s3.put_object(Bucket=bucket, Key="a")
    assert send_delete(shared, bucket, document, headers)[:2] == (400, expected)
    assert s3.head_object(Bucket=bucket, Key="a")


def test_a_key_that_cannot_be_is_an_error_of_its_own(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a")
    status, _, body = send_delete(shared, bucket, objects("", "x" * 1025, "a"))
    root = xml.etree.ElementTree.fromstring(body)
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert status == 200 and [d.findtext(f"{space}Key") for d in root.iter(f"{space}Deleted")] == ["a"]
    assert [e.findtext(f"{space}Code") for e in root.iter(f"{space}Error")] == ["UserKeyMustBeSpecified", "KeyTooLongError"]


def test_a_thousand_are_deleted_in_one_request_and_no_bucket_has_none(shared, s3, bucket):
    status, _, body = send_delete(shared, bucket, objects(*range(1000)))
    assert status == 200 and body.count(b"<Deleted>") == 1000
    assert send_delete(shared, "no-such-bucket", objects("a"))[:2] == (404, "NoSuchBucket")
