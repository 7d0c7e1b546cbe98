"""HubSpot's properties: their definitions per object type, and what values they take.

Values are strings on the wire. `Property.normal` gives the string that is stored, or raises `Invalid` with
HubSpot's error code.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twoway.sandbox.clock import iso_ms, parse_time

OBJECT_TYPES = ("contacts", "companies", "deals")
OBJECT_TYPE_IDS = {"contacts": "0-1", "companies": "0-2", "deals": "0-3"}
MODIFIED = {"contacts": "lastmodifieddate", "companies": "hs_lastmodifieddate", "deals": "hs_lastmodifieddate"}
ALWAYS = {name: ("createdate", modified, "hs_object_id") for name, modified in MODIFIED.items()}
"""The properties of every answer, whatever was asked for."""
DEFAULTS = {
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    "companies": ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    "deals": (
        "amount",
        "closedate",
        "createdate",
        "dealname",
        "dealstage",
        "hs_lastmodifieddate",
        "hs_object_id",
        "pipeline",
    ),
}
"""The properties of an answer for which none were asked."""

LIFECYCLE = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
_EMAIL = re.compile(r"[^@\s;,]+@[^@\s;,]+\.[^@\s;,]{2,}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Invalid(ValueError):
    """A value that HubSpot refuses: its error code, and a message for people."""

    def __init__(self, code: str, message: str, name: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


@dataclass(frozen=True, slots=True)
class Property:
    """One property's definition. `type`: string, number, date, datetime, enumeration or bool."""

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    """(value, label), in order."""
    group: str = "contactinformation"
    read_only: bool = False
    calculated: bool = False
    unique: bool = False
    hubspot_defined: bool = True
    description: str = ""
    hidden: bool = False
    created: float = field(default=1_500_000_000.0)

    def wire(self) -> dict[str, Any]:
        """The JSON shape of `/crm/v3/properties`."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [
                {"label": label, "value": value, "displayOrder": n, "hidden": False}
                for n, (value, label) in enumerate(self.options)
            ],
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": False,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "hubspotDefined": self.hubspot_defined,
            "formField": not self.read_only,
            "archived": False,
            "createdAt": iso_ms(self.created),
            "updatedAt": iso_ms(self.created),
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyOptions": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
        }

    def normal(self, value: str) -> str:
        """The value as it is stored; "" (clears it) always passes."""
        if self.read_only:
            raise Invalid(
                "READ_ONLY_VALUE", f'"{self.name}" is a read only property; its value cannot be set.', self.name
            )
        if value == "":
            return value
        match self.type:
            case "number":
                return self._number(value)
            case "date" | "datetime":
                return self._time(value)
            case "bool":
                return self._option(value.lower(), ("true", "false"))
            case "enumeration" if self.field_type == "checkbox":
                allowed = tuple(option for option, _ in self.options)
                chosen = [self._option(part, allowed) for part in value.strip(";").split(";")]
                return ";".join(dict.fromkeys(chosen))
            case "enumeration":
                return self._option(value, tuple(option for option, _ in self.options))
            case _:
                return self._text(value)

    def _text(self, value: str) -> str:
        if self.name == "email":
            value = value.strip().lower()
            if not _EMAIL.fullmatch(value):
                raise Invalid("INVALID_EMAIL", f"Email address {value} is invalid", self.name)
        elif self.name == "hs_additional_emails":
            value = ";".join(part.strip().lower() for part in value.split(";") if part.strip())
        return value

    def _number(self, value: str) -> str:
        try:
            float(value)
        except ValueError:
            raise Invalid("INVALID_INTEGER", f"{value} was not a valid number.", self.name) from None
        return value

    def _time(self, value: str) -> str:
        """Epoch milliseconds or ISO in, ISO out. A `date` must be midnight UTC."""
        try:
            at = int(value) / 1000 if re.fullmatch(r"-?\d{6,}", value) else parse_time(value)
        except ValueError:
            raise Invalid("INVALID_LONG", f"{value} was not a valid long.", self.name) from None
        if self.type == "datetime":
            return iso_ms(at)
        if at % 86400:
            raise Invalid("INVALID_DATE", f"{value} is not midnight UTC.", self.name)
        return iso_ms(at)[:10]

    def _option(self, value: str, allowed: tuple[str, ...]) -> str:
        if value not in allowed:
            shown = ", ".join(allowed)
            raise Invalid("INVALID_OPTION", f"{value} was not one of the allowed options: [{shown}]", self.name)
        return value


def custom(body: Mapping[str, Any], now: float) -> Property:
    """A property as `POST /crm/v3/properties/{type}` asks for it. ValueError if it cannot be."""
    name = str(body.get("name", ""))
    if not _NAME.fullmatch(name):
        raise ValueError(f"Property names must be lower case letters, digits and underscores: {name!r}")
    kind = str(body.get("type", ""))
    if kind not in {"string", "number", "date", "datetime", "enumeration", "bool"}:
        raise ValueError(f"{kind!r} is not a property type")
    if not body.get("groupName"):
        raise ValueError("groupName is required")
    options = body.get("options") or ()
    return Property(
        name=name,
        label=str(body.get("label") or name),
        type=kind,
        field_type=str(body.get("fieldType") or "text"),
        options=tuple((str(option["value"]), str(option.get("label", option["value"]))) for option in options),
        group=str(body["groupName"]),
        unique=bool(body.get("hasUniqueValue")),
        hubspot_defined=False,
        description=str(body.get("description") or ""),
        hidden=bool(body.get("hidden")),
        created=now,
    )


def _table(*properties: Property) -> dict[str, Property]:
    return {each.name: each for each in properties}


def _options(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple((value, value.replace("_", " ").title()) for value in values)


def _shared(modified: str) -> tuple[Property, ...]:
    return (
        Property("hs_object_id", "Record ID", "number", "number", read_only=True),
        Property("createdate", "Create Date", "datetime", "date", read_only=True),
        Property(modified, "Last Modified Date", "datetime", "date", read_only=True),
        Property("hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox", read_only=True),
        Property("hubspot_owner_id", "Owner", "string", "text"),
        Property("lifecyclestage", "Lifecycle Stage", "enumeration", "radio", _options(*LIFECYCLE)),
    )


def standard(object_type: str) -> dict[str, Property]:
    """The properties that every account has, by name."""
    shared = _shared(MODIFIED[object_type])
    match object_type:
        case "contacts":
            return _table(
                *shared,
                Property("email", "Email", unique=True),
                Property("hs_additional_emails", "Additional email addresses"),
                Property("firstname", "First Name"),
                Property("lastname", "Last Name"),
                Property("hs_full_name_or_email", "Full name or email", read_only=True, calculated=True),
                Property("phone", "Phone Number", field_type="phonenumber"),
                Property("mobilephone", "Mobile Phone Number", field_type="phonenumber"),
                Property("company", "Company Name"),
                Property("jobtitle", "Job Title"),
                Property("website", "Website URL"),
                Property("address", "Street Address"),
                Property("city", "City"),
                Property("state", "State/Region"),
                Property("zip", "Postal Code"),
                Property("country", "Country/Region"),
                Property("date_of_birth", "Date of birth"),
                Property(
                    "numemployees", "Number of Employees", "enumeration", "select", _options("1-5", "5-25", "25-50")
                ),
                Property("hs_lead_status", "Lead Status", "enumeration", "radio", _options("NEW", "OPEN", "CONNECTED")),
                Property("hs_email_optout", "Unsubscribed from all email", "bool", "booleancheckbox", read_only=True),
            )
        case "companies":
            return _table(
                *shared,
                Property("name", "Company name", group="companyinformation"),
                Property("domain", "Company Domain Name", group="companyinformation"),
                Property("phone", "Phone Number", field_type="phonenumber", group="companyinformation"),
                Property("city", "City", group="companyinformation"),
                Property("country", "Country/Region", group="companyinformation"),
                Property("industry", "Industry", group="companyinformation"),
                Property("numberofemployees", "Number of Employees", "number", "number", group="companyinformation"),
                Property("annualrevenue", "Annual Revenue", "number", "number", group="companyinformation"),
            )
        case _:
            return _table(
                *shared,
                Property("dealname", "Deal Name", group="dealinformation"),
                Property("amount", "Amount", "number", "number", group="dealinformation"),
                Property("closedate", "Close Date", "datetime", "date", group="dealinformation"),
                Property("pipeline", "Pipeline", "enumeration", "select", _options("default"), group="dealinformation"),
                Property(
                    "dealstage",
                    "Deal Stage",
                    "enumeration",
                    "radio",
                    _options("appointmentscheduled", "qualifiedtobuy", "closedwon", "closedlost"),
                    group="dealinformation",
                ),
            )
