"""A multistatus that names the cards of an address book, read for address, ETag and status alone.

A listing names every card, and hardly any of them has changed: so no tree is built of it, and no property is kept.
"""

from collections.abc import Iterator
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from twoway_connectors.carddav.xml import CHUNK, DEEPEST, XmlProblem, status_in

_MULTISTATUS, _RESPONSE, _SYNC_TOKEN = "DAV: multistatus", "DAV: response", "DAV: sync-token"
_HREF, _STATUS, _PROPSTAT = "DAV: href", "DAV: status", "DAV: propstat"
_ETAG, _COLLECTION = "DAV: getetag", "DAV: collection"


class Member(NamedTuple):
    """What an answer says of one address: an ETag or else "", a status where it says nothing more."""

    href: str
    etag: str
    status: int | None
    collection: bool
    """Whether its `resourcetype`, where that was asked for, says that it is a folder."""


class Members:
    """The members that a multistatus names, in order; `sync_token` is known once they were all read.

    Raises `XmlProblem` for what is no multistatus, and for a DOCTYPE, so that no entity is ever declared.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.sync_token = ""

    def __iter__(self) -> Iterator[Member]:
        reading = _Reading()
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _doctype
        parser.StartElementHandler = reading.start
        parser.EndElementHandler = reading.end
        parser.CharacterDataHandler = reading.texts.append
        body, ready = self._body, reading.ready
        try:
            for start in range(0, len(body), CHUNK):
                parser.Parse(body[start : start + CHUNK], False)
                yield from ready
                ready.clear()
            parser.Parse(b"", True)
        except (expat.ExpatError, LookupError, ValueError):
            raise XmlProblem("something that is not well-formed XML") from None
        self.sync_token = reading.sync_token


class _Reading:
    """What was read of the document so far. What an element means depends on how deep it is: a property of a member
    may hold addresses, too."""

    __slots__ = (
        *("_collection", "_depth", "_etag", "_etag_told", "_href", "_refused", "_status"),
        *("ready", "sync_token", "texts"),
    )

    def __init__(self) -> None:
        self.ready: list[Member] = []
        self.texts: list[str] = []
        self.sync_token = ""
        self._depth = 0
        self._href = self._etag = self._etag_told = ""
        self._status: int | None = None
        self._collection = self._refused = False

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        if not self._depth and name != _MULTISTATUS:
            raise XmlProblem("a document of another kind")
        self._depth += 1
        if self._depth > DEEPEST:
            raise XmlProblem("XML that is nested too deeply")
        self.texts.clear()

    def end(self, name: str) -> None:
        self._depth = within = self._depth - 1
        if within == 4:
            if name == _ETAG:
                self._etag_told = "".join(self.texts).strip()
        elif within == 3:
            if name == _STATUS:
                self._refused = (status_in("".join(self.texts)) or 200) != 200
        elif within == 2:
            self._part(name)
        elif within == 5:
            if name == _COLLECTION:
                self._collection = True
        elif within == 1:
            if name == _RESPONSE:
                self.ready.append(Member(self._href, self._etag, self._status, self._collection))
                self._href = self._etag = ""
                self._status, self._collection = None, False
            elif name == _SYNC_TOKEN:
                self.sync_token = "".join(self.texts).strip()

    def _part(self, name: str) -> None:
        """A part of a response has ended."""
        if name == _PROPSTAT:
            if not self._refused:
                self._etag = self._etag_told or self._etag
            self._etag_told, self._refused = "", False
        elif name == _HREF:
            self._href = self._href or "".join(self.texts).strip()
        elif name == _STATUS:
            self._status = status_in("".join(self.texts))


def _doctype(_name: str, _system: str | None, _public: str | None, _subset: bool) -> NoReturn:
    raise XmlProblem("XML with a DOCTYPE, which is not read")
