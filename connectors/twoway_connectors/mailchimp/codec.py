"""Between Mailchimp's members and values by field name.

A member keeps a merge field in `merge_fields`, by its tag: here it is `merge_fields.TAG`. Empty is `""` on the wire,
whatever the type, and `None` here. A number comes as a number, a date as `2026-01-31`, a birthday as `01/31`, an
address as an object of its parts: all of these stay as they are.
"""

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from twoway.sdk import FieldInfo, FieldType, Instant, Raw, RawValues, Record
from twoway.sdk.values import instant_from_iso, revision

EMAIL = "email_address"
STATUS = "status"
TAGS = "tags"
TAGS_COUNT = "tags_count"
MERGE = "merge_fields."
ARCHIVED = "archived"
LONGEST = 255
"""Bytes of a merge field: Mailchimp clips what is longer."""
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")
OPT_OUTS = frozenset({"unsubscribed", "cleaned"})

STANDARD = (
    FieldInfo(name=EMAIL, type=FieldType.EMAIL, label="Email address", required=True, unique=True, cleared_by=None),
    FieldInfo(name=STATUS, type=FieldType.CHOICE, label="Status", choices=STATUSES, required=True, cleared_by=None),
    FieldInfo(name=TAGS, type=FieldType.SET, label="Tags", cleared_by="removing each tag"),
    FieldInfo(name="language", type=FieldType.STRING, label="Language"),
    FieldInfo(name="vip", type=FieldType.BOOLEAN, label="VIP", cleared_by="false"),
    FieldInfo(
        name="email_type", type=FieldType.CHOICE, label="Email format", choices=("html", "text"), cleared_by=None
    ),
    *(
        FieldInfo(name=name, type=kind, label=label, on_create=False, on_update=False, cleared_by=None)
        for name, kind, label in (
            ("contact_id", FieldType.STRING, "Contact id"),
            ("full_name", FieldType.STRING, "Full name"),
            ("last_changed", FieldType.DATETIME, "Last changed"),
            ("member_rating", FieldType.INTEGER, "Rating"),
            ("source", FieldType.STRING, "Source"),
            ("timestamp_opt", FieldType.DATETIME, "Opted in"),
            ("timestamp_signup", FieldType.DATETIME, "Signed up"),
            ("unsubscribe_reason", FieldType.STRING, "Reason for unsubscribing"),
            ("web_id", FieldType.INTEGER, "Number in web addresses"),
        )
    ),
)
"""The fields that every audience has."""

FIXED = frozenset(info.name for info in STANDARD if info.cleared_by is None)
"""The fields that Mailchimp cannot empty."""
READ_ONLY = frozenset(info.name for info in STANDARD if not info.on_update)
_STANDARD_NAMES = tuple(info.name for info in STANDARD)
_BIRTHS = ("timestamp_opt", "timestamp_signup")
_ALWAYS = ("contact_id", STATUS, "last_changed", *_BIRTHS)
"""What a record is made of, whatever the mapping reads."""
_MERGE_TYPES = {
    "number": FieldType.NUMBER,
    "address": FieldType.JSON,
    "phone": FieldType.PHONE,
    "date": FieldType.DATE,
    "url": FieldType.URL,
    "imageurl": FieldType.URL,
    "radio": FieldType.CHOICE,
    "dropdown": FieldType.CHOICE,
}
"""Mailchimp's types of merge fields; those that are not named here are text. A birthday has no year: it is no date."""


