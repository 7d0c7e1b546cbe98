"""The network under one account, with a hook: what a person does between our read and our write."""

from collections.abc import Callable

import httpx


class Wire(httpx.AsyncBaseTransport):
    """Passes requests on; `before` is called with each of them first. `answers` are (method, status), in order."""

    def __init__(self, before: Callable[[httpx.Request], None] = lambda _request: None) -> None:
        self.before = before
        self.answers: list[tuple[str, int]] = []
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.before(request)
        response = await self._network.handle_async_request(request)
        self.answers.append((request.method, response.status_code))
        return response

    async def aclose(self) -> None:
        await self._network.aclose()
