"""Who has a pair, between processes that live, that are dead, and that are hidden from one another."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.daemon.fakes import HandClock
from twoway.engine import lease
from twoway.engine.lease import EXPIRY, PairBusy
from twoway.state.pairs import Lease
from twoway.state.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "twoway.db", "lease")) as store:
        yield store


@pytest.fixture
def other() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that lives until its input ends."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def _confined(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on this process sees what a service under ProtectProc= and ProcSubset= does: nobody else, no boot."""
    monkeypatch.setattr(lease, "_PROC", folder)


def _held_by(store: Store, owner: str, clock: HandClock) -> int:
    with store.commit("as the other process does"):
        pair = store.pairs.ensure("news-copy").id
        store.pairs.take(pair, owner, clock.now())
    return pair


def _named(pid: int, started: str | None) -> str:
    return json.dumps({"host": socket.gethostname(), "pid": pid, "started": started})


def _take(store: Store, pair: int, clock: HandClock) -> Lease:
    return lease.take(store, pair, "news-copy", lease.this_process(), clock)


@pytest.mark.parametrize("hidden", ["the holder", "whoever asks", "nobody"])
def test_a_process_that_lives_keeps_its_pair_also_where_it_cannot_be_seen(
    store: Store, other: "subprocess.Popen[bytes]", hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    started = None if hidden == "the holder" else lease._started(other.pid)
    pair = _held_by(store, _named(other.pid, started), clock)
    if hidden == "whoever asks":
        _confined(tmp_path, monkeypatch)
    with pytest.raises(PairBusy, match=f"process {other.pid} on "):
        _take(store, pair, clock)
    other.kill()
    other.wait()
    assert _take(store, pair, clock).token == 2, "it is free at once when its holder is dead"


def test_a_holder_that_cannot_be_seen_and_says_nothing_loses_its_pair(
    store: Store, other: "subprocess.Popen[bytes]"
) -> None:
    clock = HandClock()
    pair = _held_by(store, _named(other.pid, None), clock)
    clock.let_pass(EXPIRY - 1)
    with pytest.raises(PairBusy):
        _take(store, pair, clock)
    clock.let_pass(1)
    assert _take(store, pair, clock).token == 2


def test_a_holder_that_has_ended_and_was_not_waited_for_is_dead(store: Store, other: "subprocess.Popen[bytes]") -> None:
    clock = HandClock()
    pair = _held_by(store, _named(other.pid, lease._started(other.pid)), clock)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert _take(store, pair, clock).token == 2
