"""Address cards as people's apps leave them behind, and a reader of vCards that owes nothing to the connector's.

Everything is a function of a number, so that a run can be repeated.
"""

import base64
import random
import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

GIVEN = ("Zoë", "Jürgen", "Łucja", "Ναταλία", "Søren", "Chloé", "Đorđe", "雪", "Ann-Sofie", "José María")
FAMILY = ("Müller", "Øster", "Nováková", "D'Ângelo", "Öztürk", "Šimůnek", "O'Neil", "Грекова", "Straßer", "da Silva")
TOWNS = ("Köln", "Århus", "Łódź", "Genève", "Ústí nad Labem", "São Paulo")


class Property(NamedTuple):
    """One property of a card: names in upper case, parameters as a sorted set of their texts, the value unfolded."""

    group: str
    name: str
    parameters: tuple[str, ...]
    value: str


def read(card: bytes | str) -> Counter[Property]:
    """The properties of a card, each with how often it is there; their order and their folding mean nothing."""
    return _read(card.decode() if isinstance(card, bytes) else card)


@lru_cache(maxsize=4096)
def _read(text: str) -> Counter[Property]:
    text = re.sub(r"\r?\n[ \t]", "", text)
    return Counter(_property(line) for line in re.split(r"\r?\n", text) if line)


def _property(line: str) -> Property:
    found = re.match(r'((?:[^":]|"[^"]*")*):(.*)', line, re.DOTALL)
    if found is None:
        raise ValueError(f"this is no content line: {line[:40]!r}")
    head, value = found.groups()
    name, *parameters = re.findall(r'(?:[^;"]|"[^"]*")+', head)
    group, _, bare = name.rpartition(".")
    words = sorted(
        f"{key.upper()}={word.strip(chr(34)).lower()}"
        for key, _, text in (parameter.partition("=") for parameter in parameters)
        for word in text.split(",")
    )
    return Property(group.lower(), bare.upper(), tuple(words), value)


def changed(before: bytes | str, after: bytes | str) -> dict[str, tuple[list[Property], list[Property]]]:
    """What differs between two states of a card: for each property's name, those that went and those that came."""
    old, new = read(before), read(after)
    found: dict[str, tuple[list[Property], list[Property]]] = {}
    for one in (old - new).elements():
        found.setdefault(one.name, ([], []))[0].append(one)
    for one in (new - old).elements():
        found.setdefault(one.name, ([], []))[1].append(one)
    return found


def value(card: bytes | str, name: str, parameter: str = "") -> str | None:
    """The value of a property (the one with this parameter, as `TYPE=cell`), its escapes undone; `None` if none."""
    for one in read(card):
        if one.name == name and (not parameter or parameter in one.parameters):
            return unescaped(one.value)
    return None


def mail(card: bytes | str) -> str | None:
    """The preferred e-mail address, or the only one."""
    return value(card, "EMAIL", "TYPE=pref") or value(card, "EMAIL")


def raw(card: bytes | str, name: str) -> str:
    """The value of a property as it stands in the card, unfolded; empty if it is not there."""
    return next((one.value for one in read(card) if one.name == name), "")


def unescaped(text: str) -> str:
    """A text value as a person sees it."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


def split(value: str) -> list[str]:
    """The parts of a structured value, their escapes still in them."""
    return re.findall(r"(?:^|;)((?:[^;\\]|\\.)*)", value)


def with_value(card: bytes | str, name: str, text: str, parameter: str = "") -> str:
    """The card as a person's app stores it with another value in this property, or with the property in addition."""
    lines = re.sub(r"\r?\n[ \t]", "", card.decode() if isinstance(card, bytes) else card).split("\n")
    lines = [line.rstrip("\r") for line in lines if line.strip()]
    for at, line in enumerate(lines):
        one = _property(line)
        if one.name == name and (not parameter or parameter in one.parameters):
            lines[at] = line[: len(line) - len(one.value)] + text
            break
    else:
        lines.insert(-1, f"{name}{';' if parameter else ''}{parameter}:{text}")
    return "".join(f"{folded(line)}\r\n" for line in lines)


def folded(line: str) -> str:
    """A content line folded as narrowly as old apps do, between any two characters."""
    width = 60
    return "\r\n ".join(line[at : at + width] for at in range(0, len(line), width)) if len(line) > width else line


class Person(NamedTuple):
    """Somebody, as a number makes them."""

    number: int
    given: str
    family: str
    email: str
    mobile: str
    work: str
    town: str

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.given} {self.family}"


def person(number: int) -> Person:
    """The person with this number."""
    chance = random.Random(number)
    return Person(
        number,
        chance.choice(GIVEN),
        f"{chance.choice(FAMILY)} {number}",
        f"person.{number}@example.com",
        f"+49 170 {1000000 + number}",
        f"+49 30 {200000 + number}",
        chance.choice(TOWNS),
    )


def card(who: Person, **more: str) -> str:
    """A card of a person, full of what no mapping knows. `more` are further properties, or others in their place."""
    chance = random.Random(who.number * 7 + 1)
    picture = base64.b64encode(chance.randbytes(700)).decode()
    lines = {
        "UID": f"UID:card-{who.number}",
        "FN": f"FN:{escaped(who.name)}",
        "N": f"N:{escaped(who.family)};{escaped(who.given)};;Dr.;",
        "EMAIL": f"EMAIL;TYPE=work,pref:{who.email}",
        "HOME_EMAIL": f"EMAIL;TYPE=home:private.{who.number}@example.org",
        "MOBILE": f"TEL;TYPE=cell,voice:{who.mobile}",
        "WORK": f"TEL;TYPE=work:{who.work}",
        "FAX": f"TEL;TYPE=fax,home:+49 30 {900000 + who.number}",
        "ADR": f"ADR;TYPE=home:;;Straße {who.number}\\, Hof 2;{escaped(who.town)};;5{who.number:04};Deutschland",
        "ORG": f"ORG:Firma {who.number % 17} \\& Söhne;Einkauf;Team {who.number % 3}".replace("\\&", "&"),
        "BDAY": f"BDAY:19{40 + who.number % 60}-0{1 + who.number % 9}-1{who.number % 10}",
        "CATEGORIES": "CATEGORIES:" + ",".join(sorted({"Kunden", f"Gruppe {who.number % 5}"})),
        "NOTE": f"NOTE:Zeile eins für {escaped(who.name)}\\nZeile zwei\\, mit Komma\\; und {'lang ' * 12}Ende",
        "PHOTO": f"PHOTO;ENCODING=b;TYPE=JPEG:{picture}",
        "LABELLED": f"item1.URL:https://example.com/p/{who.number}",
        "LABEL": "item1.X-ABLabel:_$!<HomePage>!$_",
        "X": f"X-CRM-ID;X-KIND=opaque:{who.number}\\, left alone",
        "Y": "X-SOCIALPROFILE;TYPE=twitter:https://social.example/@someone",
    }
    lines |= more
    body = "".join(f"{folded(line)}\r\n" for line in lines.values() if line)
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\n{body}END:VCARD\r\n"


def escaped(text: str) -> str:
    """A text value as it stands in a card."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace(",", "\\,").replace(";", "\\;")
