"""Every operation that Documentation/s3.md says is there: a good request, and those of clients that are broken in the ways
that clients are: no document, another one, half of one, another digest, no such bucket, key or upload, another method."""

import base64
import hashlib

import pytest
from signing import Raw, Signer
from test_fuzz import body_of
from test_s3_table import TABLE
from wire import Wire

NS = "http://s3.amazonaws.com/doc/2006-03-01/"
OWN = "{own}"
ACL = (f'<AccessControlPolicy xmlns="{NS}"><Owner><ID>{OWN}</ID></Owner><AccessControlList><Grant><Grantee '
       f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>{OWN}</ID></Grantee>'
       "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>").encode()
POLICY = (b'{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObjectTorrent",'
          b'"Resource":"arn:aws:s3:::{b}/*"}]}')
LOGGING = f'<BucketLoggingStatus xmlns="{NS}"/>'.encode()
NOTIFICATION = f'<NotificationConfiguration xmlns="{NS}"/>'.encode()
RETENTION = (f'<Retention xmlns="{NS}"><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>'
             "</Retention>").encode()
COMPLETE = (f'<CompleteMultipartUpload xmlns="{NS}"><Part><PartNumber>1</PartNumber><ETag>{{etag}}</ETag></Part>'
            "</CompleteMultipartUpload>").encode()
RULES = b"<LifecycleConfiguration><Rule><Prefix>old/</Prefix><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"


class Case:
    """A request. `document` is what the body must be; other bodies are bytes."""

    def __init__(self, method, path, query="", document=None, headers=None, status=200, body=b"", after=None):
        self.method, self.path, self.status, self.document, self.after = method, path, status, document, after
        self.query = [tuple((item + "=").split("=")[:2]) for item in query.split("&") if item]
        self.headers, self.body = headers or {}, body


def setting(name, document, put=200, delete=204):
    """Get, put and delete of a bucket's setting."""
    return (Case("GET", "/{b}", name, after=(name, document)), Case("PUT", "/{b}", name, document, status=put),
            Case("DELETE", "/{b}", name, status=delete))


K, B = "/{b}/k", "/{b}"
OPERATIONS = {
    "CreateBucket": Case("PUT", "/{b}-new"), "DeleteBucket": Case("DELETE", "/{b}-empty", status=204),
    "HeadBucket": Case("HEAD", B), "ListBuckets": Case("GET", "/"), "GetBucketLocation": Case("GET", B, "location"),
    "GetBucketVersioning": Case("GET", B, "versioning"),
    "PutBucketVersioning": Case("PUT", B, "versioning", body_of("<VersioningConf")),
    "GetBucketAcl": Case("GET", B, "acl"), "PutBucketAcl": Case("PUT", B, "acl", ACL),
    "GetBucketPolicyStatus": Case("GET", B, "policyStatus", after=("policy", POLICY)),
    "GetObjectLockConfiguration": Case("GET", B, "object-lock"),
    "PutObjectLockConfiguration": Case("PUT", B, "object-lock", body_of("<ObjectLockConf")),
    "GetBucketLogging": Case("GET", B, "logging"), "PutBucketLogging": Case("PUT", B, "logging", LOGGING),
    "GetBucketNotificationConfiguration": Case("GET", B, "notification"),
    "PutBucketNotificationConfiguration": Case("PUT", B, "notification", NOTIFICATION),
    "GetBucketNotification": Case("GET", B, "notification"),
    "PutBucketNotification": Case("PUT", B, "notification", NOTIFICATION),
    "GetBucketRequestPayment": Case("GET", B, "requestPayment"),
    "PutBucketRequestPayment": Case("PUT", B, "requestPayment", body_of("<RequestPayment")),
    "GetBucketLifecycle": Case("GET", B, "lifecycle", after=("lifecycle", RULES)),
    "PutBucketLifecycle": Case("PUT", B, "lifecycle", RULES),
    "GetObject": Case("GET", K), "HeadObject": Case("HEAD", K), "PutObject": Case("PUT", K, body=b"x"),
    "CopyObject": Case("PUT", "/{b}/copy", headers={"x-amz-copy-source": "/{b}/k"}),
    "DeleteObject": Case("DELETE", K, status=204),
    "DeleteObjects": Case("POST", B, "delete", body_of("<Delete")),
    "GetObjectAttributes": Case("GET", K, "attributes", headers={"x-amz-object-attributes": "ETag"}),
    "GetObjectAcl": Case("GET", K, "acl"), "PutObjectAcl": Case("PUT", K, "acl", ACL),
    "GetObjectTagging": Case("GET", K, "tagging"), "PutObjectTagging": Case("PUT", K, "tagging", body_of("<Tagging")),
    "DeleteObjectTagging": Case("DELETE", K, "tagging", status=204),
    "GetObjectRetention": Case("GET", K, "retention", after=("retention", RETENTION)),
    "PutObjectRetention": Case("PUT", K, "retention", RETENTION),
    "GetObjectLegalHold": Case("GET", K, "legal-hold", after=("legal-hold", body_of("<LegalHold"))),
    "PutObjectLegalHold": Case("PUT", K, "legal-hold", body_of("<LegalHold")),
    "ListObjects": Case("GET", B), "ListObjectsV2": Case("GET", B, "list-type=2"),
    "ListObjectVersions": Case("GET", B, "versions"), "ListMultipartUploads": Case("GET", B, "uploads"),
    "CreateMultipartUpload": Case("POST", "/{b}/large", "uploads"),
    "UploadPart": Case("PUT", "/{b}/large", "partNumber=2&uploadId={upload}", body=b"x"),
    "UploadPartCopy": Case("PUT", "/{b}/large", "partNumber=2&uploadId={upload}", headers={"x-amz-copy-source": "/{b}/k"}),
    "ListParts": Case("GET", "/{b}/large", "uploadId={upload}"),
    "CompleteMultipartUpload": Case("POST", "/{b}/large", "uploadId={upload}", COMPLETE),
    "AbortMultipartUpload": Case("DELETE", "/{b}/large", "uploadId={upload}", status=204),
}
for words, name, document, put in [
        (("BucketPolicy",) * 3, "policy", POLICY, 204), (("PublicAccessBlock",) * 3, "publicAccessBlock", body_of("<PublicAcc"), 200),
        (("BucketOwnershipControls",) * 3, "ownershipControls", body_of("<OwnershipControls"), 200),
        (("BucketCors",) * 3, "cors", body_of("<CORSConfiguration"), 200),
        (("BucketTagging",) * 3, "tagging", body_of("<Tagging"), 204),
        (("BucketLifecycleConfiguration",) * 2 + ("BucketLifecycle",), "lifecycle", body_of("<LifecycleConf"), 200),
        (("BucketEncryption",) * 3, "encryption", body_of("<ServerSideEnc"), 200)]:
    for verb, word, case in zip(("Get", "Put", "Delete"), words, setting(name, document, put)):
        OPERATIONS[verb + word] = case


