"""Zendesk's signed webhooks: https://developer.zendesk.com/documentation/webhooks/verifying/"""

import base64
import hashlib
import hmac
import json

from twoway.sdk import HookRefused, HookRequest, Instant
from twoway.sdk.values import instant_from_iso

OLDEST = 300_000
"""Milliseconds after which a call is too old: it may be a recorded one."""


def ids_of(request: HookRequest, *, secret: str, now: Instant, one: str) -> list[str]:
    """The ids of the records of kind `one` (user, organization, ticket) that an event is about.

    Events name their subject as `zen:user:123`. `HookRefused` for a call whose signature or age is wrong.
    """
    stamp = request.headers.get("x-zendesk-webhook-signature-timestamp", "")
    # As octets: texts are compared only where both are plain ASCII, and this one is whatever anybody sent.
    given = request.headers.get("x-zendesk-webhook-signature", "").encode()
    expected = base64.b64encode(hmac.digest(secret.encode(), stamp.encode() + request.body, hashlib.sha256))
    if not hmac.compare_digest(expected, given):
        raise HookRefused("a webhook call is not signed with the account's webhook_secret")
    try:
        age = abs(now - instant_from_iso(stamp))
        event = json.loads(request.body)
    except ValueError:
        raise HookRefused("a webhook call is signed, but is no event of Zendesk's") from None
    if age > OLDEST:
        raise HookRefused(f"a webhook call is {age // 1000} s old; more than {OLDEST // 1000} s are not accepted")
    subject = str(event.get("subject", "")) if isinstance(event, dict) else ""
    start = f"zen:{one}:"
    return [subject.removeprefix(start)] if subject.startswith(start) else []
