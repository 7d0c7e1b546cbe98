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
from twoway.sdk.paging import decode_cursor, encode_cursor
from twoway.sdk.together import together, written_together
from twoway_connectors.mailchimp.archived import FIELDS, Archived
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
from twoway_connectors.mailchimp.feed import LAG, Position
from twoway_connectors.mailchimp.listing import EVERYBODY, Listing, Place
from twoway_connectors.mailchimp.writing import Writer

COLLECTION = "members"
_SNAPSHOT, _VERSION = "mailchimp.snapshot", 2
FEW = 50
"""Members by which counts of the same audience may differ: Mailchimp keeps its statistics for some minutes."""

CAPABILITIES = Capabilities(
    # One request a record, several at a time.
    fetch_batch=100,
    write_batch={Kind.CREATE: 500, Kind.UPDATE: 50, Kind.ARCHIVE: 50},
    kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.ARCHIVE}),
    # No document says that listings know every change at once. From the feed, only what differs is read by id, one
    # request a member. A snapshot is taken at its word: to read each of its members would take hours where a first
    # sync takes minutes, and whom it lacks is asked for by id all the same.
    feed=Consistency.LAGGING,
    lag=LAG,
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
        self._clock = context.clock
        self._listing = Listing(http, self._audience, self._selection.query("members."))
        archived = Archived(Listing(http, self._audience, FIELDS), context.clock)
        self._writer = Writer(http, self._audience, self._selection, archived)

    @property
    def capabilities(self) -> Capabilities:
        """The same for every audience."""
        return CAPABILITIES

    async def check(self) -> AccountInfo:
        """The account's name, from the root of the API; where an audience is named, whether its listings are whole."""
        answer = (await self._http.request("GET", "/", params={"fields": "account_name"})).json()
        notes = await self._compare() if self._audience.is_named else ()
        return AccountInfo(str(answer.get("account_name") or self._account), notes)

    async def _compare(self) -> Sequence[str]:
        """What is odd about the counts of the audience, each of which Mailchimp tells by another way."""
        known = await self._audience.members()
        whole, listed = await together(self._listing.count, [None, EVERYBODY])
        notes = []
        if whole < 0.9 * known - FEW:
            notes.append(
                f"Mailchimp lists {whole} members of the audience, and counts {known}: complete listings may lack some"
            )
        if listed < 0.9 * whole - FEW:
            notes.append(
                f"Mailchimp lists {whole} members of the audience, but {listed} when asked for all statuses by name:"
                " changes may be seen only by complete listings (`schedule.snapshot`)"
            )
        return notes

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
        """Members by the time of their last change, from `LAG` before the newest that was seen."""
        if cursor is None:
            return Page(cursor=Position(await self._listing.newest(), self._clock.now()).text(), last=True)
        position = Position.read(cursor).under_way(self._clock.now())
        found = await self._listing.chunk(position.place, EVERYBODY)
        return Page(
            records=[self._selection.record(member) for member in found.members if member[STATUS] != ARCHIVED],
            gone=[str(member["contact_id"]) for member in found.members if member[STATUS] == ARCHIVED],
            cursor=position.after(found, self._clock.now()).text(),
            last=found.last,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        """All members that are not archived, from the beginning of time."""
        place = Place() if cursor is None else Place(**decode_cursor(cursor, _SNAPSHOT, _VERSION))
        found = await self._listing.chunk(place)
        return Page(
            records=[self._selection.record(member) for member in found.members if member[STATUS] != ARCHIVED],
            cursor=encode_cursor(_SNAPSHOT, _VERSION, found.following._asdict()),
            last=found.last,
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
