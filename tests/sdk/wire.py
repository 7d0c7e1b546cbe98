"""A scripted transport, and requests over it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx
import pytest
from tests.sdk.virtual import VirtualClock

from twoway.sdk import (
    BearerAuth,
    ConnectorError,
    HttpClient,
    make_open_http,
)

T = TypeVar("T")
BASE = "https://api.example.test/v3"
SECRET = "s3cr3t-token-value"
Handler = Callable[[httpx.Request], httpx.Response]


class Wire:
    """A transport that answers by a script, one entry a request (the last is repeated), and keeps the requests."""

    def __init__(self, *script: httpx.Response | Exception | Handler) -> None:
        self.script = list(script)
        self.requests: list[httpx.Request] = []
        self.at: list[int] = []
        self.clock = VirtualClock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.at.append(self.clock.now())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return (
            step(request)
            if callable(step)
            else httpx.Response(step.status_code, headers=step.headers, content=step.content)
        )

    def client(self, **settings: Any) -> HttpClient:
        settings = {"auth": BearerAuth(SECRET), "rate": 1000.0, **settings}
        return make_open_http(self.clock, httpx.MockTransport(self), account="crm")(
            settings.pop("base_url", BASE), **settings
        )

    def run(self, call: Callable[[HttpClient], Coroutine[Any, Any, T]], **settings: Any) -> T:
        async def go() -> T:
            client = self.client(**settings)
            try:
                return await call(client)
            finally:
                await client.close()

        return asyncio.run(go())


def get(path: str = "things", **kwargs: Any) -> Callable[[HttpClient], Coroutine[Any, Any, Any]]:
    async def call(client: HttpClient) -> Any:
        return (await client.request("GET", path, **kwargs)).json()

    return call


def post(**kwargs: Any) -> Callable[[HttpClient], Coroutine[Any, Any, Any]]:
    async def call(client: HttpClient) -> Any:
        return await client.request("POST", "things", json={"a": 1}, **kwargs)

    return call


def failure(wire: Wire, call: Callable[[HttpClient], Coroutine[Any, Any, Any]], **settings: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        wire.run(call, **settings)
    return caught.value


OK = httpx.Response(200, json={"ok": True})
HTML = httpx.Response(200, html="<html>please log in</html>")
