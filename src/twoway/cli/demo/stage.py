"""The stage of the demo: the three apps in a process of their own, a folder with a configuration, and the real CLI.

Commands run as they would in a terminal, each in a process of its own. What is counted comes from the apps' logs.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from twoway.cli.demo import people

PATIENCE = 25.0
"""Seconds in which anything on this stage has to happen."""

AUDIENCE = "5ad0b0c1d2"
TOKENS = {"hubspot": "pat-sandbox", "mailchimp": "sandbox-us1", "zendesk": "zendesk-bearer"}

CONFIG = """\
accounts:
  crm:
    app: hubspot
    settings: {{ base_url: {hubspot} }}
    secrets: {{ token_file: secrets/crm }}
    lag: 1s                # of this sandbox; leave it out for the real app
    request_lifetime: 1s
  newsletter:
    app: mailchimp
    settings: {{ base_url: {mailchimp}/3.0 }}
    secrets: {{ api_key_file: secrets/newsletter }}
    lag: 0s
    request_lifetime: 1s
  helpdesk:
    app: zendesk
    settings: {{ base_url: {zendesk}/api/v2, email: admin@desk.example, plan: high-volume }}
    secrets: {{ api_token_file: secrets/helpdesk }}
    lag: 1s
    request_lifetime: 1s
pairs: pairs
state: {{ path: twoway.db }}
"""

NEWSLETTER = """\
pair: crm-newsletter
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: left
match: [email]
scope: { left: 'email != null && lifecycle in ["lead", "customer"]' }
create: { on_left: true, on_right: true }
delete: { on_left: ignore, on_right: archive }
conflict: review
on_create:
  right: { status: subscribed }
  left: { lifecyclestage: lead }
fields:
  email: { left: email, right: email_address, type: email, blank: fill }
  name:
    left: { join: [firstname, lastname], with: " ", split: last }
    right: merge_fields.NAME
    conflict: left
  phone: { left: phone, right: merge_fields.PHONE, type: phone, region: US }
  interests: { left: interests, right: tags, type: set }
  lifecycle: { left: lifecyclestage }
  consent:
    type: consent
    left: { path: newsletter_optout, opted_out: [true] }
    right: { path: status, opted_out: [unsubscribed, cleaned] }
schedule: { every: 2s, settle: 0s }
"""

HELPDESK = """\
pair: crm-helpdesk
left: { account: crm, collection: contacts }
right: { account: helpdesk, collection: users }
start: left
match: [email, [name, phone]]
scope: { right: 'role == "end-user"' }
create: { on_left: true, on_right: false }
on_create:
  left: { lifecyclestage: lead }
conflict: review
fields:
  email: { left: email, right: email, type: email, blank: fill }
  name:
    left: { join: [firstname, lastname], with: " ", split: last }
    right: name
    blank: fill
  phone: { left: phone, right: phone, type: phone, region: US }
  role: { right: role }
