"""A CardDAV server in memory that is never the bottleneck: `python dav.py --port N` serves until it is killed.

What two clients of address books need of RFC 4918, 6352 and 6578, for one login and any number of address books under
`/ann/`: OPTIONS, MKCOL, PROPFIND, GET, PUT, DELETE and the reports addressbook-multiget, addressbook-query and
sync-collection. Conditions on ETags are kept, a UID is taken only once in a book, and a sync token of another server is
refused. Requests are counted by their method, but not those of whoever measures: GET /_counts, and POST /BOOK/ with
{name: card}, which stores cards.

It stands alone: it is started by its path, from any folder.
"""

import argparse
import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from email.utils import formatdate
from hashlib import md5
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

HOME = "/ann/"
DAV, CARD, CALENDARSERVER = "DAV:", "urn:ietf:params:xml:ns:carddav", "http://calendarserver.org/ns/"
_LOGIN = "Basic " + base64.b64encode(b"ann:correct horse").decode()
_NAMESPACES = f'xmlns="{DAV}" xmlns:c="{CARD}" xmlns:s="{CALENDARSERVER}"'
_PREFIXES = {DAV: "", CARD: "c:", CALENDARSERVER: "s:"}
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 207: "Multi-Status", 400: "Bad Request", 401: "Unauthorized"}
_REASONS |= {403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 412: "Precondition Failed"}
_PRINCIPAL = f"<href>{HOME}</href>"
_REPORTS = "".join(
    f"<supported-report><report><{name}/></report></supported-report>"
    for name in ("c:addressbook-multiget", "c:addressbook-query", "sync-collection")
)
Properties = dict[str, str]
"""Their XML, by `{namespace}name`."""


class Answer(NamedTuple):
    """What is said to one request."""

    status: int
    body: bytes = b""
    headers: tuple[str, ...] = ()


class Refused(Exception):
    """A precondition does not hold."""

    def __init__(self, status: int, condition: str = "") -> None:
        super().__init__(condition)
        body = f'<?xml version="1.0"?><error {_NAMESPACES}>{condition}</error>'.encode() if condition else b""
        self.answer = Answer(status, body)


class Card:
    """A card with what is told of it, in the form in which it is told."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        # As sabre/dav makes it, and with it Nextcloud and Baïkal.
        self.etag = f'"{md5(body, usedforsecurity=False).hexdigest()}"'
        text = body.decode()
        self._unfolded = re.sub(r"\r?\n[ \t]", "", text).lower()
        self._values: dict[str, list[str]] = {}
        self.properties: Properties = {
            f"{{{DAV}}}resourcetype": "",
            f"{{{DAV}}}getcontenttype": "text/vcard; charset=utf-8",
            f"{{{DAV}}}getetag": escape(self.etag),
            f"{{{DAV}}}getlastmodified": formatdate(usegmt=True),
            # As it stands, an XML parser would drop it.
            f"{{{CARD}}}address-data": escape(text, {"\r": "&#13;"}),
        }

    def values(self, name: str) -> list[str]:
        """The values of a property in lower case, as they stand in the card."""
        if name not in self._values:
            pattern = rf'^(?:[\w-]+\.)?{re.escape(name.lower())}(?:;(?:[^":\r\n]|"[^"]*")*)?:(.*?)\r?$'
            self._values[name] = re.findall(pattern, self._unfolded, re.MULTILINE)
        return self._values[name]


class Book:
    """An address book: its cards by name, and the names in the order in which they were written or deleted."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.cards: dict[str, Card] = {}
        self._uids: dict[str, str] = {}
        self._log: list[str] = []

    @property
    def token(self) -> str:
        return f"urn:x-memory:sync/{id(self)}/{len(self._log)}"

    def properties(self) -> Properties:
        return {
            f"{{{DAV}}}resourcetype": "<collection/><c:addressbook/>",
            f"{{{DAV}}}displayname": escape(self.title),
            f"{{{DAV}}}sync-token": self.token,
            f"{{{CALENDARSERVER}}}getctag": self.token,
            f"{{{DAV}}}supported-report-set": _REPORTS,
            f"{{{DAV}}}current-user-principal": _PRINCIPAL,
            f"{{{DAV}}}current-user-privilege-set": "<privilege><all/></privilege>",
            f"{{{CARD}}}addressbook-home-set": _PRINCIPAL,
        }

    def put(self, name: str, card: Card) -> None:
        """Store a card, unless another one has its UID (RFC 6352, 6.3.2.1)."""
        uids = card.values("uid")
        if len(uids) != 1:
            raise Refused(403, "<c:valid-address-data/>")
        if self._uids.setdefault(uids[0], name) != name:
            raise Refused(409, "<c:no-uid-conflict/>")
        if name in self.cards and (old := self.cards[name].values("uid")[0]) != uids[0]:
            del self._uids[old]
        self.cards[name] = card
        self._log.append(name)

    def delete(self, name: str) -> None:
        del self._uids[self.cards.pop(name).values("uid")[0]]
        self._log.append(name)

    def changed(self, token: str) -> Iterable[str]:
        """The names of what was written or deleted since a token, each once; all names where it is empty."""
        if not token:
            return self.cards
        head, _, position = token.rpartition("/")
        if head != self.token.rpartition("/")[0] or not position.isdecimal() or int(position) > len(self._log):
            raise Refused(403, "<valid-sync-token/>")
        return dict.fromkeys(self._log[int(position) :])


