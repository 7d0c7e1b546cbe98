"""What goes over the wire and what comes back: httpx.MockTransport, and a real server on loopback where it matters."""

import asyncio
import gzip
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import httpx
import pytest
from tests.sdk.virtual import VirtualClock

from twoway.sdk import (
    AccountRefused,
    BasicAuth,
    BearerAuth,
    ConnectorError,
    HeaderAuth,
    Headers,
    HttpClient,
    QuotaSpent,
    RateHint,
    RateLimiter,
    TellUser,
    TryLater,
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


def test_a_request_carries_login_query_and_json_and_the_answer_is_parsed() -> None:
    wire = Wire(OK)

    async def call(client: HttpClient) -> Any:
        return (await client.request("post", "/things", params={"limit": 2}, json={"name": "Zoë"})).json()

    assert wire.run(call) == {"ok": True}
    sent = wire.requests[0]
    assert (sent.method, str(sent.url)) == ("POST", f"{BASE}/things?limit=2")
    assert sent.headers["authorization"] == f"Bearer {SECRET}"
    assert sent.headers["accept-encoding"] == "gzip"
    assert sent.headers["content-type"] == "application/json"
    assert sent.content == '{"name":"Zoë"}'.encode()


def test_an_answer_may_be_compressed() -> None:
    body = httpx.Response(200, headers={"content-encoding": "gzip", "content-type": "application/json"}, content=b"")
    packed = gzip.compress(b'{"ok":true}')

    def packed_answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=body.headers, content=packed)

    wire = Wire(packed_answer)
    assert wire.run(get()) == {"ok": True}


