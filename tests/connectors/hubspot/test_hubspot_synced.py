"""What twoway makes of HubSpot's ways: merges in both their forms, and an index that is minutes late."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connectors.synced import PAIR, START, Synced, synced
from twoway.engine.cycle import Kind
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.hubspot_properties import custom
from twoway.sandbox.kit import Answer, Call, VirtualClock
from twoway.sandbox.mailchimp import LIST_ID, MailchimpApp

OTHERS = 12
QUICK = {"rate_limit": 0, "search_limit": 0}

NEWSLETTER = """\
pair: pair
left: { account: crm, collection: contacts }
right: { account: newsletter, collection: members, options: { audience: Customers } }
start: left
match: [email]
conflict: left
delete: { on_right: archive, on_left: archive }
on_create: { right: { status: subscribed } }
fields:
  email: { left: email, right: email_address, type: email }
  name: { left: firstname, right: merge_fields.FNAME }
schedule: { settle: 0s }
guard: { deletes: 100% }
"""

FIRMS = """\
pair: pair
left: { account: crm, collection: companies }
right: { account: branch, collection: companies }
start: left
match: [name]
conflict: left
delete: { on_right: archive, on_left: archive }
fields:
  name: { left: name, right: name }
  city: { left: city, right: city }
schedule: { settle: 0s }
guard: { deletes: 100% }
"""


class Newsletter:
    """Contacts in step with the members of an audience."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(START)
        self.crm = HubSpotApp(clock=self.clock, settings=QUICK)
        self.news = MailchimpApp(clock=self.clock)
        self._open = synced(folder, NEWSLETTER, self.clock, {"crm": self.crm, "newsletter": self.news})

    def __enter__(self) -> Synced:
        return self._open.__enter__()

    def __exit__(self, *error: object) -> None:
        self._open.__exit__(*error)  # type: ignore[arg-type]  # what `with` gives

    def contact(self, **fields: str) -> str:
        return str(self.crm.human(kind="create", fields=fields)["id"])

    def members(self) -> dict[str, tuple[str, str]]:
        """Address → status and name."""
        return {
            each["email_address"]: (each["status"], each["merge_fields"]["FNAME"])
            for each in self.news.records(LIST_ID)
        }


@pytest.fixture
def newsletter(tmp_path: Path) -> Newsletter:
    return Newsletter(tmp_path)


@pytest.mark.parametrize("full", [False, True], ids=["by the feed", "by a snapshot"])
@pytest.mark.parametrize("anew", [False, True], ids=["the winner is left", "a new record is left"])
@pytest.mark.parametrize("linked", ["loser", "winner", "both"])
def test_a_merge_moves_the_link_and_deletes_and_doubles_nothing(
    newsletter: Newsletter, linked: str, anew: bool, full: bool
) -> None:
    newsletter.crm.configure(merges_anew=anew)
    how = Kind.SNAPSHOT if full else Kind.INCREMENTAL
    with newsletter as pair:
        # A listing that lacks more than a fifth of what is linked would not be believed.
        for number in range(OTHERS):
            newsletter.contact(email=f"other{number}@mail.test", firstname="Other")
        ids = {}
        if linked in {"winner", "both"}:
            ids["winner"] = newsletter.contact(email="winner@mail.test", firstname="Winner")
        if linked in {"loser", "both"}:
            ids["loser"] = newsletter.contact(email="loser@mail.test", firstname="Loser")
        pair.approve()
        pair.cycle(after=400)
        pair.cycle(after=400)
        held = newsletter.members()
        assert len(held) == OTHERS + len(ids)
        # Without an address nobody is carried over: who is not linked stays so.
        ids = {"winner": "", "loser": ""} | ids
        for name, contact in ids.items():
            ids[name] = contact or newsletter.contact(firstname=name.title())
        left = str(newsletter.crm.human(kind="merge", id=ids["loser"], into=ids["winner"])["id"])
        assert (left == ids["winner"]) is not anew
        for _ in range(3):
            pair.cycle(how, after=400)
        members = newsletter.members()
        assert {status for status, _ in members.values()} == {"subscribed"}, "nobody is archived for it"
        assert len(members) == len(held), "nobody is made for it"
        newsletter.crm.human(kind="update", id=left, fields={"firstname": "After"})
        for _ in range(3):
            pair.cycle(how, after=400)
        members = newsletter.members()
        primary = "loser@mail.test" if linked == "loser" else "winner@mail.test"
        assert members[primary] == ("subscribed", "After"), "what is left is linked"
        assert len(members) == len(held)
        lives = [each for each in newsletter.crm.records("contacts") if not each["archived"]]
        assert [each["id"] for each in lives if each["properties"]["firstname"] != "Other"] == [left]
        assert not [entry for entry in newsletter.crm.log.since(0) if entry.who == "api"]
        row = pair.store.pairs.get(PAIR)
        assert row is not None
        assert pair.store.links.count(row.id) == OTHERS + 1


