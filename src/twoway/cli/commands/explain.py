"""`twoway explain`."""

from typing import Any

import typer

from twoway.cli import reports, words
from twoway.cli.context import Place, config_of, places, state_of
from twoway.cli.options import AsJson, FieldOption, NoSuch, PairOption, Record
from twoway.cli.output import document, say
from twoway.cli.standing import Standing, fields, following, gather
from twoway.config.problems import valid
from twoway.core.model import Side
from twoway.state.store import Store

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    ctx: typer.Context, record: Record, pair: PairOption = None, field: FieldOption = None, as_json: AsJson = False
) -> None:
    """Say in plain words what is known of a record, why, and what comes next.

    What it is linked to, what each app was last known to hold, why every field has the value that it has, and what the
    next cycle will do about it. No app is asked.
    """
    config = config_of(ctx)
    with state_of(config) as store:
        found = places(config, store, record, pair)
        known = {name for place in found for name in place.pair.mapping.fields}
        if field is not None and field not in known:
            raise NoSuch(f"there is no field {field} in any of its pairs", valid(known, field))
        told = [_about(store, place, field) for place in found]
    if as_json:
        document({"record": record, "pairs": told})
        return
    for one in told:
        _say(record, one)


def _about(store: Store, place: Place, field: str | None) -> dict[str, Any]:
    found = gather(store, place)
    names = place.names
    linked = None if found.link is None else f"{names[place.side.other]}:{found.link.ids[place.side.other]}"
    return {
        "pair": place.pair.name,
        "known": found.known,
        "linked_to": linked,
        "linked_at": words.iso(found.linked_at),
        "fields": fields(store, found, field),
        "conflicts": [reports.conflict(row, names) for row in found.conflicts.values() if field in (None, row.field)],
        "parked": [reports.parked(row, names) for row in found.parked],
        "mark": _mark(found),
        "seen": {names[side]: words.iso(row.seen_at) for side, row in found.seen.items() if row.seen_at},
        "next": following(found),
    }


def _mark(found: Standing) -> dict[str, Any] | None:
    if found.mark is None:
        return None
    names: dict[Side, str] = found.place.names
    return {
        "kind": found.mark.mark.kind,
        "reason": words.rule(found.mark.mark.reason, names),
        "since": words.iso(found.mark.at),
    }


def _say(record: str, one: dict[str, Any]) -> None:
    say(f"{one['pair']}:")
    if one["linked_to"]:
        say(f"  {record} is linked to {one['linked_to']} since {words.local(one['linked_at'])}")
    else:
        say(f"  {record} is linked to nothing")
    if one["mark"]:
        say(f"  it is not touched since {words.local(one['mark']['since'])}: {one['mark']['reason']}")
    for parked in one["parked"]:
        about = f" ({parked['field']})" if parked["field"] else ""
        what = f"{parked['account']}:{parked['record']} was set aside on {words.local(parked['since'])}"
        say(f"  {what}{about}: {parked['reason']}")
    for field in one["fields"]:
        _say_field(field)
    for conflict in one["conflicts"]:
        held = ", ".join(f"{name} holds {words.value(value)}" for name, value in conflict["values"].items())
        say(f"  conflict {conflict['id']} of {conflict['field']}: {held} ({conflict['rule']})")
    for step in one["next"]:
        say(f"  next: {step}")


def _say_field(field: dict[str, Any]) -> None:
    values = field["values"]
    if len({words.value(value, 10_000) for value in values.values()}) == 1 and len(values) > 1:
        held = f"{words.value(next(iter(values.values())))} in both"
    else:
        held = ", ".join(f"{words.value(value)} in {name}" for name, value in values.items()) or "not known"
    say(f"  {field['field']}: {held}")
    for name, value in field["seen_since"].items():
        say(f"    {name} shows {words.value(value)} now, which is not settled yet")
    say(f"    {field['why']}")
