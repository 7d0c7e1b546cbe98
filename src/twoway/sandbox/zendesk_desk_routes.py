"""The routes of organizations, tickets, tags and custom fields in the Zendesk look-alike.

A ticket that is archived is left out of `/tickets`, and of no other endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from twoway.sandbox.kit import Answer, By, Call, Record
from twoway.sandbox.zendesk_account import Account, Rules, base, batch, few, inner
from twoway.sandbox.zendesk_errors import bad_request, not_found
from twoway.sandbox.zendesk_fields import FieldCatalog
from twoway.sandbox.zendesk_jobs import Task
from twoway.sandbox.zendesk_paging import listing, offset_page
from twoway.sandbox.zendesk_tags import normal_tags

IDEMPOTENCY_SECONDS = 2 * 3600


class OrganizationRoutes:
    """`/organizations`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._organizations = account.organizations
        self._bulk = BulkRoutes(account, account.organizations, "organization", account.delete_organization)
        serve = account.serve
        serve("GET", "/organizations", self.list)
        serve("GET", "/organizations/count", self.count)
        serve("GET", "/organizations/search", self.search)
        serve("GET", "/organizations/show_many", self.show_many)
        self._bulk.serve()
        serve("GET", "/organizations/{id}", self.read)
        serve("POST", "/organizations", self.create)
        serve("POST", "/organizations/create_or_update", self.create_or_update)
        serve("PUT", "/organizations/{id}", self.update)
        serve("DELETE", "/organizations/{id}", self.delete)
        serve("POST", "/organizations/{id}/merge", self.merge)
        serve("GET", "/organizations/{id}/merges", self.merges)
        serve("GET", "/organization_merges/{id}", self.read_merge)

    def list(self, call: Call) -> Any:
        """All organizations."""
        records = self._organizations.records
        return listing(call, "organizations", records, lambda record: not record.deleted, self._shown(call))

    def count(self, call: Call) -> Any:  # noqa: ARG002 - a handler's signature
        """How many there are."""
        live = len(self._organizations.records) - self._organizations.deleted
        return {"count": {"value": live, "refreshed_at": self._account.stamp(self._account.now())}}

    def search(self, call: Call) -> Any:
        """By `external_id`, or by `name`: whole, without regard to case. 400 without either."""
        external, name = call.query.get("external_id"), call.query.get("name")
        if not external and not name:
            raise bad_request("InvalidSearch", "name or external_id is needed")
        found = [self._organizations.by_external_id(external) if external else self._organizations.by_name(str(name))]
        return offset_page(call, "organizations", [r for r in found if r is not None], self._shown(call))

    def show_many(self, call: Call) -> Any:
        """Up to 100 organizations by `ids` or `external_ids`; those that do not exist are left out."""
        records = self._organizations.records
        found: list[Record | None]
        if "external_ids" in call.query:
            found = [self._organizations.by_external_id(value) for value in few(call.values("external_ids"))]
        else:
            numbers = [int(value) for value in few(call.values("ids")) if value.isdigit()]
            found = [records.get(number, follow=False) for number in numbers]
        unique = {record.id: record for record in found if record is not None and not record.deleted}
        return offset_page(call, "organizations", unique.values(), self._shown(call))

    def read(self, call: Call) -> Any:
        """One organization, or 404."""
        return self._body(call, self._organizations.live(call.params["id"]))

    def create(self, call: Call) -> Answer:
        """201, or 422."""
        return Answer(201, self._body(call, self._organizations.create(inner(call, "organization"), call.by)))

    def create_or_update(self, call: Call) -> Answer:
        """201 for a new one, 200 for one that the id or the external id finds: never the name."""
        body = inner(call, "organization")
        record = self._organizations.match(body)
        if record is None:
            return self.create(call)
        self._organizations.update(record, body, call.by)
        return Answer(200, self._body(call, record))

    def update(self, call: Call) -> Any:
        """200, 404 or 422."""
        record = self._organizations.live(call.params["id"])
        self._organizations.update(record, inner(call, "organization"), call.by)
        return self._body(call, record)

    def delete(self, call: Call) -> Answer:
        """204."""
        self._account.delete_organization(self._organizations.live(call.params["id"]), call.by)
        return Answer(204)

    def merge(self, call: Call) -> Any:
        """Merges the organization of the path into `winner_id` of the body; 404, 422, or 403 but for administrators."""
        self._account.admins_only()
        loser = self._organizations.live(call.params["id"])
        winner = self._organizations.live(inner(call, "organization_merge").get("winner_id"))
        made = self._account.merge_organizations(loser, winner, call.by)
        return {"organization_merge": self._organizations.render_merge(made, base(call), "new")}

    def merges(self, call: Call) -> Any:
        """The merges in which an organization took part. 404 for one that was merged away: nobody promises more."""
        self._account.admins_only()
        number = self._organizations.live(call.params["id"]).id
        found = [made for made in self._organizations.merges if number in {made.loser, made.winner}]
        shown = [self._organizations.render_merge(made, base(call)) for made in found]
        return {"organization_merges": shown, "meta": {"has_more": False}, "links": {"prev": None, "next": None}}

    def read_merge(self, call: Call) -> Any:
        """One merge by its id, or 404."""
        self._account.admins_only()
        for made in self._organizations.merges:
            if made.id == call.params["id"]:
                return {"organization_merge": self._organizations.render_merge(made, base(call))}
        raise not_found()

    def _shown(self, call: Call) -> Callable[[Record], dict[str, Any]]:
        start = base(call)
        return lambda record: self._organizations.render(record, start)

    def _body(self, call: Call, record: Record) -> dict[str, Any]:
        return {"organization": self._shown(call)(record)}


