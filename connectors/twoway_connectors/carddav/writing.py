"""Writing cards: each write is one conditional request, and touches only the lines of the fields that it sets."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urljoin

from twoway.sdk import AccountRefused, ConnectorError, Kind, RawValues, Receipt, Record, TellUser, Write
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Response
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.discovery import AddressBook
from twoway_connectors.carddav.elements import ELEMENTS
from twoway_connectors.carddav.fields import FIELDS, fill_required, normal_value, read_values, write_value
from twoway_connectors.carddav.lines import escape
from twoway_connectors.carddav.marker import id_of, operation_of, uid_of
from twoway_connectors.carddav.reading import Reader, version_of
from twoway_connectors.carddav.text import FieldProblem
from twoway_connectors.carddav.xml import CARDDAV, DAV, condition_hrefs, conditions

_VCARD = "text/vcard; charset=utf-8"
_STORED = frozenset({200, 201, 202, 204})
_ANSWERS = _STORED | {400, 403, 404, 405, 409, 410, 412, 413, 415, 422, 423, 507}
_NO_UID_CONFLICT = {f"{CARDDAV}no-uid-conflict", "{urn:ietf:params:xml:ns:caldav}no-uid-conflict"}
"""The precondition of RFC 6352, 6.3.2.1; Xandikos names that of CalDAV instead."""
_REFUSED: Mapping[str, str] = {
    f"{CARDDAV}valid-address-data": "the server takes this for no valid vCard",
    f"{CARDDAV}supported-address-data": "the server does not take this version of vCard",
    f"{CARDDAV}max-resource-size": "the card is larger than the server takes",
    f"{DAV}quota-not-exceeded": "the account's storage is full",
    f"{DAV}sufficient-disk-space": "the server's disk is full",
}
_REFUSED_BY_STATUS: Mapping[int, str] = {
    400: "the server takes this for no valid vCard (400)",
    405: "the server does not allow a card to be written there (405)",
    413: "the card is larger than the server takes (413)",
    415: "the server does not take vCards of this version (415)",
    422: "the server takes this for no valid vCard (422)",
}


class Writer:
    """Writes the cards of one address book.

    Writes go one at a time, under `turn`: a server may lock the whole address book for one (Xandikos, which keeps it
    in a git repository) and answer 423 to the next.
    """

    def __init__(self, http: HttpClient, book: AddressBook, turn: asyncio.Lock) -> None:
        self._http = http
        self._book = book
        self._turn = turn
        self._reader = Reader(http, book, ["uid"])

    async def write(self, write: Write) -> Receipt:
        """Carry out one write."""
        try:
            if write.kind is Kind.CREATE:
                return await self._create(write)
            if write.id is None:
                return Receipt.refused("a write to a card needs its id")
            if write.kind is Kind.UPDATE:
                return await self._update(write.id, write)
            if write.kind is Kind.DELETE:
                return await self._delete(write.id, write.version)
        except FieldProblem as problem:
            return Receipt.refused(problem.why, field=problem.field)
        return Receipt.refused(f"CardDAV has no {write.kind.value}: cards are created, updated and deleted")

    async def _create(self, write: Write) -> Receipt:
        card_id = id_of(write.operation)
        uid = normal_value("uid", write.changed.get("uid")) or uid_of(write.operation)
        card = Card.new(f"UID:{escape(str(uid))}")
        _set(card, {name: value for name, value in write.changed.items() if name != "uid"})
        fill_required(card)
        # The condition makes it harmless to send this again: a second one finds the first.
        response = await self._put(card_id, card, {"if-none-match": "*"}, retry_safe=True)
        if response.status in _STORED:
            return Receipt.done(card_id, version=version_of(response.headers.get("etag")))
        conflict = conditions(response.body)
        if conflict & _NO_UID_CONFLICT or (response.status == 409 and not conflict):
            return await self._uid_taken(write.operation, str(uid), response)
        if refusal := _refusal(response, conflict):
            return refusal
        if response.status == 412:
            # Only this operation puts a card at this address: an earlier attempt has landed.
            return Receipt.done(card_id)
        raise _not_writable(response)

    async def _uid_taken(self, operation: str, uid: str, response: Response) -> Receipt:
        """Another address has a card with this UID: one of ours that somebody moved, or another's."""
        named = [card_id for href in condition_hrefs(response.body) if (card_id := self._reader.id_of(href))]
        cards = {**(await self._reader.fetch(named) if named else {}), **await self._reader.query("UID", [uid])}
        ids = sorted(
            card_id for card_id, card in cards.items() if isinstance(card, Record) and card.values["uid"] == uid
        )
        if not ids:
            raise _not_writable(response)
        if operation_of("", uid) == operation:
            return Receipt.done(ids[0])
        return Receipt.duplicate(ids[0], "the address book has a card with this UID")

    async def _update(self, id: str, write: Write) -> Receipt:
        stored = await self._reader.get(id)
        if stored is None:
            return Receipt.gone()
        at = version_of(stored.headers.get("etag"))
        if write.version is not None and at is not None and at != version_of(write.version):
            return Receipt.moved("the card has another version by now")
        card = Card.parse(stored.body)
        if not card.writable:
            return Receipt.refused("what is stored there is not one whole vCard, so no part of it can be replaced")
        if "uid" in write.changed and normal_value("uid", write.changed["uid"]) != read_values(card, ("uid",))["uid"]:
            raise FieldProblem("uid", "the UID of a card is fixed once it is created")
        _set(card, write.changed)
        data = bytes(card)
        if data == stored.body:
            return Receipt.done(id, version=at)
        condition = version_of(write.version) or at
        response = await self._put(id, card, {"if-match": condition} if condition else {}, retry_safe=False)
        if response.status in _STORED:
            return Receipt.done(id, version=version_of(response.headers.get("etag")))
        conflict = conditions(response.body)
        if refusal := _refusal(response, conflict):
            return refusal
        if conflict & _NO_UID_CONFLICT:
            return Receipt.refused("another card of the address book has the same UID")
        if response.status in {404, 410}:
            return Receipt.gone()
        if response.status == 412 and write.version is None:
            return Receipt.later("somebody changed the card between our read and our write")
        if response.status == 412:
            return Receipt.moved("the card has another version by now")
        raise _not_writable(response)

    async def _delete(self, id: str, version: str | None) -> Receipt:
        condition = version_of(version)
        async with self._turn:
            response = await self._http.request(
                "DELETE",
                self._http.link(self._book.href_of(id)),
                headers={"if-match": condition} if condition else {},
                expect=_STORED | {404, 410, 412, 423},
                retry_safe=True,
            )
        _check_program(response)
        if response.status in _STORED:
            return Receipt.done(id)
        if response.status == 412:
            return Receipt.moved("the card has another version by now")
        if response.status == 423:
            return Receipt.later("the card is locked")
        return Receipt.gone()

    async def _put(self, id: str, card: Card, condition: Mapping[str, str], *, retry_safe: bool) -> Response:
        async with self._turn:
            response = await self._http.request(
                "PUT",
                self._http.link(urljoin(self._book.url, self._book.href_of(id))),
                content=bytes(card),
                headers={"content-type": _VCARD, **condition},
                expect=_ANSWERS,
                retry_safe=retry_safe,
            )
        _check_program(response)
        return response


