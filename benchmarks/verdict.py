"""What the apps' own logs say after a soak: is every person's last word still there, or accounted for?

For each field of each record the last edit that a person made on a side must be what both apps hold now, or be in the
history of replaced values. One loss is allowed for, and counted: neither app knows conditional writes, so an edit that
is made between our last look at a record and our write to it is overwritten unseen (docs/reliability.md). A record that
is set aside, because whether a lost create landed cannot be told, is with a person: it is counted, and is no loss.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.stage import Apps, Product
from twoway.core.model import Side

SIDES: Mapping[str, Side] = {"hubspot": Side.LEFT, "mailchimp": Side.RIGHT}
NAMES: Mapping[str, Mapping[str, str]] = {
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


class Said(NamedTuple):
    """The last edit of a field by a person, on one side."""

    app: str
    record: str
    name: str
    value: object
    at: float


@dataclass
class Verdict:
    """What was found. `unseen` are the edits that the documented limit covers."""

    said: int = 0
    kept: int = 0
    in_history: int = 0
    with_a_person: int = 0
    unseen: list[Said] = field(default_factory=list)
    lost: list[Said] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    """Records that wait for a person, with the reason that people are told."""

    @property
    def fine(self) -> bool:
        """Whether all invariants hold."""
        return not (self.lost or self.twice or self.alone or self.differing)

    def text(self) -> str:
        """For people."""
        first = (
            f"{self.said} last words of people: {self.kept} on both sides, {self.in_history} in the history, "
            f"{self.with_a_person} set aside, {len(self.unseen)} overwritten between our look and our write, "
            f"{len(self.lost)} LOST"
        )
        lines = [first]
        lines += [f"LOST: {said}" for said in self.lost]
        lines += [f"overwritten unseen: {said}" for said in self.unseen]
        lines += [f"TWO COUNTERPARTS: {who}" for who in self.twice]
        lines += [f"NO COUNTERPART: {who}" for who in self.alone]
        lines += [f"DIFFERS: {what}" for what in self.differing]
        lines += [f"set aside: {what}" for what in self.set_aside]
        return "\n".join(lines)


def judge(apps: Apps, product: Product, pair: str) -> Verdict:
    """Compare the apps' logs with what they hold and with the history."""
    verdict = Verdict()
    now = {app: {str(record["id"]): record for record in _shown(apps, app)} for app in SIDES}
    values = {app: {key: _values(app, record) for key, record in records.items()} for app, records in now.items()}
    number = product.store.pairs.ensure(pair).id
    parked = product.store.attention.parked(number)
    verdict.set_aside = [f"{row.side} {row.record_id}: {row.code}: {row.reason}" for row in parked]
    in_doubt = {(row.side, row.record_id) for row in parked if row.code == "in doubt"}
    _people(verdict, values, in_doubt)
    replaced = Counter(
        (row.side, row.record_id, row.field, _plain(row.old))
        for row in product.store.operations.history(pair=number, limit=None)
    )
    for said in _last_words(apps):
        verdict.said += 1
        link = product.store.links.of(number, SIDES[said.app], said.record)
        if link is None:
            if (SIDES[said.app], said.record) in in_doubt:
                verdict.with_a_person += 1
            else:
                verdict.lost.append(said)
            continue
        both = [values[app][link.ids[side]][said.name] for app, side in SIDES.items()]
        if all(value == said.value for value in both):
            verdict.kept += 1
        elif any((side, link.ids[side], said.name, said.value) in replaced for side in Side):
            verdict.in_history += 1
        elif _unseen(apps, said):
            verdict.unseen.append(said)
        else:
            verdict.lost.append(said)
    return verdict


def _people(
    verdict: Verdict, values: Mapping[str, Mapping[str, Mapping[str, object]]], in_doubt: AbstractSet[tuple[Side, str]]
) -> None:
    """Everybody is in both apps once, and alike. The family name is who somebody is: nobody edits it."""
    by_name: dict[str, dict[str, list[Mapping[str, object]]]] = {}
    for app, records in values.items():
        for record_id, record in records.items():
            if (SIDES[app], record_id) in in_doubt:
                continue
            by_name.setdefault(str(record["family"]), {}).setdefault(app, []).append(record)
    for name, apps in sorted(by_name.items()):
        if any(len(records) > 1 for records in apps.values()):
            verdict.twice.append(name)
        elif len(apps) < len(SIDES):
            verdict.alone.append(name)
        else:
            left, right = (apps[app][0] for app in SIDES)
            verdict.differing += [
                f"{name} {key}: {left[key]!r} {right[key]!r}" for key in left if left[key] != right[key]
            ]


def _shown(apps: Apps, app: str) -> Iterator[dict[str, Any]]:
    for record in apps.records(app):
        if app == "hubspot" and record.get("archived"):
            continue
        yield record if app == "hubspot" else {**record, "id": record["contact_id"]}


def _values(app: str, record: Mapping[str, Any]) -> dict[str, object]:
    if app == "hubspot":
        given = {name: _read(field, record["properties"].get(field)) for field, name in NAMES[app].items()}
    else:
        merged = {f"merge_fields.{tag}": value for tag, value in record["merge_fields"].items()}
        flat = {**record, **merged, "tags": [tag["name"] for tag in record["tags"]]}
        given = {name: _read(field, flat.get(field)) for field, name in NAMES[app].items()}
    return given


def _read(field_name: str, value: object) -> object:
    """A value as both apps mean it: a set of words is a sorted tuple, nothing is `None`."""
    if field_name == "interests":
        return tuple(sorted(str(value).split(";"))) if value else None
    if field_name == "tags":
        return tuple(sorted(map(str, value))) if isinstance(value, list | tuple) and value else None
    return value or None


def _plain(value: object) -> object:
    return (tuple(value) or None) if isinstance(value, list) else value or None


def _last_words(apps: Apps) -> Iterator[Said]:
    last: dict[tuple[str, str, str], Said] = {}
    for app in SIDES:
        for entry in apps.log(app):
            if entry["who"] != "human":
                continue
            for field_name, (_, new) in entry["fields"].items():
                name = NAMES[app].get(field_name)
                if name is not None:
                    value = _read(field_name, new)
                    last[app, entry["id"], name] = Said(app, entry["id"], name, value, entry["at"])
    yield from last.values()


def _unseen(apps: Apps, said: Said) -> bool:
    """Whether a write of ours replaced it before we had any chance to read it."""
    fields = {name for name, ours in NAMES[said.app].items() if ours == said.name}
    for entry in apps.log(said.app):
        if entry["who"] != "api" or entry["id"] != said.record or entry["at"] < said.at:
            continue
        for name in fields & entry["fields"].keys():
            if _read(name, entry["fields"][name][0]) == said.value:
                return not any(said.at < read["at"] < entry["at"] for read in _reads(apps, said))
    return False


def _reads(apps: Apps, said: Said) -> Iterator[dict[str, Any]]:
    """The requests by which we may have seen the record."""
    for request in apps.requests(said.app):
        path = str(request["path"])
        if said.app == "hubspot":
            # Search is behind by the index's lag: what it shows is no look at the record, and is fetched by id.
            if path.endswith(("/batch/read", "/objects/contacts")):
                yield request
        elif request["method"] == "GET" and (path.endswith("/members") or said.record in path):
            yield request
