"""The connector for the members of one audience."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
    Record,
    TellUser,
    Write,
)
from twoway.sdk.http import HttpClient
from twoway.sdk.paging import decode_cursor, encode_cursor
from twoway.sdk.together import together, written_together
from twoway.sdk.values import instant_from_iso
from twoway_connectors.mailchimp.archived import FIELDS, Archived
from twoway_connectors.mailchimp.audience import Audience, may_be_id
from twoway_connectors.mailchimp.codec import (
    ARCHIVED,
    EMAIL,
    STANDARD,
    STATUS,
    TAGS,
    TAGS_COUNT,
    Selection,
    describe_merge_field,
    normal,
    subscriber_hash,
)
from twoway_connectors.mailchimp.feed import LAG, Position
from twoway_connectors.mailchimp.listing import EVERYBODY, Listing, Place
from twoway_connectors.mailchimp.tags import all_tags
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
        records, unread = self._shown(found.members)
        return Page(
            records=records,
            ids=[
                str(member["contact_id"])
                for member in unread
                if not position.has_told(instant_from_iso(member["last_changed"]))
            ],
            gone=[str(member["contact_id"]) for member in found.members if member[STATUS] == ARCHIVED],
            cursor=position.after(found, self._clock.now()).text(),
            last=found.last,
        )

    async def snapshot(self, cursor: str | None) -> Page:
        """All members that are not archived, from the beginning of time."""
        place = Place() if cursor is None else Place(**decode_cursor(cursor, _SNAPSHOT, _VERSION))
        found = await self._listing.chunk(place)
        records, unread = self._shown(found.members)
        return Page(
            records=records,
            ids=[str(member["contact_id"]) for member in unread],
            cursor=encode_cursor(_SNAPSHOT, _VERSION, found.following._asdict()),
            last=found.last,
        )

    def _shown(self, members: Iterable[Mapping[str, Any]]) -> tuple[list[Record], list[Mapping[str, Any]]]:
        """The records of those who are not archived, and those who are not listed whole: these are to be fetched."""
        live = [member for member in members if member[STATUS] != ARCHIVED]
        whole = [self._selection.record(member) for member in live if self._selection.is_whole(member)]
        return whole, [member for member in live if not self._selection.is_whole(member)]

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        """Each member by its contact id, which stays when the e-mail address changes, with all its tags."""
        return dict(zip(ids, await together(self._fetch_one, ids), strict=True))

    async def _fetch_one(self, id: str) -> Fetched:
        if not may_be_id(id):
            return Absence(id, Presence.GONE)
        path = await self._audience.member(id)
        params = {"fields": f"id,{self._selection.query()}"}
        answer = await self._http.request("GET", path, params=params, expect=(200, 404))
        if answer.status == 404 or not (known_as := (member := answer.json()).get("contact_id")):
            return Absence(id, Presence.GONE)
        if known_as != id:
            # The path also takes an address or its hash, by which the member would be a second record.
            return Absence(id, Presence.MERGED, str(known_as))
        if member[STATUS] == ARCHIVED:
            return Absence(id, Presence.ARCHIVED)
        if self._selection.is_whole(member):
            return self._selection.record(member)
        tags = await all_tags(self._http, self._audience, str(member["id"]))
        if tags is None:
            return Absence(id, Presence.UNKNOWN)
        return self._selection.record({**member, TAGS: tags, TAGS_COUNT: len(tags)})

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        """Members by e-mail address, in any case: a read by key, which knows every write before it."""
        if field != EMAIL:
            raise TellUser(f"Mailchimp finds members by {EMAIL} only, not by {field}")
        return dict(zip(values, await together(self._find_one, values), strict=True))

    async def _find_one(self, email: Raw) -> Sequence[str]:
        path = await self._audience.member(subscriber_hash(str(email)))
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
