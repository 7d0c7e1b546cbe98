"""The collections, as data: everything in which users, organizations and tickets differ."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from twoway.sdk import FieldInfo, FieldType, Kind

ID_SUFFIX: Final = "_id"


def _read_only(name: str, kind: FieldType, label: str) -> FieldInfo:
    return FieldInfo(name=name, type=kind, label=label, on_create=False, on_update=False, cleared_by=None)


def _choice(name: str, label: str, *choices: str, cleared_by: str | None = None) -> FieldInfo:
    return FieldInfo(name=name, type=FieldType.CHOICE, label=label, choices=choices, cleared_by=cleared_by)


def _plain(name: str, kind: FieldType, label: str) -> FieldInfo:
    return FieldInfo(name=name, type=kind, label=label, cleared_by="null")


def _switch(name: str, label: str) -> FieldInfo:
    return FieldInfo(name=name, type=FieldType.BOOLEAN, label=label, cleared_by="false")


_TAGS = FieldInfo(name="tags", type=FieldType.SET, label="Tags", cleared_by="[]")
_EXTERNAL = FieldInfo(name="external_id", type=FieldType.STRING, label="External id", unique=True, cleared_by="null")
_STAMPS = (
    _read_only("created_at", FieldType.DATETIME, "Created"),
    _read_only("updated_at", FieldType.DATETIME, "Updated"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One collection. `one` is the word that wraps a record, `name` (its plural) the one that wraps a list.

    `custom` is the part of a record that holds the custom fields and `definitions` the path that lists them.
    `by_cursor` tells the two kinds of incremental export apart. `searchable` are the fields that `find` takes, and
    `many_by_key` says whether several external ids can be asked for at once. With `archives` the plain list leaves old
    records out. `rewrites` are the fields that Zendesk may store otherwise than it was told.
    """

    one: str
    name: str
    label: str
    fields: tuple[FieldInfo, ...]
    custom: str
    definitions: str
    kinds: frozenset[Kind]
    by_cursor: bool = True
    conditional: bool = False
    searchable: frozenset[str] = frozenset()
    many_by_key: bool = True
    hides_merges: bool = False
    archives: bool = False
    rewrites: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """The collection's path."""
        return f"/{self.name}"

    def path_of(self, id: str, *below: str) -> str:
        """The path of one record, or of what is `below` it."""
        return "/".join((self.path, quote(id, safe=""), *below))

    @property
    def unique(self) -> frozenset[str]:
        """The fields of which Zendesk refuses a second record with the same value."""
        return frozenset(info.name for info in self.fields if info.unique)


USERS = Collection(
    one="user",
    name="users",
    label="Users",
    custom="user_fields",
    definitions="/user_fields",
    # A deleted user cannot be restored by anybody: no archiving.
    kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.DELETE}),
    searchable=frozenset({"email", "external_id"}),
    # The loser of a merge is inactive, as a deleted user is, and nothing tells into whom it went.
    hides_merges=True,
    fields=(
        FieldInfo(name="name", type=FieldType.STRING, label="Name", required=True, cleared_by=None),
        FieldInfo(name="email", type=FieldType.EMAIL, label="Primary e-mail", unique=True, cleared_by=None),
        _EXTERNAL,
        _TAGS,
        _plain("phone", FieldType.PHONE, "Phone"),
        _plain("organization_id", FieldType.REFERENCE, "Organization"),
        _plain("alias", FieldType.STRING, "Alias"),
        _plain("notes", FieldType.TEXT, "Notes"),
        _plain("details", FieldType.TEXT, "Details"),
        _plain("signature", FieldType.TEXT, "Signature"),
        _plain("default_group_id", FieldType.REFERENCE, "Default group"),
        FieldInfo(name="locale", type=FieldType.STRING, label="Language", cleared_by=None),
        FieldInfo(name="time_zone", type=FieldType.STRING, label="Time zone", cleared_by=None),
        _choice("role", "Role", "end-user", "agent", "admin"),
        _switch("suspended", "Suspended"),
        _switch("verified", "Verified"),
        _read_only("last_login_at", FieldType.DATETIME, "Last login"),
        *_STAMPS,
    ),
)

ORGANIZATIONS = Collection(
    one="organization",
    name="organizations",
    label="Organizations",
    custom="organization_fields",
    definitions="/organization_fields",
    kinds=frozenset({Kind.CREATE, Kind.UPDATE, Kind.DELETE}),
    by_cursor=False,
    searchable=frozenset({"name", "external_id"}),
    # The loser of a merge is deleted. A record of the merge names the winner, but nobody promises that it can still be
    # asked for by the loser's id: https://developer.zendesk.com/api-reference/ticketing/organizations/organizations/
    hides_merges=True,
    fields=(
        FieldInfo(name="name", type=FieldType.STRING, label="Name", required=True, unique=True, cleared_by=None),
        _EXTERNAL,
        _TAGS,
        FieldInfo(name="domain_names", type=FieldType.SET, label="Domains", cleared_by="[]"),
        _plain("details", FieldType.TEXT, "Details"),
        _plain("notes", FieldType.TEXT, "Notes"),
        _plain("group_id", FieldType.REFERENCE, "Group"),
        _switch("shared_tickets", "Shared tickets"),
        _switch("shared_comments", "Shared comments"),
        *_STAMPS,
    ),
)

TICKETS = Collection(
    one="ticket",
    name="tickets",
    label="Tickets",
    custom="custom_fields",
    definitions="/ticket_fields",
    # A deleted ticket lies in the bin for thirty days: both words are true.
    kinds=frozenset(Kind),
    conditional=True,
    searchable=frozenset({"external_id"}),
    many_by_key=False,
    # From about 120 days after it was closed: https://support.zendesk.com/hc/en-us/articles/4408887617050
    archives=True,
    # A ticket also takes the tags of its requester, of their organization and of the options of its fields:
    # https://support.zendesk.com/hc/en-us/articles/203662006 and .../4408881943194
    rewrites=frozenset({"tags"}),
    fields=(
        FieldInfo(name="subject", type=FieldType.STRING, label="Subject", cleared_by=None),
        FieldInfo(
            name="description",
            type=FieldType.TEXT,
            label="First comment",
            on_update=False,
            required=True,
            cleared_by=None,
        ),
        FieldInfo(name="external_id", type=FieldType.STRING, label="External id", cleared_by="null"),
        _TAGS,
        _choice("status", "Status", "new", "open", "pending", "hold", "solved", "closed"),
        _choice("priority", "Priority", "low", "normal", "high", "urgent", cleared_by="null"),
        _choice("type", "Type", "problem", "incident", "question", "task", cleared_by="null"),
        FieldInfo(name="requester_id", type=FieldType.REFERENCE, label="Requester", cleared_by=None),
        _plain("assignee_id", FieldType.REFERENCE, "Assignee"),
        _plain("group_id", FieldType.REFERENCE, "Group"),
        _plain("organization_id", FieldType.REFERENCE, "Organization"),
        _plain("due_at", FieldType.DATETIME, "Due"),
        *_STAMPS,
    ),
)

COLLECTIONS: Final = {collection.name: collection for collection in (ORGANIZATIONS, TICKETS, USERS)}
