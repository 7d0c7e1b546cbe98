"""The connector for Mailchimp, over the look-alike app."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.vendor_account import Driven, create, driven, gone_of, records_of, remove, update
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp
from twoway.sandbox.mailchimp_fields import custom
from twoway.sdk import (
    Absence,
    AccountRefused,
    Connector,
    FieldType,
    HookRefused,
    HookRequest,
    Kind,
    Outcome,
    Presence,
    Record,
    SnapshotNeeded,
    TellUser,
    TryLater,
    Write,
)
from twoway_connectors.mailchimp import Mailchimp
from twoway_connectors.mailchimp.codec import Selection, encode, normal, normal_tags, subscriber_hash

START = 1_750_000_000.0
FIELDS = frozenset({"email_address", "status", "merge_fields.FNAME", "tags"})
Open = Callable[..., Driven[MailchimpApp]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a connector; keyword arguments go to the app's settings, but for `app`, `fields`, `audience`, `secrets`."""
    with ExitStack() as stack:

        def open_one(
            *,
            app: MailchimpApp | None = None,
            fields: frozenset[str] = FIELDS,
            options: dict[str, Any] | None = None,
            key: str = "sandbox-us1",
            base_url: str | None = "http://localhost/3.0",
            collection: str = "members",
            **settings: Any,
        ) -> Driven[MailchimpApp]:
            clock = VirtualClock(START) if app is None else app.clock
            assert isinstance(clock, VirtualClock)
            return stack.enter_context(
                driven(
                    Mailchimp(),
                    app or MailchimpApp(clock=clock, settings=settings),
                    clock,
                    collection=collection,
                    settings={"base_url": base_url} if base_url else {},
                    secrets={"api_key": key},
                    options={"audience": "Customers"} if options is None else options,
                    fields=fields,
                )
            )

        yield open_one


@pytest.fixture
def mail(opened: Open) -> Driven[MailchimpApp]:
    return opened()


def member(name: str, **more: Any) -> dict[str, Any]:
    return {"email_address": f"{name}@mail.test", "merge_fields": {"FNAME": name}, **more}


def loaded(mail: Driven[MailchimpApp], count: int, **more: Any) -> None:
    mail.app.load([member(f"m{number:05}", **more) for number in range(count)])


def new(name: str, **changed: Any) -> Write:
    return create(f"op-{name}", **{"email_address": f"{name}@mail.test", "status": "subscribed", **changed})


def ids(mail: Driven[MailchimpApp]) -> dict[str, str]:
    """Contact ids by the name before the @."""
    shown = mail.app.records(LIST_ID)
    return {entry["email_address"].partition("@")[0]: entry["contact_id"] for entry in shown}


# Setting up


def test_it_keeps_the_contract(mail: Driven[MailchimpApp]) -> None:
    assert isinstance(mail.connector, Connector)


def test_check_names_the_account_by_one_request(mail: Driven[MailchimpApp]) -> None:
    assert mail.run(mail.connector.check()).name == "Sandbox"
    assert mail.asked == 1


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


def define(mail: Driven[MailchimpApp], **field: Any) -> None:
    audience = mail.app.audiences[LIST_ID]
    definition = custom(len(audience.fields) + 1, {"name": field["tag"].title(), **field})
    audience.fields[definition.tag] = definition


# Reading


def test_values_are_decoded_by_type(opened: Open) -> None:
    mail = opened(fields=frozenset())
    define(mail, tag="AGE", type="number")
    define(mail, tag="SINCE", type="date")
    address = {"addr1": "1 High St", "addr2": "", "city": "Bonn", "state": "NW", "zip": "53111", "country": "DE"}
    mail.app.load([member("ann", merge_fields={"AGE": 7, "SINCE": "2026-01-31", "ADDRESS": address}, tags=["b", "a"])])
    (record,) = records_of(mail.snapshot()).values()
    expected = {
        "email_address": "ann@mail.test",
        "status": "subscribed",
        "merge_fields.AGE": 7,
        "merge_fields.SINCE": "2026-01-31",
        "merge_fields.ADDRESS": address,
        "merge_fields.FNAME": None,
        "tags": ["a", "b"],
        "vip": False,
        "language": None,
    }
    assert {name: record.values[name] for name in expected} == expected


