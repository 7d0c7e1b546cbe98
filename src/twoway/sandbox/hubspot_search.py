"""HubSpot's search: filters, one sort, pages by offset, over what the index knew `lag` seconds ago."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from twoway.sandbox.clock import parse_time
from twoway.sandbox.hubspot_objects import Objects
from twoway.sandbox.hubspot_properties import MODIFIED
from twoway.sandbox.store import Record, Version

MAX_GROUPS = 5
MAX_FILTERS = 10
MAX_FILTERS_IN_ALL = 25
MAX_PAGE = 200
MAX_BODY = 3000
"""Characters of a search, as JSON."""

_TEXT = ("email", "firstname", "lastname", "phone", "company", "name", "domain", "dealname")


class Hit(NamedTuple):
    """A record that matched, as the index knows it."""

    record: Record
    version: Version


Test = Callable[[Hit], bool]
Comparable = float | str


class Search:
    """The search index of one object type."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        # The latest result, good while the collection rests: pages of one query need no new scan each.
        self._cached: tuple[tuple[int, bytes], list[Hit]] | None = None

    def run(self, body: Mapping[str, Any], at: float) -> list[Hit]:
        """All hits, sorted, of the index at the instant `at`. ValueError for a query that HubSpot refuses."""
        records = self._objects.records
        key = (records.revision, orjson.dumps([body.get(part) for part in ("filterGroups", "sorts", "query")]))
        settled = records.last_changed <= at
        if settled and self._cached and self._cached[0] == key:
            return self._cached[1]
        hits = self._scan(body, at)
        self._cached = (key, hits) if settled else None
        return hits

    def _scan(self, body: Mapping[str, Any], at: float) -> list[Hit]:
        groups = _groups(body)
        tests = [[self._test(each) for each in group] for group in groups]
        words = str(body.get("query") or "").lower().split()
        hits = [
            hit
            for hit in self._known(at, self._floor(groups))
            if (not tests or any(all(test(hit) for test in group) for group in tests))
            and (not words or self._mentions(hit, words))
        ]
        self._sort(hits, body.get("sorts") or [])
        return hits

    def _known(self, at: float, floor: float) -> Iterator[Hit]:
        records = self._objects.records
        for record in records.changed_since(floor) if floor else records:
            version = records.as_of(record, at)
            if version is not None and not version.deleted:
                yield Hit(record, version)

    def _floor(self, groups: list[list[Mapping[str, Any]]]) -> float:
        """A bound under the modified stamps of all possible hits; 0 if there is none.

        It holds for the past too: a record's stamps only grow, so one that matched then has a later one now.
        """
        modified = MODIFIED[self._objects.type]
        floors: list[float] = []
        for group in groups:
            bounds = [
                _number(each.get("value"))
                for each in group
                if each["propertyName"] == modified and each["operator"] in {"GT", "GTE", "BETWEEN", "EQ"}
            ]
            if not bounds:
                return 0.0
            floors.append(max(bounds))
        return min(floors) / 1000 - 0.001 if floors else 0.0

    def _sort(self, hits: list[Hit], sorts: list[Any]) -> None:
        if not sorts:
            hits.sort(key=lambda hit: hit.record.id)
            return
        if len(sorts) > 1:
            raise ValueError("only one sort is supported")
        sort = sorts[0]
        if isinstance(sort, str):
            name, down = sort.lstrip("-"), sort.startswith("-")
        else:
            name, down = str(sort["propertyName"]), sort.get("direction") == "DESCENDING"
        read = self._reader(name)

        def rank(hit: Hit) -> tuple[bool, float, str]:
            value = read(hit)
            # Records without the value come last, whichever the direction.
            missing = (value is None) != down
            if isinstance(value, str):
                return missing, 0.0, value
            return missing, value or 0.0, ""

        hits.sort(key=lambda hit: hit.record.id)
        hits.sort(key=rank, reverse=down)

    def _reader(self, name: str) -> Callable[[Hit], Comparable | None]:
        """How to read a property for comparing: numbers and times as numbers (times in ms), text in lower case."""
        objects = self._objects
        definition = objects.properties.get(name)
        if definition is None:
            raise ValueError(f"the property {name!r} does not exist")
        if name == MODIFIED[objects.type]:
            return lambda hit: round(hit.version.modified * 1000)
        if name == "createdate":
            return lambda hit: round(hit.record.created * 1000)
        numeric = definition.type in {"number", "date", "datetime"}

        def read(hit: Hit) -> Comparable | None:
            value = objects.value(hit.record, hit.version, name)
            if not value:
                return None
            return _number(value) if numeric else value.lower()

        return read

    def _test(self, each: Mapping[str, Any]) -> Test:
        name, operator = str(each["propertyName"]), str(each["operator"])
        read = self._reader(name)
        definition = self._objects.properties[name]
        numeric = definition.type in {"number", "date", "datetime"}

        def operand(value: Any) -> Comparable:
            if value is None:
                raise ValueError(f"{operator} on {name} needs a value")
            return _number(value) if numeric else str(value).lower()

        match operator:
            case "HAS_PROPERTY":
                return lambda hit: read(hit) is not None
            case "NOT_HAS_PROPERTY":
                return lambda hit: read(hit) is None
            case "IN" | "NOT_IN":
                several = frozenset(operand(value) for value in each.get("values") or ())
                if not several:
                    raise ValueError(f"{operator} on {name} needs values")
                wanted = operator == "IN"
                return lambda hit: (value := read(hit)) is not None and (value in several) is wanted
            case "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN":
                token = str(operand(each.get("value"))).strip("*")
                contained = operator == "CONTAINS_TOKEN"
                return lambda hit: (token in str(read(hit) or "")) is contained
            case "BETWEEN":
                low, high = operand(each.get("value")), operand(each.get("highValue"))
                return lambda hit: (value := read(hit)) is not None and low <= value <= high  # type: ignore[operator]
            case "EQ" | "NEQ" | "LT" | "LTE" | "GT" | "GTE":
                return _compare(read, operator, operand(each.get("value")))
            case _:
                raise ValueError(f"{operator!r} is not an operator")

    def _mentions(self, hit: Hit, words: list[str]) -> bool:
        text = " ".join(str(hit.version.fields.get(name) or "") for name in _TEXT).lower()
        return all(word in text for word in words)


