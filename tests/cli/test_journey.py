"""What a person does with it, from the first check to an undo, against look-alike apps."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.setup import MAPPING, PAIR, Installation, Result

SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)
DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def first_link(twoway: Installation) -> tuple[str, str, str]:
    """Ada is in the CRM only, Bob in both apps by different first names: their three ids."""
    ada = twoway.contact(email="ada@shop.test", firstname="Ada", lastname="Lovelace")
    bob = twoway.contact(email="bob@shop.test", firstname="Bob", lastname="Hope")
    member = twoway.member("bob@shop.test", FNAME="Robert", LNAME="Hope")
    return ada, bob, member


def enter(twoway: Installation, name: str, number: int) -> None:
    """So many contacts, entered into the CRM."""
    for each in range(number):
        twoway.contact(email=f"{name}{each}@shop.test", firstname=name)


def test_from_the_first_check_to_a_pair_that_runs(twoway: Installation) -> None:
    ada, bob, member = first_link(twoway)

    assert "crm-newsletter is new" in twoway.well("status").out

    checked = twoway.well("check").out
    assert "crm-newsletter: ready" in checked
    assert "crm: HubSpot account" in checked

    refused = twoway.run("sync", PAIR)
    assert refused.code == 4
    assert f"`twoway plan {PAIR}`, then `twoway approve {PAIR}`" in refused.err

    unseen = twoway.run("approve", PAIR)
    assert unseen.code == 4
    assert "no plan of crm-newsletter" in unseen.err

    planned = twoway.run("plan", PAIR, "--exit-code")
    assert planned.code == 3
    assert "1 match: records of both apps that would be linked" in planned.out
    assert "crm → newsletter: 1 create, 0 update, 0 delete" in planned.out
    assert f'crm → newsletter  create from {ada}  email: "ada@shop.test"  first_name: "Ada"' in planned.out
    assert f'conflict  first_name: crm:{bob} "Bob"  newsletter:{member} "Robert"' in planned.out
    assert f"`twoway approve {PAIR}`" in planned.out
    assert len(twoway.newsletter.records()) == 1, "a plan writes nothing"

    assert "crm → newsletter: 1 create" in twoway.well("approve", PAIR).out
    synced = twoway.well("sync", PAIR).out
    assert "1 created in newsletter, 1 linked, 1 in conflict" in synced
    assert len(twoway.newsletter.records()) == 2

    assert "nothing to do" in twoway.well("sync", PAIR).out
    assert twoway.well("plan", PAIR, "--exit-code").out.endswith("  nothing to do\n")
    status = twoway.well("status").out
    assert re.search(r"crm-newsletter  crm ↔ newsletter  active  \d+s ago +2 +2 +1 +0\n", status)
    assert "1 conflict: `twoway conflicts list crm-newsletter`" in status
    cycles = twoway.well("cycles").out
    assert re.search(r"^1 +crm-newsletter +incremental .* done +1 created in newsletter", cycles, re.MULTILINE)


def test_an_edit_travels_and_can_be_explained_and_undone(twoway: Installation) -> None:
    ada, _, _ = first_link(twoway)
    twoway.started()
    created = twoway.well("explain", f"crm:{ada}", "--field", "first_name").out
    assert "newsletter got it from crm when the record was created" in created
    linked = twoway.well("links", "show", f"crm:{ada}", "--json").json()["links"][0]["linked_to"]

    twoway.edit_contact(ada, lastname="King")
    line = twoway.well("plan", PAIR).out
    record = linked.removeprefix("newsletter:")
    assert f'crm → newsletter  update {record}  last_name: "Lovelace" → "King" (changed)' in line
    twoway.well("sync", PAIR, "--record", f"crm:{ada}")

    history = twoway.well("history", "--record", linked).out
    assert f'crm → newsletter  {record}  last_name: "Lovelace" → "King"  (changed)' in history
    assert twoway.well("history", "--record", f"crm:{ada}").out == "nothing was replaced\n"
    explained = twoway.well("explain", linked).out
    assert re.search(r'newsletter was changed from "Lovelace" to "King" on .* it was changed in crm', explained)
    assert "next: nothing: both sides are as they should be" in explained
    assert 'first_name: "Ada" in both' in explained

    cycle = twoway.well("cycles", "--json").json()["cycles"][0]["cycle"]
    asked = twoway.well("undo", str(cycle))
    assert f'update {record}  last_name: "King" → "Lovelace" (undo)' in asked.out
    assert f"`twoway undo {cycle} --yes` does it" in asked.out
    assert "1 updated in newsletter" in twoway.well("undo", str(cycle), "--yes").out
    again = twoway.well("explain", linked, "--field", "last_name").out
    assert 'last_name: "King" in crm, "Lovelace" in newsletter' in again
    assert "a person took an earlier cycle back" in again
    assert "nothing to do" in twoway.well("sync", PAIR).out


def test_an_undo_says_what_stays(twoway: Installation) -> None:
    ada, _, _ = first_link(twoway)
    twoway.started()
    member = twoway.well("links", "show", f"crm:{ada}", "--json").json()["links"][0]["linked_to"].split(":")[1]
    twoway.edit_contact(ada, lastname="King")
    twoway.well("sync", PAIR)
    cycle = twoway.well("cycles", "--json").json()["cycles"][0]["cycle"]
    twoway.edit_member(member, LNAME="Byron")
    twoway.well("sync", PAIR)
    undone = twoway.well("undo", str(cycle), "--yes").out
    assert "crm-newsletter: nothing to undo" in undone
    assert f"stays: newsletter:{member} last_name: changed since" in undone


def conflict(twoway: Installation) -> dict[str, Any]:
    (found,) = twoway.well("conflicts", "list", "--json").json()["conflicts"]
    return dict(found)


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [
        pytest.param(("--use", "newsletter"), "Robert", id="the value of an account"),
        pytest.param(("--value", "  Rob "), "Rob", id="another value, trimmed as the mapping says"),
    ],
)
def test_a_conflict_is_decided(twoway: Installation, arguments: tuple[str, str], stored: str) -> None:
    _, bob, member = first_link(twoway)
    twoway.started()
    found = conflict(twoway)
    assert found["values"] == {"crm": "Bob", "newsletter": "Robert"}
    assert found["records"] == {"crm": bob, "newsletter": member}
    number = str(found["id"])
    assert (
        f"twoway conflicts resolve {number}` with --use crm or --use newsletter"
        in twoway.well("conflicts", "show", number).out
    )
    assert (
        f"first_name waits for a person: `twoway conflicts show {number}`" in twoway.well("explain", f"crm:{bob}").out
    )
    strict = twoway.run("sync", PAIR, "--strict")
    assert (strict.code, "1 conflicts (`twoway conflicts list`)" in strict.out) == (5, True)

    assert f'first_name is to be "{stored}"' in twoway.well("conflicts", "resolve", number, *arguments).out
    assert "it is decided; the next cycle carries it out" in twoway.well("conflicts", "show", number).out
    assert "the decision on first_name is carried out" in twoway.well("explain", f"crm:{bob}").out
    twoway.well("sync", PAIR, "--strict")
    assert twoway.well("conflicts", "list").out == "no conflicts\n"
    assert twoway.crm.objects["contacts"].records.get(int(bob)).fields["firstname"] == stored  # type: ignore[union-attr]  # it is there
    assert "a person decided the conflict" in twoway.well("explain", f"crm:{bob}", "--field", "first_name").out


def test_a_number_that_was_shown_with_other_values_decides_nothing(twoway: Installation) -> None:
    _, bob, member = first_link(twoway)
    (planned,) = twoway.well("plan", PAIR, "--json").json()["plans"]
    assert [one["id"] for one in planned["conflicts"]] == [None], "it has a number once a cycle has found it"
    twoway.started()
    shown = conflict(twoway)
    (planned,) = twoway.well("plan", PAIR, "--json").json()["plans"]
    assert [one["id"] for one in planned["conflicts"]] == [shown["id"]]
    twoway.edit_contact(bob, firstname="Bobby")
    twoway.well("sync", PAIR)
    now = conflict(twoway)
    refused = twoway.run("conflicts", "resolve", str(shown["id"]), "--use", "newsletter")
    assert refused.code == 1
    assert f"conflict {shown['id']} is not what it was" in refused.err
    assert f"Its number is {now['id']} now" in refused.err
    held = f'{now["id"]}  {PAIR}  first_name: crm:{bob} "Bobby"  newsletter:{member} "Robert"'
    assert held in refused.out
    assert "Bobby" not in refused.err, "what customers are called is in the answer, not in messages"
    assert held in twoway.run("conflicts", "show", str(shown["id"])).out
    twoway.well("sync", PAIR)
    assert conflict(twoway) == now
    twoway.well("conflicts", "resolve", str(now["id"]), "--use", "newsletter")
    twoway.well("sync", PAIR)
    gone = twoway.run("conflicts", "resolve", str(now["id"]), "--use", "newsletter")
    assert (gone.code, "there is no conflict" in gone.err) == (2, True)


def test_the_guard_holds_and_a_person_lets_it_pass(twoway: Installation) -> None:
    first_link(twoway)
    twoway.started()
    new = [twoway.contact(email=f"new{n}@shop.test", firstname=f"New{n}") for n in range(9)]
    planned = twoway.run("plan", PAIR, "--exit-code", "--limit", "2")
    assert planned.code == 4
    assert "the guard would hold this: it would create 9 records in newsletter, more than the 5" in planned.out
    assert "… and 7 more writes: `--limit 9`" in planned.out

    held = twoway.run("sync", PAIR)
    assert held.code == 4
    assert "nothing was written" in held.out
    assert "held: it would create 9 records in newsletter" in held.out
    assert "nothing written" in held.out
    assert "nothing to do" not in held.out
    assert "crm-newsletter is halted: it would create 9 records" in twoway.well("status").out
    assert twoway.run("sync", PAIR).code == 4
    explained = twoway.well("explain", f"crm:{new[0]}").out
    assert "next: crm-newsletter is halted (it would create 9 records" in explained
    assert "next: a create in newsletter is held by the guard, and waits for approval" in explained
    assert "halted, not paused" in twoway.well("resume", PAIR).out

    cycles = {one["status"]: one["cycle"] for one in twoway.well("cycles", "--json").json()["cycles"]}
    done = twoway.run("approve", str(cycles["done"]))
    assert (done.code, "was not held" in done.err) == (1, True)
    twoway.well("approve", str(cycles["held"]))
    assert "9 created in newsletter" in twoway.well("sync", PAIR).out
    late = twoway.run("approve", str(cycles["held"]))
    assert (late.code, "is not halted any more" in late.err) == (1, True)


@pytest.mark.parametrize("since", ["more records", "another mapping"])
def test_the_number_of_a_held_cycle_approves_no_other_plan(twoway: Installation, since: str) -> None:
    first_link(twoway)
    twoway.started()
    enter(twoway, "new", 9)
    assert twoway.run("sync", PAIR).code == 4
    held = twoway.well("cycles", "--json").json()["cycles"][0]["cycle"]
    if since == "more records":
        enter(twoway, "more", 40)
    else:
        mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
        mapping.write_text(MAPPING.replace("conflict: review", "conflict: left"))
    twoway.well("plan", PAIR)
    refused = twoway.run("approve", str(held))
    assert (refused.code, "nothing was approved" in refused.err) == (1, True)
    assert f"`twoway plan {PAIR}`" in refused.err
    assert twoway.run("sync", PAIR).code == 4
    assert "new0@shop.test" not in {one["email_address"] for one in twoway.newsletter.records()}
    twoway.well("approve", PAIR)
    assert f"{9 + 40 * (since == 'more records')} created in newsletter" in twoway.well("sync", PAIR).out


def test_duplicates_are_set_aside_and_looked_at_again(twoway: Installation) -> None:
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    mapping.write_text(MAPPING.replace("match: [email]", "match: [last_name]"))
    ada = twoway.contact(email="ada@shop.test", firstname="Ada", lastname="Lovelace")
    twin = twoway.contact(email="twin@shop.test", firstname="Twin", lastname="Lovelace")
    planned = twoway.well("plan", PAIR).out
    assert "2 records set aside as duplicates\n" in planned
    assert planned.count("\n  set aside  ") == 2
    assert "(last_name): last_name is not unique: also in" in planned
    twoway.started()
    parked = twoway.well("parked", "list").out
    assert f"crm:{ada} (last_name): last_name is not unique: also in crm:{twin}; next try 2" in parked
    assert f"or with `twoway parked retry --record crm:{ada}`" in twoway.well("explain", f"crm:{ada}").out
    strict = twoway.run("sync", PAIR, "--strict")
    assert (strict.code, "2 parked (`twoway parked list`)" in strict.out) == (5, True)
    twoway.edit_contact(twin, lastname="Other")
    assert twoway.well("parked", "retry", "--record", f"crm:{ada}").out.startswith("1 record to be looked at")
    twoway.well("sync", PAIR, "--strict")
    assert twoway.well("parked", "list").out == "nothing is set aside\n"
    assert twoway.well("parked", "retry").out.startswith("0 records")


def test_links_by_hand(twoway: Installation) -> None:
    ada, bob, member = first_link(twoway)
    twoway.started()
    assert f"crm:{bob} is linked to newsletter:{member}" in twoway.well("links", "show", f"crm:{bob}").out
    assert "are no longer linked" in twoway.well("links", "remove", f"newsletter:{member}").out
    assert f"crm:{bob} is not linked" in twoway.well("links", "show", f"crm:{bob}").out
    explained = twoway.well("explain", f"crm:{bob}").out
    assert "unlinked by a person" in explained
    assert "next: it is not touched until it is linked by hand" in explained
    again = twoway.run("links", "remove", f"crm:{bob}")
    assert (again.code, "is not linked" in again.err) == (2, True)

    missing = twoway.run("links", "set", PAIR, f"crm:{bob}", "newsletter:00000000000000000000000000000bad")
    assert (missing.code, "newsletter shows no record" in missing.err) == (2, True)
    taken = twoway.run("links", "set", PAIR, f"crm:{ada}", f"newsletter:{member}")
    assert (taken.code, "remove that link first" in taken.err) == (1, True)
    assert "are linked" in twoway.well("links", "set", PAIR, f"newsletter:{member}", f"crm:{bob}").out
    assert f"crm:{bob} is linked to newsletter:{member}" in twoway.well("links", "show", f"crm:{bob}").out


def test_a_write_without_an_answer_is_told(twoway: Installation) -> None:
    ada = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.well("plan", PAIR)
    twoway.well("approve", PAIR)
    twoway.newsletter.fault("lost_answer", method="POST", path="/3.0/lists/5ad0b0c1d2", times=9)
    assert "1 without an answer" in twoway.well("sync", PAIR).out
    assert "1 write without an answer, to be looked up by the next cycle" in twoway.well("status").out
    explained = twoway.well("explain", f"crm:{ada}").out
    assert "a create in newsletter was sent and not answered: it is looked up before anything else" in explained


def test_a_record_that_nothing_is_known_of(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test")
    twoway.started()
    told = twoway.well("explain", "crm:999").out
    assert "crm:999 is linked to nothing" in told
    assert f"`twoway sync {PAIR} --record crm:999` looks at it now" in told
    answer = twoway.well("explain", "crm:999", "--json").json()["pairs"][0]
    assert (answer["known"], answer["linked_to"], answer["fields"]) == (False, None, [])


def test_a_pause_keeps_a_pair_from_running(twoway: Installation) -> None:
    first_link(twoway)
    twoway.started()
    assert "is paused" in twoway.well("pause", PAIR).out
    paused = twoway.run("sync", PAIR)
    assert (paused.code, f"twoway resume {PAIR}" in paused.err) == (4, True)
    assert twoway.well("sync").out == "crm-newsletter: paused, skipped\n"
    assert f"`twoway resume {PAIR}`" in twoway.well("status").out
    twoway.contact(email="late@shop.test")
    planned = twoway.well("plan", PAIR).out
    assert "crm → newsletter: 1 create" in planned
    assert f"next: nothing, for {PAIR} is paused; `twoway resume {PAIR}` lets it write" in planned
    assert "runs again" in twoway.well("resume", PAIR).out
    twoway.well("sync", PAIR)


def test_one_pair_that_fails_does_not_keep_the_others_from_running(twoway: Installation) -> None:
    ada, _, _ = first_link(twoway)
    twoway.newsletter.add_list("vip0000001", "VIPs")
    vips = MAPPING.replace("pair: crm-newsletter", "pair: crm-vips").replace("audience: Customers", "audience: VIPs")
    (twoway.folder / "pairs" / "a.yaml").write_text(vips)
    twoway.well("plan", PAIR)
    twoway.well("approve", PAIR)
    both = twoway.run("sync")
    assert both.code == 4
    assert "crm-vips is new" in both.err
    assert "crm-newsletter: cycle 1: 1 created in newsletter" in both.out

    told = twoway.well("explain", f"crm:{ada}").out
    assert "crm-newsletter:\n" in told
    assert "crm-vips:\n  " in told
    assert "crm-vips writes nothing before it is approved" in told
    twoway.well("plan", "crm-vips")
    twoway.well("approve", "crm-vips")
    twoway.well("sync", "crm-vips")
    unclear = twoway.run("links", "remove", f"crm:{ada}")
    assert (unclear.code, "--pair" in unclear.err) == (2, True)
    twoway.well("links", "remove", f"crm:{ada}", "--pair", "crm-vips")
    assert "is linked to newsletter:" in twoway.well("links", "show", f"crm:{ada}", "--pair", PAIR).out


def read_everything(record: str) -> dict[str, list[str]]:
    """Every command that reads, by its section in docs/cli.md."""
    return {
        "check": ["check"],
        "plan": ["plan"],
        "sync": ["sync"],
        "status": ["status"],
        "cycles": ["cycles"],
        "history": ["history"],
        "explain": ["explain", record],
        "conflicts": ["conflicts", "list"],
        "parked": ["parked", "list"],
        "links": ["links", "show", record],
        "fields": ["fields", "newsletter", "members", "--option", "audience=Customers"],
        "connectors": ["connectors"],
        "version": ["version"],
    }


_BY_NAME = {"values", "seen_since", "records", "last_known", "seen", "counts", "requests", "secrets", "settings"}


def keys(content: Any) -> set[str]:
    """The keys of a document, but for those that are names of accounts and the like."""
    if isinstance(content, list):
        return {key for each in content for key in keys(each)}
    if not isinstance(content, dict):
        return set()
    inner = {key for name, each in content.items() if name not in _BY_NAME for key in keys(each)}
    return set(content) | inner


def test_every_key_of_every_document_is_documented_and_no_answer_names_a_side(twoway: Installation) -> None:
    ada, bob, _ = first_link(twoway)
    twoway.contact(email="twin@shop.test", firstname="Twin", lastname="Hope")
    twoway.started()
    twoway.edit_contact(ada, lastname="King")
    twoway.well("sync", PAIR)
    twoway.edit_contact(ada, lastname="Byron")
    told: list[Result] = []
    for name, arguments in read_everything(f"crm:{bob}").items():
        plain, machine = twoway.well(*arguments), twoway.well(*arguments, "--json")
        told += [plain, machine]
        section = DOCS.partition(f"### twoway {name}\n")[2].partition("\n### ")[0]
        undocumented = keys(machine.json()) - set(re.findall(r"`(\w+)`", section))
        if name in ("plan", "explain"):
            # They hold what these commands give.
            undocumented -= set(re.findall(r"`(\w+)`", DOCS.partition("### twoway conflicts\n")[2]))
        assert undocumented == set(), name
    shown = twoway.well("conflicts", "show", str(conflict(twoway)["id"]))
    # The keys of a mapping file are named as they are in the file.
    of_file = re.compile(r'pairs/|"key": ')
    lines = [line for one in (*told, shown) for line in (one.out + one.err).splitlines() if not of_file.search(line)]
    assert [line for line in lines if SIDES.search(line)] == []


def test_a_pipe_gets_plain_lines(twoway: Installation) -> None:
    first_link(twoway)
    twoway.started()
    for arguments in read_everything("crm:1").values():
        result = twoway.well(*arguments)
        assert "\x1b" not in result.out + result.err
