"""Requests over real sockets, by either library: what goes out, and what becomes of it when the server does not answer.

Whether a write may be sent again hangs on this, so both must tell the same.
"""

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme
from tests.sdk.virtual import VirtualClock
from tests.sdk.wire import get, post

from twoway.sdk import ConnectorError, HttpClient, TellUser, TryLater, make_open_http
from twoway.sdk.client import open_wire
from twoway.sdk.http import RetryPolicy

Library = Literal["httpx", "aiohttp"]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ONCE = RetryPolicy(attempts=1)


@pytest.fixture(params=["httpx", "aiohttp"])
def library(request: pytest.FixtureRequest) -> Library:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one, httpx carries the requests whatever was asked for."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_each_library_carries_its_own() -> None:
    def kind(library: Library) -> str:
        return type(open_wire(library, connections=1, timeout=1)).__name__

    assert (kind("httpx"), kind("aiohttp")) == ("HttpxWire", "AiohttpWire")


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


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
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
            self.requests.append(await _request(reader))
            reply = self.script.pop(0)
            if reply is None:
                return
            writer.write(reply)
            await writer.drain()


def test_both_send_the_same() -> None:
    sent = []
    for library in ("httpx", "aiohttp"):
        server = Server(answer(), answer())

        async def call(client: HttpClient) -> None:
            await client.request("PUT", "a%2Fb/caf%C3%A9%20x", params={"q": "a b+c"}, json={"name": "Zoë"})
            await client.request("REPORT", "book", content="<x/>", headers={"Depth": "1"})

        over(library, server, call)
        requests = [
            (first, {name: value for name, value in headers.items() if name not in {"host", "connection"}}, body)
            for first, headers, body in server.requests
        ]
        sent.append((server.connections, requests))
    assert sent[0] == sent[1]
    connections, ((first, headers, body), (report, _, _)) = sent[0]
    assert connections == 1
    assert first == "PUT /a%2Fb/caf%C3%A9%20x?q=a+b%2Bc HTTP/1.1"
    assert report == "REPORT /book HTTP/1.1"
    assert body == '{"name":"Zoë"}'.encode()
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "gzip"
    assert headers["user-agent"].startswith("twoway/")


def test_an_answer_is_read_whole(library: Library) -> None:
    long = b'{"long":"' + b"x" * 3_000_000 + b'"}'
    assert over(library, Server(answer(long)), get())["long"] == "x" * 3_000_000


def test_a_compressed_answer(library: Library) -> None:
    packed = gzip.compress(b'{"ok":true}')
    assert over(library, Server(answer(packed, "content-encoding: gzip")), get()) == {"ok": True}


def test_a_compressed_answer_that_is_damaged(library: Library) -> None:
    broken = answer(b"no gzip at all", "content-encoding: gzip")
    with pytest.raises(ConnectorError, match="damaged compression"):
        over(library, Server(broken), get(), retries=ONCE)


def test_a_compressed_answer_that_unpacks_to_too_much(library: Library) -> None:
    packed = gzip.compress(b'"' + b"x" * 5_000_000 + b'"')
    with pytest.raises(ConnectorError, match="larger than 10,000 bytes"):
        over(library, Server(answer(packed, "content-encoding: gzip")), get(), max_response_bytes=10_000, retries=ONCE)


def test_a_header_in_another_charset(library: Library) -> None:
    async def call(client: HttpClient) -> str:
        return (await client.request("GET", "things")).headers["x-name"]

    reply = answer().replace(b"content-type:", "x-name: Zo\xeb\r\ncontent-type:".encode("latin-1"))
    assert over(library, Server(reply), call) == "Zo\xeb"


def test_a_long_header(library: Library) -> None:
    link = f"<https://crm.test/next?after={'x' * 40_000}>"

    async def call(client: HttpClient) -> str:
        return (await client.request("GET", "things")).headers["link"]

    assert over(library, Server(answer(b"{}", f"link: {link}")), call) == link


def test_many_headers(library: Library) -> None:
    many = [f"x-{number}: {number}" for number in range(200)]

    async def call(client: HttpClient) -> str:
        return (await client.request("GET", "things")).headers["x-199"]

    assert over(library, Server(answer(b"{}", *many)), call) == "199"


