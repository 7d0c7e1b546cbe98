"""Reading cards: by address in batches, by a property's text, and one by one where a batch cannot be read."""

import contextlib
import re
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from twoway.sdk import Absence, ConnectorError, Fetched, Instant, Presence, RawValues, Record, TellUser
from twoway.sdk.http import Classify, HttpClient
from twoway.sdk.response import AnswerTooLarge, Headers, Response
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.discovery import AddressBook
from twoway_connectors.carddav.fields import read_values
from twoway_connectors.carddav.marker import operation_of
from twoway_connectors.carddav.octets import Octets, is_digest, proves, stored_octets
from twoway_connectors.carddav.xml import (
    CARDDAV,
    DAV,
    XML_TYPE,
    DavResponse,
    XmlProblem,
    conditions,
    multiget_body,
    query_body,
    responses,
)

_CARD_PROPERTIES = (f"{DAV}getetag", f"{DAV}getlastmodified", f"{CARDDAV}address-data")
_LENGTH = f"{DAV}getcontentlength"
_CUT = 507
"""The status of the address book within an answer that is only a part of it."""
QUERY_TEXTS = 100
"""Texts in one query: about 20 kB of XML, well below the 1 MB that web servers take unless told otherwise. A server may
look at each of its cards for every query: a few with many texts are easier on it than many with a few."""


def version_of(etag: str | None) -> str | None:
    """An ETag as a version: the same from a header as from XML, whatever a proxy in between made of it.

    A proxy that compresses answers makes the ETag weak or adds to it; If-Match takes only the strong one (RFC 9110,
    13.1.1), so that is what the version is.
    """
    text = (etag or "").strip().removeprefix("W/").strip('"')
    for suffix in ("-gzip", ";gzip", "--gzip"):
        text = text.removesuffix(suffix)
    return f'"{text}"' if text else None


def listed_version(etag: str) -> str | None:
    """The version that an ETag within an answer's XML stands for; None where it vouches for no content.

    No proxy touches these, so a weak one is the server's own word that it may be the same for two contents (RFC 9110,
    8.8.1; Apache says so of a file that was changed within the second). RFC 6352 (6.3.2.3) forbids it for cards.
    """
    if _PLAIN_ETAG(etag):
        return etag
    return None if etag.startswith("W/") else version_of(etag)


_PLAIN_ETAG = re.compile(r'"[^"\s]+(?<!gzip)"').fullmatch


def _read_version(etag: str) -> str | None:
    """The version of a card that was read: a weak one is like no strong one, and like no receipt's."""
    return etag if etag.startswith("W/") else listed_version(etag)


