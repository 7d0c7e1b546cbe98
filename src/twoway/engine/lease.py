"""Who may work on a pair: one process at a time, on this machine and elsewhere.

The lease keeps the daemon and a one-off command apart. Its token is the fence: every commit of a cycle checks it, so
that a process that was stopped and wakes up can no longer write. The lease of a process of this machine that is dead
is free at once; that of another machine, or of a process that is hidden from this one, after `EXPIRY`.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from twoway.ports import Clock
from twoway.state.pairs import Lease
from twoway.state.store import Store

EXPIRY: Final = 300_000
"""Milliseconds without a sign of life after which a lease is taken over whose holder cannot be looked for."""

_PROC = Path("/proc")
_ENDED = "ended"


class PairBusy(Exception):
    """Another process is working on the pair."""

    def __init__(self, pair: str, holder: str, seconds: int) -> None:
        super().__init__(
            f"{pair} is busy: {holder} is working on it (last sign of life {seconds} s ago). "
            "Try again in a moment; `twoway sync --wait` waits by itself"
        )
        self.pair = pair


def this_process() -> str:
    """A name for this process that no other ever has: host, process id, and when it was started."""
    pid = os.getpid()
    return json.dumps({"host": socket.gethostname(), "pid": pid, "started": _started(pid)})


def take(store: Store, pair: int, name: str, owner: str, clock: Clock) -> Lease:
    """Take the lease of a pair. Raises `PairBusy` while another process that lives has it."""
    with store.commit("lease"):
        holder = store.pairs.holder(pair)
        if holder is not None and holder.owner != owner:
            silent = clock.now() - holder.heartbeat
            if _lives(holder.owner, silent):
                raise PairBusy(name, _described(holder.owner), silent // 1000)
        return store.pairs.take(pair, owner, clock.now())


@contextmanager
def held(store: Store, pair: int, name: str, clock: Clock) -> Iterator[Lease]:
    """The pair for this process alone, for as long as the context lasts. Raises `PairBusy`."""
    lease = take(store, pair, name, this_process(), clock)
    try:
        yield lease
    finally:
        give_back(store, lease)


def give_back(store: Store, lease: Lease) -> None:
    """Let others have it."""
    with store.commit("lease"):
        store.pairs.release(lease)


def _lives(owner: str, silent: int) -> bool:
    try:
        known = json.loads(owner)
        host, pid, started = known["host"], known["pid"], known["started"]
    except (ValueError, KeyError, TypeError):
        return silent < EXPIRY
    if host != socket.gethostname():
        return silent < EXPIRY
    seen = _started(pid)
    if seen is None or started is None:
        # Not there, or hidden: a service that is confined is shown neither the processes of others nor the boot.
        return _exists(pid) and silent < EXPIRY
    # A process id is used again; together with its start it is not.
    return bool(seen == started)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is there, and another user's.
        return True
    return True


def _described(owner: str) -> str:
    try:
        known = json.loads(owner)
        return f"process {known['pid']} on {known['host']}"
    except (ValueError, KeyError, TypeError):
        return owner


def _started(pid: int) -> str | None:
    """When the kernel started a process, in ticks since the boot of this machine; `None` where it is not shown."""
    try:
        text = (_PROC / f"{pid}/stat").read_text(encoding="utf-8")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    # The name of the program, in brackets, may hold spaces and brackets itself.
    fields = text.rpartition(")")[2].split()
    return _ENDED if fields[0] in ("Z", "X") else f"{boot}/{fields[19]}"
