"""Deliberate faults of deciding: matches, bases, conflicts, clocks, undo."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from twoway.core import reconcile as heart
from twoway.core import resolve
from twoway.core.diff import Seen
from twoway.core.model import Outcome, Receipt, Record, Side, Values, Write
from twoway.core.resolve import SETTLED
from twoway.core.rules import Blank, Direction, Drift, Policy
from twoway.core.spec import FieldSpec, Location
from twoway.engine import apply, decide, receipts
from twoway.engine.run import Run
from twoway.ports import ReceiptShape
from twoway.sdk.errors import ConnectorError
from twoway.state.database import Database
from twoway.state.links import Links, LinkWritten
from twoway.state.observations import Observations
from twoway.state.rows import StagedOperation
from twoway.testing.planted import Fault
from twoway.testing.planted_ways import (
    all_of,
    answering,
    answering_later,
    any_history,
    around,
    instead,
    lively,
    narrow,
    shaped,
)
from twoway.testing.scenarios import CONSENT, STAGE, TAGS, Scenario, trimmed

IN_DOUBT: Final = "p.state IN ('sent', 'unknown')"
"""What the state asks to leave the links alone that have a write in doubt."""


def as_if_written(before: Any, left: Seen, right: Seen, *more: Any) -> Any:
    if not left.base and not right.base:
        left, right = left._replace(base=left.values), right._replace(base=right.values)
    return before(left, right, *more)


def guess(before: Any, *args: Any) -> Any:
    found = before(*args)
    others = [one for one in found.duplicates if one.side is not found.side]
    return replace(found, match=others[0].id, duplicates=()) if others else found


def same_for_both(bases: Mapping[Side, Values]) -> Mapping[Side, Values]:
    return {side: {**bases[Side.RIGHT], **bases[Side.LEFT]} for side in Side}


def one_base(before: Any, self: Links, rows: Iterable[tuple[int, Mapping[Side, Values]]]) -> None:
    before(self, [(link, same_for_both(bases)) for link, bases in rows])


def one_base_written(before: Any, self: Links, side: Side, rows: Iterable[LinkWritten], gave: Any) -> None:
    before(self, side, [row._replace(bases=same_for_both(row.bases)) for row in rows], gave)


Sent = tuple[Sequence[Receipt], ConnectorError | None]


async def read_afterwards(before: Any, run: Run, side: Side, writes: Sequence[Write]) -> Sent:
    """What a read after the write shows is taken for the write's own answer."""
    answers, error = await before(run, side, writes)
    done = [one.id for one in answers if one.outcome is Outcome.DONE and one.id]
    if error is not None or not done:
        return answers, error
    found = await run.app(side).fetch(done)

    def answer(one: Receipt) -> Receipt:
        now = found.get(one.id or "")
        return Receipt.done(one.id, now) if one.outcome is Outcome.DONE and isinstance(now, Record) else one

    return [answer(one) for one in answers], None


def at_any_version(seen: Seen, _version: str | None, receipt: tuple[str, tuple[str, ...]] | None) -> Seen:
    """Whatever the fields show that we wrote is the app's own form of it, at whichever version."""
    stored = {} if receipt is None else {name: seen.values[name] for name in receipt[1] if name in seen.values}
    return seen._replace(base={**seen.base, **stored})


def as_sent(_run: Run, operation: StagedOperation, _record: Record | None) -> dict[str, Any]:
    return dict(operation.edit.changed)


def as_it_was(seen: Seen, *_more: Any) -> Seen:
    return seen


def rewriting(chosen: Scenario) -> Scenario:
    """A name travels to the right, to an app that drops a part of it and says so, and may not be changed there."""
    plain = {"manner_stores": None, "manner_refuses": None, "manner_receipt": ReceiptShape.RECORD}
    chosen = lively("name", **plain, manner_declares_form=True)(chosen)
    email, name = chosen.spec.fields
    name = replace(name, direction=Direction.TO_RIGHT, drift=Drift.REVERT)
    right = replace(chosen.manners[Side.RIGHT], stores=trimmed)
    spec = replace(chosen.spec, fields=(email, name))
    return replace(chosen, spec=spec, manners={**chosen.manners, Side.RIGHT: right})


