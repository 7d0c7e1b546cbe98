"""What the steps of one cycle share."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from twoway.core.mapping import Mapping as CompiledMapping
from twoway.core.mapping import SideMapping
from twoway.core.model import LEFT, Instant, Side
from twoway.core.plan import Totals
from twoway.engine.app import App
from twoway.ports import Clock
from twoway.state.pairs import Lease
from twoway.state.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Sizes and ages. Durations are milliseconds."""

    window: int = 500
    """Records that are held in memory at once, for each side."""
    concurrency: int = 4
    """Batches of writes that are under way at once, for each side."""
    source_age: int = 60_000
    """A write carries over what was read no longer ago than this; else it is read again first."""
    rounds: int = 4
    """Times that a cycle decides anew what its own writes found changed."""
    tries: int = 5
    """Decisions about the same content that may come to nothing before the record is parked."""
    retry: int = 600_000
    """A parked record, and an account that refused us, are tried again after so long."""
    longest_retry: int = 86_400_000
    """A record that the app refuses again and again is tried after twice as long each time, up to this."""
    duplicate_retry: int = 3_600_000
    """Records with the same key are looked at again after so long, without any request."""
    skew: int = 60_000
    """How far an app's clock may be from ours, where its creation times are held against the time of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairContext:
    """A pair that can be run: its number in the state, its compiled mapping and its two apps."""

    id: int
    name: str
    mapping: CompiledMapping
    apps: Mapping[Side, App]
    settle: int = 0
    """Milliseconds for which a record must have been left alone before a change of it is carried over."""
    tuning: Tuning = field(default_factory=Tuning)

    @property
    def match_fields(self) -> frozenset[str]:
        """The fields by which records are matched."""
        return frozenset(name for key in self.mapping.match for name in key)

    def names(self) -> dict[Side, str]:
        """The accounts' names, for messages."""
        return {side: app.account for side, app in self.apps.items()}


@dataclass(slots=True, kw_only=True)
class Run:
    """One cycle at work."""

    pair: PairContext
    store: Store
    clock: Clock
    lease: Lease | None
    cycle: int
    began: Instant
    counts: Counter[str] = field(default_factory=Counter)
    observed_at: dict[Side, Instant] = field(default_factory=dict)
    complete: set[Side] = field(default_factory=set)
    """The sides that were read in one piece, so that nothing can have been overlooked."""
    short: dict[Side, tuple[int, int]] = field(default_factory=dict)
    """For a side whose complete listing lacked too many: how many of the linked records it showed, and how many are."""
    allowance: Totals | None = None
    ahead: bool = False
    """Something is staged that was decided before all was read."""
    to_end: dict[int, tuple[Mapping[Side, str], str]] = field(default_factory=dict)
    """The links that are to end, of which a record lives on: the marks for their records, and why."""
    again: bool = False
    """Something that was written turned out to be otherwise than decided: decide once more."""

    @property
    def now(self) -> Instant:
        return self.clock.now()

    def app(self, side: Side) -> App:
        return self.pair.apps[side]

    def mapping(self, side: Side) -> SideMapping:
        mapping = self.pair.mapping
        return mapping.left if side is LEFT else mapping.right

    def commit(self, name: str, *, durable: bool = False) -> AbstractContextManager[None]:
        """One transaction of this cycle: refused when another process has taken the pair over."""
        return self.store.commit(name, self.lease, self.now, durable=durable)
