"""A vendor's records in memory, with each record's past, and the log of accepted changes.

The past is what lets an app serve a lagging index or a stale read: `Collection.as_of(record, t)` is what the app
knew of a record at the instant `t`. A record that never changed carries no past, so that 100,000 seeded records
cost their own fields and little else.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from twoway.sandbox.clock import Clock, floor_to

MAX_PAST = 50
"""Versions of a record that are kept beside the present one; the oldest go first."""


class By(NamedTuple):
    """Who makes a change: `who` is "api" or "human"; `request` the number in the request log (0: none)."""

    who: str
    request: int = 0


HUMAN = By("human")


class Version(NamedTuple):
    """A record as it was from `changed` on. Never change its `fields` in place."""

    changed: float
    """The exact instant of the change (epoch seconds)."""
    modified: float
    """The same at the vendor's clock resolution: what its API shows."""
    fields: Mapping[str, Any]
    deleted: bool
    who: str = "human"
    """Who made this version: "api" or "human" (who also gets the credit for seeded records)."""


class Record:
    """A record's present state. Change it through its `Collection` only."""

    __slots__ = ("changed", "created", "deleted", "fields", "id", "merged", "modified", "past", "who")

    def __init__(self, record_id: int, fields: dict[str, Any], created: float, changed: float, modified: float) -> None:
        self.id = record_id
        self.fields = fields
        self.created = created
        self.changed = changed
        self.modified = modified
        self.deleted = False
        self.who = "human"
        self.merged: tuple[int, ...] = ()
        """The ids of the records that were merged into this one."""
        self.past: list[Version] | None = None

    def version(self) -> Version:
        """The present as a Version."""
        return Version(self.changed, self.modified, self.fields, self.deleted, self.who)

    def versions(self) -> list[Version]:
        """All that is known of it, oldest first, the present last."""
        return [*(self.past or ()), self.version()]


@dataclass(slots=True, frozen=True)
class Write:
    """One accepted change. `fields` maps a name to its old and new value; empty: accepted, but nothing differed."""

    seq: int
    at: float
    who: str
    kind: str
    collection: str
    id: str
    fields: dict[str, tuple[Any, Any]]
    request: int


class WriteLog:
    """Every accepted change in order; `seq` counts from 1. Seeding (`load`) is not a change and is not in it."""

    def __init__(self) -> None:
        self.entries: list[Write] = []

    def add(
        self, at: float, by: By, kind: str, collection: str, record: str, fields: dict[str, tuple[Any, Any]]
    ) -> None:
        """Append one entry; `kind` is create, update, delete, merge or restore."""
        seq = len(self.entries) + 1
        self.entries.append(Write(seq, at, by.who, kind, collection, record, fields, by.request))

    def since(self, seq: int = 0) -> list[Write]:
        """The entries after number `seq`."""
        return self.entries[seq:]


