"""The account, its schema, and calls that claim to come from it."""

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from tests.connectors.hubspot.bench import START, Bench
from twoway.sdk import (
    MARKER,
    AccountRefused,
    Connector,
    ConnectorFactory,
    Consistency,
    FieldType,
    HookRefused,
    HookRequest,
    QuotaSpent,
    TellUser,
    find_connector,
)
from twoway_connectors.hubspot import HubSpot


class TestAccount:
    def test_it_is_found_and_is_the_contract(self, bench: Bench) -> None:
        factory: ConnectorFactory = find_connector("hubspot")
        assert factory is HubSpot
        assert isinstance(bench.connector(), Connector)

    def test_check_costs_one_request(self, bench: Bench) -> None:
        assert bench.run(lambda hubspot: hubspot.check()).name == "HubSpot account 4242"
        assert len(bench.requests()) == 1

    def test_a_wrong_token_says_where_to_find_the_right_one(self, bench: Bench) -> None:
        bench.token = "pat-wrong-one"
        with pytest.raises(AccountRefused, match="Private Apps") as caught:
            bench.run(lambda hubspot: hubspot.check())
        assert "pat-wrong-one" not in str(caught.value)

    def test_no_token_is_said(self, bench: Bench) -> None:
        bench.token = ""
        with pytest.raises(AccountRefused, match="no token"):
            bench.connector()

    @pytest.mark.parametrize("rate", ["8,5", "fast", -1, 0, float("nan"), float("inf"), [8]])
    def test_a_rate_that_is_none_is_told(self, bench: Bench, rate: Any) -> None:
        bench.settings["rate"] = rate
        with pytest.raises(TellUser, match="rate"):
            bench.connector()

    def test_an_unknown_collection_names_the_valid_ones(self, bench: Bench) -> None:
        bench.collection = "people"
        with pytest.raises(TellUser, match="companies, contacts, deals"):
            bench.connector()

    def test_collections(self, bench: Bench) -> None:
        found = bench.run(lambda hubspot: hubspot.collections())
        assert [each.name for each in found] == ["companies", "contacts", "deals"]

    def test_another_app_at_the_address(self, bench: Bench) -> None:
        bench.app.fault("html", times=0)
        with pytest.raises(TellUser, match=r"a page of HTML.*base_url"):
            bench.run(lambda hubspot: hubspot.check())

    def test_a_spent_day_is_not_retried(self) -> None:
        bench = Bench(daily_limit=1)
        bench.run(lambda hubspot: hubspot.check())
        with pytest.raises(QuotaSpent, match="midnight"):
            bench.run(lambda hubspot: hubspot.check())
        assert len(bench.requests()) == 2

    def test_a_missing_scope_is_named(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        body = {
            "category": "MISSING_SCOPES",
            "errors": [{"context": {"requiredGranularScopes": ["crm.objects.contacts.read"]}}],
        }
        monkeypatch.setattr(
            httpx,
            "ASGITransport",
            lambda _app: httpx.MockTransport(lambda _request: httpx.Response(403, json=body)),
        )
        with pytest.raises(AccountRefused, match=r"crm\.objects\.contacts\.read"):
            bench.run(lambda hubspot: hubspot.snapshot(None))

    def test_a_rate_limit_is_waited_out(self, bench: Bench) -> None:
        bench.app.fault("rate_limited", times=2, retry_after=3)
        began = bench.clock.now()
        bench.run(lambda hubspot: hubspot.check())
        assert bench.clock.now() - began >= 6

    def test_a_slow_limit_is_kept(self) -> None:
        bench = Bench(rate_limit=20)
        bench.load(3000)
        assert len(bench.snapshot()) == 3000
        refused = [each for each in bench.app.requests.entries if each.status == 429]
        assert refused == []

    def test_the_marker_property_is_checked(self, bench: Bench) -> None:
        bench.settings["marker_property"] = "twoway_operation"
        with pytest.raises(TellUser, match="twoway_operation"):
            bench.run(lambda hubspot: hubspot.check())
        bench.define("twoway_operation", "string", "text", unique=True)
        bench.run(lambda hubspot: hubspot.check())
        assert MARKER in bench.connector().capabilities.find_fields

    def test_each_object_type_declares_what_it_can(self, bench: Bench) -> None:
        contacts = bench.connector().capabilities
        assert contacts.find is Consistency.CONSISTENT
        assert contacts.find_fields == contacts.unique == {"email"}
        bench.collection = "companies"
        companies = bench.connector().capabilities
        assert (companies.find, companies.unique) == (Consistency.LAGGING, frozenset())
        assert not contacts.conditional


class TestDescribe:
    def test_properties_have_their_types(self, bench: Bench) -> None:
        bench.define("topics", "enumeration", "checkbox", "a", "b")
        bench.define("member_no", "string", "text", unique=True)
        fields = {each.name: each for each in bench.run(lambda hubspot: hubspot.describe())}
        assert list(fields) == sorted(fields)
        types = {name: fields[name].type for name in ("email", "phone", "topics", "lifecyclestage", "hs_email_optout")}
        assert types == {
            "email": FieldType.EMAIL,
            "phone": FieldType.PHONE,
            "topics": FieldType.SET,
            "lifecyclestage": FieldType.CHOICE,
            "hs_email_optout": FieldType.BOOLEAN,
        }
        assert fields["topics"].choices == ("a", "b")
        assert fields["firstname"].choices is None
        assert fields["firstname"].on_update
        assert not fields["createdate"].on_update
        assert not fields["hs_full_name_or_email"].on_create
        assert (fields["email"].unique, fields["member_no"].unique, fields["phone"].unique) == (True, True, False)


class TestHooks:
    URL = "https://sync.example.test/hooks/crm?x=%2Fa"

    def request(self, events: Any, *, age: int = 0, secret: str = "hook-secret", url: str = URL) -> HookRequest:
        body = orjson.dumps(events)
        stamp = str(int(START * 1000) - age)
        signed = f"POST{self.URL.replace('%2F', '/')}".encode() + body + stamp.encode()
        proof = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        headers = {"x-hubspot-request-timestamp": stamp, "x-hubspot-signature-v3": proof}
        return HookRequest("POST", url, headers, body)

    def test_ids_of_this_object_type_are_named_once(self, bench: Bench) -> None:
        events = [
            {"subscriptionType": "contact.propertyChange", "objectId": 101},
            {"subscriptionType": "contact.deletion", "objectId": 101},
            {"subscriptionType": "company.creation", "objectId": 7},
            {"subscriptionType": "object.creation", "objectTypeId": "0-1", "objectId": 102},
            {"subscriptionType": "object.creation", "objectTypeId": "0-2", "objectId": 8},
            {"subscriptionType": "contact.merge", "objectId": 103, "primaryObjectId": 103, "mergedObjectIds": [104]},
        ]
        assert bench.connector().parse_hook(self.request(events)) == ["101", "102", "103", "104"]

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("signed with another secret", {"secret": "other"}),
            ("six minutes old", {"age": 360_000}),
            ("six minutes ahead", {"age": -360_000}),
            ("sent to another address", {"url": "https://sync.example.test/hooks/other"}),
        ],
    )
    def test_a_call_that_is_not_proved_genuine_is_refused(
        self, bench: Bench, what: str, change: dict[str, Any]
    ) -> None:
        with pytest.raises(HookRefused):
            pytest.fail(f"{what}: {bench.connector().parse_hook(self.request([], **change))}")

    @pytest.mark.parametrize(
        ("header", "value"),
        [
            ("x-hubspot-signature-v3", "\xe9"),
            ("x-hubspot-request-timestamp", "\xb2"),
            ("x-hubspot-request-timestamp", "1" * 5000),
        ],
        ids=["a signature that is no ASCII", "a time that is no figure", "a time of thousands of figures"],
    )
    def test_a_call_with_strange_headers_is_refused(self, bench: Bench, header: str, value: str) -> None:
        well = self.request([])
        with pytest.raises(HookRefused):
            bench.connector().parse_hook(replace(well, headers={**well.headers, header: value}))

    def test_a_genuine_call_that_is_no_list_is_refused(self, bench: Bench) -> None:
        with pytest.raises(HookRefused, match="list of events"):
            bench.connector().parse_hook(self.request({"objectId": 1}))
