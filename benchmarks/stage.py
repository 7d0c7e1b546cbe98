"""What the benchmarks and the acceptance tests stand on: look-alike apps in a process of their own, a folder with a
configuration for them, and the product over it. What is counted comes from the apps' own logs."""

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from twoway.daemon.app import read_config, state_path
from twoway.daemon.clock import SystemClock
from twoway.engine.accounts import Accounts, OpenHttp
from twoway.engine.cycle import Ending, Kind, Report
from twoway.engine.plans import Plan
from twoway.engine.service import Service
from twoway.ports import FaultPoint, no_fault
from twoway.sdk.http import make_open_http
from twoway.sdk.limits import RateLimiter
from twoway.state.store import Store

T = TypeVar("T")

LOAD_BATCH = 5_000
"""Records in one request that seeds an app."""
SECRETS: Mapping[str, str] = {"hubspot": "pat-sandbox", "mailchimp": "sandbox-us1"}
UNHURRIED: Mapping[str, Mapping[str, float]] = {
    "hubspot": {"index_lag": 0.2, "rate_limit": 0, "search_limit": 0, "daily_limit": 0},
    "mailchimp": {},
}
"""The apps without their limits on how fast one may ask: what is measured is us, not our waiting."""


class Apps:
    """Look-alike apps on loopback, in one process: a context manager."""

    def __init__(self, *names: str, settings: Mapping[str, Mapping[str, Any]] = UNHURRIED) -> None:
        arguments = [part for name in names for part in (f"--{name}", "0")]
        self._process = subprocess.Popen([sys.executable, "-m", "twoway.sandbox", *arguments], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.urls: dict[str, str] = json.loads(self._process.stdout.readline())
        for name in names:
            if settings.get(name):
                self.ask(name, "/_sandbox/settings", settings[name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process, and wait until it has ended."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask(self, app: str, path: str, body: Any = None) -> Any:
        """One request to an app: GET, or POST with a body."""
        address = urlsplit(self.urls[app])
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
        try:
            headers = {"content-type": "application/json", "authorization": f"Bearer {SECRETS[app]}"}
            data = None if body is None else json.dumps(body).encode()
            connection.request("GET" if body is None else "POST", path, data, headers)
            response = connection.getresponse()
            text = response.read()
            if response.status >= 300:
                raise RuntimeError(f"{app} answered {response.status} to {path}: {text[:500]!r}")
            return json.loads(text)
        finally:
            connection.close()

    def human(self, app: str, **edit: Any) -> Any:
        """A person edits a record in the app's own pages."""
        return self.ask(app, "/_sandbox/human", edit)

    def load(self, app: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Seed records; it is in no log."""
        for start in range(0, len(records), LOAD_BATCH):
            self.ask(app, "/_sandbox/load", {"records": records[start : start + LOAD_BATCH]})

    def records(self, app: str) -> list[dict[str, Any]]:
        """All records as the app shows them, the deleted ones too."""
        found: list[dict[str, Any]] = self.ask(app, "/_sandbox/records")["records"]
        return found

    def log(self, app: str, since: int = 0) -> list[dict[str, Any]]:
        """Every accepted write after number `since`, by the app's own log."""
        found: list[dict[str, Any]] = self.ask(app, f"/_sandbox/log?since={since}")["entries"]
        return found

    def requests(self, app: str, since: int = 0) -> list[dict[str, Any]]:
        """Every request after number `since`, by the app's own log."""
        found: list[dict[str, Any]] = self.ask(app, f"/_sandbox/requests?since={since}")["entries"]
        return found

    def add_properties(self, *definitions: Mapping[str, Any]) -> None:
        """Give HubSpot's contacts further properties."""
        for definition in definitions:
            body = {"groupName": "contactinformation", "label": definition["name"], **definition}
            self.ask("hubspot", "/crm/v3/properties/contacts", body)


def write_config(
    folder: Path, accounts: Mapping[str, Mapping[str, Any]], pairs: Iterable[str], **sections: Mapping[str, Any]
) -> Path:
    """A `config.yaml` with its mapping files and secrets. Each account's `secrets` are given in the clear."""
    (folder / "pairs").mkdir(parents=True)
    (folder / "secrets").mkdir(mode=0o700)
    shown = {}
    for name, account in accounts.items():
        files = {}
        for key, secret in account["secrets"].items():
            path = folder / "secrets" / f"{name}.{key}"
            path.touch(mode=0o600)
            path.write_text(secret, encoding="utf-8")
            files[f"{key}_file"] = str(path.relative_to(folder))
        shown[name] = {**account, "secrets": files}
    for number, pair in enumerate(pairs):
        (folder / "pairs" / f"{number}.yaml").write_text(pair, encoding="utf-8")
    config = folder / "config.yaml"
    # JSON is YAML.
    text = json.dumps({"accounts": shown, "pairs": "pairs", "state": {"path": "twoway.db"}, **sections}, indent=1)
    config.write_text(text, encoding="utf-8")
    return config


def app_accounts(urls: Mapping[str, str], **more: Any) -> dict[str, dict[str, Any]]:
    """The accounts `crm` and `newsletter` at these addresses; `more` are further keys of both."""
    crm = {"base_url": urls["hubspot"], "rate": 1000}
    found: dict[str, dict[str, Any]] = {
        "crm": {"app": "hubspot", "settings": crm, "secrets": {"token": SECRETS["hubspot"]}, **more}
    }
    if "mailchimp" in urls:
        found["newsletter"] = {
            "app": "mailchimp",
            "settings": {"base_url": f"{urls['mailchimp']}/3.0"},
            "secrets": {"api_key": SECRETS["mailchimp"]},
            **more,
        }
    return found


class Product:
    """The whole product over one configuration, in this process, with its clients kept open: a context manager.

    `wires` puts a transport of the caller's under the HTTP clients of an account.
    """

    def __init__(self, config: Path, *, fault: FaultPoint = no_fault, wires: Mapping[str, Any] | None = None) -> None:
        self.config = read_config(config)
        self.store = Store(state_path(self.config), "stage", fault=fault)
        clock = SystemClock()
        limiters: dict[tuple[str, str], RateLimiter] = {}

        def open_http(account: str) -> OpenHttp:
            library = self.config.settings.engine.http
            wire = (wires or {}).get(account)
            return make_open_http(clock, wire, account=account, library=library, limiters=limiters)

        self.service = Service(
            self.config, self.store, clock, accounts=Accounts(self.config, clock, open_http), fault=fault
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self.service.close())
        self._runner.close()
        self.store.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out one call of the service."""
        return self._runner.run(work)

    def plan(self, pair: str) -> Plan:
        """`twoway plan PAIR`."""
        return self.run(self.service.plan(pair))

    def approve(self, pair: str) -> None:
        """`twoway approve PAIR`."""
        self.run(self.service.approve(pair))

    def cycle(self, pair: str, kind: Kind = Kind.INCREMENTAL) -> Report:
        """One cycle, whatever its end."""
        return self.run(self.service.cycle(pair, kind))

    def sync(self, pair: str, kind: Kind = Kind.INCREMENTAL) -> Report:
        """One cycle, which must end well."""
        report = self.cycle(pair, kind)
        if report.error is not None:
            raise report.error
        if report.ending is not Ending.DONE:
            raise RuntimeError(f"{pair}: {'; '.join(report.reasons)}")
        return report

    def begin(self, pair: str) -> Plan:
        """Plan, approve what the plan shows, and sync for the first time; the plan."""
        plan = self.plan(pair)
        if plan.report.error is not None:
            raise plan.report.error
        self.approve(pair)
        self.sync(pair)
        return plan
