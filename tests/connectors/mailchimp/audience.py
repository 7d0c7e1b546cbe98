"""What the tests of the Mailchimp connector have in common: members, and writes of them."""

from collections.abc import Callable
from typing import Any

from tests.connectors.vendor_account import Driven, create
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.mailchimp_fields import custom
from twoway.sdk import Write

START = 1_750_000_000.0
FIELDS = frozenset({"email_address", "status", "merge_fields.FNAME", "tags"})
Open = Callable[..., Driven[MailchimpApp]]


def member(name: str, **more: Any) -> dict[str, Any]:
    return {"email_address": f"{name}@mail.test", "merge_fields": {"FNAME": name}, **more}


def loaded(mail: Driven[MailchimpApp], count: int, **more: Any) -> None:
    mail.app.load([member(f"m{number:05}", **more) for number in range(count)])


def new(name: str, **changed: Any) -> Write:
    return create(f"op-{name}", **{"email_address": f"{name}@mail.test", "status": "subscribed", **changed})


def ids(mail: Driven[MailchimpApp]) -> dict[str, str]:
    """Contact ids by the name before the @."""
    shown = mail.app.records(LIST_ID)
    return {entry["email_address"].partition("@")[0]: entry["contact_id"] for entry in shown}


def define(mail: Driven[MailchimpApp], **field: Any) -> None:
    audience = mail.app.audiences[LIST_ID]
    definition = custom(len(audience.fields) + 1, {"name": field["tag"].title(), **field})
    audience.fields[definition.tag] = definition


def shown(mail: Driven[MailchimpApp], name: str) -> dict[str, Any]:
    entries = mail.app.records(LIST_ID)
    return next(dict(entry) for entry in entries if entry["email_address"].startswith(f"{name}@"))
