"""The compiled mapping of a pair: what reads both apps' records into canonical values, and writes them back.

    mapping = compile_mapping(spec)               # a `MappingSpec`, from `twoway.config` or made by hand
    values, problems = mapping.left.decode(record.values)
    raw = mapping.right.encode({"email": values["email"]}, None)

Compiled once for each pair; `decode` and `fingerprint` run for each record that is listed, and are written for speed.
"""

import hashlib
from collections import abc
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from xxhash import xxh3_64_intdigest

from twoway.core.codec import FieldCodec, compile_field
from twoway.core.meaning import FORMS, Meaning, as_json, meaning
from twoway.core.model import LEFT, NOTHING, RIGHT, Instant, Raw, RawValues, Record, Side, Value, Values
from twoway.core.raw import Invalid
from twoway.core.rules import Direction, FieldRule, PairRules, Shape
from twoway.core.scope import Scope
from twoway.core.spec import FieldSpec, MappingError, MappingSpec, SideSpec, SpecProblem
from twoway.core.spec_check import check_spec
from twoway.core.transforms import ABSENT, Plain
from twoway.core.types import TYPES, ValueType, as_it_is, make_type, parse_string

_NO_FIELDS: Final[frozenset[str]] = frozenset()
_SIGN: Final = 1 << 63


class Decoded(NamedTuple):
    """What a record says, in canonical values. A field that is in none of these was absent from the payload.

    `problems` holds, for each field that could not be read, why: without the value, so that it may be shown.
    `overlooked` are the fields that hold a choice which the mapping leaves out on purpose: it is no change, and yet
    another value than the last one that was read.
    """

    values: Values
    problems: abc.Mapping[str, str]
    overlooked: frozenset[str] = frozenset()


