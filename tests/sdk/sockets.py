"""Servers on real sockets, that do what a test wants, and clients of them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.sdk.virtual import VirtualClock

from twoway.sdk import HttpClient, make_open_http
from twoway.sdk.http import RetryPolicy
from twoway.sdk.wire import Library

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ONCE = RetryPolicy(attempts=1)


def over(
    library: Library, serve: Serve, call: Callable[[HttpClient], Coroutine[Any, Any, Any]], **settings: Any
) -> Any:
    """What `call` answers with a client of a server that does this on each connection."""

    async def go() -> Any:
        scheme = settings.pop("scheme", "http")
        async with listening(serve, settings.pop("tls", None)) as port:
            client = make_open_http(VirtualClock(), account="crm", library=library)(
                f"{scheme}://127.0.0.1:{port}", rate=1000, **settings
            )
            try:
                return await call(client)
            finally:
                await client.close()

    return asyncio.run(go())


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a port of its own; in the end all its connections are closed."""
    under_way = set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            await serve(reader, writer)
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*under_way), 10)
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """One request: its first line, its headers and its body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def answer(body: bytes = b'{"ok":true}', *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "content-type: application/json", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers each request by the next of a script, on kept connections; `None` hangs up. Keeps what it was sent."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self.script:
            self.requests.append(await read_request(reader))
            reply = self.script.pop(0)
            if reply is None:
                return
            writer.write(reply)
            await writer.drain()
