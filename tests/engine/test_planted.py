"""Deliberate faults: the invariants of the simulator see each of them, and nothing where there is none."""

import pytest

from twoway.testing.planted import catch, faults, sound

NAMES = [fault.name for fault in faults()]
MOST = 2_000


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_fault_is_caught_by_its_invariant(name: str) -> None:
    caught = catch(name, MOST)
    assert caught.histories is not None, f"not caught; what was violated besides: {caught.others}"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_histories_violate_nothing_without_it(name: str) -> None:
    assert sound(name, 10) == set()


def test_there_are_many_and_each_has_its_own_name() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 50