@pytest.fixture
def firms(tmp_path: Path) -> Iterator[tuple[Synced, HubSpotApp, HubSpotApp]]:
    """Companies, which HubSpot lets have the same name, in step between two accounts."""
    clock = VirtualClock(START)
    crm, branch = (HubSpotApp(clock=clock, settings=QUICK) for _ in range(2))
    with synced(tmp_path, FIRMS, clock, {"crm": crm, "branch": branch}) as pair:
        yield pair, crm, branch


@pytest.mark.parametrize("late", [30.0, 120.0, 299.0])
def test_a_company_whose_create_answer_was_lost_is_not_made_twice_however_late_the_index(
    firms: tuple[Synced, HubSpotApp, HubSpotApp], late: float
) -> None:
    pair, crm, branch = firms
    pair.approve()
    pair.cycle()
    branch.configure(index_lag=late)
    crm.human(kind="create", collection="companies", fields={"name": "Acme", "city": "Bonn"})
    branch.fault("lost_answer", path="batch/create")
    for _ in range(20):
        pair.cycle(after=60)
    assert [each["properties"]["name"] for each in branch.records("companies")] == ["Acme"]
    crm.human(kind="update", collection="companies", id=crm.records("companies")[0]["id"], fields={"city": "Köln"})
    for _ in range(3):
        pair.cycle(after=400)
    assert [each["properties"]["city"] for each in branch.records("companies")] == ["Köln"]


class Meanwhile(HubSpotApp):
    """A person enters a company just after the changes were read."""

    entered: str | None = None

    def _search(self, call: Call) -> Answer:
        answer = super()._search(call)
        if self.entered is not None:
            name, self.entered = self.entered, None
            self.human(kind="create", collection="companies", fields={"name": name})
        return answer


@pytest.mark.parametrize("marker", [None, "twoway_operation"], ids=["without a marker", "with one"])
def test_a_company_that_a_person_enters_just_before_us_is_not_made_twice(tmp_path: Path, marker: str | None) -> None:
    clock = VirtualClock(START)
    crm = HubSpotApp(clock=clock, settings=QUICK)
    branch = Meanwhile(clock=clock, settings={**QUICK, "index_lag": 0})
    settings = {}
    if marker is not None:
        settings["branch"] = {"marker_property": marker}
        branch.objects["companies"].define(
            custom({"name": marker, "type": "string", "groupName": "companyinformation", "hasUniqueValue": True}, START)
        )
    with synced(tmp_path, FIRMS, clock, {"crm": crm, "branch": branch}, settings) as pair:
        pair.approve()
        pair.cycle()
        crm.human(kind="create", collection="companies", fields={"name": "Acme", "city": "Bonn"})
        clock.advance(60)
        branch.entered = "Acme"
        for _ in range(3):
            pair.cycle(after=60)
    assert [each["properties"]["name"] for each in branch.records("companies")] == ["Acme"]


@pytest.mark.parametrize("anew", [False, True], ids=["the winner is left", "a new record is left"])
@pytest.mark.parametrize("into", ["linked", "new"])
def test_a_merge_of_companies_doubles_nothing_where_no_key_guards(
    firms: tuple[Synced, HubSpotApp, HubSpotApp], into: str, anew: bool
) -> None:
    pair, crm, branch = firms
    crm.configure(merges_anew=anew)
    first, second = (
        str(crm.human(kind="create", collection="companies", fields={"name": name})["id"]) for name in ("Acme", "Beta")
    )
    pair.approve()
    pair.cycle(after=400)
    pair.cycle(after=400)
    names = ["Acme", "Beta"]
    assert sorted(each["properties"]["name"] for each in branch.records("companies")) == names
    if into == "new":
        second = str(crm.human(kind="create", collection="companies", fields={"name": "Gamma"})["id"])
    left = str(crm.human(kind="merge", collection="companies", id=first, into=second)["id"])
    assert (left == second) is not anew
    for _ in range(4):
        pair.cycle(after=400)
    held = branch.records("companies")
    assert len(held) == 2
    assert not any(each["archived"] for each in held)
    crm.human(kind="update", collection="companies", id=left, fields={"city": "After"})
    for _ in range(3):
        pair.cycle(after=400)
    assert [each["properties"].get("city") for each in branch.records("companies")].count("After") == 1
