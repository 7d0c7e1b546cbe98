"""Requests by aiohttp, which take less of the processor: an extra, see ADR 13."""

import io
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from yarl import URL

from twoway.sdk.wire import Answer, Damaged, Lost, NoAddress, NotConnected, gathered

_READ_AT_ONCE: Final = 2**18
"""Octets of an answer that are kept ready to be read."""
_SENT_AT_ONCE: Final = 2**19
"""Octets of a body that are sent in one piece."""
_LONGEST_LINE: Final = 2**16
"""Octets of a header: some apps put whole queries into their links to the next page."""
_KEPT: Final = 5.0
"""Seconds for which a connection is kept unused, as httpx keeps them: a server closes it some time, and a request that
leaves just then is lost."""


class AiohttpWire:
    """See `twoway.sdk.wire.Wire`."""

    def __init__(self, tls: ssl.SSLContext, connections: int, timeout: float) -> None:
        self._tls = tls
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, 10.0), sock_read=timeout)
        self._opened: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            # Not before now: it belongs to the loop that is running.
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls, keepalive_timeout=_KEPT),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=self._timeout,
                read_bufsize=_READ_AT_ONCE,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
            # It would send again by itself what gets no answer on a connection that was kept, by methods that do no
            # harm twice: past the rate limit, and though it may have taken effect. There is no other way to say so.
            self._opened._retry_connection = False  # noqa: SLF001 - see above
        return self._opened

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, most: int) -> Answer:
        """See `Wire.send`."""
        whole = content is None or len(content) <= _SENT_AT_ONCE
        try:
            answer = await self._session().request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=content or None if whole else io.BytesIO(content or b""),
                allow_redirects=False,
            )
            try:
                body = await gathered(answer.content.iter_any(), most)
            finally:
                # A connection whose answer was not read to its end is closed by this, and not kept.
                answer.release()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected from error
        except aiohttp.InvalidURL as error:
            raise NoAddress from error
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise (Damaged if _is_damaged(error) else Lost) from error
        return Answer(
            answer.status, [(name.decode("latin-1"), _text(value)) for name, value in answer.raw_headers], body
        )

    async def close(self) -> None:
        """See `Wire.close`."""
        if self._opened is not None:
            await self._opened.close()


def _is_damaged(error: BaseException) -> bool:
    return isinstance(error, ContentEncodingError) or isinstance(error.__cause__, ContentEncodingError)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
