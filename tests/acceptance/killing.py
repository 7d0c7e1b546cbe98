"""A stage on which the product is killed over and over from the same beginning, and the judge of what is left.

The look-alike apps are served by this process, and so outlive every kill; they and the state file can be put back to
how they were. What is judged are the apps' own contents and their own logs of accepted writes.
"""

import asyncio
import copy
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.stage import app_accounts, write_config
from starlette.types import Message, Receive, Scope, Send

from tests.acceptance.victim import Ahead, Answer
from twoway.sandbox.clock import RealClock
from twoway.sandbox.faults import ConnectionDropped
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.hubspot_properties import custom
from twoway.sandbox.kit import VendorApp
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.server import Sandbox
from twoway.sandbox.store import Write

ROOT = Path(__file__).parents[2]
INTERESTS = ("news", "events", "vip")
MAPPING = """\
pair: crm-newsletter
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: left
match: [email]
conflict: review
delete: { on_left: archive, on_right: archive }
on_create:
  right: { status: subscribed }
fields:
  email: { left: email, right: email_address, type: email }
  given: { left: firstname, right: merge_fields.FNAME }
  family: { left: lastname, right: merge_fields.LNAME }
  phone: { left: phone, right: merge_fields.PHONE, type: phone, region: US, conflict: left }
  interests: { left: interests, right: tags, type: set }
schedule: { every: 1m, settle: 0s }
guard: { creates: 100%, deletes: 100%, blanks: 100% }
"""
SIDES = {"hubspot": "left", "mailchimp": "right"}
NAMES = {
    "hubspot": {
        "email": "email",
        "firstname": "given",
        "lastname": "family",
        "phone": "phone",
        "interests": "interests",
    },
    "mailchimp": {
        "email_address": "email",
        "merge_fields.FNAME": "given",
        "merge_fields.LNAME": "family",
        "merge_fields.PHONE": "phone",
        "tags": "interests",
    },
}
"""The mapped fields as the apps' logs name them."""
Point = tuple[str, int]
"""A fault point's name, and how often it has been passed when the process dies there."""
_READS = ("/search", "/batch/read")


