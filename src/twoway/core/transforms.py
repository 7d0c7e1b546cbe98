"""Where a field's raw value lives in a record, and how it is put back: two-way accessors.

Each accessor keeps the law `get(put(v)) == v`. Five shapes exist:

- a plain field, by the app's name for it, dots included (`merge_fields.NAME`);
- a path into an object (`address.city`), where the app's schema has the first part as a field and not the whole;
- an element of an array, chosen by what it holds (`phones[type=work].value`);
- several of these joined to one text (`join: [firstname, lastname]`);
- a list of which only some elements are ours (`unknown_choice: ignore`).

A path into an object or an array is read, changed and written whole, since apps take such fields whole.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from twoway.core.model import Raw, RawValues
from twoway.core.raw import BLANKS, Invalid, kind_of
from twoway.core.types import word

ABSENT: Final[Any] = object()
"""What an accessor gives where the payload does not hold the field."""


class Accessor(Protocol):
    """Reads one raw value out of a record's raw values, and puts one into a write."""

    @property
    def apps(self) -> tuple[str, ...]:
        """The app's fields that it reads and writes."""

    @property
    def whole(self) -> bool:
        """Whether a write needs the app's current value, because only a part of it is changed."""

    def get(self, values: RawValues) -> Raw:
        """The raw value; `ABSENT` where the payload does not tell it."""

    def put(self, out: dict[str, Raw], raw: Raw, current: RawValues) -> None:
        """Add what must be sent for `raw` to `out`, which may hold earlier changes of the same app field."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A field by its name."""

    app: str
    whole: bool = False

    @property
    def apps(self) -> tuple[str, ...]:
        return (self.app,)

    def get(self, values: RawValues) -> Raw:
        return values.get(self.app, ABSENT)

    def put(self, out: dict[str, Raw], raw: Raw, current: RawValues) -> None:  # noqa: ARG002 - a plain field is sent as it is
        out[self.app] = raw


@dataclass(frozen=True, slots=True)
class Key:
    """A step into an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """A step into an array: to its first element whose `key` is, or lists, `value`, whatever the case."""

    key: str
    value: str

    def find(self, elements: Sequence[Any]) -> int | None:
        """The index of the element, `None` if there is none."""
        for index, element in enumerate(elements):
            if isinstance(element, Mapping) and self.accepts(element.get(self.key)):
                return index
        return None

    def accepts(self, held: Raw) -> bool:
        if isinstance(held, list | tuple):
            return any(self.accepts(one) for one in held)
        return held is not None and not isinstance(held, Mapping) and word(held).casefold() == self.value.casefold()


Move = Key | Select


@dataclass(frozen=True, slots=True)
class Path:
    """A path from the app's field `app` to a part of its value."""

    app: str
    moves: tuple[Move, ...]
    whole: bool = True

    @property
    def apps(self) -> tuple[str, ...]:
        return (self.app,)

    def get(self, values: RawValues) -> Raw:
        node = values.get(self.app, ABSENT)
        if node is ABSENT:
            return ABSENT
        for move in self.moves:
            if node is None:
                return None
            if isinstance(move, Key):
                node = _object(node).get(move.name)
            else:
                elements = _array(node)
                index = move.find(elements)
                node = None if index is None else elements[index]
        return node

    def put(self, out: dict[str, Raw], raw: Raw, current: RawValues) -> None:
        before = out[self.app] if self.app in out else current.get(self.app)
        out[self.app] = _rebuild(before, self.moves, raw)


def _object(node: Raw) -> Mapping[str, Raw]:
    if isinstance(node, Mapping):
        return node
    raise Invalid(f"{kind_of(node)} where the path expects an object")


def _array(node: Raw) -> Sequence[Raw]:
    if isinstance(node, list | tuple):
        return node
    raise Invalid(f"{kind_of(node)} where the path expects a list")


def _rebuild(node: Raw, moves: tuple[Move, ...], raw: Raw) -> Raw:
    """A copy of `node` in which the part at the end of `moves` is `raw`; everything else stays as it was."""
    if not moves:
        return raw
    move, rest = moves[0], moves[1:]
    if isinstance(move, Key):
        fields = dict(_object(node)) if node is not None else {}
        fields[move.name] = _rebuild(fields.get(move.name), rest, raw)
        return fields
    elements = list(_array(node)) if node is not None else []
    index = move.find(elements)
    if index is None:
        if raw is not None:
            elements.append(_rebuild({move.key: move.value}, rest, raw))
        return elements
    changed = _rebuild(elements[index], rest, raw)
    if raw is None and _hollow(changed, move.key):
        del elements[index]
    else:
        elements[index] = changed
    return elements


