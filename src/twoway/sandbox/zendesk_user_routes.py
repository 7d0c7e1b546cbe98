"""The routes of users, their identities and tags, in the Zendesk look-alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twoway.sandbox.kit import Answer, By, Call, Record
from twoway.sandbox.zendesk_account import Account, base, batch, few, inner
from twoway.sandbox.zendesk_errors import imports_disabled, not_found
from twoway.sandbox.zendesk_jobs import Job, Task
from twoway.sandbox.zendesk_paging import listing, offset_page


class UserRoutes:
    """`/users`, `/deleted_users`, `/users/{id}/identities`, and the users of an organization."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._users = account.users
        serve = account.serve
        serve("GET", "/users", self.list)
        serve("GET", "/users/count", self.count)
        serve("GET", "/users/me", self.me)
        serve("GET", "/users/show_many", self.show_many)
        serve("GET", "/users/{id}", self.read)
        serve("GET", "/organizations/{id}/users", self.of_organization)
        serve("POST", "/users", self.create)
        serve("POST", "/users/create_or_update", self.create_or_update)
        serve("POST", "/users/create_many", self.create_many)
        serve("POST", "/users/create_or_update_many", self.create_or_update_many)
        serve("PUT", "/users/update_many", self.update_many)
        serve("PUT", "/users/{id}", self.update)
        serve("PUT", "/users/{id}/merge", self.merge)
        serve("DELETE", "/users/destroy_many", self.destroy_many)
        serve("DELETE", "/users/{id}", self.delete)
        serve("GET", "/deleted_users", self.list_deleted)
        serve("GET", "/deleted_users/count", self.count_deleted)
        serve("GET", "/deleted_users/{id}", self.read_deleted)
        serve("DELETE", "/deleted_users/{id}", self.purge)
        serve("GET", "/users/{id}/identities", self.identities)
        serve("POST", "/users/{id}/identities", self.add_identity, 201)
        serve("GET", "/users/{id}/identities/{identity}", self.identity)
        serve("PUT", "/users/{id}/identities/{identity}", self.change_identity)
        serve("DELETE", "/users/{id}/identities/{identity}", self.remove_identity)
        serve("PUT", "/users/{id}/identities/{identity}/make_primary", self.make_primary)
        serve("PUT", "/users/{id}/identities/{identity}/verify", self.verify)
        serve("PUT", "/users/{id}/identities/{identity}/request_verification", self.request_verification)

    # Reading

    def list(self, call: Call) -> Any:
        """All live users, by role or external id where the query says so."""
        roles = {*call.values("role"), *call.values("role[]")}
        external = call.query.get("external_id", "").lower()

        def keep(record: Record) -> bool:
            return not record.deleted and (
                (not roles or record.fields.get("role", "end-user") in roles)
                and (not external or str(record.fields.get("external_id")).lower() == external)
            )

        return listing(call, "users", self._users.records, keep, self._shown(call))

    def of_organization(self, call: Call) -> Any:
        """The live users of one organization."""
        number = self._account.organizations.live(call.params["id"]).id

        def keep(record: Record) -> bool:
            return not record.deleted and record.fields.get("organization_id") == number

        return listing(call, "users", self._users.records, keep, self._shown(call))

    def count(self, call: Call) -> Any:  # noqa: ARG002 - a handler's signature
        """How many users live."""
        live = len(self._users.records) - self._users.deleted
        return {"count": {"value": live, "refreshed_at": self._account.stamp(self._account.now())}}

    def me(self, call: Call) -> Any:
        """The caller."""
        return self._body(call, self._users.get(self._account.caller()))

    def show_many(self, call: Call) -> Any:
        """Up to 100 users by `ids` (deleted ones too) or `external_ids`; those that do not exist are left out."""
        found: list[Record | None]
        if "external_ids" in call.query:
            found = [self._users.by_external_id(value) for value in few(call.values("external_ids"))]
        else:
            numbers = [int(value) for value in few(call.values("ids")) if value.isdigit()]
            found = [self._users.records.get(number, follow=False) for number in numbers]
        unique = {record.id: record for record in found if record is not None}
        return offset_page(call, "users", unique.values(), self._shown(call))

    def read(self, call: Call) -> Any:
        """One user; a deleted one is `active: false`."""
        return self._body(call, self._users.get(call.params["id"]))

    # Changing

    def create(self, call: Call) -> Answer:
        """201, or 422."""
        record = self._users.create(inner(call, "user"), call.by)
        where = f"{base(call)}/users/{record.id}.json"
        return Answer(201, self._body(call, record), {"location": where})

    def update(self, call: Call) -> Any:
        """200, 404 for a deleted user, 422, or 429 for one update too many of that user."""
        record = self._users.live(call.params["id"])
        self._account.count_user_update(record.id)
        self._users.update(record, inner(call, "user"), call.by)
        return self._body(call, record)

    def create_or_update(self, call: Call) -> Answer:
        """201 for a new user, 200 for one whom the external id or the e-mail finds."""
        body = inner(call, "user")
        record = self._users.match(body)
        if record is None:
            return self.create(call)
        self._account.count_user_update(record.id)
        self._users.update(record, body, call.by)
        return Answer(200, self._body(call, record))

    def delete(self, call: Call) -> Any:
        """Soft; answers the user."""
        record = self._users.live(call.params["id"])
        self._users.delete(record, call.by)
        return self._body(call, record)

    def merge(self, call: Call) -> Any:
        """Merges the user of the path into the one of the body, whom it answers."""
        loser = self._users.live(call.params["id"])
        body = inner(call, "user")
        winner = self._users.live(body["id"]) if body.get("id") else self._users.by_email(str(body.get("email")))
        if winner is None:
            raise not_found()
        self._users.merge(loser, winner, call.by)
        return self._body(call, winner)

    # Bulk

    def create_many(self, call: Call) -> Any:
        """A job; 403 unless the account may import in bulk."""
        self._refuse_import()
        job = self._account.start_job("Bulk Create User", "create")
        for body in batch(call, "users"):
            self._add(call, job, self._creating(body, call.by))
        return self._account.job_body(call, job)

    def create_or_update_many(self, call: Call) -> Any:
        """A job; 403 unless the account may import in bulk."""
        self._refuse_import()
        job = self._account.start_job("Bulk Create or Update User", "upsert")
        for body in batch(call, "users"):
            self._add(call, job, self._upserting(body, call.by))
        return self._account.job_body(call, job)

    def update_many(self, call: Call) -> Any:
        """A job: `users`, each with its id or external id, or one `user` for all of `ids` or `external_ids`."""
        external = "external_ids" in call.query
        chosen = few(call.values("external_ids" if external else "ids"))
        if isinstance(call.json(), dict) and "users" in call.json():
            pairs = [(body, body) for body in batch(call, "users")]
        else:
            body = inner(call, "user")
            pairs = [({"external_id" if external else "id": value}, body) for value in chosen]
        job = self._account.start_job("Bulk Update User", "update")
        for key, body in pairs:
            self._add(call, job, self._updating(key, body, call.by), key.get("id"))
        return self._account.job_body(call, job)

    def destroy_many(self, call: Call) -> Any:
        """A job over `ids` or `external_ids`."""
        external = "external_ids" in call.query
        chosen = few(call.values("external_ids" if external else "ids"))
        job = self._account.start_job("Bulk Delete User", "delete")
        for value in chosen:
            key = {"external_id" if external else "id": value}
            self._add(call, job, self._deleting(key, call.by), key.get("id"))
        return self._account.job_body(call, job)

    def _refuse_import(self) -> None:
        if not self._account.flag("bulk_import"):
            raise imports_disabled()

    @staticmethod
    def _add(call: Call, job: Job, task: Task, reference: Any = None) -> None:
        # Before each record: a request that dies midway leaves a job with the records before it.
        call.step()
        job.add(task, reference)

    def _creating(self, body: dict[str, Any], by: By) -> Task:
        return lambda: _result(self._users.create(body, by), "Created")

    def _upserting(self, body: dict[str, Any], by: By) -> Task:
        def task() -> dict[str, Any]:
            record = self._users.match(body)
            if record is None:
                return {**_result(self._users.create(body, by), "Created"), "action": "create"}
            self._users.update(record, body, by)
            return {**_result(record, "Updated"), "action": "update"}

        return task

    def _updating(self, key: dict[str, Any], body: dict[str, Any], by: By) -> Task:
        def task() -> dict[str, Any]:
            record = self._chosen(key)
            self._users.update(record, body, by)
            return _result(record, "Updated")

        return task

    def _deleting(self, key: dict[str, Any], by: By) -> Task:
        def task() -> dict[str, Any]:
            record = self._chosen(key)
            self._users.delete(record, by)
            return _result(record, "Deleted")

        return task

    def _chosen(self, key: dict[str, Any]) -> Record:
        if key.get("id"):
            return self._users.live(key["id"])
        record = self._users.by_external_id(key.get("external_id"))
        if record is None:
            raise not_found()
        return record

    # Deleted users

    def list_deleted(self, call: Call) -> Any:
        """The users who were deleted, but not for good."""
        records = self._users.records
        return listing(call, "deleted_users", records, lambda record: record.deleted, self._shown(call))

    def count_deleted(self, call: Call) -> Any:  # noqa: ARG002 - a handler's signature
        """How many there are."""
        stamp = self._account.stamp(self._account.now())
        return {"count": {"value": self._users.deleted, "refreshed_at": stamp}}

    def read_deleted(self, call: Call) -> Any:
        """One deleted user, or 404."""
        record = self._users.get(call.params["id"])
        if not record.deleted:
            raise not_found()
        return {"deleted_user": self._shown(call)(record)}

    def purge(self, call: Call) -> Any:
        """Deletes a deleted user for good."""
        record = self._users.get(call.params["id"])
        shown = {**self._shown(call)(record), "permanently_deleted": True}
        self._users.purge(record, call.by)
        return {"deleted_user": shown}

    # Identities

    def identities(self, call: Call) -> Any:
        """A user's identities, the primary e-mail first."""
        record = self._users.live(call.params["id"])
        return self._identity_list(call, record)

    def identity(self, call: Call) -> Any:
        """One of them, or 404."""
        record = self._users.live(call.params["id"])
        entry = self._users.identity(record, call.params["identity"])
        return {"identity": self._users.render_identity(record, entry, base(call))}

    def add_identity(self, call: Call) -> Any:
        """201, or 422."""
        record = self._users.live(call.params["id"])
        entry = self._users.add_identity(record, inner(call, "identity"), call.by)
        return {"identity": self._users.render_identity(record, entry, base(call))}

    def change_identity(self, call: Call) -> Any:
        """Sets its value, or that it is verified."""
        return self._changed_identity(call, inner(call, "identity"))

    def verify(self, call: Call) -> Any:
        """Marks it as verified."""
        return self._changed_identity(call, {"verified": True})

    def request_verification(self, call: Call) -> Any:
        """Would send a mail; changes nothing."""
        record = self._users.live(call.params["id"])
        self._users.identity(record, call.params["identity"])
        return Answer(200, b"", {"content-type": "application/json"})

    def make_primary(self, call: Call) -> Any:
        """Makes it the primary one of its type; answers all identities."""
        record = self._users.live(call.params["id"])
        self._users.make_primary(record, self._users.identity(record, call.params["identity"]), call.by)
        return self._identity_list(call, record)

    def remove_identity(self, call: Call) -> Answer:
        """204."""
        record = self._users.live(call.params["id"])
        self._users.remove_identity(record, self._users.identity(record, call.params["identity"]), call.by)
        return Answer(204)

    def _changed_identity(self, call: Call, body: dict[str, Any]) -> Any:
        record = self._users.live(call.params["id"])
        entry = self._users.identity(record, call.params["identity"])
        changed = self._users.change_identity(record, entry, body, call.by)
        return {"identity": self._users.render_identity(record, changed, base(call))}

    def _identity_list(self, call: Call, record: Record) -> Any:
        entries = [
            self._users.render_identity(record, entry, base(call)) for entry in self._users.identities_of(record)
        ]
        return {"identities": entries, "count": len(entries), "next_page": None, "previous_page": None}

    # Helpers

    def _shown(self, call: Call) -> Callable[[Record], dict[str, Any]]:
        start = base(call)
        return lambda record: self._users.render(record, start)

    def _body(self, call: Call, record: Record) -> dict[str, Any]:
        return {"user": self._shown(call)(record)}


def _result(record: Record, status: str) -> dict[str, Any]:
    fields = record.fields
    result = {"id": record.id, "status": status, "email": fields.get("email"), "external_id": fields.get("external_id")}
    return {name: value for name, value in result.items() if value is not None}
