"""What an account of Zendesk takes in the configuration, its login and its limits."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from twoway.sdk import AccountRefused, ConnectorContext, TellUser
from twoway.sdk.auth import Auth, BasicAuth, BearerAuth
from twoway.sdk.http import HttpClient
from twoway_connectors.zendesk.answers import read_limits
from twoway_connectors.zendesk.catalog import COLLECTIONS
from twoway_connectors.zendesk.listing import EXPORTS
from twoway_connectors.zendesk.reading import EXTERNAL_ID
from twoway_connectors.zendesk.records import Records
from twoway_connectors.zendesk.writing import TICKET_UPDATES

PLANS: Mapping[str, int] = {"team": 200, "growth": 400, "professional": 400, "enterprise": 700, "high-volume": 2500}
"""Requests a minute by plan: https://developer.zendesk.com/api-reference/introduction/rate-limits/"""
EXPORTS_A_MINUTE = 10
TICKET_UPDATES_A_MINUTE: Mapping[str, int] = {"high-volume": 300}
"""100 in all other plans."""
SHARE = 0.9
"""The part of a limit that we use: people's own scripts have the same account."""
CONNECTIONS = 4

_SUBDOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*", re.IGNORECASE)


class Zendesk:
    """Makes connectors for Zendesk: entry point `zendesk`."""

    name: ClassVar[str] = "zendesk"
    secrets: ClassVar[Mapping[str, str]] = {
        "api_token": "an API token, used with the setting `email` (Admin Center > Apps and integrations > Zendesk API)",
        "oauth_token": "instead of the API token: an OAuth access token with the scopes read and write",
        "webhook_secret": "the signing secret of the webhook, if webhooks are used",
    }
    settings: ClassVar[Mapping[str, str]] = {
        "subdomain": "acme for https://acme.zendesk.com",
        "email": "the administrator's address that the API token belongs to",
        "plan": f"sets the requests a minute: {', '.join(PLANS)} (default: team, the least)",
        "marker": "external_id: mark the records that twoway makes, in a field that nothing else uses (default: none)",
        "bulk": "false: write records one by one, never by bulk jobs (default: true)",
        "verify_email": "true: let Zendesk mail people to confirm an address that was written (default: false)",
        "base_url": "another address of the API than https://SUBDOMAIN.zendesk.com/api/v2 (a proxy, the sandbox)",
        "ca_file": "a file of PEM certificates to trust besides the usual ones",
    }

    def __call__(self, context: ConnectorContext) -> Records:
        """The connector for one side of a pair. TellUser for settings or a collection that will not do."""
        collection = COLLECTIONS.get(context.collection)
        if collection is None:
            raise TellUser(
                f"{context.account}: Zendesk has no collection named {context.collection!r}",
                remedy=f"Write one of these in the pair file: {', '.join(COLLECTIONS)}",
            )
        settings = context.settings
        plan = str(settings.get("plan") or "team")
        if plan not in PLANS:
            raise _wrong(context, "plan", plan, PLANS)
        rate = PLANS[plan] * SHARE / 60
        http: HttpClient = context.open_http(
            settings.get("base_url") or _address(context),
            auth=_login(context),
            rate=rate,
            burst=max(1, int(rate)),
            concurrency=CONNECTIONS,
            lanes={
                EXPORTS: EXPORTS_A_MINUTE * SHARE / 60,
                TICKET_UPDATES: TICKET_UPDATES_A_MINUTE.get(plan, 100) * SHARE / 60,
            },
            read_limits=read_limits,
            ca_file=settings.get("ca_file"),
        )
        return Records(
            http,
            context,
            collection,
            marks=_marks(context),
            bulk=_switch(context, "bulk", default=True),
            verify=_switch(context, "verify_email", default=False),
        )


def _address(context: ConnectorContext) -> str:
    subdomain = str(context.settings.get("subdomain") or "")
    if not _SUBDOMAIN.fullmatch(subdomain):
        raise TellUser(
            f"{context.account}: the setting `subdomain` is missing, or is no name",
            remedy="Write only the first part of the address: acme for https://acme.zendesk.com",
        )
    return f"https://{subdomain}.zendesk.com/api/v2"


def _login(context: ConnectorContext) -> Auth:
    if token := context.secrets.get("oauth_token", "").strip():
        return BearerAuth(token)
    email, token = str(context.settings.get("email") or "").strip(), context.secrets.get("api_token", "").strip()
    if not email or not token:
        raise AccountRefused(
            f"{context.account}: there is no login",
            remedy="Set `email` and the secret `api_token`, or the secret `oauth_token`",
        )
    return BasicAuth(f"{email}/token", token)


def _marks(context: ConnectorContext) -> bool:
    marker = context.settings.get("marker") or "none"
    if marker == "none":
        return False
    if marker != EXTERNAL_ID:
        raise _wrong(context, "marker", str(marker), (EXTERNAL_ID, "none"))
    if EXTERNAL_ID in context.fields:
        raise TellUser(
            f"{context.account}: the external id cannot be the marker and a mapped field at once",
            remedy="Take `marker` out of the account's settings, or external_id out of the pair file",
        )
    return True


def _switch(context: ConnectorContext, name: str, *, default: bool) -> bool:
    value = context.settings.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(context, name, str(value), ("true", "false"))
    return value


def _wrong(context: ConnectorContext, name: str, value: str, valid: Any) -> TellUser:
    return TellUser(
        f"{context.account}: the setting `{name}` cannot be {value!r}", remedy=f"Valid are: {', '.join(valid)}"
    )
