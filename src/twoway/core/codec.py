"""One field on one side, compiled: from the app's raw values to a canonical value, and back.

Reading runs: accessor → the side's form (`format`, `delimiter`, `choices`, `opted_out`) → type → the field's normal
form (`trim`, `case`, joined words) → one-way steps. Writing runs the other way, without the normal form.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twoway.core.model import Raw, Side, Value
from twoway.core.raw import BLANKS, Invalid
from twoway.core.spec import FieldSpec, Location, SpecProblem, Step
from twoway.core.steps import Change, compile_step, each, title
from twoway.core.time_types import date_format
from twoway.core.transforms import ABSENT, Accessor, Joined, Kept, compile_path, settle
from twoway.core.types import ValueType, word

Read = Callable[[Raw], Value]
Write = Callable[[Value], Raw]


@dataclass(frozen=True, slots=True)
class FieldCodec:
    """What reads and writes one field on one side."""

    name: str
    accessor: Accessor
    read: Read
    """Raw to canonical; `ABSENT` where the value is to be overlooked. Raises `Invalid`."""
    write: Write
    """Canonical to raw. Raises `Invalid` where this side has no form for the value."""


def compile_field(
    spec: FieldSpec, side: Side, kind: ValueType, known: Collection[str] | None, problems: list[SpecProblem]
) -> FieldCodec | None:
    """The codec of one field on one side; `None` where it does not live there, or its place cannot be compiled.

    What is wrong is added to `problems`. `known` names the app's fields, where its live schema is at hand.
    """
    location = spec.location(side)
    if location is None:
        return None
    before = len(problems)
    accessor = _accessor(spec, side, location, known, problems)
    form = _form(spec, side, location, problems)
    steps = {name: _steps(spec, name, problems) for name in ("to_left", "to_right")}
    if accessor is None or len(problems) > before:
        return None
    problems += _strays(spec, kind, steps)
    accessor = _beside_others(spec, side, location, accessor)
    parse, render = _with_form(kind, form)
    normal = _normal_form(spec)
    if normal is not None:
        parse = _then(parse, normal, kind.parse)
    # A step on the way to one side is taken when the other side is read, so that both sides are compared in the form
    # of the side that receives; only where steps lead both ways does writing take the steps that lead back.
    to_right = bool(steps["to_right"])
    taken = steps["to_right"] if side is Side.LEFT else [] if to_right else steps["to_left"]
    for step in taken:
        parse = _then(parse, step, kind.parse)
    if taken and normal is not None:
        # What a step adds is read on the other side, too, and there in the normal form.
        parse = _then(parse, normal, kind.parse)
    if side is Side.LEFT and to_right:
        for step in reversed(steps["to_left"]):
            render = _before(step, kind.parse, render)
    return FieldCodec(spec.name, accessor, parse, render)


def _accessor(
    spec: FieldSpec, side: Side, location: Location, known: Collection[str] | None, problems: list[SpecProblem]
) -> Accessor | None:
    parts = []
    for path in location.paths:
        try:
            parts.append(compile_path(path, known))
        except ValueError as error:
            problems.append(SpecProblem(("fields", spec.name, side.value), str(error)))
    if len(parts) < len(location.paths):
        return None
    return Joined(tuple(parts), location.separator, location.split) if location.join else parts[0]


def _beside_others(spec: FieldSpec, side: Side, location: Location, accessor: Accessor) -> Accessor:
    """Of a set, the elements that the mapping leaves out on purpose are left where they are."""
    choices = choices_on(spec, side)
    if spec.type != "set" or choices is None or spec.unknown_choice != "ignore":
        return accessor
    return Kept(accessor, location.delimiter, frozenset(spelling(raw) for raw in choices.values()))


def _then(parse: Read, change: Change, again: Read) -> Read:
    def read(raw: Raw) -> Value:
        value = parse(raw)
        return value if value is ABSENT else again(change(value))

    return read


def _before(change: Change, again: Read, render: Write) -> Write:
    return lambda value: render(again(change(value)))


def _with_form(kind: ValueType, form: tuple[Read, Write] | None) -> tuple[Read, Write]:
    if form is None:
        return kind.parse, kind.render
    decode, encode = form

    def read(raw: Raw) -> Value:
        value = decode(raw)
        return value if value is ABSENT else kind.parse(value)

    return read, encode


def _form(spec: FieldSpec, side: Side, location: Location, problems: list[SpecProblem]) -> tuple[Read, Write] | None:
    if location.format is not None:
        try:
            return date_format(location.format, instant=spec.type == "datetime")
        except ValueError as error:
            problems.append(SpecProblem(("fields", spec.name, side.value, "format"), str(error)))
            return None
    if spec.type == "consent":
        return _consent(location)
    choices = choices_on(spec, side)
    single = None if choices is None else _choices(choices, spec.unknown_choice)
    if spec.type != "set":
        return single
    return _listed(location.delimiter, single) if location.delimiter or single else None


def spelling(raw: Raw) -> str:
    """How a value of a closed list is recognised: neither spaces around it count nor how its accents are composed.

    Raises `Invalid` for what is no single value.
    """
    return word(raw).strip()


def _keys(spec: FieldSpec) -> Mapping[str, str] | None:
    """The canonical values of a closed list, in the file's order, and each as the file spells it."""
    for choices in (spec.choices, *(one.choices for one in (spec.left, spec.right) if one is not None)):
        if choices is not None:
            return {spelling(key): str(key) for key in choices}
    return None