@pytest.mark.parametrize(
    ("what", "auth", "header", "value"),
    [
        (
            "basic, as in RFC 7617",
            BasicAuth("Aladdin", "open sesame"),
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        ("a header of the app's own", HeaderAuth("api-key", "abc"), "api-key", "abc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_logins(what: str, auth: Any, header: str, value: str) -> None:
    wire = Wire(OK)
    wire.run(get(), auth=auth)
    assert wire.requests[0].headers[header] == value, what


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, AccountRefused, ["crm: GET /v3/things", "login was refused", "new token"]),
        (403, AccountRefused, ["may not do this", "permissions"]),
        (404, TellUser, ["api.example.test", "base_url"]),
        (418, TellUser, ["not expected (418)", "base_url"]),
    ],
)
def test_a_refusal_is_told_at_once_in_words_for_a_person(
    status: int, kind: type[ConnectorError], words: list[str]
) -> None:
    wire = Wire(httpx.Response(status, json={"message": "no"}))
    error = failure(wire, get(params={"hapikey": SECRET}))
    assert type(error) is kind
    assert error.status == status
    for word in words:
        assert word in str(error)
    assert len(wire.requests) == 1
    assert SECRET not in f"{error!s}{error!r}"


@pytest.mark.parametrize(
    ("what", "answer", "words"),
    [
        ("HTML where JSON was promised", HTML, "a page of HTML"),
        (
            "JSON cut in half",
            httpx.Response(200, headers={"content-type": "application/json"}, content=b'{"results":[{"id":'),
            "cut short",
        ),
        (
            "HTML that claims to be JSON",
            httpx.Response(200, headers={"content-type": "application/json"}, content=b"<p>"),
            "a page of HTML",
        ),
        ("an empty answer", httpx.Response(200, content=b""), "an empty answer"),
        ("plain text", httpx.Response(200, text="fine"), "not JSON (text/plain)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unreadable_answer_to_a_read_is_told_when_it_stays_so(what: str, answer: httpx.Response, words: str) -> None:
    error = failure(Wire(answer), get())
    assert isinstance(error, TellUser), what
    assert words in str(error)
    assert "crm: GET /v3/things" in str(error)


@pytest.mark.parametrize(
    "answer", [HTML, httpx.Response(200, headers={"content-type": "application/json"}, content=b'{"a')]
)
def test_an_unreadable_answer_that_was_an_accident_is_read_again(answer: httpx.Response) -> None:
    wire = Wire(answer, OK)
    assert wire.run(get()) == {"ok": True}
    assert len(wire.requests) == 2


def test_an_unreadable_answer_to_a_write_is_a_lost_answer_and_not_repeated() -> None:
    wire = Wire(HTML)
    error = failure(wire, post())
    assert isinstance(error, TryLater)
    assert error.sent
    assert len(wire.requests) == 1


@pytest.mark.parametrize(("writes", "kind"), [(False, TellUser), (True, TryLater)])
def test_an_answer_that_is_too_large_is_not_read(writes: bool, kind: type[ConnectorError]) -> None:
    wire = Wire(httpx.Response(200, json={"long": "x" * 5000}))
    error = failure(wire, post() if writes else get(), max_response_bytes=1000)
    assert type(error) is kind
    assert "larger than 1,000 bytes" in str(error)


def test_the_size_limit_counts_what_a_compressed_answer_unpacks_to() -> None:
    packed = gzip.compress(b'"' + b"x" * 1_000_000 + b'"')
    assert len(packed) < 5000
    wire = Wire(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=packed))
    assert "larger than" in str(failure(wire, get(), max_response_bytes=5000))


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


def test_a_connector_speaks_for_its_app() -> None:
    def classify(status: int, headers: Headers, body: bytes) -> ConnectorError | None:
        if status == 429 and b"DAILY" in body:
            return QuotaSpent(f"the day's requests are used up ({headers['X-Plan']})", after=3600)
        return None

    spent = httpx.Response(429, headers={"x-plan": "free"}, json={"policyName": "DAILY"})
    wire = Wire(spent)
    error = failure(wire, get(), classify=classify)
    assert isinstance(error, QuotaSpent)
    assert str(error) == "crm: the day's requests are used up (free)"
    assert error.status == 429
    assert len(wire.requests) == 1

    wire = Wire(httpx.Response(429), OK)
    assert wire.run(get(), classify=classify) == {"ok": True}


def test_a_secret_that_the_app_repeats_is_blotted_out() -> None:
    def classify(_status: int, _headers: Headers, body: bytes) -> ConnectorError | None:
        return TellUser(body.decode(), remedy=f"not {SECRET}")

    error = failure(Wire(httpx.Response(400, text=f"bad token {SECRET}")), get(), classify=classify)
    assert SECRET not in f"{error!s} {error!r} {error.args}"
    assert "bad token ***" in str(error)


def test_no_secret_is_in_a_log_a_repr_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wire = Wire(httpx.Response(500), httpx.Response(401, text=SECRET))
    client = wire.client()
    error = failure(wire, get(f"hook/{SECRET}/jo%40example.com", params={"token": SECRET}))
    assert "attempt 1" in caplog.text
    for text in (
        str(error),
        repr(error),
        caplog.text,
        repr(client),
        repr(BearerAuth(SECRET)),
        repr(Headers([("x", SECRET)])),
    ):
        assert SECRET not in text
        assert "example.com" not in text
    asyncio.run(client.close())


def test_what_headers_tell_reaches_the_limiter() -> None:
    def read_limits(headers: Headers) -> RateHint:
        return RateHint(limit=10, remaining=int(headers["x-left"]), reset=5)

    wire = Wire(httpx.Response(200, headers={"x-left": "0"}, json={}))

    async def twice(client: HttpClient) -> None:
        await client.request("GET", "things")
        await client.request("GET", "things")

    wire.run(twice, read_limits=read_limits)
    assert wire.at[1] - wire.at[0] == 5000


def test_a_redirect_on_the_same_origin_is_followed_and_no_other() -> None:
    wire = Wire(httpx.Response(301, headers={"location": "/dav/?page=2"}), OK)
    assert wire.run(get(params={"page": 1})) == {"ok": True}
    assert str(wire.requests[1].url) == "https://api.example.test/dav/?page=2"

    for location in (
        "https://evil.test/x",
        "http://api.example.test/x",
        "https://api.example.test:8443/x",
        "//evil.test",
    ):
        wire = Wire(httpx.Response(302, headers={"location": location}))
        error = failure(wire, get())
        assert isinstance(error, TellUser)
        assert "not followed" in str(error)
        assert len(wire.requests) == 1

    wire = Wire(httpx.Response(302, headers={"location": "/elsewhere"}))
    assert isinstance(failure(wire, post()), TellUser)
    assert len(wire.requests) == 1


def test_a_circle_of_redirects_ends() -> None:
    wire = Wire(httpx.Response(302, headers={"location": "/v3/things"}))
    assert "circle" in str(failure(wire, get()))


def test_a_link_stays_on_the_account() -> None:
    wire = Wire(OK)
    client = wire.client()
    assert client.link("/v3/things?page=2") == f"{BASE}/things?page=2"
    with pytest.raises(TellUser, match=r"evil\.test"):
        client.link("https://evil.test/v3/things")
    error = failure(wire, get("https://evil.test/v3/things"))
    assert isinstance(error, TellUser)
    assert wire.requests == []
    asyncio.run(client.close())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://api.example.test", "not an http"),
        ("api.example.test", "not an http"),
        ("https://", "not an http"),
        ("https://me:hunter2@api.example.test", "holds a user name"),
        ("http://api.example.test", "not encrypted"),
        ("https://api.example.test?key=hunter2", "a ? or # part"),
    ],
)
def test_a_base_url_that_will_not_do_is_refused_without_showing_what_it_holds(url: str, words: str) -> None:
    with pytest.raises(TellUser, match="base_url") as caught:
        Wire(OK).client(base_url=url)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_plain_http_is_for_this_machine_or_by_leave() -> None:
    for settings in ({"base_url": "http://127.0.0.1:8080"}, {"base_url": "http://nas.lan", "allow_http": True}):
        assert Wire(OK).run(get(), **settings) == {"ok": True}


def test_a_certificate_file_that_is_none_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")
    with pytest.raises(TellUser, match="PEM"):
        Wire(OK).client(ca_file=str(path))


def _loopback(answer: bytes, call: Callable[[HttpClient], Coroutine[Any, Any, Any]]) -> Any:
    """A real socket that reads one request head, sends `answer`, and hangs up; per connection."""

    async def go() -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = make_open_http(VirtualClock(), account="crm")(f"http://127.0.0.1:{port}", rate=1000)
        try:
            return await call(client)
        finally:
            await client.close()
            server.close()
            await server.wait_closed()

    return asyncio.run(go())


def test_over_a_real_socket() -> None:
    body = b'{"ok":true}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    assert _loopback(head % len(body) + body, get()) == {"ok": True}


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("hangs up without an answer", b""),
        ("hangs up in the middle of the body", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
        ("talks something else", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
)
def test_a_server_that(what: str, answer: bytes) -> None:
    with pytest.raises(TryLater, match="was lost") as caught:
        _loopback(answer, post())
    assert caught.value.sent, what


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        clock = VirtualClock()

        async def go() -> None:
            client = make_open_http(clock, account="crm")(f"http://127.0.0.1:{port}", rate=1000)
            try:
                await client.request("POST", "things", json={})
            finally:
                await client.close()

        with pytest.raises(TryLater, match="refused the connection") as caught:
            asyncio.run(go())
    assert not caught.value.sent
    assert len(clock.slept) == 4


def test_tls_against_a_server_that_speaks_none() -> None:
    async def go() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = make_open_http(VirtualClock(), account="crm")(f"https://127.0.0.1:{port}", rate=1000)
        try:
            await client.request("GET", "things")
        finally:
            await client.close()
            server.close()
            await server.wait_closed()

    with pytest.raises(TellUser, match="does not speak TLS"):
        asyncio.run(go())


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (socket.EAI_NONAME, TellUser, ["no host named api.example.test", "getent hosts api.example.test"]),
        (socket.EAI_AGAIN, TryLater, ["api.example.test", "could not be looked up"]),
    ],
)
def test_a_name_that_cannot_be_found(number: int, kind: type[ConnectorError], words: list[str]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no") from socket.gaierror(number, "lookup failed")

    error = failure(Wire(fail), get())
    assert type(error) is kind
    for word in words:
        assert word in str(error)
