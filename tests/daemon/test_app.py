"""The daemon as operators run it: a process, signals, systemd's socket, two apps over HTTP, alerts, a log."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.daemon.stage import COPY, COPY_LIST, CRM, TOKENS, Daemon, Stage, stage


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def test_it_starts_carries_edits_over_tells_systemd_and_ends_with_nothing_secret_in_its_log(place: Stage) -> None:
    place.contact(email="wilhelmina@tudor.example", firstname="Wilhelmina")
    place.pair(CRM)
    with place.daemon(watchdog=1) as daemon:
        assert daemon.notices[0] == "READY=1\nSTATUS=1 pairs"
        daemon.until("the contact has arrived", lambda: place.members() == {"wilhelmina@tudor.example": "Wilhelmina"})
        place.ask(
            "mailchimp",
            "human",
            {"kind": "update", "id": "wilhelmina@tudor.example", "fields": {"merge_fields": {"FNAME": "Ermintrude"}}},
        )
        daemon.until(
            "an edit has come back",
            lambda: (
                place.ask("hubspot", "records?collection=contacts")["records"][0]["properties"]["firstname"]
                == "Ermintrude"
            ),
        )
        daemon.until("the watchdog is fed", lambda: len(daemon.noticed("WATCHDOG=1")) > 1)
        assert daemon.stop() == 0
    assert daemon.noticed("STOPPING=1") == [
        "STOPPING=1\nSTATUS=finishing what is under way\nEXTEND_TIMEOUT_USEC=40000000"
    ]
    assert [daemon.events(name) != [] for name in ("started", "cycle", "stopping", "stopped")] == [True] * 4
    assert {line["pair"] for line in daemon.events("cycle")} == {"crm-newsletter"}
    assert any(line.get("updated_crm") for line in daemon.events("cycle"))
    assert all(orjson.loads(line)["event"] for line in daemon.lines)
    log = "\n".join(daemon.lines).lower()
    for secret in ("wilhelmina", "ermintrude", "tudor", *TOKENS.values()):
        assert secret.lower() not in log
    assert place.alerts() == []


def _creating(daemon: Daemon) -> list[int]:
    """How many records each cycle created in the newsletter."""
    return [line["created_newsletter"] for line in daemon.events("cycle") if "created_newsletter" in line]


def test_a_write_under_way_when_the_signal_comes_gets_its_receipt(place: Stage) -> None:
    place.pair(CRM)
    with place.daemon() as daemon:
        place.ask("mailchimp", "faults", {"kind": "latency", "method": "POST", "seconds": 1})
        place.contact(email="ada@example.com", firstname="Ada")
        daemon.until("the write is under way", lambda: place.requests("mailchimp", "POST"))
        assert place.members() == {}
        assert daemon.stop() == 0
    assert place.members() == {"ada@example.com": "Ada"}
    assert _creating(daemon) == [1]
    with place.state() as state:
        assert state.links.count(1) == 1
        assert [row.status for row in state.pairs.cycles()] == ["done"]


def test_a_write_that_outlasts_the_deadline_is_looked_up_by_the_next_daemon_and_not_sent_again(place: Stage) -> None:
    place.configure(grace="0s", lifetime="3s")
    place.pair(CRM)
    with place.daemon() as daemon:
        place.ask("mailchimp", "faults", {"kind": "latency", "method": "POST", "seconds": 2})
        place.contact(email="ada@example.com", firstname="Ada")
        daemon.until("the write is under way", lambda: place.requests("mailchimp", "POST"))
        assert daemon.stop() == 0
    assert daemon.events("cut_short")
    assert place.members() == {}

    def linked() -> bool:
        with place.state() as state:
            return state.links.count(1) == 1

    with place.daemon() as daemon:
        daemon.until("the record is linked", linked)
        assert daemon.stop() == 0
    assert place.members() == {"ada@example.com": "Ada"}
    assert len(place.requests("mailchimp", "POST")) == 1


def test_a_second_daemon_is_refused_and_told_by_whom(place: Stage) -> None:
    place.pair(COPY, approved=False)
    with place.daemon() as daemon:
        with place.process("-m", "twoway") as second:
            _, said = second.communicate(timeout=60)
        assert second.returncode == 6
        assert f"process {daemon.process.pid} holds the lock" in said.decode()
        assert "Only one twoway at a time" in said.decode()
        assert daemon.stop() == 0


def test_a_broken_configuration_is_refused_and_a_good_one_taken_over(place: Stage) -> None:
    place.ask("mailchimp", "human", {"kind": "create", "fields": {"email_address": "ada@example.com"}})
    place.pair(CRM)
    new = place.pair(COPY)
    (place.folder / "pairs" / f"{new}.yaml").unlink()
    with place.daemon() as daemon:
        place.config.write_text(place.config.read_text() + "colour: red\n")
        daemon.signal(signal.SIGHUP)
        refused = daemon.until("the reload is refused", lambda: daemon.events("reload_refused"))
        assert "colour: unknown key" in refused[0]["problems"][0]
        broken = "READY=1\nSTATUS=the new configuration is broken: the old one is in force"
        daemon.until("systemd is told", lambda: broken in daemon.notices)
        mark = place.polls()
        daemon.until("the old pair goes on", lambda: place.polls() > mark + 1)

        place.configure(grace="20s")
        place.pair(COPY, approved=False)
        daemon.signal(signal.SIGHUP)
        daemon.until("systemd is told of both", lambda: "READY=1\nSTATUS=2 pairs" in daemon.notices)
        daemon.until("the new pair runs", lambda: place.members(COPY_LIST) == {"ada@example.com": ""})
        assert len(daemon.noticed("RELOADING=1\nMONOTONIC_USEC=")) == 2
        assert daemon.stop() == 0
    assert [line["pairs"] for line in daemon.events("reloaded")] == [["crm-newsletter", "news-copy"]]
    assert daemon.events("unexpected") == []
    assert place.alerts() == []


def test_a_refused_login_pauses_the_account_and_is_told_once_until_it_is_mended(place: Stage) -> None:
    place.pair(CRM)
    place.pair(COPY)
    refused = {"kind": "wrong_token", "times": 0}
    place.ask("hubspot", "faults", refused)
    with place.daemon() as daemon:
        daemon.until("a person is called", place.alerts)
        with place.state() as state:
            assert list(state.pairs.paused_accounts()) == ["crm"]
        tries = len(place.requests("hubspot", "GET"))
        daemon.until("it is tried again", lambda: len(place.requests("hubspot", "GET")) > tries)
        mark = place.polls()
        daemon.until("the pair without this account goes on", lambda: place.polls() > mark + 1)
        assert [(each["alert"], each["subject"]) for each in place.alerts()] == [("account_refused", "crm")]

        place.ask("hubspot", "faults", {"clear": True})
        place.contact(email="ada@example.com", firstname="Ada")
        daemon.until("it works again", lambda: "ada@example.com" in place.members())
        daemon.until("the cycle has ended", lambda: _creating(daemon))
        place.ask("hubspot", "faults", refused)
        daemon.until("a person is called again", lambda: len(place.alerts()) == 2)
        assert daemon.stop() == 0
    assert TOKENS["hubspot"] not in "\n".join(daemon.lines)


def test_a_pair_that_waits_for_approval_is_told_once_and_runs_when_it_is_given(place: Stage) -> None:
    place.contact(email="ada@example.com", firstname="Ada")
    place.pair(CRM, approved=False)
    place.pair(COPY)
    with place.daemon() as daemon:
        daemon.until("a person is called", place.alerts)
        mark = place.polls()
        daemon.until("the other pair goes on", lambda: place.polls() > mark + 2)
        (alert,) = place.alerts()
        assert (alert["alert"], alert["subject"]) == ("halted", "crm-newsletter")
        assert "is new, and writes nothing before it is approved" in alert["reason"]
        assert "twoway approve crm-newsletter" in alert["remedy"]
        assert [line["pair"] for line in daemon.events("halted")] == ["crm-newsletter"]
        assert place.members() == {}
        place.pair(CRM)
        daemon.until("it runs", lambda: "ada@example.com" in place.members())
        assert daemon.stop() == 0
    assert len(place.alerts()) == 1


def test_a_pair_that_a_person_must_mend_is_told_once_until_it_succeeds(place: Stage) -> None:
    place.pair(CRM)
    elsewhere = {"kind": "error", "status": 404, "times": 0, "method": "POST", "path": "search"}

    def fail_and_mend(daemon: Daemon, count: int) -> None:
        place.ask("hubspot", "faults", elsewhere)
        daemon.until("a person is called", lambda: len(place.alerts()) == count)
        asked = len(place.requests("hubspot", "POST"))
        daemon.until("it is tried again", lambda: len(place.requests("hubspot", "POST")) > asked + 1)
        place.ask("hubspot", "faults", {"clear": True})
        place.contact(email=f"ada{count}@example.com", firstname="Ada")
        daemon.until("it succeeds", lambda: len(_creating(daemon)) == count)

    with place.daemon() as daemon:
        fail_and_mend(daemon, 1)
        fail_and_mend(daemon, 2)
        assert daemon.stop() == 0
    assert [(each["alert"], each["subject"]) for each in place.alerts()] == [("failing", "crm-newsletter")] * 2
    assert "base_url" in place.alerts()[0]["remedy"]


_HURRIED = """
import sys
from pathlib import Path
from twoway.daemon.app import run
from twoway.daemon.clock import SystemClock, monotonic_usec

