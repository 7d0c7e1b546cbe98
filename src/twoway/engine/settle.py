"""What a write that took effect leaves in the state: links, bases, match keys, and what is settled by it.

Worked off a batch at a time, each statement once for all of it, and always within the caller's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from twoway.core.diff import Seen
from twoway.core.mapping import Decoded
from twoway.core.model import SIDES, Side, Value, Values
from twoway.core.reconcile import LEFT_SCOPE, moved_bases
from twoway.core.resolve import DECIDED
from twoway.engine.linking import OUT_OF_SCOPE, end_link, move, records_of
from twoway.engine.run import Run
from twoway.state.attention import UNREADABLE
from twoway.state.links import LinkWritten, NewLink
from twoway.state.observations import Sighting
from twoway.state.rows import Link, Observation, StagedOperation, receipt_text


class Done(NamedTuple):
    """A write that took effect: on which record, what the app stored of it, and the version that it made."""

    operation: StagedOperation
    record_id: str
    stored: Values
    version: str | None


_UNTOLD: Final = "\0"
"""What a receipt's version begins with where the app told none: the time of the answer follows."""


def written(run: Run, version: str | None, fields: Iterable[str]) -> str:
    """What a link keeps of our last write to a record: the version that it made, and its fields."""
    return receipt_text(version or f"{_UNTOLD}{run.now}", fields)


def is_our_own(run: Run, side: Side, receipt: tuple[str, Sequence[str]], row: Observation) -> bool:
    """Whether the version that was read may be the one that our own last write made. Where the app told none, the
    record's own time must be well beyond our write to be a person's."""
    version = receipt[0]
    if not version.startswith(_UNTOLD):
        return version == row.version
    slack = run.app(side).capabilities.resolution + run.pair.tuning.skew
    return row.modified is None or row.modified <= int(version.removeprefix(_UNTOLD)) + slack


def _form(operation: StagedOperation, stored: Values) -> Values:
    """How the app stored what it was sent, where that is something else: an undo must tell it from what a person made
    of it."""
    changed = operation.edit.changed
    return {} if stored is changed else {name: value for name, value in stored.items() if value != changed.get(name)}


def note_forms(run: Run, link: Link, seen: Mapping[Side, Seen]) -> None:
    """The same, where it was not known before the record was read at the very version that our last write made."""
    for side in SIDES:
        before, now = link.bases[side], seen[side].base
        forms = {} if now is before else {name: value for name, value in now.items() if before.get(name) != value}
        if forms:
            run.store.operations.formed(run.pair.id, side, link.ids[side], forms)


# -- creates


def created(run: Run, done: Sequence[Done]) -> None:
    """The records that we created on one side are the counterparts of those that they were made from."""
    if not done:
        return
    store, pair = run.store, run.pair
    target = done[0].operation.side
    giver, mapping = target.other, run.mapping(target)
    news: list[NewLink] = []
    formed: list[tuple[int, Values]] = []
    keys: list[tuple[str, tuple[int | None, ...]]] = []
    settled: list[tuple[Side, str, int | None]] = []
    for operation, record_id, stored, version in done:
        given, from_id = operation.edit.given, operation.counterpart_id or ""
        blanks = {name: None for name, value in given.items() if value is None and mapping.app_fields(name)}
        base: Values = {**blanks, **stored}
        if form := _form(operation, stored):
            formed.append((operation.id, form))
        new = NewLink(
            {target: record_id, giver: from_id},
            {target: base, giver: given},
            {target: mapping.fingerprint(Decoded(dict(base), {})), giver: operation.fps[giver]},
            {target: version, giver: operation.version},
            {target: written(run, version, operation.edit.changed), giver: None},
        )
        if operation.link is None:
            news.append(new)
        else:
            previous = store.links.get(operation.link)
            if previous is None:
                continue
            move(run, previous, new, target, "deleted, and created anew")
        keys.append((record_id, mapping.keys(base)))
        settled.append((giver, from_id, operation.revs[giver]))
    store.operations.stored(formed)
    store.links.add_all(pair.id, news, run.now)
    store.links.set_keys(pair.id, target, keys)
    store.observations.settle(pair.id, settled)


# -- updates


