"""How long a first sync takes under the vendors' published limits: `python -m benchmarks.limits --contacts 5000`.

The look-alike apps limit as their vendors say of the smallest plan; the connectors run with their default settings.
*Shortest* is the time of the fewest requests at the published rates, one app after the other, as nothing is written
before everything was listed. A first window's worth may go at once, which is not deducted: ten seconds of HubSpot's
time and a minute of Zendesk's, however many the records are. *Paced* is the same at the connectors' default rates, with
what is read again because it was read too long ago.

HubSpot   100 requests in 10 s, developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
Mailchimp 10 connections and no rate, mailchimp.com/developer/marketing/docs/fundamentals
Zendesk   200 requests and 10 exports a minute, 30 jobs, developer.zendesk.com/api-reference/introduction/rate-limits
"""

import argparse
import json
import re
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from pathlib import Path
from typing import Any

from benchmarks import contacts
from benchmarks.stage import SECRETS, Apps, Product, app_accounts, write_config
from twoway_connectors.hubspot.wire import RATE
from twoway_connectors.mailchimp.factory import REQUESTS_A_SECOND
from twoway_connectors.zendesk.factory import PLANS, SHARE

MANY = 100_000
SOURCE_AGE = 60.0
"""Seconds after which a record is read again before it is carried over: the default of `engine.source_age`."""
PUBLISHED: Mapping[str, float] = {"hubspot": 10.0, "mailchimp": inf, "zendesk": 200 / 60}
PACED: Mapping[str, float] = {"hubspot": RATE, "mailchimp": REQUESTS_A_SECOND, "zendesk": PLANS["team"] * SHARE / 60}
PAGE: Mapping[str, int] = {"hubspot": 100, "mailchimp": 1000, "zendesk": 100}
FETCH: Mapping[str, int] = {"hubspot": 100, "mailchimp": 1, "zendesk": 100}
CONNECTIONS: Mapping[str, int] = {"hubspot": 4, "mailchimp": 8, "zendesk": 4}
BATCH: Mapping[str, int] = {"hubspot": 100, "mailchimp": 500, "zendesk": 100}
HELPDESK = """\
pair: crm-helpdesk
left: { account: crm, collection: contacts }
right: { account: helpdesk, collection: users }
start: left
match: [email]
conflict: left
scope: { right: 'role == "end-user"' }
on_create:
  right: { role: end-user }
fields:
  email: { left: email, right: email, type: email }
  name: { left: { join: [firstname, lastname], split: last }, right: name, blank: fill }
  phone: { left: phone, right: phone, type: phone, region: US }
  role: { right: role, type: choice }
schedule: { every: 1s, settle: 0s }
guard: { creates: 100%, max_writes: 1000000 }
"""


@dataclass(frozen=True)
class Case:
    """Everybody is in one app, and nobody in the other. `requests` are those of one batch of creates."""

    gives: str
    takes: str
    note: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    requests: int = 1
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.gives}-{self.takes}{self.note}"

    def seconds(self, count: int, rates: Mapping[str, float], *, age: float = inf, latency: float = 0.0) -> float:
        """Of the fewest requests; and of reading everything again, if all of it takes more than `age` seconds.

        A page is asked for after the one before it; other requests go several at a time.
        """
        pace = {app: max(1 / rates[app], latency / CONNECTIONS[app]) for app in (self.gives, self.takes)}
        listing = ceil(count / PAGE[self.gives]) * max(1 / rates[self.gives], latency)
        creating = ceil(count * self.requests / BATCH[self.takes]) * pace[self.takes]
        again = ceil(count / FETCH[self.gives]) * pace[self.gives] if listing + creating > age else 0.0
        return listing + again + creating


# How fast a job works is not published: here it only waits a second. One by one is what an account of Zendesk gets that
# has not asked for bulk imports.
_BULK = {"bulk_import": True, "job_record_seconds": 0}
CASES = (
    Case("hubspot", "mailchimp"),
    Case("mailchimp", "hubspot"),
    Case("hubspot", "zendesk", "-bulk", _BULK, requests=2),
    Case("hubspot", "zendesk", "-one-by-one", requests=BATCH["zendesk"], share=0.1),
    Case("zendesk", "hubspot", settings=_BULK),
)


