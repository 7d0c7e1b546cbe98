"""What changed on one side of a link: its value against *its own* base.

Each side is compared with what that side was last known to store. So an app that rewrites what it is given (trims a
name, reformats a phone) never looks changed, and no clock is asked.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from twoway.core.model import NOTHING, Instant, Value, Values


class Missing(Enum):
    """The mark for "no value is known here", which is not the same as blank."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
OVERLOOKED: Final = "overlooked"
"""The problem of a field that holds a choice which the mapping leaves out on purpose."""


class Life(Enum):
    """Whether a side's record is there. `GONE` is believed only with proof: see `twoway.engine.observe`."""

    LIVE = "live"
    GONE = "gone"


class Seen(NamedTuple):
    """One side of a link as it is known at the moment of deciding.

    `values` are what was read last (of a side that was not read, its base). `problems` are the fields that could not
    be read, with the reason: they are held back, the others go on. `modified` and `times` are only such instants as
    say when a *person* changed something: the caller leaves out the times of our own writes. `spells` tells, for sets,
    as what this side's app is known to store an element of the other side's, where that is something else.
    """

    values: Values
    base: Values
    life: Life = Life.LIVE
    in_scope: bool = True
    modified: Instant | None = None
    times: Mapping[str, Instant] = NOTHING
    problems: Mapping[str, str] = NOTHING
    spells: Mapping[str, Mapping[str, str]] = NOTHING

    def value(self, name: str) -> Value | Missing:
        """The field's value; one that is absent from the payload stands as it was last known."""
        if name in self.problems:
            return MISSING
        if name in self.values:
            return self.values[name]
        return self.base.get(name, MISSING)

    def known(self) -> Values:
        """`value` of every field of which there is one."""
        if self.values is self.base and not self.problems:
            return self.base
        known = {**self.base, **self.values}
        for name in self.problems:
            known.pop(name, None)
        return known

    def time(self, name: str) -> Instant | None:
        """When a person last changed the field, as far as the app tells."""
        return self.times.get(name, self.modified)

    def edited(self) -> bool:
        """Whether any field differs from what this side was last known to store."""
        return any(name in self.base and self.base[name] != value for name, value in self.values.items())


def absorb_receipt(seen: Seen, version: str | None, receipt: tuple[str, tuple[str, ...]] | None) -> Seen:
    """Take a read at the very version that our own write produced for the app's form of what we wrote.

    `receipt` is that version with the fields that we wrote. Any later version may hold a person's edit, and is
    compared like every other read.
    """
    if receipt is None or version is None or receipt[0] != version:
        return seen
    stored = {name: seen.values[name] for name in receipt[1] if name in seen.values}
    return seen._replace(base={**seen.base, **stored})
