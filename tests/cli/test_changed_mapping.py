"""A mapping file that is edited: what the command line refuses, where, and what it says that would be valid."""

from pathlib import Path

import pytest

from tests.cli.setup import MAPPING, PAIR, Installation

AUDIENCE = "options: { audience: Customers }"
ELSEWHERE = [
    pytest.param("left: { account: crm, collection: contacts }", "left: { account: crm, collection: companies }",
                 "2:23: left.collection: was contacts when", "Valid: contacts,", id="another collection"),
    pytest.param(AUDIENCE, "options: { audience: Suppliers }",
                 '3:52: right.options: was {"audience":"Customers"} when', 'Valid: {"audience":"Customers"},',
                 id="another option"),
    pytest.param(f", {AUDIENCE}", "", '3:1: right.options: was {"audience":"Customers"} when', "Under nothing",
                 id="no option"),
    pytest.param("right: { account: newsletter", "right: { account: second",
                 "3:10: right.account: was newsletter when", "Valid: newsletter,", id="another account"),
]  # fmt: skip
SECOND = """\
  second:
    app: mailchimp
    settings: {{ base_url: "{url}" }}
    secrets: {{ api_key_file: newsletter.key }}
"""


@pytest.fixture
def started(twoway: Installation) -> Installation:
    """Ada is linked, and there is a second account that no pair uses."""
    twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    config = twoway.folder / "config.yaml"
    url = next(line for line in config.read_text().splitlines() if "/3.0" in line).split('"')[1]
    config.write_text(config.read_text() + SECOND.format(url=url))
    return twoway


def mapping(twoway: Installation) -> Path:
    return twoway.folder / "pairs" / f"{PAIR}.yaml"


def asked(twoway: Installation) -> int:
    """How many requests the apps have had."""
    return len(twoway.crm.requests_since()) + len(twoway.newsletter.requests_since())


@pytest.mark.parametrize(("old", "new", "place", "valid"), ELSEWHERE)
def test_another_collection_is_refused_before_any_request(
    started: Installation, old: str, new: str, place: str, valid: str
) -> None:
    mapping(started).write_text(MAPPING.replace(old, new))
    before = asked(started)
    for arguments in (["plan", PAIR], ["approve", PAIR], ["sync", PAIR], ["sync"]):
        refused = started.run(*arguments)
        assert refused.code == 2
        assert f"pairs/{PAIR}.yaml:{place}" in refused.err
        assert valid in refused.err
        assert "or another name for the pair (`pair`), which then begins with a first link" in refused.err
    assert asked(started) == before
    checked = started.run("check", PAIR)
    assert checked.code == 2
    assert f"pairs/{PAIR}.yaml:{place}" in checked.out
    assert f"{PAIR}: not ready" in checked.out
    mapping(started).write_text(MAPPING)
    started.well("check", PAIR)
    started.well("sync", PAIR)


def test_the_other_pairs_go_on(started: Installation) -> None:
    other = MAPPING.replace(f"pair: {PAIR}", "pair: second").replace("account: newsletter", "account: second")
    (started.folder / "pairs" / "second.yaml").write_text(other)
    for command in ("plan", "approve", "sync"):
        started.well(command, "second")
    mapping(started).write_text(MAPPING.replace("collection: contacts", "collection: companies"))
    ran = started.run("sync", "--json")
    assert ran.code == 2
    assert [(one["pair"], one["status"]) for one in ran.json()["cycles"]] == [(PAIR, "not run"), ("second", "done")]


def test_a_first_check_makes_no_state(twoway: Installation) -> None:
    twoway.well("check", PAIR)
    assert list(twoway.folder.rglob("*.db")) == []


def test_nothing_is_undone_by_the_words_of_another_mapping(started: Installation) -> None:
    (cycle, *_) = started.well("cycles", PAIR, "--json").json()["cycles"]
    mapping(started).write_text(MAPPING.replace("left: lastname", "left: phone"))
    refused = started.run("undo", str(cycle["cycle"]), "--yes")
    assert refused.code == 4
    assert f"the mapping of {PAIR} has changed since its last cycle" in refused.err
    for command in ("plan", "approve", "sync"):
        started.well(command, PAIR)
    assert started.run("undo", str(cycle["cycle"]), "--yes").code == 0


WAITS = f"{PAIR} has a changed mapping, and writes nothing before it is approved: `twoway plan {PAIR}`"


@pytest.mark.parametrize("command", ["sync", "plan"])
def test_the_status_tells_of_a_changed_mapping_that_waits_for_approval(started: Installation, command: str) -> None:
    mapping(started).write_text(MAPPING.replace("conflict: review", "conflict: left"))
    started.run(command, PAIR)
    assert WAITS in started.well("status").out
    (told,) = started.well("status", "--json").json()["pairs"]
    assert (told["status"], told["approved"]) == ("active", False)
    assert WAITS in started.well("explain", "crm:1").out
    started.well("plan", PAIR)
    started.well("approve", PAIR)
    assert WAITS not in started.well("status").out
    (told,) = started.well("status", "--json").json()["pairs"]
    assert (told["approved"], told["reason"]) == (True, None)


def test_a_mapping_that_is_put_back_waits_for_nothing(started: Installation) -> None:
    mapping(started).write_text(MAPPING.replace("conflict: review", "conflict: left"))
    assert started.run("sync", PAIR).code == 4
    mapping(started).write_text(MAPPING)
    started.well("sync", PAIR)
    assert WAITS not in started.well("status").out
    (told,) = started.well("status", "--json").json()["pairs"]
    assert (told["approved"], told["reason"]) == (True, None)
