"""`twoway selftest` over the example mapping files: without a login or a state, and with faults that it must find."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.cli.setup import Result
from twoway.cli.main import app
from twoway.config.load import load, load_pair
from twoway.config.problems import ConfigError
from twoway.core.model import MARKER, Side
from twoway.ports import Consistency
from twoway.testing import selftest
from twoway.testing.crashes import CASES, DECLARED, MANNERS, Stage, manners
from twoway.testing.planted import faults, planted
from twoway.testing.scenarios import Subject, scenario
from twoway.testing.simulator import Simulator

ROOT = Path(__file__).parents[2]
PAIRS = sorted(file.stem for file in (ROOT / "pairs").glob("*.yaml"))


@pytest.fixture
def examples(home: Path) -> Path:
    """The repository's example configuration, without any of the secrets that it names."""
    shutil.copy(ROOT / "config.example.yaml", home / "config.yaml")
    shutil.copytree(ROOT / "pairs", home / "pairs")
    return home


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["selftest", "--jobs", "1", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def few_cases(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """One scenario and two kinds of app: all of them are tried in tests/engine/test_crashes.py."""
    few = {"update on both sides": CASES["update on both sides"]}
    monkeypatch.setattr(selftest, "CASES", few)
    monkeypatch.setattr(selftest, "manners", lambda subject: manners(subject)[-2:])
    return few


def test_the_example_mappings_hold_without_a_login_or_a_state(examples: Path, few_cases: Mapping[str, Any]) -> None:
    result = run("--histories", "4", "--json")
    assert result.code == 0, result
    told = json.loads(result.out)
    assert [one["pair"] for one in told["pairs"]] == PAIRS
    for one in told["pairs"]:
        assert one["ok"]
        assert one["crashes"]["points"] > 20
        assert one["crashes"]["scenarios"] == [*few_cases]
        assert one["crashes"]["kinds_of_app"] == sorted([[*MANNERS][-1], DECLARED])
        assert one["histories"]["played"] == 4
        assert one["histories"]["edits"] >= 4 * 20
    assert sorted(file.name for file in examples.iterdir()) == ["config.yaml", "pairs"]


@pytest.mark.usefixtures("examples")
def test_a_history_that_is_named_is_played() -> None:
    result = run("--seed", "5", "--histories", "0")
    assert (result.code, result.out) == (2, "")
    assert "leave --histories 0 out" in result.err


@pytest.mark.usefixtures("examples")
def test_it_says_what_it_did_in_two_lines_a_pair(few_cases: Mapping[str, Any]) -> None:
    result = run("crm-helpdesk", "--histories", "1")
    assert result.code == 0, result
    crashed, played = result.out.splitlines()
    assert crashed.startswith("crm-helpdesk: died at each of ")
    assert crashed.endswith(f" points of {len(few_cases)} scenarios with 2 kinds of app: nothing lost, nothing twice")
    assert played.startswith("crm-helpdesk: 1 history (seeds 1..1), ")
    assert ": every promise held, in " in played
    assert result.err == ""


@pytest.mark.usefixtures("examples")
def test_a_broken_promise_is_told_shrunk_and_can_be_played_again() -> None:
    fault = next(one for one in faults() if one.name == "a match is linked as if written")
    with planted(fault):
        result = run("addressbooks", "--seed", "1", "--histories", "2")
        assert result.code == 1
        assert "2 histories (seeds 1..2)" in result.out
        assert "every promise held" not in result.out
        assert "two linked records stayed different, and nobody was told" in result.out
        assert "diverged: " in result.out
        assert "please report it" in result.out
        command = next(line for line in result.out.splitlines() if "the same again" in line)
        assert command.strip().startswith("the same again: twoway selftest addressbooks --seed ")
        again = run("addressbooks", "--seed", command.rsplit(" ", 1)[1], "--json")
    assert again.code == 1
    told = json.loads(again.out)
    assert not told["ok"]
    (pair,) = told["pairs"]
    assert pair["crashes"]["points"] == 0
    (failed,), (shortest,) = pair["histories"]["failed"], pair["histories"]["shortest"]
    assert failed["seed"] == shortest["seed"]
    assert {one.split(":")[0] for one in shortest["violations"]} >= {"diverged"}
    assert shortest["history"][-1].endswith("END")


@pytest.mark.usefixtures("examples")
def test_what_a_crash_breaks_is_told_with_its_place(few_cases: Mapping[str, Any]) -> None:
    fault = next(one for one in faults() if one.name == "a crash leaves a write in flight for ever")
    with planted(fault):
        result = run("crm-helpdesk", "--histories", "0")
    assert result.code == 1
    assert "BROKEN at " in result.out
    assert f"{next(iter(few_cases))}, an app " in result.out
    assert "the same again: twoway selftest crm-helpdesk --histories 0" in result.out


@pytest.mark.usefixtures("examples")
def test_a_pair_that_there_is_not() -> None:
    result = run("crm-newslettr", "--histories", "1")
    assert result.code == 2
    assert "there is no pair named 'crm-newslettr'" in result.err
    assert "crm-newsletter" in result.err


def test_a_broken_mapping_file_is_refused_as_everywhere(examples: Path) -> None:
    file = examples / "pairs" / "crm-helpdesk.yaml"
    file.write_text(file.read_text().replace("type: phone", "type: fone"))
    result = run("--histories", "1")
    assert result.code == 2
    assert "crm-helpdesk.yaml" in result.err


def test_files_of_secrets_are_read_for_everything_else(examples: Path) -> None:
    assert sorted(load(examples / "config.yaml", logins=False).pairs) == PAIRS
    with pytest.raises(ConfigError):
        load(examples / "config.yaml")


def test_what_connectors_declare_is_known_without_a_login() -> None:
    pair = load_pair(ROOT / "pairs" / "crm-newsletter.yaml")
    found = selftest.declared("mailchimp", {}, pair.mapping.right, pair.spec)
    assert found is not None
    assert found.find is Consistency.CONSISTENT
    assert MARKER not in found.find_fields
    assert selftest.declared("nobody knows it", {}, pair.mapping.right, pair.spec) is None


def test_values_of_the_scope_are_found_by_trial() -> None:
    subject = Subject(load_pair(ROOT / "pairs" / "crm-newsletter.yaml").spec)
    into, out = (subject.samples.moves(Side.LEFT, into=inside) for inside in (True, False))
    assert {one["lifecycle"] for one in into} >= {"lead", "customer"}
    assert any(one["lifecycle"] is None for one in out)
    assert subject.samples.moves(Side.RIGHT, into=False) == []


def test_an_app_in_memory_has_the_fields_of_the_mapping() -> None:
    subject = Subject(load_pair(ROOT / "pairs" / "addressbooks.yaml").spec)
    stage = Stage(Simulator(scenario(1, subject)), subject)
    stage.enter(1, *Side)
    stage.change(Side.LEFT, 1)
    (office,), (home,) = (app.live().values() for app in stage.apps.values())
    assert {one["type"] for one in office["phones"]} >= {"cell", "work"}
    assert office["emails"][0]["value"] == home["email"]
    assert sum(office[name] != home[name] for name in ("fn", "org", "note")) == 1
