"""Tags of objects and of buckets."""

import concurrent.futures

import pytest
from botocore.exceptions import ClientError
from signing import Raw

HEAD = b'<?xml version="1.0" encoding="UTF-8"?><Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def code(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def tag_set(tags):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def tags_of(s3, bucket, key="key", **version):
    return {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key=key, **version)["TagSet"]}


GOOD = {"plain": "value", "empty": "", "signs": "a b+c-d=e._:/@", "Straße": "日本 語", "k" * 128: "v" * 256}


def test_an_objects_tags_are_put_got_and_deleted(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    assert tags_of(s3, bucket) == {}
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="key")
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set(GOOD))
    assert tags_of(s3, bucket) == GOOD
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["TagCount"] == len(GOOD) and got["Body"].read() == b"body" and got["ETag"] == put["ETag"]
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == len(GOOD)
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set({"only": "one"}))
    assert tags_of(s3, bucket) == {"only": "one"}
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert tags_of(s3, bucket) == {}


def test_tagging_changes_neither_date_nor_metadata(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Metadata={"a": "1"}, ContentType="text/plain")
    before = s3.head_object(Bucket=bucket, Key="key")
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set({"a": "b"}))
    after = s3.head_object(Bucket=bucket, Key="key")
    for name in ("LastModified", "Metadata", "ContentType", "ETag"):
        assert before[name] == after[name]


@pytest.mark.parametrize("header, tags", [
    ("a=1&b=2", {"a": "1", "b": "2"}), ("a%20b=c+d%2Fe", {"a b": "c d/e"}), ("flag", {"flag": ""}), ("flag=", {"flag": ""}),
    ("a=b=c", {"a": "b=c"}), ("", {}), ("%C3%BC=%E6%97%A5", {"ü": "日"}), ("&a=1&", {"a": "1"}),
])
def test_tags_come_with_a_put_or_an_upload(s3, bucket, header, tags):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Tagging=header)
    assert tags_of(s3, bucket) == tags
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", Tagging=header)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]}]})
    assert tags_of(s3, bucket, "parts") == tags


BAD = [
    ({"k" * 129: "v"}, "InvalidTag"), ({"k": "v" * 257}, "InvalidTag"), ({"aws:k": "v"}, "InvalidTag"),
    ({"k;": "v"}, "InvalidTag"), ({"k": "<v>"}, "InvalidTag"), ({"k": "a\tb"}, "InvalidTag"), ({"k": "☃"}, "InvalidTag"),
]


@pytest.mark.parametrize("tags, expected", BAD + [({f"k{n}": "v" for n in range(11)}, "BadRequest")], ids=lambda v: str(v)[:16])
def test_tags_that_an_object_cannot_have(s3, bucket, tags, expected):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Tagging="kept=1")
    assert code(s3.put_object_tagging, Bucket=bucket, Key="key", Tagging=tag_set(tags)) == expected
    assert tags_of(s3, bucket) == {"kept": "1"}


