"""What people are told of how cycles end."""

import io
from collections.abc import Mapping as PlainMapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.daemon.fakes import HandClock, run
from tests.daemon.stage import COPY, CRM
from twoway.config.load import load_pair
from twoway.config.problems import ConfigError, Problem
from twoway.core.mapping import Mapping
from twoway.core.plan import Totals
from twoway.daemon.alerts import Alerts, DeliveryFailed
from twoway.daemon.logs import configure
from twoway.daemon.outcomes import Outcomes
from twoway.engine.cycle import Ending, Report
from twoway.engine.lease import PairBusy
from twoway.engine.service import Held, Paused
from twoway.sdk.errors import AccountRefused, ConnectorError, QuotaSpent, TellUser, TryLater
from twoway.state.errors import LeaseLost, StateFull


class Desk:
    """Outcomes of one pair, with the alerts and the lines of the log that they made."""

    def __init__(self, mapping: Mapping) -> None:
        self.alerts: list[tuple[str, str]] = []
        self.reachable = True
        self.mapping = mapping
        self._log = io.StringIO()
        configure(level="debug", stream=self._log)
        self.outcomes = Outcomes(Alerts(self._deliver), HandClock())

    async def _deliver(self, alert: bytes) -> None:
        if not self.reachable:
            raise DeliveryFailed("the pager is off")
        told = orjson.loads(alert)
        self.alerts.append((told["alert"], told["subject"]))

    def raised(self, error: Exception, *, snapshot: bool = False) -> None:
        run(self.outcomes.raised(self.mapping.pair, error, snapshot=snapshot))

    def ran(
        self,
        error: ConnectorError | None = None,
        reasons: tuple[str, ...] = (),
        counts: PlainMapping[str, int] | None = None,
        *,
        snapshot: bool = False,
    ) -> None:
        ending = Ending.FAILED if error else Ending.HELD if reasons else Ending.DONE
        report = Report(self.mapping.pair, 7, ending, dict(counts or {}), Totals(), reasons, error)
        run(self.outcomes.ran(report, self.mapping, snapshot=snapshot))

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self._log.getvalue().splitlines()]


def _mapping(folder: Path, text: str) -> Mapping:
    file = folder / "pair.yaml"
    file.write_text(text)
    return load_pair(file).mapping


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(_mapping(tmp_path, CRM))


def _refused(account: str | None) -> AccountRefused:
    error = AccountRefused("the login was refused")
    error.account = account
    return error


@pytest.mark.parametrize(
    ("error", "alert"),
    [
        pytest.param(Held("it is new", "approve it"), ("halted", "crm-newsletter"), id="it waits for approval"),
        pytest.param(_refused("crm"), ("account_refused", "crm"), id="a login is refused"),
        pytest.param(_refused(None), ("failing", "crm-newsletter"), id="a login is refused, of nobody knows whom"),
        pytest.param(TellUser("a wrong host"), ("failing", "crm-newsletter"), id="set up wrongly"),
        pytest.param(
            ConfigError([Problem("f", 1, 1, "fields", "no such field")]), ("failing", "crm-newsletter"), id="a mapping"
        ),
        pytest.param(StateFull("full", "Make room"), ("failing", "crm-newsletter"), id="the disk is full"),
        pytest.param(KeyError("ada@example.com"), ("failing", "crm-newsletter"), id="a fault of ours"),
        pytest.param(TryLater("busy"), None, id="it passes by itself"),
        pytest.param(QuotaSpent("no more today"), None, id="it passes at midnight"),
        pytest.param(Paused("a person paused it", "resume it"), None, id="a person paused it"),
        pytest.param(PairBusy("crm-newsletter", "process 1", 2), None, id="another process works on it"),
        pytest.param(LeaseLost("taken over", "Nothing to do"), None, id="another process took it over"),
    ],
)
def test_a_person_is_called_once_where_one_is_needed(
    desk: Desk, error: Exception, alert: tuple[str, str] | None
) -> None:
    for _ in range(3):
        desk.raised(error)
    assert desk.alerts == ([] if alert is None else [alert])
    assert desk.outcomes.told("crm-newsletter", desk.mapping) == (alert is not None)
    desk.ran()
    assert not desk.outcomes.told("crm-newsletter", desk.mapping)
    desk.raised(error)
    assert desk.alerts == ([] if alert is None else [alert, alert])


def test_a_pair_that_is_held_again_after_an_approval_is_told_again(desk: Desk) -> None:
    desk.ran(reasons=("31 deletes",))
    desk.raised(Held("halted: 31 deletes", "approve it"))
    assert len(desk.alerts) == 1
    desk.ran(reasons=("40 deletes",))
    assert desk.alerts == [("halted", "crm-newsletter")] * 2


def test_a_pair_that_is_no_longer_held_but_fails_is_not_taken_for_told(desk: Desk) -> None:
    desk.ran(reasons=("31 deletes",))
    desk.ran(error=TryLater("busy"))
    assert not desk.outcomes.told("crm-newsletter", desk.mapping)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(TryLater("busy"), id="an app does not answer, when it is asked for its fields"),
        pytest.param(PairBusy("crm-newsletter", "process 1", 2), id="another process works on it"),
        pytest.param(LeaseLost("taken over", "Nothing to do"), id="another process took it over"),
    ],
)
def test_a_pair_that_was_approved_and_does_not_get_to_run_is_not_taken_for_told(desk: Desk, error: Exception) -> None:
    desk.raised(Held("halted: 31 deletes", "approve it"))
    desk.raised(Paused("a person paused it", "resume it"))
    assert desk.outcomes.told("crm-newsletter", desk.mapping)
    desk.raised(error)
    assert not desk.outcomes.told("crm-newsletter", desk.mapping)
    assert desk.alerts == [("halted", "crm-newsletter")]


