"""One daemon a state: a lock on a file beside it.

The lock is the kernel's (flock), so it is released when its holder dies, however it dies: no stale lock, no resync by
hand. The file stays where it is: removing it would let two processes lock two files of the same name.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


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


class StateLock:
    """A context manager that holds the lock of the state file `state`, or raises `StateBusy` at once.

    The lock file is `<state>.lock`, readable by its owner only. It works on a local file system; over NFS it is as
    good as the server's locks.
    """

    def __init__(self, state: Path) -> None:
        self.path = state.with_name(f"{state.name}.lock")
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        # Python opens files close-on-exec, so no child inherits the lock and keeps it beyond our end.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise StateBusy(self.path, pid) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            # By name: a child that is being started this instant still shares the descriptor.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None


def _read_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", errors="replace").strip()
    return int(text) if text.isdecimal() else None
