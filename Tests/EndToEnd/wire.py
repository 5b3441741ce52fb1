"""A bare socket: requests as bytes, answers taken apart one by one."""

import socket
import urllib.parse

from signing import Signer, sha256


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self):
        start, end = self.body.find(b"<Code>"), self.body.find(b"</Code>")
        return self.body[start + 6:end].decode() if start >= 0 else ""

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]!r}"


class Wire:
    """One connection. Whatever the server does not answer in time fails the test and does not hang it."""

    def __init__(self, server, timeout=20):
        self.host = f"127.0.0.1:{server.port}"
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        piece = self.socket.recv(65536)
        self.buffer += piece
        return bool(piece)

    def closed(self):
        """Whether the server closes the connection and says nothing more."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            pass
        return self.buffer == b""

    def answer(self, method="GET"):
        """The next answer; `None` if the connection ends instead."""
        while b"\r\n\r\n" not in self.buffer:
            try:
                if not self.fill():
                    assert not self.buffer, self.buffer
                    return None
            except ConnectionResetError:
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        assert lines[0].startswith("HTTP/1.1 "), lines[0]
        status = int(lines[0].split()[1])
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = 0 if method == "HEAD" or status in (100, 204, 304) else int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            assert self.fill(), "the body is cut off"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def request(self, method, path, body=b"", query=(), headers=None, signer=None, payload=None, length=None):
        """The bytes of a signed request. `length` is announced in place of the body's own; `signer` makes the signer,
        whose time is the moment at which it is made."""
        signer = (signer or Signer)()
        payload = payload or sha256(body)
        sent = {"Host": self.host, "x-amz-date": signer.time, "x-amz-content-sha256": payload, **(headers or {})}
        authorization = signer.sign(method, path, query, sent, payload)
        target = urllib.parse.quote(path, safe="/-._~") + ("?" + urllib.parse.urlencode(query) if query else "")
        lines = [f"{method} {target} HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items()),
                 f"Authorization: {authorization}", f"Content-Length: {len(body) if length is None else length}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