def test_a_packing_that_was_not_asked_for(library: Library) -> None:
    with pytest.raises(ConnectorError):
        over(library, Server(answer(b"\x0b\x02\x80", "content-encoding: br")), get(), retries=ONCE)


@pytest.mark.parametrize(
    ("what", "host"), [("an empty label", "a..b"), ("a label that is too long", f"{'a' * 64}.test")]
)
def test_a_host_name_that_is_none(what: str, host: str, library: Library) -> None:
    async def go() -> None:
        client = make_open_http(VirtualClock(), account="crm", library=library)(f"https://{host}", rate=1000)
        try:
            await client.request("POST", "things", json={})
        finally:
            await client.close()

    with pytest.raises(TellUser, match=r"no host named|not an address") as caught:
        asyncio.run(go())
    assert what
    assert caught.value.remedy is not None


def test_a_header_that_cannot_be_sent_is_told_as_an_error_of_the_app(library: Library) -> None:
    async def call(client: HttpClient) -> None:
        await client.request("PUT", "things", json={}, headers={"if-match": '"a\nb"'})

    with pytest.raises(TryLater, match="was lost"):
        over(library, Server(answer()), call)


def test_the_deadline_is_told_as_what_it_is(library: Library) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        await reader.read()

    with pytest.raises(TryLater, match=r"was lost \(TimeoutError\)"):
        over(library, serve, post(), deadline=0.05, retries=ONCE)


def test_a_long_body(library: Library) -> None:
    server = Server(answer())
    body = b"x" * 3_000_000

    async def call(client: HttpClient) -> None:
        await client.request("PUT", "things", content=body)

    over(library, server, call)
    ((_, headers, sent),) = server.requests
    assert sent == body
    assert headers["content-length"] == "3000000"


def test_no_cookie_is_sent_back(library: Library) -> None:
    server = Server(answer(b"{}", "set-cookie: session=other; Path=/"), answer())

    async def call(client: HttpClient) -> None:
        await get()(client)
        await get()(client)

    over(library, server, call)
    assert [headers.get("cookie") for _, headers, _ in server.requests] == [None, None]


def test_a_redirect_is_not_followed_elsewhere(library: Library) -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere.test/\r\ncontent-length: 0\r\n\r\n"
    with pytest.raises(TellUser, match="another place"):
        over(library, Server(moved), get())


