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


class StateUnreachable(StateError):
    """The database server does not answer, or has ended the connection."""


class StateRefused(StateError):
    """There is no such database, or this login does not open it."""


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


_SERVER: tuple[tuple[str, str, type[StateError], str, str], ...] = (
    (
        "28",
        r"authentication failed|no password supplied|no pg_hba.conf entry|role .* does not",
        StateRefused,
        "{path} does not accept this login",
        (
            "Check the user's name in the address, and the password where PostgreSQL's library looks for it: "
            "PGPASSWORD, or the file that PGPASSFILE names (it must be readable by its owner only)"
        ),
    ),
    (
        "3D",
        r"database .* does not exist",
        StateRefused,
        "there is no database {path}",
        "Create it, owned by that user: createdb --owner USER DATABASE; twoway makes the tables itself",
    ),
    (
        "42501",
        r"permission denied",
        StateReadOnly,
        "this login may not write to {path}",
        "Let it own the database or its schema: ALTER DATABASE DATABASE OWNER TO USER",
    ),
    (
        "25006",
        r"read-only transaction",
        StateReadOnly,
        "{path} cannot be written: the server is read-only",
        "Name the primary server in the address, and not one that follows it",
    ),
    (
        "53100",
        r"No space left",
        StateFull,
        "{path} could not be extended: the server's disk is used up",
        "Make room; nothing was lost, and the next cycle goes on where this one stopped",
    ),
    (
        "55P03",
        r"lock timeout",
        StateLocked,
        "the state {path} is locked by another process",
        "Wait for it to end, or find it in pg_stat_activity: its application_name is twoway",
    ),
    (
        "XX00",
        r"invalid page|could not read block",
        StateCorrupt,
        "the state {path} is damaged",
        "Stop twoway, and put back the database's last backup; a state that is older than the apps costs one snapshot",
    ),
)


def explain_server(sqlstate: str | None, text: str, path: str, *, lost: bool) -> StateError | None:
    """The error of ours for one of a PostgreSQL server or its library; `None` for such as only a fault of ours causes.

    What the server says is not repeated. `lost` says that the driver takes it for one of operation. Before a login
    there is no SQLSTATE, but only the text. The states are those of PostgreSQL's documentation, Appendix A.
    """
    for state, pattern, kind, message, remedy in _SERVER:
        if sqlstate.startswith(state) if sqlstate else re.search(pattern, text):
            return kind(message.format(path=path), remedy.format(path=path))
    if lost or (sqlstate or "").startswith(("08", "53", "57P", "25P03")):
        return StateUnreachable(
            f"the database server of {path} does not answer",
            "Check that it runs and can be reached from here (psql with the same address); "
            "nothing was lost, and the next cycle goes on where this one stopped",
        )
    return None
