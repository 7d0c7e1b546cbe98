"""What must hold of a history, judged from the apps' own logs: what people wrote, what we wrote, in which order.

Each check answers with the violations it found, in words; none means that it holds. The word before the first colon
names the invariant. The state is asked only for what people are shown: links, conflicts, what is set aside, and the
history of replaced values.

They are judged for any mapping, in its canonical fields. What cannot be said of every one: nothing is judged by a
value that the mapping cannot read; of two records with the same key only the first of several match keys is asked; and
what a one-way step makes of a value counts as that value.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from twoway.core.model import Instant, Kind, RawValues, Side, Value
from twoway.core.plan import State
from twoway.core.raw import BLANKS, Invalid
from twoway.core.reconcile import DELETED_OPPOSITE, UNDONE
from twoway.core.resolve import DECIDED
from twoway.core.rules import Blank, Direction, Drift, OnEditedDelete, Shape
from twoway.ports import ReceiptShape
from twoway.state.rows import Link
from twoway.testing import decisions
from twoway.testing.ledger import UNREADABLE, Ledger, Standing, elements
from twoway.testing.memory import Change
from twoway.testing.scenarios import History

_GRACE = 1_000
"""Milliseconds by which the listings that a cycle begins with may come before the cycle itself."""
_REQUESTS = (60, 14)
"""Requests beside the listings that a history may cost: so many, and so many more for each thing that happened."""


def convergence(found: History, *, deletions: bool, told: bool = False) -> list[str]:
    """Once everybody rests: linked records agree, and none is left alone, but for what people are shown.

    Without `deletions` a record that is gone on one side may still be linked: its app tells only by a snapshot. With
    `told`, so may what an app kept back from a listing that it called complete.
    """
    world, ledger = found.world, Ledger(found)
    aside = {(row.side, row.record_id) for row in world.store.attention.parked(world.pair.id)}
    conflicts = {(row.link, row.field) for row in world.store.attention.conflicts(world.pair.id)}
    hidden = {record for ids in found.hidden.values() for record in ids} if told else set()
    bad, linked = [], set[tuple[Side, str]]()
    for link in ledger.links:
        ids = list(link.ids.items())
        linked.update(ids)
        if aside & set(ids) or hidden & {one for _, one in ids}:
            continue
        alive = [ledger.apps[side].records[one].alive for side, one in ids]
        if not all(ledger.in_scope(side, one) for side, one in ids):
            continue
        if alive[0] != alive[1]:
            # One that was out of scope may have come back, and be deleted, before anybody saw it back.
            out = any(ledger.was_out(one, world.clock.now()) for side, one in ids if not alive[side is Side.RIGHT])
            bad += [f"deletion stuck: {link.ids}"] if deletions and not out else []
        elif all(alive):
            left, right = (ledger.values(side, one) for side, one in ids)
            bad += [
                f"diverged: {link.ids} {name}"
                for name in ledger.mapped
                if (link.id, name) not in conflicts and not _agree(ledger, link, name, left[name], right[name])
            ]
    held = {(op.side.other, op.counterpart_id) for op in ledger.operations.values() if op.state == State.HELD.value}
    return bad + [
        f"left alone: {one}"
        for side, app in ledger.apps.items()
        for one in app.live()
        if (side, one) not in linked | aside | held and one not in hidden and _is_wanted(ledger, side, one)
    ]


def _is_wanted(ledger: Ledger, side: Side, record_id: str) -> bool:
    """Whether the record ought to have a counterpart."""
    return (
        ledger.rules.create[side.other]
        and ledger.in_scope(side, record_id)
        and ledger.mark(side, record_id) != "retired"
    )


def _agree(ledger: Ledger, link: Link, name: str, left: Value, right: Value) -> bool:
    rule = ledger.rule(name)
    if UNREADABLE in (left, right):
        return True
    if rule.shape is Shape.CONSENT:
        return (left == "out") == (right == "out") or link.held.get(name) == [left, right]
    if rule.direction is not Direction.BOTH:
        giver = right if rule.direction is Direction.TO_LEFT else left
        manner = ledger.apps[rule.direction.receiver or Side.LEFT].manner
        # Of an app that says nothing of what it stores, the same edit made twice cannot be told from its own form.
        silent = manner.receipt is ReceiptShape.NOTHING or not manner.declares_form
        if rule.drift is Drift.IGNORE or giver is None or silent:
            return True
    if None in (left, right) and rule.blank is Blank.IGNORE:
        return True
    held = link.held.get(name, [None, None])
    if rule.shape is Shape.SET:
        apart = elements(held[0]) ^ elements(held[1])
        if rule.blank is Blank.IGNORE:
            # What went when a side was emptied is not carried over, whatever is added later.
            apart |= {label for one in link.ids.values() for label in _emptied(ledger, one, name)}
        return elements(left) ^ elements(right) <= apart
    same = ledger.same
    return same(name, left, right) or (same(name, left, held[0]) and same(name, right, held[1]))


def _emptied(ledger: Ledger, record_id: str, name: str) -> set[str]:
    """The elements that a set of a record had before people emptied it: in one go, or one by one between two reads."""
    edits = ledger.edits(record_id, name)
    last = max((n for n, c in enumerate(edits) if not elements(c.fields[name][1])), default=-1)
    return {label for c in edits[: last + 1] for label in elements(c.fields[name][0])}


def safety(found: History) -> list[str]:
    """Whatever happens and whenever one looks: nothing lost, invented, doubled, wrongly deleted or touched."""
    ledger = Ledger(found)
    bad: list[str] = []
    for side in Side:
        for check in _CHECKS:
            bad += check(ledger, side)
    return bad + _counterparts(ledger) + _requests(found)


def _lost(ledger: Ledger, side: Side) -> Iterator[str]:
    """A person's value that we replaced is on the other side, or in the history."""
    app = ledger.apps[side]
    written: dict[tuple[str, str], Change] = {}
    for change in ledger.logs[side]:
        ours = change.who == "engine"
        replaced = (
            {name: old for name, (old, new) in change.fields.items() if not ledger.keeps(name, old, new)}
            if ours
            else {}
        )
        if ours and change.kind == "delete":
            last_ones = {name: written.get((change.id, name)) for name in ledger.mapped}
            replaced = {name: one.fields[name][1] for name, one in last_ones.items() if one is not None}
        for name, old in replaced.items():
            last = written.get((change.id, name))
            if old in (None, UNREADABLE) or last is None or last.who != "human":
                continue
            if (side, change.id, name, str(old)) in ledger.kept:
                continue
            if not ledger.ever_held(side.other, name, old) and not ledger.unseen(app, change, last):
                yield f"lost edit: {change.id} {name} = {old}, replaced by {change.operation}"
        written.update({(change.id, name): change for name in change.fields})


