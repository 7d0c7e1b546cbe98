"""What users of two-way sync suffer from, where it shows only in the whole product: files, commands and requests."""

from tests.cli.setup import MAPPING, PAIR, Installation
from twoway.sandbox.kit import RequestEntry, VendorApp

READS = ("/search", "/batch/read")
"""How the paths end by which HubSpot is read with a POST."""


def asked(app: VendorApp, since: int = 0) -> list[RequestEntry]:
    """What was asked of an app after so many requests."""
    return app.requests_since(since)


def changing(requests: list[RequestEntry]) -> list[str]:
    """The requests that can have changed anything in the app."""
    return [f"{one.method} {one.path}" for one in requests if one.method != "GET" and not one.path.endswith(READS)]


def test_two_mapping_files_for_the_same_records_are_refused_before_anything_is_asked(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    before = [len(asked(app)) for app in (twoway.crm, twoway.newsletter)]
    overlapping = MAPPING.replace(f"pair: {PAIR}", "pair: again")
    (twoway.folder / "pairs" / "again.yaml").write_text(overlapping)
    for command in (("check",), ("sync", PAIR), ("sync",)):
        refused = twoway.run(*command)
        assert refused.code == 2, command
        assert "again" in refused.err
        assert PAIR in refused.err
    assert [len(asked(app)) for app in (twoway.crm, twoway.newsletter)] == before


def test_a_day_whose_requests_are_used_up_costs_little_and_loses_nothing(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    (member,) = twoway.newsletter.records()
    twoway.edit_contact(ada, lastname="King")
    twoway.edit_member(str(member["contact_id"]), FNAME="Augusta")
    twoway.crm.configure(daily_limit=1)
    before = len(asked(twoway.crm))
    for _ in range(3):
        refused = twoway.run("sync", PAIR)
        assert refused.code == 7
        assert "midnight" in refused.err
    assert len(asked(twoway.crm)) - before <= 2 * 3
    twoway.crm.configure(daily_limit=0)
    twoway.well("sync", PAIR)
    assert twoway.newsletter.records()[0]["merge_fields"]["LNAME"] == "King"
    assert twoway.crm.records("contacts")[0]["properties"]["firstname"] == "Augusta"


def test_a_choice_that_the_app_does_not_take_is_told_before_the_first_write(twoway: Installation) -> None:
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    stage = "  stage: { left: lifecyclestage, right: merge_fields.LNAME, choices: { lead: Lead, custmer: Customer } }\n"
    mapping.write_text(MAPPING.replace("  last_name: { left: lastname, right: merge_fields.LNAME }\n", stage))
    refused = twoway.run("check", PAIR)
    assert refused.code == 2
    assert "crm's lifecyclestage takes no 'custmer'; valid:" in refused.out + refused.err
    assert changing(asked(twoway.crm)) == changing(asked(twoway.newsletter)) == []


def test_a_changed_mapping_writes_nothing_before_its_plan_was_seen_and_approved(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada", lastname="Lovelace", phone="+15550100200")
    twoway.started()
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    moved = "left: phone, start: left"
    mapping.write_text(MAPPING.replace("left: lastname", moved))
    twoway.edit_contact(ada, firstname="Augusta")
    refused = twoway.run("sync", PAIR)
    assert refused.code == 4
    assert "has a changed mapping" in refused.err
    assert twoway.run("approve", PAIR).code == 4, "nobody has seen what it would do"
    assert 'last_name: "Lovelace" → "+15550100200"' in twoway.well("plan", PAIR).out
    assert _names(twoway) == ("Ada", "Lovelace"), "so far nothing was written"
    twoway.well("approve", PAIR)
    twoway.well("sync", PAIR)
    assert _names(twoway) == ("Augusta", "+15550100200")


def test_a_narrower_scope_shows_how_many_links_it_would_end(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.contact(email="bob@shop.test", firstname="Bob")
    twoway.started()
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    mapping.write_text(f"{MAPPING}scope: {{ left: 'first_name != \"Ada\"', on_leave: unlink }}\n")
    plan = twoway.well("plan", PAIR)
    assert "  1 link ends: what is there stays, and is kept the same no longer\n" in plan.out
    assert "nothing to do" not in plan.out
    (told,) = twoway.well("plan", PAIR, "--json").json()["plans"]
    assert (told["links_to_end"], told["pending"], told["links_before"]) == (1, True, 2)
    twoway.well("approve", PAIR)
    assert "1 unlinked" in twoway.well("sync", PAIR).out
    assert len(twoway.newsletter.records()) == 2


def _names(twoway: Installation) -> tuple[str, str]:
    """What the newsletter holds of its only member."""
    (member,) = twoway.newsletter.records()
    return member["merge_fields"]["FNAME"], member["merge_fields"]["LNAME"]


def test_a_start_leaves_nothing_behind_in_the_apps(twoway: Installation) -> None:
    """Each command is a process's start: it opens everything anew. Nothing is subscribed to and nothing is set up."""
    twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.well("check")
    twoway.started()
    for _ in range(3):
        twoway.well("sync", PAIR)
    assert changing(asked(twoway.crm)) == []
    (create,) = changing(asked(twoway.newsletter))
    (audience,) = {one.path.split("/")[3] for one in asked(twoway.newsletter) if one.path.count("/") > 3}
    assert create == f"POST /3.0/lists/{audience}", "the new member, and nothing else"
