"""The fields of a card: what is read, the form in which it is stored, and how one is written.

Every value that is read is in its normal form (`normal_value`), and a value in its normal form is read back as it was
written. Writing touches the content lines of the field that is written, and no others:

- `fn` is required by the standard. A create without it derives it from the name's parts, else from the organisation,
  the nickname, the e-mail or the phone. An update of the name's parts leaves `fn` alone: only mapped fields change.
- `given`, `family`, `additional`, `prefix`, `suffix` are the parts of N; the parts that are not written keep their
  text. A list inside a part (`Philip,Paul`) is shown with its commas.
- `org` is the organisation's name, the first part of ORG; its departments stay as they are.
- `email`, `phone`, `url`, `title`, `role`, `note`, `nickname` are the preferred line of that property, else the first.
  Clearing one takes that line out; where there is a next one, it is what is read from then on.
- `bday` is read only where it names a whole day. A birthday without a year is *absent*: it is neither shown nor
  cleared, and only replaced by a whole date.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from twoway.sdk import FieldInfo, FieldType, Raw, RawValues
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.elements import (
    ELEMENTS,
    bare_phone,
    normal_elements,
    read_elements,
    remove_line,
    write_elements,
)
from twoway_connectors.carddav.lines import Line, escape, escape_uri, split_value, unescape
from twoway_connectors.carddav.text import FieldProblem, clean, preferred

NAME_PARTS = {"family": 0, "given": 1, "additional": 2, "prefix": 3, "suffix": 4}
"""Where a part of the name stands in N (RFC 6350, 6.2.2)."""
KINDS = ("application", "device", "group", "individual", "location", "org", "thing")
"""Values of KIND: RFC 6350 (6.1.4), RFC 6473, RFC 6869."""
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ].*)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Text:
    """A field that is the value of one property."""

    names: tuple[str, ...]
    escape: Callable[[str], str] = escape
    read: Callable[[str], str] = str.strip


TEXTS: Mapping[str, _Text] = {
    "email": _Text(("EMAIL",)),
    "fn": _Text(("FN",)),
    "kind": _Text(("KIND", "X-ADDRESSBOOKSERVER-KIND"), read=lambda text: text.strip().lower()),
    "nickname": _Text(("NICKNAME",)),
    "note": _Text(("NOTE",)),
    "phone": _Text(("TEL",), read=bare_phone),
    "role": _Text(("ROLE",)),
    "title": _Text(("TITLE",)),
    "uid": _Text(("UID",)),
    "url": _Text(("URL",), escape=escape_uri),
}


def _info(name: str, type: FieldType, label: str, **more: Any) -> FieldInfo:
    return FieldInfo(name=name, type=type, label=label, **{"cleared_by": "the property is removed", **more})


FIELDS: Mapping[str, FieldInfo] = {
    info.name: info
    for info in (
        _info("additional", FieldType.STRING, "Additional names (N)"),
        _info("addresses", FieldType.JSON, "Postal addresses: [{type, label, pref, street, city, …}] (ADR)"),
        _info("bday", FieldType.DATE, "Birthday (BDAY)"),
        _info("categories", FieldType.SET, "Categories (CATEGORIES)"),
        _info("email", FieldType.EMAIL, "E-mail, the preferred one or the first (EMAIL)"),
        _info("emails", FieldType.JSON, "All e-mails: [{type, label, pref, value}] (EMAIL)"),
        _info("family", FieldType.STRING, "Family name (N)"),
        _info("fn", FieldType.STRING, "Full name (FN); derived on create where it is not given", cleared_by=None),
        _info("given", FieldType.STRING, "Given name (N)"),
        _info("kind", FieldType.CHOICE, "Kind of card (KIND)", choices=KINDS),
        _info("nickname", FieldType.STRING, "Nickname (NICKNAME)"),
        _info("note", FieldType.TEXT, "Note (NOTE)"),
        _info("org", FieldType.STRING, "Organisation, without its departments (ORG)"),
        _info("phone", FieldType.PHONE, "Phone, the preferred one or the first (TEL)"),
        _info("phones", FieldType.JSON, "All phones: [{type, label, pref, value}] (TEL)"),
        _info("prefix", FieldType.STRING, "Prefix such as Dr. (N)"),
        _info("role", FieldType.STRING, "Role (ROLE)"),
        _info("suffix", FieldType.STRING, "Suffix such as Jr. (N)"),
        _info("title", FieldType.STRING, "Job title (TITLE)"),
        _info(
            "uid",
            FieldType.STRING,
            "Unique id (UID); fixed once created",
            on_update=False,
            cleared_by=None,
        ),
        _info("url", FieldType.URL, "Web address (URL)"),
    )
}
"""The fields by name, sorted. CardDAV has no schema of its own to ask for: this is what the connector maps."""


def read_values(card: Card, names: Iterable[str] = FIELDS) -> dict[str, Raw]:
    """The values of these fields; a field is missing where the card holds something that the field cannot show."""
    values: dict[str, Raw] = {}
    parts: list[str] | None = None
    for name in names:
        if name in TEXTS:
            values[name] = _read_text(card, TEXTS[name])
        elif name in NAME_PARTS:
            parts = _read_parts(card, "N") if parts is None else parts
            values[name] = parts[NAME_PARTS[name]] or None if len(parts) > NAME_PARTS[name] else None
        elif name == "org":
            values[name] = next(iter(_read_parts(card, "ORG")), None) or None
        elif name == "categories":
            values[name] = _read_categories(card) or None
        elif name == "bday":
            day = _read_day(card)
            if day != "":
                values[name] = day
        else:
            values[name] = read_elements(card, ELEMENTS[name]) or None
    return values


def normal_value(name: str, value: Raw) -> Raw:
    """A value as a read gives it after it was written; raises `FieldProblem` where the field cannot hold it."""
    if name in ELEMENTS:
        return normal_elements(ELEMENTS[name], name, value) or None
    if name == "categories":
        if value is not None and not isinstance(value, list | tuple | set | frozenset | str):
            raise FieldProblem(name, "this must be a list of words")
        words = [value] if isinstance(value, str) else list(value or ())
        return list(dict.fromkeys(word for word in (clean(name, word) for word in words) if word)) or None
    text = clean(name, value)
    if text is None:
        return None
    if name == "bday":
        return _normal_day(text)
    if name == "kind":
        return text.lower()
    return bare_phone(text) or None if name == "phone" else text


def write_value(card: Card, name: str, value: Raw) -> None:
    """Change one field of a card; nothing is touched where the card shows this value already."""
    wanted = normal_value(name, value)
    current = read_values(card, (name,))
    if name in current and _same(name, current[name], wanted):
        return
    if name not in current and wanted is None:
        return
    if name in NAME_PARTS:
        _write_part(card, "N", NAME_PARTS[name], wanted, least=5)
    elif name == "org":
        _write_part(card, "ORG", 0, wanted, least=1)
    elif name == "categories":
        _write_categories(card, wanted or [])
    elif name == "bday":
        _write_day(card, wanted)
    elif name in ELEMENTS:
        write_elements(card, ELEMENTS[name], wanted or [])
    elif name == "fn" and wanted is None:
        raise FieldProblem(name, "a card must have a full name (RFC 6350, 6.2.1), so it cannot be cleared")
    else:
        _write_text(card, name, wanted)


def derive_full_name(card: Card) -> str:
    """A full name for a card that has none: from its other fields, the most telling first; empty where all are."""
    values = read_values(card, (*NAME_PARTS, "org", "nickname", "email", "phone"))
    name = " ".join(str(values[part]) for part in ("prefix", "given", "additional", "family", "suffix") if values[part])
    return name or str(next((values[key] for key in ("org", "nickname", "email", "phone") if values[key]), ""))


def fill_required(card: Card) -> None:
    """Add what a vCard 3.0 must have (RFC 2426, 3.1): FN and N."""
    if not card.all("FN"):
        card.add(f"FN:{escape(derive_full_name(card))}")
    if not card.all("N"):
        card.add("N:;;;;")


def _same(name: str, current: Raw, wanted: Raw) -> bool:
    if name == "categories":
        return set(current or ()) == set(wanted or ())
    return bool(current == wanted)


def _show(line: Line, raw: str) -> str:
    return clean("", line.repair(unescape(raw))) or ""


def _shown(line: Line, field: _Text) -> str:
    return field.read(_show(line, line.text))


def _read_text(card: Card, field: _Text) -> str | None:
    line = preferred([line for line in card.all(*field.names) if _shown(line, field)])
    return _shown(line, field) if line is not None else None


def _write_text(card: Card, name: str, value: str | None) -> None:
    field = TEXTS[name]
    lines = card.all(*field.names)
    line = preferred([line for line in lines if _shown(line, field)])
    if value is None:
        if line is not None:
            remove_line(card, line)
    elif (line := line or preferred(lines)) is not None:
        card.replace(line, _line_with(line, field, value))
    elif name == "kind" and card.version != "4.0":
        # KIND came with vCard 4; in vCard 3 this is what address books understand (Apple's, and so most servers).
        card.add(f"X-ADDRESSBOOKSERVER-KIND:{field.escape(value)}")
    else:
        card.add(f"{field.names[0]}:{field.escape(value)}")


def _line_with(line: Line, field: _Text, value: str) -> Line:
    if field.names == ("TEL",):
        return ELEMENTS["phones"].rewrite(line, {"value": value})
    return line.with_text(field.escape(value))


def _structured(card: Card, name: str) -> Line | None:
    return preferred(card.all(name))


def _read_parts(card: Card, name: str) -> list[str]:
    line = _structured(card, name)
    return [] if line is None else [_show(line, part) for part in split_value(line.text, ";")]


def _write_part(card: Card, name: str, at: int, value: str | None, *, least: int) -> None:
    line = _structured(card, name)
    parts = split_value(line.text, ";") if line is not None else []
    parts += [""] * (max(least, at + 1) - len(parts))
    parts[at] = escape(value or "")
    text = ";".join(parts)
    if line is None:
        card.add(f"{name}:{text}")
    elif name == "N" or any(parts):
        card.replace(line, line.with_text(text))
    else:
        card.replace(line, None)


def _read_categories(card: Card) -> list[str]:
    words = (_show(line, raw) for line in card.all("CATEGORIES") for raw in split_value(line.text, ","))
    return list(dict.fromkeys(word for word in words if word))


def _write_categories(card: Card, wanted: list[str]) -> None:
    missing = [word for word in wanted if word not in _read_categories(card)]
    lines = card.all("CATEGORIES")
    for line in lines:
        raws = split_value(line.text, ",")
        kept = [raw for raw in raws if not _show(line, raw) or _show(line, raw) in wanted]
        if line is lines[-1]:
            kept = [*(raw for raw in kept if raw.strip()), *map(escape, missing)] if missing else kept
        if kept != raws:
            card.replace(line, line.with_text(",".join(kept)) if any(raw.strip() for raw in kept) else None)
    if missing and not lines:
        card.add(f"CATEGORIES:{','.join(map(escape, missing))}")


def _read_day(card: Card) -> str | None:
    """An ISO date; None where there is no birthday, "" where there is one that is no whole day."""
    line = preferred([line for line in card.all("BDAY") if line.value.strip()])
    if line is None:
        return None
    found = _DAY.match(_show(line, line.text))
    # Apple writes 1604 for "no year", and names the year that is to be left out.
    if found is None or line.parameter("X-APPLE-OMIT-YEAR") or "text" in map(str.lower, line.parameter("VALUE")):
        return ""
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return ""


def _normal_day(text: str) -> str:
    found = _DAY.match(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat() if found else _no_day()
    except ValueError:
        return _no_day()


def _no_day() -> str:
    raise FieldProblem("bday", "this must be a date such as 1980-12-31")


def _write_day(card: Card, value: str | None) -> None:
    line = preferred([line for line in card.all("BDAY") if line.value.strip()]) or preferred(card.all("BDAY"))
    if line is None or value is None:
        if line is not None:
            card.replace(line, None)
        if value is not None:
            card.add(f"BDAY:{value.replace('-', '') if card.version == '4.0' else value}")
        return
    # A date of vCard 4 has no hyphens (RFC 6350, 4.3.1); what the line had tells what its app reads.
    compact = "-" not in line.value.strip("-") if line.value.strip() else card.version == "4.0"
    head = line.head
    for parameter in line.parameters:
        if parameter.name == "X-APPLE-OMIT-YEAR" or (
            parameter.name == "VALUE" and parameter.values[0].lower() != "date"
        ):
            head = head.replace(parameter.raw, "", 1)
    card.replace(line, line.rebuilt(head, value.replace("-", "") if compact else value))


def normal_values(values: RawValues) -> dict[str, Raw]:
    """`normal_value` of every field; one that the field cannot hold is left as it is, for the write to refuse."""
    result: dict[str, Raw] = {}
    for name, value in values.items():
        try:
            result[name] = normal_value(name, value) if name in FIELDS else value
        except FieldProblem:
            result[name] = value
    return result
