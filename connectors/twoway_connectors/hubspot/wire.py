"""Requests to HubSpot: what is asked for, how records are read, what errors and headers mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from twoway.sdk import (
    AccountRefused,
    BearerAuth,
    ConnectorContext,
    ConnectorError,
    Headers,
    HttpClient,
    Instant,
    QuotaSpent,
    RateHint,
    Record,
    TellUser,
    TryLater,
    instant_from_iso,
)
from twoway_connectors.hubspot.objects import MERGED, ObjectType
from twoway_connectors.hubspot.schema import Schema

BASE_URL = "https://api.hubapi.com"
RATE = 8.0
"""Requests a second: a private app of the smallest plan has 100 in ten seconds, of which we leave some to others."""
SEARCH_RATE = 4.0
SEARCH = "search"
SEARCH_ROOM = 2500
"""Bytes of a search that may go to values or names of properties: HubSpot takes one of 3,000 characters in all."""
SCHEMA_LIFETIME = 600_000
"""Milliseconds for which the properties' definitions are kept."""
_LOOK_AGAIN = 3600.0
"""Seconds until a spent day's budget is looked at again: it is renewed at midnight in the account's time zone."""


def open_client(context: ConnectorContext) -> HttpClient:
    """The account's client."""
    token = context.secrets.get("token", "")
    if not token:
        raise AccountRefused(
            f"{context.account}: no token is configured",
            remedy="Put the access token of a private app into the account's secret `token`",
        )
    client: HttpClient = context.open_http(
        str(context.settings.get("base_url") or BASE_URL),
        auth=BearerAuth(token),
        rate=_rate(context),
        lanes={SEARCH: SEARCH_RATE},
        classify=classify,
        read_limits=read_limits,
    )
    return client


def _rate(context: ConnectorContext) -> float:
    told = context.settings.get("rate")
    try:
        rate = RATE if told is None else float(told)
    except (TypeError, ValueError):
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise TellUser(
            f"{context.account}: `rate` is not a number above 0", remedy="Set it to requests a second, as 8 or 8.5"
        )
    return rate


class Wire:
    """The requests that several parts of the connector make, for one object type."""

    def __init__(self, context: ConnectorContext, object_type: ObjectType) -> None:
        self.http = open_client(context)
        self.type = object_type
        self.account = context.account
        self.clock = context.clock
        self.times = context.times
        self.fields = context.fields
        self.marker = str(context.settings.get("marker_property") or "")
        self.path = f"/crm/v3/objects/{object_type.name}"
        self._schema: tuple[Instant, Schema] | None = None

    def properties(self, *more: str) -> list[str]:
        """The properties to ask for: the mapped ones, those that the connector reads itself, and `more`."""
        own = {self.type.modified, MERGED, *more, *([self.marker] if self.marker else ())}
        return sorted(self.fields | own)

    async def schema(self) -> Schema:
        """The definitions of the properties, kept for a while."""
        now = self.clock.now()
        if self._schema is None or not 0 <= now - self._schema[0] < SCHEMA_LIFETIME:
            response = await self.http.request("GET", f"/crm/v3/properties/{self.type.name}")
            definitions = list_of(response.json(), "results", self.account)
            self._schema = now, Schema(definitions, key=self.type.key)
        return self._schema[1]

    async def check_marker(self) -> None:
        """`TellUser` where the marker is no property by which HubSpot finds a record."""
        marker = (await self.schema()).properties.get(self.marker)
        if marker is None or not marker.info.unique:
            raise TellUser(
                f"{self.account}: {self.type.name} have no property {self.marker} that requires unique values",
                remedy="Make one in HubSpot (single-line text, unique values), or leave marker_property out",
            )

    async def records(self, results: Sequence[Mapping[str, Any]]) -> list[Record]:
        """Decoded records. The definitions are asked for only if there is something to decode."""
        if not results:
            return []
        schema = await self.schema()
        return [self.record(each, schema, self.fields or None) for each in results]

    def record(self, result: Mapping[str, Any], schema: Schema, wanted: frozenset[str] | None) -> Record:
        """One record, of no more than the wanted properties (`None`: all)."""
        with self._promised():
            properties = result["properties"]
            return Record(
                id=str(result["id"]),
                values=schema.decode(properties, wanted),
                version=str(result["updatedAt"]),
                modified=self.modified(result),
                created=instant_from_iso(result["createdAt"]),
                field_times=self._times(result) if self.times else None,
                marker=(properties.get(self.marker) or None) if self.marker else None,
            )

    @contextmanager
    def _promised(self) -> Iterator[None]:
        """Reading within it is reading what HubSpot's documents promise: `TellUser` where it is not there."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TellUser(
                f"{self.account}: a record in HubSpot's answer lacks what it always has ({type(error).__name__})",
                remedy="Check that base_url is HubSpot's API; if it is, please report this",
            ) from None

    def modified(self, result: Mapping[str, Any]) -> Instant:
        """The instant of the last change: the property that search filters by, or else the record's own stamp."""
        with self._promised():
            return instant_from_iso(result["properties"].get(self.type.modified) or result["updatedAt"])

    @staticmethod
    def _times(result: Mapping[str, Any]) -> dict[str, Instant] | None:
        history = result.get("propertiesWithHistory")
        if history is None:
            return None
        return {
            name: max(instant_from_iso(each["timestamp"]) for each in past) for name, past in history.items() if past
        }


