"""The array fields: `emails`, `phones`, `addresses`. Read whole, written by touching only what changed.

An element is `{type, label, pref, value}`; an address has `street`, `city`, … in the place of `value`. A key that has
nothing to say is left out. `type` is the line's TYPE words in one order, such as `work` or `home fax`, without those
that tell nothing apart (`voice`, `internet`, `pref`); `label` is the text that a person gave to it (Apple's
X-ABLabel); `pref` is true for the preferred one. Elements come in the order of the card.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from twoway.sdk import Raw
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.lines import Line, escape, split_value, unescape
from twoway_connectors.carddav.text import FieldProblem, clean

Element = dict[str, Any]

_TYPE_ORDER = ("home", "work", "cell", "fax", "pager")
_TYPE_ALIASES = {"mobile": "cell"}
_TELLS_NOTHING = frozenset({"pref", "voice", "internet", "text", "msg", "video", "x-internet", "postal", "parcel"})
_WORD = re.compile(r"[a-z0-9_-]+\Z")
_APPLE_LABEL = re.compile(r"_\$!<(.*)>!\$_\Z", re.DOTALL)
_TEL_URI = re.compile(r"[+0-9*#().-]+(;ext=[0-9]+)?\Z")
_COMMON = ("type", "label", "pref")


@dataclass(frozen=True, slots=True)
class ElementField:
    """An array field: the property that holds its elements, and the keys of its value in their order on the line."""

    property: str
    keys: tuple[str, ...] = ("value",)

    def shown(self, line: Line) -> dict[str, str]:
        """The value of a line by key; only what is filled."""
        if self.keys == ("value",):
            text = clean("", line.repair(unescape(line.text)))
            text = bare_phone(text or "") if self.property == "TEL" else text
            return {"value": text} if text else {}
        raws = split_value(line.text, ";")
        pairs = zip(self.keys, raws, strict=False)
        return {key: text for key, raw in pairs if (text := clean("", line.repair(unescape(raw))))}

    def raw(self, element: Mapping[str, Any], line: Line | None = None) -> str:
        """The value as it stands on a line; parts that stay the same keep their text."""
        if self.keys == ("value",):
            return escape(element["value"])
        old = split_value(line.text, ";") if line is not None else []
        shown = self.shown(line) if line is not None else {}
        raws = [
            old[at] if at < len(old) and shown.get(key, "") == element.get(key, "") else escape(element.get(key, ""))
            for at, key in enumerate(self.keys)
        ]
        return ";".join([*raws, *old[len(self.keys) :]])

    def rewrite(self, line: Line, element: Mapping[str, Any]) -> Line:
        """The line with another value. A number that cannot be a `tel:` URI is stored as text instead."""
        if self.property != "TEL" or not _is_uri(line):
            return line.with_text(self.raw(element, line))
        if _TEL_URI.match(element["value"]):
            return line.rebuilt(line.head, f"tel:{element['value']}")
        kept = "".join(parameter.raw for parameter in line.parameters if parameter.name != "VALUE")
        return line.rebuilt(line.head.partition(";")[0] + kept, self.raw(element))


ELEMENTS: Mapping[str, ElementField] = {
    "addresses": ElementField(
        "ADR", ("po_box", "extended", "street", "city", "region", "postal_code", "country")
    ),  # the order of RFC 6350, 6.3.1
    "emails": ElementField("EMAIL"),
    "phones": ElementField("TEL"),
}


def _is_uri(line: Line) -> bool:
    return line.value.strip()[:4].lower() == "tel:"


def bare_phone(text: str) -> str:
    """A number without the scheme of a `tel:` URI (RFC 3966)."""
    text = text.strip()
    while text[:4].lower() == "tel:":
        text = text[4:].strip()
    return text


def type_words(words: Sequence[str]) -> list[str]:
    """TYPE values in their normal form: each once, in one order, without those that tell nothing apart."""
    found = {_TYPE_ALIASES.get(word, word) for word in (word.strip().lower() for word in words)} - _TELLS_NOTHING - {""}
    return sorted(found, key=lambda word: (_TYPE_ORDER.index(word) if word in _TYPE_ORDER else len(_TYPE_ORDER), word))


def _label_text(text: str) -> str:
    while found := _APPLE_LABEL.match(text):
        text = found[1].strip()
    return text


def _is_preferred(line: Line) -> bool:
    return "1" in line.parameter("PREF") or any(word.lower() == "pref" for word in line.parameter("TYPE"))


def read_element(card: Card, field: ElementField, line: Line) -> Element:
    """One line as an element; empty where the line has no value."""
    value = field.shown(line)
    if not value:
        return {}
    element: Element = {}
    if words := type_words(line.parameter("TYPE")):
        element["type"] = " ".join(words)
    label = card.label(line)
    if label is not None and (text := _label_text(clean("", label.repair(unescape(label.text))) or "")):
        element["label"] = text
    if _is_preferred(line):
        element["pref"] = True
    return {**element, **value}


def read_elements(card: Card, field: ElementField) -> list[Element]:
    """All filled elements, in the card's order."""
    return [element for line in card.all(field.property) if (element := read_element(card, field, line))]