def updated(run: Run, done: Sequence[Done]) -> None:
    """The bases of the written fields move; what was seen of both records is settled, unless more is to be done."""
    links = run.store.observations.beside({one.operation.link for one in done if one.operation.link is not None})
    first: dict[int, Done] = {}
    later: list[Done] = []
    for one in done:
        if one.operation.link in first:
            later.append(one)
        elif one.operation.link in links:
            first[one.operation.link] = one
    if first:
        seen: dict[Side, dict[str, Sighting]] = {side: {} for side in SIDES}
        for link, sighted in links.values():
            for side, sighting in sighted.items():
                seen[side][link.ids[side]] = sighting
        _move(run, [(links[number][0], one) for number, one in first.items()], seen)
    if later:
        updated(run, later)


def _move(run: Run, rows: Sequence[tuple[Link, Done]], seen: Mapping[Side, Mapping[str, Sighting]]) -> None:
    """The same for writes to one side, of a link each; `seen` is what waits to be settled of their records, by id."""
    store, pair = run.store, run.pair
    side = rows[0][1].operation.side
    mapping = run.mapping(side)
    written_to: list[LinkWritten] = []
    keys: list[tuple[str, tuple[int | None, ...]]] = []
    formed: list[tuple[int, Values]] = []
    apart: dict[int, dict[str, list[Value]]] = {}
    for link, (operation, _, stored, version) in rows:
        edit = operation.edit
        moved = moved_bases(edit, stored, link.bases)
        decided = [name for name, rule in edit.rules.items() if rule == DECIDED]
        if decided:
            # What the other side held when a person decided is known: whoever goes back to what it held before that
            # edits it.
            judged = store.attention.values(link.id, side.other)
            mine = {name: judged[name] for name in decided if name not in edit.given and name in judged}
            moved[side.other].update(mine)
        now = {of: {**link.bases[of], **moved[of]} for of in SIDES}
        if form := _form(operation, stored):
            formed.append((operation.id, form))
        # Of a set that is merged on both sides, this write stored its own part only: the rest is still to be carried
        # over.
        receipt = written(run, version, edit.changed.keys() - edit.deltas.keys())
        known = operation.fps[side] is not None
        fp = mapping.fingerprint(Decoded(now[side], {})) if known else None
        # A record that was read just before the write was looked at in the written fields alone. What else a person
        # changed in it is not known yet: the version that the write made must not stand for it in the next one.
        whole = operation.version is not None and operation.undoes is None and not mapping.needs_current(edit.changed)
        known_at = (version or link.versions[side]) if whole else None
        written_to.append(LinkWritten(link.id, now, fp, known_at, receipt))
        if pair.match_fields & edit.changed.keys():
            keys.append((link.ids[side], mapping.keys(now[side])))
        if decided:
            store.attention.carried_out(link.id, [name for name in decided if name in edit.given])
            # A verdict that both sides were told stands until both are seen to have taken it: one of the writes may
            # fail.
            store.attention.took(link.id, side, {name: stored[name] for name in decided if name not in edit.given})
        if operation.undoes is not None:
            apart[link.id] = {**link.held, **_apart(link, operation, stored)}
    store.operations.stored(formed)
    if keys:
        store.links.set_keys(pair.id, side, keys)
    free = _release(run, side, rows, seen)
    gave = _given(side.other, free, seen[side.other])
    store.links.wrote(side, written_to, gave)
    for number, held in apart.items():
        store.links.hold(number, held)
    _settle(run, side, free, seen)


def _apart(link: Link, operation: StagedOperation, stored: Values) -> dict[str, list[Value]]:
    """The pairs of values that an undo leaves to differ."""
    side, other = operation.side, link.bases[operation.side.other]
    pairs = {name: [stored[name], other.get(name)] for name in operation.edit.changed}
    return pairs if side is Side.LEFT else {name: values[::-1] for name, values in pairs.items()}


