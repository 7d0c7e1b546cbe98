"""What the engine needs of the outside world.

`Connector` is what someone writes to support an app. Everything that the engine must know about the app beforehand
is declared in `Capabilities`: the engine asks what an app can do, and never which app it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from twoway.core.model import Fetched, Instant, Kind, Page, Raw, RawValues, Receipt, Write


class Consistency(StrEnum):
    """How a read relates to the writes before it."""

    CONSISTENT = "consistent"
    """It shows every write that was acknowledged before it began."""
    LAGGING = "lagging"
    """It may show an earlier state, for up to `Capabilities.lag` milliseconds: a hint, to be fetched by id."""
    NONE = "none"
    """The app has no such read."""


class ReceiptShape(StrEnum):
    """What a successful write's own answer tells."""

    RECORD = "record"
    VERSION = "version"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an app can do, as its connector declares it for one collection. Durations are milliseconds.

    Declare the weaker of two when in doubt: a lie here loses edits, a needless modesty costs requests.
    """

    fetch_batch: int = 1
    """Ids that one `fetch` takes."""
    write_batch: Mapping[Kind, int] = field(default_factory=dict)
    """Writes that one `apply` takes, by kind; 1 where not named. All the writes of one call have the same kind."""
    kinds: frozenset[Kind] = frozenset(Kind)
    """The kinds of write that the app has at all."""

    feed: Consistency = Consistency.CONSISTENT
    """The incremental listing `changes`; `NONE` where only snapshots exist."""
    feed_deletions: bool = False
    """Whether `changes` reports deletions."""
    feed_merges: bool = False
    """Whether `changes` or `fetch` reports merges with the survivor's id."""
    hides_merges: bool = False
    """A merged record looks like one that was deleted: no automatic delete may be founded on this app."""
    snapshot: Consistency = Consistency.CONSISTENT
    snapshot_feed: bool = False
    """Whether a snapshot's first page tells the cursor that `changes` goes on from: then it is not asked for."""
    lag: int = 0
    """How long a lagging read may show an earlier state."""
    find: Consistency = Consistency.NONE
    find_fields: frozenset[str] = frozenset()
    """The app's fields by which `find` can look records up; holds `MARKER` where a marker can be looked up."""
    request_lifetime: int = 60_000
    """How long after the client gave up a request may still take effect."""

    conditional: bool = False
    """Whether updates and deletes honour `Write.version`."""
    unique: frozenset[str] = frozenset()
    """Fields of which the app itself refuses a second record with the same value (as `duplicate`)."""
    field_times: bool = False
    """Whether records carry `field_times` when asked for."""
    created_times: bool = False
    """Whether listed records carry `created`."""
    receipt: ReceiptShape = ReceiptShape.NOTHING
    resolution: int = 1
    """The resolution of the app's clock in versions and times."""
    rewrites: frozenset[str] = frozenset()
    """Fields that the app may store otherwise than sent, in a way that `normal` cannot foretell."""
    batch_changes_more: bool = False
    """Whether a batch may change more than it was asked to."""


class FieldType(StrEnum):
    """The app's type of a field, in the mapping's words."""

    STRING = "string"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    CHOICE = "choice"
    SET = "set"
    JSON = "json"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of a collection, as the app's live schema has it.

    `choices` are the values that the app takes for a `choice` or a `set` with a closed list, `None` where open.
    `max_length` counts characters. `cleared_by` is what the connector sends to empty the field, for people to read.
    """

    name: str
    type: FieldType
    label: str = ""
    choices: Sequence[str] | None = None
    on_create: bool = True
    """Writable when a record is created."""
    on_update: bool = True
    """Writable on an existing record."""
    required: bool = False
    unique: bool = False
    cleared_by: str | None = '""'
    """`None` where the app cannot empty the field."""
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection that an account offers. `options` names what must be chosen besides, with the valid values."""

    name: str
    label: str = ""
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What `check` learnt of a login: a name that a person recognises, and what it may not do."""

    name: str
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A webhook call as it came: `url` in full, header names in lower case, the body untouched."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@runtime_checkable
class Connector(Protocol):
    """One collection of one account, spoken to in the app's own API.

    Every method may raise the errors of `twoway.sdk.errors`, and no others: they are grouped by what the engine does
    next. A connector keeps no state between calls but for its HTTP client; cursors carry all that a listing needs.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    async def check(self) -> AccountInfo:
        """Prove that the account can be reached and the login is accepted, by the cheapest request there is."""

    async def collections(self) -> Sequence[CollectionInfo]:
        """The collections of the account, sorted by name."""

    async def describe(self) -> Sequence[FieldInfo]:
        """The fields of this collection from the app's live schema, sorted by name."""

    async def changes(self, cursor: str | None) -> Page:
        """What changed since `cursor`, in any order, of a record that is shown twice the newest last; with `None`, an
        empty page whose cursor is "now".

        The first page re-reads an overlap of at least `lag` + `resolution` before the cursor. Raises `SnapshotNeeded`
        when the cursor has expired. A page without `last` must move the cursor.
        """

    async def snapshot(self, cursor: str | None) -> Page:
        """The next page of the complete listing; `None` begins it. Records may come in any order, some twice."""

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        """For each of at most `fetch_batch` ids, the live record or why there is none; an answer for every id."""

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """For each value, the ids of the live records that hold it in `field`, as far as the app's index knows."""

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Carry out at most one batch of writes of one kind; one receipt a write, in the same order.

        A field that cannot be written, or not be emptied, is answered `refused`, never passed over. When the answer to
        a request was lost, its writes are `Receipt.unknown`. Raise only where nothing of the batch can have been
        written, or `TryLater` with `sent` where nothing at all is known of it.
        """

    def normal(self, values: RawValues) -> RawValues:
        """The form in which the app is known to store these values: pure. Identity where it stores what it is given."""

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        """The ids that a verified webhook call names. Raises `HookRefused` when it cannot be verified."""

    async def close(self) -> None:
        """Release the connection."""


class ConnectorFactory(Protocol):
    """What the entry-point group `twoway.connectors` names: makes connectors for one app.

    `secrets` and `settings` name the keys that an account of this app takes in the configuration, with a line of help
    each. `options` are the pair side's `options:`; `fields` are the app's fields that the mapping reads, so that no
    others need be asked for, and `times` says whether a policy needs field times.
    """

    name: str
    secrets: Mapping[str, str]
    settings: Mapping[str, str]

    def __call__(self, context: "ConnectorContext") -> Connector: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorContext:
    """All that a connector is given. `http` is a `twoway.sdk.HttpClient` bound to the account's limits and login."""

    account: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    collection: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: frozenset[str] = frozenset()
    times: bool = False
    clock: "Clock"
    open_http: Callable[..., Any]
    """Makes the account's HTTP client: see `twoway.sdk.http.HttpClient` for the arguments."""


class Clock(Protocol):
    """Time *and* sleep, so that a simulation owns both. Nothing else in twoway reads a clock."""

    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...


class Limiter(Protocol):
    """The account's rate limit. Each attempt of a request takes a turn, also a retried one."""

    async def turn(self) -> None:
        """Wait until a request may be sent."""

    def block(self, seconds: float) -> None:
        """No request for so long: the app said so (429, Retry-After)."""

    def learn(self, *, limit: int | None, remaining: int | None, reset: float | None) -> None:
        """What the app's headers told: requests a window, how many are left in it, seconds until it starts anew."""


FaultPoint = Callable[[str], None]
"""Called with a name before and after each remote call and each commit; the simulator raises from it."""


def no_fault(_name: str) -> None:
    """The fault point of real life."""
