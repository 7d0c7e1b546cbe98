"""What a mapping must not say, beyond what its compilation finds out: options that do not go together.

Each check says what is wrong, and what would be valid. They know the file only, not the apps' live schemas.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from twoway.core.codec import choices_of, choices_on, normal_case, spelling
from twoway.core.model import Raw, Side
from twoway.core.raw import BLANKS, Invalid
from twoway.core.rules import Direction, Policy
from twoway.core.spec import CASES, SPLITS, UNKNOWN_CHOICES, FieldSpec, Location, MappingSpec, SpecProblem
from twoway.core.transforms import Path, Plain, Select, compile_path
from twoway.core.types import RESOLUTIONS, TYPES, make_type

_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_TEXTS: Final = frozenset({"string", "text"})
_STEPPED: Final = frozenset({"string", "text", "choice", "email", "url", "set"})
_POLICY_TYPES: Final = {
    Policy.LONGEST: _TEXTS,
    Policy.MIN: frozenset({"integer", "number", "date", "datetime"}),
    Policy.MAX: frozenset({"integer", "number", "date", "datetime"}),
}
_OPTION_TYPES: Final = {
    "region": frozenset({"phone"}),
    "resolution": frozenset({"datetime"}),
    "decimals": frozenset({"number"}),
    "trim": frozenset({"string", "text", "set"}),
    "case": frozenset({"string", "text", "choice", "set"}),
    "choices": frozenset({"choice", "set"}),
    "to_left": _STEPPED,
    "to_right": _STEPPED,
}
_PLACE_TYPES: Final = {
    "join": _TEXTS,
    "delimiter": frozenset({"set"}),
    "format": frozenset({"date", "datetime"}),
    "choices": frozenset({"choice", "set"}),
    "opted_out": frozenset({"consent"}),
    "opted_in": frozenset({"consent"}),
}


def check_spec(spec: MappingSpec, known: Mapping[Side, Collection[str]] | None = None) -> list[SpecProblem]:
    """Everything that is wrong with the file, in the file's order. `known` names the apps' fields, where at hand."""
    return [
        *(problem for field in spec.fields for problem in _field_problems(field)),
        *_match_problems(spec),
        *_policy_problems(spec),
        *_collisions(spec, known),
    ]


def _field_problems(spec: FieldSpec) -> Iterator[SpecProblem]:
    here = ("fields", spec.name)
    if not _NAME.fullmatch(spec.name):
        yield SpecProblem(here, "a field's name takes letters, digits and underscores only, and begins with no digit")
    if spec.type == "reference":
        yield SpecProblem(
            (*here, "type"), "`reference` is reserved: links between records of several collections are not kept yet"
        )
        return
    if spec.type not in TYPES:
        yield SpecProblem((*here, "type"), f"unknown type; valid: {', '.join(TYPES)}")
        return
    if spec.left is None and spec.right is None:
        yield SpecProblem(here, "says neither `left` nor `right`: where does the field live?")
        return
    yield from _option_problems(spec)
    for side in Side:
        location = spec.location(side)
        if location is not None:
            yield from _place_problems(spec, side, location)
    yield from _direction_problems(spec)
    yield from _choice_problems(spec)


def _wrong_type(option: str, types: frozenset[str], actual: str) -> str:
    return f"`{option}` is for the types {', '.join(sorted(types))}, and this field is a `{actual}`"


def _option_problems(spec: FieldSpec) -> Iterator[SpecProblem]:
    here = ("fields", spec.name)
    given = {
        "region": spec.region is not None,
        "resolution": spec.resolution != "second",
        "decimals": spec.decimals is not None,
        "trim": spec.trim,
        "case": spec.case is not None,
        "choices": spec.choices is not None,
        "to_left": bool(spec.to_left) and any(step.name != "default" for step in spec.to_left),
        "to_right": bool(spec.to_right) and any(step.name != "default" for step in spec.to_right),
    }
    for option, types in _OPTION_TYPES.items():
        if given[option] and spec.type not in types:
            yield SpecProblem((*here, option), _wrong_type(option, types, spec.type))
    for option, value, valid in (
        ("resolution", spec.resolution, RESOLUTIONS),
        ("case", spec.case or "lower", CASES),
        ("unknown_choice", spec.unknown_choice, UNKNOWN_CHOICES),
    ):
        if value not in valid:
            yield SpecProblem((*here, option), f"valid: {', '.join(valid)}")
    if spec.case is not None and choices_of(spec) is not None:
        yield SpecProblem((*here, "case"), "a field with `choices` has its spelling from them; leave `case` out")
    yield from _step_problems(spec)


def _step_problems(spec: FieldSpec) -> Iterator[SpecProblem]:
    for name, steps in (("to_left", spec.to_left), ("to_right", spec.to_right)):
        if steps and spec.type == "consent":
            yield SpecProblem(("fields", spec.name, name), "a consent takes no steps: nothing may be made of it")
            continue
        for index, step in enumerate(steps):
            if step.name == "default" and step.argument is not None and spec.type in TYPES:
                try:
                    make_type(spec.type, region=spec.region).parse(step.argument)
                except Invalid as error:
                    yield SpecProblem(
                        ("fields", spec.name, name, str(index)), f"default: no value of the type: {error.why}"
                    )


def _place_problems(spec: FieldSpec, side: Side, location: Location) -> Iterator[SpecProblem]:
    here = ("fields", spec.name, side.value)
    if (location.path is None) == (not location.join):
        yield SpecProblem(here, "needs either `path` or `join`")
    if len(location.join) == 1 or len(set(location.join)) < len(location.join):
        yield SpecProblem((*here, "join"), "takes two different paths or more")
    if location.join and not location.separator:
        yield SpecProblem((*here, "with"), "needs at least one character, so that the text can be split again")
    if location.join and spec.case in CASES and normal_case(spec.case)(location.separator) != location.separator:
        yield SpecProblem((*here, "with"), f"is not in {spec.case} case, by which it could not be found again")
    if location.split not in SPLITS:
        yield SpecProblem((*here, "split"), f"valid: {', '.join(SPLITS)}")
    given = {
        "join": bool(location.join),
        "delimiter": location.delimiter is not None,
        "format": location.format is not None,
        "choices": location.choices is not None,
        "opted_out": bool(location.opted_out),
        "opted_in": location.opted_in is not None,
    }
    for option, types in _PLACE_TYPES.items():
        if given[option] and spec.type not in types:
            yield SpecProblem((*here, option), _wrong_type(option, types, spec.type))
    if spec.resolution == "millisecond" and location.format not in {None, "epoch_ms"}:
        what = "keeps no milliseconds; valid: `epoch_ms`, or a `resolution` of second, minute"
        yield SpecProblem((*here, "format"), what)
    if location.delimiter is not None and not location.delimiter.strip(" "):
        yield SpecProblem((*here, "delimiter"), "needs a character other than a space")
    elif location.delimiter is not None:
        for raw in (choices_on(spec, side) or {}).values():
            if isinstance(raw, str) and location.delimiter in raw:
                what = f"is in the choice {raw!r}, which would be read as two; valid: one that is in no choice"
                yield SpecProblem((*here, "delimiter"), what)
    if spec.type == "consent":
        yield from _consent_problems(here, location)


def _consent_problems(here: tuple[str, ...], location: Location) -> Iterator[SpecProblem]:
    if not location.opted_out:
        yield SpecProblem(here, "a consent needs `opted_out`: the values that mean no, the one to write first")
        return
    said: dict[str, set[str]] = {"opted_out": set(), "opted_in": set()}
    for option, raw in (
        *(("opted_out", one) for one in location.opted_out),
        *(("opted_in", one) for one in (location.opted_in,) if one is not None),
    ):
        try:
            said[option].add(_spelled(raw).casefold())
        except Invalid as error:
            yield SpecProblem((*here, option), error.why)
    if said["opted_in"] & said["opted_out"]:
        yield SpecProblem((*here, "opted_in"), "is also named in `opted_out`")


def _spelled(raw: Raw) -> str:
    """How a value of a closed list is recognised. Raises `Invalid` for what no app can be told by."""
    text = "" if raw in BLANKS else spelling(raw)
    if not text:
        raise Invalid("a blank says nothing, and stands for no value: name what the app writes, or leave it out")
    return text


def _direction_problems(spec: FieldSpec) -> Iterator[SpecProblem]:
    here = ("fields", spec.name)
    if spec.left is None or spec.right is None:
        if spec.direction not in {Direction.BOTH, Direction.ONE_SIDE}:
            yield SpecProblem(
                (*here, "direction"), "the field lives on one side only; name its place on the other one, too"
            )
        return
    for name, side, steps in (("to_left", Side.LEFT, spec.to_left), ("to_right", Side.RIGHT, spec.to_right)):
        if steps and not spec.direction.writes(side):
            yield SpecProblem((*here, name), f"has no effect: the field's direction is `{spec.direction}`")


def _choice_problems(spec: FieldSpec) -> Iterator[SpecProblem]:
    here = ("fields", spec.name)
    tables: dict[tuple[str, ...], Mapping[str, Raw] | None] = {(*here, "choices"): spec.choices}
    for side in Side:
        location = spec.location(side)
        tables[*here, side.value, "choices"] = None if location is None else location.choices
    if spec.choices is not None and spec.right is not None and spec.right.choices is not None:
        yield SpecProblem((*here, "right", "choices"), "the field's own `choices` say this already; leave one out")
    keys = set(choices_of(spec) or ())
    for where, choices in tables.items():
        if choices is None:
            continue
        if not choices:
            yield SpecProblem(where, "is empty; name each value, such as `{ lead: Lead }`")
        try:
            raws = [_spelled(raw) for raw in choices.values()]
            named = [_spelled(key) for key in choices]
        except Invalid as error:
            yield SpecProblem(where, error.why)
            continue
        if len(set(raws)) < len(raws):
            yield SpecProblem(where, "two choices have the same value, which could not be read back; make them unique")
        if len(set(named)) < len(named):
            yield SpecProblem(where, "two choices have the same name but for spaces; make them unique")
        if set(named) != keys:
            yield SpecProblem(where, f"must name the same values as the other side: {', '.join(sorted(keys))}")


def _match_problems(spec: MappingSpec) -> Iterator[SpecProblem]:
    by_name = {field.name: field for field in spec.fields}
    on_both = sorted(name for name, field in by_name.items() if _can_match(field))
    for index, key in enumerate(spec.match):
        for name in key:
            if name not in by_name:
                yield SpecProblem(("match", str(index)), f"unknown field {name}; valid: {', '.join(on_both)}")
            elif by_name[name].type in TYPES and not _can_match(by_name[name]):
                why = "lives on one side only" if _one_sided(by_name[name]) else f"is a `{by_name[name].type}`"
                yield SpecProblem(
                    ("match", str(index)), f"cannot match by {name}, which {why}; valid: {', '.join(on_both)}"
                )


def _one_sided(field: FieldSpec) -> bool:
    return field.left is None or field.right is None


def _can_match(field: FieldSpec) -> bool:
    return not _one_sided(field) and field.type in TYPES and make_type(field.type).fold is not None


def _policy_problems(spec: MappingSpec) -> Iterator[SpecProblem]:
    if spec.conflict in _POLICY_TYPES:
        yield SpecProblem(("conflict",), f"`{spec.conflict}` is for single fields; valid: left, right, newest, review")
    for field in spec.fields:
        if field.conflict in _POLICY_TYPES and field.type not in _POLICY_TYPES[field.conflict]:
            types = _POLICY_TYPES[field.conflict]
            yield SpecProblem(("fields", field.name, "conflict"), _wrong_type(field.conflict, types, field.type))


def _collisions(spec: MappingSpec, known: Mapping[Side, Collection[str]] | None) -> Iterator[SpecProblem]:
    """Two fields that write the same place would overwrite one another for ever."""
    for side in Side:
        taken: dict[tuple[str, ...], str] = {}
        for field in spec.fields:
            location = field.location(side)
            if location is None or _one_sided(field) or not field.direction.writes(side):
                continue
            for path in location.paths:
                place = _place(path, known and known[side])
                clash = next((taken[one] for one in taken if _overlap(one, place)), None)
                if clash is not None and clash != field.name:
                    yield SpecProblem(
                        ("fields", field.name, side.value), f"writes {path}, which the field {clash} writes already"
                    )
                taken.setdefault(place, field.name)


def _place(path: str, known: Collection[str] | None) -> tuple[str, ...]:
    try:
        accessor = compile_path(path, known)
    except ValueError:
        return (path,)
    if isinstance(accessor, Plain):
        return (accessor.app,)
    assert isinstance(accessor, Path)  # noqa: S101 - `compile_path` gives nothing else
    return (
        accessor.app,
        *(f"{move.key}={move.value.casefold()}" if isinstance(move, Select) else move.name for move in accessor.moves),
    )


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
