"""Fixtures: a server of the built binary on a directory of its own."""

import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from holdfast import Server  # noqa: E402

numbers = itertools.count(1)


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
