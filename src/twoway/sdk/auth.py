"""Logins: what is added to each request, and how it is renewed. None ever shows a secret."""

import asyncio
import base64
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypedDict
from urllib.parse import urlencode

import orjson

from twoway.ports import Clock
from twoway.sdk.errors import AccountRefused, TellUser, TryLater
from twoway.sdk.response import Response

EARLY = 60.0
"""Seconds before its end at which an access token is renewed."""
LOCK_WAIT = 60.0
"""Seconds for which another process may hold the token file."""


class Auth(Protocol):
    """A login."""

    async def headers(self) -> Mapping[str, str]:
        """The headers to send with the next request."""

    async def renew(self) -> bool:
        """The app answered 401: whether there are new credentials to try once more with."""

    def secrets(self) -> Sequence[str]:
        """What must never appear in a message."""


class _Fixed:
    """Headers that stay as they are."""

    def __init__(self, headers: Mapping[str, str], secrets: Sequence[str]) -> None:
        for secret in secrets:
            if any(ord(letter) < 32 or ord(letter) == 127 for letter in secret):
                raise AccountRefused(
                    "the account's secret holds a line break or another control character",
                    remedy="Store it again, on one line, without anything around it",
                )
        if any(not value.isascii() or value != value.rstrip() for value in headers.values()):
            raise AccountRefused(
                "the account's secret holds a letter that no token has, perhaps one that cannot be seen, or ends with a"
                " space",
                remedy="Store it again as the app shows it, without anything around it",
            )
        self._headers = dict(headers)
        self._secrets = tuple(secrets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    async def renew(self) -> bool:
        return False

    def secrets(self) -> Sequence[str]:
        return self._secrets


class NoAuth(_Fixed):
    """No login at all."""

    def __init__(self) -> None:
        super().__init__({}, ())


class BearerAuth(_Fixed):
    """`Authorization: Bearer TOKEN` (RFC 6750)."""

    def __init__(self, token: str) -> None:
        super().__init__({"authorization": f"Bearer {token}"}, (token,))


class BasicAuth(_Fixed):
    """`Authorization: Basic …` (RFC 7617), in UTF-8."""

    def __init__(self, user: str, password: str) -> None:
        coded = base64.b64encode(f"{user}:{password}".encode()).decode()
        super().__init__({"authorization": f"Basic {coded}"}, (password, coded))


class HeaderAuth(_Fixed):
    """A secret in a header of the app's own, such as `api-key`."""

    def __init__(self, header: str, secret: str) -> None:
        super().__init__({header.lower(): secret}, (secret,))


class Tokens(TypedDict):
    """What the token file holds, as JSON; `expires_at` is an instant in milliseconds, 0 where the app tells none."""

    access_token: str
    refresh_token: str
    expires_at: int


class Poster(Protocol):
    """The part of `HttpClient` that is needed to renew a token."""

    async def request(
        self,
        method: str,
        path_or_url: str,
        *,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Any = ...,
    ) -> Response: ...


class TokenFile:
    """Rotating tokens in a file that only its owner can read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self) -> Tokens:
        """The tokens; `TellUser` where the file is open to others, `AccountRefused` where it holds no login."""
        try:
            if self.path.stat().st_mode & 0o077:
                raise TellUser(
                    f"the token file {self.path} can be read by other users of this machine",
                    remedy=f"chmod 600 {self.path}",
                )
            found = orjson.loads(self.path.read_bytes())
            return Tokens(
                access_token=str(found.get("access_token", "")),
                refresh_token=str(found["refresh_token"]),
                expires_at=int(found.get("expires_at", 0)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AccountRefused(
                f"the token file {self.path} cannot be used ({type(error).__name__})", remedy="Log in to the app again"
            ) from None

    def write(self, tokens: Tokens) -> None:
        """Replace the file as a whole, mode 0600, and on the disk before this returns."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(tokens))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> TellUser:
        return TellUser(
            f"the token file {self.path} cannot be written ({error.strerror})",
            remedy="Give the daemon's user write access to its folder, or the login is lost at its next renewal",
        )

    @contextlib.asynccontextmanager
    async def locked(self, clock: Clock) -> AsyncIterator[None]:
        """Hold the file against other processes (the daemon and a command may renew at once)."""
        try:
            lock = self.path.with_name(f"{self.path.name}.lock").open("a")
        except OSError as error:
            raise self._not_writable(error) from None
        with lock:
            deadline = clock.now() + LOCK_WAIT * 1000
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if clock.now() >= deadline:
                        raise TryLater(f"another process holds the token file {self.path}") from None
                    await clock.sleep(0.2)
                else:
                    break
            yield


class OAuthRefresh:
    """OAuth 2 with a refresh token (RFC 6749, section 6).

    Where the app hands out a new refresh token each time, the old one is worthless from then on: so the new one is on
    the disk before it is used, and only one process renews at a time. `http` is a client without a login.
    """

    def __init__(
        self, *, http: Poster, token_url: str, client_id: str, client_secret: str, token_file: str | Path, clock: Clock
    ) -> None:
        self._http = http
        self._url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._file = TokenFile(token_file)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._tokens: Tokens | None = None

    def __repr__(self) -> str:
        return f"OAuthRefresh({self._file.path}, ***)"

    def secrets(self) -> Sequence[str]:
        held = self._tokens
        return (self._client_secret, *((held["access_token"], held["refresh_token"]) if held else ()))

    async def headers(self) -> Mapping[str, str]:
        tokens = self._tokens
        if tokens is None or self._stale(tokens):
            tokens = await self._renewed(refused=None)
        return {"authorization": f"Bearer {tokens['access_token']}"}

    async def renew(self) -> bool:
        await self._renewed(refused=self._tokens["access_token"] if self._tokens else "")
        return True

    def _stale(self, tokens: Tokens) -> bool:
        ends = tokens["expires_at"]
        return not tokens["access_token"] or (ends > 0 and self._clock.now() >= ends - EARLY * 1000)

    async def _renewed(self, refused: str | None) -> Tokens:
        async with self._lock, self._file.locked(self._clock):
            # Another request or process may have renewed while this one waited.
            tokens = self._file.read()
            if self._stale(tokens) or tokens["access_token"] == refused:
                tokens = await _to_its_end(self._replaced(tokens))
            self._tokens = tokens
            return tokens

    async def _replaced(self, tokens: Tokens) -> Tokens:
        new = await self._ask(tokens)
        self._file.write(new)
        return new

    async def _ask(self, tokens: Tokens) -> Tokens:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": tokens["refresh_token"],
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        response = await self._http.request(
            "POST",
            self._url,
            content=urlencode(form),
            headers={"content-type": "application/x-www-form-urlencoded"},
            expect=(200, 400, 401),
        )
        if response.status != 200:
            raise AccountRefused(
                "the app refused to renew the login", remedy="Log in to the app again", status=response.status
            )
        answer = response.json()
        if not isinstance(answer, dict) or not answer.get("access_token"):
            raise TellUser(
                "the app's answer to the renewal of the login holds no token", remedy="Check the token address"
            )
        lifetime = float(answer.get("expires_in") or 0)
        return Tokens(
            access_token=str(answer["access_token"]),
            refresh_token=str(answer.get("refresh_token") or tokens["refresh_token"]),
            expires_at=int(self._clock.now() + lifetime * 1000) if lifetime else 0,
        )


async def _to_its_end(renewal: Coroutine[Any, Any, Tokens]) -> Tokens:
    """What this gives. Who is cancelled meanwhile (the daemon stops) waits for its end: the app has perhaps handed out
    a new refresh token by now, and nobody can log in with the old one any more."""
    task = asyncio.create_task(renewal)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
