"""What the deliberate faults are made of: kinds of histories, ways to plant, and the wrong code itself."""

# ruff: noqa: SLF001 - a fault is planted just where the engine keeps things to itself

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from twoway.core import resolve
from twoway.core.diff import Seen
from twoway.core.model import Page, Receipt, Record, Side, Values
from twoway.core.plan import State
from twoway.core.resolve import SETTLED
from twoway.core.rules import Direction, OnDelete
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.engine import observe, receipts, recover
from twoway.engine.app import App
from twoway.engine.run import Run
from twoway.ports import Consistency
from twoway.sdk.errors import ConnectorError
from twoway.state.links import Links
from twoway.state.observations import Observations
from twoway.state.operations import Operations
from twoway.state.rows import StagedOperation
from twoway.testing.memory import MemoryConnector
from twoway.testing.planted import Plant, Shape
from twoway.testing.scenarios import TAGS, Scenario

Planting = Callable[[Plant], None]


# -- kinds of histories


def shaped(*, spec: Mapping[str, Any] | None = None, right: Mapping[str, Any] | None = None, **changes: Any) -> Shape:
    """Scenarios with these changes; `spec` to the mapping, `right` to its right side, `manner_…` to both apps."""
    manner = {name.removeprefix("manner_"): changes.pop(name) for name in list(changes) if name.startswith("manner_")}

    def shape(chosen: Scenario) -> Scenario:
        rules: MappingSpec = replace(chosen.spec, **(spec or {}))
        if right:
            rules = replace(rules, right=replace(rules.right, **right), left=replace(rules.left, **right))
        manners = {side: replace(one, **manner) for side, one in chosen.manners.items()}
        return replace(chosen, spec=rules, manners=manners, **changes)

    return shape


def any_history(chosen: Scenario) -> Scenario:
    """As it comes."""
    return chosen


def narrow(*names: str, **changes: Any) -> Shape:
    """Two-way fields only, and few: people meet in the same one; no scope, and nothing by hand but what is said."""
    first = shaped(**{"deletes": False, "merges": False, "by_hand": False, "edit_share": 0.25, "settle": 0, **changes})

    def shape(chosen: Scenario) -> Scenario:
        fields = [
            FieldSpec(name=name, left=Location(path=name), right=Location(path=name)) for name in ("email", *names)
        ]
        if TAGS in names:
            fields[-1] = replace(fields[-1], type="set")
        chosen = first(chosen)
        sides = {side.value: replace(chosen.spec.side(side), scope=None, create=True) for side in Side}
        return replace(chosen, spec=replace(chosen.spec, fields=tuple(fields), **sides))  # type: ignore[arg-type]  # by name

    return shape


BUSY: Final = shaped(edit_share=0.25, addresses=30)
LOSING: Final = shaped(
    fault_share=4.0, addresses=30, manner_unique=frozenset(), manner_marker=False, manner_find=Consistency.NONE
)
DELETING: Final = shaped(deletes=True, right={"delete": OnDelete.DELETE}, fault_share=2.0)
MERGING: Final = shaped(deletes=True, merges=True, right={"delete": OnDelete.DELETE}, manner_feed_merges=False)
UNDOING: Final = shaped(by_hand=True, fault_share=1.0, addresses=30)
BLIND: Final = shaped(edit_share=0.25, addresses=30, manner_conditional=False)
DYING: Final = shaped(crash_share=0.05, faults=8)


# -- ways to plant


def instead(where: Any, name: str, what: Any) -> Planting:
    """Another thing in its place."""

    def plant(into: Plant) -> None:
        into.put(where, name, what)

    return plant


def answering(where: Any, name: str, answer: Any = None) -> Planting:
    """A function that does nothing but answer this."""
    return instead(where, name, lambda *_args, **_more: answer)


def answering_later(where: Any, name: str, answer: Any = None) -> Planting:
    """A coroutine that does nothing but answer this."""

    async def answers(*_args: Any, **_more: Any) -> Any:
        return answer

    return instead(where, name, answers)


def all_of(*plantings: Planting) -> Planting:
    """Several at once: where the engine looks twice."""

    def plant(into: Plant) -> None:
        for one in plantings:
            one(into)

    return plant


