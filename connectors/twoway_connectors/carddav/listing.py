"""What an address book holds, and what has changed there: ids and versions, and of what has just changed the cards.

A server that reports changes answers an empty sync token with everything that there is, and the token that stands for
it (RFC 6578, 3.4): one request, and nothing can come between the two. Of other servers, and of those that refuse that,
the members are listed; how the book stood is asked for before.
"""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from twoway.sdk import ConnectorError, Record, SnapshotNeeded, TellUser
from twoway.sdk.http import Classify, HttpClient
from twoway.sdk.response import AnswerTooLarge, Headers, Response
from twoway_connectors.carddav.discovery import SYNC, AddressBook, book_properties, position_of
from twoway_connectors.carddav.members import Members
from twoway_connectors.carddav.reading import Reader, listed_version
from twoway_connectors.carddav.xml import CARDDAV, DAV, XML_TYPE, XmlProblem, conditions, propfind_body, sync_body

_GONE = frozenset({404, 410})
_CUT = 507
_EXPIRED = {f"{DAV}valid-sync-token", f"{DAV}number-of-matches-within-limits"}
_NO_REFUSAL = frozenset({401, 408, 425, 429})
_SERVER_REFUSES = frozenset({500, 501, 507})


class Told:
    """What the answers of a server said of cards, by id; of a card that came several times the last word."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.unversioned: dict[str, None] = {}
        """Cards of which it told no version that vouches for their content."""
        self.gone: dict[str, None] = {}
        self.cards: Mapping[str, Record] = {}
        """Of some of them what they hold, at the version that each was read at."""
        self.without_cards = False
        """Whether the server could not be asked for them."""
        self.token = ""
        self.cut = False
        """Whether the last answer said that there is more (507)."""
        self.elsewhere = ""
        """An address outside of the address book at which it told of a card."""

    @property
    def live(self) -> int:
        """How many cards there are."""
        return len(self.versions) + len(self.unversioned)

    def add(self, book: AddressBook, response: Response) -> None:
        """Take in one answer."""
        members, versions, unversioned, gone = Members(response.body), self.versions, self.unversioned, self.gone
        self.cut = False
        id_of = book.id_of
        try:
            for href, etag, status, collection in members:
                card_id = id_of(href)
                if card_id is None:
                    self.cut = self.cut or status == _CUT
                    if etag and not (collection or book.is_above(href)):
                        self.elsewhere = href
                elif status in _GONE:
                    versions.pop(card_id, None)
                    unversioned.pop(card_id, None)
                    gone[card_id] = None
                elif not collection:
                    version = listed_version(etag) if etag and (status is None or status < 300) else None
                    if version is None:
                        versions.pop(card_id, None)
                        unversioned[card_id] = None
                    else:
                        versions[card_id] = version
                        if unversioned:
                            unversioned.pop(card_id, None)
                    if gone:
                        gone.pop(card_id, None)
        except XmlProblem as problem:
            raise TellUser(f"{response.where}: got {problem.what}", remedy="Check base_url") from None
        self.token = members.sync_token


class _NotListed(ConnectorError):
    """The server does not list an address book by a sync report."""


class Lister:
    """Lists the cards of one address book."""

    def __init__(self, http: HttpClient, book: AddressBook) -> None:
        self._http = http
        self._book = book

    async def everything(self) -> tuple[Told, str]:
        """All the cards, and the cursor from which changes go on."""
        found, position = await self._everything()
        if found.elsewhere and not found.live:
            # That is no empty address book: each card would be made in it once more.
            folder = unquote(urlsplit(found.elsewhere).path).rpartition("/")[0]
            raise TellUser(
                f"{self._http.name}: the server says that the cards of {unquote(self._book.path)} are in {folder}/",
                remedy=f"Put {folder}/ into base_url, if it answers there; else tell the server by which path it is"
                " reached: a reverse proxy in between takes a part of it away (Radicale: X-Script-Name)",
            )
        return found, position

    async def _everything(self) -> tuple[Told, str]:
        if self._book.syncs:
            try:
                found = await self._first_report()
            except _NotListed:
                pass
            else:
                # A server that takes an empty token for "now" shows nothing, too.
                return found if found.live else await self._members(), SYNC + found.token
        position = position_of(await book_properties(self._http, self._book))
        return await self._members(), position

    async def since(self, token: str, reader: Reader | None = None) -> Told:
        """What has changed since `token`, or a part of it. Raises `SnapshotNeeded` where the server cannot tell.

        With a reader, the cards themselves are asked for in the same request. Not every server tells them in this
        report, and some of them may not fit into XML: then it is asked once more, and without.
        """
        found = Told()
        response = await self._report_with_cards(token, reader, found) if reader is not None else None
        if response is None:
            response = await self._report(token, _expired)
        found.add(self._book, response)
        if not found.token or (found.cut and found.token == token):
            raise TellUser(
                f"{response.where}: the report of changes names no new sync token (RFC 6578, 3.2)",
                remedy="Please report this with the name and version of the server",
            )
        return found

    async def _report_with_cards(self, token: str, reader: Reader, found: Told) -> Response | None:
        try:
            response = await self._report(token, _not_told_so, cards=True)
            found.cards = reader.cards(response)
        except (_NotListed, AnswerTooLarge, XmlProblem):
            found.without_cards = True
            return None
        return response

    async def _first_report(self) -> Told:
        """Everything by sync reports: a server may tell it in parts, of which each goes on from the last (RFC 6578,
        3.6), and what changed meanwhile comes along."""
        found = Told()
        while True:
            token = found.token
            found.add(self._book, await self._report(token, _not_listed))
            if not found.token or (found.cut and found.token == token):
                raise _NotListed("the report of everything names no sync token to go on from")
            if not found.cut:
                return found

    async def _members(self) -> Told:
        found = Told()
        body = propfind_body((f"{DAV}getetag", f"{DAV}resourcetype"))
        headers = {"depth": "1", "content-type": XML_TYPE}
        response = await self._http.request("PROPFIND", self._book.url, content=body, headers=headers, expect={207})
        found.add(self._book, response)
        if found.cut:
            raise TellUser(
                f"{response.where}: the server lists only a part of the address book (507)",
                remedy="Raise the server's limit on the members that it lists",
            )
        return found

    async def _report(self, token: str, classify: Classify, *, cards: bool = False) -> Response:
        headers = {"depth": "0", "content-type": XML_TYPE}
        body = sync_body(token, (f"{DAV}getetag", f"{CARDDAV}address-data") if cards else (f"{DAV}getetag",))
        return await self._http.request(
            "REPORT", self._book.url, content=body, headers=headers, expect={207}, classify=classify
        )


def _expired(status: int, _headers: Headers, body: bytes) -> ConnectorError | None:
    """The server knows the sync token no more, or cannot tell so many changes at once (RFC 6578, 3.2, 3.6)."""
    if status == 410 or (status in {400, 403, 409, 412, 507} and _EXPIRED & conditions(body)):
        return SnapshotNeeded("the server no longer knows the position in its changes", status=status)
    return None


def _not_told_so(status: int, headers: Headers, body: bytes) -> ConnectorError | None:
    """It may be the position that the server does not know, or the question that it does not take."""
    return _expired(status, headers, body) or _not_listed(status, headers, body)


def _not_listed(status: int, _headers: Headers, _body: bytes) -> ConnectorError | None:
    """The server will not tell everything at once, whatever it says of it: the listing of members shows what holds."""
    if status in _SERVER_REFUSES or (400 <= status < 500 and status not in _NO_REFUSAL):
        return _NotListed("the server does not list an address book by a sync report", status=status)
    return None
