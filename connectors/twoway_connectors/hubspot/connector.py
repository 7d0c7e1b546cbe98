"""The connector: what it declares, and its parts put together."""

from collections.abc import Mapping, Sequence

from twoway.sdk import (
    MARKER,
    AccountInfo,
    Capabilities,
    CollectionInfo,
    ConnectorContext,
    Consistency,
    Fetched,
    FieldInfo,
    HookRequest,
    Kind,
    Page,
    Raw,
    RawValues,
    Receipt,
    ReceiptShape,
    TellUser,
    Write,
)
from twoway_connectors.hubspot import hooks, reading, writing
from twoway_connectors.hubspot.feed import LAG, Feed
from twoway_connectors.hubspot.objects import OBJECT_TYPES
from twoway_connectors.hubspot.reading import Reader
from twoway_connectors.hubspot.wire import Wire
from twoway_connectors.hubspot.writing import Writer


class HubSpot:
    """One object type of one HubSpot account."""

    name = "hubspot"
    secrets: Mapping[str, str] = {
        "token": "The access token of a private app with read and write scopes of the objects, and of their schemas",
        "client_secret": "The app's client secret, to verify webhooks; not needed without them",
    }
    settings: Mapping[str, str] = {
        "base_url": "Where the API is; https://api.hubapi.com by default",
        "rate": "Requests a second; 8 by default, which fits every plan (100 in ten seconds are the least)",
        "marker_property": "A text property that requires unique values, made for twoway: with it a create whose answer"
        " was lost is found again for certain. Without one it is looked for among the new records",
    }

    def __init__(self, context: ConnectorContext) -> None:
        object_type = OBJECT_TYPES.get(context.collection)
        if object_type is None:
            raise TellUser(
                f"{context.account}: HubSpot has no collection {context.collection!r}",
                remedy=f"Valid are: {', '.join(OBJECT_TYPES)}",
            )
        self._type = object_type
        self._account = context.account
        self._clock = context.clock
        self._hook_secret = context.secrets.get("client_secret", "")
        self._wire = Wire(context, object_type)
        self._feed, self._reader, self._writer = Feed(self._wire), Reader(self._wire), Writer(self._wire)
        self._capabilities = self._declare(context)

    def _declare(self, context: ConnectorContext) -> Capabilities:
        keys = frozenset({self._type.key} if self._type.key else ())
        # Where HubSpot keeps no key unique, search tells who has the match key, also beside a marker.
        searched = frozenset() if keys else context.fields
        marker = frozenset({MARKER} if self._wire.marker else ())
        return Capabilities(
            fetch_batch=reading.BATCH_WITH_HISTORY if context.times else reading.BATCH,
            write_batch=dict.fromkeys(Kind, writing.BATCH),
            feed=Consistency.LAGGING,
            # HubSpot lists what was archived without a filter by time: deletions come from snapshots.
            feed_deletions=False,
            feed_merges=True,
            snapshot=Consistency.CONSISTENT,
            lag=LAG,
            find=Consistency.CONSISTENT if keys else Consistency.LAGGING,
            find_fields=keys | searched | marker,
            unique=keys,
            field_times=True,
            created_times=True,
            receipt=ReceiptShape.RECORD,
            rewrites=self._type.rewrites,
        )

    def __repr__(self) -> str:
        return f"HubSpot({self._account!r}, {self._type.name!r})"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def check(self) -> AccountInfo:
        """One request; one more where a marker property is named."""
        details = (await self._wire.http.request("GET", "/account-info/v3/details")).json()
        number = details.get("portalId") if isinstance(details, dict) else None
        if number is None:
            raise TellUser(f"{self._account}: this is not HubSpot's API", remedy="Check base_url")
        if self._wire.marker:
            await self._wire.check_marker()
        return AccountInfo(f"HubSpot account {number}")

    async def collections(self) -> Sequence[CollectionInfo]:
        return [CollectionInfo(each.name, each.label) for each in OBJECT_TYPES.values()]

    async def describe(self) -> Sequence[FieldInfo]:
        return [each.info for each in (await self._wire.schema()).properties.values()]

    async def changes(self, cursor: str | None) -> Page:
        return await self._feed.changes(cursor)

    async def snapshot(self, cursor: str | None) -> Page:
        return await self._feed.snapshot(cursor)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        return await self._reader.fetch(ids)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        return await self._reader.find(field, values)

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        return await self._writer.apply(writes) if writes else []

    def normal(self, values: RawValues) -> RawValues:
        return writing.normal(values)

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        return hooks.parse_hook(request, secret=self._hook_secret, now=self._clock.now(), object_type=self._type)

    async def close(self) -> None:
        await self._wire.http.close()