def around(where: Any, name: str, wrapper: Callable[..., Any]) -> Planting:
    """`wrapper(before, …)` in its place."""

    def plant(into: Plant) -> None:
        before = where.__dict__[name]
        into.put(where, name, lambda *args, **more: wrapper(before, *args, **more))

    return plant


# -- the faults that need more than a line


def as_if_written(before: Any, left: Seen, right: Seen, *more: Any) -> Any:
    if not left.base and not right.base:
        left, right = replace(left, base=left.values), replace(right, base=right.values)
    return before(left, right, *more)


def one_base(before: Any, self: Links, link: int, bases: Mapping[Side, Values]) -> None:
    before(self, link, {side: {**bases[Side.RIGHT], **bases[Side.LEFT]} for side in Side})


def forgets(before: Any, run: Run, operation: StagedOperation, *more: Any) -> None:
    before(run, operation, *more)
    for side, record in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        if record is not None:
            run.store.observations.forget(run.pair.id, side, record)
            link = run.store.links.of(run.pair.id, side, record)
            if link is not None and (row := run.store.observations.get(run.pair.id, side, record)):
                run.store.links.set_seen([(link.id, side, row.fp, row.version)])


async def cursor_first(run: Run, side: Side, cursor: str) -> None:
    app = run.app(side)
    while True:
        page = await app.changes(cursor)
        with run.commit("cursor"):
            run.store.pairs.set_cursor(run.pair.id, side, page.cursor)
        rows = observe._sightings(run, side, page.records, hint=False, settle=0)
        with run.commit("observe"):
            observe._store(run, side, observe._news(run, side, rows))
            observe._absences(run, side, page, lagging=False)
        if page.last:
            return
        cursor = page.cursor or cursor


def resent(_before: Any, run: Run, _side: Side, creates: Sequence[StagedOperation], **_more: Any) -> None:
    for operation in creates:
        recover._again(run, operation)


def unhidden(before: Any, self: App) -> Any:
    return replace(before.fget(self), hides_merges=False)


def capabilities(wrapper: Callable[..., Any]) -> Planting:
    """The engine is told something else of what an app can do."""

    def plant(into: Plant) -> None:
        before = App.__dict__["capabilities"]
        into.put(App, "capabilities", property(partial(wrapper, before)))

    return plant


