"""Work beside a question: the request has left when it begins, and where it fails nobody waits for the answer."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from twoway.engine.meanwhile import asked
from twoway.sdk import make_open_http
from twoway.sdk.errors import TryLater
from twoway.sdk.wire import Library
from twoway.testing.clock import VirtualClock

PATIENCE = 10.0


class App(ThreadingHTTPServer):
    """Answers in threads of its own, and tells when a request has come."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.arrived = threading.Event()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: App

    def do_GET(self) -> None:
        self.server.arrived.set()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told: the test looks for itself."""


@pytest.fixture
def app() -> Iterator[App]:
    with App() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE)


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_what_was_asked_has_left_before_the_block_begins(
    app: App, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def ask() -> bool:
        http = make_open_http(VirtualClock(), account="crm", library=library)(
            f"http://127.0.0.1:{app.server_address[1]}", rate=1000
        )
        try:
            # Of a connection that is still to be made it is not said.
            await http.request("GET", "first")
            app.arrived.clear()
            async with asked(http.request("GET", "second")) as answer:
                # It holds up the loop: what has not left by now does not leave.
                left = app.arrived.wait(PATIENCE)
            assert (await answer).json() == {}
            return left
        finally:
            await http.close()

    assert asyncio.run(ask())


def test_what_was_asked_is_not_waited_for_where_the_block_fails() -> None:
    ended: list[str] = []

    async def question() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def ask() -> None:
        async with asked(question()):
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(ask())
    assert ended == ["cancelled"]


def test_where_both_fail_the_block_is_heard() -> None:
    async def question() -> None:
        raise TryLater("out of reach")

    async def ask() -> None:
        async with asked(question()):
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(ask())
