"""A connector over a look-alike app in the same process, on the app's own virtual clock, driven from plain tests."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

import httpx

from twoway.sandbox.kit import RequestEntry, VendorApp, VirtualClock, in_process
from twoway.sdk import Connector, ConnectorContext, Kind, Page, Receipt, Record, Write
from twoway.sdk.http import make_open_http

Got = TypeVar("Got")
App = TypeVar("App", bound=VendorApp)


class PortClock:
    """The sandbox's clock (seconds) as the port has it (milliseconds)."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock

    def now(self) -> int:
        return round(self.clock.now() * 1000)

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


class Factory(Protocol):
    def __call__(self, context: ConnectorContext) -> Connector: ...


class Driven(Generic[App]):
    """A connector, the app behind it, and one event loop for all calls."""

    def __init__(self, app: App, clock: VirtualClock, connector: Connector, runner: asyncio.Runner) -> None:
        self.app = app
        self.clock = clock
        self.connector = connector
        self._runner = runner

    def run(self, call: Coroutine[Any, Any, Got]) -> Got:
        return self._runner.run(call)

    def requests(self, since: int = 0) -> list[RequestEntry]:
        """What was asked of the app after request number `since`."""
        return self.app.requests_since(since)

    @property
    def asked(self) -> int:
        """How many requests there were."""
        return len(self.requests())

    def follow(self, cursor: str | None) -> list[Page]:
        """The pages of `changes` up to the last."""
        return self._pages(self.connector.changes, cursor)

    def snapshot(self) -> list[Page]:
        """The pages of a whole snapshot."""
        return self._pages(self.connector.snapshot, None)

    def _pages(self, listing: Any, cursor: str | None) -> list[Page]:
        pages: list[Page] = []
        while not pages or not pages[-1].last:
            page: Page = self.run(listing(pages[-1].cursor if pages else cursor))
            assert page.last or page.cursor != (pages[-1].cursor if pages else cursor), "the cursor must move"
            pages.append(page)
        return pages

    def apply(self, *writes: Write) -> list[Receipt]:
        return list(self.run(self.connector.apply(writes)))


def records_of(pages: Sequence[Page]) -> dict[str, Record]:
    """The records of all pages by id; a later one replaces an earlier one."""
    return {record.id: record for page in pages for record in page.records}


def gone_of(pages: Sequence[Page]) -> set[str]:
    return {gone for page in pages for gone in page.gone}


def create(operation: str, **changed: Any) -> Write:
    return Write(operation=operation, kind=Kind.CREATE, changed=changed)


def update(
    id: str, changed: Mapping[str, Any], previous: Mapping[str, Any] | None = None, version: str | None = None
) -> Write:
    return Write(
        operation=f"update-{id}", kind=Kind.UPDATE, id=id, changed=changed, previous=previous or {}, version=version
    )


def remove(id: str, kind: Kind) -> Write:
    return Write(operation=f"remove-{id}", kind=kind, id=id)


@contextmanager
def driven(
    factory: Factory,
    app: App,
    clock: VirtualClock,
    *,
    collection: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    options: Mapping[str, Any] | None = None,
    fields: frozenset[str] = frozenset(),
) -> Iterator[Driven[App]]:
    """The factory's connector over `app`."""
    port = PortClock(clock)
    transport = httpx.ASGITransport(in_process(app, httpx.ReadError))
    context = ConnectorContext(
        account="acme",
        settings=settings,
        secrets=secrets,
        collection=collection,
        options=options or {},
        fields=fields,
        clock=port,
        open_http=make_open_http(port, transport, account="acme"),
    )
    with asyncio.Runner() as runner:
        connector = factory(context)
        try:
            yield Driven(app, clock, connector, runner)
        finally:
            runner.run(connector.close())
