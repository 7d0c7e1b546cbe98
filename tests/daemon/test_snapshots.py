"""Which cycles list everything, and when a snapshot counts as stalled."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.daemon.scheduler import PairSchedule, Reading
from twoway.daemon.snapshots import PAUSE, Snapshots

_NIGHTLY = PairSchedule(pair="p", every_seconds=120, snapshot_cron="0 3 * * *")
_SPREAD = PairSchedule(pair="p", every_seconds=120, snapshot_cron="0 3 * * *", jitter=600)
_NEVER = PairSchedule(pair="p", every_seconds=120)
_CHANGES, _SNAPSHOT = Reading.CHANGES, Reading.SNAPSHOT


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("schedule", "reading", "taken", "now", "wanted"),
    [
        pytest.param(_NIGHTLY, _CHANGES, "02 03:04", "02 23:00", False, id="last night's succeeded"),
        pytest.param(_NIGHTLY, _CHANGES, "01 03:04", "02 23:00", True, id="last night's failed or was missed"),
        pytest.param(_NIGHTLY, _CHANGES, "02 22:00", "02 23:00", False, id="last night's was made up for"),
        pytest.param(_NIGHTLY, _CHANGES, "01 03:04", "02 03:00", False, id="due now: it has its own turn first"),
        pytest.param(_NIGHTLY, _CHANGES, "01 03:04", "02 03:01", True, id="its own turn is over"),
        pytest.param(_SPREAD, _CHANGES, "01 03:04", "02 03:10", False, id="its turn may be late by its jitter"),
        pytest.param(_SPREAD, _CHANGES, "01 03:04", "02 03:11", True, id="its jitter is over"),
        pytest.param(_NIGHTLY, _CHANGES, None, "02 23:00", False, id="never listed: each cycle lists everything"),
        pytest.param(_NEVER, _CHANGES, "01 03:04", "02 23:00", False, id="no snapshots are asked for"),
        pytest.param(_NIGHTLY, _SNAPSHOT, "01 03:04", "02 03:00", True, id="the night's own"),
        pytest.param(_NIGHTLY, _SNAPSHOT, "02 03:05", "02 03:06", False, id="it was made up for while it waited"),
        pytest.param(_NIGHTLY, _SNAPSHOT, None, "02 03:00", True, id="the first"),
    ],
)
def test_which_cycle_is_a_snapshot(
    schedule: PairSchedule, reading: Reading, taken: str | None, now: str, wanted: bool
) -> None:
    assert Snapshots().wanted(schedule, reading, None if taken is None else _ms(taken), _ms(now)) == wanted


def test_between_two_tries_is_a_pause() -> None:
    snapshots, taken, now = Snapshots(), _ms("01 03:04"), _ms("02 09:00")
    snapshots.tried("p", now)
    assert not snapshots.wanted(_NIGHTLY, _CHANGES, taken, now + PAUSE - 1)
    assert snapshots.wanted(_NIGHTLY, _CHANGES, taken, now + PAUSE)
    assert snapshots.wanted(_NIGHTLY, _SNAPSHOT, taken, now + 1), "a time on schedule needs no pause"
    snapshots.shift(-PAUSE)
    assert snapshots.wanted(_NIGHTLY, _CHANGES, taken, now)
    snapshots.tried("p", now)
    snapshots.forget("p")
    assert snapshots.wanted(_NIGHTLY, _CHANGES, taken, now + 1)


@given(minutes=st.integers(0, 60 * 24 * 7), every=st.integers(1, 90))
def test_an_app_that_never_lists_is_asked_at_most_once_a_pause(minutes: int, every: int) -> None:
    snapshots, taken, tries = Snapshots(), _ms("01 03:04"), list[int]()
    for now in range(taken, taken + minutes * 60_000, every * 60_000):
        if snapshots.wanted(_NIGHTLY, _CHANGES, taken, now):
            tries.append(now)
            snapshots.tried("p", now)
    assert all(later - earlier >= PAUSE for earlier, later in pairwise(tries))
    overdue = taken + minutes * 60_000 - _ms("02 03:01")
    assert len(tries) >= overdue // (PAUSE + every * 60_000)


@pytest.mark.parametrize(
    ("schedule", "taken", "now", "tried", "stalled"),
    [
        pytest.param(_NIGHTLY, "01 03:04", "03 12:00", True, False, id="two in a row"),
        pytest.param(_NIGHTLY, "01 03:04", "04 03:02", True, True, id="three in a row"),
        pytest.param(_NIGHTLY, "01 03:04", "09 12:00", False, False, id="the daemon was down, and has its try first"),
        pytest.param(_NIGHTLY, None, "09 12:00", True, False, id="never listed: then no cycle succeeds at all"),
        pytest.param(_NEVER, "01 03:04", "09 12:00", True, False, id="no snapshots are asked for"),
    ],
)
def test_a_snapshot_is_stalled_after_three_in_a_row(
    schedule: PairSchedule, taken: str | None, now: str, tried: bool, stalled: bool
) -> None:
    snapshots, at = Snapshots(), None if taken is None else _ms(taken)
    if tried:
        snapshots.tried("p", _ms(now) - 1)
    found = snapshots.stalled(schedule, at, _ms(now), 3)
    assert (found is not None) == stalled
    if found is not None:
        assert found.since == at
