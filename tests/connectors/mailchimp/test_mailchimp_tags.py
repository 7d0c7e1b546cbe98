"""Mailchimp: members with more tags than the fifty that are shown with them."""

from pathlib import Path
from typing import Any

import pytest

from tests.connectors.mailchimp.audience import START, Open, ids, member, new, shown
from tests.connectors.synced import START as FIRST_CYCLE
from tests.connectors.synced import synced
from tests.connectors.vendor_account import Driven, records_of, update
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.kit import Answer, Call, VirtualClock
from twoway.sandbox.mailchimp import MailchimpApp
from twoway.sdk import Absence, Outcome, Presence, Record


def tags(count: int) -> list[str]:
    return [f"t{number:04}" for number in range(count)]


def names(mail: Driven[MailchimpApp], name: str) -> set[str]:
    return {tag["name"] for tag in shown(mail, name)["tags"]}


def test_a_listing_names_whom_it_does_not_show_whole(mail: Driven[MailchimpApp]) -> None:
    """As fifty tags alone, the others would look as if a person had removed them."""
    cursor = mail.run(mail.connector.changes(None)).cursor
    mail.app.load([member("few", tags=tags(50)), member("many", tags=tags(51)), member("old", tags=tags(51))])
    mail.app.human(kind="delete", id="old@mail.test")
    known = ids(mail)
    for page in (*mail.snapshot(), mail.run(mail.connector.changes(cursor))):
        assert {key: record.values["tags"] for key, record in records_of([page]).items()} == {known["few"]: tags(50)}
        assert list(page.ids) == [known["many"]]


def test_where_tags_are_not_mapped_everybody_is_listed_and_read_whole(opened: Open) -> None:
    mail = opened(fields=frozenset({"email_address"}))
    mail.app.load([member("many", tags=tags(51))])
    number = ids(mail)["many"]
    (page,) = mail.snapshot()
    assert (list(page.ids), page.records[0].id) == ([], number)
    before = mail.asked
    assert mail.run(mail.connector.fetch([number])) == {number: page.records[0]}
    assert mail.asked == before + 1
    (changed,) = mail.apply(update(number, {"email_address": "ann@mail.test"}))
    assert changed.version is not None, "the answer tells more tags than it shows, and nobody asked for them"


@pytest.mark.parametrize(
    ("count", "requests"),
    [
        pytest.param(50, 1, id="all are shown with the member"),
        pytest.param(51, 2, id="one more than are shown"),
        pytest.param(1000, 2, id="a whole page"),
        pytest.param(2345, 4, id="three pages"),
    ],
)
def test_a_member_that_is_read_has_all_its_tags(mail: Driven[MailchimpApp], count: int, requests: int) -> None:
    mail.app.load([member("ann", tags=tags(count))])
    number = ids(mail)["ann"]
    mail.snapshot()
    before = mail.asked
    record = mail.run(mail.connector.fetch([number]))[number]
    assert isinstance(record, Record)
    assert record.values["tags"] == tags(count)
    assert record.version is not None
    assert mail.asked == before + requests


def test_tags_that_cannot_be_read_say_nothing_of_their_member(mail: Driven[MailchimpApp]) -> None:
    """Between the two requests the member got another address, or went."""
    mail.app.load([member("ann", tags=tags(51)), member("bob")])
    known = ids(mail)
    mail.app.fault("error", status=404, method="GET", path="/tags$")
    found = mail.run(mail.connector.fetch([known["ann"], known["bob"]]))
    assert found[known["ann"]] == Absence(known["ann"], Presence.UNKNOWN)
    assert isinstance(found[known["bob"]], Record)


class Restless(MailchimpApp):
    """A person removes the first of a member's tags as soon as a page of them was read."""

    def _tags(self, call: Call) -> Answer:
        answer = super()._tags(call)
        address = self.audiences[call.params["list"]].find(call.params["member"])
        assert address is not None
        left = list(address.fields["tags"])[1:]
        self.human(kind="update", id=call.params["member"], fields={"tags": left})
        return answer


def test_tags_that_change_between_two_pages_are_not_taken_for_all(opened: Open) -> None:
    mail = opened(app=Restless(clock=VirtualClock(START)))
    mail.app.load([member("ann", tags=tags(2500))])
    number = ids(mail)["ann"]
    assert mail.run(mail.connector.fetch([number])) == {number: Absence(number, Presence.UNKNOWN)}


