"""The look-alike apps on real sockets: one uvicorn, one loopback port an app."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from twoway.sandbox.faults import ConnectionDropped

HOST = "127.0.0.1"


class DroppingProtocol(H11Protocol):
    """uvicorn's HTTP protocol, in which `ConnectionDropped` closes the connection without an answer.

    Left to itself, uvicorn answers 500 to any exception, and to an app that returns without a word.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        app = self.app

        async def dropping(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            except ConnectionDropped:
                transport.abort()
                # uvicorn takes a silent return for an error until it has noticed that the connection is gone.
                while (await receive())["type"] != "http.disconnect":
                    pass

        self.app = dropping


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off; without it each answer would wait for an ACK.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock


class _Announcing(uvicorn.Server):
    """Sets `ready` once it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


class Server:
    """Several apps in one process: `Server({"hubspot": (app, 0)})`, port 0 = a free one. `urls` is known at once."""

    def __init__(self, apps: Mapping[str, tuple[ASGIApp, int]]) -> None:
        self.ready = threading.Event()
        self.urls: dict[str, str] = {}
        self._sockets: list[socket.socket] = []
        by_port: dict[int, ASGIApp] = {}
        for name, (app, port) in apps.items():
            sock = _listen(port)
            self._sockets.append(sock)
            by_port[sock.getsockname()[1]] = app
            self.urls[name] = f"http://{HOST}:{sock.getsockname()[1]}"

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            await by_port[scope["server"][1]](scope, receive, send)

        config = uvicorn.Config(
            dispatch,
            http=DroppingProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._uvicorn = _Announcing(config, self.ready)

    async def serve(self) -> None:
        """Serve until `stop` (or a signal, in the main thread)."""
        await self._uvicorn.serve(self._sockets)

    def stop(self) -> None:
        """Ask it to end; `serve` then returns."""
        self._uvicorn.should_exit = True


class Sandbox:
    """Apps on loopback, in a background thread, for tests: a context manager.

    >>> with Sandbox(hubspot=HubSpotApp()) as sandbox:          # doctest: +SKIP
    ...     httpx.get(sandbox.urls["hubspot"] + "/crm/v3/objects/contacts")

    The app objects stay in reach of the test, which may call their methods between requests.
    """

    def __init__(self, **apps: ASGIApp) -> None:
        self._server = Server({name: (app, 0) for name, app in apps.items()})
        self.urls = self._server.urls
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)

    def start(self) -> Self:
        """Serve; returns when the apps answer."""
        self._thread.start()
        self._server.ready.wait()
        return self

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self._server.stop()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
