"""Requests by httpx, which is the default."""

import re
import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from twoway.sdk.wire import Answer, Damaged, Lost, NoAddress, NotConnected, gathered

_PLAIN: Final = re.compile(r"https?://[a-z0-9.\[\]:-]+/(?:[A-Za-z0-9/_~:@!$&'()*+,;=-]|(?<!/)\.|%[0-9A-F]{2})*")
"""An address that goes over the wire as it is written."""


class HttpxWire:
    """See `twoway.sdk.wire.Wire`. `transport` replaces the network, for tests."""

    def __init__(
        self, tls: ssl.SSLContext, connections: int, timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = _Client(
            transport=transport,
            verify=tls,
            http2=False,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0), pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, most: int) -> Answer:
        """See `Wire.send`."""
        try:
            # Made here and not by the client: what that would add is in `headers`, and adding it takes its time.
            request = httpx.Request(method, url, content=content, headers={**headers, "connection": "keep-alive"})
            answer = await self._client.send(request, stream=True)
            try:
                body = await gathered(answer.aiter_bytes(), most)
            finally:
                await answer.aclose()
        except (
            *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, ConnectionRefusedError),
            httpx.ProxyError,  # the proxy opened no way to the app
        ) as error:
            raise NotConnected from error
        except httpx.DecodingError as error:
            raise Damaged from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise NoAddress from error
        except (httpx.TransportError, ConnectionError, ValueError) as error:
            raise Lost from error
        return Answer(answer.status_code, answer.headers.multi_items(), body)

    async def close(self) -> None:
        """See `Wire.close`."""
        await self._client.aclose()


class _NoCookies(httpx.Cookies):
    """Requests are answered by the login alone: a cookie would be a second, hidden one."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Looks at none: reading one that is thrown away takes a tenth of a request's time."""


class _Client(httpx.AsyncClient):
    """httpx's client, without cookies."""

    _none = _NoCookies()

    @property  # type: ignore[misc]  # that of httpx can be set, too
    def cookies(self) -> httpx.Cookies:
        return self._none


def address(url: str, params: list[tuple[str, str | int | float | bool | None]] | None) -> str:
    """An address with a query in place of its own, as it goes over the wire; raises `NoAddress`."""
    if params is None and _PLAIN.fullmatch(url):
        return url
    try:
        return str(httpx.URL(url) if params is None else httpx.URL(url, params=params))
    except httpx.InvalidURL as error:
        raise NoAddress from error
