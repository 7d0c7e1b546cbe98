"""Where requests may go: base addresses, links, redirects, names."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sdk.wire import BASE, OK, Wire, failure, get, post

from twoway.sdk import (
    ConnectorError,
    TellUser,
    TryLater,
)
from twoway.sdk.origin import locate, stay
from twoway.sdk.wire_httpx import address


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


def test_a_link_with_a_login_is_not_followed() -> None:
    location = "https://somebody:hunter2@api.example.test/v3/things"
    wire = Wire(httpx.Response(302, headers={"location": location}))
    error = failure(wire, get())
    assert isinstance(error, TellUser)
    assert "holds a login" in str(error)
    assert "hunter2" not in str(error)
    assert len(wire.requests) == 1


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


@given(st.text(alphabet="/.aZ%2eF:@?#;\\ ~é[]&+'", max_size=16))
@example("a/.")
@example("a/../b")
@example("%2F%2f")
def test_an_address_goes_over_the_wire_as_httpx_would_write_it(rest: str) -> None:
    url = f"https://api.example.test/{rest}"
    assert address(url, None) == str(httpx.URL(url)) == str(httpx.URL(address(url, None)))


@given(st.text(alphabet="/.aZ%2e:@?#\\ \t~é", max_size=12))  # and not ";": `urljoin` drops one that ends a path
def test_a_full_address_is_taken_as_a_browser_would(rest: str) -> None:
    def told(resolve: Callable[..., str]) -> str:
        try:
            return resolve(BASE, f"https://api.example.test{rest}", name="crm")
        except TellUser:
            return "refused"

    assert told(locate) == told(stay)


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
    for told in (str(path), 5):
        with pytest.raises(TellUser, match="PEM"):
            Wire(OK).client(ca_file=told)


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
