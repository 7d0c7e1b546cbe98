"""Who is in the three apps when the demo begins: made up, the same every time.

300 contacts in the CRM, 250 members of the newsletter, 120 users of the helpdesk; 200 members and 100 users are
contacts as well, by the same e-mail address, often in other case.
"""

from collections.abc import Iterator
from typing import Any

CONTACTS, MEMBERS, USERS = 300, 250, 120
SHARED_MEMBERS, SHARED_USERS = 200, 100

_FIRST = [
    "Ada",
    "Anaïs",
    "Bruno",
    "Chloé",
    "Dilek",
    "Emil",
    "Fatima",
    "Georg",
    "Hanna",
    "Ivo",
    "Jana",
    "Kofi",
    "Léa",
    "Malik",
    "Nora",
    "Oskar",
    "Paula",
    "Quentin",
    "Rosa",
    "Samir",
    "Tove",
    "Uli",
    "Vera",
    "Wim",
    "Xenia",
    "Yara",
    "Zoë",
]
_LAST = [
    "Abel",
    "Brandt",
    "Costa",
    "Dufour",
    "Eriksen",
    "Farkas",
    "García",
    "Haas",
    "Ito",
    "Jensen",
    "Kowalski",
    "López",
    "Müller",
    "Novák",
    "Okafor",
    "Petit",
]


def _name(number: int) -> tuple[str, str]:
    return _FIRST[number % len(_FIRST)], f"{_LAST[number % len(_LAST)]}-{number}"


def _email(number: int, *, shouted: bool = False) -> str:
    text = f"person{number}@example.com"
    return text.replace("person", "Person").replace("example", "Example") if shouted else text


def _phone(number: int) -> str:
    return f"+1415555{2000 + number}"


def _interests(number: int) -> list[str]:
    return ["news"] + (["events"] if number % 3 == 0 else [])


def contacts() -> Iterator[dict[str, Any]]:
    """The CRM's contacts: one has a phone that is none, two are one person without an e-mail address."""
    for number in range(CONTACTS - 2):
        first, last = _name(number)
        properties = {
            "email": _email(number),
            "firstname": first,
            "lastname": last,
            "phone": _phone(number),
            "lifecyclestage": "customer" if number % 2 else "lead",
            "interests": ";".join(_interests(number)),
            "newsletter_optout": "true" if number % 50 == 7 else "false",
        }
        if number == 5:
            properties["phone"] = "ask reception"
        yield {"properties": properties}
    for _ in range(2):
        yield {
            "properties": {
                "firstname": "Jo",
                "lastname": "Doppel",
                "phone": "+14155559999",
                "lifecyclestage": "customer",
            }
        }


def members() -> Iterator[dict[str, Any]]:
    """The newsletter's members: some have unsubscribed, one of them unbeknown to the CRM."""
    for at in range(MEMBERS):
        number = at if at < SHARED_MEMBERS else at + 1000
        first, last = _name(number)
        yield {
            "email_address": _email(number, shouted=at % 4 == 0),
            "status": "unsubscribed" if at in (7, 20) else "subscribed",
            "merge_fields": {"NAME": f"{first} {last}", "PHONE": "" if at % 5 == 0 else _phone(number)},
            "tags": _interests(number) + (["vip"] if at % 20 == 0 else []),
        }


def users() -> Iterator[dict[str, Any]]:
    """The helpdesk's users; one of them may be either of the two contacts that are one person."""
    for at in range(USERS - 1):
        number = at if at < SHARED_USERS else at + 2000
        first, last = _name(number)
        yield {
            "name": f"{first} {last}",
            "email": _email(number, shouted=at % 3 == 0),
            "phone": None if at % 5 == 0 else _phone(number),
            "role": "end-user",
        }
    yield {"name": "Jo Doppel", "email": "jo@example.com", "phone": "+14155559999", "role": "end-user"}
