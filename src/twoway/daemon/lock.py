"""One daemon a state: a lock on a file beside it.

The lock is the kernel's (flock), so it is released when its holder dies, however it dies: no stale lock, no resync by
hand. The file stays where it is: removing it would let two processes lock two files of the same name.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twoway.state.errors import StateError, StateFull, StateReadOnly


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

    Raises `StateBusy` at once where another process, or another part of this one, holds it, and `StateReadOnly` or
    `StateFull` where the file cannot be made or written. The lock file is
    `<state>.lock`, readable by its owner only. It works on a local file system; over NFS it is as good as the
    server's locks.
    """
    path = state.with_name(f"{state.name}.lock")
    # Python opens files close-on-exec, so no child inherits the lock and keeps it beyond our end.
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _cannot_be_made(path, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateBusy(path, _read_pid(descriptor)) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise _cannot_be_made(path, error) from None
        try:
            yield path
        finally:
            os.ftruncate(descriptor, 0)
            # By name: a child that is being started this instant still shares the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _cannot_be_made(path: Path, error: OSError) -> StateError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StateFull(f"the lock {path} could not be written: the disk is used up", "Make room, then start again")
    if error.errno == errno.ELOOP:
        return StateReadOnly(f"the lock {path} is a symbolic link, which is not followed", "Remove it")
    return StateReadOnly(
        f"the lock {path} could not be made ({error.strerror})",
        "Check that the folder of the state exists and that this user may write there (state.path in config.yaml)",
    )


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", errors="replace").strip()
    return int(text) if text.isdecimal() else None
