"""Records that a person names: by the id that the app gave them, and each in the pairs that have it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.cli.setup import MAPPING, PAIR, Installation
from twoway.core.model import Fetched
from twoway_connectors.hubspot.connector import HubSpot

INNER = """\
pair: inner
left: { account: crm, collection: companies }
right: { account: crm, collection: deals }
start: review
match: [name]
create: { on_right: true }
fields:
  name: { left: name, right: dealname }
"""
"""Both of its collections are in one account."""

VIPS = MAPPING.replace("pair: crm-newsletter", "pair: crm-vips").replace("audience: Customers", "audience: VIPs")
KEYS = {"pair", "cycle", "status", "counts", "reasons", "requests", "error"}


def add_pair(twoway: Installation, name: str, mapping: str) -> None:
    """A second pair, approved; it runs with the next cycle."""
    (twoway.folder / "pairs" / f"{name}.yaml").write_text(mapping)
    twoway.well("plan", name)
    twoway.well("approve", name)


def company(twoway: Installation, name: str) -> str:
    return str(twoway.crm.human(kind="create", collection="companies", fields={"name": name})["id"])


def is_known(twoway: Installation, record: str) -> bool:
    """Whether anything is kept of it."""
    (one,) = twoway.well("explain", record, "--json").json()["pairs"]
    return bool(one["known"] or one["linked_to"] or one["seen"])


# -- by another name than the id


def _address(_: str) -> str:
    return "bob@shop.test"


def _hash(_: str) -> str:
    return hashlib.md5(b"bob@shop.test", usedforsecurity=False).hexdigest()


OTHER_NAMES = [pytest.param(_address, id="the e-mail address"), pytest.param(_hash, id="the hash of the address")]


@pytest.mark.parametrize("named", OTHER_NAMES)
@pytest.mark.parametrize("linked", [True, False], ids=["a linked record", "one that is not linked"])
def test_a_cycle_for_a_record_by_another_name_is_refused(
    twoway: Installation, named: Callable[[str], str], linked: bool
) -> None:
    member = twoway.member("bob@shop.test", FNAME="Bob") if linked else ""
    twoway.started()
    member = member or twoway.member("bob@shop.test", FNAME="Bob")
    name = f"newsletter:{named(member)}"
    result = twoway.run("sync", PAIR, "--record", name)
    assert (result.code, result.out) == (2, "")
    assert f"Name it by that one: newsletter:{member}" in result.err
    assert not is_known(twoway, name)
    twoway.well("sync", PAIR, "--record", f"newsletter:{member}")
    assert "nothing to do" in twoway.well("sync", PAIR, "--snapshot").out
    assert len(twoway.crm.records()) == len(twoway.newsletter.records()) == 1


@pytest.mark.parametrize("named", OTHER_NAMES)
def test_a_link_by_another_name_is_refused(twoway: Installation, named: Callable[[str], str]) -> None:
    twoway.started()
    member = twoway.member("bob@shop.test", FNAME="Bob")
    bob = twoway.contact(email="other@nowhere.test", firstname="Bob")
    name = f"newsletter:{named(member)}"
    result = twoway.run("links", "set", PAIR, f"crm:{bob}", name)
    assert (result.code, result.out) == (2, "")
    assert f"Name it by that one: newsletter:{member}" in result.err
    assert not is_known(twoway, name)
    assert not is_known(twoway, f"crm:{bob}")
    twoway.well("links", "set", PAIR, f"crm:{bob}", f"newsletter:{member}")
    assert "1 in conflict" in twoway.well("sync", PAIR).out


def _merged(twoway: Installation, ada: str) -> str:
    bob = twoway.contact(email="bob@shop.test", firstname="Bob")
    left = twoway.crm.human(kind="merge", id=ada, into=bob)["id"]
    return f"Name it by that one: crm:{left}"


def _archived(twoway: Installation, ada: str) -> str:
    twoway.crm.human(kind="delete", id=ada)
    return f"crm shows {ada} in its archive only"


@pytest.mark.parametrize(
    "become",
    [
        pytest.param(_merged, id="merged into another one"),
        pytest.param(_archived, id="archived"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["sync", "--record", "crm:{ada}"], id="sync"),
        pytest.param(["links", "set", PAIR, "crm:{ada}", "newsletter:{member}"], id="links set"),
    ],
)
def test_a_record_that_is_no_more_and_never_was_linked_is_refused(
    twoway: Installation, become: Callable[[Installation, str], str], arguments: Sequence[str]
) -> None:
    twoway.started()
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    member = twoway.member("carl@shop.test", FNAME="Carl")
    message = become(twoway, ada)
    result = twoway.run(*(one.format(ada=ada, member=member) for one in arguments))
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert not is_known(twoway, f"crm:{ada}")


def test_a_linked_record_that_was_deleted_can_be_named(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    twoway.crm.human(kind="delete", id=ada)
    assert "1 archived in newsletter" in twoway.well("sync", PAIR, "--record", f"crm:{ada}").out


def test_what_an_app_cannot_tell_is_not_taken_for_its_record(
    twoway: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    twoway.started()
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")

    async def nothing(_app: HubSpot, _ids: Sequence[str]) -> Mapping[str, Fetched]:
        return {}

    monkeypatch.setattr(HubSpot, "fetch", nothing)
    result = twoway.run("sync", PAIR, "--record", f"crm:{ada}")
    assert (result.code, "Try again later" in result.err) == (2, True)
    monkeypatch.undo()
    assert not is_known(twoway, f"crm:{ada}")


def test_one_name_that_is_none_keeps_every_pair_from_running(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    twoway.edit_contact(ada, firstname="Augusta")
    result = twoway.run("sync", "--record", f"crm:{ada}", "--record", "newsletter:nobody", "--json")
    assert (result.code, result.out) == (2, "")
    assert f"{PAIR}: newsletter shows no record nobody" in result.err
    assert twoway.well("history").out == "nothing was replaced\n"


# -- in the pairs that have it


def test_records_of_two_pairs_are_looked_at_each_in_its_own(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    add_pair(twoway, "inner", INNER)
    twoway.well("sync", "inner")
    twoway.edit_contact(ada, firstname="Augusta")
    acme = company(twoway, "Acme")
    both = twoway.well("sync", "--record", f"crm:{ada}", "--record", f"crm/companies:{acme}", "--json").json()
    done = {
        one["pair"]: (one["status"], one["counts"].get("updated"), one["counts"].get("created"))
        for one in both["cycles"]
    }
    assert done == {PAIR: ("done", {"newsletter": 1}, None), "inner": ("done", None, {"crm/deals": 1})}


def test_a_record_is_looked_at_in_the_pairs_that_have_it_only(twoway: Installation) -> None:
    twoway.newsletter.add_list("vip0000001", "VIPs")
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    add_pair(twoway, "crm-vips", VIPS)
    twoway.well("sync", "crm-vips")
    # The first member of either audience has the same id; this one is the second of its own.
    member = twoway.member("bob@shop.test", FNAME="Bob")
    run = {}
    for record in (f"crm:{ada}", f"newsletter:{member}"):
        run[record] = [one["pair"] for one in twoway.well("sync", "--record", record, "--json").json()["cycles"]]
    assert run == {f"crm:{ada}": [PAIR, "crm-vips"], f"newsletter:{member}": [PAIR]}
    elsewhere = twoway.run("sync", "crm-vips", "--record", f"newsletter:{member}")
    assert (elsewhere.code, "crm-vips: newsletter shows no record" in elsewhere.err) == (2, True)


def test_what_else_waits_of_the_pair_is_carried_out_too(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    bob = twoway.contact(email="bob@shop.test", firstname="Bob")
    twoway.member("bob@shop.test", FNAME="Robert")
    twoway.started()
    twoway.well("conflicts", "resolve", "1", "--value", "Bobby")
    twoway.well("sync", PAIR, "--record", f"crm:{ada}")
    assert 'first_name: "Bobby" in both' in twoway.well("explain", f"crm:{bob}").out


# -- a pair of which no cycle runs


def test_an_account_that_refuses_us_is_not_asked_for_a_record_again(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test")
    twoway.started()
    (twoway.folder / "crm.token").write_text("pat-wrong-0000")
    requests = []
    for message in ("(401)", "the account crm is paused"):
        requests.append(len(twoway.crm.requests.entries))
        result = twoway.run("sync", PAIR, "--record", f"crm:{ada}", "--json")
        assert (result.code, message in result.err) == (7, True)
        (row,) = result.json()["cycles"]
        assert (row.keys(), row["status"], message in row["error"]) == (KEYS, "not run", True)
    requests.append(len(twoway.crm.requests.entries))
    assert requests[0] < requests[1] == requests[2]


def test_every_cycle_of_the_document_has_the_same_keys(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test")
    twoway.newsletter.add_list("vip0000001", "VIPs")
    (twoway.folder / "pairs" / "a.yaml").write_text(VIPS)
    twoway.started()
    ran = twoway.run("sync", "--json").json()["cycles"]
    twoway.well("pause", PAIR)
    skipped = twoway.run("sync", "--json").json()["cycles"]
    assert [one["status"] for one in (*ran, *skipped)] == ["done", "not run", "skipped", "not run"]
    assert [one.keys() for one in (*ran, *skipped)] == [KEYS] * 4
    assert [one["requests"] for one in (*ran, *skipped) if one["status"] != "done"] == [{"crm": 0, "newsletter": 0}] * 3


def test_every_plan_of_the_document_has_the_same_keys(twoway: Installation) -> None:
    (twoway.folder / "pairs" / "a.yaml").write_text(VIPS)
    fine = twoway.well("plan", PAIR, "--json").json()["plans"]
    both = twoway.run("plan", "--json")
    (there_is_none,) = (named := twoway.run("plan", "crm-vips", "--json")).json()["plans"]
    assert [one["pair"] for one in both.json()["plans"]] == [PAIR, "crm-vips"]
    assert both.json()["plans"][1] == there_is_none
    assert there_is_none.keys() == fine[0].keys()
    assert "VIPs" in there_is_none["error"]
    assert (both.code, named.code) == (7, 7)
    assert named.err.startswith("twoway: newsletter: there is no audience")


def test_a_paused_pair_that_has_the_named_record_is_told(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    twoway.well("pause", PAIR)
    result = twoway.run("sync", "--record", f"crm:{ada}", "--json")
    assert (result.code, f"Resume it with `twoway resume {PAIR}`" in result.err) == (4, True)
    (row,) = result.json()["cycles"]
    assert (row["pair"], row["status"]) == (PAIR, "not run")
