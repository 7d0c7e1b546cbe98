"""What people do by hand: links, verdicts on conflicts, another try for what was set aside."""

from collections.abc import Iterable, Mapping

from twoway.core.model import Instant, Side, Value
from twoway.state.attention import ConflictRow, ParkedRow
from twoway.state.links import Mark, NewLink
from twoway.state.rows import Link
from twoway.state.store import Store


class CannotBeDone(Exception):
    """What was asked for does not fit what is there; the message says why."""


def link(store: Store, pair: int, ids: Mapping[Side, str], now: Instant) -> int:
    """Link two records. Neither may be linked; what differs between them is decided by the pair's `start`.

    The caller holds the pair's lease, here and for `unlink`: a cycle under way would work on what is no longer so.
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
                raise CannotBeDone(
                    f"{ids[side]} was sent to the other app, and the answer is awaited: try again when the next cycles "
                    f"have found out what became of it (`twoway explain` tells)"
                )
        empty: dict[Side, Mapping[str, Value]] = {side: {} for side in Side}
        number = store.links.add(
            pair, NewLink(ids, empty, dict.fromkeys(Side), dict.fromkeys(Side), dict.fromkeys(Side)), now
        )
        rev = store.observations.next_rev()
        for side in Side:
            store.observations.look_again(pair, side, [ids[side]], now, rev)
    return number


def unlink(store: Store, pair: int, side: Side, record_id: str, now: Instant) -> Link:
    """End the link of a record. Neither record is taken for new afterwards, and nothing is deleted."""
    with store.commit("by hand"):
        found = store.links.of(pair, side, record_id)
        if found is None:
            raise CannotBeDone(f"{record_id} is not linked")
        store.links.remove(found.id)
        store.links.mark(pair, [Mark(of, found.ids[of], "retired", "unlinked by a person") for of in Side], now)
        for of in Side:
            store.observations.forget(pair, of, found.ids[of])
    return found


def resolve(store: Store, conflict: ConflictRow, value: Value, now: Instant) -> None:
    """Decide a conflict: the next cycle makes both sides hold this value, unless one of them has changed by then."""
    with store.commit("by hand"):
        store.attention.decide(conflict.id, value, now)
        pair = store.pairs.get(conflict.pair)
        assert pair is not None  # noqa: S101 - the conflict names it
        rev = store.observations.next_rev()
        for side, record_id in ((Side.LEFT, conflict.left_id), (Side.RIGHT, conflict.right_id)):
            store.observations.look_again(pair.id, side, [record_id], now, rev)


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
