"""An undo where it is needed most: on a pair that stands, and where the app does not take the write just now."""

from typing import Any

import pytest

from tests.cli.setup import MAPPING, PAIR, Installation, Result


@pytest.fixture
def written(twoway: Installation) -> int:
    """Ada's last name was carried over to the newsletter, which was a mistake; the cycle's number."""
    ada = twoway.contact(email="ada@shop.test", firstname="Ada", lastname="Lovelace")
    twoway.started()
    twoway.edit_contact(ada, lastname="King")
    twoway.well("sync", PAIR)
    return int(twoway.well("cycles", "--json").json()["cycles"][0]["cycle"])


def last_name(twoway: Installation) -> str:
    """What the newsletter holds of its only member."""
    (member,) = twoway.newsletter.records()
    return str(member["merge_fields"]["LNAME"])


def standing(twoway: Installation) -> dict[str, Any]:
    """The pair, as `twoway status` tells."""
    (found,) = twoway.well("status", "--json").json()["pairs"]
    assert isinstance(found, dict)
    return found


def interrupted(twoway: Installation, cycle: int, method: str) -> Result:
    """The undo of the cycle is begun, and the newsletter has no time for requests about members, for an hour."""
    twoway.newsletter.fault("rate_limited", method=method, path="/members", times=0, retry_after=3600)
    begun = twoway.run("undo", str(cycle), "--yes")
    twoway.newsletter.faults.clear()
    assert last_name(twoway) == "King", begun
    return begun


def test_it_works_on_a_pair_that_a_person_paused(twoway: Installation, written: int) -> None:
    twoway.well("pause", PAIR)
    twoway.well("undo", str(written), "--yes")
    assert last_name(twoway) == "Lovelace"
    assert standing(twoway)["status"] == "paused"


def test_it_works_on_a_pair_that_the_guard_halted(twoway: Installation, written: int) -> None:
    for number in range(9):
        twoway.contact(email=f"{number}@shop.test", lastname="Many")
    assert twoway.run("sync", PAIR).code == 4
    twoway.well("undo", str(written), "--yes")
    assert last_name(twoway) == "Lovelace"
    assert standing(twoway)["status"] == "halted"


@pytest.mark.parametrize("arguments", [(), ("--yes",)], ids=["shown", "done"])
def test_it_is_refused_under_a_mapping_that_nobody_approved(
    twoway: Installation, written: int, arguments: tuple[str, ...]
) -> None:
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    mapping.write_text(MAPPING.replace("left: lastname, ", "left: lastname, direction: to_right, "))
    refused = twoway.run("undo", str(written), *arguments)
    assert (refused.code, "mapping" in refused.err) == (4, True)
    assert last_name(twoway) == "King"
    mapping.write_text(MAPPING)
    twoway.well("undo", str(written), "--yes")
    assert last_name(twoway) == "Lovelace"


def test_it_is_refused_where_it_would_write_to_an_account_that_may_only_be_read(twoway: Installation) -> None:
    """A mapping that goes one way only is the same one when its account may only be read; the records that it once
    created there are to be taken away again all the same."""
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    twoway.member("ada@shop.test", FNAME="Ada", LNAME="Lovelace")
    twoway.started()
    cycle = str(twoway.well("cycles", "--json").json()["cycles"][0]["cycle"])
    assert len(twoway.crm.records()) == 1
    one_way = MAPPING.replace("type: email }", "type: email, direction: to_right }")
    one_way = one_way.replace("trim: true }", "trim: true, direction: to_right }")
    one_way = one_way.replace("merge_fields.LNAME }", "merge_fields.LNAME, direction: to_right }")
    mapping.write_text(one_way.replace("on_left: true", "on_left: false"))
    config = twoway.folder / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("app: hubspot", "app: hubspot\n    access: read"))
    twoway.started()
    refused = twoway.run("undo", cycle, "--yes")
    assert refused.code == 2
    assert "would write 1 of the records of crm, which is `access: read`" in refused.err
    assert "accounts.crm.access: write" in refused.err
    assert standing(twoway)["undos"] == []
    config.write_text(before)
    twoway.well("undo", cycle, "--yes")
    assert [record["archived"] for record in twoway.crm.records()] == [True]


def test_one_that_could_not_be_sent_is_shown_until_it_is(twoway: Installation, written: int) -> None:
    interrupted(twoway, written, "PATCH")
    (waiting,) = standing(twoway)["undos"]
    assert (waiting["cycle"], waiting["to_send"] + waiting["unknown"]) == (written, 1)
    assert f"the undo of cycle {written} is not done: 1 " in twoway.well("status").out
    config = twoway.folder / "config.yaml"
    at_once = "app: mailchimp\n    request_lifetime: 0s\n    lag: 0s"
    config.write_text(config.read_text().replace("app: mailchimp", at_once))
    for _ in range(3):
        twoway.well("sync", PAIR)
    assert last_name(twoway) == "Lovelace"
    assert standing(twoway)["undos"] == []
    assert "undo of cycle" not in twoway.well("status").out


def test_one_that_was_not_sent_can_be_withdrawn(twoway: Installation, written: int) -> None:
    begun = interrupted(twoway, written, "GET")
    assert f"`twoway undo {written} --withdraw` gives up what was not sent" in begun.out
    (waiting,) = standing(twoway)["undos"]
    assert waiting == {"cycle": written, "to_send": 1, "unknown": 0}
    assert f"1 record of the undo of cycle {written} will not" in twoway.well("undo", str(written), "--withdraw").out
    assert standing(twoway)["undos"] == []
    twoway.well("resume", PAIR)
    for _ in range(2):
        twoway.well("sync", PAIR)
    assert last_name(twoway) == "King"
    again = twoway.well("undo", str(written), "--withdraw").out
    assert f"nothing of an undo of cycle {written} is still to be sent" in again
    twoway.well("undo", str(written), "--yes")
    assert last_name(twoway) == "Lovelace"


@pytest.mark.parametrize("fields", [("LNAME",), ("FNAME", "LNAME")], ids=["all of it", "a part of it"])
def test_what_was_edited_since_it_was_read_stays_and_is_named(twoway: Installation, fields: tuple[str, ...]) -> None:
    """Nobody is told that it is to be decided anew: a cycle is taken back once."""
    ada = twoway.contact(email="ada@shop.test", firstname="Ada", lastname="Lovelace")
    twoway.started()
    properties = {"FNAME": ("firstname", "Augusta"), "LNAME": ("lastname", "King")}
    twoway.edit_contact(ada, **dict(properties[one] for one in fields))
    twoway.well("sync", PAIR)
    cycle = twoway.well("cycles", "--json").json()["cycles"][0]["cycle"]
    (member,) = twoway.newsletter.records()
    twoway.edit_member(str(member["contact_id"]), LNAME="Mended")
    told = twoway.well("undo", str(cycle), "--yes").out
    assert last_name(twoway) == "Mended"
    stays = f"\n  stays: newsletter:{member['contact_id']}"
    if len(fields) == 1:
        assert f"1 not taken back{stays}: the record to be written has changed since it was read\n" in told
    else:
        assert f"1 updated in newsletter{stays} last_name: changed since\n" in told
    assert "decided anew" not in told + twoway.well("cycles").out
    assert standing(twoway)["undos"] == []
