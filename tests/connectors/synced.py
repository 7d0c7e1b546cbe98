"""A pair that twoway syncs between two look-alike apps, in one process and on one virtual clock."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from benchmarks.stage import write_config

from tests.connectors.vendor_account import PortClock
from twoway.daemon.app import read_config, state_path
from twoway.engine.accounts import Accounts, OpenHttp
from twoway.engine.cycle import Ending, Kind, Report
from twoway.engine.service import Service
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.kit import VendorApp, VirtualClock, in_process
from twoway.sandbox.mailchimp import MailchimpApp
from twoway.sdk.http import make_open_http
from twoway.state.store import Store

START = 1_750_000_000.0
PAIR = "pair"


class Synced:
    """The pair, its apps, and the cycles that it runs."""

    def __init__(self, service: Service, store: Store, clock: VirtualClock, runner: asyncio.Runner) -> None:
        self.service = service
        self.store = store
        self.clock = clock
        self._runner = runner

    def approve(self) -> None:
        """Plan, and approve what the plan shows."""
        plan = self._runner.run(self.service.plan(PAIR))
        assert plan.report.error is None, plan.report.error
        self._runner.run(self.service.approve(PAIR))

    def cycle(self, kind: Kind = Kind.INCREMENTAL, *, after: float = 0.0) -> Report:
        """One cycle, `after` seconds."""
        self.clock.advance(after)
        report = self._runner.run(self.service.cycle(PAIR, kind))
        assert report.error is None, report.error
        assert report.ending is Ending.DONE, report.reasons
        return report


def hubspot_account(name: str) -> dict[str, Any]:
    """An account at a look-alike HubSpot."""
    return {
        "app": "hubspot",
        "settings": {"base_url": f"https://{name}.test", "rate": 1000},
        "secrets": {"token": "pat-sandbox"},
    }


def mailchimp_account(name: str) -> dict[str, Any]:
    """An account at a look-alike Mailchimp."""
    return {
        "app": "mailchimp",
        "settings": {"base_url": f"https://{name}.test/3.0"},
        "secrets": {"api_key": "sandbox-us1"},
    }


@contextmanager
def synced(
    folder: Path,
    mapping: str,
    clock: VirtualClock,
    apps: Mapping[str, VendorApp],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Synced]:
    """twoway over these apps, by the names of their accounts, with one mapping file, and more settings of accounts."""
    accounts = {
        name: hubspot_account(name) if isinstance(app, HubSpotApp) else mailchimp_account(name)
        for name, app in apps.items()
    }
    for name, more in (settings or {}).items():
        accounts[name]["settings"] |= more
    assert all(isinstance(app, HubSpotApp | MailchimpApp) for app in apps.values())
    config = read_config(write_config(folder / "config", accounts, [mapping]))
    port = PortClock(clock)

    def open_http(account: str) -> OpenHttp:
        transport = httpx.ASGITransport(in_process(apps[account], httpx.ReadError))
        return make_open_http(port, transport, account=account)

    store = Store(state_path(config), "synced")
    service = Service(config, store, port, accounts=Accounts(config, port, open_http))
    with asyncio.Runner() as runner:
        try:
            yield Synced(service, store, clock, runner)
        finally:
            runner.run(service.close())
            store.close()
