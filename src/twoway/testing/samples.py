"""Values for the records of a simulated history, made for whatever mapping it plays under.

A value is drawn in canonical form, by its field's type, and put into a record through the mapping itself: so joined
fields, paths into lists, formats and choices hold what such an app would hold. Values for the scope are found by trial:
those that the expression names, and others, are put into a record, and the expression is asked.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any, Final

from twoway.core.codec import choices_of, spelling
from twoway.core.mapping import Mapping as Compiled
from twoway.core.model import Raw, RawValues, Side, Value, Values
from twoway.core.raw import Invalid
from twoway.core.rules import Shape
from twoway.core.scope import Scope
from twoway.core.spec import FieldSpec, MappingSpec
from twoway.core.transforms import Key, Path, compile_path

UNMAPPED: Final = "note"
"""A field of both apps that is not mapped; where a mapping has a field of this name, another one is taken."""

_LABELS: Final = ("a", "b", "c", "d", "e")
_TEXTS: Final = frozenset({"string", "text", "choice"})
_LITERAL: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(?<![\w.])(-?\d+(?:\.\d+)?)")
_TRIALS: Final = 400
_KEPT: Final = 12
_DAY: Final = date(2020, 1, 1)
_INSTANT: Final = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Odd:
    """A raw value that no canonical one is written as: a choice that the mapping does not name, another opt-in."""

    raw: Raw


Drawn = Value | Odd


class Samples:
    """What people may enter under one mapping. `mapping` is `spec`, compiled."""

    def __init__(self, spec: MappingSpec, mapping: Compiled) -> None:
        self._specs = {one.name: one for one in spec.fields}
        self._mapping = mapping
        self.keys = frozenset(name for key in spec.match for name in key)
        """The fields by which records are matched: few values, so that people meet in them."""
        self.mapped = tuple(one.name for one in spec.fields if one.left is not None and one.right is not None)
        """The fields that are compared."""
        self.aside = {
            side: tuple(one.name for one in spec.fields if one.name not in self.mapped and one.location(side))
            for side in Side
        }
        """The fields that only this side has."""
        free = [name for name in self.mapped if name not in self.keys]
        plain = [name for name in free if self._is_text(name)]
        self.favourite = (plain or free or list(self.mapped))[0]
        """The field that people edit more often than others."""
        self.apps = {
            side: {name: mapping.side(side).app_fields(name) for name in (*self.mapped, *self.aside[side])}
            for side in Side
        }
        """The app's fields that hold a field, by side."""
        taken = {app for side in Side for app in (*mapping.side(side).reads, *mapping.side(side).on_create)}
        self.unmapped = next(one for one in (UNMAPPED, f"{UNMAPPED} of nobody") if one not in taken)
        self.names = {
            side: (*sorted(mapping.side(side).reads | mapping.side(side).on_create.keys()), self.unmapped)
            for side in Side
        }
        """The fields that an app has."""
        self._parts = {side: dict(self._whole(side)) for side in Side}
        self._scope = {side: self._compiled(side, spec.side(side).scope) for side in Side}
        self._scopes = {side: self._tried(side, spec.side(side).scope) for side in Side}

    def shape(self, name: str) -> Shape:
        """How values of a field may be merged."""
        return self._mapping.rules.fields[name].shape

    def trims(self, name: str) -> bool:
        """Whether an app that trims texts trims this one, too."""
        return name not in self.keys and self._is_text(name)

    def _is_text(self, name: str) -> bool:
        return self._specs[name].type in _TEXTS and choices_of(self._specs[name]) is None

    def key_fields(self, side: Side) -> frozenset[str]:
        """The app's fields that are a match key by themselves: what an app may be asked for, or keep unique."""
        return frozenset(
            self.apps[side][key[0]][0]
            for key in self._mapping.match
            if len(key) == 1 and key[0] in self.apps[side] and self._is_plain(side, key[0])
        )

    def text_fields(self, side: Side) -> frozenset[str]:
        """The app's fields in which an app may refuse, or trim, a text."""
        names = [name for name in self.mapped if self.trims(name) and self._is_plain(side, name)]
        return frozenset(app for name in names for app in self.apps[side][name])

    def _is_plain(self, side: Side, name: str) -> bool:
        return not any(app in self._parts[side] for app in self.apps[side][name])

    def parts(self, side: Side) -> AbstractSet[str]:
        """The app's fields of which a mapping reads but a part: lists and objects."""
        return self._parts[side].keys()

    def _whole(self, side: Side) -> Iterator[tuple[str, Path]]:
        """The app's fields of which a mapping reads but a part, with one of the paths into each."""
        for spec in self._specs.values():
            location = spec.location(side)
            for path in location.paths if location else ():
                found = compile_path(path)
                if isinstance(found, Path):
                    yield found.app, found

    # -- values

    def draw(self, rng: random.Random, name: str, number: int, few: int, now: Value = None) -> Drawn:
        """A value for a field. `number` is one that was not used yet; a match key gets one of `few` values.

        A set or a consent is changed from what it is `now`.
        """
        spec = self._specs[name]
        choices = choices_of(spec)
        if self.shape(name) is Shape.SET:
            labels = choices or _LABELS
            flip = set(rng.sample(labels, min(len(labels), rng.choice((1, 1, 2)))))
            return sorted(set(now if isinstance(now, list) else ()) ^ flip) or None
        if self.shape(name) is Shape.CONSENT:
            return rng.choice(("in", "in", "out", None) if now is None else ("in", "out"))
        if choices is not None:
            return Odd(f"something else {number}") if rng.random() < 0.05 else rng.choice(choices)
        if name in self.keys:
            number = rng.randint(1, few)
            return f"e{number}@example.org" if spec.type in ("string", "text", "email") else _made(spec, number)
        return self._text(rng, name, number) if spec.type in _TEXTS else _made(spec, number)

    def _text(self, rng: random.Random, name: str, number: int) -> str:
        more = rng.choice(("", "", "", "", "+", "+", "!"))
        places = (self._specs[name].left, self._specs[name].right)
        joined = any(place is not None and len(place.join) > 1 for place in places)
        words = rng.choice(("", f" B{number}", f" B{number}", f" de B{number}")) if joined else ""
        return f"{name}{number}{words}{more}"

    def put(self, side: Side, name: str, value: Drawn, current: RawValues) -> dict[str, Raw]:
        """The app's fields of a record that holds `current`, with this value entered. Raises `Invalid`."""
        if isinstance(value, Odd):
            return self._put_raw(side, name, value.raw, current)
        try:
            return self._mapping.side(side).encode({name: value}, current)
        except Invalid:
            if self.shape(name) is not Shape.CONSENT or value == "out":
                raise
            # Whoever is not opted out is in, by whatever word the app has for it.
            return self._put_raw(side, name, None if value is None else self._opted_in(side, name), current)

    def _opted_in(self, side: Side, name: str) -> Raw:
        location = self._specs[name].location(side)
        out = {spelling(raw).casefold() for raw in location.opted_out} if location else set()
        return next(raw for raw in (False, True, "in", "subscribed") if spelling(raw).casefold() not in out)

    def _put_raw(self, side: Side, name: str, raw: Raw, current: RawValues) -> dict[str, Raw]:
        location = self._specs[name].location(side)
        out: dict[str, Raw] = {}
        for path in location.paths if location else ():
            compile_path(path).put(out, raw, current)
        return out

    def stray(self, rng: random.Random, side: Side, number: int, current: RawValues) -> dict[str, Raw]:
        """An edit of something that no mapping speaks of: a field, or a part of one of which another part is mapped."""
        parts = self._parts[side]
        if not parts or rng.random() < 0.5:
            return {self.unmapped: f"note{number}"}
        return self._stray_part(rng.choice(sorted(parts)), side, number, current)

    def _stray_part(self, app: str, side: Side, number: int, current: RawValues) -> dict[str, Raw]:
        first, before = self._parts[side][app].moves[0], current.get(app)
        if isinstance(first, Key):
            return {app: {**(before or {}), "nobody": f"n{number}"}}
        rest = [one for one in before or () if one.get(first.key) != "nobody"]
        return {app: [*rest, {first.key: "nobody", "holds": f"n{number}"}]}

    def strays(self, rng: random.Random, side: Side, number: int, current: RawValues) -> dict[str, Raw]:
        """What a new record that holds `current` holds besides what is mapped."""
        raw: dict[str, Raw] = {}
        for app in sorted(self._parts[side]):
            if rng.random() < 0.5:
                raw |= self._stray_part(app, side, number, current)
        return raw

    # -- scope

    def moves(self, side: Side, *, into: bool) -> Sequence[Mapping[str, Drawn]]:
        """Values of the fields of the scope by which a record of this side gets into it, or out of it."""
        return self._scopes[side][0 if into else 1]

    def accepts(self, side: Side, values: Values) -> bool:
        """Whether these canonical values are in scope: asked of the expression, beside the engine's own reading."""
        scope = self._scope[side]
        return scope is None or scope.accepts(values)

    def is_in(self, side: Side, raw: RawValues) -> bool:
        """Whether a record that holds this is in scope."""
        found = self._mapping.side(side).decode({**dict.fromkeys(self.names[side]), **raw})
        return self.accepts(side, found.values)

    def _compiled(self, side: Side, text: str | None) -> Scope | None:
        here = [one for one in self._specs.values() if one.location(side) is not None]
        numbers = [one.name for one in here if one.type == "number"]
        sets = [one.name for one in here if one.type == "set"]
        return None if text is None else Scope(text, [one.name for one in here], numbers, sets)

    def _tried(self, side: Side, text: str | None) -> tuple[list[Mapping[str, Drawn]], list[Mapping[str, Drawn]]]:
        found: tuple[list[Mapping[str, Drawn]], list[Mapping[str, Drawn]]] = ([], [])
        if text is None:
            return found
        rng = random.Random(text)
        said = [one for groups in _LITERAL.findall(text) for one in groups if one]
        fields = sorted(self._mapping.side(side).scope_fields)
        trials = list(product(*(self._candidates(rng, name, said) for name in fields)))
        for trial in rng.sample(trials, min(len(trials), _TRIALS)):
            values = dict(zip(fields, trial, strict=True))
            raw: dict[str, Raw] = {}
            try:
                for name, value in values.items():
                    raw |= self.put(side, name, value, raw)
            except Invalid:
                continue
            kept = found[0 if self.is_in(side, raw) else 1]
            if len(kept) < _KEPT:
                kept.append(values)
        return found

    def _candidates(self, rng: random.Random, name: str, said: Sequence[str]) -> list[Drawn]:
        """Values of a field that its scope may tell apart: those that it names, some near them, and others."""
        spec = self._specs[name]
        found: list[Drawn] = [None, Odd("something else")] if choices_of(spec) else [None]
        found += [self.draw(rng, name, number, 8) for number in range(1, 5)]
        found += [[one] if self.shape(name) is Shape.SET else one for one in choices_of(spec) or ()]
        for text in said:
            found += _near(spec, self.shape(name), text)
        return found


