"""Another mapping than the one that a pair was last decided under: what is known of its links and means the same still.

A base, a conflict, a match key are values as a mapping reads them. When a field gets another place, type or form, its
old values say nothing of what the app stores there: it begins anew, without a base. Whatever was read and is not yet
decided is read once more, and both sides are listed completely. When a side is another collection altogether, the
links lead nowhere: then nothing is done at all.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from twoway.core.mapping import Mapping as CompiledMapping
from twoway.core.meaning import altered, as_json
from twoway.core.model import Kind, Side
from twoway.core.plan import State
from twoway.core.reconcile import Edit
from twoway.engine.run import Run
from twoway.state import changed_mapping
from twoway.state.pairs import DecidedUnder, PairRow
from twoway.state.store import Store

_PARTS = ("account", "collection", "options")


class Elsewhere(NamedTuple):
    """A side that is not the collection that the pair's links lead to: which part of it (`account`, `collection`,
    `options`) is another one, and what to do about it, for people."""

    side: Side
    part: str
    what: str


def elsewhere(store: Store, pair: str, mapping: CompiledMapping) -> tuple[Elsewhere, ...]:
    """The sides that a mapping points to another collection than the pair's links lead to."""
    row = store.pairs.get(pair)
    before = None if row is None else store.pairs.decided_under(row.id)
    if before is None:
        return ()
    found = []
    for side, now in _collections(mapping).items():
        was = before.collections[side]
        found += [Elsewhere(side, part, _told(was[part], now[part])) for part in _PARTS if was[part] != now[part]]
    return tuple(found)


def _told(was: Any, now: Any) -> str:
    former = _shown(was)
    return (
        f"was {former} when the pair's records were linked. Under {_shown(now)} the links lead nowhere: every linked "
        f"record would look deleted. Valid: {former}, as before; or another name for the pair (`pair`), which then "
        "begins with a first link"
    )


def _shown(part: Any) -> str:
    if isinstance(part, str):
        return part
    return orjson.dumps(part, None, orjson.OPT_SORT_KEYS).decode() if part else "nothing"


def _collections(mapping: CompiledMapping) -> dict[Side, dict[str, Any]]:
    """What each side is, as JSON tells it."""
    sides = {side: mapping.side(side) for side in Side}
    told = {side: {part: as_json(getattr(one, part)) for part in _PARTS} for side, one in sides.items()}
    return {side: orjson.loads(orjson.dumps(one)) for side, one in told.items()}


def take_over(run: Run, row: PairRow) -> bool:
    """If the pair was last decided under another mapping, keep what means the same and drop the rest; whether it was.

    Within the transaction that begins the cycle, once what was in flight is known to be in doubt.
    """
    mapping, store, pair = run.pair.mapping, run.store, row.id
    if row.decided_hash == mapping.hash:
        return False
    before = store.pairs.decided_under(pair)
    if before is not None:
        _drop(run, before)
    since = {side: {} if before is None else before.since[side] for side in Side}
    fields = {side: _altered(before, mapping, side) for side in Side}
    first = 0 if before is None else run.cycle
    now = DecidedUnder(
        _collections(mapping),
        mapping.match,
        mapping.meanings,
        {
            side: {name: first if name in fields[side] else since[side][name] for name in mapping.meanings[side]}
            for side in Side
        },
    )
    store.pairs.decide_under(pair, mapping.hash, now)
    return True


def _altered(before: DecidedUnder | None, mapping: CompiledMapping, side: Side) -> frozenset[str]:
    """The fields of one side whose former values say nothing any more."""
    return altered({} if before is None else before.meanings[side], mapping.meanings[side])


def _drop(run: Run, before: DecidedUnder) -> None:
    mapping, db, pair = run.pair.mapping, run.store.db, run.pair.id
    fields = {side: _altered(before, mapping, side) for side in Side}
    rev = run.store.observations.next_rev()
    changed_mapping.forget_values(db, pair, fields)
    changed_mapping.read_anew(db, pair, fields, rev, run.now)
    either = fields[Side.LEFT] | fields[Side.RIGHT]
    if [list(key) for key in before.match] != [list(key) for key in mapping.match] or either & run.pair.match_fields:
        changed_mapping.renew_keys(db, pair, rev, run.now)
    if undos := run.store.operations.outdate_undos(pair, run.now):
        run.counts["left_alone"] += undos
    in_doubt = run.store.operations.in_state(pair, State.SENT, State.UNKNOWN)
    run.store.operations.narrow((one.id, _still(one.edit, fields, run.pair.match_fields)) for one in in_doubt)


def _still(edit: Edit, fields: Mapping[Side, Collection[str]], keys: Collection[str]) -> Edit:
    """What can still be told of a write of which the answer was lost: only what means the same is compared with what
    the app shows, and becomes a base. Of a create that is nothing at all once a part of its key is among the rest: what
    then looks the same may be somebody else. A removal is compared as it is, and so not repeated."""
    if edit.kind not in (Kind.CREATE, Kind.UPDATE):
        return edit
    there = set(fields[edit.side])
    either = there.union(fields[edit.side.other])
    if edit.kind is Kind.CREATE and not there.isdisjoint(edit.changed.keys() & keys):
        there.update(edit.changed)
    return edit._replace(
        changed=_but(edit.changed, there),
        expect=_but(edit.expect, there),
        given=_but(edit.given, either),
        deltas=_but(edit.deltas, either),
        rules=_but(edit.rules, there),
    )


def _but(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in set(names)}
