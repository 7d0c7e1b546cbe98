"""The messages to systemd, received on a real socket."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.daemon.fakes import HandClock, run
from twoway.daemon.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and the address by which NOTIFY_SOCKET names it."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as received:
        if request.param == "path":
            address = str(tmp_path / "notify")
            received.bind(address)
        else:
            name = f"twoway-test-{os.getpid()}-{tmp_path.name}"
            address = f"@{name}"
            received.bind(f"\0{name}")
        received.setblocking(False)
        yield received, address


def test_each_message_arrives_as_systemd_words_it(manager: tuple[socket.socket, str]) -> None:
    received, address = manager
    notifier = Notifier(address)
    messages: list[tuple[Callable[[], bool], bytes]] = [
        (lambda: notifier.ready("3 pairs"), b"READY=1\nSTATUS=3 pairs"),
        (notifier.ready, b"READY=1"),
        (lambda: notifier.stopping("finishing 1 cycle"), b"STOPPING=1\nSTATUS=finishing 1 cycle"),
        (lambda: notifier.status("idle"), b"STATUS=idle"),
        (notifier.alive, b"WATCHDOG=1"),
    ]
    for send, expected in messages:
        assert send()
        assert received.recv(4096) == expected


def test_reloading_names_the_monotonic_time(manager: tuple[socket.socket, str]) -> None:
    received, address = manager
    assert Notifier(address).reloading()
    first, second = received.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert int(second.partition("=")[2]) > 0


def test_a_status_cannot_smuggle_in_another_assignment(manager: tuple[socket.socket, str]) -> None:
    received, address = manager
    Notifier(address).status("idle\nSTOPPING=1")
    assert received.recv(4096) == b"STATUS=idle STOPPING=1"


def test_outside_systemd_nothing_is_said() -> None:
    notifier = Notifier.from_environment({})
    assert not notifier.ready()
    assert notifier.watchdog is None


def test_a_socket_that_went_away_is_no_error(tmp_path: Path) -> None:
    assert not Notifier(str(tmp_path / "nobody")).ready()


def test_a_full_socket_does_not_block(manager: tuple[socket.socket, str]) -> None:
    received, address = manager
    notifier = Notifier(address)
    sent = 0
    while notifier.alive():
        sent += 1
        assert sent < 1_000_000
    assert sent > 0
    assert received.recv(4096) == b"WATCHDOG=1"


def test_an_unknown_kind_of_address_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"vsock:2:1234.*a path.*abstract"):
        Notifier.from_environment({"NOTIFY_SOCKET": "vsock:2:1234"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"WATCHDOG_USEC": "30000000"}, 30.0, id="asked for"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0, id="asked of us"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None, id="asked of another process"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="switched off"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="nonsense"),
        pytest.param({}, None, id="not asked for"),
    ],
)
def test_the_watchdog_is_read_from_the_environment(environ: dict[str, str], expected: float | None) -> None:
    assert Notifier.from_environment(environ).watchdog == expected


def test_the_watchdog_is_fed_at_twice_the_pace_and_only_while_healthy(manager: tuple[socket.socket, str]) -> None:
    received, address = manager
    clock = HandClock()
    verdicts = [True, False, True]
    fed: list[bool] = []

    async def healthy() -> bool:
        if not verdicts:
            raise asyncio.CancelledError
        return verdicts.pop(0)

    async def watch() -> None:
        with pytest.raises(asyncio.CancelledError):
            await Notifier(address, watchdog=30).feed_watchdog(healthy, clock)

    run(watch())
    while True:
        try:
            fed.append(received.recv(4096) == b"WATCHDOG=1")
        except BlockingIOError:
            break
    assert fed == [True, True]
    assert clock.slept == [15, 15, 15]


def test_without_a_watchdog_feeding_returns_at_once() -> None:
    async def healthy() -> bool:
        raise AssertionError

    run(Notifier("/nowhere").feed_watchdog(healthy, HandClock()))