def test_only_what_the_mapping_reads_is_asked_for(opened: Open) -> None:
    sizes = []
    for fields in (frozenset[str](), frozenset({"email_address", "merge_fields.ADDRESS.city"})):
        mail = opened(fields=fields)
        mail.app.load(member(f"m{number}", merge_fields={"LNAME": "x" * 250}) for number in range(10))
        (record, *_) = records_of(mail.snapshot()).values()
        sizes.append(mail.requests()[-1].bytes)
        if fields:
            assert record.values.keys() == {"email_address", "merge_fields.ADDRESS"}
    assert sizes[1] < sizes[0] / 2, "the name is not asked for"


def test_a_snapshot_is_complete_and_leaves_the_archived_out(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 2300, last_changed="2025-01-01T00:00:00Z")
    mail.app.load([member("late", last_changed="2025-02-01T00:00:00Z")])
    mail.app.human(kind="delete", id="m00007@mail.test")
    pages = mail.snapshot()
    assert len(records_of(pages)) == 2300
    assert pages[0].total == 2300
    assert "m00007@mail.test" not in {record.values["email_address"] for record in records_of(pages).values()}


def test_a_snapshot_loses_nobody_while_members_come_and_go(mail: Driven[MailchimpApp]) -> None:
    """Between pages, members of the pages already read are archived and edited: offsets would shift by them."""
    mail.app.load(
        member(f"m{number:05}", last_changed=iso_seconds(START - 90_000 + number // 3)) for number in range(2500)
    )
    seen: dict[str, Record] = {}
    cursor: str | None = None
    page_number, last = 0, False
    while not last:
        page = mail.run(mail.connector.snapshot(cursor))
        seen |= {record.id: record for record in page.records}
        cursor, last = page.cursor, page.last
        for number in range(page_number * 200, page_number * 200 + 200):
            kind = "delete" if number % 2 else "update"
            fields = {"merge_fields": {"FNAME": "moved"}}
            mail.app.human(kind=kind, id=f"m{number:05}@mail.test", **({} if number % 2 else {"fields": fields}))
        page_number += 1
    live = {entry["contact_id"] for entry in mail.app.records(LIST_ID) if entry["status"] != "archived"}
    assert live <= seen.keys()


def test_nothing_changed_costs_one_request(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 300)
    (start,) = mail.follow(None)
    assert not start.records
    mail.clock.advance(120)
    before = mail.asked
    pages = mail.follow(start.cursor)
    assert mail.asked == before + 1
    assert pages[-1].cursor == start.cursor


def test_changes_tell_edits_archivings_and_new_members(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 5)
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    mail.app.human(kind="update", id="m00001@mail.test", fields={"merge_fields": {"FNAME": "Ann"}})
    mail.app.human(kind="update", id="m00002@mail.test", fields={"status": "unsubscribed"})
    mail.app.human(kind="update", id="m00002@mail.test", fields={"tags": ["vip"]})
    mail.app.human(kind="delete", id="m00003@mail.test")
    mail.app.human(kind="create", fields=member("new"))
    pages = mail.follow(cursor)
    found = {record.values["email_address"]: record.values for record in records_of(pages).values()}
    assert found["m00001@mail.test"]["merge_fields.FNAME"] == "Ann"
    assert found["m00002@mail.test"]["status"] == "unsubscribed"
    assert found["m00002@mail.test"]["tags"] == ["vip"]
    assert "new@mail.test" in found
    assert gone_of(pages) == {ids(mail)["m00003"]}


def test_an_edit_in_the_second_that_was_read_last_is_not_missed(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 3)
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    mail.app.human(kind="update", id="m00000@mail.test", fields={"merge_fields": {"FNAME": "first"}})
    pages = mail.follow(cursor)
    mail.clock.advance(0.4)
    mail.app.human(kind="update", id="m00001@mail.test", fields={"merge_fields": {"FNAME": "second"}})
    again = records_of(mail.follow(pages[-1].cursor))
    assert again[ids(mail)["m00001"]].values["merge_fields.FNAME"] == "second"


def test_versions_keep_two_edits_of_one_second_apart(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 1)
    (number,) = ids(mail).values()
    (receipt,) = mail.apply(update(number, {"merge_fields.FNAME": "ours"}))
    same = mail.run(mail.connector.fetch([number]))[number]
    mail.app.human(kind="update", id="m00000@mail.test", fields={"merge_fields": {"FNAME": "theirs"}})
    other = mail.run(mail.connector.fetch([number]))[number]
    assert isinstance(same, Record)
    assert isinstance(other, Record)
    assert receipt.version == same.version
    assert same.modified == other.modified
    assert same.version != other.version


def test_more_members_than_a_page_in_one_second(mail: Driven[MailchimpApp]) -> None:
    cursor = mail.follow(None)[0].cursor
    mail.clock.advance(60)
    loaded(mail, 3200, last_changed=iso_seconds(START + 30))
    assert len(records_of(mail.follow(cursor))) == 3200


@given(seconds=st.lists(st.integers(0, 4), max_size=40), edits=st.lists(st.integers(0, 39), max_size=6))
def test_every_change_is_told(seconds: list[int], edits: list[int]) -> None:
    """Whatever the seconds that changes share, a reader who follows page by page meets the present of each record."""
    clock = VirtualClock(START)
    app = MailchimpApp(clock=clock)
    arguments: dict[str, Any] = {
        "collection": "members",
        "settings": {"base_url": "http://localhost/3.0"},
        "secrets": {"api_key": "sandbox-us1"},
        "options": {"audience": LIST_ID},
        "fields": FIELDS,
    }
    with driven(Mailchimp(), app, clock, **arguments) as mail:
        cursor = mail.follow(None)[-1].cursor
        seen: dict[str, Record] = {}
        for number, second in enumerate(seconds):
            clock.advance(second / 2)
            app.human(kind="create", fields=member(f"m{number}"))
            if number in edits:
                pages = mail.follow(cursor)
                cursor, seen = pages[-1].cursor, seen | records_of(pages)
                app.human(
                    kind="update", id=f"m{number // 2}@mail.test", fields={"merge_fields": {"FNAME": f"e{number}"}}
                )
        seen |= records_of(mail.follow(cursor))
        present = {entry["contact_id"]: entry["merge_fields"]["FNAME"] for entry in app.records(LIST_ID)}
        assert {key: record.values["merge_fields.FNAME"] for key, record in seen.items()} == present


def test_a_cursor_of_something_else_asks_for_a_snapshot(mail: Driven[MailchimpApp]) -> None:
    with pytest.raises(SnapshotNeeded):
        mail.run(mail.connector.changes('{"feed":"other","v":1}'))


def test_a_list_of_statuses_that_is_refused_is_done_without(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 4)
    mail.app.fault("error", status=400, method="GET", path="/members$")
    pages = mail.snapshot()
    assert len(records_of(pages)) == 4
    assert pages[0].total is None


def test_fetch_tells_the_live_the_archived_and_the_gone(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 3)
    known = ids(mail)
    mail.app.human(kind="delete", id="m00001@mail.test")
    mail.app.human(kind="delete", id="m00002@mail.test", permanent=True)
    found = mail.run(mail.connector.fetch(list(known.values())))
    assert isinstance(found[known["m00000"]], Record)
    assert found[known["m00001"]] == Absence(known["m00001"], Presence.ARCHIVED)
    assert found[known["m00002"]] == Absence(known["m00002"], Presence.GONE)


def test_an_id_outlives_the_e_mail_address(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 1)
    (number,) = ids(mail).values()
    mail.app.human(kind="update", id="m00000@mail.test", fields={"email_address": "moved@mail.test"})
    found = mail.run(mail.connector.fetch([number]))[number]
    assert isinstance(found, Record)
    assert found.values["email_address"] == "moved@mail.test"


def test_find_by_e_mail_in_any_case(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 2)
    mail.app.human(kind="delete", id="m00001@mail.test")
    asked = ["M00000@Mail.test", "m00001@mail.test", "nobody@mail.test"]
    found = mail.run(mail.connector.find("email_address", asked))
    assert found == {asked[0]: [ids(mail)["m00000"]], asked[1]: [], asked[2]: []}


# Writing


def test_a_thousand_new_members_with_tags_take_two_requests(mail: Driven[MailchimpApp]) -> None:
    mail.run(mail.connector.describe())
    before = mail.asked
    writes = [new(f"n{number}", tags=["vip", "new"], **{"merge_fields.FNAME": "N"}) for number in range(1000)]
    receipts = [*mail.apply(*writes[:500]), *mail.apply(*writes[500:])]
    assert mail.asked == before + 2
    assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
    fetched = mail.run(mail.connector.fetch([str(receipts[999].id)]))
    assert fetched[str(receipts[999].id)] == receipts[999].record
    assert receipts[999].record is not None
    assert receipts[999].record.values["tags"] == ["new", "vip"]
    assert receipts[999].record.values["email_address"] == "n999@mail.test"


def test_each_write_of_a_batch_has_its_own_outcome(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("taken"), member("archived"), member("forgotten")])
    mail.app.human(kind="delete", id="archived@mail.test")
    mail.app.human(kind="delete", id="forgotten@mail.test", permanent=True)
    cases = [
        (new("fine"), Outcome.DONE, None),
        (new("taken"), Outcome.DUPLICATE, None),
        (new("archived"), Outcome.REFUSED, "email_address"),
        (new("forgotten", email_address=" forgotten@mail.test"), Outcome.REFUSED, None),
        (new("bad", email_address="no address"), Outcome.REFUSED, "email_address"),
        (new("silent", status=None), Outcome.REFUSED, "status"),
        (new("nobody", email_address=None), Outcome.REFUSED, "email_address"),
        (new("Twin", email_address="FINE@mail.test"), Outcome.LATER, None),
    ]
    receipts = mail.apply(*(write for write, _, _ in cases))
    assert [(receipt.outcome, receipt.field) for receipt in receipts] == [(o, f) for _, o, f in cases]
    assert receipts[1].id == ids(mail)["taken"]
    assert not any("@" in (receipt.why or "") for receipt in receipts), "no address in a reason"


def test_one_malformed_member_does_not_hold_back_its_batch(mail: Driven[MailchimpApp]) -> None:
    """Where the request as a whole is refused, its halves are tried, down to the member that is at fault."""
    mail.app.fault("error", status=400, method="POST", times=1)
    receipts = mail.apply(*(new(f"n{number}") for number in range(4)))
    assert [receipt.outcome for receipt in receipts] == [Outcome.DONE] * 4


def test_a_member_that_exists_is_never_subscribed_again(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("out", status="unsubscribed"), member("in")])
    out, inside = ids(mail)["out"], ids(mail)["in"]
    before = mail.asked
    (refused,) = mail.apply(update(out, {"status": "subscribed", "merge_fields.FNAME": "x"}))
    assert (refused.outcome, refused.field) == (Outcome.REFUSED, "status")
    assert mail.asked == before + 1, "the audience was looked up, and nothing was sent"
    (done,) = mail.apply(update(inside, {"status": "unsubscribed"}))
    assert done.outcome is Outcome.DONE
    assert shown(mail, "in")["status"] == "unsubscribed"


