"""The plan: what a cycle is about to write, counted. It is the journal as well: these are its rows."""

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


@dataclass(slots=True)
class Totals:
    """What a plan does, by side, and how many live links the pair has."""

    links: int = 0
    creates: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    updates: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    deletes: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    blanks: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    """Updates that empty a field which is filled."""
    retried: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    """Creates, among the others, whose content passed the guard once before and came to nothing."""

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
                self.blanks[edit.side] += edit.empties
            case _:
                self.deletes[edit.side] += 1
