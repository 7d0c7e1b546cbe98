"""One Mailchimp audience: its members, their hashes and tags, and the rules of who may be subscribed. No HTTP here.

A member's fields are stored flat: `email_address`, `status`, `merge_fields.FNAME`, `tags` (names). An archived member
is a deleted record, whose id, hash and fields all live on. One deleted for good is gone and its address is barred.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.mailchimp_fields import Invalid, MergeField, standard
from twoway.sandbox.store import By, Collection, Record, Version

STATUSES = frozenset({"subscribed", "unsubscribed", "cleaned", "pending", "transactional"})
_COMPLIANCE = frozenset({"unsubscribed", "cleaned"})
_PLAIN = ("email_type", "language", "vip")
_MERGE = "merge_fields."
SHOWN_TAGS = 50
"""Tags that are shown with a member; a path of their own has them all."""
FAKE_DOMAINS = frozenset({"example.com", "example.net", "example.org", "test.com"})


class Rejected(Exception):
    """A member that Mailchimp refuses: the problem's title and detail, and which fields are at fault."""

    def __init__(
        self, title: str, detail: str, errors: Mapping[str, str] | None = None, code: str = "ERROR_GENERIC"
    ) -> None:
        super().__init__(detail)
        self.title = title
        self.errors = dict(errors or {})
        self.code = code


def member_hash(email: str) -> str:
    """The id that an address gives a member: the MD5 of its lower-case form."""
    return hashlib.md5(email.strip().lower().encode(), usedforsecurity=False).hexdigest()


def contact_id(record: Record) -> str:
    """The id that stays when the address changes."""
    return f"{record.id:032x}"


