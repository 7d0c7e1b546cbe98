"""Random histories: whatever people, apps and crashes do, the invariants of the design hold."""

import pytest

from twoway.testing.simulator import history

SEEDS = 300


@pytest.mark.parametrize("start", range(0, SEEDS, 25))
def test_whatever_happens_the_invariants_hold(start: int) -> None:
    bad = {seed: found.violations for seed in range(start, start + 25) if (found := history(seed)).violations}
    assert bad == {}


@pytest.mark.parametrize("seed", range(0, SEEDS, 30))
def test_a_history_replays_exactly_from_its_seed(seed: int) -> None:
    assert history(seed).trace == history(seed).trace


def test_the_histories_are_worth_their_time() -> None:
    """Among them are crashes, lost and late answers, merges and deletions: else the checks above would show nothing."""
    lines = [line for seed in range(60) for line in history(seed).trace]
    for what in ("CRASH", "LOST answer", "LOST on the way", "lands late", "human merge", "engine delete", "decides"):
        assert any(what in line for line in lines), what
