"""Telling a person: a command or a URL, once for each condition, until it is over.

Which mail, chat or pager it is, is the command's business.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from twoway.core.model import Instant
from twoway.daemon.logs import as_json

_log = structlog.get_logger(__name__)


class Trouble(StrEnum):
    """What a person is called for."""

    HALTED = "halted"
    """A guard stopped the pair: nothing is written until someone approves."""
    FAILING = "failing"
    """The pair's cycles fail, and it will not pass by itself: a person has to mend something."""
    STALLED = "stalled"
    """The pair has had no successful cycle, or no successful snapshot, for too long."""
    ACCOUNT_REFUSED = "account_refused"
    """An app refuses the account's login."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One trouble of one pair or account. `subject` is its name, `part` what of it, where the rest may be well."""

    trouble: Trouble
    subject: str
    part: str = ""


Deliver = Callable[[bytes], Awaitable[None]]
"""Delivers one alert (a JSON object); raises `DeliveryFailed` when it did not arrive."""


class DeliveryFailed(Exception):
    """An alert did not reach its destination; the message says why, without the destination's secrets."""


class Alerts:
    """Delivers each condition once until it is cleared. Without `deliver` nothing goes out; what is told is noted.

    It remembers for as long as it lives: after a restart, a condition that still holds is told again. An alert that
    could not be delivered is logged, and tried again when its condition is next reported.
    """

    def __init__(self, deliver: Deliver | None) -> None:
        self._deliver = deliver
        self._told: set[Condition] = set()

    @property
    def told(self) -> frozenset[Condition]:
        """The conditions that hold and were told."""
        return frozenset(self._told)

    async def report(self, condition: Condition, *, reason: str, since: Instant, remedy: str = "") -> bool:
        """The condition holds; tells whether an alert went out for it now.

        The alert is the JSON object `{"alert": "halted", "subject": "crm-newsletter", "reason": …, "remedy": …,
        "since": milliseconds}`. `reason` and `remedy` are for people, and hold no customer's value.
        """
        if condition in self._told:
            return False
        # Marked before the wait: another report of the same meanwhile must not deliver it twice.
        self._told.add(condition)
        if self._deliver is None:
            return False
        alert = {
            "alert": condition.trouble.value,
            "subject": condition.subject,
            "reason": reason,
            "remedy": remedy,
            "since": since,
        }
        try:
            await self._deliver(as_json(alert))
        except BaseException as error:
            self._told.discard(condition)
            if not isinstance(error, DeliveryFailed):
                raise
            _log.error("alert_failed", alert=condition.trouble.value, subject=condition.subject, reason=str(error))
            return False
        return True

    def note(self, condition: Condition) -> None:
        """The condition is as good as told: a person has been told of one that says the same."""
        self._told.add(condition)

    def clear(self, condition: Condition) -> None:
        """The condition is over: it is told anew when it comes back."""
        self._told.discard(condition)


def by_command(command: Sequence[str], *, timeout: float = 30.0, environ: Mapping[str, str] = os.environ) -> Deliver:
    """Run `command` (no shell) with the alert on its standard input; it has `timeout` seconds, then it is killed.

    It is given the basic variables of the environment only: the daemon's own hold secrets and systemd's socket. Its
    standard error is the daemon's.
    """
    if not command:
        raise ValueError('`on_alert.command` is empty; valid is a list such as ["/usr/local/bin/page", "--urgent"]')
    basics = {key: value for key, value in environ.items() if key in _BASICS or key.startswith("LC_")}

    async def deliver(alert: bytes) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env=basics,
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryFailed(f"The alert command {command[0]} cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(timeout):
                await process.communicate(alert)
        except TimeoutError:
            raise DeliveryFailed(f"The alert command {command[0]} was killed after {timeout:g} s") from None
        finally:
            if process.returncode is None:
                # The whole session: a shell's children would outlive it and hold its pipes.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise DeliveryFailed(f"The alert command {command[0]} ended with exit code {process.returncode}")

    return deliver


def by_post(url: str, post: Callable[[str, bytes], Awaitable[int]], *, timeout: float = 30.0) -> Deliver:
    """POST the alert to `url` by `post(url, body)`, which gives the status, or raises `OSError` when it got none.

    The URL is never shown: those of chat services are secrets.
    """

    async def deliver(alert: bytes) -> None:
        try:
            async with asyncio.timeout(timeout):
                status = await post(url, alert)
        except TimeoutError:
            raise DeliveryFailed(f"The alert URL gave no answer within {timeout:g} s") from None
        except OSError as error:
            raise DeliveryFailed(f"The alert URL cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise DeliveryFailed(f"The alert URL answered with status {status}")

    return deliver


_BASICS = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"})
