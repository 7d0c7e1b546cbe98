"""Zendesk: the configuration, the schema, webhooks, and the pure parts."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.vendor_account import Driven
from tests.connectors.zendesk.people import START, Open, new
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import AccountRefused, Connector, FieldType, HookRefused, HookRequest, Outcome, TellUser
from twoway_connectors.zendesk.catalog import COLLECTIONS, TICKETS
from twoway_connectors.zendesk.codec import Codec

# Setting up


@pytest.mark.parametrize("collection", sorted(COLLECTIONS))
def test_it_keeps_the_contract(opened: Open, collection: str) -> None:
    desk = opened(collection=collection, fields=frozenset())
    assert isinstance(desk.connector, Connector)
    assert collection in {info.name for info in desk.run(desk.connector.collections())}


def test_check_names_the_login_by_one_request(desk: Driven[ZendeskApp]) -> None:
    assert desk.run(desk.connector.check()).name == "Sandbox Admin (admin@desk.example)"
    assert desk.asked == 1


def test_check_warns_of_a_login_that_may_not_export(opened: Open) -> None:
    desk = opened(role="agent")
    assert "administrator" in desk.run(desk.connector.check()).notes[0]


def test_a_wrong_token_pauses_the_account(opened: Open) -> None:
    desk = opened(secrets={"api_token": "wrong-token"})
    with pytest.raises(AccountRefused) as refused:
        desk.run(desk.connector.check())
    assert "wrong-token" not in str(refused.value)


def test_an_oauth_token_will_do(opened: Open) -> None:
    desk = opened(secrets={"oauth_token": "zendesk-bearer"})
    assert desk.run(desk.connector.check()).name


@pytest.mark.parametrize(
    ("case", "error", "said"),
    [
        pytest.param({"collection": "people"}, TellUser, "organizations, tickets, users", id="another collection"),
        pytest.param({"secrets": {}}, AccountRefused, "api_token", id="no login"),
        pytest.param({"settings": {"plan": "gold"}}, TellUser, "team, growth", id="no such plan"),
        pytest.param({"settings": {"marker": "notes"}}, TellUser, "external_id", id="no such marker"),
        pytest.param({"settings": {"bulk": "maybe"}}, TellUser, "true, false", id="no truth value"),
        pytest.param({"settings": {"base_url": None}}, TellUser, "subdomain", id="no subdomain"),
        pytest.param(
            {"settings": {"marker": "external_id"}, "fields": frozenset({"external_id"})},
            TellUser,
            "at once",
            id="a marker that is mapped",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_is_valid(
    opened: Open, case: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as refused:
        opened(**case)
    assert said in str(refused.value)


def test_describe_tells_what_the_app_takes(desk: Driven[ZendeskApp]) -> None:
    """Each choice that is described is accepted, and one that is not is refused."""
    off = {"key": "old", "title": "Old", "type": "text", "active": False}
    desk.app.load([off], collection="user_fields")
    described = {info.name: info for info in desk.run(desk.connector.describe())}
    assert list(described) == sorted(described)
    assert "user_fields.old" not in described
    tier = described["user_fields.tier"]
    assert (tier.type, tier.choices) == (FieldType.CHOICE, ("gold", "iron"))
    assert described["user_fields.since"].type is FieldType.DATE
    assert described["email"].unique
    assert not described["updated_at"].on_update
    choices = tier.choices or ()
    taken = desk.apply(*(new(f"n{n}", **{"user_fields.tier": choice}) for n, choice in enumerate(choices)))
    (refused,) = desk.apply(new("other", **{"user_fields.tier": "lead"}))
    assert [receipt.outcome for receipt in taken] == [Outcome.DONE, Outcome.DONE]
    assert (refused.outcome, refused.field) == (Outcome.REFUSED, "user_fields.tier")


def test_describe_reads_every_page(desk: Driven[ZendeskApp]) -> None:
    more = [{"key": f"k{number}", "title": f"K{number}", "type": "text"} for number in range(150)]
    desk.app.load(more, collection="user_fields")
    names = {info.name for info in desk.run(desk.connector.describe())}
    assert {f"user_fields.k{number}" for number in range(150)} <= names


# Webhooks


def hook(body: bytes, *, stamp: str = iso_seconds(START), secret: str = "hush", **headers: str) -> HookRequest:
    signed = base64.b64encode(hmac.digest(secret.encode(), stamp.encode() + body, hashlib.sha256)).decode()
    named = {"x-zendesk-webhook-signature": signed, "x-zendesk-webhook-signature-timestamp": stamp}
    return HookRequest("POST", "https://host/hook", {**named, **headers}, body)


EVENT = json.dumps({"subject": "zen:user:123", "type": "zen:event-type:user.name_changed"}).encode()


def test_a_signed_event_names_its_record(desk: Driven[ZendeskApp]) -> None:
    assert desk.connector.parse_hook(hook(EVENT)) == ["123"]
    other = json.dumps({"subject": "zen:ticket:5"}).encode()
    assert desk.connector.parse_hook(hook(other)) == []


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(hook(EVENT, secret="other"), id="another secret"),
        pytest.param(hook(EVENT, stamp=iso_seconds(START - 301)), id="too old"),
        pytest.param(hook(EVENT, stamp=iso_seconds(START + 301)), id="from the future"),
        pytest.param(hook(EVENT, stamp="yesterday"), id="no time"),
        pytest.param(hook(b"no json"), id="no event"),
        pytest.param(HookRequest("POST", "https://host/hook", {}, EVENT), id="not signed"),
        pytest.param(hook(EVENT, **{"x-zendesk-webhook-signature": "\xe9"}), id="a signature that is no ASCII"),
        pytest.param(hook(EVENT, stamp="\xe9"), id="a time that is no ASCII"),
    ],
)
def test_a_call_that_is_not_proved_is_refused(desk: Driven[ZendeskApp], request_: HookRequest) -> None:
    with pytest.raises(HookRefused):
        desk.connector.parse_hook(request_)


# Pure parts

texts = st.text(max_size=20)
values = st.dictionaries(
    st.sampled_from(["name", "notes", "alias", "external_id", "custom_fields.7", "custom_fields.8"]),
    st.one_of(st.none(), texts),
)


@given(values, st.lists(texts))
def test_a_normal_form_is_its_own_normal_form(given_values: dict[str, Any], tags: list[str]) -> None:
    codec = Codec(TICKETS, [])
    once = codec.normal({**given_values, "tags": tags})
    assert codec.normal(once) == once


@given(values, st.lists(texts))
def test_what_is_encoded_is_decoded_again_in_its_normal_form(given_values: dict[str, Any], tags: list[str]) -> None:
    codec = Codec(TICKETS, ["name", "notes", "external_id", "tags", "custom_fields.7", "custom_fields.8"])
    sent = {
        **{name: given_values[name] for name in given_values if name not in {"name", "notes", "alias"}},
        "tags": tags,
    }
    stamps = {"id": 1, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    expected = {name: None if value == "" else value for name, value in codec.normal(sent).items()}
    assert codec.record({**stamps, **codec.encode(sent)}).values == expected
