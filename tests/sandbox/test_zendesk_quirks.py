"""The look-alike Zendesk's quirks: users and their identities, custom fields, bulk jobs, exports, search."""

from typing import Any

import httpx
import pytest
from tests.sandbox.zendesk_client import API, START, Client

from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sandbox.zendesk_search import parse


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


class TestUsers:
    def test_email_on_update_adds_a_secondary_address(self, call: Client, clock: VirtualClock) -> None:
        user = call.user(email="ada@example.com")
        clock.advance(5)
        changed = call.change(user["id"], email="ada@work.example")
        assert (changed["email"], changed["updated_at"]) == ("ada@example.com", "2025-11-22T10:00:05Z")
        entries = call.get(f"/users/{user['id']}/identities")["identities"]
        assert [(e["value"], e["primary"]) for e in entries] == [("ada@example.com", True), ("ada@work.example", False)]
        status, body = call("POST", "/users", {"user": {"name": "Eve", "email": "ADA@work.example"}})
        assert (status, body["details"]["email"][0]["error"]) == (422, "DuplicateValue")
        eve = call.user()
        assert call("PUT", f"/users/{eve['id']}", {"user": {"email": "ada@example.com"}})[0] == 422

    def test_primary_address_can_be_rewritten_but_not_removed(self, call: Client) -> None:
        user = call.user(email="ada@example.com", identities=[{"type": "email", "value": "two@example.com"}])
        path = f"/users/{user['id']}/identities"
        first, second = call.get(path)["identities"]
        assert call("DELETE", f"{path}/{first['id']}")[0] == 422
        body = {"identity": {"value": "new@example.com"}}
        assert call("PUT", f"{path}/{first['id']}", body)[1]["identity"]["primary"] is True
        assert call.get(f"/users/{user['id']}")["user"]["email"] == "new@example.com"
        assert call("DELETE", f"{path}/{second['id']}")[0] == 204
        call.user(email="ada@example.com")

    def test_the_same_values_change_nothing(self, call: Client, app: ZendeskApp, clock: VirtualClock) -> None:
        user = call.user(email="ada@example.com", notes="n", phone="+15551234567", suspended=False)
        clock.advance(5)
        same = call.change(user["id"], email="ADA@example.com", notes="n", phone="+15551234567", suspended=False)
        assert same == user
        assert app.log.entries[-1].fields == {}
        assert [entry.kind for entry in app.log.entries] == ["create", "update"]

    def test_external_id_ignores_case(self, call: Client) -> None:
        user = call.user(external_id="Ada1")
        status, body = call("POST", "/users/create_or_update", {"user": {"name": "Ada L.", "external_id": "ADA1"}})
        assert (status, body["user"]["id"]) == (200, user["id"])
        assert call("POST", "/users", {"user": {"name": "Eve", "external_id": "aDA1"}})[0] == 422
        assert call("POST", "/users/create_or_update", {"user": {"name": "Bo", "external_id": "b"}})[0] == 201

    def test_create_or_update_by_email_finds_secondary_addresses(self, call: Client) -> None:
        user = call.user(email="ada@example.com")
        call.change(user["id"], email="two@example.com")
        body = {"user": {"name": "Ada L.", "email": "two@example.com", "external_id": "A"}}
        status, found = call("POST", "/users/create_or_update", body)
        assert (status, found["user"]["id"], found["user"]["email"]) == (200, user["id"], "ada@example.com")

    def test_delete_is_soft_and_frees_the_keys(self, call: Client) -> None:
        user = call.user(email="ada@example.com", external_id="A")
        assert call("DELETE", f"/users/{user['id']}")[1]["user"]["active"] is False
        assert call("PUT", f"/users/{user['id']}", {"user": {"name": "B"}})[0] == 404
        call.user(email="ada@example.com", external_id="A")
        assert call.get("/users/count")["count"]["value"] == 1
        deleted = call.get("/deleted_users?page[size]=10")["deleted_users"]
        assert [entry["id"] for entry in deleted] == [user["id"]]
        assert call("DELETE", f"/deleted_users/{user['id']}")[0] == 200
        assert call("GET", f"/users/{user['id']}")[0] == 404

    def test_merge_deletes_the_loser_without_a_trace_of_the_winner(self, call: Client) -> None:
        ada, eve = call.user(email="ada@example.com", external_id="A"), call.user(email="eve@example.com")
        status, body = call("PUT", f"/users/{ada['id']}/merge", {"user": {"id": eve["id"]}})
        assert (status, body["user"]["id"], body["user"]["external_id"]) == (200, eve["id"], None)
        loser = call.get(f"/users/{ada['id']}")["user"]
        assert (loser["active"], loser["email"]) == (False, None)
        assert call.get("/users/search?query=email:ada@example.com")["users"][0]["id"] == eve["id"]
        agent = call.user(role="agent")
        assert call("PUT", f"/users/{agent['id']}/merge", {"user": {"id": eve["id"]}})[0] == 422

    def test_phone_is_an_identity_unless_it_is_shared(self, call: Client) -> None:
        own = call.user(phone="+15551234567")
        shared = call.user(phone="+15551234567")
        local = call.user(phone="555 1234")
        assert [user["shared_phone_number"] for user in (own, shared, local)] == [False, True, True]
        assert call.get(f"/users/{own['id']}/identities")["identities"][0]["type"] == "phone_number"
        cleared = call.change(own["id"], phone="")
        assert (cleared["phone"], cleared["shared_phone_number"]) == (None, None)
        assert call.change(local["id"], phone="+15551234567")["shared_phone_number"] is False

    def test_an_unchanged_phone_of_a_seeded_user_changes_nothing(self, app: ZendeskApp, call: Client) -> None:
        app.load([{"name": "Ada", "phone": "+15551234567"}])
        before = call.get("/users/100001")["user"]
        assert call.change(100_001, phone="+15551234567") == before

    def test_organization_of_a_user(self, call: Client) -> None:
        assert call("POST", "/users", {"user": {"name": "Ada", "organization_id": 1}})[0] == 422
        refused = {"name": "Ada", "email": "nobody", "organization": {"name": "Acme"}}
        assert call("POST", "/users", {"user": refused})[0] == 422
        assert call.get("/organizations")["count"] == 0
        user = call.user(organization={"name": "Acme"})
        assert call.change(user["id"], organization_id=None)["organization_id"] is None

    def test_bad_cursors(self, call: Client) -> None:
        for cursor in ("x", "eA=="):
            assert call("GET", f"/users?page[after]={cursor}")[1]["error"] == "InvalidCursor"

    def test_roles_and_offset_depth(self, call: Client) -> None:
        call.user()
        call.user(role="agent")
        assert [user["role"] for user in call.get("/users?role[]=agent")["users"]] == ["agent"]
        assert call("POST", "/users", {"user": {"name": "A", "role": "king"}})[0] == 422
        assert call("GET", "/users?page=101")[0] == 400
        assert call("GET", "/users/show_many?ids=" + ",".join(map(str, range(101))))[0] == 400