def shown(mail: Driven[MailchimpApp], name: str) -> dict[str, Any]:
    entries = mail.app.records(LIST_ID)
    return next(dict(entry) for entry in entries if entry["email_address"].startswith(f"{name}@"))


def test_an_update_sends_only_what_changed(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", merge_fields={"FNAME": "Ann", "LNAME": "Lee"}, tags=["a"])])
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"merge_fields.FNAME": None}))
    assert receipt.outcome is Outcome.DONE
    assert receipt.record is not None
    assert receipt.record.values["merge_fields.FNAME"] is None
    entry = shown(mail, "ann")
    assert (entry["merge_fields"]["LNAME"], entry["status"], len(entry["tags"])) == ("Lee", "subscribed", 1)
    (write,) = [entry for entry in mail.app.log.since(0) if entry.who == "api"]
    assert set(write.fields) == {"merge_fields.FNAME"}


def test_tags_are_added_and_removed_one_by_one(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=["keep", "drop", "theirs"])])
    number = ids(mail)["ann"]
    write = update(number, {"tags": ["keep", "new "]}, previous={"tags": ["drop", "keep"]})
    before = mail.asked
    (receipt,) = mail.apply(write)
    assert mail.asked == before + 2  # the audience, and the tags
    assert {tag["name"] for tag in shown(mail, "ann")["tags"]} == {"keep", "new", "theirs"}
    assert receipt.record is not None
    assert receipt.record.values == {"tags": ["keep", "new"]}, "a person's tag must show as that person's edit"
    assert receipt.version is None


