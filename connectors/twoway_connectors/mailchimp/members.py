"""The connector for the members of one audience."""

from collections.abc import Mapping, Sequence

from twoway.sdk import (
    Absence,
    AccountInfo,
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
    Presence,
    Raw,
    RawValues,
    Receipt,
    ReceiptShape,
    TellUser,
    Write,
)
from twoway.sdk.http import HttpClient
from twoway.sdk.together import together, written_together
from twoway_connectors.mailchimp.audience import Audience
from twoway_connectors.mailchimp.codec import (
    ARCHIVED,
    EMAIL,
    STANDARD,
    STATUS,
    Selection,
    describe_merge_field,
    normal,
    subscriber_hash,
)
from twoway_connectors.mailchimp.listing import BEGINNING, EVERY, LIVE, Listing, Position
from twoway_connectors.mailchimp.writing import Writer

COLLECTION = "members"
CHANGES = "mailchimp.changes"
SNAPSHOT = "mailchimp.snapshot"

CAPABILITIES = Capabilities(
    # One request a record, several at a time.
    fetch_batch=100,
    write_batch={Kind.CREATE: 500, Kind.UPDATE: 50, Kind.ARCHIVE: 50},
    kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.ARCHIVE}),
    # The feed shows who was archived; whom a person deleted for good just vanishes, which only a snapshot shows.
    feed_deletions=False,
    find=Consistency.CONSISTENT,
    find_fields=frozenset({EMAIL}),
    # Mailchimp ends a request after 120 seconds.
    request_lifetime=120_000,
    unique=frozenset({EMAIL}),
    created_times=True,
    receipt=ReceiptShape.RECORD,
    resolution=1_000,
)


class Members:
    """The members of the audience that the option `audience` names."""

    def __init__(self, http: HttpClient, context: ConnectorContext) -> None:
        self._http = http
        self._account = context.account
        self._audience = Audience(http, context)
        self._selection = Selection(context.fields)
        self._listing = Listing(http, self._audience, self._selection)
        self._writer = Writer(http, self._audience, self._selection)

    @property
    def capabilities(self) -> Capabilities:
        """The same for every audience."""
        return CAPABILITIES

    async def check(self) -> AccountInfo:
        """The account's name, from the root of the API."""
        answer = (await self._http.request("GET", "/", params={"fields": "account_name"})).json()
        return AccountInfo(str(answer.get("account_name") or self._account))

    async def collections(self) -> Sequence[CollectionInfo]:
        """The members, with the names of the audiences to choose from."""
        names = (await self._audience.all()).values()
        return [CollectionInfo(COLLECTION, "Members of an audience", {"audience": sorted(names)})]

    async def describe(self) -> Sequence[FieldInfo]:
        """What every member has, and the audience's merge fields."""
        path = f"{await self._audience.path()}/merge-fields"
        answer = (await self._http.request("GET", path, params={"count": 1000})).json()
        fields = [*STANDARD, *(describe_merge_field(entry) for entry in answer["merge_fields"])]
        return sorted(fields, key=lambda info: info.name)

    async def changes(self, cursor: str | None) -> Page:
        """Members by the time of their last change, from the second on in which the last page ended."""
        if cursor is None:
            return Page(cursor=(await self._listing.newest()).text(CHANGES), last=True)
        found = await self._listing.chunk(Position.of(cursor, CHANGES), EVERY)
        return Page(
            records=[self._selection.record(member) for member in found.members if member[STATUS] != ARCHIVED],
            gone=[str(member["contact_id"]) for member in found.members if member[STATUS] == ARCHIVED],
            cursor=found.following.text(CHANGES),
            last=found.last,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        """All members that are not archived, by the same listing as `changes`, from the beginning of time."""
        found = await self._listing.chunk(BEGINNING if cursor is None else Position.of(cursor, SNAPSHOT), LIVE)
        return Page(
            records=[self._selection.record(member) for member in found.members if member[STATUS] != ARCHIVED],
            cursor=found.following.text(SNAPSHOT),
            last=found.last,
            total=found.total,
        )

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        """Each member by its contact id, which stays when the e-mail address changes."""
        return dict(zip(ids, await together(self._fetch_one, ids), strict=True))

    async def _fetch_one(self, id: str) -> Fetched:
        path = f"{await self._audience.path()}/members/{id}"
        answer = await self._http.request("GET", path, params={"fields": self._selection.query()}, expect=(200, 404))
        if answer.status == 404:
            return Absence(id, Presence.GONE)
        member = answer.json()
        return Absence(id, Presence.ARCHIVED) if member[STATUS] == ARCHIVED else self._selection.record(member)

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """Members by e-mail address, in any case: a read by key, which knows every write before it."""
        if field != EMAIL:
            raise TellUser(f"Mailchimp finds members by {EMAIL} only, not by {field}")
        return dict(zip(values, await together(self._find_one, values), strict=True))

    async def _find_one(self, email: Raw) -> Sequence[str]:
        path = f"{await self._audience.path()}/members/{subscriber_hash(str(email))}"
        answer = await self._http.request("GET", path, params={"fields": f"contact_id,{STATUS}"}, expect=(200, 404))
        if answer.status == 404 or answer.json()[STATUS] == ARCHIVED:
            return []
        return [str(answer.json()["contact_id"])]

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        """One batch of creates, or up to as many updates or archivings as `capabilities` says, several at a time."""
        kind = writes[0].kind
        await self._audience.path()
        if kind is Kind.CREATE:
            return await self._writer.create(writes)
        if kind is Kind.UPDATE:
            return await written_together(self._writer.update, writes)
        if kind is Kind.ARCHIVE:
            return await written_together(self._writer.archive, writes)
        raise TellUser(
            "Mailchimp: members are archived, and never deleted for good, which would bar their address for ever",
            remedy="Write `delete: { …: archive }` in the pair file",
        )

    def normal(self, values: RawValues) -> RawValues:
        """Texts and tags lose the blanks around them, tags also what is there twice."""
        return normal(values)

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        """Mailchimp does not sign its webhooks, and names members in them by e-mail: they prove nothing."""
        raise HookRefused(
            f"{self._account}: webhooks of Mailchimp are not signed, so none is accepted ({request.method})"
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._http.close()
