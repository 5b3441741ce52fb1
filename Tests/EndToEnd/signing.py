"""Signature V4, written for tests: what an SDK would not send must be signed too."""

import datetime
import hashlib
import hmac
import http.client
import urllib.parse
import xml.etree.ElementTree

from holdfast import ACCESS_KEY, REGION, SECRET_KEY


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class Signer:
    def __init__(self, access=ACCESS_KEY, secret=SECRET_KEY, region=REGION, service="s3", time=None):
        self.access, self.region, self.service = access, region, service
        self.time = (time or now()).strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.time[:8]}/{region}/{service}/aws4_request"
        key = b"AWS4" + secret.encode()
        for text in (self.time[:8], region, service, "aws4_request"):
            key = _hmac(key, text)
        self.key = key

    def sign(self, method, path, query, headers, payload):
        """The `Authorization` header; `headers` are all signed."""
        lower = {name.lower(): str(value).strip() for name, value in headers.items()}
        names = sorted(lower)
        items = sorted((urllib.parse.quote(k, safe="-._~"), urllib.parse.quote(v, safe="-._~")) for k, v in query)
        request = "\n".join([
            method, urllib.parse.quote(path, safe="/-._~"), "&".join(f"{k}={v}" for k, v in items),
            "".join(f"{n}:{lower[n]}\n" for n in names), ";".join(names), payload])
        text = f"AWS4-HMAC-SHA256\n{self.time}\n{self.scope}\n{sha256(request.encode())}"
        self.signature = _hmac(self.key, text).hex()
        return (f"AWS4-HMAC-SHA256 Credential={self.access}/{self.scope}, SignedHeaders={';'.join(names)}, "
                f"Signature={self.signature}")

    def chunk(self, data):
        """A chunk of a signed `aws-chunked` body."""
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", self.time, self.scope, self.signature, sha256(b""), sha256(data)])
        self.signature = _hmac(self.key, text).hex()
        return f"{len(data):x};chunk-signature={self.signature}\r\n".encode() + data + (b"\r\n" if data else b"")

    def trailer(self, line):
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", self.time, self.scope, self.signature, sha256(line.encode() + b"\n")])
        return f"{line}\r\nx-amz-trailer-signature:{_hmac(self.key, text).hex()}\r\n\r\n".encode()


class Raw:
    """One connection, whose requests are signed and otherwise go out as they are."""

    def __init__(self, server):
        self.host = f"127.0.0.1:{server.port}"
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def send(self, method, path, body=b"", headers=None, query=(), signer=None, payload=None, framed=None):
        """Returns status, S3 error code and body. `framed` is called with the signer and makes the body."""
        signer = signer or Signer()
        payload = payload or sha256(body)
        sent = {"Host": self.host, "x-amz-date": signer.time, "x-amz-content-sha256": payload, **(headers or {})}
        sent["Authorization"] = signer.sign(method, path, query, sent, payload)
        if framed:
            body = framed(signer)
        target = urllib.parse.quote(path, safe="/-._~") + ("?" + urllib.parse.urlencode(query) if query else "")
        self.connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            self.connection.putheader(name, value)
        if "Content-Length" not in sent and "Transfer-Encoding" not in sent:
            self.connection.putheader("Content-Length", str(len(body)))
        self.connection.endheaders(body)
        return self.answer()

    def answer(self):
        response = self.connection.getresponse()
        body = response.read()
        code = ""
        if response.status >= 300 and body:
            code = xml.etree.ElementTree.fromstring(body).findtext("Code")
        return response.status, code, body
