"""The HTTP client of an account. Which library carries its requests is known to `twoway.sdk.wire` and its like alone.

One kept connection pool and one TLS context an account; a turn at the account's rate limit for each attempt, also a
retried one; retries only where a second request cannot do harm; every failure told as one of `twoway.sdk.errors`.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState

from twoway import __version__
from twoway.ports import Clock, Limiter
from twoway.sdk.auth import Auth, NoAuth
from twoway.sdk.errors import ConnectorError, QuotaSpent, TellUser, TryLater
from twoway.sdk.failures import REDIRECTS, by_status, no_answer, not_connected
from twoway.sdk.limits import RateLimiter
from twoway.sdk.origin import check_base, locate, origin_of, shown, stay
from twoway.sdk.response import AnswerTooLarge, Headers, Response, Unreadable, unreadable
from twoway.sdk.wire import Damaged, Library, Lost, NoAddress, NotConnected, TooLong
from twoway.sdk.wire_httpx import address
from twoway.sdk.wires import open_wire

__all__ = ["Classify", "HttpClient", "RateHint", "RetryPolicy", "make_open_http"]

# httpx writes a line a request at INFO, with the query; httpcore writes headers at DEBUG. Both may hold secrets.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)
_log = logging.getLogger(__name__)

USER_AGENT = f"twoway/{__version__}"
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
MAX_REDIRECTS = 5
_READS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "TRACE"})
_SUCCESS = range(200, 300)

Classify = Callable[[int, Headers, bytes], ConnectorError | None]
"""Lets a connector speak for its app: status, headers and body of an answer that was not expected → the error that it
means, or None for the general reading. A `TryLater` without `sent` says that the request certainly had no effect."""

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]
"""The query. A sequence of pairs where a name comes twice."""


_Pairs = list[tuple[str, str | int | float | bool | None]] | None


class RateHint(NamedTuple):
    """What the headers of an answer tell of the app's limit: see `Limiter.learn`."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a request that failed for a moment is tried again. Durations are seconds.

    Without a Retry-After the wait doubles from `first` to `longest`, less up to a quarter that depends on the request
    alone: many requests that fail together come back apart, and a run can be repeated.
    """

    attempts: int = 5
    first: float = 1.0
    longest: float = 30.0
    total: float = 90.0

    def backoff(self, attempt: int, seed: str) -> float:
        """Seconds to wait after attempt number `attempt` (the first is 1)."""
        spread = zlib.crc32(f"{seed}#{attempt}".encode()) / 0xFFFFFFFF
        return float(min(self.longest, self.first * 2.0 ** (attempt - 1)) * (1 - spread / 4))


@dataclass(slots=True)
class _Call:
    """One request of a connector, over all its attempts."""

    method: str
    url: str
    params: _Pairs
    content: bytes | None
    headers: dict[str, str]
    expect: Container[int]
    classify: Classify | None
    limiter: Limiter
    where: str
    writes: bool
    retry_safe: bool
    landed: bool = False
    """An earlier attempt may have taken effect."""
    renewed: bool = False
    """The login was renewed once already."""
    login: Mapping[str, str] = field(default_factory=dict)
    """The login that was sent last."""


class HttpClient:
    """Requests to one account of one app.

    `base_url` is where the API is; `auth` the login; `limiter` the account's rate limit, `lanes` narrower limits
    within it, by name; `concurrency` how many requests may be under way; `timeout` seconds for connecting and for
    each silence, `deadline` for a whole attempt; `classify` and `read_limits` explain the app's errors and headers.
    `library` carries the requests; `transport` replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        limiter: Limiter,
        auth: Auth | None = None,
        name: str = "app",
        lanes: Mapping[str, Limiter] | None = None,
        concurrency: int = 4,
        timeout: float = 30.0,
        deadline: float = 120.0,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        headers: Mapping[str, str] | None = None,
        user_agent: str = USER_AGENT,
        ca_file: str | None = None,
        allow_http: bool = False,
        classify: Classify | None = None,
        read_limits: Callable[[Headers], RateHint | None] | None = None,
        retries: RetryPolicy | None = None,
        library: Library = "httpx",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = name
        self.base_url = check_base(base_url, name=name, allow_http=allow_http)
        origin = origin_of(self.base_url)
        self._host = origin.host if origin else ""
        self._clock = clock
        self._limiter = limiter
        self._lanes = dict(lanes or {})
        self._auth = auth or NoAuth()
        self._turns = asyncio.Semaphore(concurrency)
        self._deadline = deadline
        self._max_bytes = max_response_bytes
        self._classify = classify
        self._read_limits = read_limits
        self._retries = retries or RetryPolicy()
        self._headers = {
            "user-agent": user_agent,
            "accept-encoding": "gzip",
            "accept": "application/json",
            **{key.lower(): value for key, value in (headers or {}).items()},
        }
        self._wire = open_wire(library, connections=concurrency, timeout=timeout, ca_file=ca_file, transport=transport)

    def __repr__(self) -> str:
        return f"HttpClient({self.name!r}, {self.base_url!r})"

    async def close(self) -> None:
        """Close the connections. The client cannot be used again."""
        await self._wire.close()

    def link(self, href: str) -> str:
        """The full address that an app's link means, resolved as a browser would; it must stay on the app's origin."""
        return stay(self.base_url, href, name=self.name)

    async def request(
        self,
        method: str,
        path_or_url: str,
        *,
        params: Params | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        expect: Container[int] = _SUCCESS,
        reads: bool | None = None,
        retry_safe: bool | None = None,
        lane: str | None = None,
        classify: Classify | None = None,
    ) -> Response:
        """Send a request; return the answer if its status is in `expect`, else raise a `ConnectorError`.

        A path is appended to `base_url`; a full address must be on its origin. `reads=True` says that a POST changes
        nothing (a search). `retry_safe=True` says that a write may be repeated without harm. Other writes are
        repeated only when the app certainly did not take them up; one whose answer was lost raises `TryLater` with
        `sent`. `lane` names the narrower limit of the account that this request is under.
        """
        method = method.upper()
        writes = method not in _READS if reads is None else not reads
        url = locate(self.base_url, path_or_url, name=self.name)
        own = {**self._headers, **{key.lower(): value for key, value in (headers or {}).items()}}
        body = content.encode() if isinstance(content, str) else content
        if json is not None:
            body = orjson.dumps(json)
            own.setdefault("content-type", "application/json")
        call = _Call(
            method=method,
            url=url,
            params=None if not params else list(params.items() if isinstance(params, Mapping) else params),
            content=body,
            headers=own,
            expect=expect,
            classify=classify,
            limiter=self._limiter if lane is None else self._lanes[lane],
            where=self._clean(f"{self.name}: {method} {shown(url)}"),
            writes=writes,
            retry_safe=not writes if retry_safe is None else retry_safe,
        )
        try:
            return await self._attempt(call)
        except ConnectorError as error:
            failure = error
        # Not within the clause above: whatever fails later would then be told as what has failed first.
        return await self._repeated(call, failure)

    async def _repeated(self, call: _Call, failure: ConnectorError) -> Response:
        """Try again what has failed once: only now, since to be ready for it takes a sixth of a request's time."""
        first = [failure]

        async def attempt() -> Response:
            if first:
                raise first.pop()
            return await self._attempt(call)

        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            retry=lambda state: self._may_repeat(call, state),
            wait=lambda state: self._wait(call, state),
            stop=self._enough,
            before_sleep=_tell,
            reraise=True,
        )
        return await retrying(attempt)

    def _may_repeat(self, call: _Call, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, QuotaSpent):
            return False
        if isinstance(error, TryLater):
            return call.retry_safe or not error.sent
        return isinstance(error, Unreadable)

    def _wait(self, call: _Call, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        after = error.after if isinstance(error, TryLater) else None
        seconds = self._retries.backoff(state.attempt_number, call.where) if after is None else after
        if isinstance(error, TryLater) and (error.status == 429 or after is not None):
            call.limiter.block(seconds)  # the other requests under this limit wait, too
        return seconds

    def _enough(self, state: RetryCallState) -> bool:
        policy = self._retries
        return state.attempt_number >= policy.attempts or state.idle_for + state.upcoming_sleep > policy.total

    async def _attempt(self, call: _Call) -> Response:
        try:
            return await self._sent(call)
        except TryLater as error:
            # What an earlier attempt may have done stays done, however plainly this one was refused.
            error.sent = call.landed = call.writes and (error.sent or call.landed)
            raise
        except ConnectorError as error:
            if not call.landed:
                raise
            raise TryLater(f"{error.message}; an earlier attempt may have been taken up", sent=True) from None

    async def _sent(self, call: _Call) -> Response:
        url, params = call.url, call.params
        for _ in range(MAX_REDIRECTS):
            response = await self._exchange(call, url, params)
            if response.status in call.expect:
                self._check_readable(call, response)
                response.landed = call.landed
                return response
            if response.status == 401 and not call.renewed and await self._renewed(call.login):
                call.renewed = True
                continue
            followed = self._followed(call, response)
            if followed is None:
                raise self._explain(call, response)
            url, params = followed, None  # the link holds its own query
        raise TellUser(f"{call.where}: sent in a circle of redirects", remedy="Check base_url")

    def _followed(self, call: _Call, response: Response) -> str | None:
        """Where a redirect leads that may be followed: on the same origin, and keeping the method."""
        location = response.headers.get("location")
        if response.status not in REDIRECTS or not location or (call.writes and response.status not in {307, 308}):
            return None
        if response.status == 303 and call.method not in {"GET", "HEAD"}:
            return None
        return stay(response.url, location, name=self.name, what="a redirect")

    def _explain(self, call: _Call, response: Response) -> ConnectorError:
        for classify in (call.classify, self._classify):
            error = classify(response.status, response.headers, response.body) if classify else None
            if error is not None:
                error.status = response.status if error.status is None else error.status
                if not error.message.startswith(self.name):
                    error.message = f"{self.name}: {error.message}"  # a person may have several accounts of one app
                return self._scrubbed(error)
        return self._scrubbed(by_status(response, host=self._host, now=self._clock.now()))

    def _scrubbed(self, error: ConnectorError) -> ConnectorError:
        """An app may repeat what it was sent: no secret of the login stays in a message."""
        error.message, error.remedy = self._clean(error.message), self._clean(error.remedy)
        error.args = (error.message,)
        return error

    def _clean(self, text: str) -> str:
        for secret in self._auth.secrets():
            text = text.replace(secret, "***") if secret else text
        return text

    def _check_readable(self, call: _Call, response: Response) -> None:
        """Find a damaged answer while the request can still be tried again."""
        if not response.body or "json" not in call.headers["accept"]:
            return
        if response.is_html:
            raise response.unreadable("a page of HTML")
        if "json" in response.content_type:
            response.json()

    async def _exchange(self, call: _Call, url: str, params: _Pairs) -> Response:
        async with self._turns:
            call.login = await self._login()
            await call.limiter.turn()
            response = await self._answer(call, url, params, {**call.headers, **call.login})
        hint = self._read_limits(response.headers) if self._read_limits else None
        if hint is not None:
            self._limiter.learn(limit=hint.limit, remaining=hint.remaining, reset=hint.reset)
        return response

    async def _login(self) -> Mapping[str, str]:
        with _not_of_the_request():
            return await self._auth.headers()

    async def _renewed(self, refused: Mapping[str, str]) -> bool:
        """Whether there is another login than the one that was refused."""
        with _not_of_the_request():
            # Another request may have renewed it while this one was under way: what is new is not refused yet.
            return await self._auth.headers() != refused or await self._auth.renew()

    async def _answer(self, call: _Call, url: str, params: _Pairs, headers: dict[str, str]) -> Response:
        try:
            async with asyncio.timeout(self._deadline):
                status, pairs, body = await self._wire.send(
                    call.method, address(url, params), headers, call.content, self._max_bytes
                )
        except NotConnected as error:
            raise not_connected(error.__cause__ or error, where=call.where, host=self._host) from None
        except Damaged:
            raise unreadable(call.where, "an answer with damaged compression", writes=call.writes) from None
        except TooLong:
            raise _too_large(call, self._max_bytes) from None
        except NoAddress:
            raise TellUser(
                f"{call.where}: this is not an address that can be asked", remedy="Check the host name in base_url"
            ) from None
        except (Lost, TimeoutError) as error:
            cause = error.__cause__ if isinstance(error, Lost) else None
            raise no_answer(cause or error, where=call.where, host=self._host, writes=call.writes) from None
        return Response(status, Headers(pairs), body, url=url, where=call.where, writes=call.writes)


@contextmanager
def _not_of_the_request() -> Iterator[None]:
    """What may be lost here is the renewal of the login, never the request that it is for."""
    try:
        yield
    except TryLater as error:
        error.sent = False
        raise


def _too_large(call: _Call, limit: int) -> ConnectorError:
    message = f"{call.where}: the answer is larger than {limit:,} bytes and was not read"
    if call.writes:
        return TryLater(message, sent=True)
    return AnswerTooLarge(message, remedy="Check base_url: an API's page is smaller; or map fewer fields")


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.info("%s; attempt %d, the next in %.1f s", error, state.attempt_number, state.upcoming_sleep)


class OpenHttp(Protocol):
    """What `ConnectorContext.open_http` is: makes an `HttpClient` that shares its account's rate limit.

    `rate` is in requests a second; `lanes` names narrower limits, likewise; `settings` are those of `HttpClient`.
    """

    def __call__(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        rate: float,
        burst: int = 1,
        lanes: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> HttpClient: ...


def make_open_http(
    clock: Clock,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    account: str = "app",
    library: Library = "httpx",
    limiters: MutableMapping[tuple[str, str], RateLimiter] | None = None,
) -> OpenHttp:
    """The `open_http` for the connectors of one account.

    All clients that it opens share one rate limit; so do those of other calls with the same `limiters` and `account`.
    The rate is the first one asked for.
    """
    known: MutableMapping[tuple[str, str], RateLimiter] = {} if limiters is None else limiters

    def limiter(lane: str, rate: float, burst: int, within: RateLimiter | None) -> RateLimiter:
        key = (account, lane)
        if key not in known:
            known[key] = RateLimiter(clock, rate, burst, name=account, within=within)
        return known[key]

    def open_http(
        base_url: str,
        *,
        auth: Auth | None = None,
        rate: float,
        burst: int = 1,
        lanes: Mapping[str, float] | None = None,
        **settings: Any,
    ) -> HttpClient:
        whole = limiter("", rate, burst, None)
        return HttpClient(
            base_url,
            auth=auth,
            clock=clock,
            limiter=whole,
            lanes={lane: limiter(lane, narrow, 1, whole) for lane, narrow in (lanes or {}).items()},
            library=library,
            transport=transport,
            **{"name": account, **settings},
        )

    return open_http