schedule: { every: 2s, settle: 0s }
"""


class Stage:
    """The apps' addresses, the folder, and what can be done with them."""

    def __init__(self, folder: Path, urls: Mapping[str, str], console: Console) -> None:
        self.folder = folder
        self.urls = urls
        self.console = console

    # -- the apps, from outside

    def ask(self, app: str, path: str, body: Any = None) -> Any:
        """A control request to one app of the sandbox."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        if not path.startswith("/_sandbox/"):
            headers["authorization"] = f"Bearer {TOKENS[app]}"
        request = urllib.request.Request(self.urls[app] + path, data=data, headers=headers)  # noqa: S310 - loopback, from the sandbox itself
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())

    def human(self, app: str, **edit: Any) -> Any:
        """A person edits a record in the app."""
        return self.ask(app, "/_sandbox/human", edit)

    def records(self, app: str) -> list[dict[str, Any]]:
        """The app's live records, as it shows them."""
        found: list[dict[str, Any]] = self.ask(app, "/_sandbox/records")["records"]
        return found

    def mark(self) -> dict[str, int]:
        """Where each app's log of writes ends now."""
        return {app: max([0, *(e["seq"] for e in self._log(app, 0))]) for app in self.urls}

    def written(self, since: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
        """What was written through the apps' interfaces since, by their own logs; writes that changed nothing too."""
        return {app: [e for e in self._log(app, since[app]) if e["who"] == "api"] for app in self.urls}

    def requests(self) -> dict[str, int]:
        """How many requests each app has answered."""
        return {app: len(self.ask(app, "/_sandbox/requests?since=0")["entries"]) for app in self.urls}

    def _log(self, app: str, since: int) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.ask(app, f"/_sandbox/log?since={since}")["entries"]
        return entries

    # -- the product

    def command(self, *arguments: str) -> list[str]:
        """How `twoway` is called, in this installation."""
        return [sys.executable, "-m", "twoway", "--config", "config.yaml", *arguments]

    def type(self, *arguments: str, expect: Iterable[int] = (0,), lines: int = 14) -> str:
        """Run a command as a person would type it, show its first lines, and insist on its exit code."""
        self.console.print(f"\n[bold green]$[/] [bold]twoway {' '.join(arguments)}[/]", highlight=False)
        done = subprocess.run(  # noqa: S603 - our own command
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )
        output = (done.stdout + done.stderr).rstrip()
        shown = output.splitlines()
        for text in shown[:lines]:
            self.console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)
        if len(shown) > lines:
            self.console.print(f"  … {len(shown) - lines} more lines", style="dim")
        if done.returncode not in tuple(expect):
            raise Failed(f"`twoway {' '.join(arguments)}` ended with exit code {done.returncode}")
        return done.stdout

    def quietly(self, *arguments: str) -> None:
        """Run a command without a word; it may be held up, but it must not fail."""
        done = subprocess.run(  # noqa: S603 - our own command
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise Failed(f"`twoway {' '.join(arguments)}` ended with exit code {done.returncode}: {done.stderr}")

    def read(self, *arguments: str) -> Any:
        """What a read command answers as JSON."""
        done = subprocess.run(  # noqa: S603 - our own command
            self.command(*arguments, "--json"), cwd=self.folder, capture_output=True, check=True, timeout=120
        )
        return json.loads(done.stdout)

    def conflicts(self) -> list[dict[str, Any]]:
        """The conflicts that wait for a person."""
        found: list[dict[str, Any]] = self.read("conflicts", "list")["conflicts"]
        return found

    def in_doubt(self) -> int:
        """How many writes there are of which the outcome is not known yet."""
        return sum(pair["unknown"] for pair in self.read("status")["pairs"])

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command and let it run."""
        self.console.print(f"\n[bold green]$[/] [bold]twoway {' '.join(arguments)} &[/]", highlight=False)
        return subprocess.Popen(  # noqa: S603 - our own command
            self.command(*arguments), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until something has come about, and no longer than is reasonable."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise Failed(f"{what} has not come about within {PATIENCE:.0f} s")
            # Between two looks at the condition, which is what ends the wait.
            time.sleep(0.1)


class Failed(Exception):
    """The demo did not go as it should."""


@contextmanager
def stage(console: Console) -> Iterator[Stage]:
    """The apps, filled; and a folder with a configuration for them. Both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="twoway-demo-") as name:
        folder = Path(name)
        arguments = ["--hubspot", "0", "--mailchimp", "0", "--zendesk", "0", "--demo"]
        apps = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "twoway.sandbox", *arguments], stdout=subprocess.PIPE, env=os.environ
        )
        try:
            assert apps.stdout is not None  # noqa: S101 - it was asked for
            urls = json.loads(apps.stdout.readline())
            found = Stage(folder, urls, console)
            _fill(found)
            _configure(folder, urls)
            yield found
        finally:
            apps.kill()
            apps.wait()


def _fill(stage: Stage) -> None:
    for body in (
        {
            "name": "interests",
            "label": "Interests",
            "type": "enumeration",
            "fieldType": "checkbox",
            "groupName": "contactinformation",
            "options": [{"value": one, "label": one} for one in ("news", "events", "vip")],
        },
        {
            "name": "newsletter_optout",
            "label": "Opted out of the newsletter",
            "type": "bool",
            "fieldType": "booleancheckbox",
            "groupName": "contactinformation",
            "options": [{"value": one, "label": one} for one in ("true", "false")],
        },
    ):
        stage.ask("hubspot", "/crm/v3/properties/contacts", body)
    path = f"/3.0/lists/{AUDIENCE}/merge-fields"
    stage.ask("mailchimp", path, {"tag": "NAME", "name": "Name", "type": "text"})
    # The demo asks far more often than anybody would.
    stage.ask("zendesk", "/_sandbox/settings", {"export_limit": 0, "export_left_out": 0, "rate_limit": 0})
    stage.ask("hubspot", "/_sandbox/load", {"collection": "contacts", "records": list(people.contacts())})
    stage.ask("mailchimp", "/_sandbox/load", {"records": list(people.members())})
    stage.ask("zendesk", "/_sandbox/load", {"collection": "users", "records": list(people.users())})


def _configure(folder: Path, urls: Mapping[str, str]) -> None:
    (folder / "pairs").mkdir()
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "config.yaml").write_text(CONFIG.format(**urls), encoding="utf-8")
    (folder / "pairs" / "crm-newsletter.yaml").write_text(NEWSLETTER, encoding="utf-8")
    (folder / "pairs" / "crm-helpdesk.yaml").write_text(HELPDESK, encoding="utf-8")
    for name, secret in (("crm", "pat-sandbox"), ("newsletter", "sandbox-us1"), ("helpdesk", "zendesk-token")):
        path = folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(secret, encoding="utf-8")
