"""Content lines of a vCard, kept as they are (RFC 6350 section 3, RFC 2426 section 2; lenient towards vCard 2.1).

A *content line* is one property with its folded continuation lines and its line ending. Splitting and joining gives
back every character. Bytes that are no UTF-8 travel through the text as lone surrogates (PEP 383).
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

WIDTH = 75
"""Octets in a physical line without its ending, at most (RFC 6350, 3.2)."""

NEWLINE = "\r\n"
"""The line ending of the standard."""

_LOGICAL = re.compile(r"[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)")
_FOLD = re.compile(r"\r*\n[ \t]")
_SOFT_BREAK = re.compile(r"=\r*\n")
_ENDING = re.compile(r"\r*\n\Z|\r+\Z")
_NAME = r"\ufeff?(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_-]+)"
_HEAD = re.compile(_NAME + r'((?:;(?:[^":;]|"[^"]*")*)*):')
_HEAD_BROKEN_QUOTES = re.compile(_NAME + r"((?:;[^:;]*)*):")
_PARAMETER = re.compile(r';(?:[^";]|"[^"]*"|")*')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MARK = re.compile(r"(BEGIN|END):VCARD\s*\Z", re.IGNORECASE)
_PIECE = re.compile(r"\\.|[^\\]|\\\Z", re.DOTALL)
_ESCAPED = {"n": "\n", "N": "\n", ",": ",", ";": ";", ":": ":", "\\": "\\"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_ESCAPED_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_QUOTED_PRINTABLE = "QUOTED-PRINTABLE"
_BARE_ENCODINGS = frozenset({_QUOTED_PRINTABLE, "BASE64", "B", "7BIT", "8BIT"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its own text with the leading `;`, its name in upper case, its values unquoted.

    A bare word of vCard 2.1 (`TEL;WORK:`) is a value of TYPE, or of ENCODING where it names one.
    """

    raw: str
    name: str
    values: tuple[str, ...]

    @property
    def bare(self) -> bool:
        """Whether it is written without `NAME=`."""
        return "=" not in self.raw