class Audience:
    """A list of members."""

    def __init__(self, list_id: str, name: str, members: Collection) -> None:
        self.id = list_id
        self.name = name
        self.members = members
        self.fields: dict[str, MergeField] = standard()
        self.tag_ids: dict[str, int] = {}
        self.forgotten: set[str] = set()
        """Hashes of addresses that were deleted for good."""
        self.refuse_fake = False
        self.strict_compliance = True
        self._by_hash: dict[str, int] = {}

    # Reading

    def find(self, key: str) -> Record | None:
        """A member, archived or not, by hash, address or contact_id."""
        number = self._by_hash.get(member_hash(key) if "@" in key else key.lower())
        if number is None and len(key) == 32 and key.startswith("0000"):
            try:
                number = int(key, 16)
            except ValueError:
                return None
        return None if number is None else self.members.get(number)

    def archived(self, body: Mapping[str, Any]) -> Record | None:
        """The archived member that has the address of this body."""
        record = self.find(str(body.get("email_address") or "@"))
        return record if record is not None and record.deleted else None

    def status(self, version: Version) -> str:
        """The status as the API shows it."""
        return "archived" if version.deleted else str(version.fields["status"])

    def wire(self, record: Record, version: Version, *, most_tags: int | None = SHOWN_TAGS) -> dict[str, Any]:
        """The member's JSON."""
        fields = version.fields
        email = fields["email_address"]
        names = fields.get("tags", ())
        first, last = (fields.get(_MERGE + tag, "") for tag in ("FNAME", "LNAME"))
        status = self.status(version)
        return {
            "id": member_hash(email),
            "email_address": email,
            "unique_email_id": f"{record.id:010x}",
            "contact_id": contact_id(record),
            "full_name": f"{first} {last}".strip(),
            "web_id": record.id,
            "email_type": fields.get("email_type", "html"),
            "status": status,
            "consents_to_one_to_one_messaging": True,
            "merge_fields": {tag: fields.get(_MERGE + tag, "") for tag in self.fields},
            "interests": {},
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": "",
            "timestamp_signup": "",
            "ip_opt": "",
            "timestamp_opt": iso_seconds(record.created, zone="+00:00"),
            "member_rating": 2,
            "last_changed": iso_seconds(version.modified, zone="+00:00"),
            "language": fields.get("language", ""),
            "vip": fields.get("vip", False),
            "email_client": "",
            "location": {
                "latitude": 0,
                "longitude": 0,
                "gmtoff": 0,
                "dstoff": 0,
                "country_code": "",
                "timezone": "",
                "region": "",
            },
            "source": "API - Generic",
            "tags_count": len(names),
            "tags": [{"id": self.tag_ids[name], "name": name} for name in names[:most_tags]],
            "list_id": self.id,
            "_links": [],
        }

    # Validation

    def check(
        self, body: Mapping[str, Any], record: Record | None, *, skip_required: bool = False, human: bool = False
    ) -> dict[str, Any]:
        """The changes that a body asks for, as they would be stored. Raises Rejected; changes nothing."""
        changes: dict[str, Any] = {name: body[name] for name in _PLAIN if name in body}
        email = body.get("email_address")
        if email is not None:
            changes["email_address"] = self._checked_email(str(email), record)
        elif record is None:
            raise _invalid({"email_address": "Required fields were not provided: email_address"})
        status = body.get("status")
        if status is not None:
            changes["status"] = self._checked_status(str(status), record, human=human)
        changes |= self._checked_merge(body.get("merge_fields") or {}, record, skip_required=skip_required)
        return changes

    def _checked_email(self, email: str, record: Record | None) -> str:
        email = email.strip()
        name, _, domain = email.partition("@")
        if not name or "." not in domain or " " in email:
            raise Rejected("Invalid Resource", "Please provide a valid email address.", {"email_address": "not valid"})
        if self.refuse_fake and domain.lower() in FAKE_DOMAINS:
            raise Rejected("Invalid Resource", f"{email} looks fake or invalid, please enter a real email address.")
        key = member_hash(email)
        if key in self.forgotten:
            raise Rejected(
                "Forgotten Email Not Subscribed",
                f"{email} was permanently deleted and cannot be re-imported. The contact must re-subscribe.",
            )
        other = self._by_hash.get(key)
        if other is not None and (record is None or other != record.id):
            raise Rejected(
                "Member Exists",
                f"{email} is already a list member. Use PUT to insert or update list members.",
                code="ERROR_CONTACT_EXISTS",
            )
        return email

    def _checked_status(self, status: str, record: Record | None, *, human: bool) -> str:
        if status not in STATUSES:
            raise _invalid({"status": f"{status} is none of {', '.join(sorted(STATUSES))}"})
        if record is None or human or status not in {"subscribed", "transactional"}:
            return status
        was = record.fields["status"]
        if was in _COMPLIANCE and (self.strict_compliance or self._last_status_by(record) == "human"):
            raise Rejected(
                "Member In Compliance State",
                f"{record.fields['email_address']} unsubscribed, bounced or is under review and cannot be subscribed.",
            )
        return status

    @staticmethod
    def _last_status_by(record: Record) -> str:
        """Who set the present status."""
        who = record.who
        for version in reversed(record.versions()):
            if version.fields["status"] != record.fields["status"]:
                break
            who = version.who
        return who

    def _checked_merge(self, given: Any, record: Record | None, *, skip_required: bool) -> dict[str, Any]:
        if not isinstance(given, Mapping):
            raise _invalid({"merge_fields": "Schema describes object"})
        changes: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for tag, value in given.items():
            definition = self.fields.get(tag)
            if definition is None:
                continue  # Mailchimp ignores a tag that it does not know.
            try:
                changes[_MERGE + tag] = definition.normal(value)
            except Invalid as reason:
                errors[tag] = str(reason)
        if not skip_required:
            stored: Mapping[str, Any] = record.fields if record is not None else {}
            for tag, definition in self.fields.items():
                value = changes.get(_MERGE + tag, stored.get(_MERGE + tag, definition.default))
                if definition.required and value == "" and tag not in errors:
                    errors[tag] = "Please enter a value"
        if errors:
            raise Rejected("Invalid Resource", "Your merge fields were invalid.", errors)
        return changes

    # Changing

    def create(self, changes: Mapping[str, Any], tags: list[str], by: By) -> Record:
        """A new member, of what `check` passed."""
        fields = {name: value for name, value in changes.items() if value != ""}
        if tags:
            fields["tags"] = self._known_tags(tags)
        record = self.members.create(fields, by)
        self._by_hash[member_hash(fields["email_address"])] = record.id
        return record

    def update(self, record: Record, changes: Mapping[str, Any], by: By) -> None:
        """Change a member as `check` passed it. A status brings an archived one back."""
        if record.deleted and "status" in changes:
            self.members.restore(record, by)
        if "email_address" in changes:
            self._by_hash.pop(member_hash(record.fields["email_address"]), None)
            self._by_hash[member_hash(changes["email_address"])] = record.id
        old = record.fields
        self.members.update(record, {name: new for name, new in changes.items() if new != "" or name in old}, by)

    def retag(self, record: Record, add: list[str], remove: list[str], by: By, *, touch: bool) -> None:
        """Add and remove tags; with `touch` that moves `last_changed`."""
        kept = [name for name in record.fields.get("tags", ()) if name not in remove]
        names = self._known_tags([*kept, *(name for name in add if name not in remove)])
        if names == record.fields.get("tags", ()):
            return
        if touch:
            self.members.update(record, {"tags": names}, by)
        else:
            self.members.update_quietly(record, {"tags": names}, by)

    def archive(self, record: Record, by: By) -> None:
        """What DELETE does."""
        self.members.delete(record, by)

    def forget(self, record: Record, by: By) -> None:
        """Delete for good."""
        key = member_hash(record.fields["email_address"])
        self._by_hash.pop(key, None)
        self.forgotten.add(key)
        self.members.purge(record, by)

    def load(self, entry: Mapping[str, Any], created: float | None, modified: float | None) -> None:
        """Seed a member: `{"email_address", "status"?, "merge_fields"?, "tags"?}`, values as they are stored."""
        fields: dict[str, Any] = {
            "email_address": entry["email_address"],
            "status": entry.get("status", "subscribed"),
        }
        for tag, value in (entry.get("merge_fields") or {}).items():
            if value != "":
                fields[_MERGE + tag] = value
        if entry.get("tags"):
            fields["tags"] = self._known_tags(entry["tags"])
        record = self.members.load(fields, created=created, modified=modified)
        self._by_hash[member_hash(entry["email_address"])] = record.id

    def _known_tags(self, names: list[str]) -> tuple[str, ...]:
        for name in names:
            self.tag_ids.setdefault(name, len(self.tag_ids) + 1)
        return tuple(dict.fromkeys(names))


def _invalid(errors: Mapping[str, str]) -> Rejected:
    return Rejected(
        "Invalid Resource",
        "The resource submitted could not be validated. For field-specific details, see the 'errors' array.",
        errors,
    )
