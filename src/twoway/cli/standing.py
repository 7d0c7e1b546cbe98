"""What is known of one record in one pair, gathered from the whole state: what `twoway explain` tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twoway.cli import words
from twoway.cli.context import Place
from twoway.core.model import Side, Value
from twoway.core.rules import Direction
from twoway.state import queries
from twoway.state.attention import ConflictRow, ParkedRow
from twoway.state.operations import HistoryRow
from twoway.state.pairs import Status
from twoway.state.queries import Marked, Written
from twoway.state.rows import Link, Observation
from twoway.state.store import Store

_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All of it. `link` is `None` for a record that is linked to nothing; `linked_at` is ISO 8601."""

    place: Place
    link: Link | None
    linked_at: int | None
    conflicts: Mapping[str, ConflictRow]
    parked: tuple[ParkedRow, ...]
    mark: Marked | None
    seen: Mapping[Side, Observation]
    unfinished: tuple[Written, ...]
    accounts: Mapping[str, str]
    """The paused accounts of the pair: name and reason."""
    made: Mapping[Side, Written]
    """For each side, the write that created its record, if we did."""

    @property
    def ids(self) -> Mapping[Side, str]:
        return {self.place.side: self.place.record_id} if self.link is None else self.link.ids

    @property
    def known(self) -> bool:
        """Whether twoway has ever kept anything about this record."""
        return bool(self.link or self.parked or self.mark or self.seen or self.unfinished)


def gather(store: Store, place: Place) -> Standing:
    """Read everything that concerns a record."""
    pair, db = place.row.id, store.db
    link = store.links.of(pair, place.side, place.record_id)
    ids = {place.side: place.record_id} if link is None else link.ids
    parked = (queries.parked(db, pair, side, record_id) for side, record_id in ids.items())
    seen = {side: store.observations.get(pair, side, record_id) for side, record_id in ids.items()}
    made = {} if link is None else {side: queries.creation(db, pair, side, link.ids[side.other]) for side in Side}
    used = {place.pair.mapping.side(side).account for side in Side}
    rows = [] if link is None else [row for row in store.attention.conflicts(pair) if row.link == link.id]
    return Standing(
        place=place,
        link=link,
        linked_at=None if link is None else queries.linked_at(db, link.id),
        conflicts={row.field: row for row in rows},
        parked=tuple(row for row in parked if row is not None),
        mark=queries.mark(db, pair, place.side, place.record_id) if link is None else None,
        seen={side: row for side, row in seen.items() if row is not None},
        unfinished=tuple(queries.unfinished(db, pair, None if link is None else link.id, place.side, place.record_id)),
        accounts={name: why for name, (why, _) in store.pairs.paused_accounts().items() if name in used},
        made={side: row for side, row in made.items() if row is not None},
    )


def fields(store: Store, found: Standing, only: str | None) -> list[dict[str, Any]]:
    """Each mapped field: what both sides were last known to hold, and why."""
    return [
        _field(store, found, name)
        for name in sorted(found.place.pair.mapping.fields)
        if found.link is not None and only in (None, name)
    ]


def _field(store: Store, found: Standing, name: str) -> dict[str, Any]:
    link, names = found.link, found.place.names
    assert link is not None  # noqa: S101 - the caller has a link
    held = {side: link.bases[side].get(name, _MISSING) for side in Side}
    now = {side: row.values[name] for side, row in found.seen.items() if name in row.values and not row.hint}
    pair = found.place.row.id
    latest = [
        row
        for side in Side
        for row in store.operations.history(pair=pair, side=side, record_id=link.ids[side], field=name, limit=1)
    ]
    conflict = found.conflicts.get(name)
    return {
        "field": name,
        "values": {names[side]: value for side, value in held.items() if value is not _MISSING},
        "seen_since": {names[side]: value for side, value in now.items() if value != held[side]},
        "why": _why(found, name, held, max(latest, key=lambda row: row.operation, default=None)),
        "conflict": None if conflict is None else conflict.id,
    }