class Collection:
    """The records of one type: a table with sequential ids, soft delete, merges and each record's past.

    `resolution` is the vendor's clock resolution in seconds. `show_id` gives the id that a record has on the wire
    (and in the log); its number by default. Uniqueness, validation and wire shapes are the vendor's code's matter.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        log: WriteLog,
        *,
        resolution: float = 0.001,
        first_id: int = 1,
        show_id: Callable[[Record], str] | None = None,
    ) -> None:
        self.name = name
        self.resolution = resolution
        self.revision = 0
        """Grows with every change: a cache of a listing is good for one revision."""
        self.last_changed = 0.0
        """The exact instant of the latest change; loaded records count with their own stamps."""
        self.aliases: dict[int, int] = {}
        """The id of a merged record → the id of the record that it went into."""
        self._clock = clock
        self._log = log
        self._next_id = first_id
        self._show_id = show_id or (lambda record: str(record.id))
        self._records: dict[int, Record] = {}
        self._ids: list[int] = []
        # (modified, id), ascending, as appended; an entry whose record has moved on is stale and skipped.
        self._order: list[tuple[float, int]] = []

    # Reading

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """All records, the deleted ones too, by ascending id."""
        return (self._records[number] for number in self._ids)

    def get(self, record_id: int, *, follow: bool = True) -> Record | None:
        """The record, deleted or not. With `follow`, a merged record's id gives the winner."""
        while follow and record_id in self.aliases:
            record_id = self.aliases[record_id]
        return self._records.get(record_id)

    def after(self, record_id: int = 0) -> Iterator[Record]:
        """The records with an id above `record_id`, ascending."""
        ids = self._ids
        return (self._records[ids[n]] for n in range(bisect_right(ids, record_id), len(ids)))

    def changed_since(self, modified: float) -> Iterator[Record]:
        """The records whose modified stamp is at or after that instant, by (modified, id) ascending."""
        order = self._order
        for n in range(bisect_left(order, (modified, -1)), len(order)):
            stamp, number = order[n]
            record = self._records.get(number)
            if record is not None and record.modified == stamp:
                yield record

    @staticmethod
    def as_of(record: Record, at: float) -> Version | None:
        """The record as it was known at that instant; None if it did not exist yet (or that is forgotten)."""
        if record.changed <= at:
            return record.version()
        past = record.past or []
        return next((version for version in reversed(past) if version.changed <= at), None)

    # Changing

    def create(self, fields: dict[str, Any], by: By, *, record_id: int | None = None) -> Record:
        """A new record, created and modified now."""
        record = self._insert(fields, record_id, None, None)
        record.who = by.who
        if len(self._ids) > 1 and record.id < self._ids[-2]:
            self._ids.sort()
        self._stamp(record)
        self._write(record, by, "create", {name: (None, value) for name, value in record.fields.items()})
        return record

    def reserve_id(self) -> int:
        """Use up an id without a record."""
        self._next_id += 1
        return self._next_id - 1

    def load(
        self,
        fields: dict[str, Any],
        *,
        record_id: int | None = None,
        created: float | None = None,
        modified: float | None = None,
    ) -> Record:
        """Seed a record that has always been there: no log entry. Call `loaded()` after the last one."""
        record = self._insert(fields, record_id, created, modified)
        self._order.append((record.modified, record.id))
        self.revision += 1
        self.last_changed = max(self.last_changed, record.changed)
        return record

    def loaded(self) -> None:
        """Put the orders right after a run of `load`."""
        self._ids.sort()
        self._order = sorted((record.modified, number) for number, record in self._records.items())

    def update(self, record: Record, changes: Mapping[str, Any], by: By, *, touch: bool = False) -> bool:
        """Set these fields. Values that are there already change nothing, nor the stamps unless `touch`;
        the log gets its entry either way. True if a value differed."""
        moved = _moved(record, changes)
        if moved or touch:
            self._remember(record, _merged(record, moved), by)
        self._write(record, by, "update", moved)
        return bool(moved)

    def update_quietly(self, record: Record, changes: Mapping[str, Any], by: By) -> None:
        """Set these fields without moving the record's stamps: a change that the app's own listing does not show."""
        moved = _moved(record, changes)
        record.fields = _merged(record, moved)
        self.revision += 1
        self._write(record, by, "update", moved)

    def delete(self, record: Record, by: By) -> None:
        """Soft delete: the record keeps its fields, with `deleted` set."""
        self._remember(record, record.fields, by, deleted=True)
        self._write(record, by, "delete", {})

    def restore(self, record: Record, by: By) -> None:
        """Undo a soft delete."""
        self._remember(record, record.fields, by, deleted=False)
        self._write(record, by, "restore", {})

    def purge(self, record: Record, by: By) -> None:
        """Delete for good: the record, its past and its fields are gone."""
        self._write(record, by, "delete", {name: (value, None) for name, value in record.fields.items()})
        del self._records[record.id]
        del self._ids[bisect_left(self._ids, record.id)]
        self.revision += 1

    def merge(self, winner: Record, loser: Record, changes: Mapping[str, Any], by: By) -> None:
        """The loser is deleted and its id leads to the winner, which takes `changes`. One log entry, the winner's."""
        moved = _moved(winner, changes)
        self._remember(loser, loser.fields, by, deleted=True)
        self._remember(winner, _merged(winner, moved), by)
        winner.merged = (*winner.merged, *loser.merged, loser.id)
        self.aliases[loser.id] = winner.id
        moved["_merged"] = (None, self._show_id(loser))
        self._write(winner, by, "merge", moved)

    def merge_anew(self, records: tuple[Record, ...], fields: dict[str, Any], by: By) -> Record:
        """A new record of these, which are deleted and whose ids lead to it. One log entry, the new record's."""
        made = self._insert(fields, None, min(record.created for record in records), None)
        made.who = by.who
        self._stamp(made)
        for record in records:
            self._remember(record, record.fields, by, deleted=True)
            self.aliases[record.id] = made.id
            made.merged = (*made.merged, *record.merged, record.id)
        values = {name: (None, value) for name, value in made.fields.items()}
        merged = ",".join(self._show_id(record) for record in records)
        self._write(made, by, "merge", {**values, "_merged": (None, merged)})
        return made

    def _insert(
        self, fields: dict[str, Any], record_id: int | None, created: float | None, modified: float | None
    ) -> Record:
        number = self._next_id if record_id is None else record_id
        if number in self._records or number in self.aliases:
            raise ValueError(f"{self.name}: the id {number} is taken")
        self._next_id = max(self._next_id, number + 1)
        now = self._clock.now()
        changed = now if modified is None else modified
        born = floor_to(min(changed, now) if created is None else created, self.resolution)
        record = Record(number, fields, born, changed, floor_to(changed, self.resolution))
        self._records[number] = record
        self._ids.append(number)
        return record

    def _remember(self, record: Record, fields: dict[str, Any], by: By, *, deleted: bool | None = None) -> None:
        if record.past is None:
            record.past = []
        record.past.append(record.version())
        if len(record.past) > MAX_PAST:
            del record.past[0]
        record.fields = fields
        record.who = by.who
        if deleted is not None:
            record.deleted = deleted
        # Never backwards: a seeded record may carry a stamp of the future, a machine's clock may be set back.
        record.changed = max(self._clock.now(), record.changed)
        record.modified = floor_to(record.changed, self.resolution)
        self._stamp(record)

    def _stamp(self, record: Record) -> None:
        self.revision += 1
        self.last_changed = max(self.last_changed, record.changed)
        entry = (record.modified, record.id)
        if not self._order or entry > self._order[-1]:
            self._order.append(entry)
        elif entry != self._order[-1]:
            at = bisect_left(self._order, entry)
            if self._order[at] != entry:
                self._order.insert(at, entry)
        if len(self._order) > 2 * len(self._records) + 1000:
            self.loaded()

    def _write(self, record: Record, by: By, kind: str, fields: dict[str, tuple[Any, Any]]) -> None:
        self._log.add(self._clock.now(), by, kind, self.name, self._show_id(record), fields)


def _moved(record: Record, changes: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Of these changes those that change something: name → (old, new)."""
    old = record.fields
    return {name: (old.get(name), value) for name, value in changes.items() if old.get(name) != value}


def _merged(record: Record, moved: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The record's fields with the new values, as a new dict: the old one belongs to the past."""
    return {**record.fields, **{name: new for name, (_, new) in moved.items()}}
