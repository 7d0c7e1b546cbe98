"""Alerts by POST to an address, which is a secret: those of chat services carry their login in path or query."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from twoway.daemon.alerts import Deliver, by_post
from twoway.ports import Clock
from twoway.sdk.errors import ConnectorError, TellUser
from twoway.sdk.http import make_open_http
from twoway.sdk.origin import is_loopback, origin_of

_LIKE_A_SECRET = 16


def by_webhook(url: str, clock: Clock) -> Deliver:
    """Deliver alerts to `url`. Raises `TellUser` for an address that will not do, without showing it."""
    origin = origin_of(url)
    if origin is None or (origin.scheme == "http" and not is_loopback(origin.host)):
        raise TellUser(
            "alerts.webhook_url is no address that alerts can be sent to",
            remedy="Write it as https://host/path; plain http is for this machine only",
        )

    async def post(target: str, body: bytes) -> int:
        # Alerts are rare: a client for each keeps no connection open, and outlives no reload.
        http = make_open_http(clock, account="alerts")(str(origin), rate=1.0)
        headers = {"content-type": "application/json", "accept": "*/*"}
        try:
            answer = await http.request("POST", target, content=body, headers=headers, expect=range(100, 600))
        except ConnectorError as error:
            raise OSError(error.message) from error
        finally:
            await http.close()
        return answer.status

    return by_post(url, post)


def secret_parts(url: str) -> Iterator[str]:
    """What of the address must not be in a log: all of it, and its parts that may be told apart from it."""
    yield url
    if origin_of(url) is None:
        # Nothing is ever sent there, and it may be such that it cannot even be taken apart.
        return
    parts = urlsplit(url)
    yield parts.path
    yield from (part for part in parts.path.split("/") if len(part) >= _LIKE_A_SECRET)
    yield from (value for _, value in parse_qsl(parts.query))
