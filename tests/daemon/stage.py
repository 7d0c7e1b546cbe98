"""The daemon as a process of its own, between two look-alike apps on loopback, with systemd's socket and a log pipe."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson

from twoway.daemon.app import read_config, state_path
from twoway.daemon.clock import SystemClock
from twoway.engine.service import Service
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.server import Sandbox
from twoway.state.store import Store

PATIENCE = 30.0
"""Seconds after which a test that waits for something has failed. No test waits for time to pass."""
COPY_LIST = "c0ffee0000"
TOKENS = {"hubspot": "pat-hush-0123456789abcdef", "mailchimp": "hush9876543210fedcba-us1"}

CONFIG = """\
accounts:
  crm:
    app: hubspot
    settings: {{ base_url: {hubspot} }}
    secrets: {{ token_file: hubspot.token }}
    lag: 0s
    request_lifetime: {lifetime}
  newsletter:
    app: mailchimp
    settings: {{ base_url: {mailchimp}/3.0 }}
    secrets: {{ api_key_file: mailchimp.token }}
    lag: 0s
    request_lifetime: {lifetime}
alerts: {{ command: [/bin/sh, -c, 'cat >> "$0"; echo >> "$0"', {folder}/alerts] }}
engine: {{ retry: {retry} }}
daemon: {{ grace: {grace} }}
"""

_FIELDS = """\
start: left
match: [email]
schedule: { every: 1s, settle: 0s, snapshot: null }
"""

CRM = (
    """\
pair: crm-newsletter
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
on_create: { right: { status: subscribed } }
fields:
  email: { left: email, right: email_address, type: email }
  first_name: { left: firstname, right: merge_fields.FNAME }
"""
    + _FIELDS
)

COPY = (
    """\
pair: news-copy
left: { account: newsletter, collection: members, options: { audience: Customers } }
right: { account: newsletter, collection: members, options: { audience: Copy } }
create: { on_left: false }
on_create: { right: { status: subscribed } }
fields:
  email: { left: email_address, right: email_address, type: email }
  first_name: { left: merge_fields.FNAME, right: merge_fields.FNAME }
"""
    + _FIELDS
)


class News:
    """Wakes those who wait for something to come about."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        """The condition's value, once it is true. It is looked at again with every news, and from time to time."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"within {PATIENCE:.0f} s: {what}")
            with self._changed:
                self._changed.wait(0.05)
        return found


