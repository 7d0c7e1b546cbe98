"""Records by id, and by key."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from twoway.sdk import Absence, Fetched, Presence, Raw, TellUser
from twoway.sdk.http import HttpClient
from twoway.sdk.together import together
from twoway_connectors.zendesk.catalog import Collection
from twoway_connectors.zendesk.codec import Codec
from twoway_connectors.zendesk.listing import page

EXTERNAL_ID = "external_id"
SEVERAL = 100
"""Records that one request names."""
_ID = re.compile("[1-9][0-9]*")


def is_id(text: str) -> bool:
    """Whether this may be the id of a record: Zendesk's are numbers, and it reads `07` as 7."""
    return _ID.fullmatch(text) is not None


def is_live(shown: Mapping[str, Any]) -> bool:
    """Whether a record lives: deleted users are inactive, deleted tickets have that status, organizations a time."""
    return shown.get("active", True) and shown.get("status") != "deleted" and not shown.get("deleted_at")


class Reader:
    """Reads of one collection."""

    def __init__(self, http: HttpClient, collection: Collection, codec: Codec) -> None:
        self._http = http
        self._collection = collection
        self._codec = codec

    async def fetch(self, ids: Sequence[str]) -> dict[str, Fetched]:
        """Each record by id. What the batch leaves out is asked for alone, to hear the 404."""
        known: dict[str, Fetched] = {text: Absence(text, Presence.GONE) for text in ids if not is_id(text)}
        shown = await self._show_many("ids", [text for text in ids if text not in known])
        known.update((str(entry["id"]), self._told(entry)) for entry in shown)
        missing = [number for number in ids if number not in known]
        known.update(zip(missing, await together(self._fetch_one, missing), strict=True))
        return {number: known[number] for number in ids}

    async def _fetch_one(self, id: str) -> Fetched:
        answer = await self._http.request("GET", self._collection.path_of(id), expect=(200, 404))
        if answer.status == 404:
            return Absence(id, Presence.GONE)
        shown = answer.json()[self._collection.one]
        # Another record may be linked already, and what is told of it is told under its own id.
        return self._told(shown) if str(shown["id"]) == id else Absence(id, Presence.MERGED, str(shown["id"]))

    def _told(self, shown: Mapping[str, Any]) -> Fetched:
        return self._codec.record(shown) if is_live(shown) else Absence(str(shown["id"]), Presence.ARCHIVED)

    async def find(self, field: str, values: Sequence[Raw]) -> dict[Raw, Sequence[str]]:
        """The live records that hold each value in `field`, without regard to case."""
        if field not in self._collection.searchable:
            valid = ", ".join(sorted(self._collection.searchable)) or "none"
            raise TellUser(
                f"Zendesk finds no {self._collection.name} by {field}; the fields to find them by are: {valid}"
            )
        if field == EXTERNAL_ID and self._collection.many_by_key:
            return await self._by_external_id(values)
        if field == EXTERNAL_ID:
            return dict(zip(values, await together(self._listed, values), strict=True))
        found = await together(lambda value: self.holders(field, value), values)
        wanted = (str(value).strip().casefold() for value in values)
        return {
            # A search also finds secondary addresses, and parts of names.
            value: [str(entry["id"]) for entry in hits if str(entry.get(field) or "").casefold() == key]
            for value, hits, key in zip(values, found, wanted, strict=True)
        }

    async def _by_external_id(self, values: Sequence[Raw]) -> dict[Raw, Sequence[str]]:
        """A read by key and not by search: several at once, and without lag."""
        ids: dict[str, list[str]] = {}
        # The parameter is a list with commas: a value that holds one could mean somebody else.
        texts = [text for text in dict.fromkeys(str(value) for value in values) if "," not in text]
        for start in range(0, len(texts), SEVERAL):
            for entry in await self._show_many("external_ids", texts[start : start + SEVERAL]):
                if is_live(entry):
                    ids.setdefault(str(entry[EXTERNAL_ID]).casefold(), []).append(str(entry["id"]))
        return {value: ids.get(str(value).casefold(), []) for value in values}

    async def _listed(self, value: Raw) -> list[str]:
        """All the records with this external id, from a list of these: of tickets several may have the same."""
        text = "" if value is None else str(value).strip()
        found: list[str] = []
        cursor, last = None, not text
        while not last:
            shown, cursor, last = await page(self._http, self._collection, cursor, external_id=text)
            found += [str(entry["id"]) for entry in shown if is_live(entry) and entry.get(EXTERNAL_ID) == text]
        return found

    async def holders(self, field: str, value: Raw) -> list[dict[str, Any]]:
        """The live records that Zendesk finds by a key, secondary e-mail addresses among them."""
        text = str(value).strip()
        if field in {EXTERNAL_ID, "name"}:
            params = {field: text}
        else:
            params = {"query": '{}:"{}"'.format(field, text.replace('"', ""))}
        answer = await self._http.request("GET", f"{self._collection.path}/search", params=params)
        return [entry for entry in answer.json()[self._collection.name] if is_live(entry)]

    async def _show_many(self, name: str, values: Sequence[str]) -> list[dict[str, Any]]:
        if not values:
            return []
        path = f"{self._collection.path}/show_many"
        answer = await self._http.request("GET", path, params={name: ",".join(values)})
        found: list[dict[str, Any]] = answer.json()[self._collection.name]
        return found
