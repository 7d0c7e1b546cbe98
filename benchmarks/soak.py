"""A daemon that is killed over and over while people edit: `python -m benchmarks.soak --minutes 30`.

HubSpot and Mailchimp look-alikes, random edits on both sides, `twoway run` under a supervisor that kills it with
signal 9 every so often and starts it again. In the end the apps' own logs are the judge: see `benchmarks.verdict`.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import contacts
from benchmarks.stage import Apps, Product, app_accounts, write_config
from benchmarks.verdict import Verdict, judge
from twoway.core.plan import State

PEOPLE = 120
LAG = 1
"""Seconds that HubSpot's search is behind; the accounts are told so."""
SETTLES_WITHIN = 120.0
"""Seconds in which everything must have come to rest after the last edit."""
PHONES = ("+14155550{:03}", "")
ENGINE = {"retry": "2s", "duplicate_retry": "2s"}
SETTINGS = {"hubspot": {"index_lag": LAG, "rate_limit": 0, "search_limit": 0, "daily_limit": 0}}


class Result(NamedTuple):
    """What was done, and what the logs say of it."""

    edits: int
    kills: int
    api_writes: int
    verdict: Verdict
    quiet: bool


class Crowd:
    """People who edit, from both apps' own pages; `seed` decides everything."""

    def __init__(self, apps: Apps, seed: int) -> None:
        self._apps = apps
        self._chance = random.Random(seed)
        self._people = PEOPLE
        self.edits = 0

    def act(self) -> None:
        """One edit, somewhere."""
        app = self._chance.choice(("hubspot", "mailchimp"))
        self.edits += 1
        if self._chance.random() < 0.06:
            self._create(app)
            return
        live = [record for record in self._apps.records(app) if app == "hubspot" or record["status"] == "subscribed"]
        if not live:
            return
        record = self._chance.choice(live)
        what = self._chance.choice(("given", "phone", "interests", "email"))
        # A member's `id` is the hash of its address, which a write of ours may just have changed.
        record_id = record["id"] if app == "hubspot" else record["contact_id"]
        self._apps.human(app, kind="update", id=record_id, fields=self._change(app, what))

    def _create(self, app: str) -> None:
        self._people += 1
        email, given, family = f"person{self._people}@example.com", "Neu", f"Person-{self._people}"
        fields: dict[str, Any] = {"email": email, "firstname": given, "lastname": family}
        if app == "mailchimp":
            fields = {"email_address": email, "merge_fields": {"FNAME": given, "LNAME": family}}
        self._apps.human(app, kind="create", fields=fields)

    def _change(self, app: str, what: str) -> dict[str, Any]:
        number = self._chance.randrange(1_000)
        phone = self._chance.choice(PHONES).format(number)
        interests = [one for one in contacts.INTERESTS if self._chance.random() < 0.5]
        if app == "hubspot":
            # A new address is one that nobody had before: people are told apart by their family name alone.
            given = {"given": ("firstname", f"Given {number}"), "phone": ("phone", phone)}
            more = {"interests": ("interests", ";".join(interests)), "email": ("email", self._address())}
            return dict([(given | more)[what]])
        match what:
            case "interests":
                return {"tags": interests}
            case "phone":
                return {"merge_fields": {"PHONE": phone}}
            case _:
                return {"merge_fields": {"FNAME": f"Given {number}"}}

    def _address(self) -> str:
        return f"moved{self.edits}@example.com"


class Daemon:
    """`twoway run`, and a supervisor's view of it."""

    def __init__(self, config: Path) -> None:
        self._command = [sys.executable, "-m", "twoway", "--config", str(config), "run"]
        self._log = (config.parent / "daemon.log").open("ab")
        self.kills = 0
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        """Signal 9, wherever it stands; then start it again."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self._process = self._start()

    def check(self) -> None:
        """It must not have ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the daemon ended by itself with exit code {self._process.returncode}")

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()