class Stage:
    def __init__(self, server, s3, bucket):
        self.wire = Wire(server)
        self.raw = Raw(server)
        self.bucket = bucket + "-op"
        s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        s3.create_bucket(Bucket=self.bucket + "-empty")
        s3.put_bucket_ownership_controls(Bucket=self.bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
        s3.put_object(Bucket=self.bucket, Key="k", Body=b"hello")
        upload = s3.create_multipart_upload(Bucket=self.bucket, Key="large")["UploadId"]
        part = s3.upload_part(Bucket=self.bucket, Key="large", UploadId=upload, PartNumber=1, Body=b"x")
        self.words = {"b": self.bucket, "upload": upload, "etag": part["ETag"].replace('"', "&quot;"),
                      "own": s3.list_buckets()["Owner"]["ID"]}

    def fill(self, text, **others):
        for name, word in {**self.words, **others}.items():
            text = text.replace("{" + name + "}", word)
        return text

    def send(self, case, document=None, method=None, digest=True, **others):
        """The answer; `document` takes the place of the case's own."""
        if case.after:
            put = Case("PUT", case.path, case.after[0], case.after[1])
            answer = self.send(put)
            assert answer.status < 300, answer
        body = case.body
        if case.document is not None:
            body = self.fill(case.document.decode()).encode() if document is None else document
        headers = {name: self.fill(value, **others) for name, value in case.headers.items()}
        if case.document is not None and digest is not None:
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body if digest else body + b"x").digest()).decode()
        query = [(name, self.fill(value, **others)) for name, value in case.query]
        method = method or case.method
        self.wire.send(self.wire.request(method, self.fill(case.path, **others), body, query, headers))
        return self.wire.answer(method)


@pytest.fixture
def stage(shared, s3, bucket):
    stage = Stage(shared, s3, bucket)
    yield stage
    # Whatever was sent, the connection goes on, and it is not what was sent that is answered next.
    stage.wire.send(stage.wire.request("HEAD", f"/{stage.bucket}-empty"))
    assert stage.wire.answer("HEAD").status in (200, 404)
    stage.wire.socket.close()


