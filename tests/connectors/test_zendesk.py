"""The connector for Zendesk, over the look-alike app."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.vendor_account import Driven, create, driven, gone_of, records_of, remove, update
from twoway.sandbox.clock import iso_seconds
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import (
    MARKER,
    Absence,
    AccountRefused,
    Connector,
    Consistency,
    FieldType,
    HookRefused,
    HookRequest,
    Kind,
    Outcome,
    Presence,
    ReceiptShape,
    Record,
    SnapshotNeeded,
    TellUser,
    TryLater,
    Write,
)
from twoway_connectors.zendesk import Zendesk
from twoway_connectors.zendesk.catalog import COLLECTIONS, TICKETS, USERS
from twoway_connectors.zendesk.codec import Codec

START = 1_750_000_000.0
FIELDS = frozenset({"name", "email", "phone", "tags", "notes", "user_fields.tier"})
SETTINGS = {"base_url": "http://localhost/api/v2", "email": "admin@desk.example", "plan": "growth"}
SECRETS = {"api_token": "zendesk-token", "webhook_secret": "hush"}
TIERS = [{"name": "Gold", "value": "gold"}, {"name": "Iron", "value": "iron"}]
Open = Callable[..., Driven[ZendeskApp]]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens a connector; further keyword arguments go to the app's settings."""
    with ExitStack() as stack:

        def open_one(
            *,
            fields: frozenset[str] = FIELDS,
            collection: str = "users",
            settings: dict[str, Any] | None = None,
            secrets: dict[str, str] | None = None,
            **app: Any,
        ) -> Driven[ZendeskApp]:
            clock = VirtualClock(START)
            desk = stack.enter_context(
                driven(
                    Zendesk(),
                    ZendeskApp(clock=clock, settings=app),
                    clock,
                    collection=collection,
                    settings={**SETTINGS, **(settings or {})},
                    secrets=SECRETS if secrets is None else secrets,
                    fields=fields,
                )
            )
            tier = {"key": "tier", "title": "Tier", "type": "dropdown", "custom_field_options": TIERS}
            since = {"key": "since", "title": "Since", "type": "date"}
            desk.app.load([tier, since], collection="user_fields")
            return desk

        yield open_one


@pytest.fixture
def desk(opened: Open) -> Driven[ZendeskApp]:
    return opened()


def person(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "email": f"{name}@mail.test", **more}


def loaded(desk: Driven[ZendeskApp], count: int, **more: Any) -> None:
    desk.app.load([person(f"m{number:05}", **more) for number in range(count)])


def new(name: str, **changed: Any) -> Write:
    return create(f"op-{name}", **{"name": name, "email": f"{name}@mail.test", **changed})


def ids(desk: Driven[ZendeskApp], collection: str = "users") -> dict[str, str]:
    return {entry["name"]: str(entry["id"]) for entry in desk.app.records(collection)}


def shown(desk: Driven[ZendeskApp], name: str) -> dict[str, Any]:
    return next(dict(entry) for entry in desk.app.records("users") if entry["name"] == name)


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


# Reading


def test_values_are_decoded_by_type(opened: Open) -> None:
    desk = opened(fields=frozenset())
    (organization,) = [desk.app.human(kind="create", collection="organizations", fields={"name": "Acme"})]
    desk.app.human(
        kind="create",
        fields=person(
            "ann",
            alias="",
            tags=["B", "a c"],
            organization_id=organization["id"],
            user_fields={"since": "2026-01-31", "tier": "gold"},
        ),
    )
    (record,) = records_of(desk.snapshot()).values()
    expected = {
        "name": "ann",
        "alias": None,
        "tags": ["a_c", "b"],
        "organization_id": str(organization["id"]),
        "user_fields.since": "2026-01-31",
        "user_fields.tier": "gold",
        "suspended": False,
    }
    assert {name: record.values[name] for name in expected} == expected
    assert record.created == record.modified == START * 1000


def test_a_snapshot_is_complete_and_leaves_the_deleted_out(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 250)
    desk.app.human(kind="delete", id=ids(desk)["m00007"])
    pages = desk.snapshot()
    assert len(records_of(pages)) == 249
    assert [len(page.records) for page in pages] == [100, 100, 49]


