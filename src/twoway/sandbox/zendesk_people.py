"""The users of the Zendesk look-alike: their rules, their identities, and how the API shows them.

A record's `fields` are sparse: a value that equals `DEFAULTS` may be absent. Custom fields are kept as
`user_fields.KEY`, so that the write log names each of them. A user whose only identity is the primary e-mail
carries no `identities`: `identities_of` makes that one up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from twoway.sandbox.kit import By, Collection, Record, iso_seconds
from twoway.sandbox.zendesk_errors import (
    detail,
    duplicate,
    free_external_id,
    not_found,
    record_invalid,
)
from twoway.sandbox.zendesk_fields import FieldCatalog
from twoway.sandbox.zendesk_organizations import Organizations
from twoway.sandbox.zendesk_tags import normal_tags

DEFAULTS: dict[str, Any] = {
    "email": None,
    "time_zone": "Pacific Time (US & Canada)",
    "phone": None,
    "shared_phone_number": None,
    "locale": "en-US",
    "organization_id": None,
    "role": "end-user",
    "verified": False,
    "external_id": None,
    "tags": [],
    "alias": "",
    "signature": "",
    "details": "",
    "notes": "",
    "custom_role_id": None,
    "moderator": False,
    "ticket_restriction": "requested",
    "only_private_comments": False,
    "restricted_agent": True,
    "suspended": False,
    "default_group_id": None,
}
TEXTS = ("time_zone", "locale", "alias", "signature", "details", "notes")
SWITCHES = ("verified", "moderator", "only_private_comments", "restricted_agent", "suspended")
ROLES = frozenset({"end-user", "agent", "admin"})
LOCALES = {"en-US": 1, "es": 2, "nl": 6, "de": 8, "fr": 16, "pt-BR": 19, "it": 22, "ja": 67}
IDENTITY_TYPES = frozenset({"email", "twitter", "facebook", "google", "phone_number", "agent_forwarding", "foreign"})
FIRST_IDENTITY = 10_000_000_000

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s.,;<>]+(\.[^@\s.,;<>]+)+")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Identity:
    """An address of a user; `created` and `changed` are seconds since the epoch."""

    id: int
    type: str
    value: str
    verified: bool
    primary: bool
    created: int
    changed: int


class Users:
    """The rules of users over their `Collection`.

    `next_id` gives identities their ids, `now` seconds since the epoch. Where a method takes `base`, it is the URL
    up to and with `/api/v2`.
    """

    def __init__(
        self,
        records: Collection,
        organizations: Organizations,
        catalog: FieldCatalog,
        next_id: Callable[[], int],
        now: Callable[[], int],
    ) -> None:
        self.records = records
        self.catalog = catalog
        self.deleted = 0
        self._organizations = organizations
        self._next_id = next_id
        self._now = now
        self._by_email: dict[str, int] = {}
        self._by_external: dict[str, int] = {}
        self._by_phone: dict[str, int] = {}

    # Reading

    def get(self, reference: str | int) -> Record:
        """The user by id, deleted ones too; 404 if there is none."""
        text = str(reference)
        record = self.records.get(int(text), follow=False) if text.isdigit() else None
        if record is None:
            raise not_found()
        return record

    def live(self, reference: str | int) -> Record:
        """The user by id; 404 if there is none, or it is deleted."""
        record = self.get(reference)
        if record.deleted:
            raise not_found()
        return record

    def by_email(self, email: str) -> Record | None:
        """The live user who has this address, primary or not, without regard to case."""
        return self._find(self._by_email, email)

    def by_external_id(self, external_id: Any) -> Record | None:
        """The live user with this external id, without regard to case."""
        return self._find(self._by_external, str(external_id))

    def match(self, body: Mapping[str, Any]) -> Record | None:
        """The user whom create_or_update means: by external id first, then by e-mail."""
        found = self.by_external_id(body["external_id"]) if body.get("external_id") else None
        if found is None and body.get("email"):
            found = self.by_email(str(body["email"]).strip())
        return found

    def render(self, record: Record, base: str) -> dict[str, Any]:
        """The user object of the API."""
        fields = record.fields
        shown: dict[str, Any] = {
            "id": record.id,
            "url": f"{base}/users/{record.id}.json",
            "name": fields["name"],
            "created_at": iso_seconds(record.created),
            "updated_at": iso_seconds(record.modified),
            "active": not record.deleted,
            "shared": False,
            "shared_agent": False,
            "last_login_at": None,
            "two_factor_auth_enabled": None,
            "photo": None,
            "role_type": None,
            "report_csv": False,
        }
        for name, default in DEFAULTS.items():
            shown[name] = fields.get(name, default)
        shown["locale_id"] = LOCALES.get(shown["locale"], 1)
        if record.id in self.records.aliases:
            # The address went to the winner of the merge.
            shown["email"] = None
        shown["user_fields"] = {
            key: fields.get(f"user_fields.{key}", empty) for key, empty in self.catalog.defaults.items()
        }
        return shown

    # Changing

    def create(self, body: Mapping[str, Any], by: By) -> Record:
        """A new user. 422 on a blank name, a malformed or taken address, a taken external id, a bad value."""
        changes = self._checked(None, body, "users/create")
        if "name" not in changes:
            raise record_invalid({"name": [detail("Name: is too short (minimum is 1 characters)", "ValueTooShort")]})
        now = self._now()
        identities: list[Identity] = []
        if body.get("email"):
            identities.append(self._new_identity("email", str(body["email"]), body, primary=True, now=now))
        for given in body.get("identities") or []:
            primary = not any(known.type == given.get("type") for known in identities)
            entry = self._new_identity(str(given.get("type")), str(given.get("value")), given, primary=primary, now=now)
            if all(entry.value != known.value for known in identities):
                identities.append(entry)
        for entry in identities:
            self._refuse_taken(entry, None, "has already been taken")
        if "phone" in body:
            identities = self._with_phone(None, identities, body["phone"], changes)
        if identities:
            self._set_identities(changes, identities)
        self._join(changes, body, by)
        # The name has no default; a value that equals its default is not worth its memory.
        record = self.records.create({k: v for k, v in changes.items() if k == "name" or v != self._default(k)}, by)
        self._index(record)
        return record

    def load(self, given: dict[str, Any], *, record_id: int | None, created: float, modified: float) -> Record:
        """Seeds a user who has always been there, in the API's shape; the values are not checked."""
        fields = {name: value for name, value in given.items() if name == "name" or name in DEFAULTS}
        fields.update((f"user_fields.{key}", value) for key, value in given.get("user_fields", {}).items())
        record = self.records.load(fields, record_id=record_id, created=created, modified=modified)
        self._index(record)
        return record

    def update(self, record: Record, body: Mapping[str, Any], by: By, *, browser: bool = False) -> None:
        """Changes a user. An `email` that is not yet the user's becomes a secondary address, never the primary one.

        In the `browser`, `email` is the primary address: another value replaces it, and a blank one removes it.
        Values that are there already change nothing, nor the time of the update. 422 as for `create`.
        """
        changes = self._checked(record, body, "users/update")
        before = identities = self.identities_of(record)
        if browser and "email" in body:
            identities = self._with_primary(record, identities, str(body["email"] or "").strip())
        elif body.get("email"):
            identities = self._with_email(record, identities, body)
        if "phone" in body:
            identities = self._with_phone(record, identities, body["phone"], changes)
        if identities != before:
            self._set_identities(changes, identities)
        self._join(changes, body, by)
        self._write(record, changes, by)

    def delete(self, record: Record, by: By) -> None:
        """Soft: the user stays readable with `active: false`; the addresses and the external id are free again."""
        self._forget(record)
        self.deleted += 1
        self.records.delete(record, by)

    def purge(self, record: Record, by: By) -> None:
        """For good, of a user who is deleted already; otherwise 404."""
        if not record.deleted:
            raise not_found()
        self.deleted -= 1
        self.records.purge(record, by)

    def merge(self, loser: Record, winner: Record, by: By) -> None:
        """The winner takes the loser's addresses as secondary ones and keeps all its own values; 422 for agents."""
        if loser is winner or any(side.fields.get("role", "end-user") != "end-user" for side in (loser, winner)):
            raise record_invalid({"base": [detail("Only two different end users can be merged")]})
        moved = [replace(entry, primary=False) for entry in self.identities_of(loser)]
        changes: dict[str, Any] = {}
        if moved:
            self._set_identities(changes, [*self.identities_of(winner), *moved])
        self._forget(loser)
        self._forget(winner)
        self.deleted += 1
        self.records.merge(winner, loser, changes, by)
        self._index(winner)

    # Identities

    def identities_of(self, record: Record) -> list[Identity]:
        """The user's addresses, the primary e-mail first."""
        fields = record.fields
        if "identities" in fields:
            return list(fields["identities"])
        if not fields.get("email"):
            return []
        created = int(record.created)
        verified = bool(fields.get("verified", False))
        return [Identity(FIRST_IDENTITY + record.id, "email", fields["email"], verified, True, created, created)]

    def identity(self, record: Record, reference: str) -> Identity:
        """One address by id, or 404."""
        for entry in self.identities_of(record):
            if str(entry.id) == reference:
                return entry
        raise not_found()

    def render_identity(self, record: Record, entry: Identity, base: str) -> dict[str, Any]:
        """The identity object of the API."""
        shown: dict[str, Any] = {
            "url": f"{base}/users/{record.id}/identities/{entry.id}.json",
            "id": entry.id,
            "user_id": record.id,
            "type": entry.type,
            "value": entry.value,
            "verified": entry.verified,
            "primary": entry.primary,
            "created_at": iso_seconds(entry.created),
            "updated_at": iso_seconds(entry.changed),
        }
        if entry.type == "email":
            shown.update(undeliverable_count=0, deliverable_state="deliverable")
        return shown

    def add_identity(self, record: Record, body: Mapping[str, Any], by: By) -> Identity:
        """A further address: `type`, `value`, `verified`, `primary`. 422 if it is malformed or taken."""
        known = self.identities_of(record)
        kind = str(body.get("type"))
        primary = bool(body.get("primary")) or not any(entry.type == kind for entry in known)
        entry = self._new_identity(kind, str(body.get("value") or ""), body, primary=primary, now=self._now())
        if any(other.type == kind and other.value.lower() == entry.value.lower() for other in known):
            raise duplicate("value", kind.capitalize(), entry.value)
        self._refuse_taken(entry, record, "is already being used by another user")
        self._replace_identities(record, [*known, entry], by, primary=entry if primary else None)
        return self.identity(record, str(entry.id))

    def change_identity(self, record: Record, entry: Identity, body: Mapping[str, Any], by: By) -> Identity:
        """Sets `value` or `verified` of an address; of the primary e-mail this changes the user's `email`."""
        value = str(body.get("value") or entry.value).strip()
        changed = replace(entry, value=value, verified=bool(body.get("verified", entry.verified)))
        if changed != entry:
            self._check_identity(changed.type, value)
            self._refuse_taken(changed, record, "is already being used by another user")
            changed = replace(changed, changed=self._now())
            known = [changed if other.id == entry.id else other for other in self.identities_of(record)]
            self._replace_identities(record, known, by)
        return changed

    def make_primary(self, record: Record, entry: Identity, by: By) -> None:
        """Makes this address the primary one of its type."""
        self._replace_identities(record, self.identities_of(record), by, primary=entry)

    def remove_identity(self, record: Record, entry: Identity, by: By) -> None:
        """Removes an address; 422 for the primary e-mail of somebody who has another one."""
        rest = [other for other in self.identities_of(record) if other.id != entry.id]
        if entry.primary and entry.type == "email" and any(other.type == "email" for other in rest):
            raise record_invalid({"base": [detail("The primary e-mail cannot be removed")]})
        self._replace_identities(record, rest, by)

    # Helpers

    def _find(self, index: dict[str, int], value: str) -> Record | None:
        number = index.get(value.lower())
        return None if number is None else self.records.get(number, follow=False)

    def _checked(self, record: Record | None, body: Mapping[str, Any], action: str) -> dict[str, Any]:
        """The plain values of a body, in the form in which they are kept; raises before anything is changed."""
        changes: dict[str, Any] = {}
        if "name" in body:
            name = str(body["name"] or "").strip()
            if not name:
                text = "Name: is too short (minimum is 1 characters)"
                raise record_invalid({"name": [detail(text, "ValueTooShort")]})
            changes["name"] = name
        for text in TEXTS:
            if text in body:
                changes[text] = str(body[text] or DEFAULTS[text]).strip()
        for switch in SWITCHES:
            if switch in body:
                changes[switch] = bool(body[switch])
        if "role" in body:
            if body["role"] not in ROLES:
                raise record_invalid({"role": [detail(f"Role: {body['role']} is invalid")]})
            changes["role"] = body["role"]
        if "tags" in body:
            changes["tags"] = normal_tags(body["tags"], "user", action)
        if "external_id" in body:
            changes["external_id"] = free_external_id(body["external_id"], record, self.by_external_id)
        custom = body.get("user_fields")
        if isinstance(custom, dict):
            checked = self.catalog.validate(custom)
            changes.update((f"user_fields.{key}", value) for key, value in checked.items())
        if "organization_id" in body:
            changes["organization_id"] = self._organizations.chosen(body["organization_id"])
        return changes

    def _join(self, changes: dict[str, Any], body: Mapping[str, Any], by: By) -> None:
        """Puts the user into the organization that the body names, which may be new: so the last step of a check."""
        named = body.get("organization")
        if isinstance(named, dict):
            changes["organization_id"] = self._organizations.named(str(named.get("name") or ""), by)

    def _new_identity(self, kind: str, value: str, body: Mapping[str, Any], *, primary: bool, now: int) -> Identity:
        value = value.strip()
        self._check_identity(kind, value)
        verified = bool(body.get("verified", False))
        return Identity(self._next_id(), kind, value, verified, primary, now, now)

    @staticmethod
    def _check_identity(kind: str, value: str) -> None:
        if kind not in IDENTITY_TYPES:
            raise record_invalid({"type": [detail(f"Type: {kind} is invalid")]})
        if not value:
            raise record_invalid({"value": [detail("Value: cannot be blank", "BlankValue")]})
        if kind == "email" and not _EMAIL.fullmatch(value):
            raise record_invalid({"email": [detail(f"Email: {value} is not properly formatted")]})

    def _refuse_taken(self, entry: Identity, record: Record | None, why: str) -> None:
        if entry.type not in {"email", "phone_number"}:
            return
        owner = self._find(self._by_email if entry.type == "email" else self._by_phone, entry.value)
        if owner is not None and owner is not record:
            label = "Email" if entry.type == "email" else "Phone number"
            attribute = "email" if entry.type == "email" else "phone"
            raise record_invalid({attribute: [detail(f"{label}: {entry.value} {why}", "DuplicateValue")]})

    def _replace_identities(
        self, record: Record, identities: list[Identity], by: By, *, primary: Identity | None = None
    ) -> None:
        if primary is not None:
            identities = [
                replace(entry, primary=entry.id == primary.id) if entry.type == primary.type else entry
                for entry in identities
            ]
        changes: dict[str, Any] = {}
        self._set_identities(changes, identities)
        self._write(record, changes, by)

    @staticmethod
    def _set_identities(changes: dict[str, Any], identities: list[Identity]) -> None:
        """Puts the addresses, and what follows from them (`email`, `verified`), into the changes of a user."""
        mails = [entry for entry in identities if entry.type == "email"]
        if mails and not any(entry.primary for entry in mails):
            promoted = replace(mails[0], primary=True)
            identities = [promoted if entry is mails[0] else entry for entry in identities]
        identities = sorted(identities, key=lambda entry: (entry.type != "email", not entry.primary))
        changes["identities"] = identities
        changes["email"] = identities[0].value if mails else None
        if any(entry.verified for entry in identities):
            changes["verified"] = True

    def _with_email(self, record: Record, known: list[Identity], body: Mapping[str, Any]) -> list[Identity]:
        """The addresses with the body's e-mail, which is the primary one only where there was none."""
        email = str(body["email"]).strip()
        mails = [entry for entry in known if entry.type == "email"]
        if any(entry.value.lower() == email.lower() for entry in mails):
            return known
        entry = self._new_identity("email", email, body, primary=not mails, now=self._now())
        self._refuse_taken(entry, record, "is already being used by another user")
        return [*known, entry]

    def _with_primary(self, record: Record, known: list[Identity], email: str) -> list[Identity]:
        """The addresses with another primary e-mail, or with none."""
        current = next((entry for entry in known if entry.type == "email" and entry.primary), None)
        rest = [entry for entry in known if entry is not current and entry.value.lower() != email.lower()]
        if not email:
            return rest
        if current is not None and current.value == email:
            return known
        entry = self._new_identity("email", email, {}, primary=True, now=self._now())
        self._refuse_taken(entry, record, "is already being used by another user")
        return [entry if current is None else replace(entry, id=current.id, created=current.created), *rest]

    def _with_phone(
        self, record: Record | None, known: list[Identity], given: Any, changes: dict[str, Any]
    ) -> list[Identity]:
        """Sets the phone in the changes, and gives the addresses with it.

        An international number that nobody else has is an identity; any other number is only shared.
        """
        phone = str(given or "").strip()
        if record is not None and phone == (record.fields.get("phone") or ""):
            return known
        rest = [entry for entry in known if entry.type != "phone_number"]
        changes["phone"] = phone or None
        if not phone:
            changes["shared_phone_number"] = None
            return rest
        owner = self._find(self._by_phone, phone)
        own = _E164.fullmatch(phone) is not None and (owner is None or owner is record)
        changes["shared_phone_number"] = not own
        if not own:
            return rest
        kept = [entry for entry in known if entry.type == "phone_number" and entry.value == phone]
        return [*rest, *(kept or [self._new_identity("phone_number", phone, {}, primary=True, now=self._now())])]

    def _write(self, record: Record, changes: Mapping[str, Any], by: By) -> None:
        fields = record.fields
        moved = {name: value for name, value in changes.items() if fields.get(name, self._default(name)) != value}
        if moved.keys() & {"identities", "external_id", "email"}:
            self._forget(record)
        self.records.update(record, moved, by)
        self._index(record)

    def _default(self, name: str) -> Any:
        prefix, _, key = name.partition(".")
        return self.catalog.defaults.get(key) if prefix == "user_fields" else DEFAULTS.get(name)

    def _index(self, record: Record) -> None:
        fields = record.fields
        if fields.get("external_id"):
            self._by_external[str(fields["external_id"]).lower()] = record.id
        if "identities" not in fields:
            if fields.get("email"):
                self._by_email[fields["email"].lower()] = record.id
            return
        for entry in fields["identities"]:
            if entry.type == "email":
                self._by_email[entry.value.lower()] = record.id
            elif entry.type == "phone_number":
                self._by_phone[entry.value.lower()] = record.id

    def _forget(self, record: Record) -> None:
        external = record.fields.get("external_id")
        if external:
            self._by_external.pop(str(external).lower(), None)
        for entry in self.identities_of(record):
            if entry.type == "email":
                self._by_email.pop(entry.value.lower(), None)
            elif entry.type == "phone_number":
                self._by_phone.pop(entry.value.lower(), None)