class TicketRoutes:
    """`/tickets` and `/deleted_tickets`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tickets = account.tickets
        # Idempotency key → what was sent, the ticket, and when.
        self._sent: dict[str, tuple[str, int, float]] = {}
        serve = account.serve
        serve("GET", "/tickets", self.list)
        serve("GET", "/tickets/count", self.count)
        serve("GET", "/tickets/show_many", self.show_many)
        BulkRoutes(account, account.tickets, "ticket", account.tickets.delete).serve()
        serve("GET", "/tickets/{id}", self.read)
        serve("GET", "/tickets/{id}/comments", self.comments)
        serve("GET", "/users/{id}/tickets/requested", self.requested)
        serve("POST", "/tickets", self.create)
        serve("PUT", "/tickets/{id}", self.update)
        serve("DELETE", "/tickets/{id}", self.delete)
        serve("GET", "/deleted_tickets", self.list_deleted)
        serve("PUT", "/deleted_tickets/{id}/restore", self.restore)

    def list(self, call: Call) -> Any:
        """All tickets that are not archived, by external id where the query says so.

        By offset also in the order of `sort_by=updated_at`, upwards, or downwards with `sort_order=desc`.
        """
        external = call.query.get("external_id")

        def keep(record: Record) -> bool:
            return not (record.deleted or self._account.archived(record)) and (
                not external or record.fields.get("external_id") == external
            )

        if call.query.get("sort_by") == "updated_at" and not any(name.startswith("page[") for name in call.query):
            found = sorted(
                filter(keep, self._tickets.records),
                key=lambda record: (self._tickets.updated_at(record), record.id),
                reverse=call.query.get("sort_order") == "desc",
            )
            return offset_page(call, "tickets", found, self._shown(call))
        return listing(call, "tickets", self._tickets.records, keep, self._shown(call))

    def count(self, call: Call) -> Any:  # noqa: ARG002 - a handler's signature
        """How many there are."""
        live = len(self._tickets.records) - self._tickets.deleted
        return {"count": {"value": live, "refreshed_at": self._account.stamp(self._account.now())}}

    def show_many(self, call: Call) -> Any:
        """Up to 100 tickets by `ids`; those that do not exist are left out."""
        found = [self._tickets.records.get(int(value)) for value in few(call.values("ids")) if value.isdigit()]
        unique = {record.id: record for record in found if record is not None and not record.deleted}
        return offset_page(call, "tickets", unique.values(), self._shown(call))

    def requested(self, call: Call) -> Any:
        """The tickets of one user."""
        number = self._account.users.live(call.params["id"]).id

        def keep(record: Record) -> bool:
            return not record.deleted and record.fields.get("requester_id") == number

        return listing(call, "tickets", self._tickets.records, keep, self._shown(call))

    def read(self, call: Call) -> Any:
        """One ticket, or 404."""
        return {"ticket": self._shown(call)(self._tickets.live(call.params["id"]))}

    def comments(self, call: Call) -> Any:
        """A ticket's comments."""
        return offset_page(call, "comments", self._tickets.comments(self._tickets.live(call.params["id"])), dict)

    def create(self, call: Call) -> Answer:
        """201, or 422. With an `Idempotency-Key` that was used within two hours: the same ticket again.

        400 if that key came with another body.
        """
        key = call.header("idempotency-key")
        digest = hashlib.sha256(call.body).hexdigest()
        now = self._account.now()
        known = self._sent.get(key) if key else None
        if known is not None and now - known[2] < IDEMPOTENCY_SECONDS:
            if known[0] != digest:
                raise bad_request("IdempotentRequestError", "the key was used for another request")
            record = self._tickets.live(known[1])
            return Answer(201, self._body(call, record), {"x-idempotency-lookup": "hit"})
        record = self._tickets.create(inner(call, "ticket"), call.by)
        if key is None:
            return Answer(201, self._body(call, record))
        self._sent[key] = (digest, record.id, now)
        return Answer(201, self._body(call, record), {"x-idempotency-lookup": "miss"})

    def update(self, call: Call) -> Any:
        """200, 404, 422, 409 where `safe_update` finds a newer ticket, or 429 for one update too many of tickets."""
        record = self._tickets.live(call.params["id"])
        self._account.count_ticket_update(call)
        self._tickets.update(record, inner(call, "ticket"), call.by)
        return self._body(call, record)

    def delete(self, call: Call) -> Answer:
        """204; soft."""
        self._tickets.delete(self._tickets.live(call.params["id"]), call.by)
        return Answer(204)

    def list_deleted(self, call: Call) -> Any:
        """The deleted tickets."""
        records = self._tickets.records
        return listing(call, "deleted_tickets", records, lambda record: record.deleted, self._shown(call))

    def restore(self, call: Call) -> Any:
        """Undoes a delete."""
        self._tickets.restore(self._tickets.get(call.params["id"]), call.by)
        return {}

    def _shown(self, call: Call) -> Callable[[Record], dict[str, Any]]:
        start = base(call)
        return lambda record: self._tickets.render(record, start)

    def _body(self, call: Call, record: Record) -> dict[str, Any]:
        shown = self._shown(call)(record)
        audit = {
            "id": self._account.next_id(),
            "ticket_id": record.id,
            "created_at": shown["updated_at"],
            "author_id": self._account.caller(),
            "events": [],
        }
        return {"ticket": shown, "audit": audit}


