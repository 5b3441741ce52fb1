"""A server on a directory of its own, and loads of `holdfast-bench` on it: what the scripts beside this one share."""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
# At the peak any p99 is the length of a queue.
PART_OF_PEAK = 1 / 3
CREDENTIALS = {"HOLDFAST_ROOT_ACCESS_KEY": "bench", "HOLDFAST_ROOT_SECRET_KEY": "bench-secret-bench-secret"}


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--server", default=ROOT / ".build/release/holdfast", help="the holdfast to measure")
    parser.add_argument("--bench", default=ROOT / ".build/release/holdfast-bench", help="the load generator")
    parser.add_argument("--directory", default="/var/tmp", help="on the disk to measure; what is made in it is removed")
    parser.add_argument("--apart", action="store_true",
                        help="the server has one half of the processors to itself, the load generator the other")
    return parser


class Stage:
    """A new store, served while the context is open."""

    def __init__(self, options, *flags, settings=None):
        """`settings` are called with the directory of it all, and give what stands in the store's file of settings."""
        self.options = options
        self.flags = flags
        self.settings = settings

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=self.options.directory))
        self.store = self.directory / "store"
        self.process = None
        try:
            if self.settings:
                self.store.mkdir()
                (self.store / "holdfast.json").write_text(json.dumps(self.settings(self.directory)))
            self.start()
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory)

    def start(self):
        self.process = subprocess.Popen(
            [self.options.server, "serve", self.store, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json", *self.flags],
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **CREDENTIALS), preexec_fn=self.confined(0))
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the server did not start")
        ready = json.loads(line)
        self.endpoint, self.admin = ready["listen"], f"http://{ready['admin']}"

    def stop(self):
        process, self.process = self.process, None
        if process:
            process.send_signal(signal.SIGTERM)
            if process.wait(120):
                raise SystemExit(f"the server ended with {process.returncode}")

    def command(self, *words):
        """A command of holdfast on the store; its lines of JSON, if it was asked for them, and how long it took."""
        started = time.monotonic()
        done = subprocess.run([self.options.server, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{words}: {done.returncode} {done.stdout}{done.stderr}")
        lines = [json.loads(line) for line in done.stdout.splitlines()] if "--json" in words else []
        return lines, time.monotonic() - started

    def ask(self, command, timeout=None):
        """A command sent to the server as `holdfast` sends it, without a process for it: starting one takes 15 ms of a processor,
        which requests of 1 ms feel more than most of what is asked for. Waits until it has ended."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(self.store / "state/holdfast.sock"))
            connection.sendall(json.dumps(command).encode() + b"\n")
            for line in connection.makefile():
                message = json.loads(line)
                if "failure" in message:
                    raise SystemExit(f"{command}: {message['failure']}")
                if "exit" in message:
                    if message["exit"]:
                        raise SystemExit(f"{command}: {message['exit']}")
                    return
        raise SystemExit(f"{command}: the server ended first")

    def load_command(self, operation, *flags):
        return [str(word) for word in (self.options.bench, "load", "--endpoint", self.endpoint, "--operation", operation,
                                       "--server-pid", self.process.pid, "--json", *flags)]

    def confined(self, half):
        """What a process is to do first, to have one half of the processors: the server has the first, the generator the second."""
        if not getattr(self.options, "apart", False):
            return None
        processors = sorted(os.sched_getaffinity(0))
        middle = len(processors) // 2
        mine = processors[:middle] if half == 0 else processors[middle:]
        return lambda: os.sched_setaffinity(0, mine)

    def run_load(self, operation, *flags):
        return subprocess.run(self.load_command(operation, *flags), capture_output=True, text=True,
                              env=dict(os.environ, **CREDENTIALS), preexec_fn=self.confined(1))

    def load(self, operation, *flags):
        done = self.run_load(operation, *flags)
        if done.returncode:
            raise SystemExit(f"load {operation} {flags}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def metrics(self):
        """Samples without labels, by name."""
        text = urllib.request.urlopen(f"{self.admin}/metrics").read().decode()
        rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
        return {row[0]: float(row[1]) for row in rows if len(row) == 2 and "{" not in row[0]}

    def wait_confirmed(self):
        """Until what was uploaded is read back: who comes at once has that beside it."""
        while self.metrics()["holdfast_unconfirmed_seconds"]:
            time.sleep(0.2)

    def histogram(self, name):
        """How many samples are at most so long, by seconds; the last is of all."""
        text = urllib.request.urlopen(f"{self.admin}/metrics").read().decode()
        rows = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)', text, re.MULTILINE)
        return [(float(bound), float(count)) for bound, count in rows]

    def peak_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the server's process has no VmHWM")

    def drop_cache(self):
        """The next read of the store's files is from the disk."""
        os.sync()
        for path in self.store.rglob("*"):
            if path.is_file():
                file = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)


def median(numbers):
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def bounds(numbers):
    """Of the median: no narrower ones hold it with a probability of 0.95."""
    ordered, count = sorted(numbers), len(numbers)
    outside, rank = 2 * 0.5 ** count, 0
    while rank < (count - 1) // 2 and outside + 2 * math.comb(count, rank + 1) * 0.5 ** count <= 0.05:
        rank += 1
        outside += 2 * math.comb(count, rank) * 0.5 ** count
    return ordered[rank], ordered[-1 - rank]