def test_the_feed_names_a_member_until_it_is_settled_and_then_no_more(mail: Driven[MailchimpApp]) -> None:
    """The second of the newest change is listed in each idle cycle: nobody need be read again and again for it."""
    cursor = mail.run(mail.connector.changes(None)).cursor
    mail.app.load([member("ann", tags=tags(51))])
    number = ids(mail)["ann"]
    told = []
    for seconds in (1, 60, 400, 60, 60):
        mail.clock.advance(seconds)
        page = mail.run(mail.connector.changes(cursor))
        told.append(list(page.ids))
        cursor = page.cursor
    assert told == [[number], [number], [number], [], []]
    mail.app.human(kind="update", id="ann@mail.test", fields={"tags": tags(52)})
    assert list(mail.run(mail.connector.changes(cursor)).ids) == [number]


@pytest.mark.parametrize("count", [50, 51])
def test_the_answer_to_a_write_tells_tags_only_if_it_has_them_all(mail: Driven[MailchimpApp], count: int) -> None:
    expected = {"tags": tags(50)} if count == 50 else {}
    (made,) = mail.apply(new("ann", tags=tags(count)))
    (changed,) = mail.apply(update(ids(mail)["ann"], {"merge_fields.FNAME": "Anna"}))
    for receipt in (made, changed):
        assert receipt.outcome is Outcome.DONE
        assert receipt.record is not None
        assert {name: value for name, value in receipt.record.values.items() if name == "tags"} == expected
        assert (receipt.version is None) == (count == 51), "a version is of a whole record"
    assert names(mail, "ann") == set(tags(count))


@pytest.mark.parametrize("more", [{}, {"merge_fields.FNAME": "Anna"}], ids=["tags", "both"])
def test_all_tags_without_a_past_are_read_before_they_are_written(
    mail: Driven[MailchimpApp], more: dict[str, Any]
) -> None:
    mail.app.load([member("ann", tags=tags(70))])
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"tags": ["new"], **more}))
    assert receipt.outcome is Outcome.DONE
    assert names(mail, "ann") == {"new"}


def test_tags_without_a_past_that_cannot_be_read_are_written_later(mail: Driven[MailchimpApp]) -> None:
    mail.app.load([member("ann", tags=tags(70))])
    mail.app.fault("error", status=404, method="GET", path="/tags$")
    (receipt,) = mail.apply(update(ids(mail)["ann"], {"tags": ["new"]}))
    assert receipt.outcome is Outcome.LATER
    assert names(mail, "ann") == set(tags(70))


MAPPING = """\
pair: pair
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: right
match: [email]
conflict: left
on_create: { right: { status: subscribed } }
fields:
  email: { left: email, right: email_address, type: email }
  tags: { type: set, left: { path: jobtitle, delimiter: "," }, right: tags }
schedule: { settle: 0s }
guard: { creates: 100%, floor: 100 }
"""


@pytest.mark.parametrize("first", [49, 51])
def test_the_tags_beyond_the_fiftieth_travel_both_ways_and_back_none_is_removed(tmp_path: Path, first: int) -> None:
    clock = VirtualClock(FIRST_CYCLE)
    crm = HubSpotApp(clock=clock, settings={"rate_limit": 0, "search_limit": 0})
    news = MailchimpApp(clock=clock)

    def there() -> tuple[list[str], list[str]]:
        held = crm.records("contacts")[0]["properties"]["jobtitle"].split(",")
        return sorted(held), sorted(tag["name"] for tag in news.records()[0]["tags"])

    with synced(tmp_path, MAPPING, clock, {"crm": crm, "newsletter": news}) as pair:
        made = crm.human(kind="create", fields={"email": "ann@mail.test", "jobtitle": ",".join(tags(first))})
        pair.approve()

        def rest() -> None:
            for _ in range(4):
                pair.cycle(after=400)

        rest()
        assert there() == (tags(first), tags(first))
        crm.human(kind="update", id=str(made["id"]), fields={"jobtitle": ",".join(tags(53))})
        rest()
        assert there() == (tags(53), tags(53)), "nobody removed any"
        news.human(kind="update", id="ann@mail.test", fields={"tags": [*tags(52), "theirs"]})
        rest()
        assert there() == ([*tags(52), "theirs"], [*tags(52), "theirs"])
