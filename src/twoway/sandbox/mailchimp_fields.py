"""Mailchimp's merge fields: their definitions, and what values they take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

TYPES = frozenset(
    {"text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip"}
)
ADDRESS_PARTS = ("addr1", "addr2", "city", "state", "zip", "country")
TEXT_LIMIT = 255
"""Bytes of a text: what is longer is clipped."""


class Invalid(ValueError):
    """A value that Mailchimp refuses."""


@dataclass(frozen=True, slots=True)
class MergeField:
    """One merge field. `number` is its id, `tag` its name in `merge_fields`."""

    number: int
    tag: str
    name: str
    type: str = "text"
    required: bool = False
    default: str = ""
    public: bool = True
    choices: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def wire(self, list_id: str) -> dict[str, Any]:
        """The JSON shape of `/lists/{id}/merge-fields`."""
        options = dict(self.options)
        if self.type in {"radio", "dropdown"}:
            options["choices"] = list(self.choices)
        return {
            "merge_id": self.number,
            "tag": self.tag,
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "default_value": self.default,
            "public": self.public,
            "display_order": self.number + 1,
            "options": options,
            "help_text": "",
            "list_id": list_id,
            "_links": [],
        }

    def normal(self, value: Any) -> Any:
        """The value as it is stored; "" is a blank. Raises Invalid."""
        if isinstance(value, bool) or value is None or isinstance(value, list):
            raise Invalid("Data did not match any of the schemas described in anyOf.")
        if value == "":
            return ""
        if self.type == "address":
            return self._address(value)
        if isinstance(value, dict):
            raise Invalid("Data did not match any of the schemas described in anyOf.")
        match self.type:
            case "number":
                return self._number(value)
            case "radio" | "dropdown":
                if str(value) not in self.choices:
                    raise Invalid(f"Value must be one of: {', '.join(self.choices)} (not {value})")
                return str(value)
            case "date":
                return self._date(str(value).strip())
            case "birthday":
                return self._birthday(str(value).strip())
            case "url" | "imageurl" if not re.match(r"https?://\S+$", str(value).strip()):
                raise Invalid("Please enter a valid URL")
            case "zip" if not re.fullmatch(r"\d{5}(-\d{4})?", str(value).strip()):
                raise Invalid("Please enter a valid zip code")
            case _:
                return str(value).strip().encode()[:TEXT_LIMIT].decode(errors="ignore")

    @staticmethod
    def _number(value: Any) -> int | float:
        try:
            number = float(value)
        except ValueError:
            raise Invalid("Please enter a number") from None
        return int(number) if number.is_integer() else number

    @staticmethod
    def _date(value: str) -> str:
        american = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", value)
        try:
            if american:
                month, day, year = map(int, american.groups())
                return date(year, month, day).isoformat()
            return date.fromisoformat(value[:10]).isoformat()
        except ValueError:
            raise Invalid("Please enter the date") from None

    @staticmethod
    def _birthday(value: str) -> str:
        parts = re.fullmatch(r"(\d{1,2})[/-](\d{1,2})", value)
        try:
            month, day = map(int, parts.groups()) if parts else (0, 0)
            date(2000, month, day)
        except ValueError:
            raise Invalid("Please enter a month and a day") from None
        return f"{month:02d}/{day:02d}"

    @staticmethod
    def _address(value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise Invalid("Data did not match any of the schemas described in anyOf.")
        address = {part: str(value.get(part) or "").strip() for part in ADDRESS_PARTS}
        if not all(address[part] for part in ("addr1", "city", "state", "zip")):
            raise Invalid("Please enter a complete address")
        address["country"] = address["country"] or "US"
        return address


def standard() -> dict[str, MergeField]:
    """The merge fields of a new audience, by tag."""
    fields = (
        MergeField(1, "FNAME", "First Name", options={"size": 25}),
        MergeField(2, "LNAME", "Last Name", options={"size": 25}),
        MergeField(3, "ADDRESS", "Address", "address", options={"default_country": 164}),
        MergeField(4, "PHONE", "Phone Number", "phone", options={"phone_format": "none"}),
        MergeField(5, "BIRTHDAY", "Birthday", "birthday", options={"date_format": "MM/DD"}),
    )
    return {each.tag: each for each in fields}


def custom(number: int, body: Mapping[str, Any]) -> MergeField:
    """A merge field as `POST /lists/{id}/merge-fields` asks for it. ValueError if it cannot be."""
    name, kind = str(body.get("name") or ""), str(body.get("type") or "")
    if not name or kind not in TYPES:
        raise ValueError("name and a known type are required")
    options = dict(body.get("options") or {})
    choices = tuple(str(choice) for choice in options.pop("choices", ()))
    if kind in {"radio", "dropdown"} and not choices:
        raise ValueError("choices are required")
    tag = str(body.get("tag") or f"MMERGE{number}").upper()
    if not re.fullmatch(r"[A-Z0-9_]{1,10}", tag):
        raise ValueError(f"a tag has up to ten letters and digits: {tag}")
    return MergeField(
        number,
        tag,
        name,
        kind,
        required=bool(body.get("required")),
        default=str(body.get("default_value") or ""),
        public=bool(body.get("public", True)),
        choices=choices,
        options=options,
    )
