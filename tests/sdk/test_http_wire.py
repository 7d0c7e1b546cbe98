"""What goes over the wire and what comes back: a scripted transport, and a real server on loopback where it matters."""

import asyncio
import gzip
import logging
from typing import Any

import httpx
import pytest
from tests.sdk.wire import BASE, HTML, OK, SECRET, Wire, failure, get, post

from twoway.sdk import (
    AccountRefused,
    BasicAuth,
    BearerAuth,
    ConnectorError,
    HeaderAuth,
    Headers,
    HttpClient,
    QuotaSpent,
    TellUser,
    TryLater,
)
from twoway.sdk.response import AnswerTooLarge


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
    ("asks", "words"),
    [
        ('Digest realm="a, Basic b", nonce="n", qop="auth,auth-int", algorithm=MD5', "logins by Digest only"),
        ("Negotiate, NTLM", "logins by Negotiate or NTLM only"),
        ('Digest realm="a", nonce="n", Basic realm="a"', "login was refused"),
        ('Basic realm="Digest, a", charset="UTF-8"', "login was refused"),
        ("Bearer", "login was refused"),
        ('ApiKey realm="a"', "login was refused"),
    ],
)
def test_a_login_of_a_kind_that_we_have_not_is_no_wrong_password(asks: str, words: str) -> None:
    error = failure(Wire(httpx.Response(401, headers={"www-authenticate": asks})), get())
    assert type(error) is AccountRefused
    assert words in str(error)


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


@pytest.mark.parametrize(("writes", "kind"), [(False, AnswerTooLarge), (True, TryLater)])
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
