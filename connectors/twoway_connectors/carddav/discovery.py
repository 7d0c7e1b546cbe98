"""From the address that an operator configured to the address book (RFC 6764, RFC 6352 section 7)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin, urlsplit

from twoway.sdk import TellUser
from twoway.sdk.http import HttpClient
from twoway_connectors.carddav.xml import (
    CARDDAV,
    CTAG,
    DAV,
    XML_TYPE,
    DavResponse,
    XmlProblem,
    propfind_body,
    responses,
)

WELL_KNOWN = "/.well-known/carddav"
SYNC, CTAG_ONLY, NOTHING = "sync:", "ctag:", "none:"
"""How a server tells changes; each is what a cursor of its kind begins with."""
_NOT_HERE = frozenset({200, 400, 403, 404, 405, 410, 501})
"""Answers to a PROPFIND of places that speak no WebDAV, or show nothing: the next place is asked."""
_BOOK_PROPERTIES = (
    f"{DAV}resourcetype",
    f"{DAV}displayname",
    f"{DAV}sync-token",
    f"{DAV}supported-report-set",
    f"{DAV}current-user-privilege-set",
    CTAG,
)
_WHERE_NEXT = (f"{DAV}current-user-principal", f"{CARDDAV}addressbook-home-set")
_SEGMENT_SAFE = "!$&'()*+,;=:@~"
_AS_IT_IS = re.compile(rf"[A-Za-z0-9_.{re.escape(_SEGMENT_SAFE)}-]*[A-Za-z0-9_{re.escape(_SEGMENT_SAFE)}-]").fullmatch
"""A name of which nothing was percent-encoded, and that does not end with a dot as `..` does."""


@dataclass(frozen=True)
class AddressBook:
    """An address book: its full address with a slash at its end, and its display name (else its last path segment).

    `syncs` says whether the server told, when it was found, that it reports what has changed (RFC 6578).
    """

    url: str
    name: str
    syncs: bool = False

    @cached_property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def _folder(self) -> bytes:
        return unquote_to_bytes(self.path)

    def id_of(self, href: str) -> str | None:
        """The id of the card at an address: its path within the book; None for what is no card's address.

        Servers differ in what they percent-encode, and some from one answer to the next: ids have one form.
        """
        if href.startswith(self.path):
            name = href[len(self.path) :]
            if _AS_IT_IS(name):
                return name
        path, folder = unquote_to_bytes(urlsplit(urljoin(self.url, href)).path), self._folder
        within = path[len(folder) :]
        if not path.startswith(folder) or within in {b"", b".", b".."} or b"/" in within:
            return None
        return quote(within, safe=_SEGMENT_SAFE)

    def is_above(self, href: str) -> bool:
        """Whether an address is the address book's own, or one below it."""
        path = unquote_to_bytes(urlsplit(urljoin(self.url, href)).path)
        return (path.rstrip(b"/") + b"/").startswith(self._folder)

    def href_of(self, id: str) -> str:
        """The path of a card on the server."""
        return self.path + id

    def address_of(self, id: str) -> str:
        """The full address of a card."""
        return self.url + id


async def propfind(http: HttpClient, url: str, depth: int, names: Sequence[str]) -> tuple[str, list[DavResponse]]:
    """The properties of an address, and of its members with depth 1: the address that answered, and its answers.

    No answers where there is no WebDAV.
    """
    response = await http.request(
        "PROPFIND",
        url,
        content=propfind_body(names),
        headers={"depth": str(depth), "content-type": XML_TYPE},
        expect=_NOT_HERE | {207},
    )
    if response.status != 207:
        return response.url, []
    try:
        return response.url, list(responses(response.body))
    except XmlProblem as problem:
        raise TellUser(
            f"{response.where}: got {problem.what}", remedy="Check that base_url is the address of a CardDAV server"
        ) from None