def normal_elements(field: ElementField, name: str, value: Raw) -> list[Element]:
    """The elements as a read gives them after they were written; those without a value are left out."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise FieldProblem(name, "this must be a list of elements")
    elements = [_normal_element(field, name, element) for element in value]
    return [element for element in elements if element]


def _normal_element(field: ElementField, name: str, raw: Raw) -> Element:
    if isinstance(raw, str) and field.keys == ("value",):
        raw = {"value": raw}
    valid = (*_COMMON, *field.keys)
    if not isinstance(raw, Mapping) or not set(raw) <= set(valid):
        raise FieldProblem(name, f"each element must be an object with these keys: {', '.join(valid)}")
    filled = {key: text for key in field.keys if (text := clean(name, raw.get(key)))}
    if field.property == "TEL" and filled:
        filled = {"value": text} if (text := bare_phone(filled["value"])) else {}
    if not filled:
        return {}
    element: Element = {}
    given = raw.get("type")
    words = type_words([str(word) for word in given] if isinstance(given, list | tuple) else str(given or "").split())
    if not all(_WORD.match(word) for word in words):
        raise FieldProblem(name, "a type is made of words of the letters a to z, digits and hyphens; see `label`")
    if words:
        element["type"] = " ".join(words)
    if label := _label_text(clean(name, raw.get("label")) or ""):
        element["label"] = label
    if raw.get("pref"):
        element["pref"] = True
    return {**element, **filled}


def write_elements(card: Card, field: ElementField, wanted: Sequence[Element]) -> None:
    """Make the card show these elements (in normal form), touching only the lines of those that differ."""
    lines = [line for line in card.all(field.property) if field.shown(line)]
    old = [read_element(card, field, line) for line in lines]
    origins = _origins(old, wanted)
    for at, line in enumerate(lines):
        if at not in origins:
            remove_line(card, line)
    placed: list[Line | None] = []
    for element, origin in zip(wanted, origins, strict=True):
        placed.append(None if origin is None else _change(card, field, lines[origin], old[origin], element))
    kept = [line for line in placed if line is not None]
    order = [line for line in card.properties if any(line is one for one in kept)]
    if any(one is not other for one, other in zip(kept, order, strict=True)):
        card.permute(order, kept)
    following = kept[0] if kept else None
    last: Line | None = None
    for element, place in zip(wanted, placed, strict=True):
        last = _add(card, field, element, after=last, before=following) if place is None else place


def remove_line(card: Card, line: Line) -> None:
    """Take out a line and what only described it."""
    for companion in card.companions(line):
        card.replace(companion, None)
    card.replace(line, None)


def _origins(old: Sequence[Element], wanted: Sequence[Element]) -> list[int | None]:
    """For each wanted element the old one that it was: the same, else the same value, else the same kind of.

    What is alike at either end stays where it is: of elements that say the same, too, the line that goes is the one
    whose element went.
    """
    begin = _run(zip(old, wanted, strict=False))
    end = _run(zip(reversed(old[begin:]), reversed(wanted[begin:]), strict=False))
    free = {index: old[index] for index in range(begin, len(old) - end)}
    origins: list[int | None] = [
        *range(begin),
        *[None] * (len(wanted) - begin - end),
        *range(len(old) - end, len(old)),
    ]

    def same_kind(one: Element, other: Element) -> bool:
        return bool(one.get("type") == other.get("type") and one.get("label") == other.get("label"))

    def same_value(one: Element, other: Element) -> bool:
        return {k: v for k, v in one.items() if k not in _COMMON} == {
            k: v for k, v in other.items() if k not in _COMMON
        }

    for alike in (lambda one, other: bool(one == other), same_value, same_kind):
        for at, element in enumerate(wanted):
            if origins[at] is None:
                origin = next((index for index, candidate in free.items() if alike(candidate, element)), None)
                if origin is not None:
                    origins[at] = origin
                    del free[origin]
    return origins


def _run(pairs: Iterable[tuple[Element, Element]]) -> int:
    """How many of these are alike before the first that are not."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _change(card: Card, field: ElementField, line: Line, old: Element, new: Element) -> Line:
    if old == new:
        return line
    changed = line
    if any(old.get(key) != new.get(key) for key in field.keys):
        changed = field.rewrite(changed, new)
    if old.get("type") != new.get("type") or old.get("pref") != new.get("pref"):
        changed = changed.rebuilt(_head(changed, new, card.version))
    label = card.label(line)
    wants = new.get("label")
    if old.get("label") != wants and not card.is_alone(line):
        # A label is its whole group's: the other lines keep theirs.
        label = None
        name = changed.head.partition(";")[0].rpartition(".")[2]
        rest = changed.head.partition(";")
        changed = changed.rebuilt(f"{card.free_group()}.{name}{rest[1]}{rest[2]}")
    card.replace(line, changed)
    if old.get("label") != wants:
        if label is not None:
            card.replace(label, label.with_text(escape(wants)) if wants else None)
        elif wants:
            card.add(f"{changed.group}.X-ABLabel:{escape(wants)}", after=changed)
    return changed