def _invented(ledger: Ledger, side: Side) -> Iterator[str]:
    """Every value that we wrote was somebody's, and nothing opted in by itself."""
    people = [
        (name, new)
        for log in ledger.logs.values()
        for c in log
        if c.who == "human"
        for name, (_, new) in c.fields.items()
    ]
    people += ledger.found.verdicts
    known = {ledger.token(name, value) for name, value in people}
    labels = {(name, label) for name, value in people for label in elements(value)}
    for change, operation in ledger.ours(side):
        given = ledger.given(side, change)
        for name, (_, new) in change.fields.items():
            if ledger.rule(name).shape is Shape.SET:
                theirs = {(name, label) for label in elements(new)} <= labels
            else:
                # A record that nobody filled in is blank; so is what no person ever entered.
                theirs = new is None or ledger.token(name, new) in known
            if not theirs and name not in given and new != UNREADABLE:
                yield f"invented: {change.id} {name} = {new}"
            rule = operation.edit.rules.get(name)
            consent = ledger.rule(name).shape is Shape.CONSENT
            if consent and new == "in" and change.kind == "update" and rule not in (DECIDED, UNDONE):
                yield f"opted in: {change.id} by {rule}"


def _planned(ledger: Ledger, side: Side) -> Iterator[str]:
    """What was sent is what was shown, and it was written over what was shown with it."""
    app = ledger.apps[side]
    twice: set[str | None] = set()
    for change, operation in ledger.ours(side, "update", "create"):
        if change.operation in twice:
            continue
        twice.add(change.operation)
        sent = operation.edit.changed
        if _otherwise(ledger, side, change, sent):
            yield f"otherwise than planned: {change.id} {sorted(change.fields)}"
        for name, (old, _) in change.fields.items():
            if name not in operation.edit.expect or ledger.same(name, old, operation.edit.expect[name]):
                continue
            last = [edit for edit in ledger.edits(change.id, name) if edit.seq < change.seq]
            if last and not ledger.unseen(app, change, last[-1]):
                yield f"forced: {change.id} {name}, which was {old}"


