"""Mailchimp's member listings: filters, one sort, pages by offset, and `fields` that cut an answer down."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from twoway.sandbox.clock import parse_time
from twoway.sandbox.mailchimp_audience import STATUSES, Audience
from twoway.sandbox.store import Record, Version

SORT_FIELDS = frozenset({"timestamp_opt", "timestamp_signup", "last_changed"})


class Query(NamedTuple):
    """What a listing was asked for. Times in epoch seconds; `statuses` empty: all but archived, or all."""

    statuses: frozenset[str]
    archived: bool
    since_changed: float
    before_changed: float
    since_opt: float
    before_opt: float
    sort_field: str
    descending: bool


Hit = tuple[Record, Version]


class Listing:
    """The listing of one audience."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        # The latest result, good while the audience rests. A change in between moves later pages, as it should.
        self._cached: tuple[tuple[int, Query], list[Hit]] | None = None

    def run(self, query: Query, at: float) -> list[Hit]:
        """All hits in order, as the listing knows the audience at the instant `at`."""
        members = self._audience.members
        key = (members.revision, query)
        settled = members.last_changed <= at
        if settled and self._cached and self._cached[0] == key:
            return self._cached[1]
        hits = [hit for hit in self._known(query, at) if self._matches(query, *hit)]
        if query.sort_field == "last_changed":
            hits.sort(key=lambda hit: (hit[1].modified, hit[0].id), reverse=query.descending)
        else:
            hits.sort(key=lambda hit: (hit[0].created, hit[0].id), reverse=query.descending)
        self._cached = (key, hits) if settled else None
        return hits

    def _known(self, query: Query, at: float) -> Iterator[Hit]:
        members = self._audience.members
        # Stamps only grow: whoever had changed by then in the index's eyes has a stamp at or after it now.
        for record in members.changed_since(query.since_changed) if query.since_changed else members:
            version = members.as_of(record, at)
            if version is not None:
                yield record, version

    def _matches(self, query: Query, record: Record, version: Version) -> bool:
        status = self._audience.status(version)
        if query.statuses:
            if status not in query.statuses:
                return False
        elif status == "archived" and not query.archived:
            return False
        # Both ends are open: a client that wants the border asks one second further out.
        return (
            query.since_changed < version.modified < query.before_changed
            and query.since_opt < record.created < query.before_opt
        )


def query_of(arguments: Mapping[str, str], *, archived: bool, lists: bool) -> Query:
    """The listing that a query string asks for. ValueError for one that Mailchimp refuses.

    `archived`: does a listing without a status show the archived; `lists`: do several statuses count, or the first.
    """
    named = [part for part in arguments.get("status", "").split(",") if part]
    statuses = frozenset(named if lists else named[:1])
    if unknown := statuses - STATUSES - {"archived"}:
        raise ValueError(f"no such status: {', '.join(sorted(unknown))}")
    sort_field = arguments.get("sort_field") or ""
    if sort_field and sort_field not in SORT_FIELDS:
        raise ValueError(f"members cannot be sorted by {sort_field}")

    def time(name: str, default: float) -> float:
        text = arguments.get(name)
        return parse_time(text) if text else default

    return Query(
        statuses,
        archived,
        time("since_last_changed", 0.0),
        time("before_last_changed", float("inf")),
        time("since_timestamp_opt", 0.0),
        time("before_timestamp_opt", float("inf")),
        sort_field,
        arguments.get("sort_dir", "ASC").upper() == "DESC",
    )


def pick(body: dict[str, Any], fields: list[str], exclude: list[str]) -> dict[str, Any]:
    """What `fields` (dotted paths to keep; none: all) and `exclude_fields` (paths to drop) leave of a body."""
    if fields:
        body = _kept(body, _tree(fields))
    if exclude:
        body = _dropped(body, _tree(exclude))
    return body


Tree = dict[str, "Tree"]


def _tree(paths: list[str]) -> Tree:
    """Dotted paths as nested dicts; an empty one is the end of a path: the whole value."""
    root: Tree = {}
    for path in paths:
        node = root
        for part in path.split("."):
            node = node.setdefault(part, {})
    return root


def _kept(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_kept(each, tree) for each in value]
    if isinstance(value, dict):
        return {name: _kept(value[name], below) for name, below in tree.items() if name in value}
    return value


def _dropped(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        return [_dropped(each, tree) for each in value]
    if isinstance(value, dict):
        return {
            name: _dropped(each, tree.get(name, {})) for name, each in value.items() if name not in tree or tree[name]
        }
    return value
