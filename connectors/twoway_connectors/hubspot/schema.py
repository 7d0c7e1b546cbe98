"""Properties: HubSpot's definitions, and values between its strings and ours.

On the wire every value is a string: numbers and booleans spelt out, several choices as `a;b`, times in ISO or epoch
milliseconds, and an empty string for nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from twoway.sdk import (
    FieldInfo,
    FieldType,
    Raw,
    date_from_epoch_ms,
    instant_from_iso,
    iso_from_instant,
    join_list,
    split_list,
)

_EPOCH_MS = re.compile(r"-?\d+")
_BY_WIDGET = {
    "phonenumber": FieldType.PHONE,
    "textarea": FieldType.TEXT,
    "html": FieldType.TEXT,
    "checkbox": FieldType.SET,
}
_BY_TYPE = {
    "string": FieldType.STRING,
    "phone_number": FieldType.PHONE,
    "number": FieldType.NUMBER,
    "bool": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "enumeration": FieldType.CHOICE,
    "json": FieldType.JSON,
}


class Unwritable(ValueError):
    """A value that cannot be spelt in HubSpot's way; the message never holds the value."""


@dataclass(frozen=True, slots=True)
class Property:
    """One property, as `/crm/v3/properties/{type}` defines it."""

    info: FieldInfo

    @classmethod
    def parse(cls, definition: Mapping[str, Any], *, key: str | None) -> "Property":
        """From HubSpot's JSON. `key` is the property that the object type keeps unique by itself."""
        name = str(definition["name"])
        widget, kind = str(definition.get("fieldType", "")), str(definition.get("type", ""))
        field_type = _BY_WIDGET.get(widget, _BY_TYPE.get(kind, FieldType.STRING))
        if name == "email":
            field_type = FieldType.EMAIL
        if definition.get("referencedObjectType"):
            field_type = FieldType.REFERENCE
        open_choices = bool(definition.get("externalOptions")) or not definition.get("options")
        closed = field_type in {FieldType.CHOICE, FieldType.SET} and not open_choices
        metadata = definition.get("modificationMetadata") or {}
        writable = not (metadata.get("readOnlyValue") or definition.get("calculated"))
        return cls(
            FieldInfo(
                name=name,
                type=field_type,
                label=str(definition.get("label") or ""),
                choices=tuple(str(option["value"]) for option in definition.get("options") or ()) if closed else None,
                on_create=writable,
                on_update=writable,
                unique=bool(definition.get("hasUniqueValue")) or name == key,
            )
        )

    def decode(self, text: str | None) -> Raw:
        """HubSpot's string as a value. What does not read as its type is left as it came."""
        if text is None or text == "":
            return None
        try:
            match self.info.type:
                case FieldType.NUMBER:
                    return _number(text)
                case FieldType.BOOLEAN:
                    return {"true": True, "false": False}.get(text.lower(), text)
                case FieldType.SET:
                    return split_list(text)
                case FieldType.DATE:
                    return date_from_epoch_ms(int(text)) if _EPOCH_MS.fullmatch(text) else text[:10]
                case FieldType.DATETIME:
                    return iso_from_instant(int(text) if _EPOCH_MS.fullmatch(text) else instant_from_iso(text))
                case _:
                    return text
        except (ValueError, OverflowError):
            return text


def _number(text: str) -> Raw:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    return int(number) if number == number.to_integral_value() else number


def encode(value: Raw) -> str:
    """A value as HubSpot's string; `None` is the empty string, which clears. Raises `Unwritable`."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return format(Decimal(repr(value)), "f")
        case Decimal():
            return format(value, "f")
        case list() | tuple() | set() | frozenset():
            try:
                return join_list(encode(part) for part in value)
            except ValueError as error:
                raise Unwritable(str(error)) from None
        case _:
            raise Unwritable(f"HubSpot has no property for a value of this kind ({type(value).__name__})")


class Schema:
    """The properties of an object type, and records decoded by them."""

    def __init__(self, definitions: list[Mapping[str, Any]], *, key: str | None) -> None:
        found = (Property.parse(each, key=key) for each in definitions if not each.get("archived"))
        self.properties = {each.info.name: each for each in sorted(found, key=lambda each: each.info.name)}

    def decode(self, properties: Mapping[str, str | None], wanted: frozenset[str] | None) -> dict[str, Raw]:
        """The wanted ones of a record's properties (`None`: all), decoded."""
        known = self.properties
        return {
            name: known[name].decode(text) if name in known else text
            for name, text in properties.items()
            if wanted is None or name in wanted
        }