def test_a_fault_of_ours_is_told_with_its_place_and_without_its_words(desk: Desk) -> None:
    try:
        raise KeyError("ada lovelace")  # noqa: TRY301 - for the traceback
    except KeyError as error:
        desk.raised(error)
    (line,) = desk.lines()
    assert (line["event"], line["kind"], line["level"]) == ("unexpected", "KeyError", "error")
    assert line["places"][-1].startswith("test_outcomes.py:")
    assert "lovelace" not in str(desk.lines())


def test_a_pair_that_waits_is_told_when_it_begins_to(desk: Desk) -> None:
    for reason in ("a", "a", "b", "b"):
        desk.raised(Paused(reason, "resume it"))
    assert [line["reason"] for line in desk.lines()] == ["a. resume it", "b. resume it"]
    desk.ran()
    desk.raised(Paused("b", "resume it"))
    assert [line["event"] for line in desk.lines()] == ["waiting", "waiting", "nothing_changed", "waiting"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (CRM, {"created_newsletter": 2, "updated_crm": 1, "linked": 3}),
        (COPY, {"created_newsletter_right": 2, "updated_newsletter_left": 1, "linked": 3}),
    ],
    ids=["two accounts", "one account"],
)
def test_counts_name_the_accounts(tmp_path: Path, text: str, names: dict[str, int]) -> None:
    desk = Desk(_mapping(tmp_path, text))
    desk.ran(counts={"created right": 2, "updated left": 1, "linked": 3, "failed": 0})
    (line,) = desk.lines()
    assert {name: line[name] for name in names} == names
    assert "failed" not in line


def test_a_pair_that_was_taken_away_is_forgotten(desk: Desk) -> None:
    desk.raised(TellUser("a wrong host"))
    run(desk.outcomes.snapshot_stalled("crm-newsletter", 5))
    desk.raised(TellUser("listing is forbidden"), snapshot=True)
    desk.outcomes.forget("crm-newsletter")
    desk.raised(TellUser("listing is forbidden"), snapshot=True)
    run(desk.outcomes.snapshot_stalled("crm-newsletter", 5))
    assert len(desk.alerts) == 4


def test_a_snapshot_that_fails_again_and_again_between_changes_that_succeed_is_told_once(desk: Desk) -> None:
    failing = ("failing", "crm-newsletter")
    desk.ran(error=TryLater("busy"), snapshot=True)
    assert desk.alerts == []
    for _ in range(3):
        desk.ran(error=TellUser("listing is forbidden"), snapshot=True)
        desk.raised(KeyError("ada lovelace"), snapshot=True)
        desk.ran()
    assert desk.alerts == [failing]
    assert not desk.outcomes.told("crm-newsletter", desk.mapping), "the changes are well"
    assert "lovelace" not in str(desk.lines())
    desk.raised(TellUser("a wrong host"))
    assert desk.alerts == [failing] * 2, "this is another trouble"
    desk.ran(snapshot=True)
    desk.ran(error=TellUser("listing is forbidden"), snapshot=True)
    assert desk.alerts == [failing] * 3, "it had succeeded in between"


def test_a_failure_of_a_snapshot_that_could_not_be_told_is_told_with_the_next_try(desk: Desk) -> None:
    desk.reachable = False
    desk.ran(error=TellUser("listing is forbidden"), snapshot=True)
    desk.reachable = True
    desk.ran(error=TellUser("listing is forbidden"), snapshot=True)
    assert desk.alerts == [("failing", "crm-newsletter")]


def test_a_login_that_is_refused_to_snapshots_only_is_told_once(desk: Desk) -> None:
    for _ in range(3):
        desk.ran(error=_refused("crm"), snapshot=True)
        desk.ran()
    assert desk.alerts == [("account_refused", "crm")]


def test_a_snapshot_that_is_held_is_told_each_time(desk: Desk) -> None:
    desk.ran(error=TellUser("listing is forbidden"), snapshot=True)
    desk.ran(reasons=("31 deletes",), snapshot=True)
    desk.ran(reasons=("40 deletes",), snapshot=True)
    assert desk.alerts == [("failing", "crm-newsletter")] + [("halted", "crm-newsletter")] * 2


def test_a_stalled_snapshot_is_told_once_however_the_changes_go(desk: Desk) -> None:
    stalled = ("stalled", "crm-newsletter")
    for _ in range(3):
        run(desk.outcomes.snapshot_stalled("crm-newsletter", 5))
        desk.ran()
    assert desk.alerts == [stalled]
    assert "snapshot" in desk.lines()[0]["reason"]
    desk.outcomes.snapshot_is_fresh("crm-newsletter")
    run(desk.outcomes.snapshot_stalled("crm-newsletter", 5))
    assert desk.alerts == [stalled] * 2
    run(desk.outcomes.stalled("crm-newsletter", 5))
    assert desk.alerts == [stalled] * 3, "the changes are stalled besides"
