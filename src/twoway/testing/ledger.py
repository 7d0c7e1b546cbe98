"""What a history left behind, as its judges read it: the apps' own logs, beside what people are shown of the state.

The logs are read through the mapping: what a write changed is told in canonical fields, so that one judge serves every
mapping, with its joined names, paths into lists and choices.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final, NamedTuple

from twoway.core.model import Instant, Kind, Raw, RawValues, Side, Value
from twoway.core.rules import FieldRule, Shape
from twoway.state.rows import LINK_COLUMNS, OPERATION_COLUMNS, Link, StagedOperation, link_row, operation_row
from twoway.testing.memory import Change, MemoryApp
from twoway.testing.samples import settled
from twoway.testing.scenarios import History

UNREADABLE: Final = "(what the mapping cannot read)"
"""Stands for a value that the mapping overlooks, or for which it sets the record aside: nothing is judged by it."""


class Standing(NamedTuple):
    """What a record was after one change of it: `key` is its first match key, `out` whether it was out of scope."""

    change: Change
    key: int | None
    out: bool


class Ledger:
    """Read once, after the end."""

    def __init__(self, found: History) -> None:
        self.found = found
        world = found.world
        self.mapped = found.samples.mapped
        self.rules = world.pair.mapping.rules
        self.texts = tuple(
            name for name in self.mapped if self.rules.fields[name].shape in (Shape.SCALAR, Shape.NUMBER)
        )
        """The fields that are one value, of which the one replaces the other."""
        self.apps = world.apps
        self._settled: dict[tuple[str, str], Value] = {}
        self._steps = {one.name for one in world.spec.fields if one.to_left or one.to_right}

    @cached_property
    def operations(self) -> dict[int, StagedOperation]:
        """The plan's rows, by number."""
        rows = self.found.world.store.db.run(f"SELECT {OPERATION_COLUMNS} FROM operation p")  # noqa: S608 - a constant
        return {row[0]: operation_row(row) for row in rows}

    @cached_property
    def links(self) -> list[Link]:
        """All of them."""
        rows = self.found.world.store.db.run(f"SELECT {LINK_COLUMNS} FROM link l ORDER BY l.id")  # noqa: S608 - a constant
        return list(map(link_row, rows))

    @cached_property
    def kept(self) -> set[tuple[Side, str, str, str]]:
        """The history of replaced values: side, record, field, value as text."""
        world = self.found.world
        return {
            (row.side, row.record_id, row.field, str(row.old))
            for row in world.store.operations.history(pair=world.pair.id, limit=100_000)
        }

    # -- the apps' logs, in canonical fields

    @cached_property
    def logs(self) -> dict[Side, list[Change]]:
        """Every change of an app, with the canonical fields that it touched: (old, new) by name."""
        return {side: [standing.change for standing in self.standings[side]] for side in Side}

    @cached_property
    def standings(self) -> dict[Side, list[Standing]]:
        """The same, with what the record then was."""
        return {side: list(self._read(side)) for side in Side}

    def _read(self, side: Side) -> Iterator[Standing]:
        mapping, apps = self.found.world.pair.mapping.side(side), self.found.samples.apps[side]
        by_app: dict[str, list[str]] = defaultdict(list)
        for name, held in apps.items():
            for app in held:
                by_app[app].append(name)
        shared = {app for app, names in by_app.items() if len(names) > 1}
        raw: dict[str, dict[str, Raw]] = defaultdict(lambda: dict.fromkeys(self.apps[side].fields))
        known: dict[str, tuple[dict[str, Value], bool]] = {}
        for change in self.apps[side].log:
            values, out = known.get(change.id) or (dict.fromkeys(apps), False)
            fields: dict[str, tuple[Raw, Raw]] = {}
            if change.fields:
                raw[change.id].update({name: new for name, (_, new) in change.fields.items()})
                decoded = mapping.decode(raw[change.id])
                after = {name: decoded.values.get(name, UNREADABLE) for name in apps}
                for app in change.fields:
                    for name in by_app.get(app, ()):
                        if app not in shared or values[name] != after[name]:
                            fields[name] = (values[name], after[name])
                values = after
                unread = mapping.scope_fields & decoded.problems.keys()
                out = not unread and not self.found.samples.accepts(side, decoded.values)
                known[change.id] = (values, out)
            keys = mapping.keys({name: None if value == UNREADABLE else value for name, value in values.items()})
            yield Standing(change._replace(fields=fields), keys[0] if keys else None, out)

    @cached_property
    def _of(self) -> dict[str, list[Change]]:
        of: dict[str, list[Change]] = defaultdict(list)
        for side in Side:
            for change in self.logs[side]:
                of[change.id].append(change)
        return of

    @cached_property
    def _standings_of(self) -> dict[str, list[Standing]]:
        of: dict[str, list[Standing]] = defaultdict(list)
        for side in Side:
            for standing in self.standings[side]:
                of[standing.change.id].append(standing)
        return of

    @cached_property
    def _ever(self) -> dict[Side, set[tuple[str, str]]]:
        return {
            side: {self.token(name, new) for change in self.logs[side] for name, (_, new) in change.fields.items()}
            for side in Side
        }

    def log(self, record_id: str) -> list[Change]:
        """Everything that ever happened to one record: their ids are unique over both apps."""
        return self._of[record_id]

    def standings_of(self, record_id: str) -> list[Standing]:
        """The same, with what the record then was."""
        return self._standings_of[record_id]

    def ours(self, side: Side, *kinds: str) -> Iterator[tuple[Change, StagedOperation]]:
        """What we wrote to one app, with its rows of the plan."""
        for change in self.logs[side]:
            if change.who == "engine" and (not kinds or change.kind in kinds):
                yield change, self.operation(change)

    def edits(self, record_id: str, name: str) -> list[Change]:
        """What people did to one field of one record."""
        return [change for change in self.log(record_id) if change.who == "human" and name in change.fields]

    def ever_held(self, side: Side, name: str, value: Value) -> bool:
        """Whether the app ever stored this value in this field."""
        return self.token(name, value) in self._ever[side]

    def was_out(self, record_id: str, until: int) -> bool:
        """Whether the record was ever out of scope, before this instant."""
        return any(one.out and one.change.at <= until for one in self.standings_of(record_id))

    # -- values

    def settle(self, name: str, value: Value) -> Value:
        """A value without what an app, or a one-way step, may make of it."""
        if name in self._steps:
            at = (name, repr(value))
            if at not in self._settled:
                mapping = self.found.world.pair.mapping
                self._settled[at] = settled(self.found.samples, mapping, name, value)
            value = self._settled[at]
        return value.rstrip("+") if isinstance(value, str) and self.found.samples.trims(name) else value

    def token(self, name: str, value: Value) -> tuple[str, str]:
        """What two values have in common that are one."""
        return name, repr(self.settle(name, value))

    def same(self, name: str, one: Value, two: Value) -> bool:
        """Whether two values are one, but for what an app may make of them; of what cannot be read nothing is said."""
        return UNREADABLE in (one, two) or self.settle(name, one) == self.settle(name, two)

    def keeps(self, name: str, old: Value, new: Value) -> bool:
        """Whether nothing of an old value is lost in a new one."""
        return elements(old) <= elements(new) if self.rule(name).shape is Shape.SET else self.same(name, old, new)

    # -- the pair

    def rule(self, name: str) -> FieldRule:
        """The rules of a field."""
        return self.rules.fields[name]

    def operation(self, change: Change) -> StagedOperation:
        """The row of the plan that one of our writes came from."""
        return self.operations[int((change.operation or "").rsplit("-", 1)[1])]

    def began(self, operation: StagedOperation) -> Instant:
        """When the cycle of a write that was sent began to read: what people did later it had not seen."""
        sent = self.found.sent.get(self.found.world.store.marker(operation.id))
        late = max(app.manner.lag + app.manner.resolution for app in self.apps.values()) + self.found.scenario.settle
        return 0 if sent is None else sent.began - late - 1_000

    def unseen(self, app: MemoryApp, change: Change, edit: Change) -> bool:
        """The limit that is documented: an app without conditions, an edit between our last read and our write."""
        return not app.manner.conditional and edit.seq > self.found.sent[change.operation or ""].read

    def given(self, side: Side, change: Change) -> set[str]:
        """The canonical fields that the mapping sets in a new record by itself (`on_create`)."""
        if change.kind != Kind.CREATE:
            return set()
        given = self.found.world.pair.mapping.side(side).on_create
        return {name for name, apps in self.found.samples.apps[side].items() if given.keys() & set(apps)}

    def shared(self, side: Side) -> set[str]:
        """The canonical fields that live in an app's field together with others."""
        apps = self.found.samples.apps[side]
        held = Counter(app for each in apps.values() for app in each)
        return {name for name, each in apps.items() if any(held[app] > 1 for app in each)}

    def values(self, side: Side, record_id: str) -> dict[str, Value]:
        """What a record holds now."""
        decoded = self._decoded(side, self.apps[side].records[record_id].values)
        return {name: decoded.values.get(name, UNREADABLE) for name in self.mapped}

    def in_scope(self, side: Side, record_id: str) -> bool:
        """Whether the record, as it is now, belongs to the pair."""
        decoded = self._decoded(side, self.apps[side].records[record_id].values)
        return self.found.samples.accepts(side, decoded.values)

    def _decoded(self, side: Side, raw: RawValues) -> Any:
        return self.found.world.pair.mapping.side(side).decode({**dict.fromkeys(self.apps[side].fields), **raw})

    def mark(self, side: Side, record_id: str) -> str | None:
        """Why an unlinked record is not taken for new."""
        world = self.found.world
        found = world.store.links.marks(world.pair.id, side, [record_id]).get(record_id)
        return None if found is None else found.kind


def elements(value: Value) -> set[str]:
    """Those of a set."""
    return set(value) if isinstance(value, list) else set()