def _check_program(response: Response) -> None:
    """Raise for a success that a proxy or a login page tells, and not the server: nobody knows what was done."""
    if response.status in _STORED and response.is_html:
        raise response.unreadable("a page of HTML")


def _set(card: Card, changed: RawValues) -> None:
    """Set fields; an array before the single value that is one of its elements."""
    for name in sorted(changed, key=lambda name: (name not in ELEMENTS, name)):
        if name not in FIELDS:
            raise FieldProblem(name, f"there is no such field; there are: {', '.join(FIELDS)}")
        write_value(card, name, changed[name])


def _refusal(response: Response, conflict: frozenset[str]) -> Receipt | None:
    """The receipt for an answer that no second try would better; None where it says something else."""
    for condition, why in _REFUSED.items():
        if condition in conflict:
            return Receipt.refused(why)
    if response.status in _REFUSED_BY_STATUS:
        return Receipt.refused(_REFUSED_BY_STATUS[response.status])
    if response.status == 423:
        return Receipt.later("the card is locked")
    if response.status == 507:
        return Receipt.later("the server has no space left (507)")
    return None


def _not_writable(response: Response) -> ConnectorError:
    if response.status == 403:
        return AccountRefused(
            f"{response.where}: the login may not write to this address book (403)",
            remedy="Give it the right to write, or set the account to `access: read`",
            status=403,
        )
    return TellUser(
        f"{response.where}: the server does not let a card be written there ({response.status})",
        remedy="Check that the address book still exists",
        status=response.status,
    )