@dataclass(eq=False)  # and not frozen, which would double the time to make one: it is never changed all the same
class Line:
    """One content line. `name` is in upper case, and empty for what is not a content line: that is only kept.

    `head` is everything before the colon and `value` everything after it, both unfolded, both otherwise untouched.
    """

    raw: str
    group: str
    name: str
    head: str
    value: str

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters in their order."""
        _, separator, rest = self.head.partition(";")
        return tuple(_parameter(found) for found in _PARAMETER.findall(separator + rest))

    def parameter(self, name: str) -> tuple[str, ...]:
        """All values of a parameter, in their order, also over repetitions."""
        return tuple(value for parameter in self.parameters if parameter.name == name for value in parameter.values)

    @property
    def text(self) -> str:
        """The value without its transfer encoding, escapes still in it; bytes that are no text stay surrogates."""
        if not self._quoted_printable:
            return self.value
        coded = quopri.decodestring(self.value.encode("utf-8", "surrogateescape"))
        return coded.decode("utf-8", "surrogateescape")

    def repair(self, text: str) -> str:
        """Text of this line as characters: in the charset that the line names, U+FFFD for what cannot be read."""
        if text.isascii() or ("CHARSET" not in self.head.upper() and not _SURROGATE.search(text)):
            return text
        coded = text.encode("utf-8", "surrogateescape" if _only_escaped_bytes(text) else "replace")
        for charset in (*self.parameter("CHARSET"), "utf-8"):
            try:
                return coded.decode(charset)
            except (LookupError, UnicodeDecodeError, binascii.Error):
                continue
        return coded.decode("utf-8", "replace")

    def with_text(self, text: str) -> "Line":
        """The same line with another value, escaped already; of its parameters only a legacy charset goes."""
        head = self.head
        for parameter in self.parameters:
            if parameter.name == "CHARSET" and parameter.values[0].upper() not in {"UTF-8", "UTF8"}:
                head = head.replace(parameter.raw, ";CHARSET=UTF-8" if self._quoted_printable else "", 1)
        if self._quoted_printable:
            text = _quote_printable(text)
        return self.rebuilt(head, text)

    def rebuilt(self, head: str, value: str | None = None) -> "Line":
        """The same place in the card with another head, and another raw value where one is given."""
        ending = _ENDING.search(self.raw)
        return make_line(f"{head}:{self.value if value is None else value}", ending.group() if ending else "")

    @property
    def _quoted_printable(self) -> bool:
        if _QUOTED_PRINTABLE not in self.head.upper():
            return False
        return any(value.upper() == _QUOTED_PRINTABLE for value in self.parameter("ENCODING"))


def _only_escaped_bytes(text: str) -> bool:
    return not _NO_ESCAPED_BYTE.search(text)


def _quote_printable(text: str) -> str:
    safe = set(range(32, 127)) - {ord("=")}
    return "".join(chr(byte) if byte in safe else f"={byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


@lru_cache(maxsize=1024)  # the cards of an address book have few different ones
def _parameter(raw: str) -> Parameter:
    name, equals, value = raw[1:].partition("=")
    if not equals:
        word = name.strip()
        return Parameter(raw, "ENCODING" if word.upper() in _BARE_ENCODINGS else "TYPE", (word,) if word else ())
    parts = re.findall(r'(?:[^",]|"[^"]*")+|"', value)
    values = [piece for part in parts for piece in _unquoted(part, name)]
    return Parameter(raw, name.strip().upper(), tuple(values))


def _unquoted(part: str, name: str) -> list[str]:
    """The value of one parameter part. `TYPE="work,cell"` is a list although it is quoted (RFC 6350, 5.6)."""
    bare = part.strip().strip('"')
    return [piece.strip() for piece in bare.split(",")] if name.strip().upper() == "TYPE" else [bare]


def split_lines(text: str) -> Iterator[Line]:
    """The content lines of a card; joining their `raw` gives the text back."""
    pieces = (found.group() for found in _LOGICAL.finditer(text) if found.group())
    if _QUOTED_PRINTABLE not in text.upper():
        yield from map(read_line, pieces)
        return
    waiting = ""
    for piece in pieces:
        whole = waiting + piece
        if waiting and _MARK.match(piece):
            # A broken value must not swallow the end of its card.
            yield read_line(waiting)
            waiting, whole = "", piece
        if is_soft_broken(whole):
            waiting = whole
        else:
            waiting = ""
            yield read_line(whole)
    if waiting:
        yield read_line(waiting)


def is_soft_broken(raw: str) -> bool:
    """Whether a quoted-printable value of vCard 2.1 goes on in the next physical line, which has no leading blank."""
    if not raw.rstrip("\r\n").endswith("="):
        return False
    head, colon, _ = raw.partition(":")
    return bool(colon) and _QUOTED_PRINTABLE in head.upper()


def read_line(raw: str) -> Line:
    """One content line from its text as it stands in the card."""
    bare = raw.rstrip("\r\n")
    text = _unfolded(bare) if "\n" in bare else bare
    found = _HEAD.match(text) or _HEAD_BROKEN_QUOTES.match(text)
    if found is None:
        return Line(raw, "", "", "", "")
    return Line(raw, found[1] or "", found[2].upper(), text[: found.end() - 1], text[found.end() :])


def _unfolded(text: str) -> str:
    if _QUOTED_PRINTABLE in text.partition(":")[0].upper():
        text = _SOFT_BREAK.sub("", text)  # first: the blank that follows one belongs to the value
    return _FOLD.sub("", text)


def make_line(text: str, ending: str) -> Line:
    """A new content line, folded; quoted-printable has no such folding, and could not be told from its own breaks."""
    head, colon, value = text.partition(":")
    if _QUOTED_PRINTABLE in head.upper():
        return read_line(text + ending)
    raw = fold(text, ending) + ending
    if colon and head.isascii() and head.isalpha() and value.isprintable():
        # A bare name and a plain value, as most are: what reading it would find is at hand.
        return Line(raw, "", head.upper(), head, value)
    return read_line(raw)


def fold(text: str, ending: str) -> str:
    """Fold a content line to `WIDTH` octets, never inside a character."""
    if len(text) <= WIDTH and (text.isascii() or len(text.encode("utf-8", "surrogatepass")) <= WIDTH):
        return text
    pieces: list[str] = []
    start, room = 0, WIDTH
    for index, letter in enumerate(text):
        size = len(letter.encode("utf-8", "surrogateescape" if "\udc80" <= letter <= "\udcff" else "replace"))
        if size > room:
            pieces.append(text[start:index])
            start, room = index, WIDTH - 1
        room -= size
    pieces.append(text[start:])
    return f"{ending or NEWLINE} ".join(pieces)


def escape(text: str) -> str:
    """A text value or a part of a structured one as it stands in a card (RFC 6350, 3.4)."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace(",", "\\,").replace(";", "\\;")


def escape_uri(text: str) -> str:
    """A URI as it stands in a card: its commas and semicolons are its own."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def unescape(raw: str) -> str:
    """The text of an escaped value. A backslash before any other letter is kept: some apps do not escape it."""
    if "\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), raw)


def split_value(raw: str, separator: str) -> list[str]:
    """The parts of a structured value or of a list, still escaped. Joined by the separator they give it back."""
    if "\\" not in raw:
        return raw.split(separator)
    parts = [""]
    for piece in _PIECE.findall(raw):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