def test_a_snapshot_loses_nobody_while_users_come_and_go(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 250)
    known = ids(desk)
    first = desk.run(desk.connector.snapshot(None))
    for number in range(60):
        desk.app.human(kind="delete", id=known[f"m{number:05}"])
    rest = records_of([desk.run(desk.connector.snapshot(first.cursor)), *_rest(desk, first.cursor)])
    assert {known[f"m{number:05}"] for number in range(100, 250)} <= rest.keys()


def _rest(desk: Driven[ZendeskApp], cursor: str | None) -> list[Any]:
    pages = [desk.run(desk.connector.snapshot(cursor))]
    while not pages[-1].last:
        pages.append(desk.run(desk.connector.snapshot(pages[-1].cursor)))
    return pages


def test_nothing_changed_costs_one_request(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 300)
    start = desk.follow(None)[-1].cursor
    settled = desk.follow(start)[-1].cursor
    desk.clock.advance(120)
    before = desk.asked
    assert not records_of(desk.follow(settled))
    assert desk.asked == before + 1


def test_changes_tell_edits_deletions_and_new_users_once_they_are_settled(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 4)
    known = ids(desk)
    cursor = desk.follow(desk.follow(None)[-1].cursor)[-1].cursor
    desk.app.human(kind="update", id=known["m00001"], fields={"notes": "new"})
    desk.app.human(kind="delete", id=known["m00002"])
    desk.app.human(kind="create", fields=person("eve"))
    desk.clock.advance(30)
    early = desk.follow(cursor)
    assert not records_of(early), "the latest minute is left out"
    desk.clock.advance(31)
    pages = desk.follow(early[-1].cursor)
    assert {record.values["name"] for record in records_of(pages).values()} == {"m00001", "eve"}
    assert gone_of(pages) == {known["m00002"]}


def test_the_loser_of_a_merge_is_told_as_gone_and_that_is_declared(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 2)
    known = ids(desk)
    cursor = desk.follow(None)[-1].cursor
    desk.app.human(kind="merge", id=known["m00000"], into=known["m00001"])
    desk.clock.advance(61)
    assert gone_of(desk.follow(cursor)) == {known["m00000"]}
    assert desk.connector.capabilities.hides_merges


def test_more_changes_than_a_page_in_one_second(desk: Driven[ZendeskApp]) -> None:
    cursor = desk.follow(None)[-1].cursor
    loaded(desk, 2300, updated_at=iso_seconds(START + 5))
    desk.clock.advance(120)
    assert len(records_of(desk.follow(cursor))) == 2300


def test_exports_keep_to_ten_a_minute(desk: Driven[ZendeskApp]) -> None:
    """The lane waits by itself: Zendesk never has to refuse."""
    cursor = desk.follow(None)[-1].cursor
    for _ in range(25):
        cursor = desk.follow(cursor)[-1].cursor
    assert {entry.status for entry in desk.requests()} == {200}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0, 1, 1, 2, 118, 119, 120, 121]), st.sampled_from(["create", "update", "poll"])),
        max_size=30,
    ),
    collection=st.sampled_from(["users", "organizations"]),
)
def test_every_change_is_told(steps: list[tuple[int, str]], collection: str) -> None:
    """Whatever the seconds that changes share, a reader who follows page by page meets the present of each record."""
    clock = VirtualClock(START)
    app = ZendeskApp(clock=clock)
    arguments: dict[str, Any] = {"collection": collection, "settings": SETTINGS, "secrets": SECRETS}
    with driven(Zendesk(), app, clock, fields=frozenset({"name", "notes"}), **arguments) as desk:
        cursor = desk.follow(None)[-1].cursor
        seen: dict[str, Record] = {}
        made: list[Any] = []
        for number, (halves, step) in enumerate(steps):
            clock.advance(halves / 2)
            if step == "create":
                fields = {"name": f"n{number}", "notes": "new"}
                made.append(app.human(kind="create", collection=collection, fields=fields)["id"])
            elif step == "update" and made:
                fields = {"notes": f"edit {number}"}
                app.human(kind="update", collection=collection, id=made[number % len(made)], fields=fields)
            elif step == "poll":
                pages = desk.follow(cursor)
                cursor, seen = pages[-1].cursor, seen | records_of(pages)
        clock.advance(120)
        seen |= records_of(desk.follow(cursor))
        present = {str(entry["id"]): entry["notes"] for entry in app.records(collection) if entry["notes"]}
        assert {key: seen[key].values["notes"] for key in present} == present


