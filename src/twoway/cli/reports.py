"""Plans and reports of cycles, as people and as programs read them."""

from collections.abc import Iterable
from typing import Any

from twoway.cli import words
from twoway.cli.errors import Code, code, message
from twoway.cli.output import say
from twoway.cli.words import Names
from twoway.core.model import Side
from twoway.core.plan import Totals
from twoway.engine.cycle import Ending, Report
from twoway.engine.plans import Plan, PlanLine
from twoway.state.attention import ConflictRow, ParkedRow
from twoway.state.pairs import CycleRow

_PARTS = (("create", "creates"), ("update", "updates"), ("delete", "deletes"), ("blank", "blanks"))


def directions(totals: Totals, names: Names) -> list[dict[str, Any]]:
    """A plan's totals, for each direction. `blank` counts the updates that empty a field; they are updates as well."""
    return [
        {
            "from": names[side.other],
            "to": names[side],
            **{name: getattr(totals, attribute)[side] for name, attribute in _PARTS},
        }
        for side in reversed(Side)
    ]


def say_directions(totals: Totals, names: Names) -> None:
    """The totals, a line for each direction."""
    for one in directions(totals, names):
        line = f"  {one['from']} {words.ARROW} {one['to']}: {one['create']} create, {one['update']} update"
        blanks = f" (of which {one['blank']} empty a field)" if one["blank"] else ""
        say(f"{line}{blanks}, {one['delete']} delete")


def line(one: PlanLine, names: Names) -> dict[str, Any]:
    """One write."""
    everything = one.rules.get("*", "")
    return {
        "from": names[one.side.other],
        "to": names[one.side],
        "kind": one.kind,
        "record": one.record_id,
        "counterpart": one.counterpart_id,
        "rule": words.rule(everything, names) or None,
        "changes": [
            {
                "field": field,
                "old": old,
                "new": new,
                "rule": words.rule(one.rules.get(field, everything), names) or None,
            }
            for field, (old, new) in one.changes.items()
        ],
    }


def say_lines(lines: Iterable[PlanLine], names: Names) -> None:
    """Writes, a line each."""
    for one in lines:
        say(f"  {words.direction(one.side, names)}  {one.kind} {_what(one, names)}")


def _what(one: PlanLine, names: Names) -> str:
    everything = words.rule(one.rules.get("*", ""), names)
    why = f"  ({everything})" if everything else ""
    if one.kind == "create":
        values = "  ".join(f"{field}: {words.value(new)}" for field, (_, new) in one.changes.items())
        return f"from {one.counterpart_id}  {values}{why}"
    if one.kind != "update":
        return f"{one.record_id}{why}"
    parts = []
    for field, (old, new) in one.changes.items():
        rule = f" ({words.rule(one.rules[field], names)})" if field in one.rules else ""
        parts.append(f"{field}: {words.value(old)} {words.ARROW} {words.value(new)}{rule}")
    return f"{one.record_id}  {'  '.join(parts)}{why}"


def plan(found: Plan, names: Names, *, approved: bool, known: Iterable[ConflictRow]) -> dict[str, Any]:
    """A plan in JSON. `known` are the conflicts of the pair: one that only the plan has found has no number yet."""
    numbered = {one.id: one for one in known}
    return {
        "pair": found.report.pair,
        "approved": approved,
        "pending": found.pending,
        "held": found.report.ending is Ending.HELD,
        "reasons": list(found.report.reasons),
        "links_before": found.links_before,
        "links_to_end": found.ending,
        "matched": found.matched,
        "directions": directions(found.report.totals, names),
        "lines": [line(one, names) for one in found.lines],
        "more": found.more,
        "conflicts": [
            {**conflict(one, names), **({} if numbered.get(one.id) == one else {"id": None})} for one in found.conflicts
        ],
        "parked": [parked(one, names) for one in found.parked],
        "error": None if found.report.error is None else message(found.report.error),
    }


def no_plan(pair: str, error: Exception) -> dict[str, Any]:
    """Why there is no plan of a pair, in JSON, with the keys of a plan: what is not known is `null`."""
    unknown = dict.fromkeys(("approved", "pending", "held", "links_before", "links_to_end", "matched"))
    lists: dict[str, Any] = {key: [] for key in ("reasons", "directions", "lines", "conflicts", "parked")}
    return {"pair": pair, **unknown, **lists, "more": 0, "error": message(error)}