class SideMapping:
    """One side of a compiled mapping. `reads` are the app's fields that must be asked for.

    `scope_fields` are the canonical fields that decide whether a record is in scope: while one of them is among a
    record's `problems`, `in_scope` takes it for blank, and no record should be taken to have left the scope by that.
    """

    __slots__ = (
        "_codecs",
        "_folds",
        "_kept",
        "_match",
        "_others",
        "_plain",
        "_scope",
        "_seed",
        "_sent_as_is",
        "_shapes",
        "_texts",
        "_whole",
        "account",
        "collection",
        "on_create",
        "options",
        "reads",
        "scope_fields",
    )

    def __init__(
        self,
        spec: SideSpec,
        codecs: abc.Mapping[str, FieldCodec],
        kinds: abc.Mapping[str, ValueType],
        match: tuple[tuple[str, ...], ...],
        scope: Scope | None,
        seed: int,
    ) -> None:
        self.account = spec.account
        self.collection = spec.collection
        self.options: abc.Mapping[str, Any] = spec.options
        self.on_create: abc.Mapping[str, Raw] = spec.on_create
        self.reads = frozenset(app for codec in codecs.values() for app in codec.accessor.apps)
        self.scope_fields = scope.fields if scope else frozenset()
        self._scope = scope
        self._seed = seed
        self._codecs = dict(codecs)
        self._shapes = {name: kind.shape for name, kind in kinds.items()}
        # Plain fields, nearly all of them, are read in loops of their own, without a call for the accessor; and most of
        # these, plain text, without one for the type.
        plain = {name: codec for name, codec in codecs.items() if isinstance(codec.accessor, Plain)}
        self._texts = tuple((name, one.accessor.apps[0]) for name, one in plain.items() if one.read is parse_string)
        self._plain = tuple(
            (name, one.accessor.apps[0], one.read) for name, one in plain.items() if one.read is not parse_string
        )
        self._others = tuple((name, codec) for name, codec in codecs.items() if name not in plain)
        self._sent_as_is = {name: one.accessor.apps[0] for name, one in plain.items() if one.write is as_it_is}
        self._kept = frozenset(name for name, _ in self._texts if name in self._sent_as_is)
        self._whole = frozenset(name for name, codec in codecs.items() if codec.accessor.whole)
        self._match = match
        self._folds = tuple(tuple((name, fold) for name in key if (fold := kinds[name].fold)) for key in match)

    def decode(self, values: RawValues) -> Decoded:
        """The canonical values of a record's raw values. Never raises for what an app may hold."""
        found: dict[str, Value] = {}
        problems: dict[str, str] = {}
        overlooked = _NO_FIELDS
        get = values.get
        for name, app in self._texts:
            raw = get(app, ABSENT)
            if raw.__class__ is str and raw.isascii():
                found[name] = raw or None
            elif raw is not ABSENT:
                try:
                    found[name] = parse_string(raw)
                except Invalid as error:
                    problems[name] = error.why
        for name, app, read in self._plain:
            raw = get(app, ABSENT)
            if raw is not ABSENT:
                try:
                    value = read(raw)
                except Invalid as error:
                    problems[name] = error.why
                else:
                    if value is not ABSENT:
                        found[name] = value
                    else:
                        overlooked |= {name}
        for name, codec in self._others:
            try:
                raw = codec.accessor.get(values)
                value = raw if raw is ABSENT else codec.read(raw)
            except Invalid as error:
                problems[name] = error.why
            else:
                if value is not ABSENT:
                    found[name] = value
                elif raw is not ABSENT:
                    overlooked |= {name}
        return Decoded(found, problems, overlooked)

    def encode(self, changed: Values, current: RawValues | None) -> dict[str, Raw]:
        """What to send for the fields in `changed`: the app's field name -> raw value, `None` to clear.

        `current` holds the record's raw values, and is needed where `needs_current` says so: fields that are taken
        apart are sent whole. Fields that do not live on this side are left out. Raises `Invalid` where this side has
        no form for a value; its `field` names the field.
        """
        out: dict[str, Raw] = {}
        for name, value in changed.items():
            codec = self._codecs.get(name)
            if name in self._sent_as_is:
                out[self._sent_as_is[name]] = value
            elif codec is not None:
                _put(codec, value, out, NOTHING if current is None else current)
        return out

    def encode_new(self, values: Values) -> dict[str, Raw]:
        """What to send for a new record: the values that are not blank, and beneath them `on_create`.

        A consent of "in" that this side cannot write is left to `on_create` and the app's own default. Raises
        `Invalid` as `encode` does.
        """
        out: dict[str, Raw] = dict(self.on_create)
        sent_as_is = self._sent_as_is
        for name, value in values.items():
            if value is not None and name in sent_as_is:
                out[sent_as_is[name]] = value
                continue
            codec = self._codecs.get(name)
            if codec is None or value is None:
                continue
            try:
                _put(codec, value, out, NOTHING)
            except Invalid:
                if self._shapes[name] is not Shape.CONSENT or value == "out":
                    raise
        return out

    def needs_current(self, fields: Iterable[str]) -> bool:
        """Whether writing one of these canonical fields needs the record's current raw values."""
        return not self._whole.isdisjoint(fields)

    def reads_back(self, fields: Iterable[str]) -> bool:
        """Whether each of these canonical fields is read just as it was written, from an app that stores what it is
        sent."""
        return self._kept.issuperset(fields)

    def app_fields(self, field: str) -> tuple[str, ...]:
        """The app's fields that hold a canonical field; none where it does not live on this side."""
        codec = self._codecs.get(field)
        return codec.accessor.apps if codec else ()

    def in_scope(self, values: Values) -> bool:
        """Whether a record of this side belongs to the pair."""
        return self._scope is None or self._scope.accepts(values)

    def admits(self, decoded: Decoded, base: Values = NOTHING) -> bool:
        """Whether a record that was read belongs to the pair, as far as can be told: a scope that cannot be read is no
        reason to take it for one that has left it. What its payload leaves out stands as in `base`."""
        values, problems, overlooked = decoded
        if self._scope is None:
            return True
        if not self.scope_fields.isdisjoint(problems):
            return True
        return self.in_scope({**base, **dict.fromkeys(overlooked), **values})

    def fingerprint(self, decoded: Decoded) -> int:
        """A signed 64-bit hash of everything that the mapping sees in a record, and of the mapping itself."""
        values, problems, _overlooked = decoded
        seen = [values, problems] if problems else values
        digest = xxh3_64_intdigest(orjson.dumps(seen, None, orjson.OPT_SORT_KEYS), self._seed)
        return digest - (1 << 64) if digest & _SIGN else digest

    def raw_hash(self, values: RawValues) -> int | None:
        """A signed 64-bit hash of raw values, under this mapping: equal values have equal fingerprints.

        `None` where the values are not such as JSON could tell: they are to be read.
        """
        try:
            digest = xxh3_64_intdigest(orjson.dumps(values, _told, orjson.OPT_SORT_KEYS), self._seed)
        except orjson.JSONEncodeError:
            return None
        return digest - (1 << 64) if digest & _SIGN else digest

    def keys(self, values: Values) -> tuple[int | None, ...]:
        """For each match key a signed 64-bit hash, equal for equal values on both sides, whatever the case.

        `None` where a part of the key is blank or absent: such a record is not matched by this key.
        """
        found = []
        for key in self._folds:
            texts = [fold(value) for name, fold in key if (value := values.get(name)) is not None]
            found.append(_hash_of(texts) if len(texts) == len(key) and all(texts) else None)
        return tuple(found)

    def unread_key(self, values: Values, problems: abc.Mapping[str, str]) -> str | None:
        """The field that keeps a record from being recognised: it cannot be read, and no earlier key is there.

        Unlike a blank it does not say that there is nothing to recognise the record by.
        """
        if not problems:
            return None
        for key, found in zip(self._match, self.keys(values), strict=True):
            unread = [name for name in key if name in problems]
            if unread or found is not None:
                return unread[0] if unread else None
        return None

    def field_times(self, record: Record) -> dict[str, Instant]:
        """For each canonical field whose time the app tells, the newest time of the app's fields that hold it."""
        times = record.field_times
        if not times:
            return {}
        found = {}
        for name, codec in self._codecs.items():
            known = [times[app] for app in codec.accessor.apps if app in times]
            if known:
                found[name] = max(known)
        return found


