"""The connections of an account, by the library that was asked for, over TLS that cannot be turned off."""

import ssl
from functools import lru_cache
from urllib.request import getproxies

import httpx

from twoway.sdk.errors import TellUser
from twoway.sdk.wire import Library, Wire
from twoway.sdk.wire_httpx import HttpxWire


def open_wire(
    library: Library,
    *,
    connections: int,
    timeout: float,
    ca_file: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Wire:
    """A wire with up to so many connections, that gives up after `timeout` seconds of silence.

    `ca_file` names certificates that are trusted besides the usual ones. `transport` replaces the network, for tests.
    """
    tls = _tls(ca_file)
    # Which addresses go by a proxy that the environment names, and how, is httpx's to say.
    if library == "aiohttp" and transport is None and getproxies().keys().isdisjoint({"http", "https", "all"}):
        # An extra: whoever does without need not have it installed.
        from twoway.sdk.wire_aiohttp import AiohttpWire  # noqa: PLC0415 - see above

        return AiohttpWire(tls, connections, timeout)
    try:
        return HttpxWire(tls, connections, timeout, transport)
    except (ImportError, ValueError, httpx.InvalidURL):
        # Of what is asked for here, only these can be wrong. The address of a proxy may hold a password.
        named = " or ".join(sorted(f"{scheme.upper()}_PROXY" for scheme in getproxies()))
        raise TellUser(
            f"the proxy that the environment names cannot be used ({named})",
            remedy="Write a proxy as http://host:port, and only names and addresses into NO_PROXY; socks5:// needs"
            " `pip install httpx[socks]` beside twoway",
        ) from None


@lru_cache(maxsize=8)
def _tls(ca_file: str | None) -> ssl.SSLContext:
    """One context for all clients: making one takes longer than a request. There is no way to turn checking off."""
    context = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            # From a configuration file it may come as a number.
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise TellUser(
                f"the certificate file {ca_file} cannot be used ({type(error).__name__})",
                remedy="ca_file must be a readable file of PEM certificates",
            ) from None
    return context
