"""What can be wrong with the state file, in words that say what to do."""

import re


class StateError(Exception):
    """The root. `remedy` says what would mend it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy


class StateLocked(StateError):
    """Another process holds the file."""


class StateCorrupt(StateError):
    """It is no state file, or a damaged one."""


class StateNewer(StateError):
    """It was written by a later version of twoway."""


class StateReadOnly(StateError):
    """It cannot be written."""


class StateFull(StateError):
    """The disk, or the file's allowed size, is used up."""


class LeaseLost(StateError):
    """Another process has taken this pair over: whatever this one still wanted to write is refused."""


_KNOWN: tuple[tuple[str, type[StateError], str, str], ...] = (
    (
        r"database is locked|database table is locked",
        StateLocked,
        "the state file {path} is locked by another process",
        "Wait for it to end, or find it with `fuser {path}`",
    ),
    (
        r"file is not a database|malformed|database disk image|file is encrypted",
        StateCorrupt,
        "the state file {path} is damaged, or is no state file",
        (
            "Stop twoway, keep a copy of the file, and put back the last backup (docs/operations.md, 'Backup'); "
            "a state that is older than the apps only costs one snapshot"
        ),
    ),
    (
        r"readonly database|read-only",
        StateReadOnly,
        "the state file {path} cannot be written",
        (
            "Check the owner and the mode of the file *and* of its folder (SQLite writes two more files beside it), "
            "and that the file system is not mounted read-only"
        ),
    ),
    (
        r"disk is full|disk I/O error|File too large|No space left",
        StateFull,
        "the state file {path} could not be extended: the disk or the allowed file size is used up",
        "Make room; nothing was lost, and the next cycle goes on where this one stopped",
    ),
    (
        r"unable to open database file",
        StateReadOnly,
        "the state file {path} could not be opened",
        "Check that its folder exists and that this user may write there",
    ),
)


def explain(error: BaseException, path: str) -> StateError | None:
    """The error of ours that a driver's message stands for; `None` where it is not one of the file's own troubles."""
    text = str(error)
    for pattern, kind, message, remedy in _KNOWN:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(message.format(path=path), remedy.format(path=path))
    return None
