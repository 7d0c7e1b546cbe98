"""The error bodies of the Zendesk look-alike, as one exception type and a constructor for each shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twoway.sandbox.kit import Record, Refusal

Details = dict[str, list[dict[str, Any]]]


class ZendeskError(Refusal):
    """A refusal that still knows its `body`, for the results of bulk jobs."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status, body, headers)
        self.body = body

    def code(self) -> str:
        """The error code of a bulk job's failed result."""
        error = self.body.get("error")
        return error if isinstance(error, str) else "InvalidAttribute"

    def summary(self) -> str:
        """The message of a bulk job's failed result: the descriptions, joined by a blank."""
        details: Details = self.body.get("details") or {}
        lines = [entry["description"] for entries in details.values() for entry in entries]
        return " ".join(lines) or str(self.body.get("description", ""))


def unauthenticated() -> ZendeskError:
    """401: no credentials, or wrong ones."""
    return ZendeskError(401, {"error": "Couldn't authenticate you"})


def forbidden(message: str = "You do not have access to this page.") -> ZendeskError:
    """403 of a caller whose role is too low."""
    return ZendeskError(403, {"error": {"title": "Forbidden", "message": message}})


def imports_disabled() -> ZendeskError:
    """403 of the bulk endpoints that create users, in an account without the bulk import."""
    return ZendeskError(403, {"error": "Forbidden", "message": "Data imports are not enabled"})


def not_found() -> ZendeskError:
    """404 of a record or a path that does not exist."""
    return ZendeskError(404, {"error": "RecordNotFound", "description": "Not found"})


def bad_attribute(attribute: str, expected: str, action: str) -> ZendeskError:
    """400: `attribute` has the wrong JSON type; `action` is the endpoint's name, such as `users/update`."""
    return ZendeskError(
        400,
        {
            "error": {
                "title": "Invalid attribute",
                "message": f"You passed an invalid value for the {attribute} attribute. "
                f"Invalid parameter: {attribute} must be {expected} from api/v2/{action}",
            }
        },
    )


def bad_request(error: str, description: str) -> ZendeskError:
    """400 with a plain error code."""
    return ZendeskError(400, {"error": error, "description": description})


def record_invalid(details: Details) -> ZendeskError:
    """422: values that the record's rules refuse. `details` is by attribute, as `detail` makes them."""
    body = {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
    return ZendeskError(422, body)


def detail(description: str, error: str = "InvalidValue", **more: Any) -> dict[str, Any]:
    """One entry of `details`: what is wrong, for people and as a code."""
    return {"description": description, "error": error, **more}


def duplicate(attribute: str, label: str, value: str) -> ZendeskError:
    """422 of a value that another record holds, where the account wants it unique."""
    text = f"{label}: {value} has already been taken"
    return record_invalid({attribute: [detail(text, "DuplicateValue")]})


def free_external_id(given: Any, record: Record | None, owner_of: Callable[[str], Record | None]) -> str | None:
    """The external id that a request sets, None to empty it; a 422 if another record has it."""
    external = None if given in (None, "") else str(given)
    owner = owner_of(external) if external else None
    if owner is not None and owner is not record:
        raise duplicate("external_id", "External", str(external))
    return external


def invalid_value(description: str) -> ZendeskError:
    """422 of a parameter of an export."""
    return ZendeskError(422, {"error": "InvalidValue", "description": description})


def too_many_values(limit: int) -> ZendeskError:
    """400 of a bulk request with more than `limit` records."""
    return bad_request("TooManyValues", f"at most {limit} records can be given")


def update_conflict() -> ZendeskError:
    """409 of a safe update whose stamp is not the record's."""
    return ZendeskError(
        409, {"error": "UpdateConflict", "description": "The record was changed since the stamp that was given"}
    )


def too_many_requests(wait: float) -> ZendeskError:
    """429 of a limit that one endpoint has, with the seconds to wait."""
    body = {"error": "APIRateLimitExceeded", "description": "Too many of these requests within a minute"}
    return ZendeskError(429, body, {"retry-after": str(max(1, math.ceil(wait)))})


def too_many_jobs(limit: int) -> ZendeskError:
    """429 of an account whose queue of bulk jobs is full."""
    body = {"error": "TooManyJobs", "description": f"at most {limit} jobs may be queued or at work"}
    return ZendeskError(429, body, {"retry-after": "10"})