def soak(folder: Path, *, seconds: float, kill_every: float, interval: str, pause: float, seed: int) -> Result:
    """Let it run for so long, with an edit every `pause` seconds; then judge."""
    with Apps("hubspot", "mailchimp", settings=SETTINGS) as apps:
        apps.add_properties(contacts.INTERESTS_PROPERTY)
        apps.load("hubspot", [_seed(number) for number in range(PEOPLE)])
        mapping = contacts.MAPPING.replace("every: 1s", f"every: {interval}, jitter: 0s").replace(
            "guard: { creates: 100%,", "guard: { creates: 100%, blanks: 100%,"
        )
        accounts = app_accounts(apps.urls, lag=f"{LAG}s", request_lifetime="1s")
        config = write_config(folder, accounts, [mapping], engine=ENGINE)
        with Product(config) as product:
            product.plan(contacts.PAIR)
            product.approve(contacts.PAIR)
        crowd, daemon = Crowd(apps, seed), Daemon(config)
        try:
            _live(crowd, daemon, seconds, kill_every, pause)
        finally:
            daemon.stop()
        with Product(config) as product:
            settled = _until(lambda: _settled(apps, product), SETTLES_WITHIN)
            quiet = settled and _quiet(apps, product)
            verdict = judge(apps, product, contacts.PAIR)
        writes = sum(entry["who"] == "api" for app in apps.urls for entry in apps.log(app))
        return Result(crowd.edits, daemon.kills, writes, verdict, quiet)


def _seed(number: int) -> dict[str, Any]:
    email = f"person{number}@example.com"
    return {"properties": {"email": email, "firstname": "First", "lastname": f"Person-{number}", "interests": "news"}}


def _live(crowd: Crowd, daemon: Daemon, seconds: float, kill_every: float, pause: float) -> None:
    started = time.monotonic()
    killed = started
    while (now := time.monotonic()) < started + seconds:
        daemon.check()
        crowd.act()
        if now > killed + kill_every:
            daemon.kill()
            killed = now
        time.sleep(pause)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _settled(apps: Apps, product: Product) -> bool:
    """The search shows all, nothing is in flight or waits to be decided, and a cycle found nothing to write."""
    if not _indexed(apps) or _written(apps, lambda: product.sync(contacts.PAIR)):
        return False
    pair = product.store.pairs.ensure(contacts.PAIR).id
    in_flight = product.store.operations.in_state(pair, State.SENT, State.UNKNOWN)
    return not in_flight and product.store.observations.next_due(pair) is None


def _indexed(apps: Apps) -> bool:
    """Whether HubSpot's search shows its latest write: until then a cycle that writes nothing says nothing."""
    return all(entry["at"] + LAG < time.time() for entry in apps.log("hubspot")[-1:])


def _quiet(apps: Apps, product: Product) -> bool:
    """Whether the next cycle writes nothing, as the apps see it."""
    return not _written(apps, lambda: product.sync(contacts.PAIR))


def _written(apps: Apps, work: Callable[[], object]) -> bool:
    before = {app: len(apps.log(app)) for app in apps.urls}
    work()
    return any(apps.log(app, number) for app, number in before.items())


def main() -> None:
    """Soak, judge and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kill-every", type=float, default=30, metavar="SECONDS")
    parser.add_argument("--interval", default="2s", help="of the pair's cycles")
    parser.add_argument("--pause", type=float, default=0.1, metavar="SECONDS", help="between two edits")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twoway-soak-") as folder:
        found = soak(
            Path(folder) / "config",
            seconds=options.minutes * 60,
            kill_every=options.kill_every,
            interval=options.interval,
            pause=options.pause,
            seed=options.seed,
        )
    print(f"{found.edits} human edits, {found.kills} kills, {found.api_writes} writes of ours")
    print(found.verdict.text())
    print(f"the next cycle writes nothing: {'yes' if found.quiet else 'NO'}")
    sys.exit(0 if found.quiet and found.verdict.fine else 1)


if __name__ == "__main__":
    main()
