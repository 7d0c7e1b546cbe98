"""Alerts to an address that is a secret, over a real socket."""

import asyncio
import io
import socket
from collections.abc import Awaitable, Callable

import pytest

from tests.daemon.fakes import HandClock, run
from twoway.daemon.alerts import DeliveryFailed
from twoway.daemon.logs import configure
from twoway.daemon.webhook import by_webhook, secret_parts
from twoway.sdk.errors import TellUser

_SECRET = "/services/T0P5ECRET/hush-hush-hush-hush"
_QUERY = "key=4711-classified"


async def _served(answer: bytes, use: Callable[[str], Awaitable[None]]) -> list[bytes]:
    """Let `use` post to an address of a server that gives this answer; the requests that came."""
    requests = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append(head + await reader.readexactly(2))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await use(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{_SECRET}?{_QUERY}")
    return requests


def _deliver(answer: bytes) -> list[bytes]:
    return run(_served(answer, lambda url: by_webhook(url, HandClock())(b"{}")))


def test_an_alert_is_posted_once_to_the_whole_address() -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"
    (request,) = _deliver(page)
    assert request.startswith(f"POST {_SECRET}?{_QUERY} HTTP/1.1\r\n".encode())
    assert b"content-type: application/json\r\n" in request
    assert request.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("status", [302, 404, 429, 503])
def test_an_answer_that_is_no_success_is_a_failed_delivery(status: int) -> None:
    with pytest.raises(DeliveryFailed, match=f"status {status}"):
        _deliver(b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n" % status)


def test_an_address_where_nobody_listens_is_in_no_log_and_no_message() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}{_SECRET}?{_QUERY}"
        log = io.StringIO()
        configure(level="debug", stream=log, secrets=secret_parts(url))
        with pytest.raises(DeliveryFailed, match="cannot be reached") as failed:
            run(by_webhook(url, HandClock())(b"{}"))
    assert "attempt 1" in log.getvalue()
    for secret in ("T0P5ECRET", "hush", "classified"):
        assert secret not in log.getvalue()
        assert secret not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "chat.example/hush",
        "ftp://chat.example/hush",
        "http://chat.example/hush",
        "https://",
        "https://[chat.example/hush",
    ],
)
def test_an_address_that_will_not_do_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(TellUser, match=r"alerts\.webhook_url.*https://host/path") as refused:
        by_webhook(url, HandClock())
    assert "hush" not in str(refused.value)
    assert url in secret_parts(url), "and no log shows it"
