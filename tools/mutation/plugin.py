"""What pytest does otherwise where it judges a mutant: the cheapest tests first, and nothing that outlives a mutant.

mutmut loads the tests once, and forks a process for each mutant from there: what was computed while they were loaded
is as the code was before it was mutated.
"""

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings

TOO_SLOW: Final = frozenset({"test_two_fields_are_decided_each_for_itself"})
"""Tests that are left out: they would take minutes a mutant, and can but kill more."""

settings.register_profile(
    "mutants",
    database=None,
    deadline=None,
    # The same examples for each mutant and in every run: what survives does so always.
    derandomize=True,
    # That a test fails is all that is asked: nobody reads the smallest case.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=tuple(HealthCheck),
)
settings.load_profile("mutants")


def pytest_sessionstart() -> None:
    """Forget what the code before its mutation has answered."""
    for name, module in list(sys.modules.items()):
        if name.startswith("twoway.core"):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@cache
def _durations() -> Mapping[str, float]:
    """Seconds by test, as mutmut measured them on the unharmed code; none while it does."""
    stats = Path("mutmut-stats.json")
    return json.loads(stats.read_text())["duration_by_test"] if stats.is_file() else {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The first failure kills a mutant: the tests that cost least come first."""
    durations = _durations()
    kept = [item for item in items if getattr(item, "originalname", item.name) not in TOO_SLOW]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = sorted(kept, key=lambda item: durations.get(item.nodeid, 0.0))