def report(pair: str, names: Names, outcome: Report | Exception | None) -> dict[str, Any]:
    """What became of a pair that was to run a cycle, in JSON: its report, why there was none, or `None` where the pair
    was skipped. A cycle that found nothing to do is not kept, and has no number."""
    ran = outcome if isinstance(outcome, Report) else None
    error = ran.error if ran else outcome
    return {
        "pair": pair,
        "cycle": ran.cycle if ran and kept(ran) else None,
        "status": ran.ending.value if ran else "not run" if error else "skipped",
        "counts": words.counts(ran.counts, names) if ran else {},
        "reasons": list(ran.reasons) if ran else [],
        "requests": {names[side]: ran.requests.get(side, 0) if ran else 0 for side in Side},
        "error": message(error) if isinstance(error, Exception) else None,
    }


def kept(one: Report) -> bool:
    """Whether the cycle is in `twoway cycles`."""
    return bool(one.error or one.reasons or any(one.counts.values()))


def say_report(one: Report, names: Names) -> None:
    """What a cycle did."""
    number = f"cycle {one.cycle}: " if kept(one) else ""
    idle = "nothing written" if one.reasons else "nothing to do"
    say(f"{one.pair}: {number}{words.counted(one.counts, names, idle)}")
    for reason in one.reasons:
        say(f"  held: {reason}")
    if one.reasons:
        say(f"  nothing was written. Look with `twoway plan {one.pair}`, let it go on with `twoway approve {one.pair}`")


def report_code(one: Report) -> Code:
    """The exit code of a cycle."""
    if one.error is not None:
        return code(one.error)
    return Code.HELD if one.ending is Ending.HELD else Code.FINE


def conflict(one: ConflictRow, names: Names) -> dict[str, Any]:
    """A conflict in JSON."""
    return {
        "id": one.id,
        "pair": one.pair,
        "field": one.field,
        "records": {names[Side.LEFT]: one.left_id, names[Side.RIGHT]: one.right_id},
        "values": {names[Side.LEFT]: one.left, names[Side.RIGHT]: one.right},
        "rule": words.rule(one.rule, names),
        "opened_at": words.iso(one.opened_at),
        "state": one.state,
    }


def say_conflict(one: ConflictRow, names: Names, number: str | None = None) -> None:
    """A conflict on one line."""
    sides = ((Side.LEFT, one.left_id, one.left), (Side.RIGHT, one.right_id, one.right))
    held = "  ".join(f"{names[side]}:{record} {words.value(value)}" for side, record, value in sides)
    decided = "  (decided; carried out in the next cycle)" if one.state == "decided" else ""
    say(f"  {number or f'conflict {one.id}'}  {one.field}: {held}  ({words.rule(one.rule, names)}){decided}")


def parked(one: ParkedRow, names: Names) -> dict[str, Any]:
    """A record that was set aside, in JSON."""
    return {
        "pair": one.pair,
        "account": names[one.side],
        "record": one.record_id,
        "code": one.code,
        "field": one.field,
        "reason": words.rule(one.reason, names),
        "since": words.iso(one.since),
        "tries": one.tries,
        "retry_at": words.iso(one.retry_at),
    }


def say_parked(one: ParkedRow, names: Names, title: str = "") -> None:
    """A record that was set aside, on one line, after a title."""
    field = f" ({one.field})" if one.field else ""
    again = f"next try {words.when(one.retry_at)}" if one.retry_at else "tried again when it changes"
    tried = f", tried {one.tries} times" if one.tries > 1 else ""
    named = f"{title}  {names[one.side]}" if title else names[one.side]
    say(f"  {named}:{one.record_id}{field}: {words.rule(one.reason, names)}; {again}{tried}")


def cycle(one: CycleRow, names: Names) -> dict[str, Any]:
    """A cycle that ran, in JSON."""
    return {
        "cycle": one.id,
        "pair": one.pair,
        "kind": one.kind,
        "status": one.status,
        "started_at": words.iso(one.started_at),
        "ended_at": words.iso(one.ended_at),
        "counts": words.counts(one.counts, names),
        "message": one.message,
    }