def test_a_tag_that_a_person_took_away_meanwhile_is_not_given_back(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=[])])
    mail.apply(update(ids(mail)["ann"], {"tags": ["keep", "new"]}, previous={"tags": ["keep"]}))
    assert {tag["name"] for tag in shown(mail, "ann")["tags"]} == {"new"}


def test_tags_without_a_past_are_read_first(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=["drop"])])
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"tags": ["new"]}))
    assert receipt.outcome is Outcome.DONE
    assert {tag["name"] for tag in shown(mail, "ann")["tags"]} == {"new"}


def test_an_e_mail_address_changes_and_one_that_is_taken_is_refused(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann"), member("bob")])
    known = ids(mail)
    done, taken = mail.apply(
        update(known["ann"], {"email_address": "eve@mail.test"}),
        update(known["bob"], {"email_address": "eve@mail.test"}),
    )
    assert (done.outcome, done.id) == (Outcome.DONE, known["ann"])
    assert (taken.outcome, taken.field) == (Outcome.REFUSED, "email_address")


def test_archiving_twice_is_done_and_what_is_not_there_is_gone(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    number = ids(mail)["ann"]
    receipts = [mail.apply(remove(one, Kind.ARCHIVE))[0] for one in (number, number, "0" * 31 + "7")]
    assert [receipt.outcome for receipt in receipts] == [Outcome.DONE, Outcome.DONE, Outcome.GONE]
    assert shown(mail, "ann")["status"] == "archived"
    (gone,) = mail.apply(update("0" * 31 + "7", {"merge_fields.FNAME": "x"}))
    assert gone.outcome is Outcome.GONE


def test_an_update_of_an_archived_member_finds_it_gone(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    mail.app.human(kind="delete", id="ann@mail.test")
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"merge_fields.FNAME": "x"}))
    assert receipt.outcome is Outcome.GONE


