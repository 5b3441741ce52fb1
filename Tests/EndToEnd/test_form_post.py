"""Files sent by a browser's form: by bare requests, and by Chromium."""

import contextlib
import hashlib
import http.server
import json
import shutil
import subprocess
import threading
import urllib.parse
import xml.etree.ElementTree

import pytest
from holdfast import Server
from wire import Wire

BOUNDARY = "----formdata-boundary"
LARGE = bytes(range(256)) * 8000


def multipart(fields, content, name="a.txt"):
    body = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items())
    return body + (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                   f"Content-Type: application/octet-stream\r\n\r\n").encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def post(server, bucket, fields, content=b"hello", name="a.txt", type=f"multipart/form-data; boundary={BOUNDARY}", wire=None):
    body = multipart(fields, content, name)
    with contextlib.ExitStack() as stack:
        wire = wire or stack.enter_context(Wire(server))
        wire.send(f"POST /{bucket} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Type: {type}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode())
        try:
            wire.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return wire.answer()


@pytest.mark.parametrize("content", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_what_boto3_presigns_is_taken(shared, s3, bucket, content):
    form = shared.client(signature_version="s3v4").generate_presigned_post(
        bucket, "in/${filename}", Fields={"Content-Type": "text/x", "x-amz-meta-a": "1", "success_action_status": "201"},
        Conditions=[{"Content-Type": "text/x"}, {"x-amz-meta-a": "1"}, {"success_action_status": "201"},
                    ["content-length-range", 0, 10_000_000]])
    assert form["url"] == f"{shared.endpoint}/{bucket}"
    answer = post(shared, bucket, form["fields"], content, "dir\\file.bin")
    assert answer.status == 201, answer
    told = xml.etree.ElementTree.fromstring(answer.body)
    etag = f'"{hashlib.md5(content).hexdigest()}"'
    assert (told.tag, told.findtext("Bucket"), told.findtext("Key"), told.findtext("ETag")) == (
        "PostResponse", bucket, "in/file.bin", etag)
    assert told.findtext("Location") == answer.headers["location"] == f"{shared.endpoint}/{bucket}/in/file.bin"
    got = s3.get_object(Bucket=bucket, Key="in/file.bin")
    assert got["Body"].read() == content and got["ContentType"] == "text/x" and got["Metadata"] == {"a": "1"}


@pytest.mark.parametrize("change, status, code", [
    (dict(content=b"x" * 11), 400, "EntityTooLarge"), (dict(content=LARGE), 400, "EntityTooLarge"),
    (dict(content=b"x"), 400, "EntityTooSmall"), (dict(fields={"key": "other"}), 403, "AccessDenied"),
    (dict(fields={"acl": "public-read"}), 403, "AccessDenied"),
    (dict(fields={"x-amz-signature": "0" * 64}), 403, "SignatureDoesNotMatch"),
    (dict(fields={"policy": "e30="}), 403, "SignatureDoesNotMatch"),
    (dict(fields={"x-ignore-large": "x" * 30_000}), 400, "MaxPostPreDataLengthExceeded"),
    (dict(type="application/x-www-form-urlencoded"), 412, "PreconditionFailed"),
    (dict(type="multipart/form-data"), 400, "MalformedPOSTRequest"),
    (dict(type="multipart/form-data; boundary=other"), 400, None),
])
def test_what_the_policy_does_not_allow_is_refused(shared, s3, bucket, change, status, code):
    form = shared.client(signature_version="s3v4").generate_presigned_post(
        bucket, "k", Conditions=[["content-length-range", 5, 10]])
    change = dict(change)
    fields = {**form["fields"], **change.pop("fields", {})}
    with Wire(shared) as wire:
        answer = post(shared, bucket, fields, wire=wire, **{"content": b"hello", **change})
        assert answer.status == status and code in (None, answer.code), answer
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
        # The connection goes on behind it.
        assert post(shared, bucket, form["fields"], wire=wire).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_an_anonymous_form_needs_somebody_to_allow_it(shared, s3, bucket):
    assert post(shared, bucket, {"key": "k"}).code == "AccessDenied"
    assert post(shared, "no-such-bucket", {"key": "k"}).code == "NoSuchBucket"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_policy_that_has_expired(shared, bucket):
    form = shared.client(signature_version="s3v4").generate_presigned_post(bucket, "k", ExpiresIn=-1)
    answer = post(shared, bucket, form["fields"])
    assert answer.status == 403 and b"Invalid according to Policy: Policy expired." in answer.body


def test_a_form_that_is_cut_off_is_not_published(shared, s3, bucket):
    form = shared.client(signature_version="s3v4").generate_presigned_post(bucket, "k")
    body = multipart(form["fields"], LARGE)[:-10]
    with Wire(shared) as wire:
        wire.send(f"POST /{bucket} HTTP/1.1\r\nHost: {wire.host}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert wire.answer().code == "MalformedPOSTRequest"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket) and not shared.incoming()


def test_old_signatures(shared, bucket, tmp_path):
    with Server(tmp_path / "store", "--set", "signature-v2=on") as old:
        client = old.client(signature_version="s3")
        client.create_bucket(Bucket="bucket")
        form = client.generate_presigned_post("bucket", "k")
        assert "AWSAccessKeyId" in form["fields"]
        assert post(old, "bucket", form["fields"]).status == 204
        assert client.get_object(Bucket="bucket", Key="k")["Body"].read() == b"hello"
        assert post(old, "bucket", {**form["fields"], "signature": "AAAA"}).code == "SignatureDoesNotMatch"
    refused = post(shared, bucket, form["fields"])
    assert refused.code == "InvalidRequest" and b"AWS4-HMAC-SHA256" in refused.body


# A real browser


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves the pages that a test lays out, and keeps what is asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.pages.get(urllib.parse.urlsplit(self.path).path, "").encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def pages():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.pages, server.asked = {}, []
    server.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def browse(tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed")

    def browse(url):
        """The page as it stands when its scripts are done."""
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             f"--user-data-dir={tmp_path}/chromium", "--virtual-time-budget=20000", "--dump-dom", url],
            capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return browse


def test_a_browser_posts_a_form_and_is_sent_on(shared, s3, bucket, pages, browse):
    done = pages.origin + "/done"
    form = shared.client(signature_version="s3v4").generate_presigned_post(
        bucket, "from/${filename}", Fields={"success_action_redirect": done, "Content-Type": "text/plain"},
        Conditions=[{"success_action_redirect": done}, ["starts-with", "$Content-Type", "text/"]])
    inputs = "".join(f'<input type="hidden" name="{n}" value="{v}">' for n, v in form["fields"].items())
    pages.pages["/"] = f"""<form id=f action="{form['url']}" method=post enctype=multipart/form-data>{inputs}
        <input id=file type=file name=file></form><script>
        const files = new DataTransfer();
        files.items.add(new File(["from a bröwser"], 'a "quoted" ö.txt', {{type: "text/plain"}}));
        document.getElementById("file").files = files.files;
        document.getElementById("f").submit();</script>"""
    pages.pages["/done"] = "<p>it is done</p>"
    assert "it is done" in browse(pages.origin + "/")
    query = dict(urllib.parse.parse_qsl(next(p for p in pages.asked if p.startswith("/done")).partition("?")[2]))
    key = 'from/a "quoted" ö.txt'
    assert query["bucket"] == bucket and query["key"] == key
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read().decode() == "from a bröwser" and got["ETag"] == query["etag"]


def test_a_page_of_another_origin_reads_and_writes_by_cors(shared, s3, bucket, pages, browse):
    client = shared.client(signature_version="s3v4")
    put = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k", "ContentType": "text/x"})
    get = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    pages.pages["/"] = f"""<p id=out>nothing</p><script>
        async function work() {{
            const put = await fetch({json.dumps(put)}, {{method: "PUT", body: "across", headers: {{"Content-Type": "text/x"}}}});
            const get = await fetch({json.dumps(get)});
            return [put.status, put.headers.get("etag"), await get.text()].join(" ");
        }}
        work().then(t => out.textContent = "done " + t, e => out.textContent = "failed " + e);</script>"""
    assert "failed TypeError" in browse(pages.origin + "/"), "nothing allows it yet"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [
        {"AllowedOrigins": [pages.origin], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"]}]})
    assert f'done 200 "{hashlib.md5(b"across").hexdigest()}" across' in browse(pages.origin + "/").replace("&quot;", '"')
