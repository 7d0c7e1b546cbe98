"""Search of the Zendesk look-alike: a query's terms, and an index that lags behind the records."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twoway.sandbox import zendesk_organizations as organizations
from twoway.sandbox import zendesk_people as people
from twoway.sandbox import zendesk_tickets as tickets
from twoway.sandbox.kit import Collection, Record, Version, parse_time
from twoway.sandbox.zendesk_errors import bad_request

_DEFAULTS = {**tickets.DEFAULTS, **organizations.DEFAULTS, **people.DEFAULTS}
TYPES = ("user", "organization", "ticket")
_WORDS = ("name", "email", "external_id", "phone", "notes", "details", "subject", "description")


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a query: `name:value`, `name>value` or a bare word (`name` is empty); `negated` by a `-`."""

    name: str
    operator: str
    value: str
    negated: bool = False

    def holds(self, record: Record, version: Version) -> bool:
        """Does the version of the record satisfy the term?"""
        return self._matches(record, version) is not self.negated

    def _matches(self, record: Record, version: Version) -> bool:
        fields, wanted = version.fields, self.value.lower()
        if self.name in {"created", "created_at", "updated", "updated_at"}:
            return self._compares(record.created if self.name.startswith("created") else version.modified)
        if self.name in {"tags", "tag"}:
            return wanted in fields.get("tags", ())
        if self.name == "email" or (not self.name and "@" in wanted):
            return wanted in emails(fields)
        if self.name:
            value = fields.get(self.name, fields.get(f"user_fields.{self.name}", _DEFAULTS.get(self.name)))
            if self.name in {"name", "subject", "description", "notes", "details"}:
                return wanted.rstrip("*") in str(value or "").lower()
            return ("" if value is None else str(value).lower()) == wanted
        return any(wanted.rstrip("*") in str(fields.get(name) or "").lower() for name in _WORDS)

    def _compares(self, at: float) -> bool:
        try:
            edge = parse_time(self.value)
        except ValueError:
            raise bad_request("invalid", f"Invalid search: {self.value} is not a time") from None
        seconds = int(at)
        match self.operator:
            case ">":
                return seconds > edge
            case ">=":
                return seconds >= edge
            case "<":
                return seconds < edge
            case "<=":
                return seconds <= edge
            case _:
                # A bare date means that day.
                return edge <= seconds < edge + (1 if "T" in self.value else 86400)


def emails(fields: Mapping[str, Any]) -> set[str]:
    """All e-mail addresses of a user's fields, in lower case."""
    known = {entry.value.lower() for entry in fields.get("identities", ()) if entry.type == "email"}
    return known | {fields["email"].lower()} if fields.get("email") else known


def parse(query: str) -> list[Term]:
    """The terms of a query. Quotes keep words together; an unbalanced one is taken as it is."""
    try:
        lexer = shlex.shlex(query, posix=True)
        lexer.whitespace_split, lexer.quotes, lexer.escape, lexer.commenters = True, '"', "", ""
        words = list(lexer)
    except ValueError:
        words = query.split()
    return [_term(word) for word in words]


def _term(word: str) -> Term:
    negated = word.startswith("-") and len(word) > 1
    text = word[1:] if negated else word
    for operator in (">=", "<=", ">", "<", ":"):
        name, found, value = text.partition(operator)
        if found and name.replace("_", "").isalnum():
            return Term(name.lower(), operator, value, negated)
    return Term("", "", text, negated)


class Index:
    """What a search finds: the records as they were `lag` seconds ago, deleted ones left out."""

    def __init__(self, now: Callable[[], float], lag: Callable[[], float]) -> None:
        self._now = now
        self._lag = lag

    def find(
        self, collection: Collection, terms: list[Term], exact: Iterable[Record | None] | None = None, after: int = 0
    ) -> Iterator[Record]:
        """The matching records with an id above `after`, ascending.

        `exact` are the only records that match at present, where the caller knows them from an index of its own: then
        just these and what changed within the lag are looked at.
        """
        edge = self._now() - self._lag()
        if exact is None:
            candidates: Iterable[Record] = collection.after(after)
        else:
            near = {record.id: record for record in exact if record is not None}
            near |= {record.id: record for record in collection.changed_since(edge - 1)}
            candidates = (near[number] for number in sorted(near) if number > after)
        for record in candidates:
            version = collection.as_of(record, edge)
            if version is not None and not version.deleted and all(term.holds(record, version) for term in terms):
                yield record
