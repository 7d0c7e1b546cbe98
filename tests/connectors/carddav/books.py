"""Address books on real servers, and the connector pointed at them."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from tests.servers.carddav_servers import CardDavServer
from twoway.sdk import ConnectorContext, Kind, Page, Raw, Record, Write
from twoway.sdk.http import make_open_http
from twoway_connectors.carddav import CardDav
from twoway_connectors.carddav.connector import CardDavConnector

T = TypeVar("T")
_operations = itertools.count(1)


class HastyClock:
    """The machine's clock, and what was slept on top: nothing waits for real."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + round(self._slept * 1000)

    def skip(self, seconds: float) -> None:
        """Go ahead, or back, by so much."""
        self._slept += seconds

    async def sleep(self, seconds: float) -> None:
        self.skip(seconds)
        await asyncio.sleep(0)


class Wire(httpx.AsyncBaseTransport):
    """The network, with a list of what was asked; `after` may change an answer (a proxy, a lost answer)."""

    def __init__(self) -> None:
        self._network = httpx.AsyncHTTPTransport()
        self.asked: list[tuple[str, str]] = []
        self.before: Callable[[httpx.Request], None] = lambda _request: None
        self.after: Callable[[httpx.Request, httpx.Response], httpx.Response] = lambda _request, response: response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        self.before(request)
        return self.after(request, await self._network.handle_async_request(request))

    async def aclose(self) -> None:
        await self._network.aclose()


@dataclass
class Book:
    """One empty address book of a running server."""

    server: CardDavServer
    name: str
    url: str
    wire: Wire = field(default_factory=Wire)

    def open(self, *, base_url: str | None = None, fields: Sequence[str] = (), **options: str) -> CardDavConnector:
        clock = HastyClock()
        return CardDav()(
            ConnectorContext(
                account="book",
                settings={"base_url": base_url or self.url, "username": self.server.username, "rate": 1_000_000},
                secrets={"password": self.server.password},
                collection="contacts",
                options=options,
                fields=frozenset(fields),
                clock=clock,
                open_http=make_open_http(clock, self.wire, account="book"),
            )
        )

    def run(self, scenario: Callable[[CardDavConnector], Awaitable[T]], **how: Any) -> T:
        """Carry out a scenario with a connector of its own."""

        async def whole() -> T:
            connector = self.open(**how)
            try:
                return await scenario(connector)
            finally:
                await connector.close()

        self.wire = Wire()
        return asyncio.run(whole())

    def put(self, name: str, card: str | bytes) -> str:
        """Store a card as a person's app would; its ETag."""
        self.server.put(self.url + name, card)
        return self.server.request("GET", self.url + name).etag

    def get(self, name: str) -> str:
        """A card as the server has it."""
        return self.server.get(self.url + name).decode()

    def delete(self, name: str) -> None:
        self.server.delete(self.url + name)


def create(operation: str | None = None, **changed: Raw) -> Write:
    return Write(operation=operation or f"op-{next(_operations)}", kind=Kind.CREATE, changed=changed)


def update(id: str, version: str | None = None, **changed: Raw) -> Write:
    return Write(operation=f"op-{next(_operations)}", kind=Kind.UPDATE, id=id, version=version, changed=changed)


def delete(id: str, version: str | None = None) -> Write:
    return Write(operation=f"op-{next(_operations)}", kind=Kind.DELETE, id=id, version=version)


async def record(connector: CardDavConnector, id: str) -> Record:
    """The live record with this id."""
    found = (await connector.fetch([id]))[id]
    assert isinstance(found, Record), found
    return found


async def whole_listing(connector: CardDavConnector) -> Page:
    """The complete listing, which has one page."""
    page = await connector.snapshot(None)
    assert (page.last, page.cursor) == (True, None)
    return page


def versions_of(page: Page) -> dict[str, str | None]:
    """The version of each card that a page tells of, whether it tells what the card holds or not."""
    return {**dict(page.versions), **{card.id: card.version for card in page.records}}


async def cards_of(connector: CardDavConnector, page: Page) -> list[Record]:
    """The cards that a page tells of: as the engine does, those told by version alone are read by id."""
    ids = [card_id for card_id, _ in page.versions]
    cards = [*page.records]
    for start in range(0, len(ids), connector.capabilities.fetch_batch):
        found = await connector.fetch(ids[start : start + connector.capabilities.fetch_batch])
        cards += [card for card in found.values() if isinstance(card, Record)]
    return cards


def vcard(uid: str, *lines: str, name: str = "Ann Example", version: str = "3.0") -> str:
    """A card with these further content lines."""
    family, given = name.rpartition(" ")[2], name.rpartition(" ")[0]
    inner = ("BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", f"FN:{name}", f"N:{family};{given};;;", *lines)
    return "\r\n".join((*inner, "END:VCARD", ""))
