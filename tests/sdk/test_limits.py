"""The rate limiter, under a virtual clock."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.virtual import VirtualClock

from twoway.ports import Limiter
from twoway.sdk import RateLimiter, TryLater


def turns(limiter: RateLimiter, clock: VirtualClock, count: int) -> list[tuple[int, int]]:
    """(who, when) of `count` waiters that ask at once, in the order in which they went."""
    went: list[tuple[int, int]] = []

    async def one(who: int) -> None:
        await limiter.turn()
        went.append((who, clock.now()))

    async def go() -> None:
        await asyncio.gather(*(one(who) for who in range(count)))

    asyncio.run(go())
    return went


def test_it_is_the_port() -> None:
    limiter: Limiter = RateLimiter(VirtualClock(), 1)
    assert limiter is not None


@given(
    rate=st.floats(0.5, 200),
    burst=st.integers(1, 10),
    count=st.integers(1, 60),
)
def test_no_window_holds_more_than_allowed_and_none_waits_for_nothing(rate: float, burst: int, count: int) -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, rate, burst)
    went = turns(limiter, clock, count)
    assert [who for who, _ in went] == list(range(count))  # fair: first come, first served
    times = [at for _, at in went]
    start = times[0]
    for first in range(count):
        for last in range(first, count):
            # A millisecond's rounding may not let in one more than the algorithm's bound.
            assert last - first + 1 <= burst + (times[last] - times[first] + 1) * rate / 1000
    ideal = max(0, count - burst) * 1000 / rate
    assert times[-1] - start <= ideal + count  # each wait is rounded up to the clock's millisecond


def test_a_block_that_comes_while_one_waits_is_noticed() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 1)

    async def go() -> int:
        await limiter.turn()
        limiter.block(30)
        await limiter.turn()
        return clock.now()

    start = clock.now()
    assert asyncio.run(go()) - start == 30_000


def test_a_block_during_the_sleep_is_waited_out_too() -> None:
    class Interrupting(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.slept) == 1:
                limiter.block(10)

    clock = Interrupting()
    limiter = RateLimiter(clock, 1)
    start = clock.now()
    assert [at - start for _, at in turns(limiter, clock, 2)] == [0, 11_000]


def test_a_shorter_block_does_not_end_a_longer_one() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 1)
    limiter.block(20)
    limiter.block(5)
    assert limiter.blocked_for == 20
    start = clock.now()
    assert turns(limiter, clock, 1)[0][1] - start == 20_000


def test_a_long_block_is_not_waited_for() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 1, name="crm", patience=60)
    limiter.block(600)
    with pytest.raises(TryLater, match="crm") as caught:
        turns(limiter, clock, 1)
    assert caught.value.after == 600
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("what", "hint", "gaps"),
    [
        ("plenty is left: no change", (100, 50, 10.0), [100, 100]),
        ("a fifth is left: no change", (100, 20, 10.0), [100, 100]),
        ("less is left: spread over the window", (100, 5, 10.0), [2000, 2000]),
        ("nothing is left: wait for the new window", (100, 0, 10.0), [10_000, 100]),
        ("headers that tell too little change nothing", (100, None, 10.0), [100, 100]),
        ("a window that has just ended changes nothing", (100, 1, 0.0), [100, 100]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_slows_down_for_what_the_app_tells(what: str, hint: tuple[int, int | None, float], gaps: list[int]) -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 10)
    limiter.learn(limit=hint[0], remaining=hint[1], reset=hint[2])
    start = clock.now()
    times = [start, *(at for _, at in turns(limiter, clock, 3))]
    first, *rest = [later - earlier for earlier, later in pairwise(times)]
    assert [first, *rest] == ([gaps[0], gaps[1], gaps[1]] if hint[1] == 0 else [0, *gaps]), what


def test_there_is_no_burst_while_little_is_left() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 10, burst=5)
    limiter.learn(limit=100, remaining=5, reset=10.0)
    start = clock.now()
    assert [at - start for _, at in turns(limiter, clock, 3)] == [0, 2000, 4000]


def test_the_pace_is_normal_again_when_the_window_starts_anew() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 10)
    limiter.learn(limit=100, remaining=5, reset=10.0)
    clock.at += 10_000
    start = clock.now()
    assert [at - start for _, at in turns(limiter, clock, 3)] == [0, 100, 200]


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_limit_that_allows_nothing_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate above 0"):
        RateLimiter(VirtualClock(), rate, burst)


def test_a_clock_that_is_put_back_holds_nobody_up() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(clock, 1)

    async def go() -> None:
        await limiter.turn()
        clock.at -= 3_600_000
        await limiter.turn()
        limiter.block(10)
        clock.at -= 3_600_000
        assert limiter.blocked_for == 10
        await limiter.turn()

    asyncio.run(go())
    assert clock.slept == [1, 10]
