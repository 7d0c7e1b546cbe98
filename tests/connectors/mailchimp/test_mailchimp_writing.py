"""Mailchimp: creates, updates, archiving, and what may go wrong with them."""

from typing import Any

import pytest

from tests.connectors.mailchimp.audience import START, Open, define, ids, loaded, member, new, shown
from tests.connectors.vendor_account import Driven, records_of, remove, update
from twoway.sandbox.mailchimp import MailchimpApp
from twoway.sdk import HookRefused, HookRequest, Kind, Outcome, TellUser, TryLater


def test_a_thousand_new_members_with_tags_take_three_requests(mail: Driven[MailchimpApp]) -> None:
    mail.run(mail.connector.describe())
    before = mail.asked
    writes = [new(f"n{number}", tags=["vip", "new"], **{"merge_fields.FNAME": "N"}) for number in range(1000)]
    receipts = [*mail.apply(*writes[:500]), *mail.apply(*writes[500:])]
    assert mail.asked == before + 3, "two batches, and one look at who is archived"
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


@pytest.mark.parametrize("revives", [True, False])
@pytest.mark.parametrize("more", [pytest.param(0, id="looked up alone"), pytest.param(40, id="held against a list")])
def test_nobody_who_was_archived_is_made_again(mail: Driven[MailchimpApp], more: int, revives: bool) -> None:
    """Whether or not a batch would bring an archived address back, which no document says: it is never sent one."""
    mail.app.configure(batch_revives=revives)
    mail.app.load([member("archived", tags=["old"])])
    mail.app.human(kind="delete", id="archived@mail.test")
    receipts = mail.apply(new("ARCHIVED"), *(new(f"n{number}") for number in range(more)))
    assert (receipts[0].outcome, receipts[0].field) == (Outcome.REFUSED, "email_address")
    assert {receipt.outcome for receipt in receipts[1:]} <= {Outcome.DONE}
    assert shown(mail, "archived")["status"] == "archived"
    assert [entry.id for entry in mail.app.log.since(0) if entry.who == "api"].count(ids(mail)["archived"]) == 0


def test_who_is_archived_is_listed_once_and_then_kept_up_to_date(mail: Driven[MailchimpApp]) -> None:
    loaded(mail, 2500)
    for number in range(2500):
        mail.clock.advance(0.1)
        mail.app.human(kind="delete", id=f"m{number:05}@mail.test")

    def looks(name: str) -> list[str]:
        before = mail.asked
        mail.apply(*(new(f"{name}{number}") for number in range(100)), new("m01234"))
        return [f"{entry.method} {entry.path.rpartition('/')[2]}" for entry in mail.requests(before)]

    assert looks("first").count("GET members") == 3
    assert looks("second").count("GET members") == 0, "within half a minute"
    mail.clock.advance(120)
    mail.app.human(kind="create", fields=member("late"))
    mail.app.human(kind="delete", id="late@mail.test")
    assert looks("third").count("GET members") == 1, "only what was archived since"
    mail.clock.advance(120)
    (*_, late) = mail.apply(*(new(f"fourth{number}") for number in range(20)), new("late"))
    assert late.outcome is Outcome.REFUSED


def test_an_address_that_is_back_from_the_archive_is_no_longer_refused(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann"), member("bob")])
    for name in ("ann", "bob"):
        mail.app.human(kind="delete", id=f"{name}@mail.test")
    others = [new(f"n{number}") for number in range(20)]
    assert [mail.apply(*others, new(name))[-1].outcome for name in ("ann", "bob")] == [Outcome.REFUSED] * 2
    known = ids(mail)
    mail.app.human(kind="restore", id="ann@mail.test")
    mail.app.human(kind="delete", id="bob@mail.test", permanent=True)
    back, forgotten = mail.apply(*others, new("ann"), new("bob"))[-2:]
    assert (back.outcome, back.id) == (Outcome.DUPLICATE, known["ann"])
    assert forgotten.outcome is Outcome.REFUSED


def test_one_malformed_member_does_not_hold_back_its_batch(mail: Driven[MailchimpApp]) -> None:
    """Where the request as a whole is refused, its halves are tried, down to the member that is at fault."""
    mail.app.fault("error", status=400, method="POST", times=1)
    receipts = mail.apply(*(new(f"n{number}") for number in range(4)))
    assert [receipt.outcome for receipt in receipts] == [Outcome.DONE] * 4


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        pytest.param("e" * 255, Outcome.DONE, id="255 letters of one byte"),
        pytest.param("é" * 127, Outcome.DONE, id="127 of two"),
        pytest.param("é" * 128, Outcome.REFUSED, id="128 of two"),
        pytest.param("名" * 86, Outcome.REFUSED, id="86 of three"),
    ],
)
def test_a_text_is_stored_whole_or_refused(mail: Driven[MailchimpApp], text: str, outcome: Outcome) -> None:
    """Mailchimp counts bytes, and clips in silence: the other side would lose the end, too."""
    mail.app.load([member("ann")])
    receipts = mail.apply(update(ids(mail)["ann"], {"merge_fields.FNAME": text}))
    receipts += mail.apply(new("bob", **{"merge_fields.FNAME": text}))
    assert [receipt.outcome for receipt in receipts] == [outcome] * 2
    if outcome is Outcome.DONE:
        assert {shown(mail, name)["merge_fields"]["FNAME"] for name in ("ann", "bob")} == {text}
    else:
        assert {receipt.field for receipt in receipts} == {"merge_fields.FNAME"}
        assert shown(mail, "ann")["merge_fields"]["FNAME"] == "ann"


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("merge_fields.FNAME", "é" * 200, id="one that is not sent"),
        pytest.param("merge_fields.BIRTHDAY", "some day", id="one that Mailchimp refuses"),
    ],
)
def test_who_opts_out_is_not_mailed_on_for_another_field_that_is_refused(
    mail: Driven[MailchimpApp], field: str, value: str
) -> None:
    mail.app.load([member("ann")])
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"status": "unsubscribed", "language": "de", field: value}))
    assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, field)
    assert (shown(mail, "ann")["status"], shown(mail, "ann")["language"]) == ("unsubscribed", "")