def _put(codec: FieldCodec, value: Value, out: dict[str, Raw], current: RawValues) -> None:
    try:
        codec.accessor.put(out, codec.write(value), current)
    except Invalid as error:
        raise Invalid(error.why, codec.name) from None


def _told(raw: Raw) -> str:
    """What JSON has no form for, as a text that no app tells: the decimal 1.5 is not the text "1.5"."""
    return f"\0{raw.__class__.__name__} {raw}"


def _hash_of(texts: list[str]) -> int:
    digest = xxh3_64_intdigest(orjson.dumps(texts))
    return digest - (1 << 64) if digest & _SIGN else digest


@dataclass(frozen=True, slots=True)
class Mapping:
    """The compiled mapping of a pair.

    `hash` stands for everything in the file that affects decisions or values: its guard, schedule and name do not.
    A pair whose hash has changed only plans until it is approved again.
    """

    pair: str
    left: SideMapping
    right: SideMapping
    rules: PairRules
    match: tuple[tuple[str, ...], ...]
    hash: str
    fields: tuple[str, ...]
    meanings: abc.Mapping[Side, abc.Mapping[str, Meaning]]
    """What each field means on each side on which it lives."""

    def side(self, side: Side) -> SideMapping:
        return self.left if side is LEFT else self.right