def test_a_clock_that_is_ahead_waits_until_the_app_is_there_too(desk: Driven[ZendeskApp]) -> None:
    cursor = desk.follow(None)[-1].cursor
    assert cursor is not None
    ahead = cursor.replace(str(int(START) - 300), str(int(START) + 3600))
    with pytest.raises(TryLater, match="clock"):
        desk.follow(ahead)


def test_a_cursor_of_something_else_asks_for_a_snapshot(desk: Driven[ZendeskApp]) -> None:
    with pytest.raises(SnapshotNeeded):
        desk.run(desk.connector.changes('{"feed":"zendesk.tickets.changes","v":1,"start":1}'))


def test_fetch_tells_the_live_the_inactive_and_the_gone(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 2)
    known = ids(desk)
    desk.app.human(kind="delete", id=known["m00001"])
    before = desk.asked
    found = desk.run(desk.connector.fetch([*known.values(), "999"]))
    assert isinstance(found[known["m00000"]], Record)
    assert found[known["m00001"]] == Absence(known["m00001"], Presence.ARCHIVED)
    assert found["999"] == Absence("999", Presence.GONE)
    assert desk.asked == before + 2


def test_find_by_e_mail_lags_and_looks_at_the_primary_address_only(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann"), person("bob")])
    known = ids(desk)
    desk.app.human(kind="merge", id=known["bob"], into=known["ann"])
    desk.clock.advance(60)
    desk.app.human(kind="create", fields=person("eve"))
    asked = ["ANN@mail.test", "bob@mail.test", "eve@mail.test"]
    assert desk.run(desk.connector.find("email", asked)) == {asked[0]: [known["ann"]], asked[1]: [], asked[2]: []}
    assert desk.connector.capabilities.find is Consistency.LAGGING
    desk.clock.advance(desk.connector.capabilities.lag / 1000)
    assert desk.run(desk.connector.find("email", asked[2:])) == {asked[2]: [ids(desk)["eve"]]}


def test_find_by_external_id_takes_a_hundred_at_once(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person(f"m{number}", external_id=f"Crm-{number}") for number in range(150)])
    before = desk.asked
    found = desk.run(desk.connector.find("external_id", [*(f"crm-{number}" for number in range(150)), "a,b"]))
    assert desk.asked == before + 2
    assert found["crm-149"] == [ids(desk)["m149"]]
    assert found["a,b"] == []


def test_find_refuses_a_field_that_is_not_searchable(desk: Driven[ZendeskApp]) -> None:
    with pytest.raises(TellUser, match="email, external_id"):
        desk.run(desk.connector.find("notes", ["x"]))


# Writing one by one


def test_a_create_tells_what_was_stored(desk: Driven[ZendeskApp]) -> None:
    (receipt,) = desk.apply(new("ann", tags=["Big Fish"], notes=None, **{"user_fields.tier": "gold"}))
    assert receipt.outcome is Outcome.DONE
    assert receipt.record is not None
    assert receipt.record.values["tags"] == ["big_fish"]
    assert receipt.record == desk.run(desk.connector.fetch([str(receipt.id)]))[str(receipt.id)]


