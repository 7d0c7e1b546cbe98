"""Records by id, and ids by value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from twoway.sdk import MARKER, Absence, Fetched, Presence, Raw
from twoway_connectors.hubspot.objects import MORE_EMAILS
from twoway_connectors.hubspot.schema import Unwritable, encode
from twoway_connectors.hubspot.wire import SEARCH, SEARCH_ROOM, Wire, list_of, merged_ids

BATCH = 100
BATCH_WITH_HISTORY = 50
SEARCH_PAGE = 200
SEARCH_VALUES = 100
_NOT_FOUND = "OBJECT_NOT_FOUND"
_ID = re.compile("[1-9][0-9]*")
"""HubSpot's ids are numbers. One with a zero before it would be answered by another, as if it were merged into that."""


class Reader:
    """Reads by id and look-ups, for one object type."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        """For each id the live record, or why there is none; see `Connector.fetch`."""
        asked = [each for each in dict.fromkeys(ids) if _ID.fullmatch(each)]
        answers: dict[str, Fetched] = {each: Absence(each, Presence.GONE) for each in ids if not _ID.fullmatch(each)}
        live, missing = await self._by_id(asked)
        records = {record.id: record for record in await self._wire.records(list(live.values()))}
        answers |= {each: record for each, record in records.items() if each in asked}
        open_ids = [each for each in asked if each not in answers]
        for each in open_ids:
            into = _survivor(each, live)
            if into is not None:
                answers[each] = Absence(each, Presence.MERGED, into)
        lost = [each for each in open_ids if each not in answers and each in missing]
        if lost:
            answers |= await self._absent(lost)
        for each in asked:
            if each not in answers:
                answers[each] = await self._alone(each)
        return answers

    async def _by_id(
        self, ids: Sequence[str], *, archived: bool = False
    ) -> tuple[dict[str, Mapping[str, Any]], frozenset[str]]:
        """The records that are there, by *their* id, and the ids that HubSpot says are not."""
        if not ids:
            return {}, frozenset()
        request: dict[str, Any] = {"inputs": [{"id": each} for each in ids], "properties": self._wire.properties()}
        if self._wire.times and self._wire.fields and not archived:
            request["propertiesWithHistory"] = sorted(self._wire.fields)
        response = await self._wire.http.request(
            "POST",
            f"{self._wire.path}/batch/read",
            params={"archived": "true" if archived else "false"},
            json=request,
            reads=True,
        )
        body = response.json()
        results = {str(each["id"]): each for each in list_of(body, "results", self._wire.account)}
        return results, _not_found(body)

    async def _absent(self, ids: Sequence[str]) -> dict[str, Fetched]:
        """Archived, merged into an archived record, or gone."""
        archived, missing = await self._by_id(ids, archived=True)
        found: dict[str, Fetched] = {}
        for each in ids:
            into = _survivor(each, archived)
            if each in archived:
                found[each] = Absence(each, Presence.ARCHIVED)
            elif into is not None:
                found[each] = Absence(each, Presence.MERGED, into)
            elif each in missing:
                found[each] = Absence(each, Presence.GONE)
            else:
                found[each] = Absence(each, Presence.UNKNOWN)
        return found

    async def _alone(self, id: str) -> Fetched:
        """One id that a batch left open: HubSpot answers with the survivor when it was merged away."""
        response = await self._wire.http.request(
            "GET",
            f"{self._wire.path}/{quote(id, safe='')}",
            params={"properties": ",".join(self._wire.properties())},
            expect=(200, 404),
        )
        if response.status == 404:
            return Absence(id, Presence.UNKNOWN)
        result = response.json()
        if str(result["id"]) != id:
            return Absence(id, Presence.MERGED, str(result["id"]))
        return (await self._wire.records([result]))[0]

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """The ids of the live records that hold each value; see `Connector.find`.

        By the e-mail address (also a secondary one) and by the marker HubSpot reads its records themselves; by any
        other property it searches its index, which is late.
        """
        texts = {value: _text(value) for value in values}
        wanted = sorted({text for text in texts.values() if text})
        if field == MARKER:
            # By a property that is not unique HubSpot finds nobody, and what was made would be made once more.
            await self._wire.check_marker()
        name = self._wire.marker if field == MARKER else field
        if field == MARKER or name == self._wire.type.key:
            found = await self._by_property(name, wanted)
        else:
            found = await self._by_search(name, wanted)
        return {value: sorted(found.get(text, ()), key=int) for value, text in texts.items()}

    async def _by_property(self, name: str, values: Sequence[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for start in range(0, len(values), BATCH):
            for result in await self._read_by(name, values[start : start + BATCH]):
                properties = result["properties"]
                held = [properties.get(name) or ""]
                if name == self._wire.type.key:
                    held += (properties.get(MORE_EMAILS) or "").split(";")
                for each in held:
                    found.setdefault(_text(each), set()).add(str(result["id"]))
        return found

    async def _read_by(self, name: str, values: Sequence[str]) -> list[Mapping[str, Any]]:
        """Records by a unique property. One value that HubSpot finds no sense in refuses a batch: it is halved."""
        response = await self._wire.http.request(
            "POST",
            f"{self._wire.path}/batch/read",
            json={
                "inputs": [{"id": each} for each in values],
                "idProperty": name,
                "properties": sorted({name, *([MORE_EMAILS] if name == self._wire.type.key else ())}),
            },
            reads=True,
            expect=(200, 207, 400),
        )
        if response.status != 400:
            return list_of(response.json(), "results", self._wire.account)
        if len(values) == 1:
            return []
        middle = len(values) // 2
        return [*await self._read_by(name, values[:middle]), *await self._read_by(name, values[middle:])]

    async def _by_search(self, name: str, values: Sequence[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for some in _searchable(values):
            after: int | None = 0
            last = 0
            while after is not None:
                results = await self._search_page(name, some, last)
                for each in results:
                    found.setdefault(_text(each["properties"].get(name)), set()).add(str(each["id"]))
                last = max((int(each["id"]) for each in results), default=last)
                after = last if len(results) >= SEARCH_PAGE else None
        return found

    async def _search_page(self, name: str, values: Sequence[str], above: int) -> list[Mapping[str, Any]]:
        filters: list[dict[str, Any]] = [
            {"propertyName": name, "operator": "IN", "values": list(values)},
            {"propertyName": "hs_object_id", "operator": "GT", "value": str(above)},
        ]
        request = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": [name],
            "limit": SEARCH_PAGE,
            "after": "0",
        }
        path = f"{self._wire.path}/search"
        response = await self._wire.http.request("POST", path, json=request, reads=True, lane=SEARCH)
        return list_of(response.json(), "results", self._wire.account)


def _searchable(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """The values, in parts that one search can hold."""
    if len(values) > 1 and (len(values) > SEARCH_VALUES or len(orjson.dumps(values)) > SEARCH_ROOM):
        middle = len(values) // 2
        yield from _searchable(values[:middle])
        yield from _searchable(values[middle:])
    elif values:
        yield values


def _text(value: Raw) -> str:
    """A value as HubSpot compares it: its search and its e-mail addresses know no upper case."""
    try:
        return encode(value).strip().lower()
    except Unwritable:
        return ""


def _survivor(id: str, results: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The record among `results` into which `id` was merged."""
    return next((other for other, result in results.items() if other != id and id in merged_ids(result)), None)


def _not_found(body: Mapping[str, Any]) -> frozenset[str]:
    errors = [each for each in body.get("errors") or () if each.get("category") == _NOT_FOUND]
    return frozenset(str(wanted) for each in errors for wanted in (each.get("context") or {}).get("ids") or ())
