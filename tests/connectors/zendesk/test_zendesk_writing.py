"""Zendesk: users created, updated and deleted one by one, and what may go wrong with it."""

from typing import Any

import pytest

from tests.connectors.vendor_account import Driven, remove, update
from tests.connectors.zendesk.people import FIELDS, Open, _many, ids, new, person, shown
from twoway.sandbox.zendesk import ZendeskApp
from twoway.sdk import AccountRefused, Kind, Outcome, Record, TellUser
from twoway_connectors.zendesk.catalog import USERS
from twoway_connectors.zendesk.codec import Codec


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


@pytest.mark.parametrize(
    ("collection", "switch"), [("users", "suspended"), ("users", "verified"), ("organizations", "shared_tickets")]
)
def test_a_switch_that_is_emptied_is_off_and_that_is_foretold(opened: Open, collection: str, switch: str) -> None:
    """Else Zendesk's "off" would look like a person's, and travel back to where it was emptied."""
    desk = opened(collection=collection, fields=frozenset({"name", switch}))
    made = desk.app.human(kind="create", collection=collection, fields={"name": "Ann", switch: True})
    desk.apply(update(str(made["id"]), {switch: None}))
    read = desk.run(desk.connector.fetch([str(made["id"])]))[str(made["id"])]
    assert isinstance(read, Record)
    assert read.values[switch] is False
    assert desk.connector.normal({switch: None}) == {switch: False}


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
