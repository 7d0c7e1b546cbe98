"""Signals, as the operating system delivers them to this very process."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.daemon.fakes import run
from twoway.daemon.lifecycle import Ended, run_until_stopped


def _send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


async def _delivered() -> None:
    """Return when the loop has dealt with all the signals that were sent before: they keep their order."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, arrived.set)
    _send(signal.SIGUSR1)
    await arrived.wait()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_daemon_that_returns_has_finished() -> None:
    async def main(_stop: asyncio.Event) -> None:
        return

    assert run(run_until_stopped(main, deadline=1)) is Ended.FINISHED


def test_what_it_raises_is_raised() -> None:
    async def main(_stop: asyncio.Event) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        run(run_until_stopped(main, deadline=1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_it_to_stop_and_it_finishes_its_work(number: signal.Signals) -> None:
    told: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        _send(number)
        await stop.wait()
        await asyncio.sleep(0)
        told.append("finished its work")

    async def test() -> Ended:
        return await run_until_stopped(main, deadline=3600, on_stopping=lambda: told.append("stopping"))

    assert run(test()) is Ended.STOPPED
    assert told == ["stopping", "finished its work"]


def test_after_the_deadline_it_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def main(_stop: asyncio.Event) -> None:
        _send(signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    assert run(run_until_stopped(main, deadline=0)) is Ended.CUT_SHORT
    assert cancelled == [True]


def test_a_second_signal_stops_it_now() -> None:
    async def main(stop: asyncio.Event) -> None:
        _send(signal.SIGTERM)
        await stop.wait()
        _send(signal.SIGTERM)
        await asyncio.Event().wait()

    assert run(run_until_stopped(main, deadline=3600)) is Ended.CUT_SHORT


def test_what_it_raises_when_it_is_cancelled_is_not_lost() -> None:
    async def main(_stop: asyncio.Event) -> None:
        _send(signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError from None

    with pytest.raises(KeyError):
        run(run_until_stopped(main, deadline=0))


def test_a_third_signal_ends_a_process_that_hangs() -> None:
    program = """
import asyncio, os, signal
from twoway.daemon.lifecycle import run_until_stopped

async def main(stop):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        await asyncio.sleep(0)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            os.kill(os.getpid(), signal.SIGTERM)

asyncio.run(run_until_stopped(main, deadline=3600))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert ended.returncode == -signal.SIGTERM


def test_hangup_reloads_and_a_reload_that_fails_ends_nothing() -> None:
    reloads: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        for count in (1, 2):
            _send(signal.SIGHUP)
            await reached[count].wait()
        _send(signal.SIGTERM)
        await stop.wait()

    async def reload() -> None:
        reloads.append("asked")
        reached[len(reloads)].set()
        raise ValueError

    reached = {1: asyncio.Event(), 2: asyncio.Event()}
    assert run(run_until_stopped(main, deadline=3600, reload=reload)) is Ended.STOPPED
    assert reloads == ["asked", "asked"]


def test_hangups_during_a_reload_make_one_more() -> None:
    state = {"running": 0, "most": 0, "done": 0}
    second = asyncio.Event()

    async def main(_stop: asyncio.Event) -> None:
        _send(signal.SIGHUP)
        await second.wait()
        await _delivered()

    async def reload() -> None:
        state["running"] += 1
        state["most"] = max(state["most"], state["running"])
        if state["done"] == 0:
            for _ in range(3):
                _send(signal.SIGHUP)
                await _delivered()
        else:
            second.set()
        state["running"] -= 1
        state["done"] += 1

    assert run(run_until_stopped(main, deadline=3600, reload=reload)) is Ended.FINISHED
    assert state == {"running": 0, "most": 1, "done": 2}


def test_a_hangup_after_the_request_to_stop_reloads_nothing() -> None:
    reloads: list[str] = []

    async def main(stop: asyncio.Event) -> None:
        _send(signal.SIGTERM)
        await stop.wait()
        _send(signal.SIGHUP)
        await _delivered()
        await asyncio.sleep(0)

    async def reload() -> None:
        reloads.append("asked")

    assert run(run_until_stopped(main, deadline=3600, reload=reload)) is Ended.STOPPED
    assert reloads == []


def test_without_a_reload_a_hangup_is_survived() -> None:
    async def main(_stop: asyncio.Event) -> None:
        _send(signal.SIGHUP)
        await _delivered()

    assert run(run_until_stopped(main, deadline=1)) is Ended.FINISHED


def test_afterwards_the_signals_are_as_they_were() -> None:
    async def main(_stop: asyncio.Event) -> None:
        return

    async def test() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
        await run_until_stopped(main, deadline=1)
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before

    run(test())