def test_every_operation_that_is_here_has_a_case():
    assert set(OPERATIONS) == {name for name, here in TABLE.items() if here == "yes"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_good_request(stage, name):
    answer = stage.send(OPERATIONS[name])
    assert answer.status == OPERATIONS[name].status, answer


@pytest.mark.parametrize("name", [n for n, c in OPERATIONS.items() if "{b}" in c.path and n != "CreateBucket"])
def test_no_such_bucket(stage, name):
    case = OPERATIONS[name]
    missing = Case(case.method, case.path, document=case.document, headers=case.headers, body=case.body)
    missing.query = case.query
    answer = stage.send(missing, b="no-such-bucket-of-anybody")
    assert answer.status == 404 and (answer.code or "NoSuchBucket") == "NoSuchBucket", answer


@pytest.mark.parametrize("name", [
    n for n, c in OPERATIONS.items() if c.path == K and n not in ("PutObject", "DeleteObject")] + ["CopyObject", "UploadPartCopy"])
def test_no_such_key(stage, name):
    case = OPERATIONS[name]
    headers = {k: v.replace("/k", "/none") for k, v in case.headers.items()}
    missing = Case(case.method, case.path.replace("/k", "/none"), document=case.document, headers=headers)
    missing.query = case.query
    answer = stage.send(missing)
    assert answer.status == 404 and (answer.code or "NoSuchKey") == "NoSuchKey", answer


@pytest.mark.parametrize("name", [n for n, c in OPERATIONS.items() if any(k == "uploadId" for k, _ in c.query)])
@pytest.mark.parametrize("upload", ["0" * 32, "nonsense", "", "../" * 9])
def test_no_such_upload(stage, name, upload):
    answer = stage.send(OPERATIONS[name], upload=upload)
    assert (answer.status, answer.code) == (404, "NoSuchUpload"), answer


@pytest.mark.parametrize("name", [n for n, c in OPERATIONS.items() if c.path == K and c.method != "PUT" or "ersion" in n and c.path == K])
@pytest.mark.parametrize("version, status, codes", [
    ("nonsense", 400, ("InvalidArgument", "")), ("0" * 32, 404, ("NoSuchVersion", "")), ("", 400, ("InvalidArgument", ""))])
def test_no_such_version(stage, name, version, status, codes):
    case = OPERATIONS[name]
    other = Case(case.method, case.path, document=case.document, headers=case.headers)
    other.query = case.query + [("versionId", version)]
    answer = stage.send(other)
    if name == "DeleteObject" and status == 404:
        assert answer.status == 204, "what is not there is deleted already"
    else:
        assert answer.status == status and answer.code in codes, answer


DOCUMENTS = [name for name, case in OPERATIONS.items() if case.document is not None]
BROKEN = {
    "none": b"", "no XML": b"nonsense", "blanks": b" \n", "another document": b"<Other/>", "only a head": b'<?xml version="1.0"?>',
    "an entity": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "bytes": bytes(range(256)), "UTF-16": "<Tagging/>".encode("utf-16"),
    "a deep one": b"<a>" * 5000, "JSON": b'{"Rules": []}', "an array": b"[]", "null": b"null",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_that_are_none(stage, name):
    case = OPERATIONS[name]
    good = stage.fill(case.document.decode()).encode()
    broken = {**BROKEN, "half": good[:len(good) // 2], "twice": good + good, "cut short": good[:-1], "with a tail": good + b"<x/>",
              "with a NUL": good.replace(b">", b">\0", 1).replace(b"{", b"{\0", 1)}
    for what, document in broken.items():
        answer = stage.send(case, document)
        # A list of rights may come in headers as well: without either, S3 misses a header.
        codes = ("MissingSecurityHeader",) if not document and name.endswith("Acl") else (
            "MalformedXML", "MalformedPolicy", "MissingRequestBodyError")
        assert answer.status == 400 and answer.code in codes, (what, answer)
    assert stage.send(case).status == case.status, "and the good one is taken after all of them"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_with_another_digest(stage, name):
    answer = stage.send(OPERATIONS[name], digest=False)
    assert (answer.status, answer.code) == (400, "BadDigest"), answer


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_in_another_namespace_or_none_and_with_a_mark(stage, name):
    """As hand-written clients send them."""
    case = OPERATIONS[name]
    good = stage.fill(case.document.decode())
    if good.startswith("<"):
        for document in (good.replace(f' xmlns="{NS}"', ""), "\ufeff" + good, '<?xml version="1.0" encoding="utf-8" ?>\n' + good + "\n"):
            answer = stage.send(case, document.encode())
            assert answer.status == case.status, (document, answer)
            if name == "CompleteMultipartUpload":
                return


@pytest.mark.parametrize("query", sorted({case.query[0][0] for case in OPERATIONS.values() if case.query}))
@pytest.mark.parametrize("path", [B, K])
def test_another_method(stage, query, path):
    """What no operation is, is refused, and never taken for the plain request without the query."""
    known = {(case.method, case.path.count("/"), case.query[0][0]) for case in OPERATIONS.values() if case.query}
    for method in ("PATCH", "POST", "PUT", "DELETE"):
        if (method, path.count("/"), query) in known or query in ("list-type", "partNumber", "uploadId"):
            continue
        if method in ("PUT", "DELETE") and path == K and not any(where == 2 and q == query for _, where, q in known):
            continue  # a bucket's word means nothing on an object
        answer = stage.send(Case(method, path, query))
        assert answer.status in (400, 405, 411, 412, 501), (method, answer)
    assert stage.send(Case("GET", K)).body == b"hello"


def test_a_key_that_nobody_has(stage):
    """A key that is not known gets one answer, whatever it asks for."""
    for path in (B, K, "/no-such-bucket/x"):
        assert stage.raw.send("GET", stage.fill(path), signer=Signer(access="NOBODY"))[1] == "InvalidAccessKeyId"
