"""What twoway makes of Mailchimp's ways: an archive that a create would empty, and a feed that is only a hint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.mailchimp.audience import member
from tests.connectors.synced import START, Synced, synced
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.kit import VirtualClock
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp

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
  name: { left: firstname, right: merge_fields.FNAME }
schedule: { settle: 0s }
guard: { creates: 100%, floor: 100 }
"""

Apps = tuple[Synced, HubSpotApp, MailchimpApp]


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[Apps]:
    clock = VirtualClock(START)
    crm = HubSpotApp(clock=clock, settings={"rate_limit": 0, "search_limit": 0})
    news = MailchimpApp(clock=clock)
    with synced(tmp_path, MAPPING, clock, {"crm": crm, "newsletter": news}) as pair:
        yield pair, crm, news


@pytest.mark.parametrize("contacts", [1, 30])
def test_whom_a_person_archived_is_not_mailed_again_when_the_crm_learns_of_them(apps: Apps, contacts: int) -> None:
    pair, crm, news = apps
    news.load([member("gone", tags=["old"])])
    news.human(kind="delete", id="gone@mail.test")
    pair.approve()
    pair.cycle()
    for number in range(contacts - 1):
        crm.human(kind="create", fields={"email": f"new{number}@mail.test", "firstname": "New"})
    crm.human(kind="create", fields={"email": "gone@mail.test", "firstname": "Gone"})
    for _ in range(3):
        pair.cycle(after=400)
    shown = {entry["email_address"]: entry for entry in news.records(LIST_ID)}
    assert shown["gone@mail.test"]["status"] == "archived"
    assert shown["gone@mail.test"]["merge_fields"]["FNAME"] == "gone"
    assert len(shown) == contacts


def test_a_first_sync_reads_nobody_by_id_and_an_edit_is_read_once(apps: Apps) -> None:
    """What the lag of the feed costs: a request for each member that somebody changed, none for our own writes."""
    pair, crm, news = apps
    news.load([member(f"m{number}") for number in range(30)])
    pair.approve()

    def reads(*, cycles: int) -> int:
        before = len(news.requests.entries)
        for _ in range(cycles):
            pair.cycle(after=400)
        path = f"/3.0/lists/{LIST_ID}/members/"
        return sum(entry.method == "GET" and entry.path.startswith(path) for entry in news.requests_since(before))

    assert reads(cycles=3) == 0
    crm.human(kind="create", fields={"email": "new@mail.test", "firstname": "New"})
    assert reads(cycles=3) == 1, "the look at who is archived"
    for number in range(5):
        news.human(kind="update", id=f"m{number}@mail.test", fields={"merge_fields": {"FNAME": "Edited"}})
        news.human(kind="update", id=f"m{number + 10}@mail.test", fields={"vip": True})
    assert reads(cycles=3) == 5
    names = [entry["properties"]["firstname"] for entry in crm.records("contacts")]
    assert names.count("Edited") == 5


def test_a_listing_that_shows_the_past_takes_back_nothing(apps: Apps) -> None:
    """A member that twoway has just written is listed as it was before: only a read by id tells what it holds."""
    pair, crm, news = apps
    contact = crm.human(kind="create", fields={"email": "ann@mail.test", "firstname": "Ann"})["id"]
    pair.approve()
    pair.cycle(after=400)
    pair.cycle(after=400)
    news.configure(list_lag=50.0)
    news.human(kind="update", id="ann@mail.test", fields={"merge_fields": {"FNAME": "Anna"}})
    pair.cycle(after=55)
    crm.advance(1)
    crm.human(kind="update", id=contact, fields={"firstname": "Annie"})
    pair.cycle(after=31)
    for _ in range(5):
        pair.cycle(after=10)
    (shown,) = news.records(LIST_ID)
    assert shown["merge_fields"]["FNAME"] == "Annie"
    assert crm.records("contacts")[0]["properties"]["firstname"] == "Annie"
