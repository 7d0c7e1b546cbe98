"""What becomes of a request that is not answered, over real sockets, by either library.

Whether a write may be sent again hangs on this, so both must tell the same.
"""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.sdk.sockets import ONCE, Server, answer, over, read_request
from tests.sdk.virtual import VirtualClock
from tests.sdk.wire import get, post

from twoway.sdk import ConnectorError, HttpClient, TellUser, TryLater, make_open_http
from twoway.sdk.wire import Library


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
    assert "base_url" in caught.value.remedy, what


def test_a_header_that_cannot_be_sent_is_told_as_an_error_of_the_app(library: Library) -> None:
    async def call(client: HttpClient) -> None:
        await client.request("PUT", "things", json={}, headers={"if-match": '"a\nb"'})

    with pytest.raises(TryLater, match="was lost"):
        over(library, Server(answer()), call)


def test_the_deadline_is_told_as_what_it_is(library: Library) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    with pytest.raises(TryLater, match=r"was lost \(TimeoutError\)"):
        over(library, serve, post(), deadline=0.05, retries=ONCE)


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
        await read_request(reader)
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
        requests.append(await read_request(reader))
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
        await read_request(reader)
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
        await read_request(reader)
        await reader.read()

    with pytest.raises(TryLater, match="was lost") as caught:
        over(library, serve, post(), timeout=0.05)
    assert caught.value.sent


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
