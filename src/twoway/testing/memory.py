"""An app that lives in memory: stateful, with every capability of the contract to be switched on or off.

People edit it through `human_*`, the engine through the connector that `MemoryConnector` is. Its log of writes is what
tests judge by: it is the app's own, not the engine's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from twoway.core.model import (
    MARKER,
    Absence,
    Fetched,
    Instant,
    Kind,
    Page,
    Presence,
    Raw,
    RawValues,
    Receipt,
    Record,
    Write,
)
from twoway.ports import (
    AccountInfo,
    Capabilities,
    Clock,
    CollectionInfo,
    Consistency,
    FieldInfo,
    FieldType,
    HookRequest,
    ReceiptShape,
)
from twoway.sdk.errors import HookRefused, SnapshotNeeded


class Change(NamedTuple):
    """One accepted write, as the app's own log has it: `fields` holds (old, new) by name."""

    seq: int
    at: Instant
    who: str  # human | engine
    kind: str  # create | update | delete | merge | restore
    id: str
    fields: Mapping[str, tuple[Raw, Raw]]
    operation: str | None = None
    """The engine's name for the write that this came from."""


@dataclass(slots=True)
class Stored:
    """One record as the app keeps it."""

    id: str
    values: dict[str, Raw]
    version: int
    modified: Instant
    created: Instant
    alive: bool = True
    merged_into: str | None = None
    marker: str | None = None
    times: dict[str, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the app behaves. The capabilities that its connector declares follow from this, truthfully."""

    resolution: int = 1000
    lag: int = 0
    request_lifetime: int = 10_000
    conditional: bool = True
    unique: frozenset[str] = frozenset()
    marker: bool = False
    receipt: ReceiptShape = ReceiptShape.RECORD
    feed: bool = True
    feed_deletions: bool = True
    feed_merges: bool = True
    merges: bool = True
    """Whether people can merge records in this app at all."""
    kinds: frozenset[Kind] = frozenset(Kind)
    find: Consistency = Consistency.CONSISTENT
    find_fields: frozenset[str] = frozenset()
    created_times: bool = True
    field_times: bool = False
    stores: Callable[[str, Raw], Raw] | None = None
    """The form in which the app stores a value, by field and value."""
    declares_form: bool = True
    """Whether the connector knows that form."""
    skew: int = 0
    """Milliseconds by which the app's clock is ahead of ours."""
    refuses: Callable[[str, Raw], bool] | None = None
    """Whether the app will not take a value, by field and value."""
    drifts: bool = False
    """Whether the complete listing counts its pages by position: what is deleted meanwhile hides another record."""
    by_version: bool = False
    """Whether listings tell no more of a live record than its id and version, and a snapshot the feed's cursor."""
    page: int = 100
    batch: int = 50


class MemoryApp:
    """The app itself. `clock` is the world's; `fields` are the names that it has."""

    def __init__(self, name: str, fields: Sequence[str], clock: Clock, manner: Manner | None = None) -> None:
        self.name = name
        self.fields = tuple(fields)
        self.clock = clock
        self.manner = manner or Manner()
        self.records: dict[str, Stored] = {}
        self.log: list[Change] = []
        self.lateness: Callable[[], Instant] = lambda: self.manner.lag
        """How far behind the truth a listing shows one record, each time it does: at most the manner's lag."""
        self.operation: str | None = None
        """The engine's write that is under way."""
        self._past: dict[str, list[tuple[Instant, Stored]]] = {}
        self._number = 0

    # -- what people do

    def human_create(self, **values: Raw) -> str:
        """A person adds a record; its id."""
        return self.create("human", values).id

    def human_update(self, record_id: str, **values: Raw) -> None:
        """A person edits fields of a record."""
        self.update("human", record_id, values)

    def human_delete(self, record_id: str) -> None:
        """A person deletes a record."""
        self.delete("human", record_id)

    def human_merge(self, loser: str, survivor: str) -> None:
        """A person merges one record into another: the loser's id then leads to the survivor."""
        record = self.records[loser]
        record.merged_into = survivor
        record.alive = False
        self._wrote("human", "merge", record, {})

    def human_restore(self, record_id: str) -> None:
        """A person takes a record back out of the bin."""
        record = self.records[record_id]
        record.alive = True
        record.merged_into = None
        self._wrote("human", "restore", record, {})

    def live(self) -> dict[str, dict[str, Raw]]:
        """The values of every live record, by id."""
        return {record.id: dict(record.values) for record in self.records.values() if record.alive}

    def written(self, since: int = 0) -> list[Change]:
        """What the engine wrote, from the app's own log, after the entry `since`."""
        return [change for change in self.log[since:] if change.who == "engine"]

    # -- the app's own, atomic writes

    def create(self, who: str, values: RawValues, marker: str | None = None) -> Stored:
        """Add a record; raises `DuplicateKey` where the app refuses a second one with the same key."""
        self._check(None, values)
        self._number += 1
        now = self.time()
        record = Stored(f"{self.name}-{self._number}", {}, 0, now, now, marker=marker)
        self.records[record.id] = record
        self._set(who, "create", record, values)
        return record

    def update(self, who: str, record_id: str, values: RawValues) -> Stored:
        """Set fields of a live record."""
        record = self.records[record_id]
        self._check(record_id, values)
        self._set(who, "update", record, values)
        return record

    def delete(self, who: str, record_id: str) -> None:
        """Put a record into the bin."""
        record = self.records[record_id]
        record.alive = False
        self._wrote(who, "delete", record, {})

    def has_key(self, values: RawValues, *, besides: str | None = None) -> list[str]:
        """The live records that hold one of these values in a field that must be unique."""
        return [
            other.id
            for name in sorted(self.manner.unique & values.keys())
            for other in self.records.values()
            if other.alive and other.id != besides and values[name] and other.values.get(name) == values[name]
        ]

    def _check(self, record_id: str | None, values: RawValues) -> None:
        refuses = self.manner.refuses
        for name, value in values.items() if refuses else ():
            if refuses and refuses(name, value):
                raise RefusedValue(name)
        if holders := self.has_key(values, besides=record_id):
            raise DuplicateKey(holders[0])

    def _set(self, who: str, kind: str, record: Stored, values: RawValues) -> None:
        changed = {}
        for name, value in values.items():
            stored = self.manner.stores(name, value) if self.manner.stores else value
            changed[name] = (record.values.get(name), stored)
            record.values[name] = stored
            record.times[name] = self.time()
        self._wrote(who, kind, record, changed)

    def _wrote(self, who: str, kind: str, record: Stored, changed: Mapping[str, tuple[Raw, Raw]]) -> None:
        record.version += 1
        record.modified = self.time()
        past = replace(record, values=dict(record.values), times=dict(record.times))
        self._past.setdefault(record.id, []).append((self.clock.now(), past))
        self.log.append(Change(len(self.log) + 1, self.clock.now(), who, kind, record.id, changed, self.operation))

    def time(self) -> Instant:
        """What the app's own clock shows: coarse, and perhaps wrong."""
        return (self.clock.now() + self.manner.skew) // self.manner.resolution * self.manner.resolution

    # -- what its listings show

    def shown(self, *, lagging: bool = True) -> list[Stored]:
        """Every record as a listing shows it, each as late as it happens to be, in the order of ids."""
        found = []
        for record_id in sorted(self._past, key=_number):
            at = self.clock.now() - (self.lateness() if lagging else 0)
            known = [state for written, state in self._past[record_id] if written <= at]
            if known:
                found.append(known[-1])
        return found

    def view(self, record: Stored) -> Record:
        """A stored record as its connector decodes it."""
        return Record(
            record.id,
            {name: record.values.get(name) for name in self.fields},
            str(record.version),
            record.modified,
            record.created if self.manner.created_times else None,
            dict(record.times) if self.manner.field_times else None,
            record.marker if self.manner.marker else None,
        )


def _number(record_id: str) -> int:
    return int(record_id.rsplit("-", 1)[1])


class DuplicateKey(Exception):
    """The app has a record with this key already."""

    def __init__(self, record_id: str) -> None:
        super().__init__(record_id)
        self.id = record_id


class RefusedValue(Exception):
    """The app will not take this value; `field` is where."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class MemoryConnector:
    """The connector of a `MemoryApp`. `who` is what the app's log calls it."""

    def __init__(self, app: MemoryApp, who: str = "engine") -> None:
        self.app = app
        self._who = who
        manner = app.manner
        found = manner.find_fields | ({MARKER} if manner.marker else frozenset())
        self.capabilities = Capabilities(
            fetch_batch=manner.batch,
            write_batch=dict.fromkeys(Kind, manner.batch),
            feed=_consistency(manner.feed, manner.lag),
            feed_deletions=manner.feed_deletions,
            feed_merges=manner.feed_merges,
            hides_merges=manner.merges and not manner.feed_merges,
            kinds=manner.kinds,
            snapshot=_consistency(True, manner.lag),
            snapshot_feed=manner.by_version and manner.feed,
            lag=manner.lag,
            find=manner.find,
            find_fields=found,
            request_lifetime=manner.request_lifetime,
            conditional=manner.conditional,
            unique=manner.unique,
            field_times=manner.field_times,
            created_times=manner.created_times,
            receipt=manner.receipt,
            resolution=manner.resolution,
            rewrites=frozenset() if manner.declares_form else frozenset(app.fields),
        )

    async def check(self) -> AccountInfo:
        return AccountInfo(self.app.name)

    async def collections(self) -> Sequence[CollectionInfo]:
        return [CollectionInfo("records")]

    async def describe(self) -> Sequence[FieldInfo]:
        unique = self.app.manner.unique
        return [FieldInfo(name=name, type=FieldType.STRING, unique=name in unique) for name in sorted(self.app.fields)]

    async def changes(self, cursor: str | None) -> Page:
        app, now = self.app, self.app.time()
        if cursor is None:
            return Page(cursor=_now(now), last=True)
        since, after, began = _position(cursor)
        began = now if began is None else began
        overlap = app.manner.lag + app.manner.resolution if not after else 0
        rows = [
            record
            for record in app.shown()
            if (record.modified, record.id) > (since - overlap, after)
            and (record.alive or app.manner.feed_deletions or record.merged_into)
        ]
        rows.sort(key=lambda record: (record.modified, record.id))
        page, rest = rows[: app.manner.page], rows[app.manner.page :]
        if rest:
            following = json.dumps([page[-1].modified, page[-1].id, began])
        else:
            # Not beyond the first page's instant: what that one showed too late must be within the next overlap.
            newest = max([since, *(record.modified for record in page)])
            following = json.dumps([min(newest, began), "", None])
        merged = [(r.id, r.merged_into) for r in page if r.merged_into and app.manner.feed_merges]
        live = [record for record in page if record.alive]
        return Page(
            records=self._records(live),
            versions=self._versions(live),
            gone=[r.id for r in page if not r.alive and not r.merged_into and app.manner.feed_deletions],
            merged=[(loser, survivor) for loser, survivor in merged if survivor],
            cursor=following,
            last=not rest,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        app = self.app
        after = int(cursor) if cursor else 0
        live = [r for r in app.shown() if r.alive]
        rest = live[after:] if app.manner.drifts else [r for r in live if _number(r.id) > after]
        page = rest[: app.manner.page]
        last = len(rest) <= app.manner.page
        following = after + len(page) if app.manner.drifts else _number(page[-1].id) if page else after
        return Page(
            records=self._records(page),
            versions=self._versions(page),
            cursor=None if last else str(following),
            last=last,
            feed=_now(app.time()) if self.capabilities.snapshot_feed and cursor is None else None,
        )

    def _records(self, live: Sequence[Stored]) -> list[Record]:
        return [] if self.app.manner.by_version else [self.app.view(record) for record in live]

    def _versions(self, live: Sequence[Stored]) -> list[tuple[str, str]]:
        return [(record.id, str(record.version)) for record in live] if self.app.manner.by_version else []

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        return {record_id: self._now(record_id) for record_id in ids}

    def _now(self, record_id: str) -> Fetched:
        record = self.app.records.get(record_id)
        if record is not None and record.alive:
            return self.app.view(record)
        if record is not None and record.merged_into and self.app.manner.feed_merges:
            return Absence(record_id, Presence.MERGED, record.merged_into)
        return Absence(record_id, Presence.GONE)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        app = self.app
        lagging = app.manner.find is Consistency.LAGGING
        found: dict[Raw, list[str]] = {value: [] for value in values}
        for record in app.shown(lagging=lagging):
            held = record.marker if field == MARKER else record.values.get(field)
            if record.alive and held in found:
                found[held].append(record.id)
        return found

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return [self.write(write) for write in writes]

    def write(self, write: Write) -> Receipt:
        """Carry out one write at once."""
        self.app.operation = write.operation
        try:
            return self._write(write)
        except DuplicateKey as error:
            return Receipt.duplicate(error.id)
        except RefusedValue as error:
            return Receipt.refused("the app does not take this value", error.field)
        finally:
            self.app.operation = None

    def _write(self, write: Write) -> Receipt:
        app = self.app
        if write.kind not in app.manner.kinds:
            return Receipt.refused(f"the app has no {write.kind}")
        if write.kind is Kind.CREATE:
            return self._receipt(app.create(self._who, write.changed, write.operation if app.manner.marker else None))
        record_id = write.id or ""
        found = app.records.get(record_id)
        if found is None or not found.alive:
            return Receipt.gone()
        if app.manner.conditional and write.version is not None and write.version != str(found.version):
            return Receipt.moved()
        if write.kind is Kind.UPDATE:
            return self._receipt(app.update(self._who, record_id, write.changed))
        app.delete(self._who, record_id)
        return Receipt.done(record_id)

    def _receipt(self, record: Stored) -> Receipt:
        match self.app.manner.receipt:
            case ReceiptShape.RECORD:
                return Receipt.done(record.id, self.app.view(record))
            case ReceiptShape.VERSION:
                return Receipt.done(record.id, version=str(record.version))
            case ReceiptShape.NOTHING:
                return Receipt.done(record.id)

    def normal(self, values: RawValues) -> RawValues:
        stores = self.app.manner.stores
        if stores is None or not self.app.manner.declares_form:
            return values
        return {name: stores(name, value) for name, value in values.items()}

    def parse_hook(self, request: HookRequest) -> Sequence[str]:  # noqa: ARG002 - the contract's name
        raise HookRefused("an app in memory sends no webhooks")

    async def close(self) -> None:
        """Nothing to release."""


def _consistency(there: bool, lag: int) -> Consistency:
    if not there:
        return Consistency.NONE
    return Consistency.LAGGING if lag else Consistency.CONSISTENT


def _now(at: Instant) -> str:
    return json.dumps([at, "", None])


def _position(cursor: str) -> tuple[Instant, str, Instant | None]:
    try:
        found = json.loads(cursor)
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != 3:
        raise SnapshotNeeded("the cursor is not one of this app's")
    return found[0], found[1], found[2]
