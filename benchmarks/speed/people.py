"""Synthetic contacts, the same every time: 15 fields and about 500 bytes of JSON each."""

from collections.abc import Sequence

Row = dict[str, str]

NAMES: Sequence[tuple[str, str]] = (
    ("email", "email_address"),
    ("firstname", "first_name"),
    ("lastname", "last_name"),
    ("phone", "phone_number"),
    ("company", "organization"),
    ("jobtitle", "title"),
    ("address", "street"),
    ("city", "town"),
    ("state", "region"),
    ("zip", "postal_code"),
    ("country", "country_name"),
    ("website", "home_page"),
    ("lifecyclestage", "stage"),
    ("number", "customer_number"),
    ("remarks", "notes"),
)
"""Each field's name in the left app and in the right one; the first is the key that both keep unique."""
SIDES = ("left", "right")
FIELDS = {side: tuple(names[at] for names in NAMES) for at, side in enumerate(SIDES)}
_STAGES = ("lead", "subscriber", "opportunity", "customer")


def email(number: int) -> str:
    """The address of the contact with this number."""
    return f"person{number}@example.com"


def contact(number: int, side: str = "left") -> Row:
    """One contact, by the field names of a side."""
    values = (
        email(number),
        f"Zoë-{number % 97}",
        f"Müller-{number}",
        f"+1415{5_550_000 + number % 10_000}",
        f"Company {number % 1_000} of Examples Limited",
        f"Head of Department {number % 40}",
        f"{number % 900} Long Example Street, Building {number % 7}",
        f"Example Town {number % 300}",
        f"Region {number % 50}",
        f"{10_000 + number % 80_000}",
        f"Country {number % 120}",
        f"https://www.company{number % 1_000}.example.com/people/{number}",
        _STAGES[number % len(_STAGES)],
        f"{number}",
        f"Met at fair {number % 12}; asked for the catalogue",
    )
    return dict(zip(FIELDS[side], values, strict=True))
