"""What must hold of a history, judged from the apps' own logs: what people wrote, what we wrote, in which order.

Each check answers with the violations it found, in words; none means that it holds. The state is asked only for what
people are shown: links, conflicts, what is set aside, and the history of replaced values.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from twoway.core.model import Raw, Side
from twoway.core.rules import Direction
from twoway.state.rows import Link
from twoway.testing.memory import Change, MemoryApp
from twoway.testing.scenarios import FIELDS, MAPPED, History, trimmed

_GRACE = 1_000
"""Milliseconds by which the listings that a cycle begins with may come before the cycle itself."""


def convergence(found: History, *, deletions: bool) -> list[str]:
    """Once everybody rests: linked records agree, and none is left alone, but for what people are shown.

    Without `deletions` a record that is gone on one side may still be linked: its app tells only by a snapshot.
    """
    world, pair = found.world, found.world.pair
    aside = {(row.side, row.record_id) for row in world.store.attention.parked(pair.id)}
    conflicts = {(row.link, row.field) for row in world.store.attention.conflicts(pair.id)}
    bad = []
    linked: set[tuple[Side, str]] = set()
    for link in links(found):
        ids = list(link.ids.items())
        linked.update(ids)
        if aside & set(ids) or not all(_in_scope(found, side, one) for side, one in ids):
            continue
        alive = [world.apps[side].records[one].alive for side, one in ids]
        if alive[0] != alive[1]:
            bad += [f"deletion stuck: {link.ids}"] if deletions else []
        elif all(alive):
            bad += [
                f"diverged: {link.ids} {name}"
                for name in MAPPED
                if (link.id, name) not in conflicts and not _agree(found, link, name)
            ]
    return bad + [
        f"left alone: {one}"
        for side, app in world.apps.items()
        for one in app.live()
        if (side, one) not in linked | aside and _in_scope(found, side, one) and not _retired(found, side, one)
    ]


def links(found: History) -> list[Link]:
    """Every link of the pair."""
    store = found.world.store
    rows = store.db.run("SELECT id FROM link WHERE pair = ?", (found.world.pair.id,))
    return list(store.links.many(row[0] for row in rows).values())


def _retired(found: History, side: Side, record_id: str) -> bool:
    mark = found.world.store.links.marks(found.world.pair.id, side, [record_id]).get(record_id)
    return mark is not None and mark.kind == "retired"


def _in_scope(found: History, side: Side, record_id: str) -> bool:
    mapping = found.world.pair.mapping.side(side)
    return mapping.in_scope(mapping.decode(found.world.apps[side].records[record_id].values).values)


def _agree(found: History, link: Link, name: str) -> bool:
    values = [found.world.apps[side].records[one].values.get(name) for side, one in link.ids.items()]
    rule = found.world.pair.mapping.rules.fields[name]
    if rule.direction is not Direction.BOTH:
        return True
    if None in values and rule.blank.value == "ignore":
        return True
    return _same(name, values[0], values[1]) or name in link.held


def _same(name: str, one: Raw, two: Raw) -> bool:
    return bool(trimmed(name, one) == trimmed(name, two))


def safety(found: History) -> list[str]:
    """Whatever happens and whenever one looks: nothing lost, invented, doubled, wrongly deleted or touched."""
    bad: list[str] = []
    for side in Side:
        bad += _lost(found, side)
        bad += _invented(found, side)
        bad += _unproved(found, side)
        bad += _untouchable(found, side)
        bad += _back_in_time(found, side)
        bad += _doubles_of_the_old(found, side)
    return bad + _counterparts(found)


def _history(found: History) -> set[tuple[Side, str, str, Raw]]:
    rows = found.world.store.operations.history(pair=found.world.pair.id, limit=100_000)
    return {(row.side, row.record_id, row.field, str(row.old)) for row in rows}


def _held(app: MemoryApp, name: str, value: Raw) -> bool:
    """Whether the app ever stored this value in this field."""
    return any(name in change.fields and _same(name, change.fields[name][1], value) for change in app.log)


def _lost(found: History, side: Side) -> Iterator[str]:
    """A person's value that we replaced is on the other side, or in the history."""
    app, other = found.world.apps[side], found.world.apps[side.other]
    kept = _history(found)
    written: dict[tuple[str, str], Change] = {}
    for change in app.log:
        ours = change.who == "engine"
        replaced = {name: old for name, (old, new) in change.fields.items() if old != new} if ours else {}
        if ours and change.kind == "delete":
            replaced = {name: app.records[change.id].values.get(name) for name in MAPPED}
        for name, old in replaced.items():
            last = written.get((change.id, name))
            if old is None or last is None or last.who != "human" or (side, change.id, name, old) in kept:
                continue
            if not _held(other, name, old) and not _unseen(found, app, change, last):
                yield f"lost edit: {change.id} {name} = {old}, replaced by {change.operation}"
        written.update({(change.id, name): change for name in change.fields})


def _unseen(found: History, app: MemoryApp, change: Change, edit: Change) -> bool:
    """The limit that is documented: an app without conditions, an edit between our last read and our write."""
    return not app.manner.conditional and edit.seq > found.sent[change.operation or ""].read