@pytest.mark.parametrize("header, expected", [
    ("a=1&a=2", "InvalidTag"), ("aws%3Aa=1", "InvalidTag"), ("%=1", "InvalidArgument"), ("a=%FF", "InvalidArgument"),
    ("=1", "InvalidTag"), ("a=%00", "InvalidTag"), ("&".join(f"k{n}=v" for n in range(11)), "BadRequest"),
])
def test_a_header_of_bad_tags_puts_nothing(s3, bucket, header, expected):
    assert code(s3.put_object, Bucket=bucket, Key="key", Body=b"body", Tagging=header) == expected
    assert code(s3.create_multipart_upload, Bucket=bucket, Key="key", Tagging=header) == expected
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("document, expected", [
    (b"", "MalformedXML"), (HEAD, "MalformedXML"), (HEAD + b"</Tagging>", "MalformedXML"),
    (HEAD + b"<TagSet/><TagSet/></Tagging>", "MalformedXML"), (b"<Other><TagSet/></Other>", "MalformedXML"),
    (HEAD + b"<TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "MalformedXML"),
    (HEAD + b"<TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>", "MalformedXML"),
    (HEAD + b"<TagSet><Key>a</Key><Value>a</Value></TagSet></Tagging>", "MalformedXML"),
    (HEAD + b"<TagSet><Tag><Key></Key><Value>a</Value></Tag></TagSet></Tagging>", "InvalidTag"),
    (HEAD + b"<TagSet>" + b"<Tag><Key>a</Key><Value>a</Value></Tag>" * 2 + b"</TagSet></Tagging>", "InvalidTag"),
])
@pytest.mark.parametrize("path", ["/{bucket}/key", "/{bucket}"], ids=["object", "bucket"])
def test_documents_that_say_no_tags(shared, s3, bucket, document, expected, path):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    assert Raw(shared).send("PUT", path.format(bucket=bucket), document, query=[("tagging", "")])[1] == expected


def test_each_version_has_its_own_tags(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, second = (s3.put_object(Bucket=bucket, Key="key", Body=b"body", Tagging=f"n={n}")["VersionId"] for n in (1, 2))
    done = s3.put_object_tagging(Bucket=bucket, Key="key", VersionId=first, Tagging=tag_set({"n": "one"}))
    assert done["VersionId"] == first
    assert tags_of(s3, bucket, VersionId=first) == {"n": "one"} and tags_of(s3, bucket) == {"n": "2"}
    assert s3.delete_object_tagging(Bucket=bucket, Key="key")["VersionId"] == second
    assert tags_of(s3, bucket) == {} and tags_of(s3, bucket, VersionId=first) == {"n": "one"}
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    assert code(s3.get_object_tagging, Bucket=bucket, Key="key") == "NoSuchKey"
    assert code(s3.put_object_tagging, Bucket=bucket, Key="key", VersionId=marker, Tagging=tag_set({})) == "MethodNotAllowed"


def test_tags_of_what_is_not_there(s3, bucket):
    assert code(s3.get_object_tagging, Bucket=bucket, Key="none") == "NoSuchKey"
    assert code(s3.put_object_tagging, Bucket=bucket, Key="none", Tagging=tag_set({})) == "NoSuchKey"
    assert code(s3.delete_object_tagging, Bucket=bucket, Key="none") == "NoSuchKey"
    assert code(s3.get_object_tagging, Bucket="no-such-bucket", Key="none") == "NoSuchBucket"
    assert code(s3.get_bucket_tagging, Bucket="no-such-bucket") == "NoSuchBucket"


@pytest.mark.parametrize("directive, wanted", [
    ({}, {"old": "1"}), ({"TaggingDirective": "COPY", "Tagging": "new=2"}, {"old": "1"}),
    ({"TaggingDirective": "REPLACE", "Tagging": "new=2"}, {"new": "2"}), ({"TaggingDirective": "REPLACE"}, {}),
    ({"MetadataDirective": "REPLACE"}, {"old": "1"}),
    ({"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE", "Tagging": "new=2"}, {"new": "2"}),
])
def test_a_copy_has_the_tags_that_its_directive_says(s3, bucket, directive, wanted):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", Tagging="old=1", Metadata={"a": "b"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", **directive)
    assert tags_of(s3, bucket, "copy") == wanted
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == ({} if "MetadataDirective" in directive else {"a": "b"})


def test_a_directive_that_is_none_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    for name in ("TaggingDirective", "MetadataDirective"):
        assert code(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/key", **{name: "MERGE"}) == "InvalidArgument"


def test_a_buckets_tags_are_put_got_and_deleted(s3, bucket):
    assert code(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    tags = {**GOOD, **{f"k{n}": f"v{n}" for n in range(45)}}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tag_set(tags))
    assert {t["Key"]: t["Value"] for t in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]} == tags
    assert code(s3.put_bucket_tagging, Bucket=bucket, Tagging=tag_set({**tags, "one": "more"})) == "BadRequest"
    for bad, expected in BAD:
        assert code(s3.put_bucket_tagging, Bucket=bucket, Tagging=tag_set(bad)) == expected
    s3.delete_bucket_tagging(Bucket=bucket)
    s3.delete_bucket_tagging(Bucket=bucket)
    assert code(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"


def test_tags_last_and_do_not_survive_a_new_object(server):
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_tagging(Bucket="bucket", Tagging=tag_set({"b": "1"}))
    s3.put_object(Bucket="bucket", Key="key", Body=b"body")
    s3.put_object_tagging(Bucket="bucket", Key="key", Tagging=tag_set(GOOD))
    server.kill()
    server.start()
    s3 = server.client()
    assert tags_of(s3, "bucket") == GOOD and s3.get_bucket_tagging(Bucket="bucket")["TagSet"] == [{"Key": "b", "Value": "1"}]
    s3.put_object(Bucket="bucket", Key="key", Body=b"body")
    assert tags_of(s3, "bucket") == {}


def test_of_many_that_tag_at_once_one_is_last(shared, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    clients = [shared.client() for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: [clients[n].put_object_tagging(Bucket=bucket, Key="key", Tagging=tag_set({"n": str(n)}))
                                 for _ in range(10)], range(8)))
    assert tags_of(s3, bucket)["n"] in map(str, range(8))