def _hollow(element: Raw, key: str) -> bool:
    """Whether an element that was emptied tells nothing any more but what it is: its kind, and flags about it."""
    return all(name == key or isinstance(value, bool) or value in BLANKS for name, value in element.items())


@dataclass(frozen=True, slots=True)
class Joined:
    """Several fields that are one text: what names need where one app keeps two fields and the other one.

    Splitting takes as many words from the end (`last`) or the start (`first`) as there are other fields; a text of
    fewer words fills the fields from the first. Read and split again, a text is the same in the form of `settle`.
    """

    parts: tuple[Accessor, ...]
    separator: str
    split: str

    @property
    def apps(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(app for part in self.parts for app in part.apps))

    @property
    def whole(self) -> bool:
        return any(part.whole for part in self.parts)

    def get(self, values: RawValues) -> Raw:
        texts = []
        for part in self.parts:
            raw = part.get(values)
            if raw is ABSENT:
                return ABSENT
            text = "" if raw is None else word(raw)
            if text and not text.isspace():
                texts.append(text)
        return self.separator.join(texts)

    def put(self, out: dict[str, Raw], raw: Raw, current: RawValues) -> None:
        for part, text in zip(self.parts, self.divide(raw), strict=True):
            part.put(out, text, current)

    def divide(self, raw: Raw) -> list[str | None]:
        """The text of each part, `None` for those that stay blank."""
        words = [] if raw is None else settle(word(raw), self.separator).split(self.separator)
        count = len(self.parts)
        if len(words) > count:
            surplus = len(words) - count + 1
            if self.split == "last":
                words = [self.separator.join(words[:surplus]), *words[surplus:]]
            else:
                words = [*words[: count - 1], self.separator.join(words[count - 1 :])]
        texts = [one or None for one in words]
        return texts + [None] * (count - len(texts))


@dataclass(frozen=True, slots=True)
class Kept:
    """A list, or a text with `delimiter`, of which the mapping names some elements, `ours`: the others stay."""

    inner: Accessor
    delimiter: str | None
    ours: frozenset[str] = field(repr=False)
    whole: bool = True

    @property
    def apps(self) -> tuple[str, ...]:
        return self.inner.apps

    def get(self, values: RawValues) -> Raw:
        return self.inner.get(values)

    def put(self, out: dict[str, Raw], raw: Raw, current: RawValues) -> None:
        others = [one for one in self._elements(self.inner.get({**current, **out})) if self._stays(one)]
        if others:
            together = [*self._elements(raw), *others]
            raw = together if self.delimiter is None else self.delimiter.join(word(one) for one in together)
        self.inner.put(out, raw, current)

    def _elements(self, raw: Raw) -> Sequence[Raw]:
        if self.delimiter is not None and isinstance(raw, str):
            return raw.split(self.delimiter)
        return raw if isinstance(raw, list | tuple) else ()

    def _stays(self, element: Raw) -> bool:
        if element in BLANKS:
            return False
        try:
            text = word(element).strip()
        except Invalid:
            return True
        return text != "" and text not in self.ours


def settle(text: str, separator: str) -> str:
    """A text in the form that joining and splitting at `separator` keep: no empty words, no spaces about a word."""
    words = [stripped for one in text.split(separator) if (stripped := one.strip())]
    return separator.join(words)


_PATH = re.compile(r"(?P<head>[^\[\]]+)(?P<tail>(\[[^\[\]=]+=[^\[\]=]+\](\.[^.\[\]]+)*)*)")
_TAIL = re.compile(r"\[(?P<key>[^\[\]=]+)=(?P<value>[^\[\]=]+)\]|\.(?P<name>[^.\[\]]+)")


def compile_path(path: str, known: Collection[str] | None = None) -> Plain | Path:
    """The accessor of one path as the mapping file writes it.

    `known` names the app's fields. An exact name always wins, dots included; else the longest known name before a dot
    is the field and the rest a path into its value. Without `known`, all before the first `[` is the field's name.
    `ValueError` says what is wrong with the path.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError("not a path; valid: field, field.key, field[key=value].key")
    if known is not None and path in known:
        return Plain(path)
    head = found["head"]
    names: list[Move] = []
    if known is not None and head not in known:
        parts = head.split(".")
        for length in range(len(parts) - 1, 0, -1):
            if ".".join(parts[:length]) in known:
                head = ".".join(parts[:length])
                names = [Key(one) for one in parts[length:]]
                break
    tail: list[Move] = [
        Key(one["name"]) if one["name"] else Select(one["key"].strip(), one["value"].strip())
        for one in _TAIL.finditer(found["tail"])
    ]
    moves = (*names, *tail)
    if moves and isinstance(moves[-1], Select):
        raise ValueError("a path must go on to a key behind the last `]`, such as phones[type=work].value")
    return Path(head, moves) if moves else Plain(head)
