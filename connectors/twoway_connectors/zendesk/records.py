"""The connector for one collection of a Zendesk account."""

from collections.abc import Mapping, Sequence

from twoway.sdk import (
    MARKER,
    AccountInfo,
    AccountRefused,
    Capabilities,
    CollectionInfo,
    ConnectorContext,
    Consistency,
    Fetched,
    FieldInfo,
    HookRefused,
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
from twoway.sdk.http import HttpClient
from twoway_connectors.zendesk.catalog import COLLECTIONS, USERS, Collection
from twoway_connectors.zendesk.codec import Codec, describe_custom
from twoway_connectors.zendesk.hooks import ids_of
from twoway_connectors.zendesk.jobs import LARGEST, PATIENCE, Jobs
from twoway_connectors.zendesk.listing import beginning, everything, export, page
from twoway_connectors.zendesk.reading import EXTERNAL_ID, SEVERAL, Reader, is_live
from twoway_connectors.zendesk.writing import Writer

LAG = 90_000
"""Milliseconds: an export leaves out a minute, and the search was seen to run half a minute behind."""
REQUEST = 60_000
"""Milliseconds after which Zendesk ends a request."""


class Records:
    """One collection. `marks`: the external id is our marker; `bulk`: jobs may be used; `verify`: mails may be sent."""

    def __init__(
        self,
        http: HttpClient,
        context: ConnectorContext,
        collection: Collection,
        *,
        marks: bool,
        bulk: bool,
        verify: bool,
    ) -> None:
        self._http = http
        self._context = context
        self._collection = collection
        self._codec = Codec(collection, context.fields, marks=marks)
        self._reader = Reader(http, collection, self._codec)
        # Tickets take no condition and no idempotency key in bulk: they are too dear for that.
        jobs = Jobs(http, collection, context.clock) if bulk and not collection.conditional else None
        self._writer = Writer(http, collection, self._codec, self._reader, jobs=jobs, verify=verify, marks=marks)
        self._marks = marks
        batch = LARGEST if jobs is not None else SEVERAL // 4
        self._capabilities = Capabilities(
            fetch_batch=SEVERAL,
            write_batch=dict.fromkeys(Kind, batch),
            kinds=collection.kinds,
            feed=Consistency.LAGGING,
            # Users are listed as inactive and tickets as deleted. Of organizations Zendesk does not promise it.
            feed_deletions=collection.by_cursor,
            hides_merges=collection.hides_merges,
            # An export is behind by a minute.
            snapshot=Consistency.LAGGING if collection.archives else Consistency.CONSISTENT,
            lag=LAG,
            find=Consistency.LAGGING if collection.searchable else Consistency.NONE,
            find_fields=collection.searchable | ({MARKER} if marks else frozenset()),
            # A bulk job that we gave up waiting for may still work.
            request_lifetime=REQUEST if jobs is None else PATIENCE + REQUEST,
            conditional=collection.conditional,
            unique=collection.unique,
            created_times=True,
            receipt=ReceiptShape.RECORD if jobs is None else ReceiptShape.NOTHING,
            resolution=1_000,
            rewrites=collection.rewrites,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the collection can do, under the account's settings."""
        return self._capabilities

    async def check(self) -> AccountInfo:
        """Who we are. A login that Zendesk does not know is not refused here, but answered as nobody's."""
        me = (await self._http.request("GET", "/users/me")).json()["user"]
        if me.get("id") is None:
            raise AccountRefused(
                f"{self._context.account}: Zendesk does not know this login",
                remedy="Check `email`, and the secret `api_token` (Admin Center > Apps and integrations > Zendesk API)",
            )
        notes = () if me.get("role") == "admin" else ("not an administrator: the incremental exports will be refused",)
        return AccountInfo(f"{me.get('name')} ({me.get('email')})", notes)

    async def collections(self) -> Sequence[CollectionInfo]:
        """The same in every account."""
        return [CollectionInfo(entry.name, entry.label) for entry in COLLECTIONS.values()]

    async def describe(self) -> Sequence[FieldInfo]:
        """Zendesk's own fields, and the account's custom ones."""
        fields = list(self._collection.fields)
        number, more = 1, True
        while more:
            answer = await self._http.request(
                "GET", self._collection.definitions, params={"per_page": 100, "page": number}
            )
            body = answer.json()
            found = (describe_custom(self._collection, entry) for entry in body[self._collection.definitions[1:]])
            fields += [info for info in found if info is not None]
            number, more = number + 1, body.get("next_page") is not None
        return sorted(fields, key=lambda info: info.name)

    async def changes(self, cursor: str | None) -> Page:
        """The incremental export. A deleted record is told as gone, and so is the loser of a merge."""
        if cursor is None:
            return Page(cursor=await beginning(self._http, self._collection, self._context.clock), last=True)
        found = await export(self._http, self._collection, cursor)
        return Page(
            records=[self._codec.record(shown) for shown in found.shown if is_live(shown)],
            gone=[str(shown["id"]) for shown in found.shown if not is_live(shown)],
            cursor=found.cursor,
            last=found.last,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        """All records by id, a hundred a page; tickets by export, a thousand a page."""
        listing = everything if self._collection.archives else page
        found = await listing(self._http, self._collection, cursor)
        return Page(
            records=[self._codec.record(shown) for shown in found.shown if is_live(shown)],
            cursor=found.cursor,
            last=found.last,
        )

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        """Up to a hundred records by one request, and one more for each that it leaves out."""
        return await self._reader.fetch(ids)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """By a searchable field, or by our marker where the external id is it."""
        if field == MARKER and not self._marks:
            raise TellUser("this account keeps no marker: the setting `marker` is not `external_id`")
        return await self._reader.find(EXTERNAL_ID if field == MARKER else field, values)

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """Ten writes and more by a job where that is allowed; else one by one, several at a time."""
        kind = writes[0].kind
        if kind not in self._collection.kinds:
            valid = ", ".join(sorted(self._collection.kinds))
            raise TellUser(
                f"Zendesk's {self._collection.name} know no {kind}",
                remedy=f"Write one of these in the pair file: {valid}"
                + (". A deleted user cannot be restored" if self._collection is USERS else ""),
            )
        return await self._writer.apply(writes)

    def normal(self, values: RawValues) -> RawValues:
        """Texts without blanks around them; tags in lower case, with `_` for blanks; domains in lower case."""
        return self._codec.normal(values)

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        """The id that a signed event is about."""
        secret = self._context.secrets.get("webhook_secret", "")
        if not secret:
            raise HookRefused(f"{self._context.account}: there is no webhook_secret to check a webhook call by")
        return ids_of(request, secret=secret, now=self._context.clock.now(), one=self._collection.one)

    async def close(self) -> None:
        """Release the connections."""
        await self._http.close()