class TestCustomFields:
    @pytest.fixture(autouse=True)
    def fields(self, app: ZendeskApp) -> None:
        options = [{"name": "Gold", "value": "gold"}, {"name": "Free", "value": "free"}]
        app.load(
            [
                {"key": "plan", "title": "Plan", "type": "dropdown", "custom_field_options": options},
                {"key": "since", "title": "Since", "type": "date"},
                {"key": "seats", "title": "Seats", "type": "integer"},
                {"key": "score", "title": "Score", "type": "decimal"},
                {"key": "opt_in", "title": "Opt in", "type": "checkbox"},
                {"key": "code", "title": "Code", "type": "regexp", "regexp_for_validation": "^[A-Z]+$"},
                {"key": "teams", "title": "Teams", "type": "multiselect", "custom_field_options": options},
            ],
            "user_fields",
        )

    def test_values_are_normalised(self, call: Client) -> None:
        given = {"plan": "gold", "since": "2025-01-02", "seats": "7", "score": 1.5, "opt_in": True, "nothing": "x"}
        assert call.user(user_fields=given)["user_fields"] == {
            "plan": "gold",
            "since": "2025-01-02T00:00:00+00:00",
            "seats": 7,
            "score": 1.5,
            "opt_in": True,
            "code": None,
            "teams": [],
        }

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("plan", "silver"),
            ("since", "soon"),
            ("seats", 1.5),
            ("seats", [1]),
            ("score", "much"),
            ("opt_in", "maybe"),
            ("code", "abc"),
            ("teams", ["gold", "silver"]),
        ],
    )
    def test_bad_values_are_refused(self, call: Client, key: str, value: Any) -> None:
        status, body = call("POST", "/users", {"user": {"name": "Ada", "user_fields": {key: value}}})
        assert (status, body["details"]["base"][0]["field_key"]) == (422, key)

    def test_clearing(self, call: Client, app: ZendeskApp) -> None:
        user = call.user(user_fields={"plan": "gold", "seats": 3, "opt_in": True})
        cleared = call.change(user["id"], user_fields={"plan": None, "seats": "", "opt_in": None})["user_fields"]
        assert (cleared["plan"], cleared["seats"], cleared["opt_in"]) == (None, None, False)
        assert app.log.entries[-1].fields["user_fields.plan"] == ("gold", None)

    def test_definitions(self, call: Client) -> None:
        plan = call.get("/user_fields/plan")["user_field"]
        assert [option["value"] for option in plan["custom_field_options"]] == ["gold", "free"]
        option = {"custom_field_option": {"name": "Silver", "value": "silver"}}
        assert call("POST", f"/user_fields/{plan['id']}/options", option)[0] == 201
        call.user(user_fields={"plan": "silver"})
        bare = {"user_field": {"key": "x", "title": "X", "type": "dropdown"}}
        assert call("POST", "/user_fields", bare)[1]["details"].keys() == {"field_options"}
        assert call("POST", "/user_fields", {"user_field": {"key": "plan", "title": "P", "type": "text"}})[0] == 422

    def test_definitions_can_be_changed(self, call: Client) -> None:
        plan = call.get("/user_fields/plan")["user_field"]
        first, second = plan["custom_field_options"]
        renamed = {"custom_field_option": {"id": first["id"], "name": "Golden"}}
        assert call("POST", f"/user_fields/{plan['id']}/options", renamed)[0] == 200
        assert call("DELETE", f"/user_fields/{plan['id']}/options/{second['id']}")[0] == 204
        options = call.get(f"/user_fields/{plan['id']}/options")["custom_field_options"]
        assert [(option["name"], option["value"]) for option in options] == [("Golden", "gold")]
        assert call("PUT", "/user_fields/plan", {"user_field": {"active": False}})[0] == 200
        assert "plan" not in call.user()["user_fields"]
        size = {"key": "size", "title": "Size", "type": "integer"}
        assert call("POST", "/organization_fields", {"organization_field": size})[0] == 201
        acme = {"name": "Acme", "organization_fields": {"size": "9"}}
        assert call("POST", "/organizations", {"organization": acme})[1]["organization"]["organization_fields"] == {
            "size": 9
        }

    def test_ticket_fields_are_by_id(self, app: ZendeskApp, call: Client) -> None:
        app.load(
            [{"title": "Area", "type": "tagger", "custom_field_options": [{"name": "A", "value": "a"}]}],
            "ticket_fields",
        )
        field = call.get("/ticket_fields")["ticket_fields"][0]
        assert field["type"] == "tagger"
        body = {"ticket": {"comment": {"body": "x"}, "custom_fields": [{"id": field["id"], "value": "a"}]}}
        status, made = call("POST", "/tickets", body)
        assert (status, made["ticket"]["custom_fields"]) == (201, [{"id": field["id"], "value": "a"}])