def _made(spec: FieldSpec, number: int) -> Value:
    """A canonical value of a type that is not text."""
    made: dict[str, Any] = {
        "email": f"m{number}@example.org",
        "phone": f"+1415555{number % 10_000:04d}",
        "integer": number,
        "number": f"{number}.5" if spec.decimals is None or spec.decimals else str(number),
        "boolean": number % 2 == 0,
        "date": (_DAY + timedelta(days=number % 3_000)).isoformat(),
        "datetime": f"{(_INSTANT + timedelta(minutes=number)).replace(tzinfo=None).isoformat()}Z",
        "url": f"https://example.org/{number}",
        "json": {"n": number},
    }
    if spec.type == "datetime" and spec.resolution == "millisecond":
        return str(made["datetime"]).replace("Z", ".000Z")
    value: Value = made[spec.type]
    return value


def _near(spec: FieldSpec, shape: Shape, text: str) -> list[Drawn]:
    """Values about one that an expression names."""
    if shape is Shape.SET:
        return [[text], sorted({text, "a"})]
    if shape is Shape.NUMBER:
        try:
            number = float(text)
        except ValueError:
            return []
        near = [int(number) - 1, int(number), int(number) + 1]
        return [one if spec.type == "integer" else str(one) for one in near]
    if spec.type == "boolean":
        return [True, False]
    if spec.type == "email":
        return [text, *(f"e{number}{'' if '@' in text else '@'}{text.lstrip('.')}" for number in range(1, 9))]
    return [text, f"x{text}", f"{text}x"]


def settled(samples: Samples, mapping: Compiled, name: str, value: Value) -> Value:
    """A value as it is once both apps have had it: one-way steps and an app's trimming may change it on its way."""
    found = value
    for _ in range(2):
        for side in Side:
            try:
                raw = {**dict.fromkeys(samples.apps[side][name]), **mapping.side(side).encode({name: found}, {})}
                found = mapping.side(side).decode(raw).values.get(name, found)
            except Invalid:
                return found
    return found
