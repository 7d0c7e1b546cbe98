"""httpx's requests over the connections of aiohttp, which take less of the processor: an extra, see ADR 13.

Which error a lost request becomes decides whether it may be sent again. So nothing is told as "not connected" that
aiohttp does not plainly call so: of everything else the request may have arrived.
"""

import ssl
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import httpx
from yarl import URL

_READ_AT_ONCE: Final = 2**18
"""Octets of an answer that are kept ready to be read."""
_KEPT: Final = 5.0
"""Seconds for which a connection is kept unused, as httpx itself keeps them: a server closes it some time, and a
request that leaves just then is lost."""
_FAILURES: Final = (aiohttp.ClientError, OSError, TimeoutError)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`: HTTP/1.1, on up to `connections` that are kept for the next request.

    It asks the environment for no proxy, keeps no cookies, follows no redirect, and sends nothing twice.
    """

    def __init__(self, tls: ssl.SSLContext, connections: int) -> None:
        self._tls = tls
        self._connections = connections
        self._opened: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            # Not before now: it belongs to the loop that is running.
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls, keepalive_timeout=_KEPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                read_bufsize=_READ_AT_ONCE,
            )
            # It would send again by itself what gets no answer on a connection that was kept, by methods that do no
            # harm twice: past the rate limit, and though it may have taken effect. There is no other way to say so.
            self._opened._retry_connection = False  # noqa: SLF001 - see above
        return self._opened

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        waits = request.extensions["timeout"]
        try:
            answer = await self._session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=waits["pool"], sock_connect=waits["connect"], sock_read=waits["read"]
                ),
            )
        except _FAILURES as error:
            raise _told(error) from error
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer))

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()


class _Body(httpx.AsyncByteStream):
    """An answer's octets as they come, still compressed."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except _FAILURES as error:
            raise _told(error) from error

    async def aclose(self) -> None:
        # A connection whose answer was not read to its end is closed by this, and not kept.
        self._answer.release()


def _told(error: Exception) -> httpx.TransportError:
    """The same in httpx's words."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(type(error).__name__)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(type(error).__name__)
        case aiohttp.InvalidURL():
            return httpx.UnsupportedProtocol(type(error).__name__)
        case TimeoutError():
            return httpx.ReadTimeout(type(error).__name__)
    return httpx.ReadError(type(error).__name__)
