"""A mapping held against the apps as they are: what would fail, or be lost, once it ran.

Pure: the live schemas and the declared capabilities come in, problems come out. A warning does not keep a pair from
running; anything else would make it fail on every record that is concerned.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from twoway.config.load import PairConfig
from twoway.config.problems import Problem, valid
from twoway.core.mapping import Mapping as CompiledMapping
from twoway.core.model import Kind, Raw, Side
from twoway.core.rules import Blank, Direction, OnDelete, OnLeave, Policy, Start
from twoway.core.spec import FieldSpec, Location
from twoway.core.types import word
from twoway.ports import Capabilities, FieldInfo, FieldType

Where = tuple[str | int, ...]
Finding = tuple[Where, str, bool]
"""Where, what, and whether it is only a warning."""

_LISTED: Final = 40
_CUTTING: Final = frozenset({"truncate", "digits"})
_NAMES: Final = "fields"


def preflight(
    pair: PairConfig,
    schema: Mapping[Side, Sequence[FieldInfo]],
    capabilities: Mapping[Side, Capabilities],
) -> list[Problem]:
    """What does not fit between a mapping and the two apps' live schemas, in the file's order.

    `schema` is what `describe` gave for each side.
    """
    infos = {side: {info.name: info for info in schema[side]} for side in Side}
    mapping = pair.compile(infos)
    findings: list[Finding] = []
    for field in pair.spec.fields:
        for side in Side:
            location = field.location(side)
            if location is not None:
                findings += _field(pair, mapping, field, side, location, infos[side])
    for side in Side:
        findings += _creation(pair, mapping, side, infos[side])
        findings += _kinds(pair, side, capabilities)
    findings += (one for field in pair.spec.fields for one in _cut(pair, field))
    findings += _keys(pair, mapping, infos)
    findings += _times(pair, capabilities)
    problems = [pair.document.problem(where, what, warning=warning) for where, what, warning in findings]
    return sorted(dict.fromkeys(problems), key=lambda one: (one.line, one.column))


def _field(
    pair: PairConfig,
    mapping: CompiledMapping,
    field: FieldSpec,
    side: Side,
    location: Location,
    infos: Mapping[str, FieldInfo],
) -> Iterator[Finding]:
    here: Where = (_NAMES, field.name, side.value)
    account = pair.spec.side(side).account
    rule = mapping.rules.fields[field.name]
    for app in mapping.side(side).app_fields(field.name):
        info = infos.get(app)
        if info is None:
            yield here, f"{account} has no field {app}; {_candidates(infos, app)}", False
            continue
        yield from _type(field, location, app, info, here)
        if not rule.direction.writes(side):
            continue
        if not info.on_update:
            how = "can be written only when a record is created" if info.on_create else "is read-only"
            away = Direction.TO_RIGHT if side is Side.LEFT else Direction.TO_LEFT
            yield here, f"{account}'s {app} {how}; valid: `direction: {away}`, or another field", False
        elif info.cleared_by is None and rule.blank is Blank.PROPAGATE and field.type != "consent":
            what = f"{account}'s {app} cannot be emptied, so a blank would be refused; `blank: fill` or `ignore` fits"
            yield here, what, True
        if info.choices is not None:
            yield from _choices(field, location, side, account, info, here)


def _type(field: FieldSpec, location: Location, app: str, info: FieldInfo, here: Where) -> Iterator[Finding]:
    into = any(path != app and path.startswith(app) for path in location.paths)
    if info.type is FieldType.JSON and field.type != "json" and not into:
        yield here, f"{app} holds objects or lists; valid: a path into it such as {app}[type=work].value", False
    elif info.type is FieldType.SET and field.type not in {"set", "json"}:
        yield here, f"{app} holds several values; valid: `type: set`", False
    elif field.type == "set" and info.type not in {FieldType.SET, FieldType.JSON} and not location.delimiter:
        yield here, f"{app} holds one value (a {info.type}); a set kept as one text needs `delimiter`", False
    elif info.type is FieldType.REFERENCE:
        yield here, f"{app} names another record of its app by id, which means nothing in another app", True


def _choices(
    field: FieldSpec, location: Location, side: Side, account: str, info: FieldInfo, here: Where
) -> Iterator[Finding]:
    """The values that may be written must be ones that the app takes."""
    known = info.choices or ()
    for where, raw in _written(field, location, side, here):
        if word(raw) not in known:
            yield where, f"{account}'s {info.name} takes no {word(raw)!r}; {_candidates(known, word(raw))}", False


def _written(field: FieldSpec, location: Location, side: Side, here: Where) -> Iterator[tuple[Where, Raw]]:
    if field.type == "consent":
        yield (*here, "opted_out"), location.opted_out[0]
        if location.opted_in is not None:
            yield (*here, "opted_in"), location.opted_in
    elif location.choices is not None:
        for key, raw in location.choices.items():
            yield (*here, "choices", key), raw
    elif field.choices is not None:
        for key, raw in field.choices.items():
            yield (_NAMES, field.name, "choices", key), raw if side is Side.RIGHT else key


def _cut(pair: PairConfig, field: FieldSpec) -> Iterator[Finding]:
    """What a step cuts off is lost once the side that never had it is edited."""
    if field.left is None or field.right is None or field.direction is not Direction.BOTH:
        return
    for name, side, steps in (("to_left", Side.LEFT, field.to_left), ("to_right", Side.RIGHT, field.to_right)):
        for index, step in enumerate(steps):
            if step.name in _CUTTING:
                short, long = pair.spec.side(side).account, pair.spec.side(side.other).account
                what = (
                    f"an edit in {short} replaces the whole text in {long}, and what `{step.name}` had cut off is in no"
                )
                yield (_NAMES, field.name, name, index), f"{what} history; `direction: {name}` keeps it", True


def _creation(
    pair: PairConfig, mapping: CompiledMapping, side: Side, infos: Mapping[str, FieldInfo]
) -> Iterator[Finding]:
    part = pair.spec.side(side)
    for name, raw in part.on_create.items():
        here: Where = ("on_create", side.value, name)
        info = infos.get(name)
        if info is None:
            yield here, f"{part.account} has no field {name}; {_candidates(infos, name)}", False
        elif not info.on_create:
            yield here, f"{part.account}'s {name} is read-only", False
        elif info.choices is not None and not isinstance(raw, list | dict | None) and word(raw) not in info.choices:
            yield here, f"{part.account}'s {name} takes no such value; {_candidates(info.choices, word(raw))}", False
    if not part.create:
        return
    given = set(part.on_create) | {
        app
        for name in mapping.fields
        if mapping.rules.fields[name].direction.writes(side)
        for app in mapping.side(side).app_fields(name)
    }
    for name, info in infos.items():
        if info.required and info.on_create and name not in given:
            what = f"{part.account} creates no record without {name}: map it, give it in `on_create.{side}`"
            yield ("create",), f"{what}, or set `create: {{ on_{side}: false }}`", False


def _kinds(pair: PairConfig, side: Side, capabilities: Mapping[Side, Capabilities]) -> Iterator[Finding]:
    part, kinds = pair.spec.side(side), capabilities[side].kinds
    if part.create and Kind.CREATE not in kinds:
        yield ("create",), f"{part.account} takes no new records; valid: `on_{side}: false`", False
    needed = {OnDelete.DELETE: Kind.DELETE, OnDelete.ARCHIVE: Kind.ARCHIVE}.get(part.delete)
    here: Where = ("delete", f"on_{side}")
    if needed is not None and needed not in kinds:
        able = [one.value for one in (Kind.DELETE, Kind.ARCHIVE) if one in kinds]
        yield here, f"{part.account} cannot {needed}; {valid([*able, 'ignore', 'review'])}", False
    if part.delete in {OnDelete.DELETE, OnDelete.ARCHIVE} and capabilities[side.other].hides_merges:
        what = f"{pair.spec.side(side.other).account} shows a merged record as deleted"
        if part.delete is OnDelete.DELETE:
            what = f"{what}, so that a merge there would delete a customer here; valid: archive, ignore, review"
        else:
            what = f"{what}, so that nothing is archived by itself: a person decides on each, as under `review`"
        yield here, what, part.delete is OnDelete.ARCHIVE
    if pair.spec.on_leave is OnLeave.ARCHIVE and pair.spec.side(side.other).scope and Kind.ARCHIVE not in kinds:
        yield ("scope", "on_leave"), f"{part.account} cannot archive; valid: keep, unlink", False


def _keys(
    pair: PairConfig, mapping: CompiledMapping, infos: Mapping[Side, Mapping[str, FieldInfo]]
) -> Iterator[Finding]:
    created = [pair.spec.side(side).account for side in Side if pair.spec.side(side).create]
    if created and not pair.spec.match:
        what = f"without `match` nobody who is in both apps is recognised: each is made anew in {' and '.join(created)}"
        yield ("match",), f"{what}, unless linked by hand", True
    for index, key in enumerate(pair.spec.match):
        for side in Side:
            apps = [app for name in key for app in mapping.side(side).app_fields(name)]
            if len(key) == 1 and not any(infos[side][app].unique for app in apps if app in infos[side]):
                account = pair.spec.side(side).account
                what = f"{account} lets several records have the same {key[0]}; those are set aside as duplicates"
                yield ("match", index), what, True


def _times(pair: PairConfig, capabilities: Mapping[Side, Capabilities]) -> Iterator[Finding]:
    without = [pair.spec.side(side).account for side in Side if not capabilities[side].field_times]
    if not without:
        return
    accounts = " and ".join(dict.fromkeys(without))
    what = f"`newest` compares times of fields, which {accounts} cannot tell: a record's time stands in, if at all"
    if pair.spec.conflict is Policy.NEWEST:
        yield ("conflict",), what, True
    if pair.spec.start is Start.NEWEST:
        yield ("start",), what, True
    for field in pair.spec.fields:
        for key, value in (("conflict", field.conflict), ("start", field.start)):
            if value in {Policy.NEWEST, Start.NEWEST}:
                yield (_NAMES, field.name, key), what, True


def _candidates(names: Mapping[str, object] | Sequence[str], given: str) -> str:
    """The valid names, or where an app has hundreds of fields only the likeliest."""
    if len(names) <= _LISTED:
        return valid(names, given)
    hint = valid(names, given).rpartition("; did you mean ")[2]
    close = f"; did you mean {hint}" if hint.endswith("?") else ""
    return f"`twoway fields` lists the {len(names)} that it has{close}"
