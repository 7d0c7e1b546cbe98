"""What a failed request means: the words that a person reads, and what the engine does next."""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.request import getproxies, proxy_bypass

from twoway.core.model import Instant
from twoway.sdk.errors import AccountRefused, ConnectorError, TellUser, TryLater
from twoway.sdk.origin import origin_of, shown
from twoway.sdk.response import Headers, Response

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429})
_FOREIGN = frozenset({"digest", "kerberos", "negotiate", "ntlm"})
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][\w-]*)(?=\s*(?:,|$)|\s+[^\s=,])")
_QUOTED = re.compile(r'"[^"]*"')
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def retry_after(headers: Headers, now: Instant) -> float | None:
    """Seconds to wait by the header Retry-After: a number, or a date (RFC 9110, 10.2.3); None where there is none.

    A date is counted from the app's own `Date` where it sends one: clocks differ. Fractions of seconds are accepted.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _http_date(text)
        if until is None:
            return None
        seconds = (until - (_http_date(headers.get("date", "")) or now)) / 1000
    return max(0.0, seconds) if seconds < float("inf") else None


def _http_date(text: str) -> Instant | None:
    try:
        stamp = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return round((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1000)


def _foreign_logins(headers: Headers) -> str:
    """The kinds of login that the app asks for, where it takes none that we have; else empty."""
    asked = _SCHEME.findall(_QUOTED.sub('""', headers.get("www-authenticate", "")))
    foreign = [scheme for scheme in dict.fromkeys(asked) if scheme.lower() in _FOREIGN]
    return " or ".join(foreign) if len(foreign) == len(set(asked)) else ""


def by_status(response: Response, *, host: str, now: Instant) -> ConnectorError:
    """The error for a status that the connector did not expect and did not explain itself."""
    status, where = response.status, response.where
    after = retry_after(response.headers, now)
    if status == 401 and (foreign := _foreign_logins(response.headers)):
        return AccountRefused(
            f"{where}: {host} takes logins by {foreign} only (401), which twoway does not speak",
            remedy="Let the server take Basic logins (over https:// they are safe) or bearer tokens",
            status=status,
        )
    if status == 401:
        return AccountRefused(
            f"{where}: the login was refused (401)",
            remedy="Make a new token or password in the app, put it into the account's secrets, resume the account",
            status=status,
        )
    if status == 403:
        return AccountRefused(
            f"{where}: the login may not do this (403)",
            remedy="Give the token the permissions that the connector's page lists, then resume the account",
            status=status,
        )
    if status in _BUSY or status >= 500:
        # 429 and 425 are answers from before the request was taken up, and so is 503 with a time to come back.
        refused = status in {425, 429} or (status == 503 and after is not None)
        return TryLater(f"{where}: {_reason(status)}", status=status, after=after, sent=response.writes and not refused)
    if status == 404:
        return TellUser(
            f"{where}: {host} does not know this address (404)",
            remedy="Check base_url (its host name and path) and the collection's name in the pair file",
            status=status,
        )
    if status in REDIRECTS:
        target = origin_of(response.headers.get("location", ""))
        path = shown(response.headers.get("location", ""))
        return TellUser(
            f"{where}: {host} sends us elsewhere ({status}, to {target or ''}{path}), which was not followed",
            remedy="Put the address where the app really is into base_url",
            status=status,
        )
    return TellUser(
        f"{where}: an answer that was not expected ({status}{', a page of HTML' if response.is_html else ''})",
        remedy="Check base_url; if it is right, the app's API has changed or its connector is wrong: please report it",
        status=status,
    )


def _reason(status: int) -> str:
    if status == 429:
        return "too many requests (429)"
    return f"the app is in trouble ({status})" if status >= 500 else f"the app could not take the request ({status})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, groups opened."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            todo.extend(cause.exceptions)
        todo.extend(linked for linked in (cause.__cause__, cause.__context__) if linked is not None)


def _goes_by_proxy(host: str) -> bool:
    return not getproxies().keys().isdisjoint({"http", "https", "all"}) and not proxy_bypass(host)


def not_connected(error: BaseException, *, where: str, host: str) -> ConnectorError:
    """The error for a connection that never came about: no request was sent."""
    if _goes_by_proxy(host) and not any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        refusal = re.match(r"\d{3}\b", str(error))
        return TryLater(
            f"{where}: the proxy that the environment names opened no connection to {host}"
            f" ({refusal[0] if refusal else type(error).__name__})",
            remedy="Check HTTPS_PROXY and its like: does the proxy run, know the login (else 407) and allow the host"
            " (else 403)? If the host is to be asked directly, put it into NO_PROXY",
        )
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            if cause.errno in _NO_SUCH_HOST:
                return TellUser(
                    f"{where}: there is no host named {host}",
                    remedy=f"Check the spelling in base_url; `getent hosts {host}` here must print an address",
                )
            return TryLater(f"{where}: the name {host} could not be looked up (the name server did not answer)")
        # An HTTP library may wrap them in classes of its own that are these, too, and tell nothing.
        if isinstance(cause, ssl.SSLCertVerificationError) and (why := getattr(cause, "verify_message", "")):
            return TellUser(
                f"{where}: the certificate of {host} is not trusted ({why})",
                remedy="Check the host name in base_url and this machine's clock; for a private authority name its"
                " certificate file in the account's ca_file",
            )
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", "") in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
            return TellUser(
                f"{where}: {host} does not speak TLS on this port",
                remedy="Check the scheme (https or http) and the port in base_url",
            )
        if isinstance(cause, ConnectionRefusedError) or getattr(cause, "errno", None) == errno.ECONNREFUSED:
            return TryLater(
                f"{where}: {host} refused the connection",
                remedy="Nothing listens there: is the app down, or the port in base_url wrong?",
            )
    return TryLater(f"{where}: no connection to {host} ({type(error).__name__})")


def no_answer(error: BaseException, *, where: str, host: str, writes: bool) -> TryLater:
    """The error for a request that was sent, and whose answer never came (in full)."""
    return TryLater(f"{where}: the answer of {host} was lost ({type(error).__name__})", sent=writes)