def test_nobody_is_deleted_for_good(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    with pytest.raises(TellUser, match="archive"):
        mail.apply(remove(ids(mail)["ann"], Kind.DELETE))
    assert shown(mail, "ann")["status"] == "subscribed"


@pytest.mark.parametrize(
    ("fault", "writes", "landed"),
    [
        pytest.param({"kind": "lost_answer", "method": "POST"}, "create", 3, id="a batch, its answer lost"),
        pytest.param({"kind": "die_midway", "method": "POST", "after_inputs": 2}, "create", 2, id="a batch, half done"),
        pytest.param({"kind": "html", "method": "POST", "applied": True}, "create", 3, id="a batch, a page of HTML"),
        pytest.param({"kind": "lost_answer", "method": "PATCH"}, "update", 1, id="an update, its answer lost"),
        pytest.param({"kind": "error", "method": "PATCH", "status": 502}, "update", 0, id="an update, a bad gateway"),
        pytest.param({"kind": "lost_answer", "method": "DELETE"}, "archive", 1, id="an archiving, its answer lost"),
    ],
)
def test_a_lost_answer_is_unknown_and_never_sent_again(
    mail: Driven[MailchimpApp], fault: dict[str, Any], writes: str, landed: int
) -> None:
    mail.app.load([member("ann")])
    number = ids(mail)["ann"]
    batch = {
        "create": [new(f"n{one}") for one in range(3)],
        "update": [update(number, {"merge_fields.FNAME": "x"})],
        "archive": [remove(number, Kind.ARCHIVE)],
    }[writes]
    mail.app.fault(**fault)
    receipts = mail.apply(*batch)
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}
    assert len(mail.app.log.since(0)) == landed
    assert [entry.method for entry in mail.requests()].count(fault["method"]) == 1


