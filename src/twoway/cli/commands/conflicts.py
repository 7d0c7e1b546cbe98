"""`twoway conflicts`."""

from typing import Annotated, Any

import orjson
import typer

from twoway.cli import reports, words
from twoway.cli.context import SystemClock, chosen, config_of, ensured, names_of, state_of
from twoway.cli.options import LARGEST, AsJson, NoSuch, Pair
from twoway.cli.output import document, say
from twoway.config.load import Config, PairConfig
from twoway.config.problems import valid
from twoway.core.model import Side, Value
from twoway.core.raw import Invalid
from twoway.core.spec import FieldSpec
from twoway.core.types import make_type
from twoway.engine import byhand
from twoway.state.attention import ConflictRow
from twoway.state.store import Store

HELP = "List, show and resolve the fields that wait for a person."
app = typer.Typer(add_completion=False, no_args_is_help=True, help=HELP)

Number = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=LARGEST, help="Its number: `twoway conflicts list` shows them.")
]


@app.command("list")
def list_(ctx: typer.Context, pair: Pair = None, as_json: AsJson = False) -> None:
    """List the conflicts, the oldest first."""
    config = config_of(ctx)
    if pair is not None:
        chosen(config, pair)
    with state_of(config) as store:
        found = store.attention.conflicts(None if pair is None else ensured(store, pair).id)
    if as_json:
        document({"conflicts": [reports.conflict(one, names_of(config, one.pair)) for one in found]})
        return
    for one in found:
        reports.say_conflict(one, names_of(config, one.pair), f"{one.id}  {one.pair}")
    say("resolve one with `twoway conflicts resolve ID --use ACCOUNT` or `--value TEXT`" if found else "no conflicts")


@app.command()
def show(ctx: typer.Context, number: Number, as_json: AsJson = False) -> None:
    """Show one conflict with all that is known of it."""
    config = config_of(ctx)
    with state_of(config) as store:
        one = _find(config, store, number)
        link = store.links.get(one.link)
    names = names_of(config, one.pair)
    bases = {} if link is None else link.bases
    known = {names[side]: base[one.field] for side, base in bases.items() if one.field in base}
    about: dict[str, Any] = {**reports.conflict(one, names), "last_known": known}
    if as_json:
        document(about)
        return
    say(f"conflict {one.id} of {one.pair}, field {one.field}, since {words.when(one.opened_at)}")
    for side in Side:
        name = names[side]
        was = f", was last known to be {words.value(known[name], 1000)}" if name in known else ""
        say(f"  {name}:{about['records'][name]} holds {words.value(about['values'][name], 1000)}{was}")
    say(f"  why: {about['rule']}")
    if one.state == "decided":
        say("  it is decided; the next cycle carries it out")
    else:
        uses = " or ".join(f"--use {name}" for name in names.values())
        say(f"  next: `twoway conflicts resolve {one.id}` with {uses} or --value TEXT")


@app.command()
def resolve(
    ctx: typer.Context,
    number: Number,
    use: Annotated[
        str | None, typer.Option("--use", metavar="ACCOUNT", help="The value that this account holds.")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            "--value",
            metavar="TEXT",
            help="Another value. Elements of a set are separated by commas; an empty text is a blank.",
        ),
    ] = None,
) -> None:
    """Decide which value both sides are to hold.

    The next cycle writes it, unless one of the two values has changed by then. A number stands for the two values
    that were shown with it: when one of them changes, the conflict gets another number.
    """
    if (use is None) == (value is None):
        raise typer.BadParameter("give one of --use ACCOUNT and --value TEXT")
    config = config_of(ctx)
    with state_of(config) as store:
        one = _find(config, store, number)
        wanted = _of_account(config, one, use) if use is not None else _typed(config, one, value or "")
        try:
            byhand.resolve(store, one, wanted, SystemClock().now())
        except byhand.NotAsShown as error:
            _say_as_it_is(config, store, error.number)
            raise
    say(f"decided: {one.field} is to be {words.value(wanted)} on both sides")
    say(f"  the next cycle writes it; `twoway sync {one.pair}` does it now")


def _find(config: Config, store: Store, number: int) -> ConflictRow:
    found = store.attention.conflicts(conflict=number)
    if found:
        return found[0]
    now = store.attention.renumbered(number)
    if now is None:
        raise NoSuch(f"there is no conflict {number} (any more)", "`twoway conflicts list` shows those that there are")
    _say_as_it_is(config, store, now)
    raise byhand.NotAsShown(number, now)


def _say_as_it_is(config: Config, store: Store, number: int | None) -> None:
    """A conflict as it is by now, for whoever was shown it otherwise."""
    for one in store.attention.conflicts(conflict=number) if number is not None else ():
        reports.say_conflict(one, names_of(config, one.pair), f"{one.id}  {one.pair}")


def _of_account(config: Config, one: ConflictRow, account: str) -> Value:
    names = names_of(config, one.pair)
    values = {names[Side.LEFT]: one.left, names[Side.RIGHT]: one.right}
    if account not in values:
        raise NoSuch(f"{account} is not one of the two accounts of {one.pair}", valid(values, account))
    return values[account]


def _typed(config: Config, one: ConflictRow, text: str) -> Value:
    """What a person typed, as the canonical value that it stands for. Raises `NoSuch` where it is none."""
    (pair,) = chosen(config, one.pair)
    spec = next((field for field in pair.spec.fields if field.name == one.field), None)
    if spec is None:
        raise NoSuch(f"{one.pair} has no field {one.field} any more", "Leave it: the next cycle drops the conflict")
    try:
        return _as_stored(pair, spec, _parsed(spec, text))
    except (Invalid, orjson.JSONDecodeError) as error:
        raise NoSuch(f"the value does not fit {one.field} ({spec.type})", str(error)) from None


def _parsed(spec: FieldSpec, text: str) -> Value:
    kind = make_type(spec.type, region=spec.region, resolution=spec.resolution, decimals=spec.decimals)
    match spec.type:
        case "set":
            found = kind.parse([part.strip() for part in text.split(",")])
        case "json":
            found = kind.parse(orjson.loads(text) if text else None)
        case _:
            found = kind.parse(text)
    choices = {key for place in (spec, spec.left, spec.right) if place and place.choices for key in place.choices}
    for each in found if isinstance(found, list) else [found]:
        if choices and each is not None and each not in choices:
            raise Invalid(valid(choices, str(each)))
    return found


def _as_stored(pair: PairConfig, spec: FieldSpec, value: Value) -> Value:
    """The value as it will be read back (trimmed, in one case); `Invalid` where an app has no form for it."""
    for side in Side:
        if spec.location(side) is None:
            continue
        part = pair.mapping.side(side)
        raw = part.encode({spec.name: value}, {})
        if not (spec.to_left or spec.to_right):
            value = part.decode(raw).values.get(spec.name, value)
    return value
