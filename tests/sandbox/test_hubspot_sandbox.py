"""The look-alike HubSpot: shaped like the original (by the vendor's own SDK), and quirky like it."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    PublicMergeInput,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.properties import OptionInput, PropertyCreate

from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.kit import VirtualClock, in_process
from twoway.sandbox.server import Sandbox

START = 1_750_000_000.0


@pytest.fixture
def app() -> HubSpotApp:
    return HubSpotApp(clock=VirtualClock(START))


@pytest.fixture
def sdk(app: HubSpotApp) -> Iterator[HubSpot]:
    with Sandbox(hubspot=app) as sandbox:
        yield HubSpot(access_token="pat-sandbox", host=sandbox.urls["hubspot"])


class Client:
    """Calls the app in-process, without a socket; answers (status, body)."""

    def __init__(self, app: HubSpotApp) -> None:
        self.app = app
        self.headers = {"authorization": "Bearer pat-sandbox"}
        self.last = httpx.Response(0)

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(in_process(self.app, httpx.ReadError))
            async with httpx.AsyncClient(transport=transport, base_url="http://hubspot") as client:
                return await client.request(method, path, json=body, headers=self.headers)

        self.last = asyncio.run(send())
        return self.last.status_code, self.last.json() if self.last.content else None

    def create(self, **properties: str) -> str:
        status, body = self("POST", "/crm/v3/objects/contacts", {"properties": properties})
        assert status == 201, body
        return str(body["id"])


@pytest.fixture
def call(app: HubSpotApp) -> Client:
    app.configure(rate_limit=0, search_limit=0)
    return Client(app)


CONTACTS = "/crm/v3/objects/contacts"


class TestWithTheVendorsSdk:
    def test_create_read_update_archive(self, app: HubSpotApp, sdk: HubSpot) -> None:
        api = sdk.crm.contacts.basic_api
        made = api.create(SimplePublicObjectInputForCreate(properties={"email": "Ada@Example.com", "firstname": "Ada"}))
        assert made.properties["email"] == "ada@example.com"
        assert made.archived is False
        assert made.created_at.timestamp() == START
        changed = api.update(made.id, SimplePublicObjectInput(properties={"firstname": "", "lastname": "Byron"}))
        assert changed.properties["lastname"] == "Byron"
        read = api.get_by_id(
            made.id, properties=["firstname", "lastname", "city"], properties_with_history=["firstname"]
        )
        assert read.properties["firstname"] is None
        assert read.properties["lastname"] == "Byron"
        assert [entry.value for entry in read.properties_with_history["firstname"]] == ["", "Ada"]
        api.archive(made.id)
        with pytest.raises(ApiException) as refused:
            api.get_by_id(made.id)
        assert refused.value.status == 404
        assert api.get_by_id(made.id, archived=True).archived_at is not None
        assert [entry.kind for entry in app.log.since()] == ["create", "update", "delete"]
        assert [entry.status for entry in app.requests_since()] == [201, 200, 200, 204, 404, 200]

    def test_pages_of_a_listing(self, app: HubSpotApp, sdk: HubSpot) -> None:
        app.load({"properties": {"email": f"p{n}@example.com"}} for n in range(250))
        assert len(sdk.crm.contacts.get_all(properties=["email"])) == 250
        page = sdk.crm.contacts.basic_api.get_page(limit=100)
        assert len(page.results) == 100
        assert page.paging.next.after == page.results[-1].id[:-2] + "01"

    def test_batches(self, sdk: HubSpot) -> None:
        api = sdk.crm.contacts.batch_api
        inputs = [{"properties": {"email": f"b{n}@example.com"}} for n in range(3)]
        made = api.create(BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs))
        assert made.status == "COMPLETE"
        by_email = {each.properties["email"]: each.id for each in made.results}
        changed = api.update(
            BatchInputSimplePublicObjectBatchInput(
                inputs=[{"id": number, "properties": {"city": "Oslo"}} for number in by_email.values()]
            )
        )
        assert {each.properties["city"] for each in changed.results} == {"Oslo"}
        upserted = api.upsert(
            BatchInputSimplePublicObjectBatchInputUpsert(
                inputs=[
                    {"idProperty": "email", "id": email, "properties": {"city": "Bergen"}}
                    for email in ("b0@example.com", "new@example.com")
                ]
            )
        )
        assert {each.properties["email"]: each.new for each in upserted.results} == {
            "b0@example.com": False,
            "new@example.com": True,
        }
        read = api.read(
            BatchReadInputSimplePublicObjectId(
                inputs=[{"id": by_email["b0@example.com"]}, {"id": "999"}],
                properties=["city"],
                properties_with_history=[],
            )
        )
        assert [each.properties["city"] for each in read.results] == ["Bergen"]
        assert read.num_errors == 1
        assert read.errors[0].category == "OBJECT_NOT_FOUND"
        assert read.errors[0].context == {"ids": ["999"]}

    def test_search_and_merge(self, app: HubSpotApp, sdk: HubSpot) -> None:
        app.configure(index_lag=0)
        contacts = sdk.crm.contacts
        ids = [
            contacts.basic_api.create(SimplePublicObjectInputForCreate(properties={"email": f"s{n}@x.org"})).id
            for n in range(2)
        ]
        contacts.basic_api.merge(PublicMergeInput(primary_object_id=ids[0], object_id_to_merge=ids[1]))
        request = PublicObjectSearchRequest(
            filter_groups=[{"filters": [{"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": "x.org"}]}],
            sorts=[{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
            properties=["hs_additional_emails", "hs_merged_object_ids"],
            limit=200,
            after="0",
        )
        found = contacts.search_api.do_search(request)
        assert found.total == 1
        assert found.results[0].properties["hs_additional_emails"] == "s1@x.org"
        assert found.results[0].properties["hs_merged_object_ids"] == ids[1]
        assert contacts.basic_api.get_by_id(ids[1]).id == ids[0]

    def test_a_merge_that_makes_a_new_record(self, app: HubSpotApp, sdk: HubSpot) -> None:
        app.configure(index_lag=0, merges_anew=True)
        api = sdk.crm.contacts.basic_api
        ids = []
        for n, more in enumerate(({"city": "Bonn"}, {"city": "Rome", "phone": "1"})):
            properties = {"email": f"s{n}@x.org", **more}
            ids.append(api.create(SimplePublicObjectInputForCreate(properties=properties)).id)
            app.advance(5)
        made = api.merge(PublicMergeInput(primary_object_id=ids[0], object_id_to_merge=ids[1]))
        assert made.id not in ids
        wanted = ["email", "city", "phone", "hs_additional_emails", "hs_merged_object_ids"]
        found = [api.get_by_id(each, properties=wanted) for each in (*ids, made.id)]
        assert {each.id for each in found} == {made.id}
        assert {name: found[0].properties[name] for name in wanted} == {
            "email": "s0@x.org",
            "city": "Bonn",
            "phone": "1",
            "hs_additional_emails": "s1@x.org",
            "hs_merged_object_ids": ";".join(ids),
        }
        assert [each.id for each in api.get_page().results] == [made.id]
        assert [entry.kind for entry in app.log.since(2)] == ["merge"]

    def test_deals_were_always_merged_into_a_new_record(self, app: HubSpotApp) -> None:
        first, second = (app.human(kind="create", collection="deals", fields={"dealname": n})["id"] for n in "ab")
        left = app.human(kind="merge", collection="deals", id=first, into=second)
        assert left["id"] not in {first, second}
        assert left["properties"]["dealname"] == "b"

    def test_properties(self, sdk: HubSpot) -> None:
        api = sdk.crm.properties.core_api
        api.create(
            "contacts",
            PropertyCreate(
                name="twoway_op",
                label="Marker",
                type="enumeration",
                field_type="select",
                group_name="contactinformation",
                options=[OptionInput(label="One", value="1", hidden=False, display_order=0)],
            ),
        )
        by_name = {each.name: each for each in api.get_all("contacts").results}
        assert by_name["twoway_op"].options[0].value == "1"
        assert by_name["createdate"].modification_metadata.read_only_value is True
        assert by_name["email"].has_unique_value is True
        assert by_name["hs_full_name_or_email"].calculated is True

    def test_a_wrong_token_and_a_duplicate(self, app: HubSpotApp, sdk: HubSpot) -> None:
        api = sdk.crm.contacts.basic_api
        made = api.create(SimplePublicObjectInputForCreate(properties={"email": "a@example.com"}))
        with pytest.raises(ApiException) as refused:
            api.create(SimplePublicObjectInputForCreate(properties={"email": "A@example.com"}))
        assert refused.value.status == 409
        assert json.loads(refused.value.body)["message"] == f"Contact already exists. Existing ID: {made.id}"
        app.configure(token="another")
        with pytest.raises(ApiException) as refused:
            api.get_by_id(made.id)
        assert refused.value.status == 401
        assert json.loads(refused.value.body)["category"] == "INVALID_AUTHENTICATION"


class TestSearch:
    def query(self, call: Client, **body: Any) -> Any:
        status, answer = call("POST", f"{CONTACTS}/search", body)
        assert status == 200, answer
        return answer

    def test_the_index_lags(self, app: HubSpotApp, call: Client) -> None:
        number = call.create(email="a@example.com", city="Rome")
        assert self.query(call)["total"] == 0
        app.advance(30)
        call("PATCH", f"{CONTACTS}/{number}", {"properties": {"city": "Paris"}})
        assert self.query(call, properties=["city"])["results"][0]["properties"]["city"] == "Rome"
        app.advance(30)
        assert self.query(call, properties=["city"])["results"][0]["properties"]["city"] == "Paris"
        call("DELETE", f"{CONTACTS}/{number}")
        assert self.query(call)["total"] == 1
        app.advance(30)
        assert self.query(call)["total"] == 0

    def test_a_window_by_modified_time(self, app: HubSpotApp, call: Client) -> None:
        app.configure(index_lag=0)
        for n in range(5):
            call.create(email=f"p{n}@example.com")
            app.advance(1)
        since = str(int((START + 2) * 1000))
        answer = self.query(
            call,
            filterGroups=[{"filters": [{"propertyName": "lastmodifieddate", "operator": "GTE", "value": since}]}],
            sorts=[{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}],
            properties=["email"],
            limit=2,
        )
        assert answer["total"] == 3
        assert [each["properties"]["email"] for each in answer["results"]] == ["p4@example.com", "p3@example.com"]
        assert answer["paging"]["next"]["after"] == "2"

    def test_no_more_than_the_cap(self, app: HubSpotApp, call: Client) -> None:
        app.configure(search_cap=20)
        assert call("POST", f"{CONTACTS}/search", {"limit": 10, "after": "10"})[0] == 200
        assert call("POST", f"{CONTACTS}/search", {"limit": 10, "after": "11"})[0] == 400
        assert call("POST", f"{CONTACTS}/search", {"limit": 201})[0] == 400

    @pytest.mark.parametrize(
        ("operator", "more", "expected"),
        [
            ("EQ", {"value": "rome"}, {"a"}),
            ("NEQ", {"value": "rome"}, {"b"}),
            ("IN", {"values": ["rome", "paris"]}, {"a", "b"}),
            ("NOT_IN", {"values": ["rome"]}, {"b"}),
            ("HAS_PROPERTY", {}, {"a", "b"}),
            ("NOT_HAS_PROPERTY", {}, {"c"}),
            ("BETWEEN", {"value": "p", "highValue": "q"}, {"b"}),
            ("CONTAINS_TOKEN", {"value": "*om*"}, {"a"}),
        ],
    )
    def test_operators(
        self, app: HubSpotApp, call: Client, operator: str, more: dict[str, Any], expected: set[str]
    ) -> None:
        app.configure(index_lag=0)
        app.load(
            [
                {"properties": {"email": "a@x.org", "city": "Rome"}},
                {"properties": {"email": "b@x.org", "city": "Paris"}},
                {"properties": {"email": "c@x.org"}},
            ]
        )
        group = {"filters": [{"propertyName": "city", "operator": operator, **more}]}
        answer = self.query(call, filterGroups=[group], properties=["email"])
        assert {each["properties"]["email"][0] for each in answer["results"]} == expected


class TestRefusals:
    @pytest.mark.parametrize(
        ("properties", "code"),
        [
            ({"nonsense": "x"}, "PROPERTY_DOESNT_EXIST"),
            ({"lifecyclestage": "bogus"}, "INVALID_OPTION"),
            ({"createdate": "2020-01-01"}, "READ_ONLY_VALUE"),
            ({"email": "no address"}, "INVALID_EMAIL"),
            ({"city": 7}, "INVALID_JSON"),
        ],
    )
    def test_values(self, app: HubSpotApp, call: Client, properties: dict[str, Any], code: str) -> None:
        status, body = call("POST", CONTACTS, {"properties": properties})
        assert status == 400
        assert body["category"] == "VALIDATION_ERROR"
        assert body["errors"][0]["code"] == code
        assert app.log.since() == []

    def test_an_e_mail_that_another_contact_has(self, call: Client) -> None:
        owner = call.create(email="a@example.com", hs_additional_emails="second@example.com")
        other = call.create(email="b@example.com")
        status, body = call("PATCH", f"{CONTACTS}/{other}", {"properties": {"email": "a@example.com"}})
        assert status == 400
        assert body["message"].endswith(f"on {other}. {owner} already has that value.")
        status, body = call("POST", CONTACTS, {"properties": {"email": "second@example.com"}})
        assert status == 400
        assert body["message"].endswith(f"{owner} already has that value.")
        named = body["message"].split("} on ")[1].split(".")[0]
        assert call("GET", f"{CONTACTS}/{named}")[0] == 404

    def test_a_unique_property(self, call: Client) -> None:
        definition = {"name": "ext_id", "type": "string", "fieldType": "text", "groupName": "g", "hasUniqueValue": True}
        assert call("POST", "/crm/v3/properties/contacts", definition)[0] == 201
        assert call("POST", "/crm/v3/properties/contacts", definition)[0] == 409
        number = call.create(ext_id="e1")
        assert call("GET", f"{CONTACTS}/e1?idProperty=ext_id")[1]["id"] == number
        status, body = call("POST", CONTACTS, {"properties": {"ext_id": "e1"}})
        assert (status, body["errors"][0]["code"]) == (400, "CONFLICTING_UNIQUE_VALUE")

    def test_an_archived_contact_frees_its_e_mail(self, app: HubSpotApp, call: Client) -> None:
        old = call.create(email="a@example.com")
        call("DELETE", f"{CONTACTS}/{old}")
        assert call.create(email="a@example.com") != old
        with pytest.raises(ValueError, match=r"a@example\.com"):
            app.human(kind="restore", id=old)

    def test_a_batch_is_all_or_nothing_unless_traced(self, app: HubSpotApp, call: Client) -> None:
        call.create(email="taken@example.com")
        inputs = [{"properties": {"email": email}} for email in ("new@example.com", "taken@example.com")]
        assert call("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})[0] == 409
        assert len(app.log.since()) == 1
        for n, each in enumerate(inputs):
            each["objectWriteTraceId"] = f"t{n}"  # type: ignore[assignment]
        status, body = call("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})
        assert status == 207
        assert [each["objectWriteTraceId"] for each in body["results"]] == ["t0"]
        assert body["errors"][0]["context"] == {"objectWriteTraceId": ["t1"]}
        assert body["errors"][0]["category"] == "CONFLICT"

    def test_two_inputs_that_want_the_same_e_mail(self, call: Client) -> None:
        ids = [call.create(email=f"p{n}@example.com") for n in range(2)]
        inputs = [{"id": number, "properties": {"email": "same@example.com"}} for number in ids]
        status, body = call("POST", f"{CONTACTS}/batch/update", {"inputs": inputs})
        assert (status, [each["id"] for each in body["results"]], body["numErrors"]) == (207, ids[:1], 1)

    def test_a_batch_has_a_hundred_inputs(self, call: Client) -> None:
        assert call("POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": "1"}] * 101})[0] == 400


class TestQuirks:
    def test_the_stage_never_goes_back_by_api(self, app: HubSpotApp, call: Client) -> None:
        number = call.create(email="a@example.com", lifecyclestage="customer")
        status, body = call("PATCH", f"{CONTACTS}/{number}", {"properties": {"lifecyclestage": "lead"}})
        assert (status, body["properties"]["lifecyclestage"]) == (200, "customer")
        app.human(kind="update", id=number, fields={"lifecyclestage": "lead"})
        assert (
            call("GET", f"{CONTACTS}/{number}?properties=lifecyclestage")[1]["properties"]["lifecyclestage"] == "lead"
        )

    def test_a_promoted_secondary_e_mail(self, call: Client) -> None:
        number = call.create(email="a@example.com", hs_additional_emails="b@example.com;c@example.com")
        call("PATCH", f"{CONTACTS}/{number}", {"properties": {"email": "b@example.com"}})
        properties = call("GET", f"{CONTACTS}/{number}?properties=email,hs_additional_emails")[1]["properties"]
        assert (properties["email"], properties["hs_additional_emails"]) == ("b@example.com", "c@example.com")
        call.create(email="a@example.com")

    def test_the_archived_listing(self, app: HubSpotApp, call: Client) -> None:
        kept, gone = call.create(email="a@example.com"), call.create(email="b@example.com")
        app.human(kind="delete", id=gone)
        assert [each["id"] for each in call("GET", CONTACTS)[1]["results"]] == [kept]
        assert [each["id"] for each in call("GET", f"{CONTACTS}?archived=true")[1]["results"]] == [gone]
        app.human(kind="restore", id=gone)
        assert [each["id"] for each in call("GET", CONTACTS)[1]["results"]] == [kept, gone]
        assert [entry.who for entry in app.log.since(2)] == ["human", "human"]

    def test_gdpr_delete_leaves_nothing(self, app: HubSpotApp, call: Client) -> None:
        number = call.create(email="a@example.com")
        assert call("POST", f"{CONTACTS}/gdpr-delete", {"idProperty": "email", "objectId": "a@example.com"})[0] == 204
        assert call("GET", f"{CONTACTS}/{number}?archived=true")[0] == 404
        assert app.records("contacts") == []

    def test_a_stale_read(self, app: HubSpotApp, call: Client) -> None:
        app.configure(read_lag=10)
        number = call.create(email="a@example.com")
        assert call("GET", f"{CONTACTS}/{number}")[0] == 404
        app.advance(10)
        assert call("GET", f"{CONTACTS}/{number}")[0] == 200

    def test_companies_and_deals_are_alike(self, call: Client) -> None:
        _, company = call("POST", "/crm/v3/objects/companies", {"properties": {"name": "Acme", "annualrevenue": "5"}})
        assert "hs_lastmodifieddate" in company["properties"]
        _, deal = call("POST", "/crm/v3/objects/deals", {"properties": {"dealname": "D", "closedate": "1750000000000"}})
        assert deal["properties"]["closedate"] == "2025-06-15T15:06:40.000Z"
        assert call("GET", "/crm/v3/objects/unicorns")[0] == 400


class TestLimits:
    def test_ten_seconds(self, app: HubSpotApp, call: Client) -> None:
        app.configure(rate_limit=2)
        call("GET", CONTACTS)
        assert call.last.headers["x-hubspot-ratelimit-remaining"] == "1"
        call("GET", CONTACTS)
        status, body = call("GET", CONTACTS)
        assert (status, body["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
        app.advance(10)
        assert call("GET", CONTACTS)[0] == 200

    def test_a_day(self, app: HubSpotApp, call: Client) -> None:
        app.configure(daily_limit=1)
        call("GET", CONTACTS)
        status, body = call("GET", CONTACTS)
        assert (status, body["policyName"]) == (429, "DAILY")
        app.advance(86_400)
        assert call("GET", CONTACTS)[0] == 200

    def test_searches(self, app: HubSpotApp, call: Client) -> None:
        app.configure(search_limit=1)
        assert call("POST", f"{CONTACTS}/search", {})[0] == 200
        assert "x-hubspot-ratelimit-max" not in call.last.headers
        assert call("POST", f"{CONTACTS}/search", {})[1]["policyName"] == "SECONDLY"

    def test_a_batch_that_dies_half_way(self, app: HubSpotApp, call: Client) -> None:
        app.fault("die_midway", after_inputs=2)
        inputs = [{"properties": {"email": f"p{n}@example.com"}} for n in range(5)]
        with pytest.raises(httpx.ReadError):
            call("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})
        assert len(app.log.since()) == 2
