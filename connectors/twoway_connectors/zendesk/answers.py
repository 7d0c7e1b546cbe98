"""What Zendesk's refusals mean.

A refusal is `{"error": CODE, "description": …, "details": {FIELD: [{"description": …, "error": CODE}]}}`, or for
malformed requests `{"error": {"title": …, "message": …}}`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from twoway.sdk import ConnectorError, Receipt, TryLater, Write, discreet
from twoway.sdk.http import RateHint
from twoway.sdk.response import Headers, Response

DUPLICATE = "DuplicateValue"
_TICKET_UPDATES = "zendesk-ratelimit-tickets-update"
_TAKEN = re.compile(r"has already been taken|already being used")


class HotRecord(ConnectorError):
    """Zendesk takes no more updates of this one record for now: the account itself is not at its limit."""


def read_limits(headers: Headers) -> RateHint | None:
    """The account's limit a minute, as each answer tells it."""
    try:
        return RateHint(
            limit=int(headers["x-rate-limit"]),
            remaining=int(headers["x-rate-limit-remaining"]),
            reset=float(headers["ratelimit-reset"]),
        )
    except (KeyError, ValueError):
        return None


def classify_update(status: int, headers: Headers, _body: bytes) -> ConnectorError | None:
    """A 429 while the account has requests left is about the record: five updates a minute of a user, says Zendesk.

    Unless the updates of all tickets have used up a limit of their own, which the next one will hit as well.
    """
    hint = read_limits(headers) if status == 429 else None
    if hint is not None and hint.remaining and "remaining=0;" not in headers.get(_TICKET_UPDATES, ""):
        return HotRecord("Zendesk: this record was updated too often within a minute", status=429)
    return None


def too_recent(answer: Response) -> TryLater:
    """A start that the export finds too recent: by Zendesk's clock it is not that late yet."""
    return TryLater(
        f"{answer.where}: the listing would start in what is the future for Zendesk",
        remedy="This machine's clock is ahead: set it (systemd-timesyncd, chrony); the listing starts by itself later",
        status=answer.status,
        after=60.0,
    )


class Refusal:
    """A refusal: `texts` by the field (Zendesk's name, or `base`) that it is about."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        error = body.get("error")
        self.code = error if isinstance(error, str) else ""
        self.entries = list(self._read(body))
        if not self.entries:
            told = error if isinstance(error, Mapping) else {}
            text = body.get("description") or told.get("message") or told.get("title") or self.code
            self.entries = [("base", str(text), self.code)]

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> "Refusal":
        """The refusal of one record of a bulk job."""
        return cls({"error": result.get("error"), "description": result.get("details") or result.get("errors")})

    @staticmethod
    def _read(body: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        details = body.get("details")
        for field, entries in details.items() if isinstance(details, Mapping) else ():
            for entry in entries:
                key = entry.get("field_key")
                name = str(field) if key is None else str(key)
                yield name, str(entry.get("description") or ""), str(entry.get("error") or "")

    @property
    def is_gone(self) -> bool:
        """The record is not there."""
        return self.code in {"RecordNotFound", "UserNotFound", "NotFound"}

    def taken(self) -> bool:
        """Whether it is about a value that another record holds."""
        return any(code == DUPLICATE or _TAKEN.search(text) for _, text, code in self.entries)

    def receipt(self, write: Write) -> Receipt:
        """`refused`, in Zendesk's words without the customer's values."""
        names = (_field(name, write) for name, _, _ in self.entries)
        why = " ".join(text for _, text, _ in self.entries)
        return Receipt.refused(discreet(why, write), next((name for name in names if name), None))


def _field(told: str, write: Write) -> str | None:
    """Our name of the field: as it is told, or the custom field that ends in it."""
    return next((name for name in write.changed if name == told or name.endswith(f".{told}")), None)
