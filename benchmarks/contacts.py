"""Contacts for the benchmarks, the same every time, and the pair that carries them to an audience."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

PAIR = "crm-newsletter"
MAPPING = """\
pair: crm-newsletter
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: left
match: [email]
conflict: left
on_create:
  right: { status: subscribed }
fields:
  email: { left: email, right: email_address, type: email }
  given: { left: firstname, right: merge_fields.FNAME }
  family: { left: lastname, right: merge_fields.LNAME }
  phone: { left: phone, right: merge_fields.PHONE, type: phone, region: US }
  interests: { left: interests, right: tags, type: set }
schedule: { every: 1s, settle: 0s }
guard: { creates: 100%, max_writes: 1000000 }
"""
_FIRST = datetime(2025, 1, 1, tzinfo=UTC)
INTERESTS = ("news", "events", "vip")
INTERESTS_PROPERTY: Mapping[str, Any] = {
    "name": "interests",
    "type": "enumeration",
    "fieldType": "checkbox",
    "options": [{"value": one, "label": one} for one in INTERESTS],
}


def contacts(count: int) -> Iterator[dict[str, Any]]:
    """HubSpot contacts, each with all that the pair maps, and each last changed a minute after the one before."""
    for number in range(count):
        changed = f"{_FIRST + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}"
        yield {
            "createdAt": changed,
            "updatedAt": changed,
            "properties": {
                "email": f"person{number}@example.com",
                "firstname": f"Zoë {number % 97}",
                "lastname": f"Müller-{number}",
                "phone": f"+1415{5550000 + number % 10000}",
                "interests": ";".join(INTERESTS[: 1 + number % len(INTERESTS)]),
            },
        }