def test_an_update_sends_only_what_changed(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann", notes="old", phone="+4930123456", user_fields={"tier": "gold"})])
    (receipt,) = desk.apply(update(ids(desk)["ann"], {"notes": "new", "user_fields.tier": None}))
    assert receipt.outcome is Outcome.DONE
    (write,) = desk.app.log.since(0)
    assert set(write.fields) == {"notes", "user_fields.tier"}
    assert shown(desk, "ann")["phone"] == "+4930123456"


def test_versions_keep_two_edits_of_one_second_apart(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    number = ids(desk)["ann"]
    (receipt,) = desk.apply(update(number, {"notes": "ours"}))
    same = desk.run(desk.connector.fetch([number]))[number]
    assert isinstance(same, Record)
    assert receipt.version == same.version
    # The fetch took its turn at the rate limit: both edits must lie in the second that the clock shows now.
    desk.apply(update(number, {"notes": "again"}))
    before = desk.app.users.get(number)
    ours = desk.app.show("users", before)
    desk.app.human(kind="update", id=number, fields={"notes": "theirs"})
    theirs = desk.app.show("users", before)
    codec = Codec(USERS, FIELDS)
    assert ours["updated_at"] == theirs["updated_at"]
    assert codec.record(ours).version != codec.record(theirs).version


def test_the_primary_address_changes_and_the_old_one_stays(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    number = ids(desk)["ann"]
    (receipt,) = desk.apply(update(number, {"email": "eve@mail.test", "notes": "moved"}))
    assert receipt.outcome is Outcome.DONE
    assert receipt.record is not None
    assert receipt.record.values["email"] == "eve@mail.test"
    assert receipt.record.values["notes"] == "moved"
    assert receipt.version is None, "several requests have no version in common"
    assert shown(desk, "ann")["email"] == "eve@mail.test"
    record = desk.app.users.get(number)
    assert {entry.value for entry in desk.app.users.identities_of(record)} == {"ann@mail.test", "eve@mail.test"}
    (back,) = desk.apply(update(number, {"email": "ann@mail.test"}))
    assert back.outcome is Outcome.DONE
    assert shown(desk, "ann")["email"] == "ann@mail.test"
    (case,) = desk.apply(update(number, {"email": "Ann@mail.test"}))
    assert case.record is not None
    assert shown(desk, "ann")["email"] == "Ann@mail.test"


@pytest.mark.parametrize(
    ("email", "why"),
    [
        pytest.param("bob@mail.test", "another user", id="taken"),
        pytest.param("no address", "format", id="malformed"),
        pytest.param(None, "not removed", id="cleared"),
    ],
)
def test_an_address_that_is_refused_leaves_the_user_as_it_was(
    desk: Driven[ZendeskApp], email: str | None, why: str
) -> None:
    desk.app.load([person("ann"), person("bob")])
    (receipt,) = desk.apply(update(ids(desk)["ann"], {"email": email, "notes": "x"}))
    assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, "email")
    assert why in (receipt.why or "")
    assert "bob" not in (receipt.why or "")
    assert not desk.app.log.since(0)


@pytest.mark.parametrize(("settings", "skip"), [({}, True), ({"verify_email": True}, False)])
def test_people_are_not_mailed_unless_that_is_wanted(
    opened: Open, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], skip: bool
) -> None:
    desk = opened(settings=settings)
    told: list[bool] = []
    users = desk.app.users
    for name, place in (("create", 0), ("add_identity", 1)):
        genuine = getattr(users, name)

        def noted(*given: Any, genuine: Any = genuine, place: int = place) -> Any:
            told.append(given[place]["skip_verify_email"])
            return genuine(*given)

        monkeypatch.setattr(users, name, noted)
    (made,) = desk.apply(new("ann"))
    desk.apply(update(str(made.id), {"email": "eve@mail.test"}))
    assert told == [skip, skip]


def test_duplicates_are_told_with_the_id_once_the_search_knows_it(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann", external_id="X1"), person("bob")])
    known = ids(desk)
    desk.app.human(kind="merge", id=known["bob"], into=known["ann"])
    desk.app.human(kind="create", fields=person("fresh"))
    primary, second, external, unknown = desk.apply(
        new("a", email="Ann@mail.test"),
        new("b", email="bob@mail.test"),
        new("c", external_id="x1"),
        new("d", email="fresh@mail.test"),
    )
    assert {primary.outcome, second.outcome, external.outcome, unknown.outcome} == {Outcome.DUPLICATE}
    assert primary.id == external.id == known["ann"]
    assert unknown.id is None, "the index lags"
    desk.clock.advance(60)
    secondary, later = desk.apply(new("b", email="bob@mail.test"), new("d", email="fresh@mail.test"))
    assert secondary.id == known["ann"], "a secondary address counts, too"
    assert later.id == ids(desk)["fresh"]


def test_each_write_has_its_own_outcome(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann"), person("bob")])
    known = ids(desk)
    receipts = desk.apply(
        update(known["ann"], {"notes": "x"}),
        update(known["bob"], {"user_fields.tier": "lead"}),
        update("999", {"notes": "x"}),
    )
    assert [receipt.outcome for receipt in receipts] == [Outcome.DONE, Outcome.REFUSED, Outcome.GONE]
    assert "lead" not in (receipts[1].why or "")


def test_a_user_is_deleted_and_cannot_be_archived(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    number = ids(desk)["ann"]
    with pytest.raises(TellUser, match="delete"):
        desk.apply(remove(number, Kind.ARCHIVE))
    receipts = [desk.apply(remove(number, Kind.DELETE))[0] for _ in range(2)]
    assert [receipt.outcome for receipt in receipts] == [Outcome.DONE, Outcome.GONE]
    assert not shown(desk, "ann")["active"]


def test_a_hot_record_comes_later_and_the_account_goes_on(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann"), person("bob")])
    known = ids(desk)
    outcomes = [desk.apply(update(known["ann"], {"notes": f"n{number}"}))[0].outcome for number in range(7)]
    assert outcomes == [Outcome.DONE] * 5 + [Outcome.LATER] * 2
    at = desk.clock.now()
    assert desk.apply(update(known["bob"], {"notes": "x"}))[0].outcome is Outcome.DONE
    assert desk.clock.now() - at < 2, "nothing else had to wait"


def test_the_accounts_limit_is_waited_for(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    desk.app.fault("rate_limited", retry_after=7, method="POST")
    at = desk.clock.now()
    assert desk.apply(new("eve"))[0].outcome is Outcome.DONE
    assert desk.clock.now() - at >= 7


def test_the_accounts_limit_is_never_reached_by_us(opened: Open) -> None:
    desk = opened(settings={"plan": "team", "bulk": False}, rate_limit=200)
    receipts = [receipt for start in range(0, 400, 25) for receipt in desk.apply(*_many(start, 25))]
    assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
    assert {entry.status for entry in desk.requests()} == {201}


def test_requests_of_others_slow_us_down_before_they_are_refused(desk: Driven[ZendeskApp]) -> None:
    for _ in range(370):
        desk.app._requests.take(desk.clock.now())
    assert {receipt.outcome for receipt in desk.apply(*_many(0, 40))} == {Outcome.DONE}
    assert 429 not in {entry.status for entry in desk.requests()}


def _many(start: int, count: int) -> list[Write]:
    return [new(f"n{number}") for number in range(start, start + count)]


@pytest.mark.parametrize(
    ("fault", "writes", "landed"),
    [
        pytest.param({"kind": "lost_answer", "method": "POST"}, "create", 1, id="a create, its answer lost"),
        pytest.param({"kind": "lost_request", "method": "POST"}, "create", 0, id="a create, lost itself"),
        pytest.param({"kind": "lost_answer", "method": "PUT"}, "update", 1, id="an update, its answer lost"),
        pytest.param({"kind": "truncated", "method": "PUT"}, "update", 1, id="an update, its answer cut"),
        pytest.param({"kind": "lost_answer", "method": "DELETE"}, "delete", 1, id="a delete, its answer lost"),
    ],
)
def test_a_lost_answer_is_unknown_and_never_sent_again(
    desk: Driven[ZendeskApp], fault: dict[str, Any], writes: str, landed: int
) -> None:
    desk.app.load([person("ann")])
    number = ids(desk)["ann"]
    write = {
        "create": new("eve"),
        "update": update(number, {"notes": "x"}),
        "delete": remove(number, Kind.DELETE),
    }[writes]
    desk.app.fault(**fault)
    (receipt,) = desk.apply(write)
    assert receipt.outcome is Outcome.UNKNOWN
    assert len(desk.app.log.since(0)) == landed
    assert [entry.method for entry in desk.requests()].count(fault["method"]) == 1


def test_an_update_of_which_one_half_was_lost_is_unknown(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    desk.app.fault("lost_request", method="PUT", path=r"/users/\d+$")
    (receipt,) = desk.apply(update(ids(desk)["ann"], {"email": "eve@mail.test", "notes": "x"}))
    assert receipt.outcome is Outcome.UNKNOWN
    assert shown(desk, "ann")["email"] == "eve@mail.test"


def test_an_update_of_which_one_half_was_refused_is_unknown(
    desk: Driven[ZendeskApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.app.load([person("ann")])
    sent: list[Any] = []
    genuine = desk.app.users.update

    def noted(*given: Any) -> None:
        sent.append(given[1])
        genuine(*given)

    monkeypatch.setattr(desk.app.users, "update", noted)
    (receipt,) = desk.apply(update(ids(desk)["ann"], {"email": "eve@mail.test", "user_fields.tier": "lead"}))
    assert receipt.outcome is Outcome.UNKNOWN
    assert [set(body) for body in sent] == [{"id", "user_fields"}], "an address in an update would be a further one"


def test_an_account_that_refuses_everything_is_told_to_the_engine(desk: Driven[ZendeskApp]) -> None:
    desk.app.load([person("ann")])
    desk.app.fault("wrong_token", times=0)
    with pytest.raises(AccountRefused):
        desk.apply(update(ids(desk)["ann"], {"notes": "x"}))


# Writing in bulk


def test_many_updates_are_one_job(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 100)
    writes = [update(number, {"notes": "x"}, version="as it was read") for number in ids(desk).values()]
    receipts = desk.apply(*writes)
    assert {receipt.outcome for receipt in receipts} == {Outcome.DONE}
    assert [receipt.id for receipt in receipts] == [write.id for write in writes]
    assert {receipt.record for receipt in receipts} == {None}
    assert desk.connector.capabilities.receipt is ReceiptShape.NOTHING
    assert desk.asked < 8
    assert {entry["notes"] for entry in desk.app.records("users")} == {"x"}


def test_each_record_of_a_job_has_its_own_outcome(opened: Open) -> None:
    desk = opened(bulk_import=True)
    loaded(desk, 10)
    known = list(ids(desk).values())
    desk.clock.advance(60)
    updated = desk.apply(
        *(update(number, {"notes": "x"}) for number in known[:9]),
        update(known[9], {"user_fields.tier": "lead"}),
        update("999", {"notes": "x"}),
    )
    assert [receipt.outcome for receipt in updated] == [Outcome.DONE] * 9 + [Outcome.REFUSED, Outcome.GONE]
    made = desk.apply(*_many(0, 9), new("bad", email="no address"), new("twin", email="M00003@mail.test"))
    assert [receipt.outcome for receipt in made] == [Outcome.DONE] * 9 + [Outcome.REFUSED, Outcome.DUPLICATE]
    assert made[10].id == known[3]
    assert made[0].id == ids(desk)["n0"]


def test_a_bulk_import_that_is_not_allowed_is_tried_once(desk: Driven[ZendeskApp]) -> None:
    assert {receipt.outcome for receipt in desk.apply(*_many(0, 20))} == {Outcome.DONE}
    assert {receipt.outcome for receipt in desk.apply(*_many(20, 20))} == {Outcome.DONE}
    paths = [entry.path.rpartition("/")[2] for entry in desk.requests()]
    assert paths.count("create_many") == 1
    assert paths.count("users") == 40


def test_updates_with_an_address_are_never_a_job(desk: Driven[ZendeskApp]) -> None:
    loaded(desk, 12)
    writes = [update(number, {"email": f"new{number}@mail.test"}) for number in ids(desk).values()]
    assert {receipt.outcome for receipt in desk.apply(*writes)} == {Outcome.DONE}
    assert {entry["email"] for entry in desk.app.records("users")} == {write.changed["email"] for write in writes}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "lost_answer", "method": "PUT"}, id="the answer to the job was lost"),
        pytest.param({"kind": "error", "path": "job_statuses", "times": 0}, id="its status cannot be read"),
    ],
)
def test_a_job_whose_end_is_not_seen_is_unknown(desk: Driven[ZendeskApp], fault: dict[str, Any]) -> None:
    loaded(desk, 20)
    desk.app.fault(**fault)
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}
    assert [entry.method for entry in desk.requests()].count("PUT") == 1


def test_a_job_that_never_ends_is_given_up(opened: Open) -> None:
    desk = opened(job_queue_seconds=3600)
    loaded(desk, 20)
    at = desk.clock.now()
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert {receipt.outcome for receipt in receipts} == {Outcome.UNKNOWN}
    assert desk.clock.now() - at < desk.connector.capabilities.request_lifetime / 1000


def test_without_bulk_receipts_tell_what_was_stored(opened: Open) -> None:
    desk = opened(settings={"bulk": False})
    loaded(desk, 20)
    receipts = desk.apply(*(update(number, {"notes": "x"}) for number in ids(desk).values()))
    assert all(receipt.record is not None for receipt in receipts)
    assert desk.connector.capabilities.receipt is ReceiptShape.RECORD


# The marker


def test_a_record_is_found_by_the_operation_that_made_it(opened: Open) -> None:
    desk = opened(settings={"marker": "external_id"})
    assert MARKER in desk.connector.capabilities.find_fields
    desk.app.fault("lost_answer", method="POST")
    (unknown,) = desk.apply(new("eve"))
    assert unknown.outcome is Outcome.UNKNOWN
    assert desk.run(desk.connector.find(MARKER, ["op-eve"])) == {"op-eve": [ids(desk)["eve"]]}
    (record,) = records_of(desk.snapshot()).values()
    assert record.marker == "op-eve"


def test_without_the_setting_there_is_no_marker(desk: Driven[ZendeskApp]) -> None:
    assert MARKER not in desk.connector.capabilities.find_fields
    desk.apply(new("eve"))
    assert shown(desk, "eve")["external_id"] is None
    with pytest.raises(TellUser, match="marker"):
        desk.run(desk.connector.find(MARKER, ["op-eve"]))


# Organizations and tickets


def test_organizations_are_created_updated_found_and_deleted(opened: Open) -> None:
    desk = opened(collection="organizations", fields=frozenset({"name", "domain_names", "tags"}))
    (made,) = desk.apply(create("op1", name="Acme", domain_names=["B.test", "a.test"]))
    assert made.record is not None
    assert made.record.values["domain_names"] == ["a.test", "b.test"]
    number = str(made.id)
    (twin,) = desk.apply(create("op2", name="ACME"))
    assert (twin.outcome, twin.id) == (Outcome.DUPLICATE, number)
    (renamed,) = desk.apply(update(number, {"name": "Acme & Sons"}))
    assert renamed.outcome is Outcome.DONE
    assert desk.run(desk.connector.find("name", ["acme & sons"])) == {"acme & sons": [number]}
    (deleted,) = desk.apply(remove(number, Kind.DELETE))
    assert deleted.outcome is Outcome.DONE
    assert desk.run(desk.connector.fetch([number]))[number] == Absence(number, Presence.GONE)


def test_a_ticket_moves_on_and_its_condition_is_kept(opened: Open) -> None:
    desk = opened(collection="tickets", fields=frozenset({"subject", "status", "description", "custom_fields.1"}))
    assert desk.connector.capabilities.conditional
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.record is not None
    assert made.record.values["description"] == "It broke"
    number = str(made.id)
    desk.clock.advance(5)
    (done,) = desk.apply(update(number, {"status": "pending"}, version=made.version))
    assert done.outcome is Outcome.DONE
    desk.clock.advance(5)
    desk.app.human(kind="update", collection="tickets", id=number, fields={"status": "solved"})
    (moved,) = desk.apply(update(number, {"subject": "x"}, version=done.version))
    assert moved.outcome is Outcome.MOVED
    (archived,) = desk.apply(remove(number, Kind.ARCHIVE))
    assert archived.outcome is Outcome.DONE


def test_a_ticket_whose_answer_was_lost_is_asked_for_by_its_key(opened: Open) -> None:
    """Zendesk answers the same key with the same ticket: here a lost answer is asked for again."""
    desk = opened(collection="tickets", fields=frozenset({"subject", "description"}))
    desk.app.fault("lost_answer", method="POST")
    (made,) = desk.apply(create("op1", subject="Help", description="It broke"))
    assert made.outcome is Outcome.DONE
    assert len(desk.app.records("tickets")) == 1


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
