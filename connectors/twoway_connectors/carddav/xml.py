"""The XML of WebDAV: request bodies, and multistatus answers read one response at a time (RFC 4918, section 13).

A document with a DOCTYPE is refused, so that no entity is ever declared: WebDAV needs neither.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

DAV = "{DAV:}"
CARDDAV = "{urn:ietf:params:xml:ns:carddav}"
CTAG = "{http://calendarserver.org/ns/}getctag"
XML_TYPE = "application/xml; charset=utf-8"
_PREFIXES = {"DAV:": "d", "urn:ietf:params:xml:ns:carddav": "c", "http://calendarserver.org/ns/": "s"}
_NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for uri, prefix in _PREFIXES.items())
CHUNK = 65_536
"""Bytes of an answer that are parsed at once."""
DEEPEST = 64
"""Elements that may be open at the same time."""
_STATUS = re.compile(r"\s*HTTP/[\d.]+\s+(\d{3})")


class XmlProblem(Exception):
    """The answer is not XML, or not XML that WebDAV knows. `what` says so, for people."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class DavResponse:
    """What a server says of one address. `properties` are those that it has; `status` is set where there are none."""

    href: str
    status: int | None
    properties: Mapping[str, ET.Element] = field(default_factory=dict)

    def text(self, tag: str) -> str:
        """The text of a property; empty where it is not there."""
        found = self.properties.get(tag)
        return (found.text or "").strip() if found is not None else ""

    def hrefs(self, tag: str) -> list[str]:
        """The addresses that a property holds."""
        found = self.properties.get(tag)
        return [(href.text or "").strip() for href in found.iter(f"{DAV}href")] if found is not None else []

    def holds(self, tag: str, part: str) -> bool:
        """Whether a property holds an element, at any depth."""
        found = self.properties.get(tag)
        return found is not None and found.find(f".//{part}") is not None


def responses(body: bytes) -> Iterator[DavResponse]:
    """The responses of a multistatus document, in order."""
    for part in _parts(body, _Parts(f"{DAV}multistatus")):
        if part.tag == f"{DAV}response":
            yield _response(part)


def conditions(body: bytes) -> frozenset[str]:
    """The preconditions that an error answer names (RFC 4918, 16), such as `{DAV:}valid-sync-token`; none if none."""
    try:
        return frozenset(part.tag for part in _parts(body, _Parts(f"{DAV}error")))
    except XmlProblem:
        return frozenset()


def condition_hrefs(body: bytes) -> list[str]:
    """The addresses that an error answer names."""
    try:
        parts = list(_parts(body, _Parts(f"{DAV}error")))
    except XmlProblem:
        return []
    return [(href.text or "").strip() for part in parts for href in part.iter(f"{DAV}href")]


class _Parts:
    """A parser's target that gives out each child of the root once it is whole, so that memory stays flat."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._depth = 0
        self._tree = ET.TreeBuilder()
        self.ready: list[ET.Element] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != self._root:
            raise XmlProblem("a document of another kind")
        if self._depth > DEEPEST:
            raise XmlProblem("XML that is nested too deeply")
        if self._depth > 1:
            self._tree.start(tag, attributes)

    def end(self, tag: str) -> None:
        if self._depth > 1:
            self._tree.end(tag)
        if self._depth == 2:
            self.ready.append(self._tree.close())
            self._tree = ET.TreeBuilder()
        self._depth -= 1

    def data(self, text: str) -> None:
        if self._depth > 1:
            self._tree.data(text)

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> NoReturn:
        raise XmlProblem("XML with a DOCTYPE, which is not read")

    def close(self) -> None:
        """Nothing is left to give out."""


def _parts(body: bytes, target: _Parts) -> Iterator[ET.Element]:
    # A DOCTYPE ends the reading before an entity could be used; see the class above.
    parser = ET.XMLParser(target=target)  # noqa: S314 - see above
    try:
        for start in range(0, len(body), CHUNK):
            parser.feed(body[start : start + CHUNK])
            yield from target.ready
            target.ready.clear()
        parser.close()
    except (ET.ParseError, LookupError, ValueError):
        raise XmlProblem("something that is not well-formed XML") from None


def _response(part: ET.Element) -> DavResponse:
    properties: dict[str, ET.Element] = {}
    for propstat in part.iterfind(f"{DAV}propstat"):
        if (_status(propstat) or 200) == 200:
            properties.update((prop.tag, prop) for prop in propstat.iterfind(f"{DAV}prop/*"))
    return DavResponse((part.findtext(f"{DAV}href") or "").strip(), _status(part), properties)


def status_in(text: str) -> int | None:
    """The number in an HTTP status line; None where it is none."""
    found = _STATUS.match(text)
    return int(found[1]) if found else None


def _status(part: ET.Element) -> int | None:
    return status_in(part.findtext(f"{DAV}status") or "")


def _tag(name: str) -> str:
    uri, _, local = name[1:].partition("}")
    return f"{_PREFIXES[uri]}:{local}"


def _document(root: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{root} {_NAMESPACES}>{inner}</{root}>'.encode()


def _prop(names: Iterable[str]) -> str:
    return f"<d:prop>{''.join(f'<{_tag(name)}/>' for name in names)}</d:prop>"


def propfind_body(names: Iterable[str]) -> bytes:
    """PROPFIND for these properties (RFC 4918, 9.1)."""
    return _document("d:propfind", _prop(names))


def multiget_body(names: Iterable[str], hrefs: Iterable[str]) -> bytes:
    """The report that reads cards by address (RFC 6352, 8.7)."""
    wanted = "".join(f"<d:href>{escape(href)}</d:href>" for href in hrefs)
    return _document("c:addressbook-multiget", _prop(names) + wanted)


def sync_body(token: str, names: Iterable[str]) -> bytes:
    """The report of what changed since `token`, with these properties (RFC 6578, 3.2).

    Without a limit: Xandikos cuts its answer to the limit and hands out the newest token all the same.
    """
    inner = f"<d:sync-token>{escape(token)}</d:sync-token><d:sync-level>1</d:sync-level>"
    return _document("d:sync-collection", inner + _prop(names))


def query_body(names: Iterable[str], property: str, texts: Iterable[str]) -> bytes:
    """The report of cards of which a property holds one of `texts` (RFC 6352, 8.6), in any case of its letters.

    `contains` and `i;unicode-casemap` are what every server must have (10.5.4, 8.3); it finds too much rather than too
    little. One `prop-filter` a text: Xandikos takes several `text-match` of one filter for "all of them".
    """
    matches = "".join(
        f"<c:prop-filter name={quoteattr(property)}>"
        f'<c:text-match collation="i;unicode-casemap" match-type="contains">{escape(text)}</c:text-match>'
        f"</c:prop-filter>"
        for text in texts
    )
    return _document("c:addressbook-query", f'{_prop(names)}<c:filter test="anyof">{matches}</c:filter>')