class AppClock(RealClock):
    """The apps' clock: the same as the product's, and the same one in every copy of an app."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead

    def now(self) -> float:
        return super().now() + self._ahead.seconds

    def __deepcopy__(self, _memo: object) -> Self:
        return self


class Person(NamedTuple):
    """A record's mapped values. The family name is who somebody is, and is never edited."""

    email: str | None
    given: str | None
    phone: str | None = None
    interests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What must be there in the end, wherever the process died: `both` are the people in both apps, by family name.

    `left` and `right` hold those of whom the two apps hold different things on purpose. `created` are the addresses
    with which the product made records, by app, and `removed` the family names of those that it archived.
    """

    both: Mapping[str, Person]
    left: Mapping[str, Person] = field(default_factory=dict)
    right: Mapping[str, Person] = field(default_factory=dict)
    created: Mapping[str, Iterable[str]] = field(default_factory=dict)
    removed: Mapping[str, Iterable[str]] = field(default_factory=dict)
    conflicts: frozenset[str] = frozenset()
    """Fields that are in open conflict."""
    parked: frozenset[str] = frozenset()
    """The codes of the records that are set aside."""
    linked: Iterable[str] | None = None
    """Who is linked, where that is not everybody who is in both apps."""


class Stand:
    """An app that can be put back to what it was, and that may kill its client while a request to it is under way."""

    def __init__(self, stage: "Stage", app: VendorApp) -> None:
        self.app = app
        self._stage = stage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whole = dict(await receive())
        while whole.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                whole = dict(message)
                break
            whole |= {"body": whole["body"] + message["body"], "more_body": message.get("more_body", False)}

        async def again() -> Message:
            return whole

        if self._stage.arrived(scope["method"], scope["path"]):
            await self.app(scope, again, send)
            return
        self._stage.on_its_way = lambda: self.app(scope, again, _nobody)
        raise ConnectionDropped("held back")


async def _nobody(_message: Message) -> None:
    """Who would have got the answer is dead."""


class Scene(NamedTuple):
    """How everything was at one moment."""

    apps: Mapping[str, VendorApp]
    state: Mapping[Path, bytes]
    """The state file, and what is yet to be moved into it from beside it."""


class Stage:
    """The apps, a configuration for them, and the process from which those that are killed are forked."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._ahead = Ahead(folder / "ahead")
        clock = AppClock(self._ahead)
        hubspot = HubSpotApp(clock=clock)
        hubspot.objects["contacts"].define(custom(_interests(), clock.now()))
        self._stands: dict[str, Stand] = {
            "hubspot": Stand(self, hubspot),
            "mailchimp": Stand(self, MailchimpApp(clock=clock)),
        }
        self._sandbox = Sandbox(**self._stands).start()
        self.state = folder / "config" / "twoway.db"
        accounts = app_accounts(self._sandbox.urls)
        config = write_config(folder / "config", accounts, [MAPPING])
        self._victim: int | None = None
        self._dies_at: int | None = None
        self._holds_back = False
        self.on_its_way: Callable[[], Coroutine[Any, Any, None]] | None = None
        """A request of a dead process that has yet to take effect."""
        self.writes = 0
        """Requests that ask for a change, since the last process was started."""
        self._log = (folder / "victim.log").open("wb")
        command = [sys.executable, "-m", "tests.acceptance.victim", str(config), str(folder / "ahead")]
        self._warm = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.close()
        self._warm.wait(30)
        self._warm.stdout.close()
        self._log.close()
        self._sandbox.stop()

    # -- the apps

    @property
    def hubspot(self) -> VendorApp:
        return self._stands["hubspot"].app

    @property
    def mailchimp(self) -> VendorApp:
        return self._stands["mailchimp"].app

    @property
    def apps(self) -> dict[str, VendorApp]:
        return {name: stand.app for name, stand in self._stands.items()}

    def load(self, people: Iterable[tuple[str, "Person"]]) -> None:
        """People whom both apps have had for long: in no log."""
        for family, one in people:
            values = {"email": one.email, "firstname": one.given, "lastname": family, "phone": one.phone}
            self.hubspot.load([{"properties": {**values, "interests": ";".join(one.interests)}}])
            merged = {"FNAME": one.given, "LNAME": family, "PHONE": one.phone}
            self.mailchimp.load([{"email_address": one.email, "merge_fields": merged, "tags": list(one.interests)}])

    def later(self, seconds: float = 600.0) -> None:
        """Let time pass: without a word ten minutes, longer than any index lags."""
        self._ahead.add(seconds)

    def land(self) -> None:
        """Let the request take effect that was held back."""
        assert self.on_its_way is not None
        asyncio.run(self.on_its_way())
        self.on_its_way = None

    def scene(self) -> Scene:
        """How everything is now, to go back to."""
        files = (self.state, self.state.with_name(f"{self.state.name}-wal"))
        return Scene(copy.deepcopy(self.apps), {path: path.read_bytes() for path in files if path.exists()})

    def back_to(self, scene: Scene) -> None:
        """Put the apps and the state file back."""
        for name, app in copy.deepcopy(dict(scene.apps)).items():
            self._stands[name].app = app
        for path in self.state.parent.glob("twoway.db*"):
            path.unlink()
        for path, content in scene.state.items():
            path.write_bytes(content)
            path.chmod(0o600)

    # -- processes

    def run(self, *tasks: Iterable[Any], statements: bool = False) -> Answer:
        """A process that lives to its end: what its tasks told. AssertionError if it did not end well."""
        ended, told = self._process({"tasks": tasks, "die": None, "statements": statements})
        assert ended == 0, told or self._log.name
        return told

    def kill(self, at: Point | int, *tasks: Iterable[Any]) -> bool:
        """A process that dies of signal 9 at a fault point, or while its request of this number is under way, of those
        that ask for a change: that one takes effect, and nobody is there for the answer. Whether it got there."""
        if isinstance(at, int):
            return self._ended(*self._process({"tasks": tasks, "die": None}, dies_at=at))
        return self._ended(*self._process({"tasks": tasks, "die": at}))

    def kill_while_on_its_way(self, number: int, *tasks: Iterable[Any]) -> bool:
        """The same, with a request that is held up somewhere: it does not take effect before `land`."""
        self._holds_back = True
        try:
            return self.kill(number, *tasks)
        finally:
            self._holds_back = False

    def kill_after_commits(self, number: int, *tasks: Iterable[Any]) -> bool:
        """A process that dies wherever it stands when we hear of its commit of this number."""
        return self._ended(*self._process({"tasks": tasks, "die": None}, dies_after=number))

    def _ended(self, ended: int, told: Answer) -> bool:
        assert ended in (0, -signal.SIGKILL), told
        return ended == -signal.SIGKILL

    def _process(
        self, order: Mapping[str, Any], dies_at: int | None = None, dies_after: int | None = None
    ) -> tuple[int, Answer]:
        self._say(order)
        self._victim, self._dies_at, self.writes = int(self._hear()["pid"]), dies_at, 0
        self._say("go")
        told: Answer = {}
        while "ended" not in (line := self._hear()):
            if "ask" in line:
                self._say(self.writes)
            elif "committed" not in line:
                told = line
            elif line["committed"] == dies_after:
                os.kill(self._victim, signal.SIGKILL)
        self._victim = None
        return int(line["ended"]), told.get("answer", told)

    def _say(self, what: object) -> None:
        assert self._warm.stdin is not None
        self._warm.stdin.write(json.dumps(what).encode() + b"\n")
        self._warm.stdin.flush()

    def _hear(self) -> Answer:
        assert self._warm.stdout is not None
        line = self._warm.stdout.readline()
        assert line, f"the process from which the others are forked has ended: {self._log.name}"
        found: Answer = json.loads(line)
        return found

    def arrived(self, method: str, path: str) -> bool:
        """A request has come in whole: whether it takes effect now. In the apps' thread."""
        if method == "GET" or path.endswith(_READS):
            return True
        self.writes += 1
        if self.writes != self._dies_at or self._victim is None:
            return True
        os.kill(self._victim, signal.SIGKILL)
        return not self._holds_back

    # -- the judge

    def judge(self, wanted: Outcome, told: Answer) -> list[str]:
        """What is wrong, of `wanted` and of what must hold whatever was wanted; `told` is the state's `look`."""
        return [
            *self._contents(wanted),
            *self._counterparts(wanted, told),
            *self._writes(wanted),
            *self._attention(wanted, told),
            *self._words(told),
            *(["something is still in flight"] if told["in_flight"] else []),
        ]

    def _contents(self, wanted: Outcome) -> list[str]:
        found = []
        for app, other in (("hubspot", wanted.left), ("mailchimp", wanted.right)):
            people = self.people(app)
            expected = {**wanted.both, **other}
            found += [f"{app} has {name} {len(records)} times" for name, records in people.items() if len(records) > 1]
            now = {name: records[0][1] for name, records in people.items()}
            found += [
                f"{app} {name}: {now.get(name)}, not {expected.get(name)}"
                for name in sorted({*now, *expected})
                if now.get(name) != expected.get(name)
            ]
        return found

    def _counterparts(self, wanted: Outcome, told: Answer) -> list[str]:
        """Who is in both apps is linked to just that one, and nobody else is linked."""
        alike = wanted.linked
        if alike is None:
            alike = [*wanted.both, *(name for name in wanted.left if name in wanted.right)]
        people = {app: {name: records[0][0] for name, records in self.people(app).items()} for app in SIDES}
        expected = sorted([people["hubspot"].get(name, ""), people["mailchimp"].get(name, "")] for name in alike)
        return [] if sorted(told["links"]) == expected else [f"linked are {told['links']}, not {expected}"]

    def _writes(self, wanted: Outcome) -> list[str]:
        """Nothing was made or removed but what had to be, and that once, by the apps' own logs."""
        found = []
        for app in SIDES:
            name = "email" if app == "hubspot" else "email_address"
            ours = [entry for entry in self.apps[app].log.since() if entry.who == "api"]
            made = Counter(entry.fields[name][1] for entry in ours if entry.kind == "create")
            if made != Counter(wanted.created.get(app, ())):
                found.append(f"{app}: we created {dict(made)}")
            removed = Counter(self._family(app, entry) for entry in ours if entry.kind == "delete")
            if removed != Counter(wanted.removed.get(app, ())):
                found.append(f"{app}: we removed {dict(removed)}")
        return found

    def _family(self, app: str, entry: Write) -> str:
        return next(str(values["family"]) for key, values, _ in self._records(app) if key == entry.id)

    @staticmethod
    def _attention(wanted: Outcome, told: Answer) -> list[str]:
        conflicts, parked = {row[2] for row in told["conflicts"]}, {row[2] for row in told["parked"]}
        found = [] if conflicts == wanted.conflicts else [f"in conflict: {told['conflicts']}"]
        return found + ([] if parked == wanted.parked else [f"set aside: {told['parked']}"])

    def _words(self, told: Answer) -> list[str]:
        """Every person's last word on a field is in both apps, in the history, in an open conflict, or in a record that
        has no counterpart to be carried over to."""
        now = {app: {key: values for key, values, live in self._records(app) if live} for app in SIDES}
        replaced = {(side, key, name, _plain(old)) for side, key, name, old in told["history"]}
        waiting = {(row[0], row[1], row[2]) for row in told["conflicts"]}
        linked = {app: {link[at]: link for link in told["links"]} for at, app in enumerate(SIDES)}
        lost = []
        for (app, key, name), value in self._last_words().items():
            ids = linked[app].get(key, [key] if app == "hubspot" else ["", key])
            held = [now[one].get(record, {}).get(name) for one, record in zip(SIDES, ids, strict=False) if record]
            kept = all(one == value for one in held) or ((*ids, name) in waiting and now[app][key][name] == value)
            overwritten = any(
                (side, record, name, value) in replaced for side, record in zip(SIDES.values(), ids, strict=False)
            )
            if not (kept or overwritten or self._took_away(app, key)):
                lost.append(f"LOST: {app} {key} {name} {value!r}: {held}")
        return lost

    def _took_away(self, app: str, key: str) -> bool:
        """Whether a person deleted the record, or merged it into another."""
        return any(
            entry.who == "human"
            and ((entry.kind == "delete" and entry.id == key) or entry.fields.get("_merged", ("", ""))[1] == key)
            for entry in self.apps[app].log.since()
        )

    def _last_words(self) -> dict[tuple[str, str, str], object]:
        return {
            (app, entry.id, name): _read(new)
            for app in SIDES
            for entry in self.apps[app].log.since()
            if entry.who == "human" and entry.kind in ("create", "update")
            for logged, (_, new) in entry.fields.items()
            if (name := NAMES[app].get(logged)) is not None
        }

    def people(self, app: str) -> dict[str, list[tuple[str, Person]]]:
        """The live records by family name: id and values."""
        found: dict[str, list[tuple[str, Person]]] = {}
        for key, values, live in self._records(app):
            if live:
                family = str(values["family"])
                rest: Mapping[str, Any] = {name: value for name, value in values.items() if name != "family"}
                found.setdefault(family, []).append((key, Person(**{**rest, "interests": rest["interests"] or ()})))
        return found

    def _records(self, app: str) -> list[tuple[str, dict[str, object], bool]]:
        """Every record that the app has or had: id, mapped values, and whether it is live."""
        collection = self.apps[app].collections["contacts" if app == "hubspot" else LIST_ID]
        name_of = str if app == "hubspot" else "{:032x}".format
        return [
            (
                name_of(record.id),
                {name: _read(record.fields.get(logged)) for logged, name in NAMES[app].items()},
                not record.deleted,
            )
            for record in collection
        ]


def _read(value: object) -> object:
    """A value as both apps mean it: a set of words is a sorted tuple, nothing is `None`."""
    if isinstance(value, str) and value and set(value.split(";")) <= set(INTERESTS):
        return tuple(sorted(value.split(";")))
    return _plain(value)


def _plain(value: object) -> object:
    return (tuple(sorted(value)) or None) if isinstance(value, list | tuple) else value or None


def _interests() -> dict[str, Any]:
    options = [{"value": one, "label": one} for one in INTERESTS]
    return {
        "name": "interests",
        "type": "enumeration",
        "fieldType": "checkbox",
        "groupName": "contactinformation",
        "options": options,
    }
