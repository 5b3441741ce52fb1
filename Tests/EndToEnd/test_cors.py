"""Cross-origin rules, as boto3 sets them and browsers ask for them."""

import pytest
from botocore.exceptions import ClientError
from wire import Wire

RULES = {"CORSRules": [
    {"ID": "one", "AllowedOrigins": ["http://*.example.com"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-amz-*"],
     "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}]}


@pytest.fixture
def wire(shared):
    with Wire(shared) as wire:
        yield wire


def ask(wire, path, **headers):
    names = {"origin": "Origin", "method": "Access-Control-Request-Method", "headers": "Access-Control-Request-Headers"}
    lines = "".join(f"{names[n]}: {v}\r\n" for n, v in headers.items())
    wire.send(f"OPTIONS {path} HTTP/1.1\r\nHost: {wire.host}\r\n{lines}\r\n".encode())
    return wire.answer()


def test_a_configuration_is_kept_and_removed(s3, bucket):
    with pytest.raises(ClientError) as error:
        s3.get_bucket_cors(Bucket=bucket)
    assert error.value.response["Error"]["Code"] == "NoSuchCORSConfiguration"
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == RULES["CORSRules"]
    s3.delete_bucket_cors(Bucket=bucket)
    s3.delete_bucket_cors(Bucket=bucket)
    with pytest.raises(ClientError):
        s3.get_bucket_cors(Bucket=bucket)


@pytest.mark.parametrize("rule, code", [
    (dict(AllowedMethods=["PATCH"], AllowedOrigins=["*"]), "InvalidRequest"),
    (dict(AllowedMethods=["GET"], AllowedOrigins=["*.*"]), "InvalidRequest"),
    (dict(AllowedMethods=["GET"], AllowedOrigins=[]), "MalformedXML"),
    (dict(AllowedMethods=["GET"], AllowedOrigins=["*"], ExposeHeaders=["*"]), "InvalidRequest"),
])
def test_a_bad_rule_is_refused(s3, bucket, rule, code):
    with pytest.raises(ClientError) as error:
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert error.value.response["Error"]["Code"] == code


def test_a_preflight_needs_no_signature(wire, s3, bucket):
    refused = ask(wire, f"/{bucket}/k", origin="http://a.example.com", method="PUT")
    assert (refused.status, refused.code) == (403, "AccessForbidden")
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    for path in (f"/{bucket}/k", f"/{bucket}", f"/{bucket}/k?uploads"):
        allowed = ask(wire, path, origin="http://a.example.com", method="PUT", headers="X-Amz-Date, x-amz-content-sha256")
        assert allowed.status == 200 and allowed.body == b"", allowed
        assert allowed.headers["access-control-allow-origin"] == "http://a.example.com"
        assert allowed.headers["access-control-allow-methods"] == "GET, PUT"
        assert allowed.headers["access-control-allow-headers"] == "x-amz-date, x-amz-content-sha256"
        assert allowed.headers["access-control-max-age"] == "60"
        assert "Origin" in allowed.headers["vary"]
    assert ask(wire, f"/{bucket}/k", origin="http://a.example.com", method="PUT", headers="range").status == 403
    assert ask(wire, f"/{bucket}/k", origin="http://other", method="PUT").status == 403
    assert ask(wire, f"/{bucket}/k", origin="http://other").code == "BadRequest"
    assert ask(wire, f"/{bucket}/k", method="PUT").code == "BadRequest"
    assert ask(wire, "/no-such-bucket/k", origin="http://a", method="PUT").status == 403
    s3.delete_bucket_cors(Bucket=bucket)
    assert ask(wire, f"/{bucket}/k", origin="http://a.example.com", method="PUT").status == 403


def test_answers_and_errors_are_shared_with_the_origin(wire, s3, bucket):
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for path, status in ((f"/{bucket}/k", 200), (f"/{bucket}/none", 404)):
        wire.send(wire.request("GET", path, headers={"Origin": "http://a.example.com"}))
        answer = wire.answer()
        assert answer.status == status and answer.headers["access-control-allow-origin"] == "http://a.example.com"
        assert answer.headers["access-control-expose-headers"] == "ETag"
        wire.send(wire.request("GET", path))
        assert "access-control-allow-origin" not in wire.answer().headers
    wire.send(wire.request("HEAD", f"/{bucket}/k", headers={"Origin": "http://other"}))
    assert wire.answer("HEAD").headers["access-control-allow-origin"] == "*"
