"""A CardDAV server that answers from a script, for what the real ones do not do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx

from tests.connectors.carddav.books import HastyClock
from twoway.sdk import ConnectorContext
from twoway.sdk.http import make_open_http
from twoway_connectors.carddav import CardDav
from twoway_connectors.carddav.connector import CardDavConnector

T = TypeVar("T")
ROOT = "https://dav.example.org"
BOOK = "/dav/book/"
Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]
RESOURCE = "<d:resourcetype><d:collection/><c:addressbook/></d:resourcetype>"


def multistatus(*responses: str, more: str = "") -> httpx.Response:
    namespaces = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav" xmlns:s="http://calendarserver.org/ns/"'
    return httpx.Response(207, text=f"<d:multistatus {namespaces}>{''.join(responses)}{more}</d:multistatus>")


def found(href: str, properties: str) -> str:
    status = "<d:status>HTTP/1.1 200 OK</d:status>"
    propstat = f"<d:propstat><d:prop>{properties}</d:prop>{status}</d:propstat>"
    return f"<d:response><d:href>{href}</d:href>{propstat}</d:response>"


def missing(href: str, status: int) -> str:
    return f"<d:response><d:href>{href}</d:href><d:status>HTTP/1.1 {status} Such</d:status></d:response>"


def error(status: int, condition: str = "") -> httpx.Response:
    text = f'<d:error xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav">{condition}</d:error>'
    return httpx.Response(status, text=text if condition else "")


def address_book(properties: str = "<d:sync-token>1</d:sync-token>") -> httpx.Response:
    return multistatus(found(BOOK, RESOURCE + "<d:displayname>Friends</d:displayname>" + properties))


def address_data(name: str, card: str, etag: str = '"1"') -> str:
    data = f"<d:getetag>{etag}</d:getetag><d:getlastmodified>Thu, 01 Jan 2026 00:00:01 GMT</d:getlastmodified>"
    return found(BOOK + name, f"{data}<c:address-data>{card}</c:address-data>")


def etag(name: str, tag: str) -> str:
    return found(BOOK + name, f"<d:getetag>{tag}</d:getetag>")


class Scripted:
    """A server that answers by method, in the given order; the last answer stays."""

    def __init__(self, script: Mapping[str, Answer | list[Answer]]) -> None:
        self._script = {method: list(a) if isinstance(a, list) else [a] for method, a in script.items()}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answers = self._script.get(request.method) or [httpx.Response(405)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


def run(
    script: Mapping[str, Answer | list[Answer]] | Scripted,
    scenario: Callable[[CardDavConnector], Awaitable[T]],
    *,
    settings: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    collection: str = "contacts",
    options: Mapping[str, Any] | None = None,
) -> T:
    server = script if isinstance(script, Scripted) else Scripted({"PROPFIND": address_book(), **script})

    async def whole() -> T:
        clock = HastyClock()
        connector = CardDav()(
            ConnectorContext(
                account="friends",
                settings={"base_url": ROOT + BOOK, "username": "ann", **(settings or {})},
                secrets={"password": "s3cret"} if secrets is None else secrets,
                collection=collection,
                options=options or {},
                clock=clock,
                open_http=make_open_http(clock, httpx.MockTransport(server), account="friends"),
            )
        )
        try:
            return await scenario(connector)
        finally:
            await connector.close()

    return asyncio.run(whole())
