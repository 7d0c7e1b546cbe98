"""HubSpot's error bodies."""

from typing import Any

import orjson

from twoway.sandbox.hubspot_objects import Objects, Taken
from twoway.sandbox.hubspot_properties import OBJECT_TYPE_IDS, Invalid
from twoway.sandbox.store import Record
from twoway.sandbox.wire import Call, Refusal

PORTAL_ID = 4242
"""The account's number."""

_NOUNS = {"contacts": "Contact", "companies": "Company", "deals": "Deal"}


def error(call: Call, status: int, category: str, message: str, **more: Any) -> Refusal:
    """`{status: "error", message, correlationId, category, ...}`."""
    return Refusal(status, body(call, category, message, **more))


def body(call: Call, category: str, message: str, **more: Any) -> dict[str, Any]:
    """An error's body; inside a 207 it stands for one input."""
    return {"status": "error", "message": message, "correlationId": call.trace(), "category": category, **more}


def not_found(call: Call) -> Refusal:
    """404 of a record that is not there (or archived)."""
    return error(call, 404, "OBJECT_NOT_FOUND", "resource not found")


def describe(
    call: Call, reason: Invalid | Taken, objects: Objects, record: Record | None
) -> tuple[int, dict[str, Any]]:
    """Status and body for a value that was refused on `record` (None: on a create)."""
    if isinstance(reason, Invalid):
        result = {"isValid": False, "message": str(reason), "error": reason.code, "name": reason.name}
        detail = {"message": str(reason), "code": reason.code, "context": {"propertyName": [reason.name]}}
        message = f"Property values were not valid: [{orjson.dumps(result).decode()}]"
        return 400, body(call, "VALIDATION_ERROR", message, errors=[detail])
    owner = objects.records.get(reason.owner)
    if record is None and owner is not None and reason.name == "email" and owner.fields.get("email") == reason.value:
        message = f"{_NOUNS[objects.type]} already exists. Existing ID: {reason.owner}"
        return 409, body(call, "CONFLICT", message)
    # On a create the vendor names the record that would have been, whose id then leads nowhere.
    target = record.id if record is not None else objects.records.reserve_id()
    message = (
        f"Cannot set PropertyValueCoordinates{{portalId={PORTAL_ID}, "
        f"objectTypeId=ObjectTypeId{{legacyObjectType={objects.type.upper()}, id={OBJECT_TYPE_IDS[objects.type]}}}, "
        f"propertyName={reason.name}, value={reason.value}}} on {target}. {reason.owner} already has that value."
    )
    detail = {"message": message, "code": "CONFLICTING_UNIQUE_VALUE", "context": {"propertyName": [reason.name]}}
    return 400, body(call, "VALIDATION_ERROR", message, errors=[detail])


def refusal_of(call: Call, reason: Invalid | Taken, objects: Objects, record: Record | None) -> Refusal:
    """The same as an answer."""
    status, content = describe(call, reason, objects, record)
    return Refusal(status, content)
