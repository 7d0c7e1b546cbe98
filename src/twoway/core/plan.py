"""The plan: what a cycle is about to write, counted. It is the journal as well: these are its rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from twoway.core.model import Kind, Side
from twoway.core.reconcile import Edit


class State(StrEnum):
    """Where an operation is in its life."""

    PLANNED = "planned"
    HELD = "held"
    """Staged by a plan that waits for approval."""
    SENT = "sent"
    """Committed before the request leaves: from now on it may have taken effect."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The answer was lost: looked up before anything is sent again."""
    SUPERSEDED = "superseded"
    """Not sent, or known not to have taken effect: its records are decided anew."""

    @property
    def live(self) -> bool:
        return self in (State.PLANNED, State.HELD, State.SENT, State.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One write, as it is staged. `id` is opaque, unique, and the marker of a create.

    `record` is the id on the side that is written (`None` for a create), `counterpart` the id on the other side.
    `seen_left` and `seen_right` are the revisions of the observations that it was decided on.
    """

    id: str
    edit: Edit
    link: int | None = None
    record: str | None = None
    counterpart: str | None = None
    seen_left: int | None = None
    seen_right: int | None = None
    undoes: str | None = None


@dataclass(slots=True)
class Totals:
    """What a plan does, by side, and how many live links the pair has."""

    links: int = 0
    creates: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    updates: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    deletes: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    blanks: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    """Updates that empty a field which is filled."""

    @property
    def writes(self) -> int:
        return sum(sum(kind.values()) for kind in (self.creates, self.updates, self.deletes))

    def add(self, edit: Edit) -> None:
        """Count one edit."""
        match edit.kind:
            case Kind.CREATE:
                self.creates[edit.side] += 1
            case Kind.UPDATE:
                self.updates[edit.side] += 1
                if any(value is None and edit.expect.get(name) is not None for name, value in edit.changed.items()):
                    self.blanks[edit.side] += 1
            case Kind.DELETE | Kind.ARCHIVE:
                self.deletes[edit.side] += 1


def count(edits: Iterable[Edit], links: int) -> Totals:
    """The totals of a whole plan."""
    totals = Totals(links=links)
    for edit in edits:
        totals.add(edit)
    return totals