class LimitedApps(Apps):
    """The apps with their own defaults, which are the published limits of the smallest plans."""

    def __init__(self, case: Case, latency: float) -> None:
        desk = {"rate_limit": PLANS["team"], **case.settings}
        super().__init__(case.gives, case.takes, settings={"zendesk": desk})
        for app in self.urls if latency else ():
            self.ask(app, "/_sandbox/faults", {"kind": "latency", "seconds": latency, "times": 0})

    def ask(self, app: str, path: str, body: Any = None) -> Any:
        """Zendesk is only asked for what needs no login."""
        if app in SECRETS:
            return super().ask(app, path, body)
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self.urls[app] + path, data, timeout=120) as answer:
            return json.load(answer)

    def accounts(self) -> dict[str, dict[str, Any]]:
        """At the connectors' default rates."""
        found = app_accounts(self.urls)
        del found["crm"]["settings"]["rate"]
        if "zendesk" in self.urls:
            settings = {"base_url": f"{self.urls['zendesk']}/api/v2", "email": "admin@desk.example"}
            found["helpdesk"] = {"app": "zendesk", "settings": settings, "secrets": {"api_token": "zendesk-token"}}
        return found

    def addresses(self, app: str) -> list[str]:
        """The e-mail addresses of everybody there, sorted."""
        key = {"hubspot": "email", "mailchimp": "email_address", "zendesk": "email"}[app]
        shown = (record["properties"] if app == "hubspot" else record for record in self.records(app))
        return sorted(record[key] for record in shown if record.get("role", "end-user") == "end-user")


def people(app: str, count: int) -> Iterator[dict[str, Any]]:
    """The contacts of the other benchmarks, in the words of an app."""
    for contact in contacts.contacts(count):
        of = contact["properties"]
        merged = {"FNAME": of["firstname"], "LNAME": of["lastname"], "PHONE": of["phone"]}
        member = {"email_address": of["email"], "merge_fields": merged, "tags": of["interests"].split(";")}
        user = {"email": of["email"], "name": f"{of['firstname']} {of['lastname']}", "phone": of["phone"]}
        yield {
            "hubspot": contact,
            "mailchimp": {**member, "last_changed": contact["updatedAt"]},
            "zendesk": {**user, "role": "end-user"},
        }[app]


def measure(folder: Path, case: Case, count: int, latency: float) -> None:
    """Carry out a first sync of so many, check it, and print what it took."""
    desk = "zendesk" in (case.gives, case.takes)
    pair, mapping = ("crm-helpdesk", HELPDESK) if desk else (contacts.PAIR, contacts.MAPPING)
    with LimitedApps(case, latency) as apps:
        apps.add_properties(contacts.INTERESTS_PROPERTY)
        apps.load(case.gives, list(people(case.gives, count)))
        config = write_config(folder, apps.accounts(), [mapping])
        with Product(config) as product:
            product.plan(pair)
            product.approve(pair)
        before = {app: len(apps.requests(app)) for app in apps.urls}
        with Product(config) as product:
            started = time.monotonic()
            product.sync(pair)
            took = time.monotonic() - started
        made = {app: apps.requests(app, since) for app, since in before.items()}
        wanted = sorted(f"person{number}@example.com" for number in range(count))
        for app in apps.urls:
            if apps.addresses(app) != wanted:
                raise RuntimeError(f"{case.name}: {app} does not hold each of the {count} records once")
    shortest, paced = case.seconds(count, PUBLISHED), case.seconds(count, PACED, age=SOURCE_AGE, latency=latency)
    print(f"{case.name}: {count} records in {took:.1f} s, {count / took:.0f} a second; both apps hold each once")
    for app, entries in made.items():
        paths = Counter(f"{entry['method']} {re.sub(r'[^/]{20,}', 'ID', entry['path'])}" for entry in entries)
        print(f"  {app}: {len(entries)} requests, {sum(entry['status'] == 429 for entry in entries)} answered 429")
        print("".join(f"    {number:6}  {what}\n" for what, number in paths.most_common()), end="")
    print(f"  shortest {shortest:.1f} s: it took {took / shortest:.2f} times that")
    print(f"  paced {paced:.1f} s: it took {took / paced:.2f} times that")
    shortest, all_paced = case.seconds(MANY, PUBLISHED), case.seconds(MANY, PACED, age=SOURCE_AGE, latency=latency)
    shown = f"shortest {shortest:.0f} s, paced {all_paced:.0f} s, by this run {all_paced * took / paced:.0f} s"
    print(f"  {MANY} records: {shown}")


def main() -> None:
    """Measure the cases, one after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--contacts", type=int, default=5000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer takes")
    parser.add_argument("--case", choices=[case.name for case in CASES], action="append")
    options = parser.parse_args()
    for case in CASES:
        if options.case is None or case.name in options.case:
            with tempfile.TemporaryDirectory(prefix="twoway-limits-") as folder:
                measure(Path(folder) / "config", case, round(options.contacts * case.share), options.latency)


if __name__ == "__main__":
    main()
