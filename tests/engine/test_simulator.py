"""Random histories: whatever people, apps and crashes do, the invariants of the design hold."""

from collections import Counter

import pytest

from twoway.testing.simulator import history
from twoway.testing.soak import shrink

SEEDS = 10_000
CHUNK = 250
REPLAYED = 25
"""Of so many histories one is played twice."""


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_whatever_happens_the_invariants_hold(start: int) -> None:
    bad = {seed: found.violations for seed in range(start, start + CHUNK) if (found := history(seed)).violations}
    assert bad == {}


@pytest.mark.parametrize("start", range(0, SEEDS, 20 * REPLAYED))
def test_a_history_replays_exactly_from_its_seed(start: int) -> None:
    for seed in range(start, start + 20 * REPLAYED, REPLAYED):
        assert history(seed).trace == history(seed).trace, seed


def test_the_histories_are_worth_their_time() -> None:
    """Whatever may go wrong does in some of them, and each of them is long: else the checks would show nothing."""
    played = [history(seed) for seed in range(200)]
    tally: Counter[str] = sum((found.tally for found in played), Counter())
    assert tally["edits"] >= 20 * len(played)
    assert tally["faults"] >= 3 * len(played)
    lines = [line for found in played for line in found.trace]
    for what in (
        "dies",
        "LOST answer",
        "LOST half of the answer",
        "LOST on the way",
        "lands late",
        "SENT twice",
        "REFUSED one for now",
        "answers refused",
        "BUSY",
        "QuotaSpent",
        "AccountRefused",
        "out of reach",
        "EXPIRED cursor",
        "EMPTY listing",
        "SHORT listing",
        "ANOTHER PROCESS",
        "the lease is another's",
        "cycle record",
        "human merge",
        "human restore",
        "engine delete",
        "held:",
        "VERDICT",
        "RETRY",
        "UNDO of",
        "UNLINKS",
        "LINKS",
    ):
        assert any(what in line for line in lines), what


def test_what_is_left_out_of_a_history_changes_nothing_of_what_the_others_do() -> None:
    """A person's third edit is the same whether or not there was a second: else a history could not be shrunk."""
    whole, part = history(11), history(11, frozenset({"f1", "f2", "e20"}))
    assert part.tally["edits"] < whole.tally["edits"] + 1
    assert part.violations == []


def test_a_sound_history_shrinks_to_nothing_that_fails() -> None:
    without, violations = shrink(5)
    assert violations == []
    assert not without