def _otherwise(ledger: Ledger, side: Side, change: Change, sent: Mapping[str, Value]) -> bool:
    """Whether a write did not set just what was planned."""
    app, given, shared = ledger.apps[side], ledger.given(side, change), ledger.shared(side)
    for name in change.fields.keys() | sent.keys():
        if name not in sent:
            # A list is written whole: what a person changed of it just before goes back to what we read.
            last = [edit for edit in ledger.edits(change.id, name) if edit.seq < change.seq]
            other = name not in given and not (name in shared and last and ledger.unseen(app, change, last[-1]))
        elif name in change.fields:
            other = name not in given and not ledger.same(name, change.fields[name][1], sent[name])
        elif change.kind == "create":
            # What is blank is not sent; nor is a consent for which the app has no word.
            other = sent[name] is not None and ledger.rule(name).shape is not Shape.CONSENT
        else:
            # A part of a field that others are in, too, and that held this already, is not told from them.
            other = name not in shared
        if other:
            return True
    return False


def _unproved(ledger: Ledger, side: Side) -> Iterator[str]:
    """What we deleted had a counterpart that somebody had deleted, and not merged, or that had left the scope; or we
    had made it ourselves, and a person took that back."""
    for change, operation in ledger.ours(side, "delete"):
        source, why = operation.counterpart_id or "", operation.edit.rules.get("*")
        before = ledger.found.sent[change.operation or ""].at
        if why == UNDONE:
            if not any(c.kind == "create" and c.who == "engine" for c in ledger.log(change.id)):
                yield f"deleted without proof: {change.id}, undone though we did not make it"
        elif why == DELETED_OPPOSITE:
            # What we took away ourselves is nobody's deletion.
            ends = [c for c in ledger.log(source) if c.kind in ("delete", "merge") and c.who == "human"]
            deaths = [c for c in ends if c.at <= before]
            if not deaths:
                yield f"deleted without proof: {change.id} for {source}"
            elif deaths[-1].kind == "merge":
                yield f"deleted for a merge: {change.id} for {source}"
        elif operation.edit.kind is not Kind.ARCHIVE or not ledger.was_out(source, before):
            yield f"deleted without proof: {change.id}, {why}, for {source}"


def _over_edits(ledger: Ledger, side: Side) -> Iterator[str]:
    """Where the edit is to survive a deletion, nothing is deleted that somebody has edited since."""
    app = ledger.apps[side]
    if ledger.rules.edited_delete is OnEditedDelete.DELETE:
        return
    for change, operation in ledger.ours(side, "delete"):
        if operation.edit.rules.get("*") != DELETED_OPPOSITE:
            continue
        for name in ledger.texts:
            told = [c for c in ledger.log(change.id) if name in c.fields and c.seq < change.seq]
            # Whoever enters what is there already edits nothing.
            last = [c for c in told if c.who != "human" or c.fields[name][0] != c.fields[name][1]]
            if not last or last[-1].who != "human" or ledger.rule(name).direction is not Direction.BOTH:
                continue
            value = last[-1].fields[name][1]
            known = value in (None, UNREADABLE) or ledger.ever_held(side.other, name, value)
            if not known and not ledger.unseen(app, change, last[-1]):
                yield f"deleted over an edit: {change.id} {name} = {value}"


