"""Rotating logins: the file, the lock, the order of storing and using."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson
import pytest
from tests.sdk.virtual import VirtualClock

from twoway.sdk import (
    AccountRefused,
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    HttpClient,
    OAuthRefresh,
    TellUser,
    TryLater,
    make_open_http,
)
from twoway.sdk.auth import TokenFile, Tokens

SECRETS = ("access-0", "refresh-0", "access-1", "refresh-1", "client-secret")


class App:
    """An app whose access tokens last an hour and whose refresh tokens work once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = VirtualClock()
        self.round = 0
        self.renewals = 0
        self.on_renewal: Callable[[], httpx.Response | None] = lambda: None
        self.seen: list[str] = []

    def store(self, *, expires_in: int = 3600) -> None:
        TokenFile(self.path).write(
            Tokens(access_token="access-0", refresh_token="refresh-0", expires_at=self.clock.now() + expires_in * 1000)
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            override = self.on_renewal()
            if override is not None:
                return override
            self.renewals += 1
            form = parse_qs(request.content.decode())
            if form["refresh_token"] != [f"refresh-{self.round}"] or form["client_secret"] != ["client-secret"]:
                return httpx.Response(400, json={"error": "invalid_grant"})
            self.round += 1
            answer = {
                "access_token": f"access-{self.round}",
                "refresh_token": f"refresh-{self.round}",
                "expires_in": 3600,
            }
            return httpx.Response(200, json=answer)
        self.seen.append(request.headers["authorization"])
        held = orjson.loads(self.path.read_bytes())
        # Whatever token arrives here has been stored before.
        assert request.headers["authorization"] == f"Bearer {held['access_token']}"
        return httpx.Response(200 if self.seen[-1] == f"Bearer access-{self.round}" else 401, json={})

    def login(self, transport: httpx.MockTransport | None = None) -> tuple[HttpClient, HttpClient]:
        open_http = make_open_http(self.clock, transport or httpx.MockTransport(self), account="crm")
        plain = open_http("https://app.test", rate=1000)
        auth = OAuthRefresh(
            http=plain,
            token_url="https://app.test/oauth/token",
            client_id="me",
            client_secret="client-secret",
            token_file=self.path,
            clock=self.clock,
        )
        return open_http("https://app.test", rate=1000, auth=auth), plain

    def requests(self, count: int = 1, *, method: str = "GET") -> None:
        async def go() -> None:
            client, plain = self.login()
            try:
                await asyncio.gather(*(client.request(method, "things") for _ in range(count)))
            finally:
                await client.close()
                await plain.close()

        asyncio.run(go())


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path / "tokens.json")


def test_a_token_that_is_good_is_used(app: App) -> None:
    app.store()
    app.requests()
    assert (app.renewals, app.seen) == (0, ["Bearer access-0"])


def test_a_token_near_its_end_is_renewed_once_for_many_requests(app: App) -> None:
    app.store(expires_in=30)
    app.requests(5)
    assert (app.renewals, app.seen) == (1, ["Bearer access-1"] * 5)
    assert TokenFile(app.path).read()["refresh_token"] == "refresh-1"


def test_a_token_that_the_app_refuses_is_renewed_and_the_request_sent_again(app: App) -> None:
    app.store()
    TokenFile(app.path).write(Tokens(access_token="revoked", refresh_token="refresh-0", expires_at=0))
    app.requests()
    assert (app.renewals, app.seen) == (1, ["Bearer revoked", "Bearer access-1"])


def test_a_token_that_another_process_renewed_is_taken_from_the_file(app: App) -> None:
    app.store()

    async def go() -> None:
        client, plain = app.login()
        await client.request("GET", "things")
        app.round = 1
        TokenFile(app.path).write(Tokens(access_token="access-1", refresh_token="refresh-1", expires_at=0))
        app.clock.at += 3_600_000
        await client.request("GET", "things")
        await client.close()
        await plain.close()

    asyncio.run(go())
    assert (app.renewals, app.seen) == (0, ["Bearer access-0", "Bearer access-1"])


def test_a_renewal_that_the_app_refuses_pauses_the_account(app: App) -> None:
    app.store(expires_in=0)
    app.round = 7
    with pytest.raises(AccountRefused, match="Log in to the app again") as caught:
        app.requests()
    assert not any(secret in f"{caught.value!s}{caught.value!r}" for secret in SECRETS)