@pytest.mark.parametrize(
    ("what", "reply"),
    [
        ("hangs up without an answer", b""),
        ("hangs up in the middle of the head", b"HTTP/1.1 200 OK\r\ncontent-le"),
        ("hangs up in the middle of the body", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        ("hangs up in the middle of a chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{"),
        ("talks something else", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
)
def test_after_a_server_that(what: str, reply: bytes, library: Library) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(reply)
        await writer.drain()

    with pytest.raises(TryLater, match="was lost") as caught:
        over(library, serve, post())
    assert caught.value.sent, what


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_write_without_an_answer_on_a_kept_connection_is_not_sent_again_by_the_library(
    method: str, library: Library
) -> None:
    server = Server(answer(), None, answer())

    async def call(client: HttpClient) -> None:
        await get()(client)
        await client.request(method, "things", json={})

    with pytest.raises(TryLater, match="was lost") as caught:
        over(library, server, call)
    assert caught.value.sent
    assert len(server.requests) == 2
    assert server.connections == 1


def test_a_connection_that_the_server_closes_is_not_used_again(library: Library) -> None:
    requests = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await _request(reader))
        writer.write(answer(b"{}", "connection: close"))
        await writer.drain()

    async def call(client: HttpClient) -> None:
        await post()(client)
        await post()(client)

    over(library, serve, call)
    assert len(requests) == 2


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(library: Library) -> None:
    answered, unasked = asyncio.Event(), asyncio.Event()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await _request(reader)
        writer.write(answer(b'{"of": %d}' % connections))
        if connections == 1:
            await answered.wait()
            writer.write(answer(b'{"of": "nobody"}'))
            await writer.drain()
            unasked.set()
        await reader.read()

    async def call(client: HttpClient) -> list[Any]:
        first = (await client.request("GET", "things")).json()
        answered.set()
        await unasked.wait()
        return [first, (await client.request("PUT", "things", json={})).json()]

    assert over(library, serve, call) == [{"of": 1}, {"of": 2}]


def test_a_connection_that_the_server_ends_while_we_are_busy_is_not_used(library: Library) -> None:
    ended = asyncio.Event()
    connections = 0

    async def call(client: HttpClient) -> Any:
        await post()(client)
        await ended.wait()
        return await post()(client)

    class Hasty(asyncio.Protocol):
        """Says all at once, and ends: within one turn of the loop, so that the client has not seen the end yet."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal connections
            connections += 1
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            assert isinstance(self.transport, asyncio.Transport)
            if b"{" not in data:
                return
            self.transport.write(answer())
            if connections == 1:
                loop.call_later(0, self.end)

        def end(self) -> None:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.abort()
            ended.set()

    loop: Any = None

    async def go() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Hasty, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = make_open_http(VirtualClock(), account="crm", library=library)(f"http://127.0.0.1:{port}", rate=1000)
        try:
            await call(client)
        finally:
            await client.close()
            server.close()
            await server.wait_closed()

    asyncio.run(go())
    assert connections == 2


def test_a_server_that_is_silent(library: Library) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        await reader.read()

    with pytest.raises(TryLater, match="was lost") as caught:
        over(library, serve, post(), timeout=0.05)
    assert caught.value.sent


def test_the_next_request_after_an_answer_that_was_too_large(library: Library) -> None:
    server = Server(answer(b'"' + b"x" * 5_000_000 + b'"'))
    second = Server(answer())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (second if server.connections else server)(reader, writer)

    async def call(client: HttpClient) -> Any:
        with pytest.raises(ConnectorError, match="larger than"):
            await get()(client)
        return await get()(client)

    assert over(library, serve, call, max_response_bytes=1000, retries=ONCE) == {"ok": True}


def test_nothing_listens(library: Library) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        clock = VirtualClock()

        async def go() -> None:
            client = make_open_http(clock, account="crm", library=library)(f"http://127.0.0.1:{port}", rate=1000)
            try:
                await client.request("POST", "things", json={})
            finally:
                await client.close()

        with pytest.raises(TryLater, match="refused the connection") as caught:
            asyncio.run(go())
    assert not caught.value.sent
    assert len(clock.slept) == 4


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (socket.EAI_NONAME, TellUser, "there is no host named crm.test"),
        (socket.EAI_AGAIN, TryLater, "could not be looked up"),
    ],
)
def test_a_name_that_is_not_found(
    code: int, kind: type[ConnectorError], words: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_args: object, **_more: object) -> None:
        raise socket.gaierror(code, "not found")

    async def go() -> None:
        client = make_open_http(VirtualClock(), account="crm", library=library)("https://crm.test", rate=1000)
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        try:
            await client.request("POST", "things", json={})
        finally:
            await client.close()

    with pytest.raises(kind, match=words) as caught:
        asyncio.run(go())
    assert not getattr(caught.value, "sent", False)


def test_tls_against_a_server_that_speaks_none(library: Library) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    with pytest.raises(TellUser, match="does not speak TLS"):
        over(library, serve, get(), scheme="https")


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_ones_own(trusted: bool, library: Library, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    (authority if trusted else stranger).cert_pem.write_to_path(ca_file)

    def ask() -> Any:
        return over(library, Server(answer()), get(), scheme="https", tls=tls, ca_file=str(ca_file))

    if trusted:
        assert ask() == {"ok": True}
        return
    with pytest.raises(TellUser, match=r"the certificate of 127\.0\.0\.1 is not trusted \(.*certificate"):
        ask()


def test_the_proxy_that_the_environment_names(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> tuple[Any, list[str]]:
        proxy = Server(answer())
        async with listening(proxy) as port:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            client = make_open_http(VirtualClock(), account="crm", library=library)(
                "http://crm.test/v1", rate=1000, allow_http=True
            )
            try:
                return await get()(client), [first for first, _, _ in proxy.requests]
            finally:
                await client.close()

    assert asyncio.run(go()) == ({"ok": True}, ["GET http://crm.test/v1/things HTTP/1.1"])