def compile_mapping(spec: MappingSpec, known: abc.Mapping[Side, Collection[str]] | None = None) -> Mapping:
    """Compile a mapping. `known` names the apps' fields where their live schemas are at hand.

    They decide only whether the dots of a name are the app's or lead into an object: see `transforms.compile_path`.
    Raises `MappingError` with everything that is wrong.
    """
    problems = check_spec(spec, known)
    kinds = {one.name: _kind(one) for one in spec.fields if one.type in TYPES and not _bad_options(one, problems)}
    codecs: dict[Side, dict[str, FieldCodec]] = {LEFT: {}, RIGHT: {}}
    scopes: dict[Side, Scope | None] = {}
    for side in Side:
        for one in spec.fields:
            if one.name in kinds:
                codec = compile_field(one, side, kinds[one.name], known and known[side], problems)
                if codec is not None:
                    codecs[side][one.name] = codec
        scopes[side] = _scope(spec, side, problems)
    if problems:
        # Steps and joined words are compiled for each side: what is wrong with them is told once.
        raise MappingError(list(dict.fromkeys(problems)))
    hash_ = _hash(spec, codecs)
    seed = int(hash_[:16], 16)
    left, right = (
        SideMapping(spec.side(side), codecs[side], kinds, spec.match, scopes[side], seed) for side in (LEFT, RIGHT)
    )
    return Mapping(
        pair=spec.pair,
        left=left,
        right=right,
        rules=_rules(spec, kinds),
        match=spec.match,
        hash=hash_,
        fields=tuple(one.name for one in spec.fields),
        meanings={
            side: {
                one.name: meaning(one, side, codecs[side][one.name].accessor)
                for one in spec.fields
                if one.name in codecs[side]
            }
            for side in Side
        },
    )


def _bad_options(spec: FieldSpec, problems: list[SpecProblem]) -> bool:
    """A field that is known to be wrong is not compiled, or each mistake would be told twice."""
    return any(one.where[:2] == ("fields", spec.name) for one in problems)


def _kind(spec: FieldSpec) -> ValueType:
    return make_type(spec.type, region=spec.region, resolution=spec.resolution, decimals=spec.decimals)


def _scope(spec: MappingSpec, side: Side, problems: list[SpecProblem]) -> Scope | None:
    text = spec.side(side).scope
    if text is None:
        return None
    here = [one for one in spec.fields if one.location(side) is not None]
    try:
        numbers, sets = ([one.name for one in here if one.type == kind] for kind in ("number", "set"))
        return Scope(text, [one.name for one in here], numbers, sets)
    except ValueError as error:
        problems.append(SpecProblem(("scope", side.value), str(error)))
        return None


def _rules(spec: MappingSpec, kinds: abc.Mapping[str, ValueType]) -> PairRules:
    return PairRules(
        fields={
            one.name: FieldRule(
                name=one.name,
                shape=kinds[one.name].shape,
                direction=Direction.ONE_SIDE if one.left is None or one.right is None else one.direction,
                drift=one.drift,
                policy=one.conflict or spec.conflict,
                blank=one.blank or spec.blank,
                start=one.start or spec.start,
            )
            for one in spec.fields
        },
        create={side: spec.side(side).create for side in Side},
        delete={side: spec.side(side).delete for side in Side},
        edited_delete=spec.edited_delete,
        on_leave=spec.on_leave,
        guard=spec.guard,
        tolerance=spec.tolerance,
    )


def _hash(spec: MappingSpec, codecs: abc.Mapping[Side, abc.Mapping[str, FieldCodec]]) -> str:
    told = as_json(spec)
    del told["guard"], told["pair"]
    # The order in which the file names its fields decides nothing.
    told["fields"] = sorted(told["fields"], key=lambda one: str(one["name"]))
    places = {side.value: {name: repr(codec.accessor) for name, codec in codecs[side].items()} for side in Side}
    return hashlib.sha256(orjson.dumps([FORMS, told, places], None, orjson.OPT_SORT_KEYS)).hexdigest()
