"""The acts of the demo, in order. Each ends by looking into the apps themselves."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from twoway.cli.demo import people
from twoway.cli.demo.stage import AUDIENCE, Failed, Stage, stage

NEWCOMERS = 40


def run() -> int:
    """Play the demo; the exit code."""
    console = Console(highlight=False)
    began = time.monotonic()
    try:
        with stage(console) as found:
            for act in (
                _before,
                _first_link,
                _helpdesk,
                _edits,
                _conflict_decided,
                _conflict_reviewed,
                _undo,
                _kill,
                _quiet,
            ):
                act(found)
    except Failed as error:
        console.print(f"\n[bold red]The demo failed:[/] {error}")
        return 1
    console.print(f"\n[bold]That was twoway[/], in {time.monotonic() - began:.0f} s. Next: README.md, docs/mapping.md.")
    return 0


def _title(stage: Stage, text: str) -> None:
    stage.console.print()
    stage.console.rule(f"[bold cyan]{text}")


def _say(stage: Stage, text: str) -> None:
    stage.console.print(f"[cyan]» {text}[/]", soft_wrap=True)


def _logs(stage: Stage, since: Mapping[str, int]) -> dict[str, Counter[str]]:
    """Tell what the apps' own logs have recorded of us; the counts by app and kind."""
    counts = {app: Counter(entry["kind"] for entry in entries) for app, entries in stage.written(since).items()}
    for app, kinds in counts.items():
        told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "no write"
        _say(stage, f"by {app}'s own log: {told}")
    return counts


def _insist(condition: object, otherwise: str) -> None:
    if not condition:
        raise Failed(otherwise)


# -- looking into the apps


def _contact(stage: Stage, email: str) -> dict[str, Any]:
    found = [r for r in stage.records("hubspot") if (r["properties"].get("email") or "").lower() == email.lower()]
    _insist(len(found) == 1, f"{len(found)} contacts have the address {email}")
    return found[0]


def _member(stage: Stage, email: str) -> dict[str, Any]:
    found = [r for r in stage.records("mailchimp") if r["email_address"].lower() == email.lower()]
    _insist(len(found) == 1, f"{len(found)} members have the address {email}")
    return found[0]


def _user(stage: Stage, email: str) -> dict[str, Any]:
    found = [r for r in stage.records("zendesk") if (r.get("email") or "").lower() == email.lower()]
    _insist(len(found) == 1, f"{len(found)} users have the address {email}")
    return found[0]


def _edit_member(stage: Stage, email: str, **fields: Any) -> None:
    stage.human("mailchimp", kind="update", id=_member(stage, email)["contact_id"], collection=AUDIENCE, fields=fields)


def _edit_contact(stage: Stage, email: str, **fields: Any) -> None:
    stage.human("hubspot", kind="update", id=_contact(stage, email)["id"], fields=fields)


def _sync_until(stage: Stage, what: str, condition: Any, *pairs: str) -> None:
    """Sync as often as it takes: what a person has just edited shows in an app's listings only after a moment."""
    shown = False

    def once() -> bool:
        nonlocal shown
        for pair in pairs:
            stage.type("sync", pair, lines=3) if not shown else stage.quietly("sync", pair)
        shown = True
        return bool(condition())

    stage.until(what, once)


# -- the acts


def _before(stage: Stage) -> None:
    _title(stage, "Three apps, one customer base")
    counts = {app: len(stage.records(app)) for app in stage.urls}
    _insist(
        counts == {"hubspot": people.CONTACTS, "mailchimp": people.MEMBERS, "zendesk": people.USERS},
        f"the apps were not filled as they should be: {counts}",
    )
    _say(stage, f"the CRM has {counts['hubspot']} contacts, the newsletter {counts['mailchimp']} members,")
    _say(stage, f"the helpdesk {counts['zendesk']} users. Many are the same people, written differently.")
    stage.type("check")


def _first_link(stage: Stage) -> None:
    _title(stage, "CRM ↔ newsletter: a plan first, then the first cycle")
    stage.type("plan", "crm-newsletter", lines=18)
    before = stage.mark()
    stage.type("approve", "crm-newsletter")
    stage.type("sync", "crm-newsletter")
    counts = _logs(stage, before)
    _insist(counts["hubspot"]["create"] == people.MEMBERS - people.SHARED_MEMBERS, "wrong number of new contacts")
    _insist(_member(stage, "person57@example.com")["status"] == "unsubscribed", "an opt-out did not arrive")
    _insist(
        _contact(stage, "person20@example.com")["properties"]["newsletter_optout"] == "true",
        "an opt-out did not arrive",
    )
    _say(stage, "who had opted out on either side has now opted out on both; nobody was opted in")


def _helpdesk(stage: Stage) -> None:
    _title(stage, "CRM ↔ helpdesk: the same contacts, a second pair")
    stage.type("plan", "crm-helpdesk", lines=18)
    before = stage.mark()
    stage.type("approve", "crm-helpdesk")
    stage.type("sync", "crm-helpdesk")
    _logs(stage, before)
    stage.type("parked", "list")
    _say(stage, "one phone number is none, and two contacts may be one user: set aside, and never guessed at")
    strangers = people.USERS - people.SHARED_USERS - 1
    _sync_until(
        stage,
        "the helpdesk's own users reaching the newsletter",
        lambda: len(stage.records("mailchimp")) >= people.MEMBERS + strangers + 98,
        "crm-newsletter",
    )
    _say(stage, f"the {strangers} users that only the helpdesk knew are contacts and members now: a hub of two pairs")


