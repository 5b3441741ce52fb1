"""Users, ownership, access control lists, bucket policies and the public access block."""

import json
import subprocess
import types
import urllib.error
import urllib.request

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from holdfast import BINARY, Server, holdfast, keep_secret, s3_client
from signing import Raw, Signer

ALL = "http://acs.amazonaws.com/groups/global/AllUsers"


def code(call, **arguments):
    """The S3 error code of a call, or None."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]


def anonymous(stage, method, path, body=None, headers=None):
    request = urllib.request.Request(stage.server.endpoint + path, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def make_stage(server):
    stage = types.SimpleNamespace(server=server, root=server.client(), ids={}, keys={})
    for name in ("alice", "bob", "carol"):
        stage.ids[name], access, secret = server.user(name, "--display-name", name.capitalize())
        stage.keys[name] = (access, secret)
        setattr(stage, name, s3_client(server.endpoint, access, secret))
    return stage


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("locked") / "store") as server:
        yield make_stage(server)


@pytest.fixture(scope="module")
def open_(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("open") / "store", "--set", "buckets-start=open") as server:
        yield make_stage(server)


def policy(bucket, *actions, principal="*", effect="Allow", resource="/*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": effect, "Principal": {"AWS": principal}, "Action": [f"s3:{a}" for a in actions],
        "Resource": f"arn:aws:s3:::{bucket}{resource}"}]})


def test_a_new_bucket_is_locked(locked):
    s3 = locked.alice
    s3.create_bucket(Bucket="locked-1")
    rules = s3.get_bucket_ownership_controls(Bucket="locked-1")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    block = s3.get_public_access_block(Bucket="locked-1")["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"], True)
    assert code(s3.put_object, Bucket="locked-1", Key="k", ACL="public-read") == "AccessControlListNotSupported"
    assert code(s3.put_object, Bucket="locked-1", Key="k", GrantRead=f'id="{locked.ids["bob"]}"') == "AccessControlListNotSupported"
    assert code(s3.put_bucket_acl, Bucket="locked-1", ACL="public-read") == "AccessControlListNotSupported"
    assert code(s3.put_object, Bucket="locked-1", Key="k", ACL="bucket-owner-full-control") is None
    assert code(s3.put_bucket_policy, Bucket="locked-1", Policy=policy("locked-1", "GetObject")) == "AccessDenied"
    assert code(s3.create_bucket, Bucket="locked-2", ACL="public-read") == "InvalidBucketAclWithObjectOwnership"
    assert code(s3.create_bucket, Bucket="locked-2", ACL="public-read", ObjectOwnership="ObjectWriter") \
        == "InvalidBucketAclWithBlockPublicAccessError"
    assert code(s3.create_bucket, Bucket="locked-2", ObjectOwnership="Nobody") == "InvalidArgument"
    s3.create_bucket(Bucket="locked-2", ObjectOwnership="ObjectWriter")
    assert code(s3.put_object, Bucket="locked-2", Key="k", ACL="public-read") == "AccessDenied"
    assert code(s3.put_object, Bucket="locked-2", Key="k", GrantRead=f'id="{locked.ids["bob"]}"') is None
    assert locked.bob.head_object(Bucket="locked-2", Key="k")["ContentLength"] == 0


def test_a_locked_bucket_is_opened_step_by_step(locked):
    s3 = locked.alice
    s3.create_bucket(Bucket="opened")
    s3.put_object(Bucket="opened", Key="k", Body=b"data")
    assert anonymous(locked, "GET", "/opened/k")[0] == 403
    s3.delete_public_access_block(Bucket="opened")
    assert code(s3.get_public_access_block, Bucket="opened") == "NoSuchPublicAccessBlockConfiguration"
    assert code(s3.get_bucket_policy_status, Bucket="opened") == "NoSuchBucketPolicy"
    s3.put_bucket_policy(Bucket="opened", Policy=policy("opened", "GetObject"))
    assert s3.get_bucket_policy_status(Bucket="opened")["PolicyStatus"]["IsPublic"] is True
    assert json.loads(s3.get_bucket_policy(Bucket="opened")["Policy"])["Statement"][0]["Effect"] == "Allow"
    assert anonymous(locked, "GET", "/opened/k") == (200, b"data")
    assert anonymous(locked, "GET", "/opened/none")[0] == 403
    assert anonymous(locked, "PUT", "/opened/k", b"x")[0] == 403
    s3.put_public_access_block(Bucket="opened", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert anonymous(locked, "GET", "/opened/k")[0] == 403
    s3.delete_public_access_block(Bucket="opened")
    s3.delete_bucket_policy(Bucket="opened")
    assert code(s3.get_bucket_policy, Bucket="opened") == "NoSuchBucketPolicy"
    assert anonymous(locked, "GET", "/opened/k")[0] == 403


def test_an_open_bucket_takes_lists(open_):
    s3 = open_.alice
    s3.create_bucket(Bucket="lists", ACL="public-read-write")
    assert code(s3.get_bucket_ownership_controls, Bucket="lists") == "OwnershipControlsNotFoundError"
    grants = s3.get_bucket_acl(Bucket="lists")
    assert grants["Owner"] == {"ID": open_.ids["alice"], "DisplayName": "Alice"}
    assert [(g["Grantee"].get("URI") or g["Grantee"]["ID"], g["Permission"]) for g in grants["Grants"]] == [
        (open_.ids["alice"], "FULL_CONTROL"), (ALL, "READ"), (ALL, "WRITE")]
    assert anonymous(open_, "PUT", "/lists/theirs", b"anonymous")[0] == 200
    assert b"theirs" in anonymous(open_, "GET", "/lists")[1]
    s3.put_object(Bucket="lists", Key="mine", Body=b"m")
    assert anonymous(open_, "GET", "/lists/mine")[0] == 403
    s3.put_object_acl(Bucket="lists", Key="mine", ACL="public-read")
    assert anonymous(open_, "GET", "/lists/mine") == (200, b"m")
    assert code(open_.bob.get_object_acl, Bucket="lists", Key="mine") == "AccessDenied"
    acl = s3.get_object_acl(Bucket="lists", Key="mine")
    acl.pop("ResponseMetadata")
    acl["Grants"].append({"Grantee": {"Type": "CanonicalUser", "ID": open_.ids["bob"]}, "Permission": "READ_ACP"})
    s3.put_object_acl(Bucket="lists", Key="mine", AccessControlPolicy=acl)
    seen = open_.bob.get_object_acl(Bucket="lists", Key="mine")["Grants"]
    assert seen[-1]["Grantee"] == {"Type": "CanonicalUser", "ID": open_.ids["bob"], "DisplayName": "Bob"}
    acl["Owner"] = {"ID": open_.ids["bob"]}
    assert code(s3.put_object_acl, Bucket="lists", Key="mine", AccessControlPolicy=acl) == "AccessDenied"


@pytest.mark.parametrize("arguments, expected", [
    ({"ACL": "public-write"}, "InvalidArgument"), ({"ACL": "aws-exec-read"}, "NotImplemented"),
    ({"ACL": "private", "GrantRead": f'uri="{ALL}"'}, "InvalidRequest"), ({"GrantRead": 'id="nobody"'}, "InvalidArgument"),
    ({"GrantRead": 'uri="http://example.org/group"'}, "InvalidArgument"), ({"GrantRead": "everybody"}, "InvalidArgument"),
    ({"GrantRead": 'emailAddress="a@example.org"'}, "UnresolvableGrantByEmailAddress"),
    ({"GrantFullControl": ",".join([f'uri="{ALL}"'] * 101)}, "MalformedACLError"),
])
def test_lists_that_make_no_sense(open_, arguments, expected):
    if code(open_.alice.head_bucket, Bucket="senseless"):
        open_.alice.create_bucket(Bucket="senseless")
    assert code(open_.alice.put_object, Bucket="senseless", Key="k", **arguments) == expected
    assert code(open_.alice.put_bucket_acl, Bucket="senseless", **arguments) == expected


@pytest.mark.parametrize("body, headers, expected", [
    (b"", {}, "MissingSecurityHeader"), (b"<AccessControlPolicy/>", {}, "MalformedACLError"), (b"<x", {}, "MalformedXML"),
    (b"<AccessControlPolicy/>", {"x-amz-acl": "private"}, "UnexpectedContent"),
    (b"<AccessControlPolicy><Owner><ID>x</ID></Owner><AccessControlList/></AccessControlPolicy>", {}, "AccessDenied"),
])
def test_documents_that_make_no_sense(open_, body, headers, expected):
    if code(open_.alice.head_bucket, Bucket="documents"):
        open_.alice.create_bucket(Bucket="documents")
    raw = Raw(open_.server)
    signer = Signer(*open_.keys["alice"])
    assert raw.send("PUT", "/documents", body, query=[("acl", "")], headers=headers, signer=signer)[1] == expected


def test_other_documents_that_make_no_sense(open_):
    open_.alice.create_bucket(Bucket="others")
    raw = Raw(open_.server)
    for query, body, expected in [
            ("ownershipControls", b"<OwnershipControls><Rule><ObjectOwnership>X</ObjectOwnership></Rule></OwnershipControls>",
             "MalformedXML"),
            ("ownershipControls", b"", "MalformedXML"),
            ("publicAccessBlock", b"<PublicAccessBlockConfiguration><X>true</X></PublicAccessBlockConfiguration>", "MalformedXML"),
            ("publicAccessBlock",
             b"<PublicAccessBlockConfiguration><BlockPublicAcls>maybe</BlockPublicAcls></PublicAccessBlockConfiguration>",
             "MalformedXML"),
            ("policy", b"", "MissingRequestBodyError"), ("policy", b"{", "MalformedPolicy"),
            ("policy", policy("others", "GetObject").encode() + b" " * 21000, "MalformedPolicy")]:
        signer = Signer(*open_.keys["alice"])
        assert raw.send("PUT", "/others", body, query=[(query, "")], signer=signer)[1] == expected, (query, body)


def test_whose_an_object_is(open_):
    for ownership, acl, owner in [
            ("ObjectWriter", "bucket-owner-full-control", "bob"), ("BucketOwnerPreferred", "bucket-owner-full-control", "alice"),
            ("BucketOwnerPreferred", "private", "bob"), ("BucketOwnerEnforced", "bucket-owner-full-control", "alice")]:
        bucket = f"{ownership}-{acl}".lower()
        open_.alice.create_bucket(Bucket=bucket, ObjectOwnership=ownership)
        open_.alice.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, "*", principal=open_.ids["bob"]))
        open_.bob.put_object(Bucket=bucket, Key="put", ACL=acl)
        open_.bob.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/put", ACL=acl)
        upload = open_.bob.create_multipart_upload(Bucket=bucket, Key="parts", ACL=acl)["UploadId"]
        shown = open_.alice.list_multipart_uploads(Bucket=bucket)["Uploads"][0]
        assert (shown["Initiator"]["ID"], shown["Owner"]["ID"]) == (open_.ids["bob"], open_.ids[owner])
        part = open_.bob.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
        open_.bob.complete_multipart_upload(
            Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        listed = open_.alice.list_objects_v2(Bucket=bucket, FetchOwner=True)["Contents"]
        assert {o["Key"]: o["Owner"]["ID"] for o in listed} == dict.fromkeys(["put", "copy", "parts"], open_.ids[owner])


def test_uploads_are_their_initiators(open_):
    open_.alice.create_bucket(Bucket="uploads", ACL="public-read-write")
    upload = open_.bob.create_multipart_upload(Bucket="uploads", Key="k")["UploadId"]
    named = dict(Bucket="uploads", Key="k", UploadId=upload)
    assert code(open_.carol.list_parts, **named) == "AccessDenied"
    assert code(open_.carol.abort_multipart_upload, **named) == "AccessDenied"
    assert open_.bob.list_parts(**named)["Initiator"]["ID"] == open_.ids["bob"]
    assert code(open_.alice.list_parts, **named) is None
    assert code(open_.bob.abort_multipart_upload, **named) is None


def test_enforcing_the_owner_takes_an_empty_list(open_):
    open_.alice.create_bucket(Bucket="enforcing", ACL="public-read")
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert code(open_.alice.put_bucket_ownership_controls, Bucket="enforcing", OwnershipControls=rules) \
        == "InvalidBucketAclWithObjectOwnership"
    open_.alice.put_bucket_acl(Bucket="enforcing", ACL="private")
    open_.alice.put_object(Bucket="enforcing", Key="k", Body=b"x", ACL="public-read")
    assert anonymous(open_, "GET", "/enforcing/k")[0] == 200
    open_.alice.put_bucket_ownership_controls(Bucket="enforcing", OwnershipControls=rules)
    assert anonymous(open_, "GET", "/enforcing/k")[0] == 403
    assert len(open_.alice.get_object_acl(Bucket="enforcing", Key="k")["Grants"]) == 1
    open_.alice.delete_bucket_ownership_controls(Bucket="enforcing")
    assert anonymous(open_, "GET", "/enforcing/k")[0] == 200


def test_a_wrong_signature_is_never_anonymous(open_):
    open_.alice.create_bucket(Bucket="wrongly")
    open_.alice.put_object(Bucket="wrongly", Key="k", Body=b"x", ACL="public-read")
    raw = Raw(open_.server)
    assert anonymous(open_, "GET", "/wrongly/k") == (200, b"x")
    assert raw.send("GET", "/wrongly/k", signer=Signer(open_.keys["alice"][0], "wrong"))[1] == "SignatureDoesNotMatch"
    assert raw.send("GET", "/wrongly/k", signer=Signer("NOBODY", "wrong"))[1] == "InvalidAccessKeyId"
    for path in ("/wrongly/k?X-Amz-Signature=00", "/wrongly/k?X-Amz-Credential=x", "/wrongly/k?AWSAccessKeyId=x"):
        assert anonymous(open_, "GET", path)[0] in (400, 403), path
    for text in ("", "Basic eDp5", "AWS4-HMAC-SHA256"):
        assert anonymous(open_, "GET", "/wrongly/k", headers={"Authorization": text})[0] in (400, 403), text


def test_an_unsigned_sdk_client(open_):
    open_.alice.create_bucket(Bucket="unsigned", ACL="public-read-write")
    s3 = open_.server.client(signature_version=UNSIGNED)
    s3.put_object(Bucket="unsigned", Key="k", Body=b"from nobody")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="unsigned")["Contents"]] == ["k"]
    assert code(s3.get_object, Bucket="unsigned", Key="k") == "AccessDenied", "nobody owns nothing"
    assert open_.alice.get_object(Bucket="unsigned", Key="k")["Body"].read() == b"from nobody"
    assert code(s3.list_buckets) == "AccessDenied"
    assert code(s3.create_bucket, Bucket="of-nobody") == "AccessDenied"
    assert s3.delete_object(Bucket="unsigned", Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_buckets_of_others(locked):
    locked.alice.create_bucket(Bucket="alices")
    locked.alice.put_object(Bucket="alices", Key="k", Body=b"x")
    assert code(locked.bob.create_bucket, Bucket="alices") == "BucketAlreadyExists"
    assert code(locked.alice.create_bucket, Bucket="alices") == "BucketAlreadyOwnedByYou"
    for call, more in [
            ("head_bucket", {}), ("list_objects_v2", {}), ("get_bucket_acl", {}), ("delete_bucket", {}), ("get_bucket_policy", {}),
            ("get_object", {"Key": "k"}), ("put_object", {"Key": "k"}), ("delete_object", {"Key": "k"}),
            ("get_object_tagging", {"Key": "k"}), ("create_multipart_upload", {"Key": "k"})]:
        assert code(getattr(locked.bob, call), Bucket="alices", **more) in ("AccessDenied", "403"), call
        if call != "delete_bucket":
            assert code(getattr(locked.root, call), Bucket="alices", **more) not in ("AccessDenied", "403"), call
    assert {b["Name"] for b in locked.root.list_buckets()["Buckets"]} >= {"alices"}
    assert "alices" not in [b["Name"] for b in locked.bob.list_buckets().get("Buckets", [])]


def test_a_user_with_policies_does_what_they_allow(locked):
    server = locked.server
    _, access, secret = server.user("limited")
    s3 = s3_client(server.endpoint, access, secret)
    s3.create_bucket(Bucket="limited-1")
    s3.put_object(Bucket="limited-1", Key="k", Body=b"x")
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::limited-1/*"},
        {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::limited-1/secret*"}]}
    put = subprocess.run(
        [BINARY, "user", "policy", "put", server.directory, "limited", "read", "-", "--json"], input=json.dumps(document),
        text=True, capture_output=True)
    assert put.returncode == 0, put.stderr
    locked.root.put_object(Bucket="limited-1", Key="secret", Body=b"x")
    assert s3.get_object(Bucket="limited-1", Key="k")["Body"].read() == b"x"
    assert code(s3.get_object, Bucket="limited-1", Key="secret") == "AccessDenied"
    assert code(s3.put_object, Bucket="limited-1", Key="k") == "AccessDenied"
    assert code(s3.create_bucket, Bucket="limited-2") == "AccessDenied"
    assert code(s3.list_buckets) == "AccessDenied"
    shown = holdfast("user", "policy", "show", server.directory, "limited", "read", check=0).stdout
    assert json.loads(shown) == document
    assert holdfast("user", "policy", "list", server.directory, "limited", check=0).stdout.split() == ["read"]
    holdfast("user", "policy", "delete", server.directory, "limited", "read", check=0)
    assert code(s3.put_object, Bucket="limited-1", Key="k") is None
    for arguments in (["show", server.directory, "limited", "read"], ["delete", server.directory, "limited", "read"],
                      ["list", server.directory, "nobody"]):
        assert holdfast("user", "policy", *arguments).returncode == 1
    bad = subprocess.run(
        [BINARY, "user", "policy", "put", server.directory, "limited", "bad"], input="{", text=True, capture_output=True)
    assert bad.returncode == 1 and "bad" in bad.stderr


def test_users_by_command(server):
    _, access, secret = server.user("dora", "--key-id", "DORASKEY", "--secret", "doras-secret")
    assert (access, secret) == ("DORASKEY", "doras-secret")
    for arguments, reason in [
            (["dora"], "already"), (["root"], "administrator"), (["a/b"], "letters"), (["eve", "--key-id", "EVESKEY"], "go together"),
            (["eve", "--key-id", "DORASKEY", "--secret", "12345678"], "already"),
            (["eve", "--key-id", "EVESKEY", "--secret", "short"], "shorter")]:
        done = server.command("user", "create", *arguments)
        assert done.returncode == 1 and reason in done.stderr, done.stderr
    dora = s3_client(server.endpoint, access, secret)
    dora.create_bucket(Bucket="doras")
    line = json.loads(server.command("user", "list", "--json", check=0).stdout)
    assert (line["name"], line["keys"], line["policies"]) == ("dora", ["DORASKEY"], [])
    refused = server.command("user", "delete", "dora")
    assert refused.returncode == 1 and "doras" in refused.stderr and "--force" in refused.stderr
    server.stop()
    assert server.command("user", "list", check=0).stdout.startswith("dora  dora  ")
    server.start()
    server.command("user", "delete", "dora", "--force", check=0)
    dora = s3_client(server.endpoint, access, secret)
    assert code(dora.list_buckets) == "InvalidAccessKeyId"
    assert server.client().list_buckets()["Buckets"][0]["Name"] == "doras"
    assert server.command("user", "delete", "dora").returncode == 1


def test_users_of_the_settings_file(tmp_path):
    directory = tmp_path / "store"
    directory.mkdir()
    user = {"name": "first", "display-name": "The First", "access-key": "FIRSTKEY", "secret-key": "first-secret"}
    keep_secret(directory / "holdfast.json", json.dumps({"users": [user], "buckets-start": "open"}))
    with Server(directory) as server:
        s3 = s3_client(server.endpoint, "FIRSTKEY", "first-secret")
        s3.create_bucket(Bucket="firsts")
        assert s3.get_bucket_acl(Bucket="firsts")["Owner"]["DisplayName"] == "The First"
        server.stop()
        server.start()
        assert code(s3_client(server.endpoint, "FIRSTKEY", "first-secret").head_bucket, Bucket="firsts") is None
        assert len(server.command("user", "list", "--json", check=0).stdout.splitlines()) == 1
        server.stop()
        (directory / "holdfast.json").write_text(json.dumps({"users": [{"name": "second"}]}))
        done = holdfast("serve", directory, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        assert done.returncode == 1 and "users" in done.stderr