def test_a_renewal_whose_answer_was_lost_does_not_make_the_write_behind_it_uncertain(app: App) -> None:
    app.store(expires_in=0)

    def lose() -> httpx.Response | None:
        raise httpx.ReadTimeout("")

    app.on_renewal = lose
    with pytest.raises(TryLater, match="POST /oauth/token") as caught:
        app.requests(method="POST")
    assert not caught.value.sent
    assert app.seen == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(httpx.Response(200, json={"error": "x"}), TellUser), (httpx.Response(200, json=[]), TellUser)],
)
def test_a_renewal_without_a_token_is_told(app: App, answer: httpx.Response, kind: type[Exception]) -> None:
    app.store(expires_in=0)
    app.on_renewal = lambda: httpx.Response(answer.status_code, content=answer.content)
    with pytest.raises(kind, match="holds no token"):
        app.requests()


def test_the_file_is_the_owners_alone_also_under_a_loose_umask(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    old = os.umask(0)
    try:
        file.write(Tokens(access_token="a", refresh_token="r", expires_at=1))
    finally:
        os.umask(old)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.read() == {"access_token": "a", "refresh_token": "r", "expires_at": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json"]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    file.write(Tokens(access_token="a", refresh_token="r", expires_at=1))
    file.path.chmod(0o640)
    with pytest.raises(TellUser, match="chmod 600"):
        file.read()


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"refresh_token": "r", "expires_at": "soon"}'])
def test_a_file_without_a_login_asks_for_one(tmp_path: Path, content: bytes | None) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    if content is not None:
        file.path.write_bytes(content)
        file.path.chmod(0o600)
    with pytest.raises(AccountRefused, match="Log in"):
        file.read()


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    file.write(Tokens(access_token="a", refresh_token="r", expires_at=1))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TellUser, match="No space left"):
        file.write(Tokens(access_token="b", refresh_token="s", expires_at=2))
    assert file.read()["refresh_token"] == "r"


def test_the_lock_of_another_process_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "tokens.json")
    clock = VirtualClock()

    async def go() -> list[Any]:
        async with file.locked(clock):
            # The lock belongs to the open file, so a second opening is as good as a second process.
            with pytest.raises(TryLater, match="another process") as caught:
                async with file.locked(clock):
                    pass
        async with file.locked(clock):
            return [caught.value]

    assert len(asyncio.run(go())) == 1


def test_who_is_stopped_in_the_middle_of_a_renewal_keeps_the_new_login(app: App) -> None:
    app.store(expires_in=0)

    async def go() -> None:
        taken, answered = asyncio.Event(), asyncio.Event()

        async def slow(request: httpx.Request) -> httpx.Response:
            answer = app(request)
            taken.set()
            await answered.wait()
            return answer

        client, plain = app.login(httpx.MockTransport(slow))
        request = asyncio.create_task(client.request("GET", "things"))
        await taken.wait()
        request.cancel()
        answered.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        await client.close()
        await plain.close()

    asyncio.run(go())
    assert TokenFile(app.path).read()["refresh_token"] == "refresh-1"
    app.requests()
    assert app.seen == ["Bearer access-1"]


def test_a_refusal_that_comes_after_the_login_was_renewed_renews_it_no_more(app: App) -> None:
    app.store()
    accepts = "access-1"

    async def go() -> None:
        renewed, late = asyncio.Event(), asyncio.Event()

        async def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/oauth/token":
                return app(request)
            login = request.headers["authorization"]
            if login == f"Bearer {accepts}":
                renewed.set()
                return httpx.Response(200, json={})
            if request.url.path == "/late":
                late.set()
                await renewed.wait()
            else:
                await late.wait()
            return httpx.Response(401)

        client, plain = app.login(httpx.MockTransport(answer))
        await asyncio.gather(client.request("GET", "late"), client.request("GET", "first"))
        await client.close()
        await plain.close()

    asyncio.run(go())
    assert app.renewals == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_login_that_cannot_be_renewed_for_a_moment_is_not_refused_nor_was_anything_written(
    app: App, method: str
) -> None:
    app.store()
    app.round = 1  # the access token is worthless
    app.on_renewal = lambda: httpx.Response(500)
    with pytest.raises(TryLater) as caught:
        app.requests(method=method)
    assert app.seen
    assert not caught.value.sent


def test_a_token_file_in_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TellUser, match="cannot be written"):
        App(tmp_path / "nowhere" / "tokens.json").requests()


def test_a_secret_with_a_line_break_is_refused_by_name_not_by_value() -> None:
    with pytest.raises(AccountRefused, match="line break") as caught:
        BearerAuth("abc\n")
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("token", ["pat-abc…", "pat-abc\u200b", "pat\u2013abc"])
def test_a_token_that_was_copied_wrongly_is_told_and_not_shown(token: str) -> None:
    for make in (lambda: BearerAuth(token), lambda: HeaderAuth("api-key", token)):
        with pytest.raises(AccountRefused, match="cannot be seen") as caught:
            make()
        assert "abc" not in str(caught.value)


def test_a_password_may_hold_any_letter() -> None:
    assert asyncio.run(BasicAuth("zoë", "pässword…").headers())["authorization"].isascii()