def _scoped(ledger: Ledger, side: Side) -> Iterator[str]:
    """Nothing is carried over from, or to, a record that had left the scope before the cycle began."""
    for change, operation in ledger.ours(side, "create", "update"):
        began = ledger.found.sent[change.operation or ""].began
        for of, record in ((side, change.id), (side.other, operation.counterpart_id or "")):
            app = ledger.apps[of]
            before = [one for one in ledger.standings_of(record) if one.change.at <= change.at]
            dead = any(one.change.kind in ("delete", "merge") for one in before)
            if not before or not before[-1].out or dead or operation.undoes is not None:
                continue
            since = _out_since(before)
            if since < began - app.manner.lag - app.manner.resolution - _GRACE:
                yield f"out of scope: {change.id}, written for {operation.counterpart_id}"


def _out_since(standings: Sequence[Standing]) -> Instant:
    """When a record that is out of scope left it."""
    left = standings[-1].change.at
    for one in reversed(standings):
        if not one.out:
            break
        left = one.change.at
    return left


def _came_back(ledger: Ledger, side: Side) -> Iterator[str]:
    """What a person deleted is not made anew for a record that was known to be its counterpart."""
    freed = _freed(ledger)
    made: dict[str, str] = {}
    for change, operation in ledger.ours(side, "create"):
        if operation.state != State.DONE.value:
            # The answer was lost: whether it was deleted, or never made, could not be told.
            continue
        source = operation.counterpart_id or ""
        before = made.get(source)
        gone = before is not None and any(c.kind == "delete" and c.who == "human" for c in ledger.log(before))
        freely = {source, before} & freed or ledger.was_out(source, change.at)
        if gone and operation.edit.rules.get("*") == "new" and not freely:
            yield f"came back: {change.id} for {source}, after {before}"
        made[source] = change.id


def _untouchable(ledger: Ledger, side: Side) -> Iterator[str]:
    """Fields that are not mapped, or not on this side, are never written, nor what a mapping does not read of one."""
    app, mapping = ledger.apps[side], ledger.found.world.pair.mapping.side(side)
    for change, raw in zip(ledger.logs[side], app.log, strict=True):
        if change.who != "engine":
            continue
        given = ledger.given(side, change)
        for name in sorted(change.fields.keys() - given):
            if not ledger.rule(name).direction.writes(side):
                yield f"touched: {change.id} {name}"
        ours = mapping.reads | (mapping.on_create.keys() if change.kind == "create" else set())
        for field, (old, new) in sorted(raw.fields.items()):
            if field not in ours:
                yield f"touched: {change.id} {field}"
            elif field in ledger.found.samples.parts(side) and change.kind == "update":
                edits = [one for one in app.log if one.id == change.id and field in one.fields and one.seq < change.seq]
                last = [one for one in edits if one.who == "human"]
                kept = _rest(ledger, side, {field: old}) == _rest(ledger, side, {field: new})
                if not kept and not (last and ledger.unseen(app, change, last[-1])):
                    yield f"touched: {change.id} {field}, of which only a part is mapped"


def _rest(ledger: Ledger, side: Side, raw: RawValues) -> RawValues:
    """What the mapping does not read of an app's field."""
    left = dict(raw)
    for name, apps in ledger.found.samples.apps[side].items():
        if set(apps) & left.keys():
            try:
                left |= ledger.found.world.pair.mapping.side(side).encode({name: None}, left)
            except Invalid:
                continue
    return {name: None if value in BLANKS else value for name, value in left.items() if name in raw}


def _back_in_time(ledger: Ledger, side: Side) -> Iterator[str]:
    """Of the edits of one record, an older one is never carried over after a younger one."""
    if any(change.kind in ("merge", "restore") for app in ledger.apps.values() for change in app.log):
        return
    newest: dict[tuple[str, str, str], int] = {}
    for change, operation in ledger.ours(side, "update"):
        giver = operation.counterpart_id or ""
        for name, (_, new) in change.fields.items():
            if name not in ledger.texts or operation.edit.rules.get(name) in (UNDONE, DECIDED):
                continue
            held = [one for one in ledger.log(giver) if name in one.fields and one.at <= change.at]
            if held and held[-1].who == "engine":
                # What fills a blank may be what the same person's other record was given a moment ago.
                continue
            edits = [
                edit.seq
                for edit in ledger.edits(giver, name)
                if edit.at <= change.at and ledger.same(name, edit.fields[name][1], new)
            ]
            if not edits:
                continue
            place = giver, change.id, name
            if edits[-1] < newest.get(place, 0) and change.id not in decisions.undone(ledger):
                yield f"back in time: {change.id} {name} = {new}"
            newest[place] = max(edits[-1], newest.get(place, 0))


