"""Faults planted by holdfast-inject, and what a check must make of them."""

import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from holdfast import BINARY, ROOT, wait_until

_sibling = pathlib.Path(BINARY).with_name("holdfast-inject")
INJECT = os.environ.get("HOLDFAST_INJECT", str(_sibling if _sibling.exists() else ROOT / ".build/release/holdfast-inject"))
BLOCK, INLINE = 65_536, 65_536
PART = 5 * 1024 * 1024


def inject(server, fault, *flags, check=0):
    """Plants a fault: what was done, one object for each file."""
    done = subprocess.run([INJECT, fault, str(server.directory), "--json", *map(str, flags)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == check, f"{fault} {flags}: {done.returncode} {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def place(item):
    """What a fault and its finding agree on: code, volume, path and, in the log, the event."""
    event = item.get("sequence", 0)
    if "evidence" in item:
        match = re.match(r"event (\d+):", item["evidence"])
        event = int(match[1]) if match and item["path"].startswith("log/") else 0
    # A segment that cannot be read is one finding, whichever event it was met at.
    if "segment" in item.get("name", item.get("class", "")) or not item["path"].startswith("log/"):
        event = 0
    return item["code"], item["volume"], item["path"], event


def places(items):
    return collections.Counter(map(place, items))


def wait_confirmed(server):
    """The completion verifier has looked at everything that was published: it mends nothing from here on."""
    def is_confirmed():
        events = server.log()
        published = [e["sequence"] for e in events if {"versionPublished", "partPublished"} & set(e["event"])
                     and not e["event"].get("versionPublished", {}).get("deleteMarker")]
        confirmed = [int(e["event"]["uploadsConfirmed"]["throughSequence"]) for e in events if "uploadsConfirmed" in e["event"]]
        return max(confirmed, default=0) >= max(published, default=0)
    wait_until(is_confirmed, what="confirmation of what was published")


def digests(server, *except_paths):
    """Every replica by its content, but those given as (volume, path)."""
    return {(n, str(p.relative_to(server.volume(n)))): hashlib.sha256(p.read_bytes()).hexdigest()
            for n in (1, 2, 3) for p in server.blobs(n)
            if (n, str(p.relative_to(server.volume(n)))) not in except_paths}


def slow_disk(tmp_path):
    """A library that makes a disk slow: slow_disk.c says how."""
    compiler = shutil.which("cc") or shutil.which("clang")
    if not compiler:
        pytest.skip("a C compiler makes the slow disk")
    library = tmp_path / "slow_disk.so"
    source = pathlib.Path(__file__).with_name("slow_disk.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
