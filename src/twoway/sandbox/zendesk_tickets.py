"""The tickets of the Zendesk look-alike: enough of them to link a customer to, and their conditional update.

Custom fields are kept as `custom_fields.ID`. A deleted ticket stays in the collection, for the incremental export
and `/deleted_tickets`.

A ticket has two times: `generated_timestamp`, by which exports go, moves with every change, `updated_at` only with
those that make a ticket event. What the system changes by itself makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twoway.sandbox.kit import By, Collection, Record, iso_seconds, parse_time
from twoway.sandbox.zendesk_errors import detail, not_found, record_invalid, update_conflict
from twoway.sandbox.zendesk_fields import FieldCatalog
from twoway.sandbox.zendesk_organizations import Organizations
from twoway.sandbox.zendesk_people import Users
from twoway.sandbox.zendesk_tags import normal_tags

DEFAULTS: dict[str, Any] = {
    "external_id": None,
    "type": None,
    "subject": None,
    "description": "",
    "priority": None,
    "status": "open",
    "recipient": None,
    "requester_id": None,
    "submitter_id": None,
    "assignee_id": None,
    "organization_id": None,
    "group_id": None,
    "due_at": None,
    "tags": [],
    "comments": [],
}
CHOICES = {
    "type": frozenset({None, "problem", "incident", "question", "task"}),
    "priority": frozenset({None, "low", "normal", "high", "urgent"}),
    "status": frozenset({"new", "open", "pending", "hold", "solved", "closed"}),
}


class Tickets:
    """The rules of tickets over their `Collection`. `caller` gives the id of the user who calls."""

    def __init__(
        self,
        records: Collection,
        users: Users,
        organizations: Organizations,
        catalog: FieldCatalog,
        next_id: Callable[[], int],
        caller: Callable[[], int],
    ) -> None:
        self.records = records
        self.catalog = catalog
        self.deleted = 0
        self._users = users
        self._organizations = organizations
        self._next_id = next_id
        self._caller = caller
        # Ticket → `updated_at`, where the latest change was the system's.
        self._updated: dict[int, float] = {}

    def updated_at(self, record: Record) -> float:
        """The time of the latest change that made a ticket event, in whole seconds since the epoch."""
        return self._updated.get(record.id, record.modified)

    def get(self, reference: Any) -> Record:
        """The ticket by id, a deleted one too; 404 if there is none."""
        text = str(reference)
        record = self.records.get(int(text)) if text.isdigit() else None
        if record is None:
            raise not_found()
        return record

    def live(self, reference: Any) -> Record:
        """The ticket by id; 404 if there is none, or it is deleted."""
        record = self.get(reference)
        if record.deleted:
            raise not_found()
        return record

    def create(self, body: Mapping[str, Any], by: By) -> Record:
        """A new ticket: `comment` or `description`, and who asks, as `requester_id` or `requester` {name, email}.

        A requester whose e-mail is not known becomes a new user. The ticket takes the tags of its requester and of the
        organization, too. 422 without a text or with a bad value.
        """
        text = self._text(body) or str(body.get("description") or "")
        if not text.strip():
            raise record_invalid({"base": [detail("Description: cannot be blank", "BlankValue")]})
        changes = {"status": "new", **self._checked(body, "tickets/create")}
        asked = body.get("requester")
        requester = body.get("requester_id") or self._caller()
        if isinstance(asked, dict):
            known = self._users.by_email(str(asked.get("email") or ""))
            requester = (known or self._users.create(asked, by)).id
        changes.setdefault("requester_id", requester)
        changes.setdefault("submitter_id", self._caller())
        changes.update(description=text, comments=[self._comment(body, text, int(changes["submitter_id"]))])
        if changes.get("organization_id") is None:
            owner = self._users.get(changes["requester_id"])
            changes["organization_id"] = owner.fields.get("organization_id")
        tags = {*changes.get("tags", ()), *self._inherited(changes)}
        changes.update({"tags": sorted(tags)} if tags else {})
        return self.records.create({k: v for k, v in changes.items() if v != DEFAULTS.get(k)}, by)

    def load(self, given: dict[str, Any], *, record_id: int | None, created: float, modified: float) -> Record:
        """Seeds a ticket that has always been there, in the API's shape; the values are not checked."""
        fields = {name: value for name, value in given.items() if name in DEFAULTS}
        custom = given.get("custom_fields", ())
        fields.update((f"custom_fields.{entry['id']}", entry["value"]) for entry in custom)
        return self.records.load(fields, record_id=record_id, created=created, modified=modified)

    def update(self, record: Record, body: Mapping[str, Any], by: By) -> None:
        """Changes a ticket, and adds `comment` to it.

        With `safe_update`, 409 unless `updated_stamp` is the ticket's `updated_at`, or later: so a change in that very
        second passes, and one that moved no `updated_at`. 422 for a closed ticket.
        """
        if str(body.get("safe_update")).lower() == "true":
            try:
                stamp = parse_time(str(body.get("updated_stamp")))
            except ValueError:
                raise update_conflict() from None
            if stamp < int(self.updated_at(record)):
                raise update_conflict()
        if record.fields.get("status") == "closed":
            raise record_invalid({"status": [detail("Status: closed prevents ticket update")]})
        changes = self._checked(body, "tickets/update")
        text = self._text(body)
        if text:
            changes["comments"] = [*record.fields.get("comments", ()), self._comment(body, text, self._caller())]
        moved = {k: v for k, v in changes.items() if record.fields.get(k, self._default(k)) != v}
        if self.records.update(record, moved, by):
            self._updated.pop(record.id, None)

    def update_by_system(self, record: Record, changes: Mapping[str, Any], by: By) -> None:
        """Changes a ticket without a ticket event: the export shows it, `updated_at` stays."""
        updated = self.updated_at(record)
        self.records.update(record, changes, by)
        self._updated[record.id] = updated

    def delete(self, record: Record, by: By) -> None:
        """Soft delete."""
        self.deleted += 1
        self._updated.pop(record.id, None)
        self.records.delete(record, by)

    def restore(self, record: Record, by: By) -> None:
        """Undoes a soft delete; 404 for a ticket that is not deleted."""
        if not record.deleted:
            raise not_found()
        self.deleted -= 1
        self._updated.pop(record.id, None)
        self.records.restore(record, by)

    def render(self, record: Record, base: str) -> dict[str, Any]:
        """The ticket object of the API; `base` is the URL up to and with `/api/v2`."""
        fields = record.fields
        shown = {name: fields.get(name, default) for name, default in DEFAULTS.items() if name != "comments"}
        custom = [
            {"id": int(number), "value": fields.get(f"custom_fields.{number}", empty)}
            for number, empty in self.catalog.defaults.items()
        ]
        shown.update(
            url=f"{base}/tickets/{record.id}.json",
            id=record.id,
            created_at=iso_seconds(record.created),
            updated_at=iso_seconds(self.updated_at(record)),
            generated_timestamp=int(record.modified),
            raw_subject=shown["subject"],
            status="deleted" if record.deleted else shown["status"],
            via={"channel": "api", "source": {"from": {}, "to": {}, "rel": None}},
            has_incidents=False,
            is_public=True,
            follower_ids=[],
            collaborator_ids=[],
            email_cc_ids=[],
            problem_id=None,
            satisfaction_rating=None,
            custom_fields=custom,
            fields=custom,
        )
        return shown

    @staticmethod
    def comments(record: Record) -> list[dict[str, Any]]:
        """The ticket's comments, oldest first."""
        return list(record.fields.get("comments", ()))

    def _checked(self, body: Mapping[str, Any], action: str) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for name, allowed in CHOICES.items():
            if name in body:
                if body[name] not in allowed:
                    raise record_invalid({name: [detail(f"{name.capitalize()}: {body[name]} is not valid")]})
                changes[name] = body[name]
        for name in ("requester_id", "submitter_id", "assignee_id"):
            if body.get(name):
                number = str(body[name])
                owner = self._users.records.get(int(number), follow=False) if number.isdigit() else None
                if owner is None or owner.deleted:
                    raise record_invalid({name: [detail(f"{name.removesuffix('_id').capitalize()}: is invalid")]})
                changes[name] = owner.id
        if "organization_id" in body:
            changes["organization_id"] = self._organizations.chosen(body["organization_id"])
        for name in ("subject", "external_id", "recipient", "due_at", "group_id"):
            if name in body:
                changes[name] = body[name]
        if "tags" in body:
            changes["tags"] = normal_tags(body["tags"], "ticket", action)
        given = body.get("custom_fields") or []
        pairs = given.items() if isinstance(given, dict) else ((entry.get("id"), entry.get("value")) for entry in given)
        checked = self.catalog.validate({str(number): value for number, value in pairs})
        changes.update((f"custom_fields.{number}", value) for number, value in checked.items())
        return changes

    def _inherited(self, changes: Mapping[str, Any]) -> list[str]:
        """The tags of a ticket's requester and of its organization."""
        owner = self._users.get(changes["requester_id"])
        number = changes.get("organization_id")
        organization = None if number is None else self._organizations.live(number)
        return [*owner.fields.get("tags", ()), *(organization.fields.get("tags", ()) if organization else ())]

    @staticmethod
    def _text(body: Mapping[str, Any]) -> str:
        comment = body.get("comment")
        if isinstance(comment, dict):
            return str(comment.get("body") or comment.get("html_body") or "")
        return str(comment or "")

    def _comment(self, body: Mapping[str, Any], text: str, author: int) -> dict[str, Any]:
        given = body.get("comment")
        public = bool(given.get("public", True)) if isinstance(given, dict) else True
        return {"id": self._next_id(), "type": "Comment", "author_id": author, "body": text, "public": public}

    def _default(self, name: str) -> Any:
        prefix, _, number = name.partition(".")
        return self.catalog.defaults.get(number) if prefix == "custom_fields" else DEFAULTS.get(name)