def test_an_opt_out_that_cannot_be_sent_alone_leaves_the_reason_why(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    mail.app.fault("error", status=502, method="PATCH", skip=1)
    changed = {"status": "unsubscribed", "merge_fields.BIRTHDAY": "some day"}
    (receipt,) = mail.apply(update(ids(mail)["ann"], changed))
    assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, "merge_fields.BIRTHDAY")


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


def test_a_required_field_that_is_blank_bars_no_write_to_another(mail: Driven[MailchimpApp]) -> None:
    """So it is with everybody who was there before the field was made: they, too, opt out."""
    mail.app.load([member("ann")])
    define(mail, tag="POLICY", type="text", required=True)
    number = ids(mail)["ann"]
    changes: list[dict[str, Any]] = [
        {"merge_fields.FNAME": "Anna"},
        {"merge_fields.LNAME": "Lee", "email_address": "anna@mail.test"},
        {"status": "unsubscribed"},
    ]
    for changed in changes:
        (receipt,) = mail.apply(update(number, changed))
        assert receipt.outcome is Outcome.DONE, changed
    assert shown(mail, "anna")["status"] == "unsubscribed"


def test_a_required_field_is_not_emptied(mail: Driven[MailchimpApp]) -> None:
    for tag in ("POLICY", "LEVEL"):
        define(mail, tag=tag, type="text", required=True)
    mail.app.load([member("ann", merge_fields={"FNAME": "Ann", "LEVEL": "1"})])
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"merge_fields.LEVEL": None, "merge_fields.FNAME": "Anna"}))
    assert (receipt.outcome, receipt.field) == (Outcome.REFUSED, "merge_fields.LEVEL")


def test_tags_are_added_and_removed_one_by_one(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=["keep", "drop", "theirs"])])
    number = ids(mail)["ann"]
    write = update(number, {"tags": ["keep", "new "]}, previous={"tags": ["drop", "keep"]})
    before = mail.asked
    (receipt,) = mail.apply(write)
    assert mail.asked == before + 3  # the audience, the hash of the address, and the tags
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


def test_tags_follow_an_address_that_is_changed_with_them(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=["a"])])
    changed = {"email_address": "eve@mail.test", "tags": ["b"]}
    (receipt,) = mail.apply(update(ids(mail)["ann"], changed, {"tags": ["a"]}))
    assert receipt.outcome is Outcome.DONE
    assert {tag["name"] for tag in shown(mail, "eve")["tags"]} == {"b"}


@pytest.mark.parametrize(
    ("more", "outcome"), [({}, Outcome.LATER), ({"merge_fields.FNAME": "x"}, Outcome.UNKNOWN)], ids=["tags", "both"]
)
def test_a_member_whose_address_changes_before_its_tags_are_written_is_not_gone(
    mail: Driven[MailchimpApp], more: dict[str, Any], outcome: Outcome
) -> None:
    """The path by which tags are written is that of the address."""
    mail.app.load([member("ann")])
    number = ids(mail)["ann"]
    mail.app.fault("error", status=404, method="POST", path="/tags$")
    (receipt,) = mail.apply(update(number, {"tags": ["a"], **more}, {"tags": []}))
    assert receipt.outcome is outcome


def test_tags_of_an_archived_member_find_it_gone(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann")])
    mail.app.human(kind="delete", id="ann@mail.test")
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"tags": ["a"]}, {"tags": []}))
    assert receipt.outcome is Outcome.GONE
    assert shown(mail, "ann")["tags"] == []


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