class Daemon:
    """A running daemon: what it logged, what it said to systemd."""

    def __init__(self, process: "subprocess.Popen[bytes]", notices: socket.socket, news: News) -> None:
        self.process = process
        self.lines: list[str] = []
        self.notices: list[str] = []
        self._news = news
        self._socket = notices
        self._readers = [threading.Thread(target=each, daemon=True) for each in (self._read_log, self._read_notices)]
        for reader in self._readers:
            reader.start()

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        """As `News.until`; when it fails, the log is shown."""
        try:
            return self._news.until(what, condition)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log:\n" + "\n".join(self.lines)) from None

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log with this event. An alert command may write to the same pipe."""
        lines = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def noticed(self, start: str) -> list[str]:
        """The messages to systemd that begin so."""
        return [notice for notice in list(self.notices) if notice.startswith(start)]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit code when it has ended."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """The exit code, when it has ended by itself."""
        code = self.process.wait(PATIENCE)
        self._readers[0].join()
        # What was sent before the end is in the socket's queue: an own message behind it ends the reader.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._readers[1].join()
        return code

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            self._news.tell()

    def _read_notices(self) -> None:
        while message := self._socket.recv(4096):
            self.notices.append(message.decode())
            self._news.tell()


class Stage:
    """The apps, and a folder with the daemon's configuration."""

    def __init__(self, folder: Path, urls: Mapping[str, str]) -> None:
        self.folder = folder
        self.urls = urls
        self.config = folder / "config.yaml"
        self.news = News()
        (folder / "pairs").mkdir()
        for app, token in TOKENS.items():
            (folder / f"{app}.token").write_text(token)
        self.configure()

    def configure(self, *, lifetime: str = "1s", grace: str = "30s", retry: str = "1s") -> None:
        self.config.write_text(
            CONFIG.format(**self.urls, folder=self.folder, lifetime=lifetime, grace=grace, retry=retry)
        )

    def pair(self, text: str, *, approved: bool = True) -> str:
        """Write a mapping file; its pair's name. With `approved`, its plan was looked at and approved."""
        name = text.partition("pair: ")[2].partition("\n")[0]
        (self.folder / "pairs" / f"{name}.yaml").write_text(text)
        if approved:

            async def approve(service: Service) -> None:
                await service.plan(name)
                await service.approve(name)

            self._with_service(approve)
        return name

    def _with_service(self, work: Callable[[Service], Any]) -> None:
        config = read_config(self.config)

        async def run() -> None:
            service = Service(config, store, SystemClock())
            try:
                await work(service)
            finally:
                await service.close()

        with closing(Store(state_path(config), "stage")) as store:
            asyncio.run(run())

    @contextmanager
    def state(self) -> Iterator[Store]:
        """The daemon's state, read beside it."""
        with closing(Store(state_path(read_config(self.config)), "stage")) as store:
            yield store

    @contextmanager
    def daemon(self, *, watchdog: float = 60.0, command: tuple[str, ...] = ("-m", "twoway")) -> Iterator[Daemon]:
        """A daemon that has said that it is ready. It is killed at the end, if it has not ended."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            address = f"\0twoway-{os.getpid()}-{id(notices)}"
            notices.bind(address)
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("TWOWAY_")},
                "NOTIFY_SOCKET": f"@{address[1:]}",
                "WATCHDOG_USEC": str(round(watchdog * 1_000_000)),
            }
            with self.process(*command, environment=environment) as process:
                daemon = Daemon(process, notices, self.news)
                try:
                    daemon.until("the daemon is ready", lambda: daemon.noticed("READY=1"))
                    yield daemon
                finally:
                    if process.poll() is None:
                        process.kill()
                        daemon.ended()

    def process(self, *command: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """`twoway run`, as the command line has it."""
        return subprocess.Popen(
            [sys.executable, *command, "--config", str(self.config), "run"],
            stderr=subprocess.PIPE,
            env=environment,
            cwd=self.folder,
        )

    # -- the apps, from outside

    def ask(self, app: str, path: str, body: Any = None) -> Any:
        """A control request to an app."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.urls[app]}/_sandbox/{path}", data=data, headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def contact(self, **fields: str) -> str:
        """A person makes a contact in the CRM; its id."""
        made = self.ask("hubspot", "human", {"kind": "create", "collection": "contacts", "fields": fields})
        return str(made["id"])

    def members(self, audience: str = LIST_ID) -> dict[str, str]:
        """First names by e-mail address."""
        records = self.ask("mailchimp", f"records?collection={audience}")["records"]
        return {each["email_address"]: each["merge_fields"]["FNAME"] for each in records}

    def requests(self, app: str, *methods: str, since: int = 0) -> list[dict[str, Any]]:
        """The requests with these methods that an app was asked, those under way too."""
        entries: list[dict[str, Any]] = self.ask(app, f"requests?since={since}")["entries"]
        return [entry for entry in entries if entry["method"] in methods]

    def polls(self) -> int:
        """How often the audience was read: grows with each cycle of a pair that runs."""
        return len(self.requests("mailchimp", "GET"))

    def alerts(self) -> list[dict[str, Any]]:
        """What the alert command was given, in order."""
        file = self.folder / "alerts"
        return [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Both apps, and a configuration for them without a pair."""
    # The daemon of a test asks far more often than anybody would.
    limits = {"index_lag": 0, "rate_limit": 0, "search_limit": 0}
    hubspot = HubSpotApp(settings={"token": TOKENS["hubspot"], **limits})
    mailchimp = MailchimpApp(settings={"token": TOKENS["mailchimp"]})
    mailchimp.add_list(COPY_LIST, "Copy")
    with Sandbox(hubspot=hubspot, mailchimp=mailchimp) as sandbox:
        yield Stage(folder, sandbox.urls)