class Undoubting:
    """The state, asked without a thought for what is in doubt."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def run(self, sql: str, params: Sequence[Any] = ()) -> Any:
        assert IN_DOUBT in sql  # noqa: S101 - else nothing would be planted
        return self._db.run(sql.replace(IN_DOUBT, "p.state = 'none'"), params)


def in_doubt_too(before: Any, self: Observations, *args: Any) -> Any:
    return before(Observations(Undoubting(self._db)), *args)  # type: ignore[arg-type]  # all that `linked` asks for


def its_own_time(before: Any, run: Run, link: Any, side: Side, row: Any) -> Seen:
    seen: Seen = before(run, link, side, row)
    return seen if row is None else seen._replace(modified=row.modified)


def held_back(before: Any, *args: Any) -> Any:
    found = before(*args)
    return found._replace(edits=()) if found.conflicts else found


def left_wins(before: Any, rule: Any, left: Any, right: Any, **more: Any) -> Any:
    """The last writer is always the left side, whatever was last agreed on."""
    if left.value == right.value:
        return SETTLED
    return (
        resolve.Resolution(right=left.value, rule="changed")
        if rule.direction is Direction.BOTH
        else before(rule, left, right, **more)
    )


def blank_is_absent(before: Any, *args: Any) -> Any:
    seen = before(*args)
    return seen._replace(values={name: value for name, value in seen.values.items() if value is not None})


def opts_in(before: Any, rule: Any, left: Any, right: Any) -> Any:
    for one, other, side in ((left, right, Side.RIGHT), (right, left, Side.LEFT)):
        if one.value == "in" and one.changed and other.value != "in":
            return (
                resolve.Resolution(left="in", rule="changed")
                if side is Side.LEFT
                else resolve.Resolution(right="in", rule="changed")
            )
    return before(rule, left, right)


def consenting(chosen: Scenario) -> Scenario:
    """With a consent among the fields."""
    chosen = lively("name")(chosen)
    where = Location(path=CONSENT, opted_out=("out",), opted_in="in")
    consent = FieldSpec(name=CONSENT, type="consent", left=where, right=where)
    return replace(chosen, spec=replace(chosen.spec, fields=(*chosen.spec.fields, consent)))


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
    self.set_bases([(link, bases)])


DECIDING: Final = (
    Fault(
        "a match is linked as if written",
        "rule 1, complaint 8",
        "diverged",
        around(decide, "reconcile", as_if_written),
        any_history,
    ),
    Fault(
        "a key that is not unique is guessed at",
        "complaint 5",
        "ended by IntegrityError",
        around(decide, "propose", guess),
        shaped(addresses=4),
    ),
    Fault(
        "one base for both sides",
        "rule 16, complaint 15",
        "undo undone",
        all_of(around(Links, "set_bases", one_base), around(Links, "wrote", one_base_written)),
        lively("name", by_hand=True, edits=60, cycles=20),
    ),
    Fault(
        "a later read tells the base",
        "rule 2, complaint 19",
        "diverged",
        around(apply, "_send", read_afterwards),
        lively("name", edit_share=0.1),
    ),
    Fault(
        "an edit is taken for the app's own form",
        "rule 3",
        "diverged",
        instead(decide, "absorb_receipt", at_any_version),
        lively("name"),
    ),
    Fault(
        "the base is what was sent",
        "rule 2, complaint 15",
        "not quiet",
        all_of(instead(receipts, "_stored", as_sent), instead(decide, "absorb_receipt", as_it_was)),
        rewriting,
    ),
    Fault(
        "a link is decided while a write is in doubt",
        "rule 6",
        "forced",
        around(Observations, "linked", in_doubt_too),
        lively("name", fault_share=2.0, faults=8, manner_conditional=False, manner_request_lifetime=60_000),
    ),
    Fault(
        "the time of our own write decides",
        "rule 14, complaint 16",
        "older won",
        around(decide, "look_at", its_own_time),
        lively(
            "name",
            "phone",
            TAGS,
            edit_share=0.15,
            edits=60,
            manner_conditional=False,
            manner_unique=frozenset(),
            manner_skew=0,
            manner_resolution=1,
            manner_field_times=False,
            manner_receipt=ReceiptShape.VERSION,
            spec={"conflict": Policy.NEWEST, "tolerance": 0},
        ),
    ),
    Fault(
        "what could not be read is taken for what was last agreed on",
        "rule 4",
        "diverged",
        answering(decide, "is_known", True),
        lively("name", STAGE, edits=60, cycles=20),
    ),
    Fault(
        "a field under review holds back the others",
        "complaint 30",
        "diverged",
        around(heart, "_fields", held_back),
        narrow("name", "phone", addresses=4, spec={"conflict": Policy.REVIEW}),
    ),
    Fault(
        "the last writer wins, without a base",
        "complaint 20",
        "overwritten",
        around(heart, "resolve", left_wins),
        shaped(merges=False, spec={"blank": Blank.PROPAGATE}),
    ),
    Fault(
        "a blank is no value",
        "complaint 21",
        "diverged",
        around(decide, "look_at", blank_is_absent),
        shaped(blanks=True, spec={"blank": Blank.PROPAGATE}),
    ),
    Fault("opting in travels", "promise 4", "opted in", around(resolve, "_consent", opts_in), consenting),
    Fault(
        "an undo is carried over again",
        "rule 16, promise 10",
        "undo undone",
        around(Links, "hold", carried_again),
        lively("name", by_hand=True),
    ),
    Fault(
        "an undo does not look again",
        "promise 10",
        "undo over an edit",
        all_of(answering_later(apply, "_read_targets", {}), answering(apply, "_undone_meanwhile")),
        lively("name", by_hand=True),
    ),
)
