"""Fixtures of several tests of evaluation/."""

import json

import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.benchmarks.entry import DATA


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with a few of the embedded items."""
    folder = tmp_path_factory.mktemp("data")
    items = json.loads((DATA / "heldout_single.json").read_text())
    (folder / "heldout_single.json").write_text(json.dumps(items[::70]))
    return folder


@pytest.fixture(scope="session")
def tasks(data):
    """These items."""
    return BENCHMARKS["embedded"].tasks(data)