def _why(found: Standing, name: str, held: Mapping[Side, Value | object], row: HistoryRow | None) -> str:
    names = found.place.names
    if row is not None and row.state == "done":
        old, new = words.value(row.old), words.value(row.new)
        change = f"{names[row.side]} was changed from {old} to {new} on {words.when(row.at)} (cycle {row.cycle})"
        return f"{change}: {words.why(row.rule, row.side, names)}"
    if row is not None:
        state = "never took effect" if row.state == "never" else "has no known outcome yet"
        return f"a write of {words.value(row.new)} into {names[row.side]} (cycle {row.cycle}) {state}"
    rule = found.place.pair.mapping.rules.fields[name]
    for side, made in found.made.items():
        if name in made.operation.edit.changed:
            at = f" on {words.when(made.closed_at)}" if made.closed_at else ""
            return f"{names[side]} got it from {names[side.other]} when the record was created{at}"
    if rule.direction is Direction.ONE_SIDE:
        return "it lives in one app only: it serves to match and to choose records"
    if _MISSING in held.values():
        return "it has not been compared yet"
    if held[Side.LEFT] != held[Side.RIGHT]:
        return "the two differ, and stay so: an app's own form of the value, or an undo"
    return "both held the same when they were linked, or were changed alike; nothing was overwritten"


def following(found: Standing) -> list[str]:
    """What will happen next, in plain words."""
    place, names = found.place, found.place.names
    pair = place.pair.name
    next_steps: list[str] = []
    match place.row.status:
        case Status.NEW | Status.PLANNED:
            next_steps.append(f"{pair} writes nothing before it is approved: `twoway plan {pair}`")
        case Status.ACTIVE if place.row.reason is not None:
            next_steps.append(f"{pair} {place.row.reason}: `twoway plan {pair}`, then `twoway approve {pair}`")
        case Status.HALTED:
            next_steps.append(f"{pair} is halted ({place.row.reason}): `twoway plan {pair}`, `twoway approve {pair}`")
        case Status.PAUSED:
            next_steps.append(f"{pair} is paused: `twoway resume {pair}`")
    next_steps += [f"the account {name} is paused: {why}" for name, why in sorted(found.accounts.items())]
    for one in found.unfinished:
        next_steps.append(_unfinished(one, names))
    for row in found.conflicts.values():
        if row.state == "decided":
            next_steps.append(f"the decision on {row.field} is carried out in the next cycle")
        else:
            next_steps.append(f"{row.field} waits for a person: `twoway conflicts show {row.id}`")
    for parked in found.parked:
        again = f"on {words.when(parked.retry_at)}" if parked.retry_at else "when it changes"
        retry = f"or with `twoway parked retry --record {names[parked.side]}:{parked.record_id}`"
        next_steps.append(f"what was set aside is tried again {again}, {retry}")
    if found.mark is not None:
        next_steps.append(_marked(found.mark))
    waiting = [names[side] for side, row in found.seen.items() if row.due_at is not None]
    if waiting and not found.unfinished:
        next_steps.append(f"the next cycle compares what {words.listed(sorted(waiting))} shows of it")
    if next_steps:
        return next_steps
    if found.link is None:
        look = f"`twoway sync {pair} --record {place.name}` looks at it now"
        return [f"nothing is kept of it: it is decided when a cycle sees it; {look}"]
    return ["nothing: both sides are as they should be, until one of them is edited"]


def _unfinished(one: Written, names: words.Names) -> str:
    operation = one.operation
    what = f"a{'n' if operation.edit.kind.value[0] in 'au' else ''} {operation.edit.kind} in {names[operation.side]}"
    if operation.undoes is not None and operation.state == "planned":
        return f"{what} that takes an earlier cycle back waits: the next cycle writes it"
    return {
        "planned": f"{what} is planned, and is decided again by the next cycle",
        "held": f"{what} is held by the guard, and waits for approval",
    }.get(operation.state, f"{what} was sent and not answered: it is looked up before anything else is written")


def _marked(found: Marked) -> str:
    return {
        "tombstone": "it was deleted, here or in the other app, and nothing makes it anew",
        "retired": "it is not touched until it is linked by hand (`twoway links set`)",
    }.get(found.mark.kind, "it is not touched until its content changes")
