"""What is sent again, when, and at what pace."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.sdk.virtual import VirtualClock
from tests.sdk.wire import BASE, OK, Wire, failure, get, post

from twoway.sdk import (
    Headers,
    HttpClient,
    RateHint,
    RateLimiter,
    TryLater,
    make_open_http,
)

READ = "a read"
WRITE = "a write"
SAFE_WRITE = "a write that may be repeated"
READING_POST = "a POST that only reads"
CALLS: dict[str, Callable[[], Any]] = {
    READ: get,
    WRITE: post,
    SAFE_WRITE: lambda: post(retry_safe=True),
    READING_POST: lambda: post(reads=True),
}


@pytest.mark.parametrize(
    ("call", "trouble", "repeated", "sent"),
    [
        (READ, httpx.Response(500), True, False),
        (READ, httpx.ReadTimeout(""), True, False),
        (READ, httpx.ConnectError(""), True, False),
        (READING_POST, httpx.Response(502), True, False),
        (READING_POST, httpx.RemoteProtocolError(""), True, False),
        (WRITE, httpx.ConnectError(""), True, False),
        (WRITE, httpx.Response(429), True, False),
        (WRITE, httpx.Response(503, headers={"retry-after": "1"}), True, False),
        (WRITE, httpx.Response(503), False, True),
        (WRITE, httpx.Response(500), False, True),
        (WRITE, httpx.ReadTimeout(""), False, True),
        (WRITE, httpx.WriteError(""), False, True),
        (WRITE, ConnectionResetError(), False, True),
        (SAFE_WRITE, httpx.Response(500), True, True),
        (SAFE_WRITE, httpx.ReadTimeout(""), True, True),
    ],
)
def test_what_is_repeated_and_what_may_have_happened(call: str, trouble: Any, repeated: bool, sent: bool) -> None:
    wire = Wire(trouble)
    error = failure(wire, CALLS[call]())
    assert isinstance(error, TryLater)
    assert (len(wire.requests) == 5) is repeated
    assert len(wire.requests) in {1, 5}
    assert error.sent is sent


def test_the_last_failure_is_told_and_not_the_first() -> None:
    refused = httpx.ConnectError("no")
    refused.__cause__ = ConnectionRefusedError()
    told = str(failure(Wire(refused, httpx.ConnectTimeout("no")), post()))
    assert "ConnectTimeout" in told
    assert "refused" not in told


def test_an_attempt_that_may_have_landed_is_not_forgotten_when_a_later_one_is_plainly_refused() -> None:
    for refusal in (httpx.ConnectError(""), httpx.Response(401)):
        wire = Wire(httpx.ReadTimeout(""), refusal)
        error = failure(wire, post(retry_safe=True))
        assert isinstance(error, TryLater)
        assert error.sent


@pytest.mark.parametrize(
    ("what", "headers", "wait"),
    [
        ("seconds", {"retry-after": "7"}, 7.0),
        ("a date, by our clock", {"retry-after": "Sun, 15 Jun 2025 15:06:50 GMT"}, 10.0),
        (
            "a date, by the app's own clock where it shows it",
            {"retry-after": "Sun, 15 Jun 2025 18:00:20 GMT", "date": "Sun, 15 Jun 2025 18:00:00 GMT"},
            20.0,
        ),
        ("a date gone by", {"retry-after": "Sun, 15 Jun 2025 15:00:00 GMT"}, 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_retry_after_is_waited_for(what: str, headers: dict[str, str], wait: float) -> None:
    wire = Wire(httpx.Response(429, headers=headers), OK)
    assert wire.run(get()) == {"ok": True}
    assert wire.at[1] - wire.at[0] == max(1, wait * 1000), what  # 1 ms: the rate limit of these tests


def test_a_retry_after_beyond_our_patience_is_handed_on_at_once() -> None:
    wire = Wire(httpx.Response(429, headers={"retry-after": "3600"}))

    async def twice(client: HttpClient) -> tuple[TryLater, TryLater]:
        caught = []
        for _ in range(2):
            with pytest.raises(TryLater) as error:
                await client.request("GET", "things")
            caught.append(error.value)
        return caught[0], caught[1]

    first, second = wire.run(twice)
    assert first.after == 3600
    assert second.after == 3600
    assert len(wire.requests) == 1  # the second never left: the account is blocked
    assert wire.clock.slept == []


def test_waits_without_retry_after_grow_and_are_the_same_in_each_run() -> None:
    waits = []
    for _ in range(2):
        wire = Wire(httpx.Response(500))
        failure(wire, get())
        waits.append(wire.clock.slept)
    assert waits[0] == waits[1]
    assert all(later > earlier for earlier, later in zip(waits[0], waits[0][1:], strict=False))
    assert len(waits[0]) == 4


def test_every_attempt_takes_a_turn_at_the_rate_limit() -> None:
    wire = Wire(httpx.Response(500), httpx.Response(500), OK, OK, OK)

    async def many(client: HttpClient) -> None:
        await asyncio.gather(*(client.request("GET", "things") for _ in range(3)))

    wire.run(many, rate=0.1)
    gaps = [later - earlier for earlier, later in zip(wire.at, wire.at[1:], strict=False)]
    assert len(gaps) == 4
    assert min(gaps) >= 10_000


def test_no_more_requests_are_under_way_than_allowed() -> None:
    open_now = peak = 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal open_now, peak
            open_now += 1
            peak = max(peak, open_now)
            for _ in range(5):
                await asyncio.sleep(0)
            open_now -= 1
            return httpx.Response(200, json={}, request=request)

    async def go() -> None:
        client = make_open_http(VirtualClock(), Slow())(BASE, rate=1e6, concurrency=3)
        await asyncio.gather(*(client.request("GET", "things") for _ in range(20)))
        await client.close()

    asyncio.run(go())
    assert peak == 3


def test_clients_of_one_account_share_its_limit_and_lanes_are_narrower() -> None:
    wire = Wire(OK)
    limiters: dict[tuple[str, str], RateLimiter] = {}

    async def go() -> None:
        transport = httpx.MockTransport(wire)
        clients = [
            make_open_http(wire.clock, transport, account="crm", limiters=limiters)(BASE, rate=2, lanes={"search": 0.5})
            for _ in range(2)
        ]
        for client in clients:
            await client.request("GET", "things")
        for client in clients:
            await client.request("GET", "things", lane="search")
        for client in clients:
            await client.close()

    asyncio.run(go())
    start = wire.at[0]
    assert [at - start for at in wire.at] == [0, 500, 1000, 3000]
    assert set(limiters) == {("crm", ""), ("crm", "search")}


def test_what_headers_tell_reaches_the_limiter() -> None:
    def read_limits(headers: Headers) -> RateHint:
        return RateHint(limit=10, remaining=int(headers["x-left"]), reset=5)

    wire = Wire(httpx.Response(200, headers={"x-left": "0"}, json={}))

    async def twice(client: HttpClient) -> None:
        await client.request("GET", "things")
        await client.request("GET", "things")

    wire.run(twice, read_limits=read_limits)
    assert wire.at[1] - wire.at[0] == 5000
