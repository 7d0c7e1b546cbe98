"""The words that every other module uses.

*Canonical values* are JSON-native (`None`, `bool`, `int`, `str`, `list`, `dict`): what is compared, hashed, stored
and shown to people is one and the same thing. A number is its normalised decimal string, an instant in time an ISO
string in UTC, a set a sorted list: see `twoway.core.types`.

Two empties are kept apart: a field that is missing from a mapping of values is *absent* (it was not in this
payload: never a change), a field whose value is `None` is *blank* (the app holds nothing there).

Instants are integers: milliseconds since the Unix epoch, UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Value = None | bool | int | str | list[Any] | dict[str, Any]
"""One canonical value; `None` is blank."""

Values = Mapping[str, Value]
"""Canonical values by field name of the mapping; a missing key is absent."""

Raw = Any
"""One value as a connector decodes it: str, int, float, Decimal, bool, None, list or dict; never a wire envelope."""

RawValues = Mapping[str, Raw]
"""Raw values by the app's field name (as `describe` gives them); a missing key is absent."""

Instant = int
"""Milliseconds since the Unix epoch, UTC."""

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})
"""An empty mapping that nobody can fill."""

MARKER: Final = "twoway:marker"
"""The pseudo-field by which `Connector.find` looks up the operation id that was sent along with a create."""


class Side(StrEnum):
    """One end of a pair. Neither is privileged; people are shown the accounts' names instead."""

    LEFT = "left"
    RIGHT = "right"

    other: "Side"
    """The opposite end."""


LEFT: Final = Side.LEFT
RIGHT: Final = Side.RIGHT
SIDES: Final = (LEFT, RIGHT)
"""Both: where it is asked about each record, an enumeration takes its time to name its members."""
LEFT.other, RIGHT.other = RIGHT, LEFT


class Record(NamedTuple):
    """One record of an app, decoded. Made once for each row that an app lists, hence a plain tuple.

    `version` is the app's opaque revision. Where the app has none, the connector gives its modified time.
    `field_times` holds, where the app keeps them, the instant of each field's last change.
    `marker` is the operation id found in the app's field for it, if the connector has one.
    """

    id: str
    values: RawValues
    version: str | None = None
    modified: Instant | None = None
    created: Instant | None = None
    field_times: Mapping[str, Instant] | None = None
    marker: str | None = None


class Presence(StrEnum):
    """What an app answers about an id for which it shows no live record."""

    ARCHIVED = "archived"
    """Soft-deleted: it can be restored in the app."""
    GONE = "gone"
    """The app answered 404 or 410 for this id."""
    MERGED = "merged"
    """It was merged into another record."""
    UNKNOWN = "unknown"
    """The app could not say (an error for this id alone): nothing may be concluded."""

    @property
    def proves_absence(self) -> bool:
        """Whether the record is deleted, for all that the app can tell. A merge is no deletion."""
        return self in (Presence.ARCHIVED, Presence.GONE)


@dataclass(frozen=True, slots=True)
class Absence:
    """The answer of `Connector.fetch` for an id that is not a live record. `into` is the survivor of a merge."""

    id: str
    presence: Presence
    into: str | None = None


Fetched = Record | Absence


class Page(NamedTuple):
    """One answer of a listing.

    `cursor` is where to go on: it may be stored once everything on this page is stored, and never before.
    `last` says that the listing reached its end *properly*: only then may a snapshot prove an absence.
    `ids` names records of which the app told only that they changed or, in a snapshot, that they are there; the engine
    fetches them. None of them is among `records` as well, where a part of it would pass for the whole.
    `versions` holds (id, version) of records of which the app told no more: what was read at that very version is as it
    was, and the engine fetches the others. A version must then never be the same for two contents of a record.
    `merged` holds (loser, survivor). `total` is the app's own count of the whole listing, where it tells one.
    `feed` is the change feed's cursor as of the beginning of a snapshot, on its first page, where
    `Capabilities.snapshot_feed` promises one.
    """

    records: Sequence[Record] = ()
    gone: Sequence[str] = ()
    merged: Sequence[tuple[str, str]] = ()
    ids: Sequence[str] = ()
    cursor: str | None = None
    last: bool = False
    total: int | None = None
    versions: Sequence[tuple[str, str]] = ()
    feed: str | None = None


class Kind(StrEnum):
    """What one write does. `delete` is final or goes to the app's bin, `archive` can be taken back in the app."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ARCHIVE = "archive"


class Write(NamedTuple):
    """One write, in the app's own field names.

    `changed` holds only the fields to set; `None` clears one. `previous` holds what the app is believed to store in
    those fields (for apps that take additions and removals). With `version` set the write must be refused as
    `moved` when the record is at another version; connectors of apps without conditions ignore it.
    `operation` is opaque and unique: it is the marker to send where the app has a field for one.
    `key` names the app's field that is unique and its value, for creates.
    """

    operation: str
    kind: Kind
    id: str | None = None
    changed: RawValues = NOTHING
    previous: RawValues = NOTHING
    version: str | None = None
    key: tuple[str, Raw] | None = None


class Outcome(StrEnum):
    """What became of one write."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """Not written: the app already has a record with this key; its id is in the receipt where the app tells it."""
    MOVED = "moved"
    """Not written: the record is no longer at the version that was asked for."""
    REFUSED = "refused"
    """Not written: the app will not take it, now or on a second try."""
    GONE = "gone"
    """Not written: the record is not there (any more)."""
    LATER = "later"
    """Not written, and known not to be: the app asks to come again."""
    UNKNOWN = "unknown"
    """The answer was lost: it may have been written."""


class Receipt(NamedTuple):
    """An app's answer to one `Write`.

    After `done`, `record` is what the app stored *as this very write's own answer*, never a later read; or else
    `version` is the revision that the write produced; or neither, where the app tells nothing.
    """

    outcome: Outcome
    id: str | None = None
    record: Record | None = None
    version: str | None = None
    field: str | None = None
    why: str | None = None

    @classmethod
    def done(cls, id: str | None, record: Record | None = None, version: str | None = None) -> "Receipt":
        """The write landed on record `id` (`None` where the app does not tell the id of a new record)."""
        return cls(Outcome.DONE, id, record, version if version or record is None else record.version)

    @classmethod
    def duplicate(cls, id: str | None, why: str = "") -> "Receipt":
        """The app refused a second record with this key; `id` is the one that it has."""
        return cls(Outcome.DUPLICATE, id, why=why)

    @classmethod
    def moved(cls, why: str = "") -> "Receipt":
        return cls(Outcome.MOVED, why=why)

    @classmethod
    def refused(cls, why: str, field: str | None = None) -> "Receipt":
        """The app's own words on what is wrong, without the customer's values; `field` is the app's field name."""
        return cls(Outcome.REFUSED, field=field, why=why)

    @classmethod
    def gone(cls) -> "Receipt":
        return cls(Outcome.GONE)

    @classmethod
    def later(cls, why: str) -> "Receipt":
        return cls(Outcome.LATER, why=why)

    @classmethod
    def unknown(cls, why: str) -> "Receipt":
        return cls(Outcome.UNKNOWN, why=why)