class Server:
    """All address books of the one login, and how often each method was asked for."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._counts: Counter[str] = Counter()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one request."""
        path = unquote(urlsplit(target).path)
        if path == "/_counts":
            return Answer(200, json.dumps(self._counts).encode())
        if method == "OPTIONS":
            return Answer(200, headers=("dav: 1, 3, addressbook",))
        if headers.get("authorization") != _LOGIN:
            return Answer(401, headers=('www-authenticate: Basic realm="memory"',))
        if method == "POST":
            for name, text in json.loads(body).items():
                self._books[path].put(name, Card(text.encode()))
            return Answer(204)
        self._counts[method] += 1
        try:
            return self._ask(method, path, headers, body)
        except Refused as refused:
            return refused.answer
        except (ET.ParseError, UnicodeDecodeError):
            return Answer(400)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        folder, _, name = path.rpartition("/")
        folder += "/"
        if method == "PROPFIND":
            return self._propfind(path, headers.get("depth", "1"), body)
        if method == "MKCOL":
            return self._mkcol(f"{path.rstrip('/')}/", body)
        book = self._books.get(folder)
        if book is None:
            return Answer(409 if method == "PUT" else 404)
        if method == "REPORT" and not name:
            return _report(book, folder, body)
        if not name or method not in {"GET", "PUT", "DELETE"}:
            return Answer(405)
        card = book.cards.get(name)
        if method != "GET":
            _check(card, headers)
        if method == "PUT":
            stored = Card(body)
            book.put(name, stored)
            return Answer(204 if card else 201, headers=(f"etag: {stored.etag}",))
        if card is None:
            return Answer(404)
        if method == "DELETE":
            book.delete(name)
            return Answer(204)
        return Answer(200, card.body, (f"etag: {card.etag}", "content-type: text/vcard; charset=utf-8"))

    def _mkcol(self, path: str, body: bytes) -> Answer:
        if not re.fullmatch(rf"{HOME}[^/]+/", path):
            return Answer(403)
        if path in self._books:
            return Answer(405)
        self._books[path] = Book(ET.fromstring(body).findtext(f".//{{{DAV}}}displayname") or path.split("/")[-2])
        return Answer(201)

    def _propfind(self, path: str, depth: str, body: bytes) -> Answer:
        wanted = [part.tag for part in ET.fromstring(body).iterfind(f"{{{DAV}}}prop/*")]
        shown = list(self._shown(path, depth))
        return _multistatus(_response(href, properties, wanted) for href, properties in shown) if shown else Answer(404)

    def _shown(self, path: str, depth: str) -> Iterator[tuple[str, Properties]]:
        """What a PROPFIND of a path shows: the path itself, and with depth 1 what is in it."""
        folder, _, name = path.rpartition("/")
        book = self._books.get(f"{folder}/")
        if book is not None and name:
            if name in book.cards:
                yield path, book.cards[name].properties
        elif book is not None:
            yield path, book.properties()
            if depth == "1":
                yield from ((path + name, card.properties) for name, card in book.cards.items())
        elif path in {"/", HOME, "/.well-known/carddav"}:
            found = {"current-user-principal": _PRINCIPAL, "resourcetype": "<collection/>"}
            yield (
                path,
                {f"{{{DAV}}}{name}": text for name, text in found.items()}
                | {f"{{{CARD}}}addressbook-home-set": _PRINCIPAL},
            )
            if depth == "1" and path == HOME:
                yield from ((path, book.properties()) for path, book in self._books.items())