class BulkRoutes:
    """`create_many`, `update_many` and `destroy_many` of organizations or tickets: a job each."""

    def __init__(self, account: Account, rules: Rules, name: str, delete: Callable[[Record, By], None]) -> None:
        self._account = account
        self._rules = rules
        self._name = name
        self._delete = delete

    def serve(self) -> None:
        """Registers the routes."""
        self._account.serve("POST", f"/{self._name}s/create_many", self.create_many)
        self._account.serve("PUT", f"/{self._name}s/update_many", self.update_many)
        self._account.serve("DELETE", f"/{self._name}s/destroy_many", self.destroy_many)

    def create_many(self, call: Call) -> Any:
        """A job over the list in the body."""
        tasks = [self._creating(body, call.by) for body in batch(call, f"{self._name}s")]
        return self._start(call, "Create", "create", tasks, [None] * len(tasks))

    def update_many(self, call: Call) -> Any:
        """A job over the list in the body, each with its id, or one change for all of `ids`."""
        if "ids" in call.query:
            body = inner(call, self._name)
            pairs = [(value, body) for value in few(call.values("ids"))]
        else:
            pairs = [(str(body.get("id")), body) for body in batch(call, f"{self._name}s")]
        tasks = [self._updating(key, body, call.by) for key, body in pairs]
        return self._start(call, "Update", "update", tasks, [key for key, _ in pairs])

    def destroy_many(self, call: Call) -> Any:
        """A job over `ids`."""
        ids = few(call.values("ids"))
        return self._start(call, "Delete", "delete", [self._deleting(value, call.by) for value in ids], ids)

    def _start(self, call: Call, verb: str, action: str, tasks: list[Task], ids: Sequence[str | None]) -> Any:
        job = self._account.start_job(f"Bulk {verb} {self._name.capitalize()}", action)
        for task, reference in zip(tasks, ids, strict=True):
            # Before each record: a request that dies midway leaves a job with the records before it.
            call.step()
            job.add(task, reference)
        return self._account.job_body(call, job)

    def _creating(self, body: dict[str, Any], by: By) -> Task:
        return lambda: {"id": self._rules.create(body, by).id, "status": "Created"}

    def _updating(self, key: str, body: dict[str, Any], by: By) -> Task:
        def task() -> dict[str, Any]:
            record = self._rules.live(key)
            self._rules.update(record, body, by)
            return {"id": record.id, "status": "Updated"}

        return task

    def _deleting(self, key: str, by: By) -> Task:
        def task() -> dict[str, Any]:
            record = self._rules.live(key)
            self._delete(record, by)
            return {"id": record.id, "status": "Deleted"}

        return task


