"""What people do by hand: links, verdicts on conflicts, another try for what was set aside."""

from collections.abc import Iterable, Mapping
from typing import Final

from twoway.core.model import Instant, Side, Value
from twoway.engine.linking import records_of
from twoway.state.attention import ConflictRow, ParkedRow
from twoway.state.links import Mark, NewLink
from twoway.state.rows import Link
from twoway.state.store import Store

_CLOCKS: Final = 120_000
"""Milliseconds by which a time of creation may be off: the app's clock, and how exactly it tells. Here it is better to
ask a person to wait."""
_WHEN_KNOWN: Final = (
    "The next cycle finds out what became of it or, where the answer was lost, the first one after the time for which "
    "such a request may still land (`request_lifetime`). Try again then; `twoway explain` tells how it stands"
)


class CannotBeDone(Exception):
    """What was asked for does not fit what is there; the message says why."""


class NotLinked(CannotBeDone):
    """The record whose link is to end has none."""

    def __init__(self, record_id: str) -> None:
        super().__init__(f"{record_id} is not linked: there is no link to remove")


class NotAsShown(CannotBeDone):
    """A conflict is not what the person was shown. `number` is the one that it has now; `None` if it is settled."""

    def __init__(self, shown: int, number: int | None) -> None:
        if number is None:
            what = "is settled by now, or its records are no longer linked"
        elif number == shown:
            what = "was decided before, and one of the two sides has taken that value: the next cycle writes the other"
        else:
            what = f"is not what it was: one of the two values has changed since. Its number is {number} now"
        super().__init__(f"conflict {shown} {what}")
        self.number = number


def link(store: Store, pair: int, ids: Mapping[Side, str], now: Instant) -> int:
    """Link two records. Neither may be linked; what differs between them is decided by the pair's `start`.

    The caller holds the pair's lease, here and for `unlink`: a cycle under way would work on what is no longer so.
    Raises `CannotBeDone`, too, while a request is in doubt which may yet give one of them a counterpart, or may have
    made it.
    """
    with store.commit("by hand"):
        for side in Side:
            other = store.links.of(pair, side, ids[side])
            if other is not None:
                raise CannotBeDone(
                    f"{ids[side]} is linked to {other.ids[side.other]} already: remove that link first "
                    f"(`twoway links remove`)"
                )
            if store.operations.pending_create_of(pair, side, ids[side]):
                raise CannotBeDone(f"{ids[side]} was sent to the other app, and the answer is awaited. {_WHEN_KNOWN}")
            if _may_be_ours(store, pair, side, ids[side]):
                raise CannotBeDone(
                    f"a record was sent to the app that has {ids[side]}, and the answer is awaited: {ids[side]} may be "
                    f"what was made of it, and belong to another record. {_WHEN_KNOWN}"
                )
        empty: dict[Side, Mapping[str, Value]] = {side: {} for side in Side}
        number = store.links.add(
            pair, NewLink(ids, empty, dict.fromkeys(Side), dict.fromkeys(Side), dict.fromkeys(Side)), now
        )
        rev = store.observations.next_rev()
        for side in Side:
            store.observations.look_again(pair, side, [ids[side]], now, rev)
    return number


def _may_be_ours(store: Store, pair: int, side: Side, record_id: str) -> bool:
    """Whether a create of which the answer is out may have made this record: unless it is known from before that.

    Whoever linked such a record to another one would have the one that it was made from created once more.
    """
    pending = store.operations.earliest_pending_create(pair, side)
    if pending is None or store.links.marks(pair, side, [record_id]):
        return False
    row = store.observations.get(pair, side, record_id)
    return row is None or row.created is None or row.created >= pending - _CLOCKS