class Hurried(SystemClock):
    '''A minute a second, from the first time that it is looked at.'''
    start = None

    def now(self):
        now = super().now()
        self.start = now if self.start is None else self.start
        return self.start + 60 * (now - self.start)

    async def sleep(self, seconds):
        await super().sleep(seconds / 60)

sys.exit(run(Path(sys.argv[2]), Hurried(), lambda: 60 * monotonic_usec()))
"""


def test_a_pair_that_gets_nowhere_for_long_is_told(place: Stage) -> None:
    place.pair(CRM)
    place.ask("hubspot", "faults", {"kind": "error", "status": 503, "times": 0})
    with place.daemon(command=("-c", _HURRIED)) as daemon:
        daemon.until("a person is called", place.alerts)
        assert daemon.stop() == 0
    (alert,) = place.alerts()
    assert (alert["alert"], alert["subject"]) == ("stalled", "crm-newsletter")
    assert "has had no successful cycle for" in alert["reason"]
    assert [line["pair"] for line in daemon.events("stalled")] == ["crm-newsletter"]
    assert daemon.events("failed")


_NIGHTLY = CRM.replace("snapshot: null", 'snapshot: "0 3 * * *"')
_NO_LISTING = {"kind": "error", "status": 503, "times": 0, "method": "GET", "path": "objects/contacts"}
_DAY = 86_400_000


def _listed(place: Stage) -> int:
    """When the pair was last listed completely."""
    with place.state() as state:
        row = state.pairs.get("crm-newsletter")
        return 0 if row is None else row.snapshot_at or 0


def _list_once(place: Stage, *, days_ago: int) -> int:
    """Let a daemon list the pair, and make that so many days old. When it then was."""
    with place.daemon() as daemon:
        daemon.until("it was listed", lambda: _listed(place))
        assert daemon.stop() == 0
    long_ago = _listed(place) - days_ago * _DAY
    with place.state() as state:
        row = state.pairs.get("crm-newsletter")
        assert row is not None
        with state.commit("as if it had been then"):
            state.pairs.snapshot_done(row.id, long_ago)
    return long_ago


def test_a_snapshot_that_was_missed_while_the_daemon_was_down_is_made_up_for(place: Stage) -> None:
    place.pair(_NIGHTLY)
    long_ago = _list_once(place, days_ago=2)
    with place.daemon() as daemon:
        daemon.until("it is listed anew", lambda: _listed(place) > long_ago + _DAY)
        assert daemon.stop() == 0
    assert place.alerts() == []


def test_a_snapshot_that_fails_leaves_the_changes_alone_and_is_told_when_it_is_stalled(place: Stage) -> None:
    place.pair(_NIGHTLY)
    long_ago = _list_once(place, days_ago=5)
    place.ask("hubspot", "faults", _NO_LISTING)
    # Not so hurried that the changes, too, are late by this clock as soon as the machine has other things to do.
    with place.daemon(command=("-c", _HURRIED.replace("60", "6"))) as daemon:
        daemon.until("a person is called", place.alerts)
        place.contact(email="ada@example.com", firstname="Ada")
        daemon.until("an edit is carried over", lambda: "ada@example.com" in place.members())
        assert _listed(place) == long_ago
        assert daemon.stop() == 0
    assert [(each["alert"], each["subject"], each["since"]) for each in place.alerts()] == [
        ("stalled", "crm-newsletter", long_ago)
    ]
    assert "the snapshot of crm-newsletter has not succeeded for" in place.alerts()[0]["reason"]


def test_the_watchdog_is_fed_only_while_the_state_answers(place: Stage) -> None:
    place.pair(COPY, approved=False)
    with place.daemon(watchdog=0.2) as daemon:
        daemon.until("it is fed", lambda: daemon.noticed("WATCHDOG=1"))
        # No file of this process may grow: to the state, the disk is full.
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        daemon.until("it notices", lambda: "STATUS=the state does not answer" in daemon.notices)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        daemon.until("it notices that it is over", lambda: "STATUS=1 pairs" in daemon.notices)
        fed = len(daemon.noticed("WATCHDOG=1"))
        daemon.until("it is fed again", lambda: len(daemon.noticed("WATCHDOG=1")) > fed)
        assert daemon.stop() == 0
    hungry = daemon.notices[daemon.notices.index("STATUS=the state does not answer") :]
    assert hungry[1] == "STATUS=1 pairs", "it was fed in between"
    assert [line["level"] for line in daemon.events("state_does_not_answer")] == ["error"]