class TestJobs:
    def test_bulk_import_is_off_by_default(self, call: Client) -> None:
        for path in ("/users/create_many", "/users/create_or_update_many"):
            assert call("POST", path, {"users": [{"name": "A"}]})[0] == 403

    def test_a_job_runs_by_the_clock(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.configure(job_queue_seconds=10, job_record_seconds=5)
        ada, eve = call.user(email="ada@example.com"), call.user(email="eve@example.com")
        changes = [
            {"id": ada["id"], "notes": "a"},
            {"id": eve["id"], "email": "ada@example.com"},
            {"id": 4711, "notes": "c"},
        ]
        status, body = call("PUT", "/users/update_many", {"users": changes})
        job = body["job_status"]
        assert (status, job["status"], job["progress"], job["results"]) == (200, "queued", 0, None)
        clock.advance(16)
        job = call.get(f"/job_statuses/{job['id']}")["job_status"]
        assert (job["status"], job["progress"], job["results"]) == ("working", 1, None)
        assert call.get(f"/users/{ada['id']}")["user"]["updated_at"] == "2025-11-22T10:00:15Z"
        clock.advance(60)
        job = call.get(f"/job_statuses/show_many?ids={job['id']},x")["job_statuses"][0]
        assert (job["status"], job["message"]) == ("completed", "Completed at 2025-11-22T10:00:25Z")
        gone, done, taken = job["results"]
        assert done == {"id": ada["id"], "action": "update", "status": "Updated", "success": True}
        assert (taken["id"], taken["status"], taken["success"]) == (eve["id"], "Failed", False)
        assert taken["details"] == "Email: ada@example.com is already being used by another user"
        assert gone["error"] == "RecordNotFound"

    def test_each_kind_of_job_has_its_own_form(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.configure(bulk_import=True)
        people = [{"name": "Ada", "email": "ada@example.com"}, {"name": "", "email": "eve@example.com"}]
        forms = []
        for path in ("/users/create_many", "/users/create_or_update_many"):
            job = call("POST", path, {"users": people})[1]["job_status"]
            clock.advance(10)
            forms.append(call.get(f"/job_statuses/{job['id']}")["job_status"]["results"])
        (made, refused), (known, place) = forms
        assert made == {"id": 100_001, "index": 0}
        assert refused.keys() == {"index", "error", "details"}
        assert known.keys() == {"id", "status", "email", "action"}
        assert (known["status"], place["id"], place["status"]) == ("Updated", 1, "Failed")

    def test_one_change_for_many(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        ids = [call.user()["id"] for _ in range(3)]
        call("PUT", f"/users/update_many?ids={ids[0]},{ids[1]}", {"user": {"notes": "x"}})
        call("DELETE", f"/users/destroy_many?ids={ids[2]}")
        clock.advance(10)
        assert [user["notes"] for user in app.records("users")] == ["x", "x", ""]
        assert [user["active"] for user in app.records("users")] == [True, True, False]

    def test_by_external_id(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        for letter in "AB":
            call.user(external_id=letter)
        call("PUT", "/users/update_many?external_ids=a,b,c", {"user": {"notes": "x"}})
        job = call("DELETE", "/users/destroy_many?external_ids=b")[1]["job_status"]
        clock.advance(10)
        assert [(user["notes"], user["active"]) for user in app.records("users")] == [("x", True), ("x", False)]
        assert call.get(f"/job_statuses/{job['id']}")["job_status"]["results"][0]["status"] == "Deleted"

    def test_a_job_of_failures_only_has_failed(self, call: Client, clock: VirtualClock) -> None:
        job = call("DELETE", "/users/destroy_many?ids=4711")[1]["job_status"]
        clock.advance(10)
        assert call.get(f"/job_statuses/{job['id']}")["job_status"]["status"] == "failed"

    def test_limits(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.configure(job_limit=1)
        many = [{"id": n} for n in range(101)]
        assert call("PUT", "/users/update_many", {"users": many})[1]["error"] == "TooManyValues"
        assert call("DELETE", "/users/destroy_many?ids=1")[0] == 200
        assert call("DELETE", "/users/destroy_many?ids=1")[1]["error"] == "TooManyJobs"
        clock.advance(10)
        assert call("DELETE", "/users/destroy_many?ids=1")[0] == 200
        assert call("GET", "/job_statuses/none")[0] == 404

    def test_a_request_that_dies_midway_leaves_the_first_records(
        self, app: ZendeskApp, call: Client, clock: VirtualClock
    ) -> None:
        ids = [call.user()["id"] for _ in range(3)]
        app.fault("die_midway", after_inputs=2)
        with pytest.raises(httpx.ReadError):
            call("PUT", "/users/update_many", {"users": [{"id": number, "notes": "x"} for number in ids]})
        clock.advance(10)
        assert [user["notes"] for user in app.records("users")] == ["x", "x", ""]


class TestExports:
    def test_start_time_and_the_latest_minute(self, call: Client, clock: VirtualClock) -> None:
        path = "/incremental/users/cursor"
        status, body = call("GET", f"{path}?start_time={int(START) - 59}")
        assert (status, body["error"]) == (422, "InvalidValue")
        assert call("GET", path)[0] == 400
        assert call("GET", f"{path}?cursor=nonsense")[0] == 400
        user = call.user()
        clock.advance(60)
        first = call.get(f"{path}?start_time=0")
        assert (first["users"], first["end_of_stream"]) == ([], True)
        clock.advance(1)
        then = call.get(f"{path}?cursor={first['after_cursor']}")
        assert [entry["id"] for entry in then["users"]] == [user["id"]]
        assert call.get(f"{path}?cursor={then['after_cursor']}")["users"] == []

    def test_a_record_that_changes_on_the_way_comes_again(
        self, app: ZendeskApp, call: Client, clock: VirtualClock
    ) -> None:
        app.load([{"name": f"User {n}"} for n in range(4)])
        app.configure(export_left_out=0)
        first = call.get("/incremental/users/cursor?start_time=0&per_page=2")
        assert first["end_of_stream"] is False
        call.change(first["users"][0]["id"], name="Changed")
        clock.advance(1)
        rest = call.get("/incremental/users/cursor?per_page=1000&cursor=" + first["after_cursor"])
        assert [entry["name"] for entry in rest["users"]] == ["User 2", "User 3", "Changed"]

    def test_organizations_by_time(self, app: ZendeskApp, call: Client) -> None:
        stamps = ["2025-01-01T00:00:00Z"] * 3 + ["2025-01-02T00:00:00Z"]
        app.load([{"name": f"Org {n}", "updated_at": at} for n, at in enumerate(stamps)], "organizations")
        page = call.get("/incremental/organizations?start_time=0&per_page=2")
        assert (page["count"], page["end_of_stream"], page["end_time"]) == (3, False, 1735689600)
        again = call.get("/incremental/organizations" + page["next_page"].partition("organizations")[2])
        assert again["count"] == 3
        assert again["next_page"].endswith("start_time=1735689601&per_page=2")
        last = call.get("/incremental/organizations?start_time=1735689601")
        assert (last["count"], last["end_of_stream"]) == (1, True)
        assert call.get("/incremental/organizations?start_time=1735800000")["end_time"] is None


class TestArchive:
    def test_a_ticket_that_was_closed_long_ago_is_left_out_of_the_plain_list_alone(
        self, app: ZendeskApp, call: Client, clock: VirtualClock
    ) -> None:
        app.load(
            [{"subject": f"T{n}", "status": "closed" if n else "open", "external_id": "X"} for n in range(3)], "tickets"
        )
        clock.advance(119 * 86400)
        assert len(call.get("/tickets")["tickets"]) == 3
        clock.advance(86400)
        for path in ("/tickets", "/tickets?page[size]=9", "/tickets?external_id=X", "/tickets?sort_by=updated_at"):
            assert [entry["subject"] for entry in call.get(path)["tickets"]] == ["T0"]
        assert call.get("/tickets/3")["ticket"]["subject"] == "T2"
        assert call.get("/tickets/show_many?ids=1,2,3")["count"] == 3
        assert len(call.get("/incremental/tickets/cursor?start_time=0")["tickets"]) == 3

    def test_the_plain_list_in_the_order_of_changes(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.load([{"subject": f"T{n}"} for n in range(3)], "tickets")
        for number in (2, 1):
            clock.advance(1)
            call("PUT", f"/tickets/{number}", {"ticket": {"priority": "high"}})
        listed = call.get("/tickets?sort_by=updated_at&sort_order=desc&per_page=2")
        assert [entry["id"] for entry in listed["tickets"]] == [1, 2]
        assert listed["next_page"]
        assert [entry["id"] for entry in call.get("/tickets?sort_by=updated_at")["tickets"]] == [3, 2, 1]


class TestOrganizationMerges:
    def test_the_loser_is_deleted_and_only_the_merge_tells_the_winner(self, call: Client, clock: VirtualClock) -> None:
        winner, loser = (
            call(
                "POST",
                "/organizations",
                {"organization": {"name": name, "domain_names": [f"{name}.test"], "notes": name}},
            )[1]["organization"]
            for name in ("acme", "ink")
        )
        ann = call.user(organization_id=loser["id"])
        body = {"ticket": {"comment": {"body": "x"}, "requester_id": ann["id"]}}
        ticket = call("POST", "/tickets", body)[1]["ticket"]
        clock.advance(5)
        path = f"/organizations/{loser['id']}"
        status, answer = call("POST", f"{path}/merge", {"organization_merge": {"winner_id": winner["id"]}})
        made = answer["organization_merge"]
        assert (status, made["loser_id"], made["winner_id"], made["status"]) == (200, loser["id"], winner["id"], "new")
        assert call("GET", path)[0] == call("GET", f"{path}/merges")[0] == 404
        assert call.get(f"/organizations/show_many?ids={loser['id']}")["organizations"] == []
        kept = call.get(f"/organizations/{winner['id']}")["organization"]
        assert (kept["domain_names"], kept["notes"]) == (["acme.test", "ink.test"], "acme")
        (told,) = call.get(f"/organizations/{winner['id']}/merges")["organization_merges"]
        assert told["status"] == "complete"
        assert call.get(f"/organization_merges/{made['id']}")["organization_merge"] == told
        assert call("GET", "/organization_merges/none")[0] == 404
        assert call.get(f"/users/{ann['id']}")["user"]["organization_id"] == winner["id"]
        clock.advance(61)
        deleted = {entry["id"]: bool(entry["deleted_at"]) for entry in _exported(call, "organizations")}
        assert deleted == {winner["id"]: False, loser["id"]: True}
        moved = call.get(f"/tickets/{ticket['id']}")["ticket"]
        assert moved["organization_id"] == winner["id"]
        assert moved["updated_at"] == ticket["updated_at"], "the system's own change is no ticket event"
        assert moved["generated_timestamp"] > ticket["generated_timestamp"]
        stamped = {"priority": "low", "safe_update": True, "updated_stamp": ticket["updated_at"]}
        assert call("PUT", f"/tickets/{ticket['id']}", {"ticket": stamped})[0] == 200

    def test_what_cannot_be_merged(self, app: ZendeskApp, call: Client) -> None:
        made = call("POST", "/organizations", {"organization": {"name": "acme"}})[1]["organization"]["id"]
        body = {"organization_merge": {"winner_id": made}}
        assert call("POST", f"/organizations/{made}/merge", body)[0] == 422
        assert call("POST", f"/organizations/{made}/merge", {"organization_merge": {"winner_id": 1}})[0] == 404
        app.configure(role="agent")
        assert call("POST", f"/organizations/{made}/merge", body)[0] == 403


def _exported(call: Client, name: str) -> Any:
    return call.get(f"/incremental/{name}?start_time=0")[name]


class TestSearch:
    def test_the_index_lags(self, app: ZendeskApp, call: Client, clock: VirtualClock) -> None:
        app.configure(index_lag=30)
        user = call.user(email="ada@example.com", external_id="A")
        by_email, by_id = "/users/search?query=email:ada@example.com", "/users/search?external_id=a"
        assert call.get(by_email)["users"] == call.get(by_id)["users"] == []
        clock.advance(30)
        assert len(call.get(by_email)["users"]) == len(call.get(by_id)["users"]) == 1
        call.change(user["id"], external_id="B")
        assert call.get(by_id)["users"][0]["external_id"] == "B"
        call("DELETE", f"/users/{user['id']}")
        clock.advance(30)
        assert call.get(by_email)["users"] == []

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("ada", ["Ada"]),
            ("name:eve", ["Eve"]),
            ('"Eve"', ["Eve"]),
            ("tags:vip", ["Ada"]),
            ("-tags:vip", ["Eve"]),
            ("role:end-user updated>2025-06-01", ["Eve"]),
            ("updated_at<=2025-01-01T00:00:00Z", ["Ada"]),
            ("created:2025-01-01", ["Ada"]),
            ("plan:gold", ["Ada"]),
            ("suspended:false", ["Ada", "Eve"]),
            ("o'brien", []),
        ],
    )
    def test_queries(self, app: ZendeskApp, call: Client, query: str, names: list[str]) -> None:
        app.load([{"key": "plan", "title": "Plan", "type": "text"}], "user_fields")
        app.load(
            [
                {"name": "Ada", "tags": ["vip"], "updated_at": "2025-01-01T00:00:00Z", "user_fields": {"plan": "gold"}},
                {"name": "Eve", "updated_at": "2025-07-01T00:00:00Z"},
            ]
        )
        found = call.get(f"/users/search?{httpx.QueryParams(query=query)}")
        assert [user["name"] for user in found["users"]] == names

    def test_export_and_depth(self, app: ZendeskApp, call: Client) -> None:
        app.load([{"name": f"User {n}"} for n in range(5)])
        page = call.get("/search/export?query=user&filter[type]=user&page[size]=3")
        assert [hit["result_type"] for hit in page["results"]] == ["user"] * 3
        rest = call.get(page["links"]["next"].partition(API)[2])
        assert (len(rest["results"]), rest["meta"]["has_more"]) == (2, False)
        assert call("GET", "/search/export?query=user")[0] == 400
        assert call("GET", "/search?query=user&page=11")[1]["error"] == "invalid"
        assert call.get("/search/count?query=type:user")["count"] == 5


def test_a_search_takes_an_apostrophe_within_quotes_for_itself() -> None:
    assert [(term.name, term.value) for term in parse("email:\"o'neil@mail.test\" role:'x y'")] == [
        ("email", "o'neil@mail.test"),
        ("role", "'x"),
        ("", "y'"),
    ]