def _check(card: Card | None, headers: Mapping[str, str]) -> None:
    """The conditions of RFC 9110, 13.1; as clients of address books use them, with one ETag or `*`."""
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    if wanted is not None and (card is None or wanted not in {"*", card.etag}):
        raise Refused(412)
    if unwanted is not None and card is not None and unwanted in {"*", card.etag}:
        raise Refused(412)


def _report(book: Book, folder: str, body: bytes) -> Answer:
    asked = ET.fromstring(body)
    wanted = [part.tag for part in asked.iterfind(f"{{{DAV}}}prop/*")]
    names: Iterable[str]
    token = ""
    if asked.tag == f"{{{CARD}}}addressbook-multiget":
        paths = (unquote(urlsplit((part.text or "").strip()).path) for part in asked.iterfind(f"{{{DAV}}}href"))
        # An address elsewhere is the name of no card here.
        names = [path.removeprefix(folder) for path in paths]
    elif asked.tag == f"{{{CARD}}}addressbook-query":
        names = _matching(book, asked)
    elif asked.tag == f"{{{DAV}}}sync-collection":
        names = book.changed((asked.findtext(f"{{{DAV}}}sync-token") or "").strip())
        token = f"<sync-token>{book.token}</sync-token>"
    else:
        raise Refused(403, "<supported-report/>")
    found = ((name, book.cards.get(name)) for name in names)
    parts = (_response(folder + name, card.properties if card else None, wanted) for name, card in found)
    return _multistatus(parts, token)


def _matching(book: Book, asked: ET.Element) -> Iterator[str]:
    """The names of the cards of which a property contains a text, whatever its letters' case; all without a filter."""
    filters = [
        (part.get("name", ""), [(text.text or "").lower() for text in part.iterfind(f"{{{CARD}}}text-match")])
        for part in asked.iterfind(f"{{{CARD}}}filter/{{{CARD}}}prop-filter")
    ]
    texts: dict[str, list[str]] = {}
    for name, some in filters:
        texts.setdefault(name, []).extend(some)
    for name, card in book.cards.items():
        if not texts or any(
            some in value for prop, all_of in texts.items() for value in card.values(prop) for some in all_of
        ):
            yield name


def _response(path: str, properties: Properties | None, wanted: Iterable[str]) -> str:
    href = f"<response><href>{quote(path)}</href>"
    if properties is None:
        return f"{href}<status>HTTP/1.1 404 Not Found</status></response>"
    found = [f"<{_tag(name)}>{properties[name]}</{_tag(name)}>" for name in wanted if name in properties]
    lacking = [f"<{_tag(name)}/>" for name in wanted if name not in properties and _known(name)]
    parts = (("200 OK", found), ("404 Not Found", lacking))
    stats = (
        f"<propstat><prop>{''.join(some)}</prop><status>HTTP/1.1 {status}</status></propstat>"
        for status, some in parts
        if some
    )
    return f"{href}{''.join(stats)}</response>"


def _known(name: str) -> bool:
    return name[1:].partition("}")[0] in _PREFIXES


def _tag(name: str) -> str:
    namespace, _, local = name[1:].partition("}")
    return _PREFIXES[namespace] + local


def _multistatus(responses: Iterable[str], end: str = "") -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><multistatus {_NAMESPACES}>{"".join(responses)}{end}</multistatus>'
    return Answer(207, body.encode(), ("content-type: application/xml; charset=utf-8",))


class Connection(asyncio.Protocol):
    """One kept connection of HTTP/1.1, with bodies whose length is told."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            first, *rest = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in rest)}
            size = end + 4 + int(headers.get("content-length", "0"))
            if len(self._buffer) < size:
                return
            body = bytes(self._buffer[end + 4 : size])
            del self._buffer[:size]
            method, target, _ = first.split(" ")
            self._send(self._server.answer(method, target, headers, body))

    def _send(self, answer: Answer) -> None:
        assert self._transport is not None
        length = () if answer.status == 204 else (f"content-length: {len(answer.body)}",)
        head = "\r\n".join((f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}", *answer.headers, *length))
        self._transport.write(head.encode("latin-1") + b"\r\n\r\n" + answer.body)


async def serve(port: int) -> None:
    """Listen on loopback."""
    server = Server()
    listening = await asyncio.get_running_loop().create_server(lambda: Connection(server), "127.0.0.1", port)
    await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
