"""Requests over real sockets, by either library: what goes out, and what comes back."""

import asyncio
import gzip
from typing import Any

import pytest
from tests.sdk.sockets import ONCE, Server, answer, listening, over
from tests.sdk.virtual import VirtualClock
from tests.sdk.wire import get

from twoway.sdk import ConnectorError, HttpClient, TellUser, TryLater, make_open_http
from twoway.sdk.wire import Library
from twoway.sdk.wires import open_wire


def test_each_library_carries_its_own() -> None:
    def kind(library: Library) -> str:
        return type(open_wire(library, connections=1, timeout=1)).__name__

    assert (kind("httpx"), kind("aiohttp")) == ("HttpxWire", "AiohttpWire")


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
    with pytest.raises(ConnectorError, match=r"damaged compression|not JSON"):
        over(library, Server(answer(b"\x0b\x02\x80", "content-encoding: br")), get(), retries=ONCE)


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


_HTTPS = "https://crm.test/v1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://ann:s3cret@proxy.test:1080"),
        ("https_proxy", "proxy.test:s3cret"),
        ("HTTP_PROXY", "ftp://s3cret"),
        ("NO_PROXY", "localhost,[::1]"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(TellUser, match=variable.upper()) as caught:
        make_open_http(VirtualClock(), account="crm")(_HTTPS, rate=1000)
    assert "s3cret" not in str(caught.value)


def test_a_proxy_that_opens_no_way_has_sent_nothing_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go(proxy: Server | None) -> tuple[TryLater, int]:
        async with listening(proxy or Server()) as port:
            where = f"ann:s3cret@127.0.0.1:{port}" if proxy is not None else "127.0.0.1:1"
            monkeypatch.setenv("https_proxy", f"http://{where}")
            client = make_open_http(VirtualClock(), account="crm")(_HTTPS, rate=1000)
            try:
                with pytest.raises(TryLater, match="the proxy") as caught:
                    await client.request("POST", "things", json={})
                return caught.value, 0 if proxy is None else proxy.connections
            finally:
                await client.close()

    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    told, tries = asyncio.run(go(Server(*[refusal] * 5)))
    assert (told.sent, tries) == (False, 5)
    assert "(407)" in told.message
    assert "s3cret" not in str(told)
    told, _ = asyncio.run(go(None))
    assert not told.sent
    assert "HTTPS_PROXY" in told.remedy