async def no_overlap(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    if cursor is not None:
        since, after, began = json.loads(cursor)
        manner = self.app.manner
        cursor = json.dumps([since + (0 if after else manner.lag + manner.resolution), after, began])
    page: Page = await before(self, cursor)
    if cursor is None or page.cursor is None:
        return page
    since, after, began = json.loads(page.cursor)
    return page._replace(cursor=json.dumps([max(since, 0), after, began]))


async def our_clock(before: Any, self: MemoryConnector, cursor: str | None) -> Page:
    page: Page = await before(self, cursor)
    if not page.last:
        return page
    return page._replace(cursor=json.dumps([self.app.clock.now(), "", None]))


def gone_at_once(before: Any, self: Observations, pair: int, side: Side, since: int) -> list[str]:
    missing: list[str] = before(self, pair, side, since)
    self.put(pair, [observe._absence(side, one, None, since, self.next_rev(), hint=False) for one in missing])
    return []


def history_late(into: Plant) -> None:
    waiting: dict[int, tuple[Any, ...]] = {}
    before = into.put(
        Operations,
        "record",
        lambda _self, pair, cycle, rows, now: waiting.update({r.id: (pair, cycle, r, now) for r in rows}),
    )
    landed, lost = Operations.landed, Operations.lost

    def loses(self: Operations, ids: Sequence[int], now: int) -> None:
        for one in ids:
            waiting.pop(one, None)
        lost(self, ids, now)

    into.put(Operations, "lost", loses)

    def lands(self: Operations, operations: Sequence[int], state: str) -> None:
        for one in operations:
            if one in waiting and state == "done":
                pair, number, row, now = waiting.pop(one)
                before(self, pair, number, [row], now)
        landed(self, operations, state)

    into.put(Operations, "landed", lands)


def carried_again(before: Any, self: Links, link: int, held: Mapping[str, list[Any]]) -> None:
    """An undo that moves the other side's base too, to what it put back."""
    before(self, link, held)
    found = self.get(link)
    if found is None:
        return
    bases = {side: dict(found.bases[side]) for side in Side}
    for name, (left, right) in held.items():
        if left != right:
            # Which side was written is the one whose base moved: the other one is made to look changed.
            bases[Side.LEFT][name] = bases[Side.RIGHT][name] = right
    self.set_bases(link, bases)


async def nothing_sent(run: Run, side: Side, writes: Sequence[Any]) -> Any:
    try:
        return await run.app(side).apply(writes), None
    except ConnectorError as error:
        return [Receipt.later(error.message)] * len(writes), error


def never_landed(_before: Any, run: Run, operation: StagedOperation) -> None:
    receipts._not_landed(run, operation)
    receipts._close_undone(run, operation, State.SUPERSEDED, "no answer")


def whole_record(before: Any, run: Run, side: Side, operation: StagedOperation, target: Record | None) -> Any:
    write = before(run, side, operation, target)
    return replace(write, changed={"note": None, **write.changed})


def unconditional(before: Any, *args: Any) -> Any:
    return replace(before(*args), version=None)


def blank_is_absent(before: Any, *args: Any) -> Any:
    seen = before(*args)
    return replace(seen, values={name: value for name, value in seen.values.items() if value is not None})


def left_wins(before: Any, rule: Any, left: Any, right: Any, **more: Any) -> Any:
    """The last writer is always the left side, whatever was last agreed on."""
    if left.value == right.value:
        return SETTLED
    return (
        resolve.Resolution(right=left.value, rule="changed")
        if rule.direction is Direction.BOTH
        else before(rule, left, right, **more)
    )


def never_edited(before: Any, side: Side, gone: Seen, survivor: Seen, rules: Any) -> Any:
    return before(side, gone, replace(survivor, base=survivor.values), rules)


def guess(before: Any, *args: Any) -> Any:
    found = before(*args)
    others = [one for one in found.duplicates if one.side is not found.side]
    return replace(found, match=others[0].id, duplicates=()) if others else found


def marks_nothing(_before: Any, self: Links, pair: int, marks: Any, _now: int) -> None:
    for mark in marks:
        self.unmark(pair, mark.side, mark.record_id)


def by_address(_before: Any, run: Run, side: Side, creates: Sequence[StagedOperation], **_more: Any) -> None:
    """Whoever has the address by now is taken for what was sent; if nobody has, it is sent again."""
    for operation in creates:
        keys = run.mapping(side).keys(operation.edit.changed)
        found = run.store.links.holders(run.pair.id, [(n, key) for n, key in enumerate(keys) if key is not None])
        same = [one for group in found.values() for one in group if one.side is side and one.standing == "free"]
        if same:
            recover._adopt_own(run, operation, same[0].id)
        else:
            recover._again(run, operation)


def opts_in(before: Any, rule: Any, left: Any, right: Any) -> Any:
    for one, other, side in ((left, right, Side.RIGHT), (right, left, Side.LEFT)):
        if one.value == "in" and one.changed and other.value != "in":
            return (
                resolve.Resolution(left="in", rule="changed")
                if side is Side.LEFT
                else resolve.Resolution(right="in", rule="changed")
            )
    return before(rule, left, right)


def refused_and_forgotten(_before: Any, run: Run, operation: StagedOperation, why: str, _field: Any = None) -> None:
    receipts._close_undone(run, operation, State.FAILED, why)
    for side, record in ((operation.side, operation.record_id), (operation.side.other, operation.counterpart_id)):
        row = None if record is None else run.store.observations.get(run.pair.id, side, record)
        if row is not None:
            run.store.observations.settle(run.pair.id, [(side, row.record_id, row.rev)])


def never_lost(run: Run) -> None:
    run.store.operations.drop_plan(run.pair.id, run.now)


def resumed(run: Run) -> None:
    """What was sent is sent again as it was."""
    run.store.db.run(
        "UPDATE operation SET state = 'planned' WHERE pair = ? AND state = 'sent' AND closed_at IS NULL",
        (run.pair.id,),
    )
