"""What the mapping file decides, as values: the rules that the pure functions obey.

`twoway.core.mapping` compiles them from a mapping file; nothing here knows of YAML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from twoway.core.model import Side


class Direction(StrEnum):
    """Which way a field's changes travel."""

    BOTH = "both"
    TO_LEFT = "to_left"
    TO_RIGHT = "to_right"
    ONE_SIDE = "one_side"
    """The field lives on one side only: it serves scope and match, and is never written."""

    def writes(self, side: Side) -> bool:
        """Whether a change may be written to `side`."""
        return self is Direction.BOTH or self.receiver is side

    @property
    def receiver(self) -> Side | None:
        """The side that takes a one-way field, and gives nothing."""
        return _RECEIVERS.get(self)


_RECEIVERS: Final = {Direction.TO_LEFT: Side.LEFT, Direction.TO_RIGHT: Side.RIGHT}


class Drift(StrEnum):
    """What to do when a one-way field was edited on the side that only receives it."""

    REVERT = "revert"
    IGNORE = "ignore"


class Policy(StrEnum):
    """Who wins when the same field changed differently on both sides."""

    LEFT = "left"
    RIGHT = "right"
    NEWEST = "newest"
    REVIEW = "review"
    LONGEST = "longest"
    MIN = "min"
    MAX = "max"


class Start(StrEnum):
    """Who wins on a first link, where both sides are filled and differ and no base exists."""

    LEFT = "left"
    RIGHT = "right"
    NEWEST = "newest"
    REVIEW = "review"


class Blank(StrEnum):
    """What a field that was emptied does to the other side."""

    PROPAGATE = "propagate"
    FILL = "fill"
    """A blank never travels: it is filled again from the other side."""
    IGNORE = "ignore"
    """A blank never travels, and stays."""


class OnDelete(StrEnum):
    """What a deletion on the opposite side does here."""

    DELETE = "delete"
    ARCHIVE = "archive"
    IGNORE = "ignore"
    REVIEW = "review"


class OnLeave(StrEnum):
    """What happens to the counterpart of a record that left the scope."""

    KEEP = "keep"
    ARCHIVE = "archive"
    UNLINK = "unlink"


class OnEditedDelete(StrEnum):
    """A record deleted on one side and edited on the other."""

    EDIT = "edit"
    """The edit survives: the record is created anew on the side that deleted it."""
    DELETE = "delete"
    REVIEW = "review"


class Shape(StrEnum):
    """How two changed values of one field may be merged, beyond one of them winning."""

    SCALAR = "scalar"
    SET = "set"
    """Merged three-way, element by element."""
    CONSENT = "consent"
    """Opting out wins over every policy; nothing opts in again by itself."""
    NUMBER = "number"
    """Compared by magnitude under `min` and `max`; everything else is compared as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """The rules of one field."""

    name: str
    shape: Shape = Shape.SCALAR
    direction: Direction = Direction.BOTH
    drift: Drift = Drift.REVERT
    policy: Policy = Policy.REVIEW
    blank: Blank = Blank.PROPAGATE
    start: Start = Start.REVIEW


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """Limits of one plan. Shares are parts of the pair's live links (0.05 is 5 %); below `floor` nothing is held."""

    creates: float = 0.20
    deletes: float = 0.05
    blanks: float = 0.05
    floor: int = 20
    max_writes: int = 5000
    short_listing: float = 0.20
    """A snapshot that lacks more than this part of the linked records is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRules:
    """The rules of a pair. `tolerance` is the milliseconds within which two clocks are taken to be equal."""

    fields: Mapping[str, FieldRule]
    create: Mapping[Side, bool] = field(default_factory=lambda: {Side.LEFT: True, Side.RIGHT: True})
    """Whether a record that is new opposite may be created on this side."""
    delete: Mapping[Side, OnDelete] = field(
        default_factory=lambda: {Side.LEFT: OnDelete.IGNORE, Side.RIGHT: OnDelete.IGNORE}
    )
    edited_delete: OnEditedDelete = OnEditedDelete.EDIT
    on_leave: OnLeave = OnLeave.KEEP
    guard: GuardRules = field(default_factory=GuardRules)
    tolerance: int = 2_000
    created: Mapping[Side, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """The fields with which a record may be created on a side; of a consent only an opt-out."""
    consents: tuple[str, ...] = field(init=False, repr=False, compare=False)
    sets: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The fields that are merged element by element."""
    shared: frozenset[str] = field(init=False, repr=False, compare=False)
    """The fields that live on both sides."""

    def __post_init__(self) -> None:
        ordered = tuple(rule for _, rule in sorted(self.fields.items()))
        created = {side: tuple(rule.name for rule in ordered if rule.direction.writes(side)) for side in Side}
        consents = tuple(rule.name for rule in ordered if rule.shape is Shape.CONSENT)
        shared = frozenset(rule.name for rule in ordered if rule.direction is not Direction.ONE_SIDE)
        sets = tuple(rule.name for rule in ordered if rule.shape is Shape.SET and rule.direction is Direction.BOTH)
        derived = {"created": created, "consents": consents, "sets": sets, "shared": shared}
        for name, value in derived.items():
            object.__setattr__(self, name, value)