def _edits(stage: Stage) -> None:
    _title(stage, "People edit, on every side")
    _edit_contact(stage, "person11@example.com", phone="+14155557001")
    _edit_member(stage, "person12@example.com", merge_fields={"NAME": "Renamed Twelve"})
    stage.human(
        "zendesk", kind="update", id=_user(stage, "person13@example.com")["id"], fields={"phone": "+14155557003"}
    )
    _say(stage, "a phone in the CRM, a name in the newsletter, and a phone in the helpdesk")
    _sync_until(
        stage,
        "the edits' arrival",
        lambda: (
            _member(stage, "person11@example.com")["merge_fields"]["PHONE"] == "+14155557001"
            and _contact(stage, "person12@example.com")["properties"]["firstname"] == "Renamed"
            and _member(stage, "person13@example.com")["merge_fields"]["PHONE"] == "+14155557003"
        ),
        "crm-helpdesk",
        "crm-newsletter",
    )
    _say(stage, "all three have arrived: the helpdesk's edit reached the newsletter through the CRM")
    stage.type("history", "--limit", "4")


def _conflict_decided(stage: Stage) -> None:
    _title(stage, "The same name edited on both sides: a rule decides")
    _edit_contact(stage, "person30@example.com", firstname="Crm", lastname="Wins")
    _edit_member(stage, "person30@example.com", merge_fields={"NAME": "Newsletter Loses"})
    _wait_for_index(stage)
    _sync_until(
        stage,
        "the conflict's decision",
        lambda: _member(stage, "person30@example.com")["merge_fields"]["NAME"] == "Crm Wins",
        "crm-newsletter",
    )
    stage.type("history", "--field", "name", "--limit", "1")
    _say(stage, "`conflict: left` in the mapping decided; the loser's value is in the history")


def _conflict_reviewed(stage: Stage) -> None:
    _title(stage, "The same phone edited on both sides: a person decides")
    _edit_contact(stage, "person31@example.com", phone="+14155557310")
    _edit_member(stage, "person31@example.com", merge_fields={"PHONE": "+14155557311"})
    _wait_for_index(stage)
    _sync_until(stage, "the conflict", stage.conflicts, "crm-newsletter")
    stage.type("conflicts", "list")
    number = str(stage.conflicts()[0]["id"])
    stage.type("conflicts", "resolve", number, "--use", "newsletter")
    _sync_until(
        stage,
        "the decision's arrival",
        lambda: _contact(stage, "person31@example.com")["properties"]["phone"] == "+14155557311",
        "crm-newsletter",
    )


def _undo(stage: Stage) -> None:
    _title(stage, "Taking a cycle back")
    _edit_contact(stage, "person40@example.com", firstname="Wrong", lastname="Import")
    old = _member(stage, "person40@example.com")["merge_fields"]["NAME"]
    _wait_for_index(stage)
    _sync_until(
        stage,
        "the edit's arrival",
        lambda: _member(stage, "person40@example.com")["merge_fields"]["NAME"] == "Wrong Import",
        "crm-newsletter",
    )
    cycle = stage.read("history", "--field", "name", "--limit", "1")["history"][0]["cycle"]
    stage.type("undo", str(cycle), "--yes")
    _insist(_member(stage, "person40@example.com")["merge_fields"]["NAME"] == old, "the undo did not put the name back")
    stage.type("sync", "crm-newsletter", lines=3)
    _insist(_member(stage, "person40@example.com")["merge_fields"]["NAME"] == old, "the undo was undone")
    _say(stage, f"the newsletter has the old name again, and keeps it: {old}")


def _kill(stage: Stage) -> None:
    _title(stage, "kill -9 in the middle of writing")
    before = stage.mark()
    for number in range(NEWCOMERS):
        fields = {"email": f"new{number}@example.com", "firstname": "New", "lastname": f"Comer-{number}"}
        stage.human("hubspot", kind="create", fields={**fields, "lifecyclestage": "lead"})
    _wait_for_index(stage)
    slow = {"kind": "latency", "applied": True, "seconds": 10, "method": "POST", "path": "/lists/[^/]+$"}
    stage.ask("mailchimp", "/_sandbox/faults", slow)
    process = stage.start("sync", "crm-newsletter")
    stage.until("the batch of new members", lambda: _created(stage, before) == NEWCOMERS)
    process.kill()
    process.wait()
    _say(stage, f"killed: the newsletter has made all {NEWCOMERS} members, and twoway has not heard of it")
    _sync_until(stage, "the recovery", lambda: not stage.in_doubt(), "crm-newsletter")
    _insist(_created(stage, before) == NEWCOMERS, "a member was created twice")
    for number in (0, NEWCOMERS - 1):
        _member(stage, f"new{number}@example.com")
    _say(stage, f"recovered: {_created(stage, before)} members were created in all, each of them once")


def _created(stage: Stage, since: Mapping[str, int]) -> int:
    return sum(entry["kind"] == "create" for entry in stage.written(since)["mailchimp"])


def _quiet(stage: Stage) -> None:
    _title(stage, "And when nothing has changed")
    stage.quietly("sync", "crm-helpdesk")
    stage.quietly("sync", "crm-newsletter")
    before = stage.mark()
    stage.type("sync")
    written = _logs(stage, before)
    _insist(not any(kinds for kinds in written.values()), "a cycle with nothing to do has written something")
    stage.type("status")


def _wait_for_index(stage: Stage) -> None:
    """Both edits of a conflict are to be seen by one and the same cycle: the CRM's search shows them after a second."""
    end = time.monotonic() + 1.3
    stage.until("a second", lambda: time.monotonic() > end)
