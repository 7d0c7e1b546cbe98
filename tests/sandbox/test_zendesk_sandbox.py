"""The look-alike Zendesk: shaped like the original (by zenpy, which many people use); access, tickets, the kit."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from tests.sandbox.zendesk_client import API, START, Client
from zenpy import Zenpy
from zenpy.lib.api_objects import Comment, Identity, Organization, Ticket, User, UserField
from zenpy.lib.exception import APIException, RecordNotFoundException

from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.server import Sandbox
from twoway.sandbox.zendesk import ZendeskApp


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def app(clock: VirtualClock) -> ZendeskApp:
    return ZendeskApp(clock=clock, settings={"index_lag": 0, "user_update_limit": 0})


@pytest.fixture
def call(app: ZendeskApp) -> Client:
    app.configure(rate_limit=0, export_limit=0)
    return Client(app)


@pytest.fixture
def sdk(app: ZendeskApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zenpy]:
    monkeypatch.setenv("ZENPY_FORCE_SCHEME", "http")
    with Sandbox(zendesk=app) as sandbox, requests.Session() as session:
        port = sandbox.urls["zendesk"].rpartition(":")[2]
        yield Zenpy(
            subdomain="127.0.0",
            domain=f"1:{port}",
            email="admin@desk.example",
            token="zendesk-token",
            session=session,
            disable_cache=True,
        )


class TestWithZenpy:
    def test_user_crud(self, sdk: Zenpy) -> None:
        made = sdk.users.create(User(name="Ada", email="ada@example.com", external_id="A1", tags=["VIP", "a b"]))
        assert (made.email, made.role, made.active) == ("ada@example.com", "end-user", True)
        assert made.created_at == "2025-11-22T10:00:00Z"
        assert made.tags == ["a_b", "vip"]
        made.name = "Ada L."
        made.notes = "likes engines"
        assert sdk.users.update(made).notes == "likes engines"
        assert sdk.users(id=made.id).name == "Ada L."
        assert [user.id for user in sdk.users(ids=[made.id, 1])] == [made.id]
        assert [user.id for user in sdk.users(external_ids=["a1"])] == [made.id]
        sdk.users.delete(made)
        assert sdk.users(id=made.id).active is False
        assert [user.id for user in sdk.users.deleted()] == [made.id]
        assert list(sdk.users()) == []

    def test_errors(self, sdk: Zenpy) -> None:
        with pytest.raises(RecordNotFoundException):
            sdk.users(id=4711)
        sdk.users.create(User(name="Ada", email="ada@example.com"))
        with pytest.raises(APIException) as refused:
            sdk.users.create(User(name="Eve", email="ADA@example.com"))
        assert refused.value.response.json() == {
            "error": "RecordInvalid",
            "description": "Record validation errors",
            "details": {
                "email": [{"description": "Email: ADA@example.com has already been taken", "error": "DuplicateValue"}]
            },
        }

    def test_lists_are_paged(self, app: ZendeskApp, sdk: Zenpy) -> None:
        app.load([{"name": f"User {n}", "email": f"u{n}@example.com"} for n in range(250)])
        assert len({user.id for user in sdk.users()}) == 250
        assert len({user.id for user in sdk.users(cursor_pagination=False)}) == 250

    def test_search(self, app: ZendeskApp, sdk: Zenpy) -> None:
        app.load([{"name": f"User {n}", "email": f"u{n}@example.com", "external_id": f"X{n}"} for n in range(120)])
        assert [user.name for user in sdk.users.search(query="email:u7@example.com")] == ["User 7"]
        assert [user.name for user in sdk.users.search(external_id="x8")] == ["User 8"]
        assert len(list(sdk.users.search(query="role:end-user"))) == 120
        assert len(list(sdk.search(type="user", name="User"))) == 120
        assert len(list(sdk.search_export(type="user"))) == 120

    def test_incremental_users(self, app: ZendeskApp, sdk: Zenpy, clock: VirtualClock) -> None:
        app.load([{"name": f"User {n}"} for n in range(30)])
        clock.advance(120)
        feed = sdk.users.incremental(start_time=0, per_page=10)
        assert len({user.id for user in feed}) == 30
        cursor = feed.after_cursor
        sdk.users.delete(sdk.users(id=100_005))
        clock.advance(61)
        assert [(user.id, user.active) for user in sdk.users.incremental(cursor=cursor)] == [(100_005, False)]

    def test_identities(self, sdk: Zenpy) -> None:
        user = sdk.users.create(User(name="Ada", email="ada@example.com"))
        added = sdk.users.identities.create(user, Identity(type="email", value="ada@work.example"))
        assert (added.primary, added.verified) == (False, False)
        assert sdk.users.identities.verify(user, added).verified is True
        sdk.users.identities.make_primary(user, added)
        assert sdk.users(id=user.id).email == "ada@work.example"
        known = {entry.value: entry for entry in sdk.users.identities(id=user.id)}
        assert [known[value].primary for value in ("ada@work.example", "ada@example.com")] == [True, False]
        sdk.users.identities.delete(user, known["ada@example.com"])
        assert [entry.value for entry in sdk.users.identities(id=user.id)] == ["ada@work.example"]

    def test_bulk_jobs(self, sdk: Zenpy, app: ZendeskApp, clock: VirtualClock) -> None:
        app.configure(bulk_import=True)
        people = [User(name=f"User {n}", email=f"u{n}@example.com") for n in range(3)]
        job = sdk.users.create(people)
        assert (job.status, job.total) == ("queued", 3)
        clock.advance(10)
        done = sdk.job_status(id=job.id)
        assert (done.status, done.progress) == ("completed", 3)
        found = list(sdk.users())
        assert [(result.id, result.index) for result in done.results] == [(user.id, n) for n, user in enumerate(found)]
        for user in found:
            user.name = "Same"
        assert sdk.users.update(found).job_type == "Bulk Update User"
        assert sdk.users.create_or_update([User(name="New", email="u0@example.com")]).status == "queued"
        clock.advance(10)
        assert [user.name for user in sdk.users()] == ["New", "Same", "Same"]
        sdk.users.delete(found)
        clock.advance(10)
        assert list(sdk.users()) == []
        assert {job.status for job in sdk.job_status()["job_statuses"]} == {"completed"}

    def test_organizations(self, sdk: Zenpy, clock: VirtualClock) -> None:
        made = sdk.organizations.create(Organization(name="Acme", external_id="ACME"))
        changed = sdk.organizations.create_or_update(Organization(name="Acme Ltd", external_id="acme"))
        assert (changed.id, changed.name) == (made.id, "Acme Ltd")
        assert [found.id for found in sdk.organizations()] == [made.id]
        user = sdk.users.create(User(name="Ada", organization_id=made.id))
        assert [member.id for member in sdk.organizations.users(made)] == [user.id]
        clock.advance(61)
        assert [found.name for found in sdk.organizations.incremental(start_time=0)] == ["Acme Ltd"]
        sdk.organizations.delete(made)
        assert sdk.users(id=user.id).organization_id is None
        clock.advance(61)
        assert [bool(found.deleted_at) for found in sdk.organizations.incremental(start_time=0)] == [True]

    def test_tickets(self, sdk: Zenpy, clock: VirtualClock) -> None:
        requester = User(name="Ada", email="ada@example.com")
        made = sdk.tickets.create(Ticket(subject="Smoke", comment=Comment(body="It smokes"), requester=requester))
        ticket = made.ticket
        assert (ticket.status, ticket.description) == ("new", "It smokes")
        assert sdk.users(id=ticket.requester_id).email == "ada@example.com"
        ticket.status = "solved"
        ticket.comment = Comment(body="It was the toaster", public=False)
        assert sdk.tickets.update(ticket).ticket.status == "solved"
        assert [entry.body for entry in sdk.tickets.comments(ticket)] == ["It smokes", "It was the toaster"]
        sdk.tickets.delete(ticket)
        with pytest.raises(RecordNotFoundException):
            sdk.tickets(id=ticket.id)
        clock.advance(61)
        assert [entry.status for entry in sdk.tickets.incremental(start_time=0)] == ["deleted"]
        sdk.tickets.restore(ticket.id)
        assert sdk.tickets(id=ticket.id).status == "solved"

    def test_user_fields_and_merge(self, sdk: Zenpy) -> None:
        made = sdk.user_fields.create(UserField(type="text", title="Plan", key="plan"))
        assert [field.key for field in sdk.user_fields()] == ["plan"]
        ada = sdk.users.create(User(name="Ada", email="ada@example.com", user_fields={"plan": "gold"}))
        assert ada.user_fields["plan"] == "gold"
        eve = sdk.users.create(User(name="Eve", email="eve@example.com"))
        assert sdk.users.merge(eve, ada).id == ada.id
        assert {entry.value for entry in sdk.users.identities(id=ada.id)} == {"ada@example.com", "eve@example.com"}
        sdk.user_fields.delete(made)
        assert "plan" not in sdk.users(id=ada.id).user_fields

    def test_tags_and_me(self, sdk: Zenpy) -> None:
        user = sdk.users.create(User(name="Ada", tags=["a"]))
        sdk.users.add_tags(user.id, ["b"])
        sdk.users.delete_tags(user.id, ["a"])
        assert sdk.users(id=user.id).tags == ["b"]
        assert sdk.users.me().role == "admin"


class TestAccess:
    def test_no_or_wrong_credentials(self, call: Client) -> None:
        call.headers = {}
        assert call("GET", "/users") == (401, {"error": "Couldn't authenticate you"})
        call.headers = {"authorization": "Bearer zendesk-bearer"}
        assert call("GET", "/users.json")[0] == 200

    def test_unknown_paths_and_bad_bodies(self, call: Client) -> None:
        assert call("GET", "/nothing") == (404, {"error": "RecordNotFound", "description": "Not found"})
        assert call("POST", "/users", {"person": {}})[0] == 400
        assert call("POST", "/users", {"user": {"name": "A", "tags": "x"}})[0] == 400
        assert call("POST", "/users", {"user": {"name": " "}})[1]["details"].keys() == {"name"}

    def test_account_limit(self, app: ZendeskApp, clock: VirtualClock) -> None:
        call = Client(app)
        app.configure(rate_limit=2)
        call.get("/users")
        assert call.last.headers["x-rate-limit"] == "2"
        assert call.last.headers["x-rate-limit-remaining"] == "1"
        call.get("/users")
        clock.advance(20)
        assert call("GET", "/users")[0] == 429
        assert call.last.headers["retry-after"] == call.last.headers["ratelimit-reset"] == "40"
        clock.advance(40)
        call.get("/users")

    def test_export_limit_and_role(self, app: ZendeskApp) -> None:
        call = Client(app)
        for _ in range(10):
            call.get("/incremental/users/cursor?start_time=0")
        assert call("GET", "/incremental/organizations?start_time=0")[1]["error"] == "APIRateLimitExceeded"
        app.configure(role="agent")
        assert call("GET", "/incremental/tickets/cursor?start_time=0")[0] == 403
        assert call("POST", "/user_fields", {"user_field": {"title": "A", "type": "text"}})[0] == 403

    def test_updates_of_one_user(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.configure(user_update_limit=5)
        ada, eve = call.user(), call.user()
        for n in range(5):
            call.change(ada["id"], notes=str(n))
        assert call("PUT", f"/users/{ada['id']}", {"user": {"notes": "6"}})[0] == 429
        assert call.last.headers["retry-after"] == "60"
        call.change(eve["id"], notes="1")
        clock.advance(60)
        call.change(ada["id"], notes="6")

    def test_faults(self, app: ZendeskApp, call: Client) -> None:
        app.fault("rate_limited", retry_after=7)
        assert call("GET", "/users")[0] == 429
        assert call.last.headers["content-type"] == "text/plain"
        assert call.last.headers["retry-after"] == "7"
        app.fault("lost_answer")
        with pytest.raises(httpx.ReadError):
            call.user(email="ada@example.com")
        assert call("POST", "/users", {"user": {"name": "Ada", "email": "ada@example.com"}})[0] == 422


class TestDesk:
    def test_organizations_match_by_id_not_by_name(self, call: Client) -> None:
        status, body = call("POST", "/organizations/create_or_update", {"organization": {"name": "Acme"}})
        assert status == 201
        number = body["organization"]["id"]
        again = {"organization": {"name": "ACME"}}
        assert call("POST", "/organizations/create_or_update", again)[1]["details"].keys() == {"name"}
        body = {"organization": {"id": number, "name": "ACME"}}
        assert call("POST", "/organizations/create_or_update", body)[0] == 200
        assert call.get("/organizations/search?name=acme")["organizations"][0]["id"] == number
        assert call.get("/organizations/search?external_id=x")["organizations"] == []
        assert call.user(organization={"name": "acme"})["organization_id"] == number

    def test_bulk_organizations(self, call: Client, clock: VirtualClock) -> None:
        body = {"organizations": [{"name": "A"}, {"name": "A"}]}
        job = call("POST", "/organizations/create_many", body)[1]["job_status"]
        clock.advance(10)
        results = call.get(f"/job_statuses/{job['id']}")["job_status"]["results"]
        assert [result.get("error") for result in results] == [None, "RecordInvalid"]

    def test_organization_crud(self, call: Client) -> None:
        body = {"organization": {"name": "Acme", "external_id": "X", "domain_names": ["ACME.example"], "tags": ["B"]}}
        made = call("POST", "/organizations", body)[1]["organization"]
        assert (made["domain_names"], made["tags"]) == (["acme.example"], ["b"])
        path = f"/organizations/{made['id']}"
        assert call("PUT", path, {"organization": {"notes": "n", "details": None}})[1]["organization"]["notes"] == "n"
        for query in (f"ids={made['id']},1", "external_ids=x"):
            assert call.get(f"/organizations/show_many?{query}")["count"] == 1
        assert call("POST", "/organizations", {"organization": {"name": "Other", "external_id": "x"}})[0] == 422
        assert call("POST", "/organizations", {"organization": {"name": ""}})[0] == 422
        assert call("DELETE", path)[0] == 204
        assert call("GET", path)[0] == 404
        assert call.get("/organizations/count")["count"]["value"] == 0

    def test_ticket_lists_and_bulk(self, call: Client, clock: VirtualClock) -> None:
        user = call.user(organization={"name": "Acme"})
        tickets = [{"comment": {"body": str(n)}, "requester_id": user["id"]} for n in range(3)]
        call("POST", "/tickets/create_many", {"tickets": tickets})
        clock.advance(10)
        call("PUT", "/tickets/update_many?ids=1,2", {"ticket": {"status": "closed"}})
        call("PUT", "/tickets/update_many", {"tickets": [{"id": 3, "tags": ["x"]}]})
        call("DELETE", "/tickets/destroy_many?ids=2")
        clock.advance(10)
        found = call.get(f"/users/{user['id']}/tickets/requested")["tickets"]
        assert [(entry["id"], entry["status"], entry["tags"]) for entry in found] == [
            (1, "closed", []),
            (3, "new", ["x"]),
        ]
        assert {entry["organization_id"] for entry in found} == {user["organization_id"]}
        assert call.get("/tickets/show_many?ids=1,2,3")["count"] == 2
        assert len(call.get("/tickets?page[size]=9")["tickets"]) == 2
        assert [entry["id"] for entry in call.get("/deleted_tickets")["deleted_tickets"]] == [2]
        assert call("PUT", "/tickets/1", {"ticket": {"status": "open"}})[0] == 422

    @pytest.mark.parametrize(
        "wrong",
        [
            {"comment": {"body": ""}},
            {"comment": {"body": "x"}, "priority": "huge"},
            {"comment": {"body": "x"}, "requester_id": "nobody"},
            {"comment": {"body": "x"}, "organization_id": 1},
        ],
    )
    def test_bad_tickets(self, call: Client, wrong: dict[str, Any]) -> None:
        assert call("POST", "/tickets", {"ticket": wrong})[0] == 422

    def test_safe_update_of_a_ticket(self, call: Client, clock: VirtualClock) -> None:
        ticket = call("POST", "/tickets", {"ticket": {"comment": {"body": "x"}}})[1]["ticket"]
        path, stamp = f"/tickets/{ticket['id']}", ticket["updated_at"]
        clock.advance(2)
        assert call("PUT", path, {"ticket": {"priority": "high"}})[0] == 200
        body = {"ticket": {"priority": "low", "safe_update": True, "updated_stamp": stamp}}
        assert call("PUT", path, body)[1]["error"] == "UpdateConflict"
        body["ticket"]["updated_stamp"] = call.get(path)["ticket"]["updated_at"]
        assert call("PUT", path, body)[1]["ticket"]["priority"] == "low"

    def test_idempotent_tickets(self, call: Client) -> None:
        body = {"ticket": {"comment": {"body": "x"}}}
        key = {"idempotency-key": "k1"}
        first = call("POST", "/tickets", body, **key)[1]["ticket"]["id"]
        assert call("POST", "/tickets", body, **key)[1]["ticket"]["id"] == first
        assert call.last.headers["x-idempotency-lookup"] == "hit"
        other = {"ticket": {"comment": {"body": "y"}}}
        assert call("POST", "/tickets", other, **key)[1]["error"] == "IdempotentRequestError"
        assert call.get("/tickets/count")["count"]["value"] == 1


class TestKit:
    def test_humans(self, app: ZendeskApp, call: Client) -> None:
        made = app.human(kind="create", fields={"name": "Ada", "email": "ada@example.com"})
        app.human(kind="update", id=made["id"], fields={"name": "Ada L.", "email": "ada@work.example"})
        user = call.get(f"/users/{made['id']}")["user"]
        assert (user["name"], user["email"]) == ("Ada L.", "ada@work.example")
        assert len(call.get(f"/users/{made['id']}/identities")["identities"]) == 1
        other = app.human(kind="create", fields={"name": "Eve"})
        app.human(kind="merge", id=other["id"], into=made["id"])
        app.human(kind="delete", id=made["id"])
        assert [(entry.who, entry.kind) for entry in app.log.entries] == [
            ("human", kind) for kind in ("create", "update", "create", "merge", "delete")
        ]
        ticket = app.human(kind="create", collection="tickets", fields={"comment": "x"})
        app.human(kind="delete", collection="tickets", id=ticket["id"])
        assert app.human(kind="restore", collection="tickets", id=ticket["id"])["status"] == "new"
        with pytest.raises(ValueError, match="restore users"):
            app.human(kind="restore", id=made["id"])

    def test_the_log_can_be_read_over_http(self, app: ZendeskApp, call: Client) -> None:
        call.user(email="ada@example.com", phone="+15551234567")

        async def read() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                return await client.get("/_sandbox/log")

        (entry,) = asyncio.run(read()).json()["entries"]
        assert entry["fields"]["email"] == [None, "ada@example.com"]

    def test_many_users(self, app: ZendeskApp, call: Client) -> None:
        app.load({"name": f"User {n}", "email": f"u{n}@example.com"} for n in range(20_000))
        seen, path = 0, "/incremental/users/cursor?start_time=0"
        while True:
            page = call.get(path)
            seen += len(page["users"])
            if page["end_of_stream"]:
                break
            path = page["after_url"].partition(API)[2]
        assert seen == call.get("/users/count")["count"]["value"] == 20_000
