"""The HubSpot connector against the look-alike HubSpot, in process, on a virtual clock."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import httpx

from tests.connectors.vendor_account import PortClock
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.hubspot_properties import custom
from twoway.sandbox.kit import VirtualClock, in_process
from twoway.sdk import (
    ConnectorContext,
    Kind,
    Receipt,
    Record,
    Write,
    make_open_http,
)
from twoway_connectors.hubspot import HubSpot

T = TypeVar("T")
START = 1_750_000_000.0
FIELDS = frozenset({"email", "firstname", "lastname", "phone", "hs_email_optout", "lifecyclestage"})


class Bench:
    """An app, and connectors to it. Each call of `run` opens a connector anew: nothing may live in it but a cache."""

    def __init__(self, **app_settings: Any) -> None:
        self.clock = VirtualClock(START)
        self.app = HubSpotApp(clock=self.clock, settings=app_settings)
        self.collection = "contacts"
        self.fields = FIELDS
        self.times = False
        self.token = "pat-sandbox"
        self.settings: dict[str, Any] = {"base_url": "https://hubspot.test"}

    def connector(self) -> HubSpot:
        port_clock = PortClock(self.clock)
        return HubSpot(
            ConnectorContext(
                account="crm",
                settings=self.settings,
                secrets={"token": self.token, "client_secret": "hook-secret"},
                collection=self.collection,
                fields=self.fields,
                times=self.times,
                clock=port_clock,
                open_http=make_open_http(
                    port_clock, httpx.ASGITransport(in_process(self.app, httpx.ReadError)), account="crm"
                ),
            )
        )

    def run(self, call: Callable[[HubSpot], Coroutine[Any, Any, T]]) -> T:
        async def go() -> T:
            connector = self.connector()
            try:
                return await call(connector)
            finally:
                await connector.close()

        return asyncio.run(go())

    def human(self, kind: str, id: str = "0", **more: Any) -> str:
        fields = {name: value for name, value in more.items() if name not in {"collection", "into"}}
        rest = {name: value for name, value in more.items() if name in {"collection", "into"}}
        return str(self.app.human(kind=kind, id=id, fields=fields, **rest)["id"])

    def create(self, **fields: str) -> str:
        return self.human("create", **fields)

    def define(self, name: str, kind: str, widget: str, *options: str, unique: bool = False) -> None:
        body = {
            "name": name,
            "type": kind,
            "fieldType": widget,
            "groupName": "contactinformation",
            "hasUniqueValue": unique,
            "options": [{"value": option} for option in options],
        }
        self.app.objects[self.collection].define(custom(body, START))
        self.fields |= {name}

    def stored(self, id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(each for each in self.app.records(self.collection) if each["id"] == id)
        return found["properties"]  # type: ignore[no-any-return]  # the sandbox shows plain JSON

    def requests(self) -> list[tuple[str, str]]:
        return [(each.method, each.path) for each in self.app.requests.entries]

    def apply(self, *writes: Write) -> list[Receipt]:
        return list(self.run(lambda hubspot: hubspot.apply(writes)))

    def cycle(self, cursor: str | None) -> tuple[list[Record], str, int]:
        """Read the feed to its end: records, the next cursor, how many pages."""
        records: list[Record] = []
        count = 0

        async def go(hubspot: HubSpot) -> str:
            nonlocal cursor, count
            while True:
                page = await hubspot.changes(cursor)
                count += 1
                assert page.cursor is not None
                assert page.last or page.cursor != cursor
                records.extend(page.records)
                cursor = page.cursor
                if page.last:
                    return cursor

        return records, self.run(go), count

    def snapshot(self) -> list[Record]:
        async def go(hubspot: HubSpot) -> list[Record]:
            records: list[Record] = []
            cursor = None
            while True:
                page = await hubspot.snapshot(cursor)
                records += page.records
                if page.last:
                    return records
                cursor = page.cursor

        return self.run(go)

    def load(self, count: int, **more: str) -> None:
        self.app.load(
            {"properties": {"email": f"p{n}@example.com", "firstname": f"P{n}"}, **more} for n in range(count)
        )


def update(id: str, **changed: Any) -> Write:
    return Write(operation=f"op-{id}", kind=Kind.UPDATE, id=id, changed=changed)


def create(operation: str = "op", **changed: Any) -> Write:
    return Write(operation=operation, kind=Kind.CREATE, changed=changed)
