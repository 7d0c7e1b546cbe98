"""The connector for CardDAV address books (RFC 6352), with RFC 6578 for what changed."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from twoway.sdk import (
    MARKER,
    AccountInfo,
    AccountRefused,
    Capabilities,
    CollectionInfo,
    ConnectorContext,
    ConnectorError,
    Consistency,
    Fetched,
    FieldInfo,
    HookRefused,
    HookRequest,
    Kind,
    Page,
    Raw,
    RawValues,
    Receipt,
    ReceiptShape,
    Record,
    SnapshotNeeded,
    TellUser,
    TryLater,
    Write,
)
from twoway.sdk.auth import Auth, BasicAuth, BearerAuth
from twoway.sdk.http import HttpClient
from twoway_connectors.carddav.discovery import (
    CTAG_ONLY,
    SYNC,
    AddressBook,
    address_books,
    book_properties,
    choose,
    feed_of,
    names_of,
    position_of,
)
from twoway_connectors.carddav.fields import FIELDS, normal_values
from twoway_connectors.carddav.listing import Lister
from twoway_connectors.carddav.marker import id_of, uid_of
from twoway_connectors.carddav.octets import Octets
from twoway_connectors.carddav.reading import QUERY_TEXTS, Reader
from twoway_connectors.carddav.text import FieldProblem, clean
from twoway_connectors.carddav.writing import Writer
from twoway_connectors.carddav.xml import DAV

COLLECTION = "contacts"
WINDOW = 500
"""Cards that are asked for at once."""
_WRITES = {f"{DAV}write", f"{DAV}write-content", f"{DAV}all", f"{DAV}bind"}

_CAPABILITIES = Capabilities(
    fetch_batch=WINDOW,
    # A card is one request all the same; but looked up, and marked as sent, they are together.
    write_batch=dict.fromkeys((Kind.CREATE, Kind.UPDATE, Kind.DELETE), QUERY_TEXTS),
    kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.DELETE}),
    feed=Consistency.CONSISTENT,
    feed_deletions=True,
    snapshot=Consistency.CONSISTENT,
    snapshot_feed=True,
    find=Consistency.CONSISTENT,
    find_fields=frozenset({"email", "uid", MARKER}),
    request_lifetime=120_000,
    conditional=True,
    # Not `uid`, although RFC 6352 (6.3.2.1) has it: Xandikos takes a second card with the same one.
    unique=frozenset(),
    receipt=ReceiptShape.VERSION,
    # Radicale 3.9 cuts a web address at its first comma.
    rewrites=frozenset({"url"}),
    resolution=1_000,
)


class CardDav:
    """Makes connectors for an address book on a CardDAV server."""

    name = "carddav"
    secrets: ClassVar[Mapping[str, str]] = {
        "password": "The login's password, or an app password where the server has such; with the setting `username`",
        "token": "A bearer token, instead of user name and password",
    }
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "Address of the server, of your account on it, or of the address book itself; required",
        "username": "The login's user name",
        "ca_file": "PEM file of a private certificate authority that signed the server's certificate",
        "allow_http": "true allows an unencrypted base_url beyond this machine: everyone on the way can read the login",
        "rate": "Requests a second, at most; 20 where it is not set",
    }

    def __call__(self, context: ConnectorContext) -> "CardDavConnector":
        return CardDavConnector(context)


class CardDavConnector:
    """One address book.

    The record id is the card's path within the address book, the version its ETag: listings tell no more than these
    two, and of a card whose ETag is weak or not told the id alone. Where the server has no sync reports, `changes`
    compares the address book's ctag: it answers an unchanged book with one request, and any change with
    `SnapshotNeeded`; deletions are found by that snapshot. Found once, the address book's address is kept, and asked
    for again once it cannot be listed there.
    """

    def __init__(self, context: ConnectorContext) -> None:
        if context.collection not in {COLLECTION, ""}:
            raise TellUser(
                f"{context.account}: CardDAV has no collection {context.collection!r}",
                remedy=f"The collection is `{COLLECTION}`; its address book is chosen by the option `addressbook`",
            )
        unknown = set(context.options) - {"addressbook"}
        if unknown:
            raise TellUser(
                f"{context.account}: unknown option {', '.join(sorted(unknown))}", remedy="The option is `addressbook`"
            )
        base_url = context.settings.get("base_url")
        if not base_url:
            raise TellUser(
                f"{context.account}: the account has no base_url",
                remedy="Set it to the address of the CardDAV server, such as https://dav.example.org/",
            )
        wanted = context.options.get("addressbook")
        self._wanted = None if wanted is None else str(wanted)
        self._fields = _mapped(context.fields)
        rate = _rate(context)
        self._http: HttpClient = context.open_http(
            str(base_url),
            auth=_auth(context),
            rate=rate,
            burst=max(1, int(rate)),
            headers={"accept": "application/xml, text/xml, text/vcard"},
            ca_file=context.settings.get("ca_file"),
            allow_http=str(context.settings.get("allow_http", False)).lower() == "true",
        )
        self._book: AddressBook | None = None
        self._writing = asyncio.Lock()
        # What follows only saves requests: without it, the same is asked for.
        self._octets = Octets()
        self._told = ""
        """The cursor that was told last."""
        self._wrote = False
        """Whether something was written since changes were last asked for."""
        self._tells_cards = True
        """Whether the server may tell whole cards in its report of changes."""

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    async def check(self) -> AccountInfo:
        book = await self._address_book()
        found = await book_properties(self._http, book)
        notes = []
        if feed_of(found) != SYNC:
            notes.append("The server does not report changes: each change costs a complete listing")
        privileges = found.properties.get(f"{DAV}current-user-privilege-set")
        if privileges is not None and not _WRITES & {part.tag for part in privileges.iter()}:
            notes.append("The login may not write to this address book")
        return AccountInfo(f"{book.name} ({book.url})", tuple(notes))

    async def collections(self) -> Sequence[CollectionInfo]:
        books = await address_books(self._http)
        return [CollectionInfo(COLLECTION, "Contacts", {"addressbook": names_of(books)})]

    async def describe(self) -> Sequence[FieldInfo]:
        return list(FIELDS.values())

    async def changes(self, cursor: str | None) -> Page:
        with self._or_asked_anew():
            return await self._changes(await self._address_book(), cursor)

    async def _changes(self, book: AddressBook, cursor: str | None) -> Page:
        if cursor is None:
            return Page(cursor=position_of(await book_properties(self._http, book)), last=True)
        if cursor.startswith(SYNC):
            return await self._since(book, cursor)
        if cursor.startswith(CTAG_ONLY) and position_of(await book_properties(self._http, book)) == cursor:
            return Page(cursor=cursor, last=True)
        raise SnapshotNeeded(f"{self._http.name}: the address book has changed, and the server does not tell what")

    async def _since(self, book: AddressBook, cursor: str) -> Page:
        """What has changed: the cards themselves, where it is only what came about since we last looked, and none of
        it is our own. After a pause, or many writes, it may be a whole address book: then first what it is."""
        whole = self._tells_cards and cursor == self._told and not self._wrote
        self._wrote = False
        found = await Lister(self._http, book).since(cursor.removeprefix(SYNC), self._reader(book) if whole else None)
        if found.without_cards or (whole and found.versions and not found.cards):
            self._tells_cards = False
        cards = [card for card_id, card in found.cards.items() if card.version == found.versions.get(card_id)]
        for card in cards:
            del found.versions[card.id]
        self._told = SYNC + found.token
        return Page(
            records=(*cards, *self._our_own(book, found.versions)),
            versions=list(found.versions.items()),
            gone=list(found.gone),
            ids=list(found.unversioned),
            cursor=self._told,
            last=not found.cut,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        """The whole listing, on one page."""
        del cursor  # there is no second page to ask for
        with self._or_asked_anew():
            book = await self._address_book()
            found, position = await Lister(self._http, book).everything()
        total, self._told = found.live, position
        return Page(
            records=tuple(self._our_own(book, found.versions)),
            versions=list(found.versions.items()),
            ids=list(found.unversioned),
            last=True,
            total=total,
            feed=position,
        )

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        return await self._reader(await self._address_book()).fetch(ids)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        book = await self._address_book()
        if field == MARKER:
            return await self._find_created(book, values)
        if field not in _CAPABILITIES.find_fields:
            raise TellUser(
                f"{self._http.name}: cards cannot be looked up by {field!r}",
                remedy=f"They can be by: {', '.join(sorted(_CAPABILITIES.find_fields - {MARKER}))}",
            )
        texts = {value: text for value in values if (text := _text(field, value))}
        if not texts:
            return dict.fromkeys(values, ())
        asked = sorted({form for text in texts.values() for form in _letter_cases(text)})
        found = await Reader(self._http, book, [field]).query(field.upper(), asked)
        fold = str.casefold if field == "email" else str
        return {
            value: sorted(
                card_id
                for card_id, card in found.items()
                if value in texts and fold(card.values[field] or "") == fold(texts[value])
            )
            for value in values
        }

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        book = await self._address_book()
        writer = Writer(self._http, book, self._writing, self._octets)
        await writer.look(writes)
        self._wrote = True
        receipts: list[Receipt] = []
        for write in writes:
            try:
                receipts.append(await writer.write(write))
            except TryLater as error:
                if error.sent:
                    receipts.append(Receipt.unknown(error.message))
                elif not receipts:
                    raise
                else:
                    receipts.append(Receipt.later(error.message))
            except ConnectorError as error:
                if not receipts:
                    raise
                receipts.append(Receipt.later(error.message))
        self._wrote = True  # changes may have been asked for meanwhile
        return receipts

    def normal(self, values: RawValues) -> RawValues:
        return normal_values(values)

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        raise HookRefused(f"CardDAV servers send no webhooks, so nothing can be proved of this {request.method}")

    async def close(self) -> None:
        await self._http.close()

    async def _address_book(self) -> AddressBook:
        if self._book is None:
            self._book = await choose(self._http, self._wanted)
        return self._book

    @contextmanager
    def _or_asked_anew(self) -> Iterator[None]:
        """An address book that cannot be listed may be elsewhere by now: the next listing asks for its address."""
        try:
            yield
        except TellUser:
            self._book = None
            raise

    def _reader(self, book: AddressBook) -> Reader:
        return Reader(self._http, book, self._fields, self._octets)

    def _our_own(self, book: AddressBook, versions: dict[str, str]) -> list[Record]:
        """The cards that we wrote, and that are listed for the first time at the very version that we made: what they
        hold is known, and need not be read. They are taken out of `versions`."""
        reader, cards = self._reader(book), list[Record]()
        for card_id, version in list(versions.items()):
            octets = self._octets.first_reading(card_id, version)
            card = reader.decode(card_id, version, octets) if octets is not None else None
            if card is not None:
                cards.append(card)
                del versions[card_id]
        return cards

    async def _find_created(self, book: AddressBook, operations: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """By the address that the create used; where it is empty by the UID, in case somebody moved the card."""
        reader = self._reader(book)
        found: dict[Raw, Sequence[str]] = {}
        for start in range(0, len(operations), WINDOW):
            window = operations[start : start + WINDOW]
            cards = await reader.fetch([id_of(str(operation)) for operation in window])
            found |= {
                operation: [id_of(str(operation))]
                for operation in window
                if isinstance(cards[id_of(str(operation))], Record)
            }
        missing = {operation: uid_of(str(operation)) for operation in operations if operation not in found}
        if missing:
            moved = await Reader(self._http, book, ["uid"]).query("UID", sorted(missing.values()))
            for operation, uid in missing.items():
                found[operation] = sorted(card_id for card_id, card in moved.items() if card.values["uid"] == uid)
        return found


def _auth(context: ConnectorContext) -> Auth:
    token, password = context.secrets.get("token"), context.secrets.get("password")
    username = context.settings.get("username")
    if token:
        return BearerAuth(token)
    if password and username:
        return BasicAuth(str(username), password)
    raise AccountRefused(
        f"{context.account}: the account has no login",
        remedy="Set `username` and the secret `password`, or the secret `token`",
    )


def _rate(context: ConnectorContext) -> float:
    try:
        rate = float(context.settings.get("rate", 20))
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise TellUser(
            f"{context.account}: `rate` is not a number above 0", remedy="Set it to requests a second, as 20"
        )
    return rate


def _mapped(fields: frozenset[str]) -> list[str]:
    """The fields to decode: those that the mapping reads (`phones[type=work].value` reads `phones`), else all."""
    heads = {name.partition("[")[0].partition(".")[0] for name in fields}
    return [name for name in FIELDS if not heads or name in heads]


def _text(field: str, value: Any) -> str | None:
    try:
        return clean(field, value)
    except FieldProblem:
        return None


def _letter_cases(text: str) -> list[str]:
    """What to ask for: not every server compares letters beyond ASCII without regard to their case."""
    return [text] if text.isascii() else [text, text.lower(), text.upper()]