def _release(
    run: Run, target: Side, rows: Sequence[tuple[Link, Done]], seen: Mapping[Side, Mapping[str, Sighting]]
) -> list[tuple[Link, StagedOperation]]:
    """The links of which nothing more is to be done; what else is to be done about the others is noted."""
    numbers = [link.id for link, _ in rows]
    busy, unsettled = run.store.operations.live_on(numbers), run.store.attention.unsettled(numbers)
    again: dict[Side, list[str]] = {side: [] for side in SIDES}
    free: list[tuple[Link, StagedOperation]] = []
    for link, (operation, *_) in rows:
        if link.id in busy:
            # The other side is being written too. What was read of this one is of before our write; it stays observed,
            # since that other write may yet fail, and with it what this side was to give.
            again[target].append(link.ids[target])
        elif operation.edit.deltas or unsettled.get(link.id):
            # A set that is merged on both sides is known to agree once both are read: each write moved its own part.
            for side, record_id in records_of(link):
                again[side].append(record_id)
        elif link.id in unsettled:
            _in_conflict(run, link, operation, {side: seen[side].get(link.ids[side]) for side in SIDES})
        else:
            free.append((link, operation))
    for side, ids in again.items():
        if ids:
            look_again(run, side, ids)
    return free


def _given(
    giver: Side, free: Iterable[tuple[Link, StagedOperation]], seen: Mapping[str, Sighting]
) -> dict[int, tuple[int | None, str | None]]:
    """Fingerprint and version of the records that were carried over, by link, where nothing newer was seen of them."""
    return {
        link.id: (gave.fp, gave.version)
        for link, operation in free
        if (gave := seen.get(link.ids[giver])) is not None and gave.rev == operation.revs[giver]
    }


def look_again(run: Run, side: Side, record_ids: Iterable[str]) -> None:
    """Fetch these by id before they are decided."""
    rev = run.store.observations.next_rev()
    run.store.observations.look_again(run.pair.id, side, record_ids, run.now, rev)
    run.again = True


def _in_conflict(run: Run, link: Link, operation: StagedOperation, seen: Mapping[Side, Sighting | None]) -> None:
    """What was read before our write must not be taken for a change of what we wrote; what was seen of either record
    since it was decided is still to be decided."""
    store, pair, target = run.store, run.pair, operation.side
    waiting = [
        (side, link.ids[side]) for side, row in seen.items() if row is not None and row.rev == operation.revs[side]
    ]
    rev = store.observations.next_rev()
    store.observations.look_again(pair.id, target, [link.ids[target]], run.now, rev)
    store.observations.outdated(pair.id, target, link.ids[target])
    store.observations.wait(pair.id, waiting)


def _settle(
    run: Run,
    target: Side,
    rows: Sequence[tuple[Link, StagedOperation]],
    seen: Mapping[Side, Mapping[str, Sighting]],
) -> None:
    """What was seen of these links' records is settled, but for what was seen since the write was decided."""
    store, pair = run.store, run.pair
    settled: list[tuple[Side, str, int | None]] = []
    newer: list[str] = []
    calm: list[tuple[Side, str]] = []
    for link, operation in rows:
        stays = False
        for side in SIDES:
            row = seen[side].get(link.ids[side])
            if row is None:
                continue
            rev = operation.revs[side]
            if rev is not None and row.rev <= rev:
                settled.append((side, link.ids[side], rev))
                continue
            stays = True
            if side is target:
                # It was seen after it was decided, and perhaps before our write: what it holds now is to be read.
                newer.append(link.ids[side])
        if not stays:
            calm += records_of(link)
    store.observations.settle(pair.id, settled)
    if newer:
        store.observations.look_again(pair.id, target, newer, run.now, store.observations.next_rev())
    store.attention.unpark(pair.id, calm, but=UNREADABLE)


# -- removals


def removed(run: Run, operation: StagedOperation) -> None:
    """Both records of the link are gone, or the one that left the scope is on its own."""
    link = run.store.links.get(operation.link) if operation.link is not None else None
    if link is None:
        return
    # Whose counterpart was taken away again by a person is not to get another.
    giver = "retired" if operation.undoes is not None else "tombstone"
    kinds = {operation.side: "tombstone", operation.side.other: giver}
    rule = operation.edit.rules.get("*", "")
    left_out = rule == LEFT_SCOPE
    if left_out:
        kinds[operation.side.other] = "left_out"
    end_link(run, link, kinds, OUT_OF_SCOPE if left_out else rule, operation.revs)
