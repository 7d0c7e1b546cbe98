"""The look-alike Mailchimp: shaped like the original (by the vendor's own SDK), and quirky like it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mailchimp_marketing import Client as Sdk
from mailchimp_marketing.api_client import ApiClientError

from twoway.sandbox.kit import VirtualClock, in_process
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.mailchimp_audience import member_hash
from twoway.sandbox.server import Sandbox

START = 1_750_000_000.0
LIST = f"/3.0/lists/{LIST_ID}"
MEMBERS = f"{LIST}/members"


@pytest.fixture
def app() -> MailchimpApp:
    return MailchimpApp(clock=VirtualClock(START))


@pytest.fixture
def sdk(app: MailchimpApp) -> Iterator[Any]:
    with Sandbox(mailchimp=app) as sandbox:
        client = Sdk({"api_key": "sandbox-us1"})
        client.api_client.host = f"{sandbox.urls['mailchimp']}/3.0"
        yield client


class Client:
    """Calls the app in-process, without a socket; answers (status, body)."""

    def __init__(self, app: MailchimpApp) -> None:
        self.app = app
        self.last = httpx.Response(0)

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        transport = httpx.ASGITransport(in_process(self.app, httpx.ReadError))
        async with httpx.AsyncClient(transport=transport, base_url="http://mailchimp") as client:
            return await client.request(method, path, json=body, auth=("any", "sandbox-us1"))

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self.last = asyncio.run(self.send(method, path, body))
        return self.last.status_code, self.last.json() if self.last.content else None

    def create(self, email: str, status: str = "subscribed", **fields: Any) -> dict[str, Any]:
        code, body = self("POST", MEMBERS, {"email_address": email, "status": status, "merge_fields": fields})
        assert code == 200, body
        return dict(body)


@pytest.fixture
def call(app: MailchimpApp) -> Client:
    return Client(app)


class TestWithTheVendorsSdk:
    def test_a_members_life(self, app: MailchimpApp, sdk: Any) -> None:
        assert sdk.ping.get()["health_status"]
        assert sdk.lists.get_all_lists()["lists"][0]["id"] == LIST_ID
        lists = sdk.lists
        made = lists.add_list_member(
            LIST_ID,
            {
                "email_address": "Ada@Example.com",
                "status": "subscribed",
                "merge_fields": {"FNAME": "Ada"},
                "tags": ["vip"],
            },
        )
        assert made["id"] == member_hash("ada@example.com")
        assert made["merge_fields"]["LNAME"] == ""
        assert made["tags"] == [{"id": 1, "name": "vip"}]
        assert made["last_changed"] == "2025-06-15T15:06:40+00:00"
        moved = lists.update_list_member(LIST_ID, made["id"], {"email_address": "ada@byron.org"})
        assert (moved["id"], moved["contact_id"]) == (member_hash("ada@byron.org"), made["contact_id"])
        lists.update_list_member_tags(LIST_ID, moved["id"], {"tags": [{"name": "vip", "status": "inactive"}]})
        assert lists.get_list_member_tags(LIST_ID, moved["id"])["tags"] == []
        assert lists.get_list_member(LIST_ID, "ada@byron.org")["web_id"] == made["web_id"]
        assert lists.get_list_member(LIST_ID, made["contact_id"])["id"] == moved["id"]
        lists.delete_list_member(LIST_ID, moved["id"])
        assert lists.get_list_member(LIST_ID, moved["id"])["status"] == "archived"
        lists.set_list_member(LIST_ID, moved["id"], {"email_address": "ada@byron.org", "status": "subscribed"})
        assert lists.get_list_members_info(LIST_ID, count=1000)["total_items"] == 1
        lists.delete_list_member_permanent(LIST_ID, moved["id"])
        kinds = [entry.kind for entry in app.log.since()]
        assert kinds == ["create", "update", "update", "delete", "restore", "update", "delete"]
        with pytest.raises(ApiClientError) as refused:
            lists.get_list_member(LIST_ID, moved["id"])
        assert json.loads(refused.value.text)["title"] == "Resource Not Found"

    def test_a_batch(self, sdk: Any) -> None:
        sdk.lists.add_list_member(LIST_ID, {"email_address": "old@x.org", "status": "unsubscribed"})
        members = [{"email_address": f"{name}@x.org", "status": "subscribed"} for name in ("new", "old", "other")]
        answer = sdk.lists.batch_list_members(LIST_ID, {"members": members, "update_existing": False})
        assert (answer["total_created"], answer["error_count"]) == (2, 1)
        assert answer["errors"][0]["error_code"] == "ERROR_CONTACT_EXISTS"
        members[0]["merge_fields"] = {"FNAME": "New"}  # type: ignore[assignment]
        answer = sdk.lists.batch_list_members(LIST_ID, {"members": members, "update_existing": True})
        assert answer["total_updated"] == 2
        assert answer["updated_members"][0]["merge_fields"]["FNAME"] == "New"
        assert [each["email_address"] for each in answer["errors"]] == ["old@x.org"]

    def test_merge_fields(self, sdk: Any) -> None:
        body = {"tag": "PLAN", "name": "Plan", "type": "dropdown", "options": {"choices": ["free", "paid"]}}
        made = sdk.lists.add_list_merge_field(LIST_ID, body)
        assert made["options"]["choices"] == ["free", "paid"]
        fields = sdk.lists.get_list_merge_fields(LIST_ID, count=100)["merge_fields"]
        assert {each["tag"]: each["type"] for each in fields} == {
            "FNAME": "text",
            "LNAME": "text",
            "ADDRESS": "address",
            "PHONE": "phone",
            "BIRTHDAY": "birthday",
            "PLAN": "dropdown",
        }

    def test_a_wrong_key(self, app: MailchimpApp, sdk: Any) -> None:
        app.configure(token="another")
        with pytest.raises(ApiClientError) as refused:
            sdk.ping.get()
        assert refused.value.status_code == 401


class TestListing:
    def test_changes_by_the_second(self, app: MailchimpApp, call: Client) -> None:
        for n in range(4):
            call.create(f"p{n}@x.org")
            app.advance(1.4)
        status, body = call(
            "GET",
            f"{MEMBERS}?since_last_changed=2025-06-15T15:06:41Z&sort_field=last_changed&sort_dir=DESC"
            "&fields=members.email_address,members.last_changed,total_items",
        )
        assert status == 200
        assert body == {
            "members": [
                {"email_address": "p3@x.org", "last_changed": "2025-06-15T15:06:44+00:00"},
                {"email_address": "p2@x.org", "last_changed": "2025-06-15T15:06:42+00:00"},
            ],
            "total_items": 2,
        }
        _, body = call("GET", f"{MEMBERS}?before_last_changed=2025-06-15T15:06:42Z&exclude_fields=members.merge_fields")
        assert [member["email_address"] for member in body["members"]] == ["p0@x.org", "p1@x.org"]
        assert "merge_fields" not in body["members"][0]

    def test_pages_drift_while_members_change(self, app: MailchimpApp, call: Client) -> None:
        for n in range(4):
            call.create(f"p{n}@x.org")
        app.advance(5)
        page = f"{MEMBERS}?sort_field=last_changed&count=2&offset="
        first = [member["email_address"] for member in call("GET", page + "0")[1]["members"]]
        app.human(kind="update", id="p0@x.org", fields={"merge_fields": {"FNAME": "X"}})
        second = [member["email_address"] for member in call("GET", page + "2")[1]["members"]]
        assert (first, second) == (["p0@x.org", "p1@x.org"], ["p3@x.org", "p0@x.org"])

    def test_statuses(self, app: MailchimpApp, call: Client) -> None:
        for status in ("subscribed", "unsubscribed", "pending"):
            call.create(f"{status}@x.org", status)
        call("DELETE", f"{MEMBERS}/pending@x.org")
        assert call("GET", MEMBERS)[1]["total_items"] == 2
        assert call("GET", f"{MEMBERS}?status=archived")[1]["members"][0]["email_address"] == "pending@x.org"
        assert call("GET", f"{MEMBERS}?status=bogus")[0] == 400
        assert call("GET", f"{MEMBERS}?status=subscribed,archived")[1]["total_items"] == 2
        app.configure(takes_status_lists=False)
        assert call("GET", f"{MEMBERS}?status=subscribed,archived")[1]["total_items"] == 1
        app.configure(listing_has_archived=True)
        assert call("GET", MEMBERS)[1]["total_items"] == 3
        assert call("GET", f"{MEMBERS}?count=1001")[0] == 400

    def test_lags(self, app: MailchimpApp, call: Client) -> None:
        app.configure(list_lag=10, read_lag=5)
        call.create("a@x.org")
        assert call("GET", f"{MEMBERS}/a@x.org")[0] == 404
        app.advance(5)
        assert call("GET", f"{MEMBERS}/a@x.org")[0] == 200
        assert call("GET", MEMBERS)[1]["total_items"] == 0
        app.advance(5)
        assert call("GET", MEMBERS)[1]["total_items"] == 1


class TestRefusals:
    def test_a_member_exists(self, call: Client) -> None:
        call.create("a@x.org")
        call.create("b@x.org")
        status, body = call("POST", MEMBERS, {"email_address": "A@X.org", "status": "subscribed"})
        assert (status, body["title"]) == (400, "Member Exists")
        assert call.last.headers["content-type"].startswith("application/problem+json")
        assert call("PATCH", f"{MEMBERS}/b@x.org", {"email_address": "a@x.org"})[1]["title"] == "Member Exists"
        upsert = {"email_address": "a@x.org", "status_if_new": "subscribed"}
        assert call("PUT", f"{MEMBERS}/{member_hash('other@x.org')}", upsert)[1]["title"] == "Member Exists"

    @pytest.mark.parametrize("status", ["unsubscribed", "cleaned"])
    def test_compliance(self, app: MailchimpApp, call: Client, status: str) -> None:
        call.create("a@x.org")
        app.human(kind="update", id="a@x.org", fields={"status": status})
        path = f"{MEMBERS}/a@x.org"
        assert call("PATCH", path, {"status": "subscribed"})[1]["title"] == "Member In Compliance State"
        assert call("PUT", path, {"status": "subscribed"})[1]["title"] == "Member In Compliance State"
        assert call("PATCH", path, {"merge_fields": {"FNAME": "A"}})[0] == 200
        assert call("PATCH", path, {"status": "pending"})[0] == 200

    def test_compliance_of_whom_the_api_unsubscribed(self, app: MailchimpApp, call: Client) -> None:
        app.configure(strict_compliance=False)
        call.create("a@x.org")
        for status in ("unsubscribed", "subscribed"):
            assert call("PATCH", f"{MEMBERS}/a@x.org", {"status": status})[0] == 200
        app.human(kind="update", id="a@x.org", fields={"status": "unsubscribed"})
        assert call("PATCH", f"{MEMBERS}/a@x.org", {"status": "subscribed"})[0] == 400

    def test_a_forgotten_address(self, call: Client) -> None:
        made = call.create("a@x.org")
        assert call("POST", f"{MEMBERS}/a@x.org/actions/delete-permanent")[0] == 404
        assert call("POST", f"{MEMBERS}/{made['id']}/actions/delete-permanent")[0] == 204
        status, body = call("POST", MEMBERS, {"email_address": "a@x.org", "status": "subscribed"})
        assert (status, body["title"]) == (400, "Forgotten Email Not Subscribed")

    @pytest.mark.parametrize(
        ("kind", "given", "stored"),
        [
            ("number", "42", 42),
            ("number", 4.5, 4.5),
            ("number", "many", None),
            ("text", " padded ", "padded"),
            ("text", True, None),
            ("date", "12/31/2024", "2024-12-31"),
            ("date", "soon", None),
            ("birthday", "2/3", "02/03"),
            ("birthday", "13/13", None),
            ("dropdown", "red", "red"),
            ("dropdown", "blue", None),
            ("url", "https://x.org", "https://x.org"),
            ("url", "x.org", None),
            ("zip", "12345", "12345"),
            ("zip", "SW1A", None),
            ("address", {"addr1": "1 St"}, None),
            (
                "address",
                {"addr1": "1 St", "city": "C", "state": "S", "zip": "1"},
                {"addr1": "1 St", "addr2": "", "city": "C", "state": "S", "zip": "1", "country": "US"},
            ),
        ],
    )
    def test_merge_values(self, call: Client, kind: str, given: Any, stored: Any) -> None:
        options = {"choices": ["red", "green"]} if kind == "dropdown" else {}
        call("POST", f"{LIST}/merge-fields", {"tag": "X", "name": "X", "type": kind, "options": options})
        body = {"email_address": "a@x.org", "status": "subscribed", "merge_fields": {"X": given, "NONSENSE": "1"}}
        status, answer = call("POST", MEMBERS, body)
        if stored is None:
            assert (status, [each["field"] for each in answer["errors"]]) == (400, ["X"])
        else:
            assert (status, answer["merge_fields"]["X"]) == (200, stored)
            assert "NONSENSE" not in answer["merge_fields"]

    def test_a_required_merge_field(self, call: Client) -> None:
        call("POST", f"{LIST}/merge-fields", {"tag": "REQ", "name": "R", "type": "text", "required": True})
        body = {"email_address": "a@x.org", "status": "subscribed"}
        assert call("POST", MEMBERS, body)[1]["errors"] == [{"field": "REQ", "message": "Please enter a value"}]
        assert call("POST", f"{MEMBERS}?skip_merge_validation=true", body)[0] == 200

    def test_addresses(self, app: MailchimpApp, call: Client) -> None:
        assert call("POST", MEMBERS, {"email_address": "nobody", "status": "subscribed"})[0] == 400
        assert call("POST", MEMBERS, {"email_address": "a@x.org"})[0] == 400
        app.configure(refuse_fake=True)
        assert call("POST", MEMBERS, {"email_address": "a@example.com", "status": "subscribed"})[0] == 400

    def test_a_batch_of_five_hundred(self, call: Client) -> None:
        assert call("POST", LIST, {"members": [{}] * 501})[0] == 400


class TestQuirks:
    def test_a_blank_clears(self, app: MailchimpApp, call: Client) -> None:
        call.create("a@x.org", FNAME="A")
        _, body = call("PATCH", f"{MEMBERS}/a@x.org", {"merge_fields": {"FNAME": "", "LNAME": ""}})
        assert body["merge_fields"]["FNAME"] == ""
        assert app.log.since(1)[0].fields == {"merge_fields.FNAME": ("A", "")}

    def test_an_upsert_without_status_leaves_the_archived(self, call: Client) -> None:
        call.create("a@x.org")
        call("DELETE", f"{MEMBERS}/a@x.org")
        assert call("DELETE", f"{MEMBERS}/a@x.org")[0] == 405
        _, body = call("PUT", f"{MEMBERS}/a@x.org", {"status_if_new": "subscribed"})
        assert body["status"] == "archived"

    @pytest.mark.parametrize(
        ("batch", "revives", "back"),
        [
            pytest.param(False, False, True, id="one alone"),
            pytest.param(True, True, True, id="in a batch"),
            pytest.param(True, False, False, id="in a batch that refuses it"),
        ],
    )
    def test_an_archived_address_that_is_made_again_is_back_with_what_it_had(
        self, app: MailchimpApp, call: Client, batch: bool, revives: bool, back: bool
    ) -> None:
        app.configure(batch_revives=revives)
        app.load([{"email_address": "a@x.org", "merge_fields": {"FNAME": "A", "LNAME": "B"}, "tags": ["old"]}])
        app.human(kind="delete", id="a@x.org")
        body = {"email_address": "a@x.org", "status": "subscribed", "merge_fields": {"FNAME": "C"}, "tags": ["new"]}
        status, told = call("POST", LIST, {"members": [body]}) if batch else call("POST", MEMBERS, body)
        assert status == 200
        if batch:
            assert (told["total_created"], told["error_count"]) == (int(back), int(not back))
        _, member = call("GET", f"{MEMBERS}/a@x.org")
        names = {tag["name"] for tag in member["tags"]}
        assert (member["status"], member["merge_fields"]["FNAME"], member["merge_fields"]["LNAME"], names) == (
            ("subscribed", "C", "B", {"old", "new"}) if back else ("archived", "A", "B", {"old"})
        )

    def test_tags_are_changed_by_the_hash_alone(self, call: Client) -> None:
        made = call.create("a@x.org")
        body = {"tags": [{"name": "x", "status": "active"}]}
        paths = [f"{MEMBERS}/{made[key]}/tags" for key in ("contact_id", "email_address", "id")]
        assert [call("POST", path, body)[0] for path in paths] == [404, 404, 204]
        assert [call("GET", path)[0] for path in paths] == [200] * 3

    def test_tags_in_a_batch(self, call: Client) -> None:
        call.create("a@x.org")
        for tags, sync, expected in (
            (["x", "y"], False, ["x", "y"]),
            (["z"], False, ["x", "y", "z"]),
            (["y"], True, ["y"]),
        ):
            body = {"members": [{"email_address": "a@x.org", "tags": tags}], "update_existing": True, "sync_tags": sync}
            member = call("POST", LIST, body)[1]["updated_members"][0]
            assert [tag["name"] for tag in member["tags"]] == expected

    @pytest.mark.parametrize("tags", [50, 51])
    def test_a_member_is_shown_with_fifty_tags_and_its_tags_by_pages(
        self, app: MailchimpApp, call: Client, tags: int
    ) -> None:
        named = [f"t{number}" for number in range(tags)]
        app.load([{"email_address": "a@x.org", "tags": named}])
        _, member = call("GET", f"{MEMBERS}/a@x.org")
        assert ([tag["name"] for tag in member["tags"]], member["tags_count"]) == (named[:50], tags)
        assert call("GET", MEMBERS)[1]["members"] == [member]
        pages = [call("GET", f"{MEMBERS}/{member['id']}/tags?{query}")[1] for query in ("", "count=30&offset=30")]
        assert [page["total_items"] for page in pages] == [tags, tags]
        assert [[tag["name"] for tag in page["tags"]] for page in pages] == [named[:10], named[30:60]]
        assert len(app.records()[0]["tags"]) == tags

    def test_tags_may_leave_the_stamp(self, app: MailchimpApp, call: Client) -> None:
        made = call.create("a@x.org")
        app.configure(tags_touch=False)
        app.advance(60)
        call("POST", f"{MEMBERS}/{made['id']}/tags", {"tags": [{"name": "x", "status": "active"}]})
        assert call("GET", f"{MEMBERS}/a@x.org")[1]["last_changed"] == made["last_changed"]
        app.human(kind="update", id="a@x.org", fields={"tags": ["y"]})
        assert [tag["name"] for tag in call("GET", f"{MEMBERS}/a@x.org/tags")[1]["tags"]] == ["y"]

    def test_ten_connections_at_once(self) -> None:
        clock = VirtualClock(START, auto=False)
        app = MailchimpApp(clock=clock)
        app.fault("latency", seconds=1, times=10)
        call = Client(app)

        async def crowd() -> list[int]:
            tasks = [asyncio.create_task(call.send("GET", "/3.0/ping")) for _ in range(11)]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            refused = done.pop().result()
            assert "retry-after" not in refused.headers
            clock.advance(1)
            return sorted(answer.status_code for answer in await asyncio.gather(*tasks))

        assert asyncio.run(crowd()) == [200] * 10 + [429]

    def test_what_a_human_does(self, app: MailchimpApp, call: Client) -> None:
        app.human(kind="create", fields={"email_address": "a@x.org", "tags": ["t"]})
        app.human(kind="delete", id="a@x.org")
        assert app.human(kind="restore", id="a@x.org")["status"] == "subscribed"
        with pytest.raises(ValueError, match="no such edit"):
            app.human(kind="merge", id="a@x.org")
        app.human(kind="delete", id="a@x.org", permanent=True)
        assert call("GET", f"{MEMBERS}/a@x.org")[0] == 404
        assert {entry.who for entry in app.log.since()} == {"human"}
