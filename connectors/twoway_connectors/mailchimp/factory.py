"""What an account of Mailchimp takes in the configuration, and its login."""

import re
from collections.abc import Mapping
from typing import ClassVar

from twoway.sdk import AccountRefused, ConnectorContext, ConnectorError, TellUser, TryLater
from twoway.sdk.auth import BasicAuth
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Headers
from twoway_connectors.mailchimp.members import CAPABILITIES, COLLECTION, Members

CONNECTIONS = 8
"""Requests at once. An account may have ten; two are left to the other programs that use it."""
REQUESTS_A_SECOND = 50
"""Mailchimp limits connections and not the rate; this only keeps a fault of ours from flooding it."""

PATIENCE = CAPABILITIES.request_lifetime / 1000 + 5
"""Seconds for which an answer is waited for."""

_DATA_CENTRE = re.compile(r"-([a-z]{2}\d+)$")


class Mailchimp:
    """Makes connectors for Mailchimp: entry point `mailchimp`."""

    name: ClassVar[str] = "mailchimp"
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": "an API key with its data centre, as in 0123…-us6 (Account & billing > Extras > API keys)",
    }
    settings: ClassVar[Mapping[str, str]] = {
        "base_url": "another address of the API than https://DC.api.mailchimp.com/3.0 (a proxy, the sandbox)",
        "ca_file": "a file of PEM certificates to trust besides the usual ones",
    }

    def __call__(self, context: ConnectorContext) -> Members:
        """The connector for one side of a pair. TellUser for a collection that Mailchimp does not have."""
        if context.collection != COLLECTION:
            raise TellUser(
                f"{context.account}: Mailchimp has no collection named {context.collection!r}",
                remedy=f"The only one is `{COLLECTION}`: write `collection: {COLLECTION}` in the pair file",
            )
        key = context.secrets.get("api_key", "").strip()
        if not key:
            raise AccountRefused(f"{context.account}: there is no API key", remedy="Set the account's secret `api_key`")
        http: HttpClient = context.open_http(
            str(context.settings.get("base_url") or _address(context.account, key)),
            auth=BasicAuth("twoway", key),
            rate=REQUESTS_A_SECOND,
            burst=CONNECTIONS,
            concurrency=CONNECTIONS,
            ca_file=context.settings.get("ca_file"),
            # Who gives up before Mailchimp does cannot tell what became of a batch that only took its time.
            timeout=PATIENCE,
            deadline=PATIENCE,
            classify=classify,
        )
        return Members(http, context)


def _address(account: str, key: str) -> str:
    """The address of the data centre that the end of the key names."""
    found = _DATA_CENTRE.search(key)
    if found is None:
        raise TellUser(
            f"{account}: the API key does not end in its data centre, as in -us6",
            remedy="Copy the whole key, also what follows its last dash; or set base_url",
        )
    return f"https://{found[1]}.api.mailchimp.com/3.0"


def classify(status: int, headers: Headers, _body: bytes) -> ConnectorError | None:
    """A 403 that is no problem document is the front door's, from before the request was taken up: it asks for a pause.

    Everything else means what it means anywhere. A refused login is a 401, or a 403 with a problem document.
    """
    if status == 403 and "json" not in headers.get("content-type", ""):
        return TryLater("Mailchimp turned the request away at its door (a 403 without a reason)", status=403)
    return None
