"""Fixtures: a server of the built binary on a directory of its own."""

import contextlib
import itertools
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from holdfast import BINARY, Server  # noqa: E402
from mounts import Mount  # noqa: E402
from wire import Wire  # noqa: E402

numbers = itertools.count(1)


def pytest_collection_modifyitems(items):
    """The soak first: it takes ten minutes, and the other files run beside it."""
    items.sort(key=lambda item: item.path.name != "test_soak.py")


@pytest.fixture
def server(tmp_path):
    """A server on an empty directory, for one test."""
    with Server(tmp_path / "store") as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server that the tests of one file share; each takes a bucket of its own."""
    with Server(tmp_path_factory.mktemp("shared") / "store") as server:
        yield server


@pytest.fixture
def bucket(shared):
    """A new bucket on the shared server."""
    name = f"bucket-{next(numbers)}"
    shared.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3(shared):
    return shared.client()


@pytest.fixture
def wire(shared):
    """A bare connection to the shared server."""
    with Wire(shared) as wire:
        yield wire


@pytest.fixture
def spawn():
    """Starts programs, and ends what is left of them when a test fails."""
    with contextlib.ExitStack() as stack:
        def start(*arguments, **options):
            process = subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, text=True, **options)
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process
        yield start


@pytest.fixture
def serve(spawn):
    """A server as a person starts it, with nothing of ours in the environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return lambda directory, *flags, **environment: spawn(
        "serve", directory, *flags, stderr=subprocess.PIPE, env={**clean, **environment})


@pytest.fixture
def mounted(tmp_path):
    """Makes mounts, and takes them away whatever happens."""
    with contextlib.ExitStack() as stack:
        def make(place, kind, megabytes):
            mount = Mount(place, kind, megabytes, tmp_path)
            stack.callback(subprocess.run, ["umount", "--lazy", place], stderr=subprocess.DEVNULL)
            return mount
        yield make
