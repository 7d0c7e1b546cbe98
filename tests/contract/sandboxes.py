"""A bench over a look-alike app in the same process, on the app's virtual clock."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from tests.connectors.vendor_account import PortClock
from twoway.sandbox.kit import VendorApp, VirtualClock, in_process
from twoway.sdk import Connector, ConnectorContext, Instant
from twoway.sdk.http import make_open_http
from twoway.testing.contract import RETRY_AFTER, Bench, Setup, Trouble

START = 1_750_000_000.0
SKEWS = {Setup.CLOCK_AHEAD: 3600.0, Setup.CLOCK_BEHIND: -3600.0}

_FAULTS: Mapping[Trouble, Mapping[str, Any]] = {
    Trouble.LOST_REQUEST: {"kind": "lost_request"},
    Trouble.LOST_ANSWER: {"kind": "lost_answer"},
    Trouble.BUSY: {"kind": "rate_limited", "retry_after": RETRY_AFTER},
    Trouble.BUSY_UNTOLD: {"kind": "rate_limited"},
    Trouble.BROKEN: {"kind": "error"},
    Trouble.BROKEN_AFTER: {"kind": "error", "applied": True},
    Trouble.PAGE: {"kind": "html"},
    Trouble.TRUNCATED: {"kind": "truncated"},
    Trouble.LOGIN_REVOKED: {"kind": "wrong_token"},
}


class SkewedClock(PortClock):
    """The clock of a machine that is `skew` seconds ahead of the app."""

    def __init__(self, clock: VirtualClock, skew: float) -> None:
        super().__init__(clock)
        self._skew = round(skew * 1000)

    def now(self) -> Instant:
        return super().now() + self._skew


class SandboxBench(Bench):
    """`writing` matches method and path of the requests that ask for a change."""

    settings: ClassVar[Mapping[str, Any]]
    options: ClassVar[Mapping[str, Any]] = {}
    login: ClassVar[Mapping[str, str]]
    wrong_login: ClassVar[Mapping[str, str]]
    wrong_address: ClassVar[str] = "http://localhost/elsewhere"
    writing: ClassVar[str]

    def __init__(self, app: VendorApp, clock: VirtualClock) -> None:
        self.vendor = app
        self.clock = clock

    @abstractmethod
    def connect(self, context: ConnectorContext) -> Connector:
        """The connector for this context."""

    def open(self, setup: Setup = Setup.RIGHT, *, times: bool = False) -> Connector:
        port = SkewedClock(self.clock, SKEWS.get(setup, 0.0))
        address = {"base_url": self.wrong_address} if setup is Setup.WRONG_ADDRESS else {}
        return self.connect(
            ConnectorContext(
                account="acme",
                settings={**self.settings, **address},
                secrets=self.wrong_login if setup is Setup.WRONG_LOGIN else self.login,
                collection=self.collection,
                options=self.options,
                fields=self.fields,
                times=times,
                clock=port,
                open_http=make_open_http(
                    port, httpx.ASGITransport(in_process(self.vendor, httpx.ReadError)), account="acme"
                ),
            )
        )

    def now(self) -> Instant:
        return round(self.clock.now() * 1000)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def trouble(self, trouble: Trouble, *, writes: bool = False, times: int = 1, skip: int = 0) -> None:
        where = {"path": self.writing} if writes else {}
        methods = ("POST", "PUT", "PATCH", "DELETE") if writes else (None,)
        for method in methods:
            self.vendor.fault(**_FAULTS[trouble], **where, method=method, times=times, skip=skip)

    def calm(self) -> None:
        self.vendor.faults.clear()
