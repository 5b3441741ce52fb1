"""One server follows another on the same store, while clients that never try again keep asking."""

import array
import json
import os
import socket
import subprocess
import threading
import time

import boto3
from botocore.config import Config
from holdfast import ACCESS_KEY, BINARY, REGION, SECRET_KEY, server_environment


def spawn(server, *flags, binary=BINARY):
    """The process that is to follow, and nothing said of the server that runs."""
    with open(server.errors, "a") as errors:
        return subprocess.Popen(
            [str(binary), "serve", str(server.directory), "--takeover", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
             "--json", *server.flags, *flags], stdout=subprocess.PIPE, stderr=errors, text=True, env=server_environment())


def follow(server, *flags, binary=BINARY):
    """Puts another process in the place of the one that runs, which ends as it should."""
    new = spawn(server, *flags, binary=binary)
    line = new.stdout.readline()
    assert line, server.errors.read_text()
    ready = json.loads(line)
    assert ready["listen"].endswith(f":{server.port}") and f"http://{ready['admin']}" == server.admin
    old, server.process = server.process, new
    assert old.wait(60) == 0, server.errors.read_text()
    old.stdout.close()


def ask(server, **wishes):
    """Connects as a process that takes over does: the connection, what the server says, and the sockets it sends."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(server.directory / "state/takeover.sock"))
    connection.sendall(json.dumps({"takeover": 1, "release": "test", **wishes}).encode() + b"\n")
    return connection, *receive(connection)


def receive(connection):
    """What a message says, and the sockets that come with it."""
    data, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4 * 64))
    sockets = []
    for level, kind, content in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(content)
            sockets += numbers
    return data, sockets


class Kept:
    """A connection that its client keeps, and never makes anew."""

    def __init__(self, port, path="/_holdfast/health/live", host="localhost"):
        self.request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.read = self.socket.makefile("rb")

    def send(self, first=0, end=None):
        """The request, or a part of it."""
        self.socket.sendall(self.request[first:end])

    @property
    def is_read(self):
        """Whether a server has read all that was sent: proc_pid_net(5)."""
        (_, port), (_, server) = self.socket.getsockname(), self.socket.getpeername()
        lines = [line.split() for line in open("/proc/net/tcp")][1:]
        ends = {tuple(int(end.split(":")[1], 16) for end in line[1:3]): line[4].split(":") for line in lines}
        return int(ends[port, server][0], 16) == 0 and int(ends[server, port][1], 16) == 0

    def answer(self):
        """Whether the connection goes on after the next answer, which is good."""
        assert self.read.readline() == b"HTTP/1.1 200 OK\r\n"
        headers = dict(line.strip().lower().split(b": ", 1) for line in iter(self.read.readline, b"\r\n"))
        self.read.read(int(headers[b"content-length"]))
        return headers.get(b"connection") != b"close"

    def ping(self):
        self.send()
        return self.answer()

    def close(self):
        self.read.close()
        self.socket.close()


class Load:
    """Clients with pooled connections that they keep, and one that connects anew each time. None tries again: whatever
    fails is kept."""

    def __init__(self, server, clients=5, verify=None):
        self.server, self.verify = server, verify
        self.failures, self.stored, self.count = [], {}, 0
        self.longest = 0.0  # seconds that a step took, of a few requests each
        self.ends, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(n, n == 0)) for n in range(clients)]

    def client(self):
        return boto3.client(
            "s3", endpoint_url=self.server.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            region_name=REGION, verify=self.verify, config=Config(
                retries={"total_max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"}, read_timeout=60,
                tcp_keepalive=True))

    def work(self, number, connects_anew):
        s3 = self.client()
        step = 0
        while not self.ends.is_set():
            step += 1
            key = f"{number}/{step % 20}"
            body = os.urandom(200_000 if step % 7 == 0 else 500)
            start = time.monotonic()
            try:
                if connects_anew:
                    s3.close()
                    s3 = self.client()
                s3.put_object(Bucket="load", Key=key, Body=body)
                self.stored[key] = body
                assert s3.get_object(Bucket="load", Key=key)["Body"].read() == body
                if step % 5 == 0:
                    s3.list_objects_v2(Bucket="load", Prefix=f"{number}/")
            except Exception as error:
                self.failures.append(f"client {number}, step {step}: {error!r}")
            with self.lock:
                self.count += 1
                self.longest = max(self.longest, time.monotonic() - start)

    def __enter__(self):
        self.client().create_bucket(Bucket="load")
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self.threads)

    def check(self):
        """Nothing failed, and everything acknowledged is there."""
        assert self.failures == [], f"{len(self.failures)} of {self.count}: {self.failures[:5]}"
        s3 = self.client()
        for key, body in self.stored.items():
            assert s3.get_object(Bucket="load", Key=key)["Body"].read() == body, key
