"""Writing cards: each write is one conditional request, and touches only the lines of the fields that it sets.

What a card holds besides is read before, unless it is known at the version that is to be changed: many cards at once,
in one request. Where it has changed since, the condition does not hold, and nothing is written.
"""

import asyncio
from collections.abc import Mapping, Sequence

from twoway.sdk import (
    Absence,
    AccountRefused,
    ConnectorError,
    Fetched,
    Kind,
    Presence,
    RawValues,
    Receipt,
    Record,
    TellUser,
    Write,
)
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Response
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.discovery import AddressBook
from twoway_connectors.carddav.elements import ELEMENTS
from twoway_connectors.carddav.fields import FIELDS, fill_required, normal_value, read_values, write_value
from twoway_connectors.carddav.lines import escape
from twoway_connectors.carddav.marker import id_of, operation_of, uid_of
from twoway_connectors.carddav.octets import Octets
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
    """Writes a batch of cards of one address book.

    Writes go one at a time, under `turn`: a server may lock the whole address book for one (Xandikos, which keeps it
    in a git repository) and answer 423 to the next.
    """

    def __init__(self, http: HttpClient, book: AddressBook, turn: asyncio.Lock, octets: Octets) -> None:
        self._http = http
        self._book = book
        self._turn = turn
        self._octets = octets
        self._reader = Reader(http, book, ["uid"], octets)
        self._found: Mapping[str, Fetched] = {}

    async def look(self, writes: Sequence[Write]) -> None:
        """Read the cards that are to be changed at once, those that are not known at the version to be changed.

        A single one is read when it is written: that is one request, too.
        """
        wanted = [
            write.id
            for write in writes
            if write.kind is Kind.UPDATE
            and write.id is not None
            and self._held(write.id, write) is None
            # A write of no version is of what is there just then.
            and write.version is not None
        ]
        if len(wanted) > 1:
            self._found = await self._reader.fetch(wanted, sized=True)

    def _held(self, id: str, write: Write) -> bytes | None:
        return self._octets.at(id, version_of(write.version)) if write.version is not None else None

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
            return Receipt.refused(problem.why, field=problem.field or None)
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
            return self._stored(card_id, card, response)
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
        version = version_of(write.version)
        found = self._found.get(id)
        if isinstance(found, Absence) and found.presence is Presence.GONE:
            return Receipt.gone()
        if isinstance(found, Record) and found.version is not None and version_of(found.version) != version:
            return Receipt.moved("the card has another version by now")
        held = self._held(id, write)
        card, at = _edited(held, write) if held is not None else None, version
        if card is None:
            # Not known; or there is nothing to write, and so no condition that would tell whether it is still so.
            stored = await self._reader.get(id)
            if stored is None:
                return Receipt.gone()
            at = version_of(stored.headers.get("etag"))
            if version is not None and at is not None and at != version:
                return Receipt.moved("the card has another version by now")
            card = _edited(stored.body, write)
            if card is None:
                return Receipt.done(id, version=at)
        condition = version or at
        response = await self._put(id, card, {"if-match": condition} if condition else {}, retry_safe=False)
        if response.status in _STORED:
            return self._stored(id, card, response)
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
                self._book.address_of(id),
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

    def _stored(self, id: str, card: Card, response: Response) -> Receipt:
        version = version_of(response.headers.get("etag"))
        self._octets.written(id, version, bytes(card))
        return Receipt.done(id, version=version)

    async def _put(self, id: str, card: Card, condition: Mapping[str, str], *, retry_safe: bool) -> Response:
        async with self._turn:
            response = await self._http.request(
                "PUT",
                self._book.address_of(id),
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


def _edited(stored: bytes, write: Write) -> Card | None:
    """The card with what is written to it; None where it holds that already."""
    card = Card.parse(stored)
    if not card.writable:
        raise FieldProblem("", "what is stored there is not one whole vCard, so no part of it can be replaced")
    if "uid" in write.changed and normal_value("uid", write.changed["uid"]) != read_values(card, ("uid",))["uid"]:
        raise FieldProblem("uid", "the UID of a card is fixed once it is created")
    _set(card, write.changed)
    return card if bytes(card) != stored else None


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
