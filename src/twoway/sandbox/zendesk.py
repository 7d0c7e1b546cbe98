"""A look-alike of Zendesk Support: `ZendeskApp`, an ASGI application with the API of `/api/v2`.

Paths are served with and without `.json`. What each part does is described where it lives: `zendesk_account`
(settings, credentials, limits), `zendesk_people`, `zendesk_organizations`, `zendesk_tickets` (the rules of records),
`zendesk_fields`, `zendesk_jobs` (bulk), `zendesk_paging` (lists and exports), `zendesk_search`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from twoway.sandbox.kit import HUMAN, Call, Clock, Record, parse_time
from twoway.sandbox.zendesk_account import API, Account, base, few
from twoway.sandbox.zendesk_desk_routes import FieldRoutes, OrganizationRoutes, TagRoutes, TicketRoutes
from twoway.sandbox.zendesk_errors import ZendeskError, bad_request
from twoway.sandbox.zendesk_paging import EXPORT, cursor_page, offset_page, place, whole
from twoway.sandbox.zendesk_search import TYPES, Term, parse
from twoway.sandbox.zendesk_user_routes import UserRoutes

HOST = f"https://desk.example{API}"
"""The start of URLs in records that no request asked for."""
SEARCH_DEPTH = 1000
"""Results that `/search` gives in all."""
SEEDED_AGE = 3600
"""Seconds since the last change of a seeded record that says nothing of it."""


class ZendeskApp(Account):
    """The application: `ZendeskApp(clock=None, settings=None, seed=0)`; the settings are `Account.defaults`.

    `load` and `human` take records in the API's shape; their collections are `users` (the default), `organizations`
    and `tickets`, and `load` also takes `user_fields`, `organization_fields` and `ticket_fields`.
    """

    def __init__(self, *, clock: Clock | None = None, settings: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        super().__init__(clock=clock, settings=settings, seed=seed)
        self._search_routes()
        UserRoutes(self)
        OrganizationRoutes(self)
        TicketRoutes(self)
        TagRoutes(self)
        FieldRoutes(self)
        self._export_routes()
        self.serve("GET", "/job_statuses", self._recent_jobs)
        self.serve("GET", "/job_statuses/show_many", self._some_jobs)
        self.serve("GET", "/job_statuses/{id}", self._one_job)

    # The kit's hooks

    def show(self, collection: str, record: Record) -> Any:
        """The record as the API shows it."""
        return self.rules[collection].render(record, HOST)

    def records(self, collection: str | None = None) -> list[Any]:
        """As the kit's, after what is due of the bulk jobs."""
        self.jobs.settle()
        return super().records(collection)

    def human(self, **edit: Any) -> Any:
        """What an agent does in the browser; see the kit for the arguments.

        A user's `email` is there the primary address, and is changed. `restore` is for tickets, `merge` for users
        and organizations: ValueError for what nobody can do in the product.
        """
        self.jobs.settle()
        return self._edit(**edit)

    def _edit(
        self,
        kind: str,
        collection: str = "users",
        id: int | str | None = None,
        fields: Mapping[str, Any] | None = None,
        into: int | str | None = None,
    ) -> Any:
        rules, body = self.rules[collection], fields or {}
        match kind:
            case "create":
                record = rules.create(body, HUMAN)
            case "update" if collection == "users":
                record = self.users.live(str(id))
                self.users.update(record, body, HUMAN, browser=True)
            case "update":
                record = rules.live(id)
                rules.update(record, body, HUMAN)
            case "delete" if collection == "organizations":
                record = rules.live(id)
                self.delete_organization(record, HUMAN)
            case "delete":
                record = rules.live(id)
                rules.delete(record, HUMAN)
            case "restore" if collection == "tickets":
                record = self.tickets.get(id)
                self.tickets.restore(record, HUMAN)
            case "merge" if collection == "users":
                record = self.users.live(str(into))
                self.users.merge(self.users.live(str(id)), record, HUMAN)
            case "merge" if collection == "organizations":
                record = rules.live(into)
                self.merge_organizations(rules.live(id), record, HUMAN)
            case _:
                raise ValueError(f"nobody can {kind} {collection} in Zendesk")
        return self.show(collection, record)

    def load(self, records: Iterable[Mapping[str, Any]], collection: str | None = None) -> int:
        """Seeds records in the API's shape; `id`, `created_at` and `updated_at` (ISO) are theirs where given.

        A record without a time was last changed an hour ago. Custom fields (`user_fields`, ...) come before records
        that have values for them.
        """
        name = collection or "users"
        if name in {"user_fields", "organization_fields", "ticket_fields"}:
            catalog = next(known for kind, known in self.catalogs.items() if f"{kind}_fields" == name)
            return len([catalog.create(dict(entry)) for entry in records])
        rules, table = self.rules[name], self.tables[name]
        past, before = self.now() - SEEDED_AGE, len(table)
        for entry in records:
            modified = parse_time(entry["updated_at"]) if "updated_at" in entry else past
            created = parse_time(entry["created_at"]) if "created_at" in entry else modified
            rules.load(dict(entry), record_id=entry.get("id"), created=created, modified=modified)
        table.loaded()
        return len(table) - before

    # Jobs

    def _recent_jobs(self, call: Call) -> Any:
        return self._job_list(call, [job.id for job in self.jobs.recent()])

    def _some_jobs(self, call: Call) -> Any:
        return self._job_list(call, few(call.values("ids")))

    def _one_job(self, call: Call) -> Any:
        return self.job_body(call, self.jobs.get(call.params["id"]))

    def _job_list(self, call: Call, ids: list[str]) -> Any:
        shown = [self.jobs.render(job, base(call), self.stamp) for job in self.jobs.find(ids)]
        return {"job_statuses": shown, "count": len(shown), "next_page": None, "previous_page": None}

    # Exports

    def _export_routes(self) -> None:
        for name in ("users", "tickets"):
            self.serve("GET", f"/incremental/{name}/cursor", self._by_cursor)
        for name in ("users", "tickets", "organizations"):
            self.serve("GET", f"/incremental/{name}", self._by_time)

    def _by_cursor(self, call: Call) -> Any:
        return self._export(call, self.exports.by_cursor)

    def _by_time(self, call: Call) -> Any:
        return self._export(call, self.exports.by_time)

    def _export(self, call: Call, export: Any) -> Any:
        self.admins_only()
        name = self.normalise(call.path).removeprefix(f"{API}/incremental/").removesuffix("/cursor")
        start = base(call)
        return export(call, name, self.tables[name], lambda record: self.rules[name].render(record, start))

    # Search

    def _search_routes(self) -> None:
        self.serve("GET", "/users/search", self._search_users)
        self.serve("GET", "/search", self._search)
        self.serve("GET", "/search/count", lambda call: {"count": sum(1 for _ in self._hits(call, 0))})
        self.serve("GET", "/search/export", self._search_export)

    def _search_users(self, call: Call) -> Any:
        """By `query`, or by `external_id`; both lag behind the records."""
        if "external_id" in call.query:
            terms = [Term("external_id", ":", call.query["external_id"])]
        else:
            terms = parse(call.query.get("query", ""))
        start = base(call)
        found = self._search_type("user", terms, 0)
        return offset_page(call, "users", found, lambda record: self.users.render(record, start))

    def _search(self, call: Call) -> Any:
        """Records of all types; 422 beyond the first 1,000."""
        if whole(call, "page", 1) * whole(call, "per_page", 100, 100) > SEARCH_DEPTH:
            text = f"Invalid search: only the first {SEARCH_DEPTH} results can be asked for"
            raise ZendeskError(422, {"error": "invalid", "description": text})
        start = base(call)
        return offset_page(call, "results", self._hits(call, 0), lambda hit: self._hit(hit, start))

    def _search_export(self, call: Call) -> Any:
        """All results of one type, `filter[type]`, by cursor; `page[size]` is 1,000 at most."""
        kind = call.query.get("filter[type]")
        if kind not in TYPES:
            raise bad_request("invalid", "filter[type] is missing, or not a type")
        found = self._hits(call, place(call), kind)
        start = base(call)
        records = (record for _, record in found)
        page = cursor_page(call, "results", records, lambda record: self._hit((kind, record), start), most=EXPORT)
        return {**page, "facets": None}

    def _hits(self, call: Call, after: int, kind: str | None = None) -> Iterator[tuple[str, Record]]:
        terms = parse(call.query.get("query", ""))
        asked = {term.value for term in terms if term.name == "type"}
        rest = [term for term in terms if term.name != "type"]
        kinds = [one for one in TYPES if one in (asked or TYPES) and kind in {None, one}]
        return chain.from_iterable(((one, record) for record in self._search_type(one, rest, after)) for one in kinds)

    def _search_type(self, kind: str, terms: list[Term], after: int) -> Iterator[Record]:
        exact: list[Record | None] | None = None
        for term in terms:
            if kind == "user" and not term.negated:
                if term.name == "email" or (not term.name and "@" in term.value):
                    exact = [self.users.by_email(term.value)]
                elif term.name == "external_id":
                    exact = [self.users.by_external_id(term.value)]
        return self.index.find(self.tables[f"{kind}s"], terms, exact, after)

    def _hit(self, hit: tuple[str, Record], start: str) -> dict[str, Any]:
        kind, record = hit
        return {**self.rules[f"{kind}s"].render(record, start), "result_type": kind}
