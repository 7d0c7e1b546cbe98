"""One daemon a state: a lock on a file beside it.

The lock is the kernel's (flock), so it is released when its holder dies, however it dies: no stale lock, no resync by
hand. The file stays where it is: removing it would let two processes lock two files of the same name.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StateBusy(Exception):
    """Another process works on this state. `pid` is its process id, `None` where it has not written it yet."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid is not None else "another process"
        super().__init__(
            f"The state is in use: {holder} holds the lock {path}. "
            "Only one twoway at a time may work on a state. Stop the other one "
            "(systemctl stop twoway, or kill its process), or give this one a state of its own"
        )
        self.path = path
        self.pid = pid


@contextmanager
def state_lock(state: Path) -> Iterator[Path]:
    """Hold the lock of the state file `state` for as long as the context lasts; gives the lock file's path.

    Raises `StateBusy` at once where another process, or another part of this one, holds it. The lock file is
    `<state>.lock`, readable by its owner only. It works on a local file system; over NFS it is as good as the
    server's locks.
    """
    path = state.with_name(f"{state.name}.lock")
    # Python opens files close-on-exec, so no child inherits the lock and keeps it beyond our end.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateBusy(path, _read_pid(descriptor)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield path
        finally:
            os.ftruncate(descriptor, 0)
            # By name: a child that is being started this instant still shares the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", errors="replace").strip()
    return int(text) if text.isdecimal() else None
