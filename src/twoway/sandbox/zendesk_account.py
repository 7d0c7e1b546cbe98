"""One Zendesk look-alike account: its settings, records, credentials, limits and jobs. The routes are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from twoway.sandbox.kit import (
    Answer,
    By,
    Call,
    Clock,
    Record,
    Refusal,
    SlidingWindow,
    VendorApp,
    basic_credentials,
    iso_seconds,
)
from twoway.sandbox.zendesk_errors import (
    bad_attribute,
    bad_request,
    forbidden,
    not_found,
    too_many_requests,
    too_many_values,
    unauthenticated,
)
from twoway.sandbox.zendesk_fields import FieldCatalog, Kind
from twoway.sandbox.zendesk_jobs import Job, Jobs, WorkClock
from twoway.sandbox.zendesk_organizations import Merge, Organizations
from twoway.sandbox.zendesk_paging import Exports, Table
from twoway.sandbox.zendesk_people import Users
from twoway.sandbox.zendesk_search import Index
from twoway.sandbox.zendesk_tickets import Tickets

API = "/api/v2"
BULK = 100
"""Records of one bulk request, or of one show_many, at most."""
MINUTE = 60.0

ApiHandler = Callable[[Call], Any]


class Rules(Protocol):
    """What users, organizations and tickets have in common."""

    def live(self, reference: Any) -> Record:
        """The record by id; 404 if there is none, or it is deleted."""

    def create(self, body: Mapping[str, Any], by: By) -> Record:
        """A new record, or 422."""

    def load(self, given: dict[str, Any], *, record_id: int | None, created: float, modified: float) -> Record:
        """Seeds a record that has always been there; the times are seconds since the epoch."""

    def update(self, record: Record, body: Mapping[str, Any], by: By) -> None:
        """Changes it, or 422."""

    def delete(self, record: Record, by: By) -> None:
        """Soft delete."""

    def render(self, record: Record, base: str) -> dict[str, Any]:
        """The object of the API; `base` is the URL up to and with `/api/v2`."""


class Account(VendorApp):
    """The state of the account, and what every request goes through."""

    vendor = "zendesk"
    defaults = {  # noqa: RUF012 - a ClassVar of the kit's
        "email": "admin@desk.example",
        "token": "zendesk-token",
        "bearer": "zendesk-bearer",
        # The caller's role: `agent` may not export, nor change custom fields.
        "role": "admin",
        "rate_limit": 400,
        "export_limit": 10,
        "user_update_limit": 5,
        # Updates of tickets a minute, all together.
        "ticket_update_limit": 100,
        # Seconds by which search runs behind; the age that `start_time` of an export must have; the latest
        # seconds that an export leaves out.
        "index_lag": 30.0,
        "export_age": 60.0,
        "export_left_out": 60.0,
        "bulk_import": False,
        "job_limit": 30,
        "job_queue_seconds": 1.0,
        "job_record_seconds": 0.05,
        # Seconds after which a closed ticket is archived: plain lists leave it out from then on.
        "archive_after": 120 * 86400.0,
    }

    def __init__(self, *, clock: Clock | None = None, settings: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        super().__init__(clock=clock, settings=settings, seed=seed)
        self.tables: dict[str, Table] = {}
        self._number = 20_000_000_000
        self._caller: int | None = None
        self._updates: dict[int, SlidingWindow] = {}
        self._updates_swept = 0.0
        self._work = WorkClock(self.clock)
        self.jobs = Jobs(self._work, lambda: (self.number("job_queue_seconds"), self.number("job_record_seconds")))
        self.catalogs: dict[Kind, FieldCatalog] = {
            kind: FieldCatalog(kind, self.next_id, self.seconds) for kind in ("user", "organization", "ticket")
        }
        self.organizations = Organizations(
            self.collection("organizations", resolution=1.0, first_id=500_001), self.catalogs["organization"]
        )
        self.users = Users(
            self.collection("users", resolution=1.0, first_id=100_001),
            self.organizations,
            self.catalogs["user"],
            self.next_id,
            self.seconds,
        )
        self.tickets = Tickets(
            self.collection("tickets", resolution=1.0, first_id=1),
            self.users,
            self.organizations,
            self.catalogs["ticket"],
            self.next_id,
            self.caller,
        )
        self.rules: dict[str, Rules] = {
            "users": self.users,
            "organizations": self.organizations,
            "tickets": self.tickets,
        }
        self.exports = Exports(self.now, lambda: (self.number("export_age"), self.number("export_left_out")))
        self.index = Index(self.now, lambda: self.number("index_lag"))
        self.settings_changed()

    # The kit's hooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the kit's, after what is due of the bulk jobs: the control routes see it too."""
        self.jobs.settle()
        await super().__call__(scope, receive, send)

    def collection(
        self,
        name: str,
        *,
        resolution: float = 0.001,
        first_id: int = 1,
        show_id: Callable[[Record], str] | None = None,
    ) -> Table:
        """As the kit's, on a clock that bulk jobs can hold at a record's due time."""
        made = self.tables[name] = Table(
            name, self._work, self.log, resolution=resolution, first_id=first_id, show_id=show_id
        )
        self.collections[name] = made
        return made

    def settings_changed(self) -> None:
        """Sets the rate limits up anew."""
        self._requests = SlidingWindow(int(self.number("rate_limit")), MINUTE)
        self._exports = SlidingWindow(int(self.number("export_limit")), MINUTE)
        self._ticket_updates = SlidingWindow(int(self.number("ticket_update_limit")), MINUTE)

    def normalise(self, path: str) -> str:
        """The path without the `.json` that it may end in."""
        return path.removesuffix(".json")

    def authorise(self, call: Call) -> None:
        """Basic `EMAIL/token:TOKEN`, or Bearer."""
        # Time may have passed since the request came in: a fault can hold it up.
        self.jobs.settle()
        header = call.header("authorization")
        expected = (f"{self.text('email')}/token", self.text("token"))
        if basic_credentials(header) != expected and header != f"Bearer {self.text('bearer')}":
            raise self.unauthorised(call)

    def limit(self, call: Call) -> None:
        """The account's requests a minute, and the exports' own limit."""
        now = self.now()
        allowed = self._requests.take(now)
        if self._requests.limit:
            limit, left = str(self._requests.limit), str(self._requests.remaining(now))
            reset = math.ceil(self._requests.reset_in(now)) or int(MINUTE - now % MINUTE)
            call.headers_out.update(
                {
                    "x-rate-limit": limit,
                    "x-rate-limit-remaining": left,
                    "ratelimit-limit": limit,
                    "ratelimit-remaining": left,
                    "ratelimit-reset": str(reset),
                }
            )
        if not allowed:
            raise self.too_many(call, self._requests.reset_in(now))
        if call.path.startswith(f"{API}/incremental/") and not self._exports.take(now):
            raise too_many_requests(self._exports.reset_in(now))

    def unauthorised(self, call: Call) -> Refusal:  # noqa: ARG002 - the kit's signature
        """401."""
        return unauthenticated()

    def not_found(self, call: Call) -> Refusal:  # noqa: ARG002 - the kit's signature
        """404."""
        return not_found()

    def too_many(self, call: Call, retry_after: float | None = None) -> Refusal:  # noqa: ARG002 - the kit's signature
        """429 of the account's limit: whole seconds, and a body that is no JSON, as the original's."""
        headers = {"content-type": "text/plain"}
        if retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(retry_after)))
        return Refusal(429, b"Too many API requests within a minute", headers)

    def bad_json(self, call: Call) -> Refusal:  # noqa: ARG002 - the kit's signature
        """400."""
        return bad_request("InvalidJson", "the body is no JSON")

    # For the routes

    def serve(self, method: str, path: str, handler: ApiHandler, status: int = 200) -> None:
        """Serves `/api/v2` + `path`; the handler gives an `Answer`, or a body that is answered with `status`."""

        def answer(call: Call) -> Answer:
            given = handler(call)
            return given if isinstance(given, Answer) else Answer(status, given)

        self.route(method, API + path, answer)

    def next_id(self) -> int:
        """An id for what is no record: identities, fields, options, comments."""
        self._number += 1
        return self._number

    def seconds(self) -> int:
        """Now, as whole seconds since the epoch; while a job works, the instant of its record."""
        return int(self._work.now())

    def stamp(self, at: float) -> str:
        """An instant in the API's spelling."""
        return iso_seconds(at)

    def caller(self) -> int:
        """The id of the user whose token it is. That user comes into being when first asked for."""
        if self._caller is None:
            known = self.users.by_email(self.text("email"))
            fields = {"name": "Sandbox Admin", "email": self.text("email"), "role": self.text("role")}
            now = self.now()
            self._caller = (known or self.users.load(fields, record_id=None, created=now, modified=now)).id
        return self._caller

    def admins_only(self) -> None:
        """403 for a caller who is no administrator."""
        if self.text("role") != "admin":
            raise forbidden()

    def count_user_update(self, number: int) -> None:
        """429 for one update too many of the same user within a minute."""
        now = self.now()
        if now - self._updates_swept > MINUTE:
            self._updates = {key: window for key, window in self._updates.items() if window.reset_in(now)}
            self._updates_swept = now
        limit = int(self.number("user_update_limit"))
        window = self._updates.get(number)
        if window is None or window.limit != limit:
            window = self._updates[number] = SlidingWindow(limit, MINUTE)
        if not window.take(now):
            raise too_many_requests(window.reset_in(now))

    def count_ticket_update(self, call: Call) -> None:
        """429 for one update too many of tickets within a minute; a header tells how many are left."""
        now, limited = self.now(), self._ticket_updates
        allowed = limited.take(now)
        told = {"total": limited.limit, "remaining": limited.remaining(now), "resets": math.ceil(limited.reset_in(now))}
        call.headers_out["zendesk-ratelimit-tickets-update"] = "; ".join(f"{name}={told[name]}" for name in told)
        if not allowed:
            raise too_many_requests(limited.reset_in(now))

    def delete_organization(self, record: Record, by: By) -> None:
        """Deletes an organization, and takes its users out of it."""
        members = [user for user in self.users.records if user.fields.get("organization_id") == record.id]
        self.organizations.delete(record, by)
        for user in members:
            if not user.deleted:
                self.users.records.update(user, {"organization_id": None}, by)

    def merge_organizations(self, loser: Record, winner: Record, by: By) -> Merge:
        """Merges an organization into another one, with its users and tickets."""
        made = self.organizations.merge(loser, winner, by)
        for user in [user for user in self.users.records if user.fields.get("organization_id") == loser.id]:
            if not user.deleted:
                self.users.records.update(user, {"organization_id": winner.id}, by)
        for ticket in [ticket for ticket in self.tickets.records if ticket.fields.get("organization_id") == loser.id]:
            self.tickets.update_by_system(ticket, {"organization_id": winner.id}, by)
        return made

    def archived(self, ticket: Record) -> bool:
        """Whether a ticket has been closed for so long that plain lists leave it out."""
        return ticket.fields.get("status") == "closed" and self.now() - ticket.modified >= self.number("archive_after")

    def start_job(self, kind: str, action: str) -> Job:
        """A new bulk job, or 429."""
        return self.jobs.open(kind, action, int(self.number("job_limit")))

    def job_body(self, call: Call, job: Job) -> dict[str, Any]:
        """The answer of a bulk endpoint: {job_status}."""
        return {"job_status": self.jobs.render(job, base(call), self.stamp)}


def base(call: Call) -> str:
    """The URL up to and with `/api/v2`, as the client called it."""
    return call.base_url + API


def inner(call: Call, name: str) -> dict[str, Any]:
    """The object under `name` in the body; 400 if it is missing."""
    body = call.json()
    given = body.get(name) if isinstance(body, dict) else None
    if not isinstance(given, dict):
        raise bad_attribute(name, "an object", call.path.removeprefix(API + "/"))
    return given


def batch(call: Call, name: str) -> list[dict[str, Any]]:
    """The list of objects under `name` in the body; 400 if it is missing, or longer than a bulk request may be."""
    body = call.json()
    given = body.get(name) if isinstance(body, dict) else None
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise bad_attribute(name, "an array of objects", call.path.removeprefix(API + "/"))
    return few(given)


def few(values: list[Any]) -> list[Any]:
    """The values, or 400 if there are more than a bulk request may have."""
    if len(values) > BULK:
        raise too_many_values(BULK)
    return values
