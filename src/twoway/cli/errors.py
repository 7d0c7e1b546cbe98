"""The one place where an exception becomes a message and an exit code."""

import traceback
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

from twoway.cli.options import NoSuch
from twoway.cli.output import warn
from twoway.config.problems import ConfigError
from twoway.daemon.lock import StateBusy
from twoway.engine.byhand import CannotBeDone, NotLinked
from twoway.engine.lease import PairBusy
from twoway.engine.service import Held, NotNow, Paused
from twoway.sdk.errors import AccountRefused, ConnectorError, TellUser, TryLater
from twoway.state.errors import LeaseLost, StateError


class Code(IntEnum):
    """What a command ends with."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    HELD = 4
    ATTENTION = 5
    BUSY = 6
    UNREACHABLE = 7


_WORST_FIRST = (
    Code.FAILED,
    Code.USAGE,
    Code.UNREACHABLE,
    Code.HELD,
    Code.BUSY,
    Code.ATTENTION,
    Code.PENDING,
    Code.FINE,
)


def worst(codes: Iterable[Code]) -> Code:
    """Of several outcomes, the one that a person should hear of first."""
    return min(codes, key=_WORST_FIRST.index, default=Code.FINE)


def code(error: Exception) -> Code:
    """The exit code that an exception stands for."""
    match error:
        case PairBusy() | StateBusy() | LeaseLost():
            return Code.BUSY
        case Held() | Paused():
            return Code.HELD
        case ConfigError() | NoSuch() | NotNow() | NotLinked():
            return Code.USAGE
        case TellUser(account=None):
            # No app was asked yet: the configuration names what there is not.
            return Code.USAGE
        case TellUser() | AccountRefused() | TryLater():
            return Code.UNREACHABLE
        case _:
            return Code.FAILED


def message(error: Exception) -> str:
    """What people are told of an exception: what happened, and what would mend it."""
    match error:
        case ConfigError():
            many = len(error.problems)
            return f"{error}\n{many} {'problem' if many == 1 else 'problems'} in the configuration"
        case ConnectorError(account=str() as account) if not error.message.startswith(account):
            return f"{account}: {error}"
        case _ if expected(error):
            return str(error)
        case OSError():
            where = f": {error.filename}" if error.filename else ""
            return f"{error.strerror or type(error).__name__}{where}"
        case _:
            return (
                f"unexpected: {type(error).__name__} in {_place(error)}. This is a fault of twoway. Run the same "
                "command as `twoway --verbose …`, and report what it prints; take customers' data out first"
            )


def expected(error: Exception) -> bool:
    """Whether the message of the exception is written for people."""
    kinds = (ConfigError, NoSuch, NotNow, PairBusy, StateBusy, StateError, ConnectorError, CannotBeDone)
    return isinstance(error, kinds)


def tell(error: Exception, *, verbose: bool) -> Code:
    """Say on standard error what went wrong; the exit code."""
    if verbose and not expected(error):
        warn("".join(traceback.format_exception(error)))
    warn(f"twoway: {message(error)}")
    return code(error)


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
