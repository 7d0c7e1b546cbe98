"""httpx's client as every account has it: no cookies, no redirects, connections by the library that was asked for."""

import ssl
from functools import lru_cache
from typing import Literal
from urllib.request import getproxies

import httpx

from twoway.sdk.errors import TellUser

Library = Literal["httpx", "aiohttp"]
"""What makes the connections beneath httpx: its own part, or that of aiohttp."""


def open_client(
    library: Library,
    *,
    connections: int,
    timeout: float,
    ca_file: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client with up to so many connections, that gives up after `timeout` seconds of silence.

    `ca_file` names certificates that are trusted besides the usual ones. `transport` replaces the network, for tests.
    """
    tls = _tls(ca_file)
    return _Client(
        transport=transport or _transport(library, tls, connections),
        verify=tls,
        http2=False,
        follow_redirects=False,
        timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0), pool=None),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


@lru_cache(maxsize=8)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """One context for all clients: making one takes longer than a request. There is no way to turn checking off."""
    context = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise TellUser(
                f"the certificate file {ca_file} cannot be used ({type(error).__name__})",
                remedy="ca_file must be a readable file of PEM certificates",
            ) from None
    return context


def _transport(library: Library, tls: ssl.SSLContext, connections: int) -> httpx.AsyncBaseTransport | None:
    """What httpx is to use in place of its own."""
    if library == "httpx" or not getproxies().keys().isdisjoint({"http", "https", "all"}):
        # Which addresses go by the environment's proxy, and how, is httpx's to say.
        return None
    # An extra: whoever does without need not have it installed.
    from twoway.sdk.transport import AiohttpTransport  # noqa: PLC0415 - see above

    return AiohttpTransport(tls, connections)


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