def _creates(ledger: Ledger, side: Side) -> list[tuple[Change, str]]:
    return [(change, operation.counterpart_id or "") for change, operation in ledger.ours(side, "create")]


def _counterparts(ledger: Ledger) -> list[str]:
    """Whatever was lost on the way, a record was not created twice."""
    made: Mapping[tuple[Side, str], list[str]] = defaultdict(list)
    freed = _freed(ledger)
    for side in Side:
        for change, source in _creates(ledger, side):
            # The link of one that left the scope may have ended, and its other record have got another by a merge.
            there = ledger.apps[side].records[change.id].alive and ledger.in_scope(side, change.id)
            if there and not {change.id, source} & freed:
                made[side.other, source].append(change.id)
    # What a listing that called itself complete kept back was, for all that could be known, never made.
    hidden = {record for ids in ledger.found.hidden.values() for record in ids}
    bad = [f"two counterparts: {ids} for {source}" for (_, source), ids in made.items() if len(set(ids) - hidden) > 1]
    linked: Mapping[str, str] = {one: link.ids[side.other] for link in ledger.links for side, one in link.ids.items()}
    for side in Side:
        back = {source: change.id for change, source in _creates(ledger, side.other)}
        for change, source in _creates(ledger, side):
            copy = back.get(change.id)
            if not copy or linked.get(change.id) == copy or {change.id, source} & (freed | hidden):
                continue
            # What was deleted a moment before may have been copied once more: it is read again only once it is older.
            deleted = any(one.kind == "delete" for one in ledger.log(change.id))
            if ledger.apps[side.other].records[source].alive and not deleted:
                bad.append(f"ping-pong: {source} made {change.id}, which made {copy}")
    return bad


def _freed(ledger: Ledger) -> set[str]:
    """What a person took back out of the bin, or unlinked, may by then have a successor."""
    return {c.id for app in ledger.apps.values() for c in app.log if c.kind == "restore"} | ledger.found.freed


def _doubles_of_the_old(ledger: Ledger, side: Side) -> Iterator[str]:
    """No record was created while another with its key had been there (at rest, if listings lag) since before them."""
    app, hidden = ledger.apps[side], ledger.found.hidden.get(ledger.apps[side].name, set())
    made = [one for one in ledger.standings[side] if (one.change.who, one.change.kind) == ("engine", "create")]
    for change, key, _ in made:
        horizon = ledger.found.sent[change.operation or ""].began - app.manner.lag - app.manner.resolution - _GRACE
        for one in app.records:
            if one == change.id or one in hidden or key is None:
                continue
            lags = bool(app.manner.lag and not app.manner.unique)
            if _held_since(ledger.standings_of(one), key, horizon, change.seq, restless=lags):
                yield f"double: {change.id} with the key of {one}"


def _held_since(standings: Sequence[Standing], key: int, horizon: Instant, until: int, *, restless: bool) -> bool:
    """Whether a record was live, in or out of scope, and held this key from the horizon to the log's entry `until`."""
    alive, before = False, Standing(Change(0, 0, "", "", "", {}), None, False)
    for one in standings:
        change = one.change
        if change.seq >= until:
            break
        moved = restless or one.key != before.key or one.out != before.out or change.kind != "update"
        if change.at >= horizon and moved:
            return False
        alive = change.kind in ("create", "update", "restore") and (alive or change.kind != "update")
        before = one
    return alive and before.key == key


def _requests(found: History) -> list[str]:
    """What a history costs is bounded by what happened in it."""
    tally = found.tally
    most = _REQUESTS[0] + _REQUESTS[1] * (tally["edits"] + tally["faults"] + tally["by hand"])
    asked = tally["fetch"] + tally["find"] + tally["apply"]
    return [f"too many requests: {asked} for {most}"] if asked > most else []


_CHECKS = (
    _lost,
    _invented,
    _planned,
    _unproved,
    _over_edits,
    _untouchable,
    _scoped,
    _back_in_time,
    _doubles_of_the_old,
    _came_back,
    *decisions.CHECKS,
)