class TagRoutes:
    """`/users/{id}/tags`, and the same of organizations and tickets: set (POST), add (PUT), remove (DELETE)."""

    def __init__(self, account: Account) -> None:
        for name, rules in (
            ("user", account.users),
            ("organization", account.organizations),
            ("ticket", account.tickets),
        ):
            self._serve(account, name, rules)

    @staticmethod
    def _serve(account: Account, name: str, rules: Rules) -> None:
        def read(call: Call) -> Any:
            return {"tags": rules.live(call.params["id"]).fields.get("tags", [])}

        def change(call: Call, combine: Callable[[set[str], set[str]], set[str]]) -> Any:
            record = rules.live(call.params["id"])
            body = call.json()
            given = normal_tags(body.get("tags") if isinstance(body, dict) else None, name, f"{name}s/tags")
            tags = sorted(combine(set(record.fields.get("tags", ())), set(given)))
            rules.update(record, {**body, "tags": tags}, call.by)
            return read(call)

        path = f"/{name}s/{{id}}/tags"
        account.serve("GET", path, read)
        account.serve("POST", path, lambda call: change(call, lambda _, new: new), 201)
        account.serve("PUT", path, lambda call: change(call, lambda old, new: old | new))
        account.serve("DELETE", path, lambda call: change(call, lambda old, new: old - new))


class FieldRoutes:
    """`/user_fields`, `/organization_fields`, `/ticket_fields` and the options of drop-downs."""

    def __init__(self, account: Account) -> None:
        self._account = account
        for catalog in account.catalogs.values():
            self._serve(catalog)

    def _serve(self, catalog: FieldCatalog) -> None:
        serve, name = self._account.serve, f"{catalog.kind}_field"

        def shown(call: Call) -> Callable[[Any], dict[str, Any]]:
            return lambda field: catalog.render(field, base(call))

        def read(call: Call) -> Any:
            return {name: shown(call)(catalog.get(call.params["id"]))}

        def create(call: Call) -> Any:
            self._account.admins_only()
            return {name: shown(call)(catalog.create(inner(call, name)))}

        def update(call: Call) -> Any:
            self._account.admins_only()
            field = catalog.get(call.params["id"])
            catalog.update(field, inner(call, name))
            return {name: shown(call)(field)}

        def delete(call: Call) -> Answer:
            self._account.admins_only()
            catalog.delete(catalog.get(call.params["id"]))
            return Answer(204)

        def options(call: Call) -> Any:
            return offset_page(call, "custom_field_options", catalog.get(call.params["id"]).options, dict)

        def put_option(call: Call) -> Answer:
            self._account.admins_only()
            option, new = catalog.put_option(catalog.get(call.params["id"]), inner(call, "custom_field_option"))
            return Answer(201 if new else 200, {"custom_field_option": option})

        def drop_option(call: Call) -> Answer:
            self._account.admins_only()
            catalog.drop_option(catalog.get(call.params["id"]), call.params["option"])
            return Answer(204)

        serve("GET", f"/{name}s", lambda call: offset_page(call, f"{name}s", catalog, shown(call)))
        serve("POST", f"/{name}s", create, 201)
        serve("GET", f"/{name}s/{{id}}", read)
        serve("PUT", f"/{name}s/{{id}}", update)
        serve("DELETE", f"/{name}s/{{id}}", delete)
        serve("GET", f"/{name}s/{{id}}/options", options)
        serve("POST", f"/{name}s/{{id}}/options", put_option)
        serve("DELETE", f"/{name}s/{{id}}/options/{{option}}", drop_option)