async def address_books(http: HttpClient) -> list[AddressBook]:
    """The address books that the login shows, sorted by name: the one at `base_url`, else all of the principal's."""
    root = urljoin(http.base_url + "/", "/")
    for start in dict.fromkeys((f"{http.base_url}/", root.rstrip("/") + WELL_KNOWN, root)):
        url, found = await propfind(http, start, 0, [*_BOOK_PROPERTIES, *_WHERE_NEXT])
        for response in found[:1]:
            if _is_book(response):
                return [_book(url, response)]
            books = await _books_of(http, url, response)
            if books:
                return books
    raise TellUser(
        f"{http.name}: found no address book at {http.base_url}, nor by its {WELL_KNOWN}",
        remedy="Put the address of the server, of your account or of the address book into base_url;"
        " if there is no address book yet, make one in an app",
    )


async def choose(http: HttpClient, wanted: str | None) -> AddressBook:
    """The address book that `wanted` names by display name or path; without it, the only one."""
    books = await address_books(http)
    if wanted is None:
        if len(books) == 1:
            return books[0]
        raise TellUser(
            f"{http.name}: there are {len(books)} address books, and the option `addressbook` does not say which",
            remedy=f"Set it to one of: {', '.join(names_of(books))}",
        )
    path = unquote(urlsplit(wanted).path).strip("/")
    for matches in (
        [book for book in books if book.name == wanted],
        [book for book in books if unquote(book.path).strip("/") == path],
        [book for book in books if unquote(book.path).strip("/").rpartition("/")[2] == path],
        [book for book in books if book.name.casefold() == wanted.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
    raise TellUser(
        f"{http.name}: there is no one address book named {wanted!r}",
        remedy=f"The option `addressbook` may be one of: {', '.join(names_of(books))}",
    )


def names_of(books: Sequence[AddressBook]) -> list[str]:
    """What the option `addressbook` may be: the display names, and paths where two have the same name."""
    names = [book.name for book in books]
    return sorted(book.name if names.count(book.name) == 1 else unquote(book.path) for book in books)


async def book_properties(http: HttpClient, book: AddressBook) -> DavResponse:
    """What the server says of the address book itself."""
    _, found = await propfind(http, book.url, 0, _BOOK_PROPERTIES)
    if not found or not _is_book(found[0]):
        raise TellUser(
            f"{http.name}: {unquote(book.path)} is no address book any more",
            remedy="Check base_url and the option `addressbook`",
        )
    return found[0]


async def _books_of(http: HttpClient, url: str, response: DavResponse) -> list[AddressBook]:
    homes = response.hrefs(f"{CARDDAV}addressbook-home-set")
    base = url
    if not homes:
        for href in response.hrefs(f"{DAV}current-user-principal")[:1]:
            base, found = await propfind(http, http.link(urljoin(url, href)), 0, _WHERE_NEXT)
            homes = found[0].hrefs(f"{CARDDAV}addressbook-home-set") if found else []
    books: dict[str, AddressBook] = {}
    for home in homes or [url]:
        home_url, found = await propfind(http, http.link(urljoin(base, home)), 1, _BOOK_PROPERTIES)
        for member in found:
            if _is_book(member):
                book = _book(http.link(urljoin(home_url, member.href)), member)
                books[book.url] = book
    return sorted(books.values(), key=lambda book: (book.name, book.url))


def feed_of(found: DavResponse) -> str:
    """How the server tells changes of this address book: by sync reports, by the ctag, or not at all."""
    reports = f"{DAV}supported-report-set"
    if found.text(f"{DAV}sync-token") and (
        reports not in found.properties or found.holds(reports, f"{DAV}sync-collection")
    ):
        return SYNC
    return CTAG_ONLY if found.text(CTAG) else NOTHING


def position_of(found: DavResponse) -> str:
    """The cursor that stands for the address book as it is."""
    feed = feed_of(found)
    return feed + {SYNC: found.text(f"{DAV}sync-token"), CTAG_ONLY: found.text(CTAG), NOTHING: ""}[feed]


def _is_book(response: DavResponse) -> bool:
    return response.holds(f"{DAV}resourcetype", f"{CARDDAV}addressbook")


def _book(url: str, response: DavResponse) -> AddressBook:
    url = url.rstrip("/") + "/"
    name = response.text(f"{DAV}displayname") or unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    return AddressBook(url, name, feed_of(response) == SYNC)