def test_an_update_of_which_the_tags_were_lost_is_unknown(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    mail.app.fault("error", status=400, path="/tags$")
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"tags": ["a"], "merge_fields.FNAME": "x"}, {"tags": []}))
    assert receipt.outcome is Outcome.UNKNOWN


def test_one_lost_answer_leaves_the_other_receipts_alone(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 8)
    mail.app.fault("lost_answer", method="PATCH", skip=3)
    receipts = mail.apply(*(update(number, {"merge_fields.FNAME": "x"}) for number in ids(mail).values()))
    assert sorted(receipt.outcome for receipt in receipts) == [*["done"] * 7, "unknown"]


def test_an_error_of_one_write_does_not_hide_what_became_of_the_others(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 8)
    mail.app.fault("wrong_token", method="PATCH", skip=3)
    receipts = mail.apply(*(update(number, {"merge_fields.FNAME": "x"}) for number in ids(mail).values()))
    assert sorted(receipt.outcome for receipt in receipts) == [*["done"] * 7, "later"]


def test_members_that_we_make_carry_the_moment_they_were_made(opened: Open) -> None:
    mail = opened(fields=frozenset({"email_address"}))
    mail.clock.advance(7)
    (receipt,) = mail.apply(new("ann"))
    (record,) = records_of(mail.snapshot()).values()
    assert receipt.record is not None
    assert record.created == receipt.record.created == (START + 7) * 1000
    assert record.values == {"email_address": "ann@mail.test"}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "rate_limited"}, id="429 without Retry-After"),
        pytest.param({"kind": "forbidden_text"}, id="a bare 403 that is no JSON"),
    ],
)
def test_a_busy_app_is_asked_again_and_then_waited_for(mail: Driven[MailchimpApp], fault: dict[str, Any]) -> None:
    mail.app.load([member("ann")])
    mail.app.fault(**fault, times=2, method="PATCH")
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"merge_fields.FNAME": "x"}))
    assert receipt.outcome is Outcome.DONE
    mail.app.fault(**fault, times=0)
    with pytest.raises(TryLater) as later:
        mail.apply(new("bob"))
    assert not later.value.sent


def test_never_more_connections_than_an_account_has(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 100)
    mail.app.fault("latency", seconds=0.5, times=0)
    mail.run(mail.connector.fetch(list(ids(mail).values())))
    assert {entry.status for entry in mail.requests()} == {200}


def test_a_webhook_proves_nothing(mail: Driven[MailchimpApp]) -> None:
    with pytest.raises(HookRefused):
        mail.connector.parse_hook(HookRequest("POST", "https://host/hook", {}, b"type=subscribe"))


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
