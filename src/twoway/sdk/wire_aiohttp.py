"""Requests by aiohttp, which take less of the processor: an extra, see ADR 13."""

import io
import select
import ssl
from collections.abc import Mapping
from typing import Final
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from aiohttp.tracing import Trace
from yarl import URL

from twoway.sdk.wire import Answer, Damaged, Lost, NoAddress, NotConnected, gathered

_READ_AT_ONCE: Final = 2**18
"""Octets of an answer that are kept ready to be read."""
_SENT_AT_ONCE: Final = 2**19
"""Octets of a body that are sent in one piece."""
_LONGEST_LINE: Final = 2**16
"""Octets of a header: some apps put whole queries into their links to the next page."""
_MOST_HEADERS: Final = 1000
_KEPT: Final = 4.0
"""Seconds for which a connection is kept unused. Many servers close it after five."""


class AiohttpWire:
    """See `twoway.sdk.wire.Wire`. How long a body may take to be sent is for the caller to say: aiohttp does not."""

    def __init__(self, tls: ssl.SSLContext, connections: int, timeout: float) -> None:
        self._tls = tls
        self._connections = connections
        connect = min(timeout, 10.0)
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=timeout)
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    def _session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this wire was closed")
        if self._opened is None:
            # Not before now: it belongs to the loop that is running.
            self._opened = aiohttp.ClientSession(
                connector=_Connector(
                    limit=self._connections,
                    ssl=self._tls,
                    keepalive_timeout=_KEPT,
                    # The other one, if it is installed, does not tell why a name was not found.
                    resolver=aiohttp.ThreadedResolver(),
                ),
                middlewares=(_once,),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=self._timeout,
                read_bufsize=_READ_AT_ONCE,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
                max_headers=_MOST_HEADERS,
            )
        return self._opened

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, most: int) -> Answer:
        """See `Wire.send`."""
        # A long body in one piece would hold up the loop, and aiohttp warns of it.
        long = content is not None and len(content) > _SENT_AT_ONCE
        try:
            answer = await self._session().request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=io.BytesIO(content or b"") if long else content or None,
                allow_redirects=False,
            )
            try:
                body = await gathered(answer.content.iter_any(), most)
            finally:
                # A connection whose answer was not read to its end is closed by this, and not kept.
                answer.release()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise NoAddress from error
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise (Damaged if _is_damaged(error) else Lost) from error
        return Answer(
            answer.status, [(name.decode("latin-1"), _text(value)) for name, value in answer.raw_headers], body
        )

    async def close(self) -> None:
        """See `Wire.close`."""
        self._closed = True
        if self._opened is not None:
            await self._opened.close()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends again by itself what gets no answer on a connection that was kept, by methods that mean no harm
    twice: past the rate limit, and though it may have taken effect. So it is not told of such an end."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Lost from error


class _Connector(aiohttp.TCPConnector):
    """Connections that are as they were left: on one that the server has ended meanwhile a request would be lost, and
    what it sent unasked would be taken for the answer."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # they are handed on as they come
        self._used = WeakSet[object]()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the library's signature
    ) -> Connection:
        """A connection for a request: a kept one on which nothing has arrived, else a new one."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None:
                if protocol in self._used and (protocol.should_close or _has_news(connection)):
                    connection.close()
                    continue
                self._used.add(protocol)
            return connection


def _has_news(connection: Connection) -> bool:
    """Whether something is there to be read, if only the end."""
    transport = connection.transport
    if transport is None:
        return True
    watch = select.poll()
    watch.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(watch.poll(0))


def _is_damaged(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, ContentEncodingError) or _is_damaged(error.__cause__))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
