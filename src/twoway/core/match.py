"""Proposing that two unlinked records are one: by exact, normalised keys that are unique on both sides.

A key that is not unique is never guessed at: its records are set aside and shown to people as duplicates. The match
key serves only to propose a link; from then on the two ids are the link, whatever becomes of the e-mail address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from twoway.core.model import Side


class Standing(StrEnum):
    """What is known of a record that holds a key."""

    FREE = "free"
    """Not linked: it may be matched."""
    LINKED = "linked"
    ASIDE = "aside"
    """Set aside: a duplicate, a retired record, one whose operation is in flight. Never matched by itself."""


class Holder(NamedTuple):
    """A record known to hold a key."""

    side: Side
    id: str
    standing: Standing


Slots = Sequence[int | None]
"""A record's hash for each of the pair's match keys, in order; `None` where any part of the key is empty."""

Holders = Mapping[tuple[int, int], Sequence[Holder]]
"""Who holds a key, by (slot, hash)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to become of one unlinked record: linked to `match`, set aside for `duplicates`, or new."""

    side: Side
    id: str
    match: str | None = None
    slot: int | None = None
    duplicates: tuple[Holder, ...] = ()

    @property
    def new(self) -> bool:
        return self.match is None and not self.duplicates


def propose(side: Side, id: str, slots: Slots, holders: Holders, keys_of: Mapping[Holder, Slots]) -> Proposal:
    """Propose for one unlinked record. `keys_of` gives the slots of every holder that may be matched.

    The first key with an answer decides. A later key may not take a record that an earlier key of its own gives to
    somebody else, nor one that is set aside as its earlier key is not unique. So two records propose each other, or
    neither does.
    """
    for slot, key in enumerate(slots):
        if key is None:
            continue
        known = [holder for holder in holders.get((slot, key), ()) if (holder.side, holder.id) != (side, id)]
        own = tuple(sorted(holder for holder in known if holder.side is side))
        opposite = tuple(sorted(holder for holder in known if holder.side is not side))
        if own and (opposite or slot == 0):
            return Proposal(side, id, slot=slot, duplicates=own + opposite)
        if not opposite:
            continue
        if len(opposite) > 1 or opposite[0].standing is not Standing.FREE:
            return Proposal(side, id, slot=slot, duplicates=opposite)
        candidate = opposite[0]
        earlier = propose(candidate.side, candidate.id, list(keys_of.get(candidate, ()))[:slot], holders, keys_of)
        if earlier.match is not None or any(holder.side is side for holder in earlier.duplicates):
            continue
        if earlier.duplicates:
            return Proposal(side, id, slot=slot, duplicates=opposite)
        return Proposal(side, id, match=candidate.id, slot=slot)
    return Proposal(side, id)