def unlink(store: Store, pair: int, side: Side, record_id: str, now: Instant) -> Link:
    """End the link of a record. Neither record is taken for new afterwards, and nothing is deleted.

    Not while a write to one of the two is under way: what it makes of the record would be nobody's. Raises `NotLinked`.
    """
    with store.commit("by hand"):
        found = store.links.of(pair, side, record_id)
        if found is None:
            raise NotLinked(record_id)
        if store.operations.in_flight(found.id):
            raise CannotBeDone(
                f"a write to {record_id} or to its counterpart was sent, and the answer is awaited. {_WHEN_KNOWN}"
            )
        store.links.remove(found.id)
        store.links.mark(pair, [Mark(of, found.ids[of], "retired", "unlinked by a person") for of in Side], now)
        store.attention.unpark(pair, records_of(found))
        for of in Side:
            store.observations.forget(pair, of, found.ids[of])
    return found


def resolve(store: Store, conflict: ConflictRow, value: Value, now: Instant) -> None:
    """Decide a conflict: the next cycle makes both sides hold this value, unless one of them has changed by then.

    `conflict` is what the person was shown. Raises `NotAsShown` if it holds other values by now, or is settled.
    """
    with store.commit("by hand"):
        pair = store.pairs.get(conflict.pair)
        assert pair is not None  # noqa: S101 - the conflict names it
        number = store.attention.number_now(conflict.link, conflict.field)
        if number == conflict.id and _is_carried_out(store, pair.id, conflict.link, number):
            raise CannotBeDone(
                f"nothing was decided: conflict {number} was decided before, and that is being written. {_WHEN_KNOWN}"
            )
        if not store.attention.decide(conflict, value, now):
            raise NotAsShown(conflict.id, number)
        rev = store.observations.next_rev()
        for side, record_id in ((Side.LEFT, conflict.left_id), (Side.RIGHT, conflict.right_id)):
            store.observations.look_again(pair.id, side, [record_id], now, rev)


def _is_carried_out(store: Store, pair: int, link: int, conflict: int) -> bool:
    """Whether an earlier verdict is being written just now: who decides otherwise meanwhile would not be heard."""
    (row,) = store.attention.conflicts(conflict=conflict)
    if row.state != "decided":
        return False
    # What is planned while nobody works on the pair was left by a cycle that failed, and is decided anew.
    at_work = store.pairs.holder(pair) is not None and store.operations.live_on_link(link)
    return at_work or store.operations.in_flight(link)


def look_at(store: Store, pair: int, records: Iterable[tuple[Side, str]], now: Instant) -> None:
    """Read these records and their counterparts again in the next cycle, whatever their apps list."""
    with store.commit("by hand"):
        rev = store.observations.next_rev()
        for side, record_id in records:
            store.observations.look_again(pair, side, [record_id], now, rev)
            found = store.links.of(pair, side, record_id)
            if found is not None:
                store.observations.look_again(pair, side.other, [found.ids[side.other]], now, rev)


def retry(store: Store, pair: int, now: Instant, side: Side | None = None, record_id: str | None = None) -> int:
    """Look at parked records again in the next cycle: at one, or at all of the pair; how many there are.

    What may have a counterpart already (a create in doubt, a merge) is taken for new only by its own name: that is for
    a person to say of each.
    """
    rows = [row for row in store.attention.parked(pair) if record_id is None or row.record_id == record_id]
    with store.commit("by hand"):
        if record_id is None:
            rows = [row for row in rows if not _is_retired(store, pair, row)]
        else:
            rows = [row for row in rows if side in (None, row.side)]
        rev = store.observations.next_rev()
        for row in rows:
            store.links.unmark(pair, row.side, row.record_id)
            store.observations.look_again(pair, row.side, [row.record_id], now, rev)
        store.attention.unpark(pair, [(row.side, row.record_id) for row in rows])
    return len(rows)


def _is_retired(store: Store, pair: int, row: ParkedRow) -> bool:
    mark = store.links.marks(pair, row.side, [row.record_id]).get(row.record_id)
    return mark is not None and mark.kind == "retired"