class Selection:
    """The part of a member that the mapping reads. `fields` are names, or paths into a field; none means all."""

    def __init__(self, fields: Iterable[str]) -> None:
        wanted = frozenset(fields)
        self._all = not wanted
        self._merge = {path[len(MERGE) :].split(".")[0].split("[")[0] for path in wanted if path.startswith(MERGE)}
        self._names = [
            name
            for name in _STANDARD_NAMES
            if self._all or any(path == name or path.startswith((f"{name}.", f"{name}[")) for path in wanted)
        ]

    def query(self, prefix: str = "") -> str:
        """The parameter `fields`, which cuts answers down; with `members.` before each name for a list."""
        names = [*_ALWAYS, *(name for name in self._names if name not in _ALWAYS)]
        names += [TAGS_COUNT] if TAGS in names else []
        names += ["merge_fields"] if self._all else [f"{MERGE}{tag}" for tag in sorted(self._merge)]
        return ",".join(f"{prefix}{name}" for name in names)

    def is_whole(self, member: Mapping[str, Any]) -> bool:
        """Whether a member as Mailchimp shows it has all that the mapping reads."""
        return TAGS not in self._names or not lacks_tags(member)

    def record(self, member: Mapping[str, Any]) -> Record:
        """A member as Mailchimp shows it, decoded. One that is not whole has no tags, and no version."""
        whole = self.is_whole(member)
        values: dict[str, Raw] = {}
        for name in self._names:
            if name == TAGS and not whole:
                continue
            if name == TAGS and TAGS in member:
                values[TAGS] = normal_tags(tag["name"] for tag in member[TAGS])
            elif name in member:
                values[name] = _blank_is_none(member[name])
        for tag, value in (member.get("merge_fields") or {}).items():
            if self._all or tag in self._merge:
                values[f"{MERGE}{tag}"] = _blank_is_none(value)
        changed = str(member["last_changed"])
        return Record(
            id=str(member["contact_id"]),
            values=values,
            version=revision(changed, values) if whole else None,
            modified=instant_from_iso(changed),
            created=_created(member),
        )


def lacks_tags(member: Mapping[str, Any]) -> bool:
    """Whether a member has more tags than the fifty that are shown with it."""
    return int(member.get(TAGS_COUNT) or 0) > len(member.get(TAGS) or ())


def _created(member: Mapping[str, Any]) -> Instant | None:
    """When a member came into being, as far as Mailchimp tells: the later of signing up and opting in.

    For members that we make it is the moment of the request. Others may show a later time (who opted in anew), one
    that their maker stated, or none.
    """
    return max((instant_from_iso(member[name]) for name in _BIRTHS if member.get(name)), default=None)


def _blank_is_none(value: Any) -> Raw:
    """`""` is empty, and so is an address without any part."""
    if value == "" or (isinstance(value, dict) and not any(value.values())):
        return None
    return value


def subscriber_hash(email: str) -> str:
    """How paths name a member by e-mail: the MD5 of the address in lower case."""
    return hashlib.md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def normal_tags(tags: Iterable[Any]) -> list[str]:
    """The names of tags as Mailchimp keeps them: without blanks around them, each once; here in a fixed order."""
    return sorted({str(tag).strip() for tag in tags} - {""})


def normal(values: RawValues) -> RawValues:
    """The form in which Mailchimp stores these values."""
    return {
        name: normal_tags(value or ()) if name == TAGS else value.strip() if isinstance(value, str) else value
        for name, value in values.items()
    }


def encode(changed: RawValues) -> dict[str, Any]:
    """The member's part of a request that sets these fields. Tags are left out: each request has its own way."""
    body: dict[str, Any] = {}
    merge: dict[str, Any] = {}
    for name, value in normal(changed).items():
        if name.startswith(MERGE):
            merge[name[len(MERGE) :]] = _spelt(value)
        elif name == "vip":
            body[name] = bool(value)
        elif name != TAGS:
            body[name] = "" if value is None else value
    if merge:
        body["merge_fields"] = merge
    return body


def _spelt(value: Raw) -> Any:
    """A merge field's value for the wire: no value is `""`, and a decimal keeps every digit as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return "" if value is None else value


def describe_merge_field(entry: Mapping[str, Any]) -> FieldInfo:
    """The field of one entry of `/lists/{id}/merge-fields`."""
    options = entry.get("options") or {}
    kind = _MERGE_TYPES.get(str(entry["type"]), FieldType.STRING)
    return FieldInfo(
        name=f"{MERGE}{entry['tag']}",
        type=kind,
        label=str(entry.get("name") or ""),
        choices=tuple(options.get("choices") or ()) if kind is FieldType.CHOICE else None,
        required=bool(entry.get("required")),
    )