def _compare(read: Callable[[Hit], Comparable | None], operator: str, bound: Any) -> Test:
    def test(hit: Hit) -> bool:
        value: Any = read(hit)
        if value is None:
            return False
        match operator:
            case "EQ":
                return bool(value == bound)
            case "NEQ":
                return bool(value != bound)
            case "LT":
                return bool(value < bound)
            case "LTE":
                return bool(value <= bound)
            case "GT":
                return bool(value > bound)
            case _:
                return bool(value >= bound)

    return test


def _groups(body: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    groups = [list(group.get("filters") or ()) for group in body.get("filterGroups") or ()]
    if len(groups) > MAX_GROUPS or sum(map(len, groups)) > MAX_FILTERS_IN_ALL:
        raise ValueError("too many filter groups or filters")
    if any(len(group) > MAX_FILTERS for group in groups):
        raise ValueError("too many filters in a group")
    for each in (each for group in groups for each in group):
        if not isinstance(each, Mapping) or not {"propertyName", "operator"} <= each.keys():
            raise ValueError("a filter needs propertyName and operator")
    return groups


def page_of(body: Mapping[str, Any], cap: float) -> tuple[int, int]:
    """`limit` and `after` of a query. ValueError if they go beyond what can be paged through."""
    limit, after = int(body.get("limit") or 10), int(body.get("after") or 0)
    if not 0 < limit <= MAX_PAGE:
        raise ValueError(f"limit must be between 1 and {MAX_PAGE}, not {limit}")
    if after + limit > cap:
        raise ValueError(f"only the first {cap:g} results can be paged through")
    return limit, after


def _number(value: Any) -> float:
    """A number, or a time in epoch ms or ISO, as a number (times in ms)."""
    text = str(value)
    try:
        return float(text)
    except ValueError:
        return round(parse_time(text) * 1000)