def _invented(found: History, side: Side) -> Iterator[str]:
    """Every value that we wrote was somebody's."""
    people = [c for app in found.world.apps.values() for c in app.log if c.who == "human"]
    for change in found.world.apps[side].written():
        for name, (_, new) in change.fields.items():
            if not any(name in c.fields and _same(name, c.fields[name][1], new) for c in people):
                yield f"invented: {change.id} {name} = {new}"


def _unproved(found: History, side: Side) -> Iterator[str]:
    """What we deleted had a counterpart that somebody had deleted, and not merged, or that had left the scope."""
    giver = found.world.apps[side.other]
    for change in found.world.apps[side].written():
        if change.kind != "delete":
            continue
        source = _source(found, change.operation)
        before = found.sent[change.operation or ""].at
        deaths = [c for c in giver.log if c.id == source and c.kind in ("delete", "merge") and c.at <= before]
        if not deaths:
            yield f"deleted without proof: {change.id} for {source}"
        elif deaths[-1].kind == "merge":
            yield f"deleted for a merge: {change.id} for {source}"


def _source(found: History, operation: str | None) -> str:
    """The record that a write carried over."""
    number = int((operation or "").rsplit("-", 1)[1])
    return str(found.world.store.db.one("SELECT counterpart_id FROM operation WHERE id = ?", (number,)))


def _untouchable(found: History, side: Side) -> Iterator[str]:
    """Fields that are not mapped, or not on this side, are never written."""
    forbidden = set(FIELDS) - set(MAPPED)
    rules = found.world.pair.mapping.rules.fields
    for change in found.world.apps[side].written():
        for name in sorted(change.fields):
            if name in forbidden or not rules[name].direction.writes(side):
                yield f"touched: {change.id} {name}"


def _back_in_time(found: History, side: Side) -> Iterator[str]:
    """Of the edits of one side, an older one is never written after a younger one."""
    giver = found.world.apps[side.other]
    if any(change.kind in ("merge", "restore") for app in found.world.apps.values() for change in app.log):
        return
    newest: dict[tuple[str, str], int] = {}
    for change in found.world.apps[side].written():
        source = _source(found, change.operation) if change.kind == "update" else ""
        for name, (_, new) in change.fields.items():
            edits = [
                c.seq
                for c in giver.log
                if c.id == source
                and c.who == "human"
                and name in c.fields
                and c.at <= change.at
                and _same(name, c.fields[name][1], new)
            ]
            if not edits:
                continue
            if edits[-1] < newest.get((change.id, name), 0):
                yield f"back in time: {change.id} {name} = {new}"
            newest[change.id, name] = max(edits[-1], newest.get((change.id, name), 0))


def _creates(found: History, side: Side) -> list[Change]:
    return [change for change in found.world.apps[side].written() if change.kind == "create"]


def _counterparts(found: History) -> list[str]:
    """Whatever was lost on the way, a record was not created twice."""
    made: Mapping[tuple[Side, str], list[str]] = defaultdict(list)
    for side in Side:
        app = found.world.apps[side]
        # What a person took back out of the bin may by then have a successor.
        restored = {change.id for one in found.world.apps.values() for change in one.log if change.kind == "restore"}
        for change in _creates(found, side):
            source = _source(found, change.operation)
            if app.records[change.id].alive and not {change.id, source} & restored:
                made[side.other, source].append(change.id)
    bad = [f"two counterparts: {ids} for {source}" for source, ids in made.items() if len(ids) > 1]
    linked: Mapping[str, str] = {one: link.ids[side.other] for link in links(found) for side, one in link.ids.items()}
    for side in Side:
        for change in _creates(found, side):
            source = _source(found, change.operation)
            back = [c for c in _creates(found, side.other) if _source(found, c.operation) == change.id]
            if back and linked.get(change.id) != back[0].id and found.world.apps[side.other].records[source].alive:
                bad.append(f"ping-pong: {source} made {change.id}, which made {back[0].id}")
    return bad


def _doubles_of_the_old(found: History, side: Side) -> Iterator[str]:
    """No record was created while another with its address had been there since before the cycle's listings."""
    app = found.world.apps[side]
    for change in _creates(found, side):
        address = change.fields.get("email", (None, None))[1]
        horizon = found.sent[change.operation or ""].began - app.manner.lag - app.manner.resolution - _GRACE
        for one in app.records:
            if one != change.id and address is not None and _held_since(app, one, address, horizon, change.seq):
                yield f"double of {one}: {change.id} with {address}"


def _held_since(app: MemoryApp, record_id: str, address: Raw, horizon: int, until: int) -> bool:
    """Whether the record was live and held this address from the horizon to the log's entry `until`."""
    alive, held = False, None
    for change in app.log[: until - 1]:
        if change.id != record_id:
            continue
        if change.at >= horizon and ("email" in change.fields or change.kind in ("delete", "merge", "restore")):
            return False
        alive = change.kind in ("create", "update", "restore") and (alive or change.kind != "update")
        held = change.fields.get("email", (None, held))[1]
    created = next(change.at for change in app.log if change.id == record_id)
    return alive and held == address and created < horizon
