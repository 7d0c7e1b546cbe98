"""Webhooks: proved to come from HubSpot (signature v3), then read for ids only."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from twoway.sdk import HookRefused, HookRequest, Instant
from twoway_connectors.hubspot.objects import ObjectType

OLDEST = 300_000
"""Milliseconds after which a call is no longer believed."""
LONGEST_STAMP = 20
"""Digits of a time in milliseconds; Python refuses to read a number of thousands of them."""
# HubSpot signs the address with these escapes undone (its page on request validation lists them).
_ESCAPES = {
    "%3A": ":",
    "%2F": "/",
    "%3F": "?",
    "%40": "@",
    "%21": "!",
    "%24": "$",
    "%27": "'",
    "%28": "(",
    "%29": ")",
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}


def parse_hook(request: HookRequest, *, secret: str, now: Instant, object_type: ObjectType) -> Sequence[str]:
    """The ids of this object type that a call names, each once. `HookRefused` where it is not proved genuine."""
    if not secret:
        raise HookRefused(
            "HubSpot's call cannot be verified", remedy="Put the app's client secret into `client_secret`"
        )
    stamp = request.headers.get("x-hubspot-request-timestamp", "")
    if not stamp.isdecimal() or len(stamp) > LONGEST_STAMP or abs(now - int(stamp)) > OLDEST:
        raise HookRefused(
            "HubSpot's call has no time or one too long ago", remedy="Check this machine's clock, if it goes on"
        )
    url = request.url
    for escape, letter in _ESCAPES.items():
        url = url.replace(escape, letter).replace(escape.lower(), letter)
    signed = request.method.encode() + url.encode() + request.body + stamp.encode()
    proof = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
    if not hmac.compare_digest(proof, request.headers.get("x-hubspot-signature-v3", "").encode()):
        raise HookRefused(
            "HubSpot's call has a wrong signature",
            remedy="Check `client_secret`, and that the address is the one that HubSpot was given",
        )
    try:
        events = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        events = None
    if not isinstance(events, list):
        raise HookRefused("HubSpot's call is not a list of events")
    found = [each for event in events if isinstance(event, dict) for each in _ids(event, object_type)]
    return list(dict.fromkeys(found))


def _ids(event: dict[str, Any], object_type: ObjectType) -> list[str]:
    subject = str(event.get("subscriptionType", "")).partition(".")[0]
    if subject not in {object_type.event, "object"}:
        return []
    if subject == "object" and event.get("objectTypeId") != object_type.number:
        return []
    ids = [event.get("objectId"), event.get("primaryObjectId"), event.get("newObjectId")]
    ids += event.get("mergedObjectIds") or ()
    return [str(each) for each in ids if each is not None]
