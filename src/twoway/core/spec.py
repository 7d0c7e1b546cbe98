"""The mapping file as plain, validated data: what `twoway.core.mapping.compile_mapping` compiles.

Nothing here knows of YAML. The names are those of the mapping file; defaults are the file's defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twoway.core.model import Raw, Side
from twoway.core.rules import Blank, Direction, Drift, GuardRules, OnDelete, OnEditedDelete, OnLeave, Policy, Start

SPLITS = ("last", "first")
CASES = ("lower", "upper", "title")
UNKNOWN_CHOICES = ("park", "ignore", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a field lives on one side: a `path`, or several paths joined; and the form of its raw value there."""

    path: str | None = None
    join: tuple[str, ...] = ()
    separator: str = " "
    """The mapping file's `with`."""
    split: str = "last"
    delimiter: str | None = None
    format: str | None = None
    choices: Mapping[str, Raw] | None = None
    """Canonical value -> this side's raw value."""
    opted_out: tuple[Raw, ...] = ()
    opted_in: Raw = None

    @property
    def paths(self) -> tuple[str, ...]:
        return self.join if self.path is None else (self.path,)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of `to_left` or `to_right`: its name and, where it takes one, its argument."""

    name: str
    argument: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field of the mapping file. What is `None` in `conflict`, `blank` and `start` follows the pair's."""

    name: str
    type: str = "string"
    left: Location | None = None
    right: Location | None = None
    direction: Direction = Direction.BOTH
    drift: Drift = Drift.REVERT
    conflict: Policy | None = None
    blank: Blank | None = None
    start: Start | None = None
    region: str | None = None
    resolution: str = "second"
    decimals: int | None = None
    trim: bool = False
    case: str | None = None
    choices: Mapping[str, Raw] | None = None
    """Left's raw value, which is the canonical one -> right's raw value."""
    unknown_choice: str = "park"
    to_left: tuple[Step, ...] = ()
    to_right: tuple[Step, ...] = ()

    def location(self, side: Side) -> Location | None:
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class SideSpec:
    """One side of a mapping file. `scope` is a CEL expression over canonical fields, of this side's own records."""

    account: str
    collection: str
    options: Mapping[str, Any] = field(default_factory=dict)
    scope: str | None = None
    on_create: Mapping[str, Raw] = field(default_factory=dict)
    create: bool = True
    delete: OnDelete = OnDelete.IGNORE


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSpec:
    """One mapping file."""

    pair: str
    left: SideSpec
    right: SideSpec
    start: Start
    match: tuple[tuple[str, ...], ...]
    fields: tuple[FieldSpec, ...]
    conflict: Policy = Policy.REVIEW
    blank: Blank = Blank.PROPAGATE
    edited_delete: OnEditedDelete = OnEditedDelete.EDIT
    on_leave: OnLeave = OnLeave.KEEP
    guard: GuardRules = field(default_factory=GuardRules)
    tolerance: int = 2_000

    def side(self, side: Side) -> SideSpec:
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """What is wrong with a mapping, and where: the keys from the file's top, as they are written there."""

    where: tuple[str, ...]
    what: str


class MappingError(ValueError):
    """A mapping that cannot be compiled; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: list[SpecProblem]) -> None:
        super().__init__("; ".join(f"{'.'.join(one.where)}: {one.what}" for one in problems))
        self.problems = problems