@lru_cache(maxsize=64)
def _modified(text: str) -> Instant | None:
    try:
        stamp = parsedate_to_datetime(text)
    except ValueError:
        return None
    return int((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()) * 1000


def _is_converted(response: Response) -> bool:
    """Whether a card's ETag is a digest, and not of what was told."""
    version = version_of(response.headers.get("etag"))
    return version is not None and is_digest(version) and not proves(version, response.body)


class _TooMany(ConnectorError):
    """The server will not tell so much at once."""


def _too_many(status: int, _headers: Headers, body: bytes) -> ConnectorError | None:
    if status in {403, 409, _CUT} and f"{DAV}number-of-matches-within-limits" in conditions(body):
        return _TooMany("the server finds too many cards", status=status)
    return None


class Reader:
    """Reads the cards of one address book; `fields` are those to decode. What is read is kept in `octets`."""

    def __init__(
        self, http: HttpClient, book: AddressBook, fields: Sequence[str], octets: Octets | None = None
    ) -> None:
        self._http = http
        self._book = book
        self._fields = fields
        self._octets = octets

    async def _report(self, body: bytes, classify: Classify | None = None) -> Response:
        headers = {"depth": "1", "content-type": XML_TYPE}
        return await self._http.request(
            "REPORT", self._book.url, content=body, headers=headers, expect={207}, classify=classify
        )

    async def fetch(self, ids: Sequence[str], *, sized: bool = False) -> dict[str, Fetched]:
        """For each id the card or why there is none.

        A server may put into one answer a card that makes the whole answer unreadable (a control character, say), or
        many with large photos: then halves are asked for, and the one card that is left is read by itself. With
        `sized` the cards' lengths are asked for, too, so that the octets of more of them are known.
        """
        hrefs = {card_id: self._book.href_of(card_id) for card_id in ids if card_id and "/" not in card_id}
        found: dict[str, Fetched] = {}
        if hrefs:
            names = (*_CARD_PROPERTIES, _LENGTH) if sized else _CARD_PROPERTIES
            try:
                response = await self._report(multiget_body(names, hrefs.values()))
                found = dict(filter(None, map(self._fetched, responses(response.body))))
            except (XmlProblem, AnswerTooLarge):
                if len(hrefs) == 1:
                    found = {card_id: await self._fetch_one(card_id) for card_id in hrefs}
                else:
                    half = len(ids) // 2
                    parts = [await self.fetch(part, sized=sized) for part in (ids[:half], ids[half:])]
                    return {**parts[0], **parts[1]}
        return {card_id: found.get(card_id) or Absence(card_id, Presence.UNKNOWN) for card_id in ids}

    async def get(self, id: str) -> Response | None:
        """A card's bytes as they are stored; None where there is no card.

        sabre/dav, and so Nextcloud and Baïkal, tells a card of vCard 4 as one of vCard 3 unless it is asked for the
        other: written back, that would change all of it. Its ETag shows that this is not what it stores.
        """
        response = await self._get(id, "text/vcard, */*;q=0.5")
        if response is None or not _is_converted(response):
            return response
        newer = await self._get(id, "text/vcard; version=4.0, */*;q=0.5")
        return response if newer is None or _is_converted(newer) else newer

    async def _get(self, id: str, accept: str) -> Response | None:
        headers = {"accept": accept, "accept-encoding": "identity"}
        response = await self._http.request("GET", self._book.address_of(id), headers=headers, expect={200, 404, 410})
        return response if response.status == 200 else None

    async def query(self, property: str, texts: Sequence[str]) -> dict[str, Record]:
        """The cards of which a property holds one of `texts`, by the server's own idea of that: to be looked at."""
        records: dict[str, Record] = {}
        for start in range(0, len(texts), QUERY_TEXTS):
            records |= await self._matches(property, texts[start : start + QUERY_TEXTS])
        return records

    async def _matches(self, property: str, texts: Sequence[str]) -> dict[str, Record]:
        """What one query finds. A server may tell only a part of it, and says so by a 507 for the address book, or
        refuse (RFC 6352, 8.6): then halves are asked for. A card that is left out would look like none at all."""
        parts: list[DavResponse] | None = None
        with contextlib.suppress(_TooMany):
            response = await self._report(query_body(_CARD_PROPERTIES, property, texts), _too_many)
            try:
                parts = list(responses(response.body))
            except XmlProblem as problem:
                raise TellUser(
                    f"{response.where}: got {problem.what}", remedy="A card that matches may hold a control character"
                ) from None
        if parts is not None and all(part.status != _CUT for part in parts):
            found = filter(None, map(self._fetched, parts))
            return {card_id: card for card_id, card in found if isinstance(card, Record)}
        if len(texts) == 1:
            raise TellUser(
                f"{self._http.name}: the server tells only a part of the cards that it finds by one {property}",
                remedy="Raise the server's limit on the results of a query",
            )
        half = len(texts) // 2
        return {**await self._matches(property, texts[:half]), **await self._matches(property, texts[half:])}

    def cards(self, response: Response) -> dict[str, Record]:
        """The cards that an answer holds, by id. Raises `XmlProblem` where it cannot be read."""
        found = filter(None, map(self._fetched, responses(response.body)))
        return {card_id: card for card_id, card in found if isinstance(card, Record)}

    def id_of(self, href: str) -> str | None:
        """The id of the card at an address that an answer of the address book names."""
        return self._book.id_of(href)

    def decode(self, id: str, version: str, octets: bytes) -> Record | None:
        """A card of which the octets are known; None where they are no card."""
        found = self._record(id, Card.parse(octets), version, "")
        return found if isinstance(found, Record) else None

    async def _fetch_one(self, id: str) -> Fetched:
        response = await self.get(id)
        if response is None:
            return Absence(id, Presence.GONE)
        card = Card.parse(response.body)
        if not card.ended:
            # Part of a card would show the rest of it as cleared.
            return Absence(id, Presence.UNKNOWN)
        return self._record(id, card, version_of(response.headers.get("etag")), "")

    def _fetched(self, part: DavResponse) -> tuple[str, Fetched] | None:
        card_id = self.id_of(part.href)
        if card_id is None:
            return None
        if part.status in {404, 410}:
            return card_id, Absence(card_id, Presence.GONE)
        data = part.properties.get(f"{CARDDAV}address-data")
        if data is None or not data.text:
            return card_id, Absence(card_id, Presence.UNKNOWN)
        card = Card.parse(data.text)
        version, modified = _read_version(part.text(f"{DAV}getetag")), part.text(f"{DAV}getlastmodified")
        if self._octets is not None and version is not None and not version.startswith("W/"):
            octets = stored_octets(data.text, version, part.text(_LENGTH))
            if octets is not None:
                self._octets.keep(card_id, version, octets)
        return card_id, self._record(card_id, card, version, modified)

    def _record(self, id: str, card: Card, version: str | None, modified: str) -> Fetched:
        if not card.properties:
            return Absence(id, Presence.UNKNOWN)
        values: RawValues = read_values(card, self._fields)
        return Record(
            id=id,
            values=values,
            version=version,
            modified=_modified(modified) if modified else None,
            marker=operation_of(id, card.value("UID").strip()),
        )
