"""The peer that people know: both programs do the same work between the same two books, and twoway asks for little."""

from pathlib import Path

import pytest
from benchmarks.vs_vdirsyncer import cases
from benchmarks.vs_vdirsyncer.cases import Told

CARDS = 60


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run of all contenders; it raises where one of them leaves the books other than they should be."""
    return cases.run(tmp_path_factory.mktemp("vs"), "memory", CARDS)