def _head(line: Line, element: Element, version: str) -> str:
    """The head of a line with other types or another preference; what it has besides stays."""
    wanted = str(element.get("type", "")).split()
    preferred = bool(element.get("pref"))
    had_preference = _is_preferred(line)
    pieces = [line.head.partition(";")[0]]
    there: set[str] = set()
    for parameter in line.parameters:
        if parameter.name == "PREF" and preferred != had_preference:
            continue
        if parameter.name != "TYPE":
            pieces.append(parameter.raw)
            continue
        kept = [word for word in parameter.values if _stays(word.lower(), wanted, preferred=preferred)]
        there.update(type_words(kept))
        if kept == list(parameter.values):
            pieces.append(parameter.raw)
        elif kept:
            pieces.append(";" + ",".join(kept) if parameter.bare else ";TYPE=" + ",".join(kept))
    pieces += [f";TYPE={word}" for word in wanted if word not in there]
    if preferred and not had_preference:
        pieces.append(_preference(version))
    return "".join(pieces)


def _stays(word: str, wanted: Sequence[str], *, preferred: bool) -> bool:
    if word == "pref":
        return preferred
    return word in _TELLS_NOTHING or _TYPE_ALIASES.get(word, word) in wanted


def _preference(version: str) -> str:
    return ";PREF=1" if version == "4.0" else ";TYPE=pref"


def _add(card: Card, field: ElementField, element: Element, *, after: Line | None, before: Line | None) -> Line:
    label = element.get("label")
    group = f"{card.free_group()}." if label else ""
    types = "".join(f";TYPE={word}" for word in str(element.get("type", "")).split())
    preference = _preference(card.version) if element.get("pref") else ""
    text = f"{group}{field.property}{types}{preference}:{field.raw(element)}"
    line = card.add(text, after=after, before=before)
    if label:
        card.add(f"{group}X-ABLabel:{escape(label)}", after=line)
    return line