def merged_ids(result: Mapping[str, Any]) -> list[str]:
    """The ids that were merged into this record."""
    return [part for part in (result["properties"].get(MERGED) or "").split(";") if part and part != result["id"]]


def list_of(body: Any, key: str, account: str) -> list[Any]:
    """The list under `key` of an answer; `TellUser` where there is none."""
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise TellUser(
            f"{account}: HubSpot's answer lacks its list of {key}",
            remedy="Check that base_url is HubSpot's API; if it is, please report this",
        )
    return found


def _body(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def classify(status: int, headers: Headers, body: bytes) -> ConnectorError | None:
    """HubSpot's errors, as https://developers.hubspot.com/docs/api-reference/error-handling lists them."""
    told = _body(body)
    if status == 429:
        if told.get("policyName") == "DAILY":
            return QuotaSpent(
                "HubSpot: the account's requests of this day are used up",
                remedy="They are renewed at midnight in the account's time zone; a longer `every` uses fewer",
                after=_LOOK_AGAIN,
            )
        return TryLater("HubSpot: too many requests (429)", after=_seconds(headers) or _burst(told))
    if status == 401:
        return AccountRefused(
            "HubSpot does not accept the token (401)",
            remedy="Copy the access token of the private app again (in HubSpot: Settings, Integrations, Private Apps)"
            " into the account's secret `token`",
        )
    if status == 403 and told.get("category") == "MISSING_SCOPES":
        scopes = sorted(set(_scopes(told)))
        return AccountRefused(
            "HubSpot: the private app lacks a permission (403)",
            remedy=f"Tick in the private app's scopes: {', '.join(scopes) or 'those of the objects and their schemas'}",
        )
    if status == 423:
        return TryLater("HubSpot: the object is locked for the moment (423)", after=2.0)
    if status == 477:
        return TryLater("HubSpot: the account is being moved to another data centre (477)", after=_seconds(headers))
    return None


def _burst(told: Mapping[str, Any]) -> float:
    return 1.0 if told.get("policyName") == "SECONDLY" else 10.0


def _seconds(headers: Headers) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.replace(".", "", 1).isdecimal() else None


def _scopes(told: Mapping[str, Any]) -> Iterable[str]:
    for error in told.get("errors") or ():
        context = error.get("context") or {}
        for key in ("requiredGranularScopes", "requiredScopes", "missingScopes"):
            if isinstance(context, dict):
                yield from map(str, context.get(key) or ())


def read_limits(headers: Headers) -> RateHint | None:
    """What the headers tell of the ten-second window. Search answers have none."""
    try:
        return RateHint(
            limit=int(headers["x-hubspot-ratelimit-max"]),
            remaining=int(headers["x-hubspot-ratelimit-remaining"]),
            reset=int(headers["x-hubspot-ratelimit-interval-milliseconds"]) / 1000,
        )
    except (KeyError, ValueError):
        return None