def choices_of(spec: FieldSpec) -> tuple[str, ...] | None:
    """The canonical values of a field with a closed list, in the file's order; `None` where it is open."""
    keys = _keys(spec)
    return None if keys is None else tuple(keys)


def choices_on(spec: FieldSpec, side: Side) -> Mapping[str, Raw] | None:
    """A field's closed list on a side where it lives, as canonical value → raw value; `None` where it is open."""
    location = spec.location(side)
    assert location is not None  # noqa: S101 - it is asked of a side where the field lives
    named = location.choices
    if named is None and side is Side.RIGHT:
        named = spec.choices
    return _keys(spec) if named is None else {spelling(key): raw for key, raw in named.items()}


def _choices(choices: Mapping[str, Raw], unknown: str) -> tuple[Read, Write]:
    """A side's own spelling of a closed list. Another value is refused, overlooked or passed on as it is."""
    by_raw = {spelling(raw): key for key, raw in choices.items()}

    def read(raw: Raw) -> Any:
        if raw in BLANKS:
            return None
        text = spelling(raw)
        if not text:
            return None
        if text in by_raw:
            return by_raw[text]
        if unknown == "ignore":
            return ABSENT
        if unknown == "keep" and text not in choices:
            return text
        raise Invalid("a value that `choices` does not name (add it there, or set `unknown_choice`)")

    def write(value: Value) -> Raw:
        if value is None:
            return None
        if value in choices:
            return choices[str(value)]
        if unknown == "keep" and value not in by_raw:
            return value
        raise Invalid("a value that `choices` does not name (add it there, or set `unknown_choice`)")

    return read, write


def _listed(delimiter: str | None, single: tuple[Read, Write] | None) -> tuple[Read, Write]:
    """A set whose elements have a spelling of their own, or that is kept as one text."""

    def read(raw: Raw) -> Any:
        elements = raw.split(delimiter) if delimiter is not None and isinstance(raw, str) else raw
        if single is None or not isinstance(elements, list | tuple | set | frozenset):
            return elements
        return [value for one in elements if (value := single[0](one)) is not ABSENT]

    def write(value: Value) -> Raw:
        if not isinstance(value, list):
            return value
        elements = value if single is None else [single[1](one) for one in value]
        if delimiter is None:
            return elements
        words = [word(one) for one in elements]
        text = delimiter.join(words)
        # One may hold the delimiter; or end, or begin, with a part of it.
        if words and text.split(delimiter) != words:
            raise Invalid(f"an element holds the delimiter {delimiter!r}, and would be read back as two")
        return text

    return read, write


def _consent(location: Location) -> tuple[Read, Write]:
    """Whoever is not among `opted_out` is in; a blank says nothing. No case and no space makes a yes of a no."""
    out_words = {spelling(raw).casefold() for raw in location.opted_out}

    def read(raw: Raw) -> Value:
        text = "" if raw in BLANKS else spelling(raw).casefold()
        if not text:
            return None
        return "out" if text in out_words else "in"

    def write(value: Value) -> Raw:
        if value == "out":
            return location.opted_out[0]
        if value == "in" and location.opted_in is not None:
            return location.opted_in
        raise Invalid("this side has no value that opts in (`opted_in`), and a consent cannot be emptied")

    return read, write


def _normal_form(spec: FieldSpec) -> Change | None:
    """What both sides are brought to before they are compared, beyond the type."""
    places = [one for one in (spec.left, spec.right) if one is not None]
    changes: list[Callable[[str], str]] = [_settler(one.separator) for one in places if one.join]
    if spec.trim:
        changes.append(str.strip)
    if spec.case is not None:
        changes.append(normal_case(spec.case))
    if not changes:
        return None

    def apply(text: str) -> str:
        for change in changes:
            text = change(text)
        return text

    return each(changes[0] if len(changes) == 1 else apply)


def normal_case(case: str) -> Callable[[str], str]:
    """What brings a text to `case`, one of `twoway.core.spec.CASES`."""
    return {"lower": str.lower, "upper": str.upper, "title": title}[case]


def _settler(separator: str) -> Callable[[str], str]:
    return lambda text: settle(text, separator)


def _strays(spec: FieldSpec, kind: ValueType, steps: Mapping[str, list[Change]]) -> Iterator[SpecProblem]:
    """The steps that make of a choice, or of a blank, what the list does not name: it could never be written."""
    keys = choices_of(spec)
    if keys is None or spec.unknown_choice == "keep":
        return
    for name, changes in steps.items():
        for key in (None, *keys):
            value: Any = [key] if key is not None and spec.type == "set" else key
            for change in changes:
                value = kind.parse(change(value))
            stray = [one for one in (value if isinstance(value, list) else [value]) if one not in {None, *keys}]
            if stray:
                what = f"makes {stray[0]!r} of {'a blank' if key is None else repr(key)}, which `choices` does not name"
                yield SpecProblem(("fields", spec.name, name), f"{what}; valid: {', '.join(keys)}")


def _steps(spec: FieldSpec, name: str, problems: list[SpecProblem]) -> list[Change]:
    steps: tuple[Step, ...] = spec.to_left if name == "to_left" else spec.to_right
    compiled = []
    for index, step in enumerate(steps):
        try:
            compiled.append(compile_step(step))
        except ValueError as error:
            problems.append(SpecProblem(("fields", spec.name, name, str(index)), f"{step.name}: {error}"))
    return compiled
