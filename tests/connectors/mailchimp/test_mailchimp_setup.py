"""Mailchimp: the configuration, the schema, and the pure parts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.mailchimp.audience import Open, define, member, new
from tests.connectors.vendor_account import Driven
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sdk import AccountRefused, Connector, FieldType, Outcome, TellUser
from twoway_connectors.mailchimp.codec import Selection, encode, normal, normal_tags, subscriber_hash

# Setting up


def test_it_keeps_the_contract(mail: Driven[MailchimpApp]) -> None:
    assert isinstance(mail.connector, Connector)


def test_check_names_the_account_by_one_request_where_no_audience_is_named(opened: Open) -> None:
    mail = opened(options={})
    assert mail.run(mail.connector.check()).name == "Sandbox"
    assert mail.asked == 1


def test_an_address_that_is_none_is_told(opened: Open) -> None:
    with pytest.raises(TellUser, match="base_url"):
        opened(base_url=443)


@pytest.mark.parametrize(
    ("settings", "noted"),
    [
        pytest.param({}, None, id="listings are whole"),
        pytest.param(
            {"takes_status_lists": False}, "asked for all statuses by name", id="only the first status counts"
        ),
        pytest.param({"list_lag": 60.0}, "complete listings may lack some", id="a listing lacks most"),
    ],
)
def test_check_tells_of_listings_that_are_not_whole(
    opened: Open, settings: dict[str, float], noted: str | None
) -> None:
    """No document says that a listing takes several statuses: what is left out would be missed in silence."""
    mail = opened(**settings)
    for number in range(400):
        status = "unsubscribed" if number % 2 else "subscribed"
        mail.app.human(kind="create", fields=member(f"m{number}", status=status))
    for number in range(60):
        mail.app.human(kind="delete", id=f"m{number}@mail.test")
    notes = mail.run(mail.connector.check()).notes
    if noted is None:
        assert notes == []
    else:
        assert any(noted in note for note in notes), notes


def test_a_wrong_key_pauses_the_account(opened: Open) -> None:
    mail = opened(key="wrong-us1")
    with pytest.raises(AccountRefused) as refused:
        mail.run(mail.connector.check())
    assert "wrong-us1" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({}, "does not say which audience", id="no option"),
        pytest.param({"audience": "Custommers"}, "no audience named 'Custommers'", id="misspelt"),
        pytest.param({"audience": "Twins"}, "2 audiences are named 'Twins'", id="ambiguous"),
    ],
)
def test_an_audience_that_cannot_be_told_lists_those_that_can(opened: Open, options: dict[str, str], said: str) -> None:
    mail = opened(options=options)
    mail.app.add_list("t1", "Twins")
    mail.app.add_list("t2", "Twins")
    with pytest.raises(TellUser) as told:
        mail.run(mail.connector.describe())
    assert said in str(told.value)
    assert f"'Customers' ({LIST_ID})" in str(told.value)


@pytest.mark.parametrize("audience", ["Customers", "customers", LIST_ID])
def test_an_audience_goes_by_name_or_id_and_is_asked_for_once(opened: Open, audience: str) -> None:
    mail = opened(options={"audience": audience})
    mail.run(mail.connector.describe())
    mail.run(mail.connector.describe())
    assert [entry.path for entry in mail.requests()].count("/3.0/lists") == 1


@pytest.mark.parametrize(
    ("case", "error"),
    [
        pytest.param({"collection": "contacts"}, TellUser, id="another collection"),
        pytest.param({"key": "", "base_url": None}, AccountRefused, id="no key"),
        pytest.param({"key": "0123456789", "base_url": None}, TellUser, id="a key without its data centre"),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_request(
    opened: Open, case: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        opened(**case)
    assert "0123456789" not in str(refused.value)


def test_the_collections_name_the_audiences(mail: Driven[MailchimpApp]) -> None:
    mail.app.add_list("x", "Partners")
    (found,) = mail.run(mail.connector.collections())
    assert found.name == "members"
    assert found.options == {"audience": ["Customers", "Partners"]}


def test_describe_tells_what_the_app_takes(mail: Driven[MailchimpApp]) -> None:
    """Each choice that is described is accepted, and one that is not is refused."""
    define(mail, tag="STAGE", type="dropdown", options={"choices": ["Lead", "Customer"]}, required=False)
    define(mail, tag="SINCE", type="date")
    described = {info.name: info for info in mail.run(mail.connector.describe())}
    assert list(described) == sorted(described)
    stage = described["merge_fields.STAGE"]
    assert (stage.type, stage.choices) == (FieldType.CHOICE, ("Lead", "Customer"))
    assert described["merge_fields.SINCE"].type is FieldType.DATE
    assert described["merge_fields.ADDRESS"].type is FieldType.JSON
    assert described["email_address"].unique
    assert not described["web_id"].on_create
    taken = mail.apply(*(new(f"n{n}", **{"merge_fields.STAGE": c}) for n, c in enumerate(stage.choices or ())))
    refused = mail.apply(new("other", **{"merge_fields.STAGE": "Nobody"}))
    assert [receipt.outcome for receipt in [*taken, *refused]] == [Outcome.DONE, Outcome.DONE, Outcome.REFUSED]
    assert refused[0].field == "merge_fields.STAGE"


# Pure parts

texts = st.text(max_size=20)
values = st.dictionaries(
    st.sampled_from(["merge_fields.A", "merge_fields.B", "language", "email_address"]),
    st.one_of(st.none(), texts, st.integers(-5, 5)),
)


@given(values)
def test_what_is_encoded_is_decoded_again_in_its_normal_form(given_values: dict[str, Any]) -> None:
    member = {"contact_id": "1", "last_changed": "2026-01-01T00:00:00+00:00", **encode(given_values)}
    expected = {name: None if value == "" else value for name, value in normal(given_values).items()}
    assert (
        Selection(["email_address", "language", "merge_fields.A", "merge_fields.B"]).record(member).values == expected
    )


@given(values, st.lists(texts))
def test_a_normal_form_is_its_own_normal_form(given_values: dict[str, Any], tags: list[str]) -> None:
    once = normal({**given_values, "tags": tags})
    assert normal(once) == once
    assert normal_tags(tags) == once["tags"]


def test_a_hash_is_that_of_the_address_in_lower_case() -> None:
    # The example of Mailchimp's own guide to managing subscribers.
    assert subscriber_hash("Urist.McVankab@freddiesjokes.com") == "62eeb292278cc15f5817cb78f7790b08"
