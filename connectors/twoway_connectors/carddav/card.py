"""A vCard whose every byte stays where it is, but for the content lines that are replaced.

Nothing here validates: a card that somebody's app wrote is kept as it was. Only `writable` says whether there is one
whole card to change.
"""

import re
from collections.abc import Iterable, Sequence

from twoway_connectors.carddav.lines import Line, is_soft_broken, make_line, split_lines

_GROUP_NUMBER = re.compile(r"item(\d{1,9})\Z", re.IGNORECASE)
_COMPANIONS = frozenset({"X-ABLABEL", "X-ABADR"})
"""Properties that only describe the other property of their group (Apple's address book)."""
_MARKS = frozenset({"BEGIN", "END"})


class Card:
    """One card as a list of content lines. Lines are told apart by identity: the same text may stand there twice."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = list(lines)
        self._find_properties()

    @classmethod
    def parse(cls, data: bytes | str) -> "Card":
        """Any bytes or text; what is not a content line is only kept."""
        text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
        return cls(split_lines(text))

    @classmethod
    def new(cls, uid_line: str) -> "Card":
        """An empty vCard 3.0, the version that every CardDAV server takes (RFC 6352, 5.1), with a UID line."""
        return cls.parse(f"BEGIN:VCARD\r\nVERSION:3.0\r\n{uid_line}\r\nEND:VCARD\r\n")

    def __str__(self) -> str:
        return "".join(line.raw for line in self._lines)

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    def _find_properties(self) -> None:
        """Find the properties of the first card, without those of a card inside it (AGENT in vCard 2.1)."""
        self._properties: list[Line] = []
        self._named: dict[str, list[Line]] | None = None
        self._end: Line | None = None
        depth = cards = 0
        junk = False
        for line in self._lines:
            mark = line.name if line.name in _MARKS and line.value.strip().upper() == "VCARD" else None
            if mark == "BEGIN":
                depth += 1
                cards += depth == 1
            elif mark == "END":
                depth -= 1
                if depth == 0 and self._end is None:
                    self._end = line
            elif depth == 1 and cards == 1:
                self._properties.append(line)
            elif depth <= 0 and line.raw.strip("\ufeff\r\n\t "):
                junk = True
        self.writable = cards == 1 and depth == 0 and self._end is not None and not junk
        """Whether this is one whole card, with its end."""

    @property
    def ended(self) -> bool:
        """Whether the card has its end: without it, it may be a part of one."""
        return self._end is not None

    @property
    def properties(self) -> Sequence[Line]:
        """The content lines between BEGIN and END, in their order."""
        return self._properties

    def all(self, *names: str) -> list[Line]:
        """The lines of these properties (in upper case), in their order."""
        if self._named is None:
            self._named = {}
            for line in self._properties:
                self._named.setdefault(line.name, []).append(line)
        if len(names) == 1:
            return list(self._named.get(names[0], ()))
        return [line for line in self._properties if line.name in names]

    def value(self, name: str) -> str:
        """The raw value of the first line of a property; empty where there is none."""
        return next((line.text for line in self.all(name)), "")

    @property
    def version(self) -> str:
        """What VERSION says, such as `3.0`; empty where it says nothing."""
        return self.value("VERSION").strip()

    @property
    def ending(self) -> str:
        """The line ending of the card: that of its first line."""
        first = self._lines[0].raw if self._lines else ""
        return "\n" if first.endswith("\n") and not first.endswith("\r\n") else "\r\n"

    def replace(self, old: Line, new: Line | None) -> None:
        """Put another line in the place of `old`, or take it out."""
        at = self._index(old)
        self._lines[at : at + 1] = [] if new is None else [new]
        self._named = None
        place = next((index for index, line in enumerate(self._properties) if line is old), None)
        if self.writable and place is not None and new is not None and {old.name, new.name}.isdisjoint(_MARKS):
            self._properties[place] = new
        else:
            self._find_properties()

    def add(self, text: str, *, after: Line | None = None, before: Line | None = None) -> Line:
        """Add a content line: behind `after` and what describes it, else before `before`, else at the card's end."""
        line = make_line(text, self.ending)
        if after is not None:
            at = self._index(after) + 1
            companions = self.companions(after)
            while any(self._lines[at] is companion for companion in companions):
                at += 1
        else:
            anchor = before or self._end
            at = self._index(anchor) if anchor is not None else len(self._lines)
        if at > 0 and is_soft_broken(self._lines[at - 1].raw):
            at -= 1  # a broken value of vCard 2.1 would swallow the line that follows it
        self._lines.insert(at, line)
        if self.writable and line.name not in _MARKS and self._lines[at + 1] is self._end:
            self._properties.append(line)
            if self._named is not None:
                self._named.setdefault(line.name, []).append(line)
        else:
            self._find_properties()
        return line

    def permute(self, places: Sequence[Line], lines: Sequence[Line]) -> None:
        """Put `lines`, which are `places` in another order, where those stood."""
        indexes = [self._index(place) for place in places]
        for index, line in zip(indexes, lines, strict=True):
            self._lines[index] = line
        self._find_properties()

    def _index(self, wanted: Line | None) -> int:
        if self._lines and self._lines[-1] is wanted:
            return len(self._lines) - 1
        return next(index for index, line in enumerate(self._lines) if line is wanted)

    def companions(self, line: Line) -> list[Line]:
        """The lines that only describe this one: its group's label. None where the group has further properties."""
        group = self._group(line)
        described = [other for other in group if other.name not in _COMPANIONS]
        return [other for other in group if other.name in _COMPANIONS] if described == [line] else []

    def label(self, line: Line) -> Line | None:
        """The line with the label that a person gave to this one, or to all of its group (`item1.X-ABLabel`)."""
        return next((other for other in self._group(line) if other.name == "X-ABLABEL"), None)

    def is_alone(self, line: Line) -> bool:
        """Whether the line has a group that describes no other."""
        return [other for other in self._group(line) if other.name not in _COMPANIONS] == [line]

    def _group(self, line: Line) -> list[Line]:
        """All lines of this line's group, itself among them; none where it has no group."""
        if not line.group:
            return []
        return [other for other in self._properties if other.group.lower() == line.group.lower()]

    def free_group(self) -> str:
        """A group name that the card does not use yet: `item1`, `item2`, …"""
        taken = [int(found[1]) for line in self._lines if (found := _GROUP_NUMBER.match(line.group))]
        return f"item{max(taken, default=0) + 1}"
