"""Addresses: which ones belong to an account, and how they may be shown to people.

An *origin* is scheme, host and port (RFC 6454). A token goes to the origin that the operator configured and nowhere
else, whatever a "next page" link or a redirect says.
"""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from twoway.sdk.errors import TellUser

_PORTS = {"http": 80, "https": 443}
_PERSONAL = re.compile(r"@|%40", re.IGNORECASE)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_PLAIN_PATH = re.compile(r"(?:/(?!\.)[\w~%:@!$&'()*+,;=.-]+)*/?", re.ASCII)
"""A path in which there is nothing to resolve."""


class Origin(NamedTuple):
    """Scheme and host in lower case, and the port as a number, also where the address leaves it out."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            f"{self.scheme}://{host}" if self.port == _PORTS.get(self.scheme) else f"{self.scheme}://{host}:{self.port}"
        )


def _split(url: str) -> tuple[SplitResult, Origin] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts, Origin(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme])


def origin_of(url: str) -> Origin | None:
    """The origin of an absolute http(s) address; None where it is none."""
    found = _split(url)
    return found[1] if found else None


def same_origin(left: str, right: str) -> bool:
    """Whether two absolute addresses have scheme, host and port in common."""
    origin = origin_of(left)
    return origin is not None and origin == origin_of(right)


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_base(url: str, *, name: str, allow_http: bool = False) -> str:
    """The address under which an app is reached, without a slash at its end; `TellUser` where it will not do.

    `http:` is refused beyond this machine, unless allowed by name: it would show the login to everyone on the way.
    """
    found = _split(url)
    remedy = "Write it as https://host or https://host/path"
    if found is None:
        raise TellUser(f"{name}: the address in base_url is not an http(s) address with a host name", remedy=remedy)
    parts, origin = found
    if parts.username is not None or parts.password is not None:
        raise TellUser(
            f"{name}: the address in base_url holds a user name or password", remedy="Put it among the secrets"
        )
    if parts.query or parts.fragment:
        raise TellUser(f"{name}: the address in base_url ({origin}) has a ? or # part", remedy=remedy)
    if origin.scheme == "http" and not (allow_http or is_loopback(origin.host)):
        raise TellUser(
            f"{name}: base_url {origin} is not encrypted, so everyone on the way could read the login",
            remedy="Use https://; plain http is for this machine only, unless the account allows it",
        )
    return f"{origin}{parts.path.rstrip('/')}"


def locate(base: str, path_or_url: str, *, name: str, what: str = "an address") -> str:
    """The full address of a request. A path is appended to `base`; a full address must stay on the origin of `base`."""
    if not _ABSOLUTE.match(path_or_url) and not path_or_url.startswith("//"):
        return f"{base}/{path_or_url.lstrip('/')}" if path_or_url else base
    home = _home(base)
    if path_or_url.startswith(f"{home}/") and _PLAIN_PATH.fullmatch(path_or_url, len(home)):
        return path_or_url
    return stay(base, path_or_url, name=name, what=what)


@lru_cache(maxsize=64)
def _home(base: str) -> str:
    """The origin of an account's address, which is looked at with each request."""
    return str(origin_of(base))


def stay(base: str, link: str, *, name: str, what: str = "a link") -> str:
    """`link`, resolved against `base` as a browser would (RFC 3986); `TellUser` where it leaves the origin."""
    url = urljoin(f"{base}/", link)
    found = _split(url)
    if found is not None and "@" in found[0].netloc:
        # An HTTP library would send it in place of the account's own.
        raise TellUser(
            f"{name}: {origin_of(base)} answered with {what} that holds a login, which was not followed",
            remedy="Requests carry the login of the account and no other: tell the people who run the app",
        )
    if not same_origin(base, url):
        raise TellUser(
            f"{name}: {origin_of(base)} answered with {what} to another place"
            f" ({origin_of(url) or 'not an http address'}), which was not followed",
            remedy="If the app has moved there, put that address into base_url",
        )
    return url


def shown(url: str) -> str:
    """The path of an address as it may be shown: no query (it may hold a secret), no segment with an e-mail address."""
    path = urlsplit(url).path or "/"
    return "/".join("…" if _PERSONAL.search(segment) else segment for segment in path.split("/"))
