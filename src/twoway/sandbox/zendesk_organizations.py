"""The organizations of the Zendesk look-alike: their rules, and how the API shows them.

Custom fields are kept as `organization_fields.KEY`. An organization that was deleted stays in the collection, for
the incremental export; every other reader skips it. So it is with the loser of a merge: only the merge's own record
tells into which organization it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twoway.sandbox.kit import By, Collection, Record, iso_seconds
from twoway.sandbox.zendesk_errors import detail, duplicate, free_external_id, not_found, record_invalid
from twoway.sandbox.zendesk_fields import FieldCatalog
from twoway.sandbox.zendesk_tags import normal_tags

DEFAULTS: dict[str, Any] = {
    "external_id": None,
    "domain_names": [],
    "details": "",
    "notes": "",
    "group_id": None,
    "shared_tickets": False,
    "shared_comments": False,
    "tags": [],
}


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of two organizations, by their ids."""

    id: str
    loser: int
    winner: int


class Organizations:
    """The rules of organizations over their `Collection`."""

    def __init__(self, records: Collection, catalog: FieldCatalog) -> None:
        self.records = records
        self.catalog = catalog
        self.deleted = 0
        self.merges: list[Merge] = []
        self._by_name: dict[str, int] = {}
        self._by_external: dict[str, int] = {}

    def live(self, reference: Any) -> Record:
        """The organization by id; 404 if there is none, or it is deleted."""
        text = str(reference)
        record = self.records.get(int(text), follow=False) if text.isdigit() else None
        if record is None or record.deleted:
            raise not_found()
        return record

    def chosen(self, reference: Any) -> int | None:
        """The id of the live organization that another record is given, None for none; 422 if there is none such."""
        if not reference:
            return None
        text = str(reference)
        record = self.records.get(int(text), follow=False) if text.isdigit() else None
        if record is None or record.deleted:
            raise record_invalid({"organization": [detail("Organization: is invalid")]})
        return record.id

    def by_external_id(self, external_id: Any) -> Record | None:
        """The organization with this external id, without regard to case."""
        number = self._by_external.get(str(external_id).lower())
        return None if number is None else self.records.get(number, follow=False)

    def by_name(self, name: str) -> Record | None:
        """The organization of that name, without regard to case."""
        number = self._by_name.get(name.strip().lower())
        return None if number is None else self.records.get(number, follow=False)

    def named(self, name: str, by: By) -> int:
        """The id of the organization of that name, which is made if there is none."""
        return (self.by_name(name) or self.create({"name": name}, by)).id

    def match(self, body: Mapping[str, Any]) -> Record | None:
        """What create_or_update means: by id or external id, never by name. An id that does not exist is 404."""
        if body.get("id"):
            return self.live(body["id"])
        return self.by_external_id(body["external_id"]) if body.get("external_id") else None

    def create(self, body: Mapping[str, Any], by: By) -> Record:
        """A new organization. 422 on a blank or taken name, a taken external id, a bad custom value."""
        changes = self._checked(None, {"name": "", **body}, "organizations/create")
        record = self.records.create({k: v for k, v in changes.items() if v != self._default(k)}, by)
        self._index(record)
        return record

    def load(self, given: dict[str, Any], *, record_id: int | None, created: float, modified: float) -> Record:
        """Seeds an organization that has always been there, in the API's shape; the values are not checked."""
        fields = {name: value for name, value in given.items() if name == "name" or name in DEFAULTS}
        custom = given.get("organization_fields", {})
        fields.update((f"organization_fields.{key}", value) for key, value in custom.items())
        record = self.records.load(fields, record_id=record_id, created=created, modified=modified)
        self._index(record)
        return record

    def update(self, record: Record, body: Mapping[str, Any], by: By) -> None:
        """Changes an organization; 422 as for `create`."""
        changes = self._checked(record, body, "organizations/update")
        fields = record.fields
        moved = {name: value for name, value in changes.items() if fields.get(name, self._default(name)) != value}
        self._forget(record)
        self.records.update(record, moved, by)
        self._index(record)

    def delete(self, record: Record, by: By) -> None:
        """Deletes it; its name and external id are free again."""
        self._forget(record)
        self.deleted += 1
        self.records.delete(record, by)

    def merge(self, loser: Record, winner: Record, by: By) -> Merge:
        """The winner takes the loser's domains and keeps all its own values; the loser is deleted. 422 with itself.

        The original queues a job; here it is done at once. The users and tickets are the account's matter.
        """
        if loser is winner:
            raise record_invalid({"winner_id": [detail("Winner: is invalid")]})
        domains = list(winner.fields.get("domain_names", ()))
        domains += [domain for domain in loser.fields.get("domain_names", ()) if domain not in domains]
        self._forget(loser)
        self.deleted += 1
        self.records.merge(winner, loser, {"domain_names": domains} if domains else {}, by)
        made = Merge(f"01MERGE{len(self.merges) + 1:019}", loser.id, winner.id)
        self.merges.append(made)
        return made

    @staticmethod
    def render_merge(made: Merge, base: str, status: str = "complete") -> dict[str, Any]:
        """The organization_merge object of the API; `status` is new, in progress, error or complete."""
        return {
            "id": made.id,
            "loser_id": made.loser,
            "winner_id": made.winner,
            "status": status,
            "url": f"{base}/organization_merges/{made.id}.json",
        }

    def render(self, record: Record, base: str) -> dict[str, Any]:
        """The organization object of the API; `base` is the URL up to and with `/api/v2`."""
        fields = record.fields
        return {
            "url": f"{base}/organizations/{record.id}.json",
            "id": record.id,
            "name": fields["name"],
            "created_at": iso_seconds(record.created),
            "updated_at": iso_seconds(record.modified),
            "deleted_at": iso_seconds(record.modified) if record.deleted else None,
            **{name: fields.get(name, default) for name, default in DEFAULTS.items()},
            "organization_fields": {
                key: fields.get(f"organization_fields.{key}", empty) for key, empty in self.catalog.defaults.items()
            },
        }

    def _checked(self, record: Record | None, body: Mapping[str, Any], action: str) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if "name" in body:
            name = str(body["name"] or "").strip()
            if not name:
                raise record_invalid({"name": [detail("Name: cannot be blank", "BlankValue")]})
            if self._by_name.get(name.lower(), record and record.id) != (record and record.id):
                raise duplicate("name", "Name", name)
            changes["name"] = name
        if "external_id" in body:
            changes["external_id"] = free_external_id(body["external_id"], record, self.by_external_id)
        for text in ("details", "notes"):
            if text in body:
                changes[text] = str(body[text] or "").strip()
        for switch in ("shared_tickets", "shared_comments"):
            if switch in body:
                changes[switch] = bool(body[switch])
        if "domain_names" in body:
            changes["domain_names"] = [str(domain).lower() for domain in body["domain_names"] or ()]
        if "tags" in body:
            changes["tags"] = normal_tags(body["tags"], "organization", action)
        custom = body.get("organization_fields")
        if isinstance(custom, dict):
            checked = self.catalog.validate(custom)
            changes.update((f"organization_fields.{key}", value) for key, value in checked.items())
        return changes

    def _default(self, name: str) -> Any:
        prefix, _, key = name.partition(".")
        return self.catalog.defaults.get(key) if prefix == "organization_fields" else DEFAULTS.get(name)

    def _index(self, record: Record) -> None:
        self._by_name[record.fields["name"].lower()] = record.id
        if record.fields.get("external_id"):
            self._by_external[record.fields["external_id"].lower()] = record.id

    def _forget(self, record: Record) -> None:
        self._by_name.pop(record.fields["name"].lower(), None)
        self._by_external.pop(str(record.fields.get("external_id")).lower(), None)
