"""What goes wrong: the message says what, where and how to mend it, and the exit code says which kind it is."""

import json
import os
import pty
import socket
import sqlite3
import subprocess
import sys
from functools import partialmethod
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.setup import PAIR, Installation
from twoway.cli.main import app
from twoway.daemon.clock import SystemClock
from twoway.daemon.lock import state_lock
from twoway.engine.service import Service
from twoway.sdk import registry
from twoway.state.sqlite import SQLite

LONG = "9" * 30
"""A number that the state cannot hold."""


async def _at_once(_clock: SystemClock, _seconds: float) -> None:
    """Between two attempts at a request."""


def test_a_wrong_token(twoway: Installation) -> None:
    (twoway.folder / "crm.token").write_text("pat-wrong-0000")
    for arguments in (["check"], ["plan", PAIR], ["fields", "crm", "contacts"]):
        result = twoway.run(*arguments)
        assert result.code == 7
        assert "crm" in result.out + result.err
        assert "(401)" in result.out + result.err
        assert "pat-wrong-0000" not in result.out + result.err


@pytest.mark.parametrize("token", ["pat-\u00e4-0000", "pat-0000 "], ids=["a letter that no token has", "a space"])
def test_a_token_that_cannot_be_sent(twoway: Installation, token: str) -> None:
    (twoway.folder / "crm.token").write_text(token)
    before = len(twoway.crm.requests_since())
    result = twoway.run("plan", PAIR)
    assert (result.code, len(twoway.crm.requests_since())) == (7, before)
    assert result.err.startswith("twoway: crm: the account's secret holds a letter that no token has,")
    assert token not in result.err


def test_a_mark_that_an_editor_puts_before_the_token_is_no_part_of_it(twoway: Installation) -> None:
    (twoway.folder / "crm.token").write_text(twoway.crm.text("token"), encoding="utf-8-sig")
    twoway.well("check")


def test_a_broken_connector_that_no_account_uses_is_no_reason_to_stand_still(
    twoway: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [*entry_points(group=registry.GROUP), EntryPoint("acme", "no_such_module:X", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints(points).select(group=group))
    twoway.well("check")
    twoway.started()
    config = twoway.folder / "config.yaml"
    config.write_text(config.read_text().replace("app: mailchimp", "app: acme"))
    used = twoway.run("check")
    assert (used.code, "the connector acme (no_such_module:X) cannot be loaded" in used.err) == (2, True)


def test_an_account_that_refuses_us_is_paused_until_it_is_resumed(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test")
    twoway.started()
    (twoway.folder / "crm.token").write_text("pat-wrong-0000")
    assert twoway.run("sync", PAIR).code == 7
    waiting = twoway.run("sync", PAIR)
    assert waiting.code == 7
    assert "the account crm is paused" in waiting.err
    assert f"`twoway resume {PAIR}` tries it at once" in waiting.err
    assert "crm is paused, tried again 2" in twoway.well("status").out
    (twoway.folder / "crm.token").write_text(twoway.crm.text("token"))
    twoway.well("resume", PAIR)
    twoway.well("sync", PAIR)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:1", id="nothing listens there"),
        pytest.param("https://no-such-host.invalid", id="no such host"),
        pytest.param("{mailchimp}", id="another app answers"),
    ],
)
def test_a_wrong_host(twoway: Installation, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemClock, "sleep", _at_once)
    config = twoway.folder / "config.yaml"
    lines = config.read_text().splitlines()
    mailchimp = next(line for line in lines if "/3.0" in line).split('"')[1].removesuffix("/3.0")
    (crm,) = (n for n, line in enumerate(lines) if "rate: 1000" in line)
    lines[crm] = f'    settings: {{ base_url: "{url.format(mailchimp=mailchimp)}", rate: 1000 }}'
    config.write_text("\n".join(lines))
    checked = twoway.run("check")
    assert checked.code == 7
    assert "crm" in checked.out
    planned = twoway.run("plan")
    assert planned.code == 7
    assert planned.err.startswith(f"{PAIR}:\ntwoway: crm")


def test_a_broken_mapping_file_is_shown_by_line(twoway: Installation) -> None:
    (twoway.folder / "pairs" / f"{PAIR}.yaml").write_text("pair: crm-newsletter\nmatch: [email\n")
    result = twoway.run("status")
    assert result.code == 2
    assert f"pairs/{PAIR}.yaml:" in result.err
    assert "1 problem in the configuration" in result.err


def test_a_field_that_the_app_does_not_have(twoway: Installation) -> None:
    mapping = twoway.folder / "pairs" / f"{PAIR}.yaml"
    mapping.write_text(mapping.read_text().replace("left: lastname", "left: lastnam"))
    result = twoway.run("check")
    assert result.code == 2
    assert "crm-newsletter: not ready" in result.out
    assert "lastnam" in result.out
    assert f"pairs/{PAIR}.yaml:" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["plan", "crm-newsleter"], "did you mean crm-newsletter?", id="a mistyped pair"),
        pytest.param(["sync", "nothing"], "there is no pair named 'nothing'", id="no such pair"),
        pytest.param(["pause", "nothing"], "valid: crm-newsletter", id="no such pair to pause"),
        pytest.param(["cycles", "nothing"], "valid: crm-newsletter", id="no such pair to list"),
        pytest.param(["approve", "99"], "there is no cycle 99", id="no such cycle to approve"),
        pytest.param(["history", "--cycle", "99"], "there is no cycle 99", id="no such cycle of the history"),
        pytest.param(["undo", "99"], "there is no cycle 99", id="no such cycle to undo"),
        pytest.param(["explain", "cmr:1"], "cmr is not an account of any pair", id="no such account"),
        pytest.param(["explain", "crm"], "Write ACCOUNT:ID", id="a record without an id"),
        pytest.param(["explain", "crm:1", "--field", "fon"], "there is no field fon", id="no such field"),
        pytest.param(["history", "--record", "1"], "Write ACCOUNT:ID", id="an id without an account"),
        pytest.param(["sync", "--record", "x:1"], "valid: crm, newsletter", id="a record of no account"),
        pytest.param(["sync", "--record", "crm:1", "--snapshot"], "leave --snapshot out", id="two that exclude"),
        pytest.param(["conflicts", "show", "7"], "there is no conflict 7", id="no such conflict"),
        pytest.param(["conflicts", "resolve", "7"], "--use ACCOUNT", id="no value to resolve by"),
        pytest.param(["links", "set", PAIR, "crm:1", "crm:2"], "both records are in one account", id="one account"),
        pytest.param(["links", "set", PAIR, "crm:1", "helpdesk:2"], "valid: crm:ID", id="an account of another pair"),
        pytest.param(["fields", "cmr", "contacts"], "did you mean crm?", id="no such account to list"),
        pytest.param(["fields", "crm", "people"], "HubSpot has no collection", id="no such collection"),
        pytest.param(["fields", "crm", "contacts", "--option", "x"], "Write KEY=VALUE", id="an option without value"),
        pytest.param(["plan", "--limit", "-1"], "--limit", id="a limit below nothing"),
        pytest.param(["history", "--limit", LONG], "--limit", id="a limit without end"),
        pytest.param(["cycles", "--limit", LONG], "--limit", id="a limit without end of cycles"),
        pytest.param(["history", "--cycle", LONG], "'--cycle': Input should be less", id="a number of no cycle"),
        pytest.param(["undo", LONG], "'CYCLE': Input should be less", id="a number of no cycle to undo"),
        pytest.param(["undo", "--withdraw", LONG], "'CYCLE'", id="a number of no cycle to withdraw"),
        pytest.param(["approve", LONG], f"there is no cycle {LONG}", id="a number of no cycle to approve"),
        pytest.param(["approve", "9" * 12], "there is no cycle 9", id="as long a number as there can be"),
        pytest.param(["approve", "9" * 5000], "there is no cycle", id="a number that is not even read"),
        pytest.param(["conflicts", "show", LONG], "'ID': Input should be less", id="a number of no conflict"),
        pytest.param(["conflicts", "resolve", LONG, "--use", "crm"], "'ID'", id="a number of no conflict to resolve"),
        pytest.param(["links", "remove", "crm:12345678"], "12345678 is not linked", id="no link to remove"),
        pytest.param(["parked", "retry", "--record", "crm:1"], "crm:1 is not set aside", id="nothing to retry"),
    ],
)
def test_what_there_is_not(twoway: Installation, arguments: list[str], message: str) -> None:
    result = twoway.run(*arguments)
    assert result.code == 2, result
    # The library wraps its own messages in a frame.
    assert message in " ".join(result.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        pytest.param("email", "not an address", "the value does not fit email (email)", id="not of the type"),
        pytest.param("email", "", "", id="a blank"),
    ],
)
def test_a_typed_value_must_fit_the_field(twoway: Installation, field: str, text: str, message: str) -> None:
    contact = twoway.contact(email="ada@shop.test", firstname="Ada")
    member = twoway.member("ada@shop.test", FNAME="Ada")
    twoway.started()
    twoway.edit_contact(contact, email="one@shop.test")
    twoway.newsletter.human(kind="update", id=member, fields={"email_address": "two@shop.test"})
    twoway.well("sync", PAIR)
    (found,) = twoway.well("conflicts", "list", "--json").json()["conflicts"]
    assert found["field"] == field
    result = twoway.run("conflicts", "resolve", str(found["id"]), "--value", text)
    assert (result.code, message in result.err) == (2 if message else 0, True)
    wrong = twoway.run("conflicts", "resolve", str(found["id"]), "--use", "helpdesk")
    assert (wrong.code, "valid: crm, newsletter" in wrong.err) == (2, True)


def test_no_configuration_at_all(home: Path) -> None:
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 2
    assert "neither config.yaml nor /etc/twoway/config.yaml exists" in result.stderr
    assert not list(home.iterdir())


def test_the_configuration_is_found_where_it_is_said_to_be(twoway: Installation) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["status"]).exit_code == 0
    elsewhere = twoway.folder / "elsewhere.yaml"
    assert runner.invoke(app, ["status"], env={"TWOWAY_CONFIG": str(elsewhere)}).exit_code == 2
    (twoway.folder / "config.yaml").rename(elsewhere)
    assert runner.invoke(app, ["status"], env={"TWOWAY_CONFIG": str(elsewhere)}).exit_code == 0
    assert runner.invoke(app, ["--config", str(elsewhere), "status"]).exit_code == 0


# -- busy

_HOLDER = """
import sys
from twoway.daemon.clock import SystemClock
from twoway.engine import lease
from twoway.state.store import Store
store = Store(sys.argv[1], "00")
held = lease.take(store, store.pairs.get("crm-newsletter").id, "crm-newsletter", lease.this_process(), SystemClock())
print("held", flush=True)
sys.stdin.read()
"""


def holder(twoway: Installation) -> subprocess.Popen[str]:
    """Another process that works on the pair until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(twoway.folder / "twoway.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")


def test_a_pair_that_is_busy_elsewhere(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test")
    twoway.started()
    process = holder(twoway)
    try:
        result = twoway.run("sync", PAIR)
        assert result.code == 6
        assert f"process {process.pid} on {socket.gethostname()} is working on it" in result.err
        assert f"being worked on by process {process.pid}" in twoway.well("status").out
        twoway.well("plan", PAIR)
    finally:
        end(process)
    twoway.well("sync", PAIR)


def test_waiting_for_a_pair_that_is_busy(twoway: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    twoway.contact(email="ada@shop.test")
    twoway.started()
    process = holder(twoway)
    waits = []

    async def until_it_ends(_clock: SystemClock, seconds: float) -> None:
        waits.append(seconds)
        end(process)

    monkeypatch.setattr(SystemClock, "sleep", until_it_ends)
    twoway.well("sync", PAIR, "--wait")
    assert waits == [1.0]


def test_a_second_daemon_is_refused(twoway: Installation) -> None:
    with state_lock(twoway.folder / "twoway.db"):
        result = twoway.run("run")
    assert result.code == 6
    assert f"process {os.getpid()} holds the lock" in result.err


# -- the state


def test_a_state_that_another_process_has_locked(twoway: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    twoway.well("status")
    monkeypatch.setattr(SQLite, "__init__", partialmethod(SQLite.__init__, busy_seconds=0.01))
    with sqlite3.connect(twoway.folder / "twoway.db") as other:
        other.execute("BEGIN IMMEDIATE")
        result = twoway.run("pause", PAIR)
    assert result.code == 1
    assert "is locked by another process" in result.err
    assert "fuser" in result.err


def _damaged(path: Path) -> None:
    path.write_bytes(b"this is no database at all, but long enough to be taken for one" * 100)


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as state:
        state.execute("UPDATE alembic_version SET version_num = '9999'")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message", "remedy"),
    [
        pytest.param(_damaged, "is damaged, or is no state file", "put back the last backup", id="damaged"),
        pytest.param(_newer, "by a later version of twoway", "Install that version again", id="newer"),
        pytest.param(_folder, "could not be opened", "that this user may write there", id="no file"),
    ],
)
def test_a_state_that_cannot_be_used(twoway: Installation, spoil: object, message: str, remedy: str) -> None:
    twoway.well("status")
    for path in twoway.folder.glob("twoway.db-*"):
        path.unlink()
    assert callable(spoil)
    spoil(twoway.folder / "twoway.db")
    for arguments in (["status"], ["sync", PAIR], ["history"]):
        result = twoway.run(*arguments)
        assert result.code == 1, result
        assert message in result.err
        assert remedy in result.err


def test_a_state_in_a_folder_that_is_not_there(twoway: Installation) -> None:
    config = twoway.folder / "config.yaml"
    config.write_text(config.read_text() + "state: { path: nowhere/twoway.db }\n")
    result = twoway.run("status")
    assert result.code == 1
    assert "Check that its folder exists" in result.err


# -- faults of our own


def test_an_unexpected_fault_is_told_without_what_it_holds(
    twoway: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ada@shop.test")

    monkeypatch.setattr(Service, "plan", broken)
    result = twoway.run("plan", PAIR)
    assert result.code == 1
    assert "unexpected: RuntimeError in test_wrong.py:" in result.err
    assert "Traceback" not in result.err
    assert "ada@shop.test" not in result.err
    verbose = twoway.run("--verbose", "plan", PAIR)
    assert verbose.code == 1
    assert "Traceback" in verbose.err


def test_every_step_is_logged_where_it_is_asked_for(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test", firstname="Ada")
    for command in ("plan", "approve"):
        twoway.well(command, PAIR)
    result = twoway.run("--verbose", "sync", PAIR)
    assert result.code == 0
    for step in ("before crm.snapshot", "before newsletter.apply:create", "after newsletter.apply:create"):
        assert step in result.err
    assert "ada@shop.test" not in result.err
    assert twoway.run("sync", PAIR).err == ""


# -- as a program of its own


def as_program(*arguments: str) -> list[str]:
    """`twoway ARGUMENTS` as a process of its own."""
    return [sys.executable, "-c", "from twoway.cli.main import main; main()", *arguments]


def test_a_reader_that_has_seen_enough() -> None:
    child = subprocess.Popen(as_program("connectors", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    errors = child.stderr.read().decode()
    child.stderr.close()
    child.wait()
    assert "Traceback" not in errors
    assert "unexpected" not in errors


def test_what_was_asked_for_is_done_though_the_reader_has_seen_enough(twoway: Installation) -> None:
    contact = twoway.contact(email="ada@shop.test", firstname="Ada")
    twoway.started()
    twoway.edit_contact(contact, firstname="Adele")
    number = twoway.well("sync", PAIR, "--json").json()["cycles"][0]["cycle"]
    command = as_program("undo", str(number), "--yes")
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=twoway.folder)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    errors = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), errors) == (0, b"")
    (member,) = twoway.newsletter.records()
    assert member["merge_fields"]["FNAME"] == "Ada"


def test_the_help_needs_neither_database_nor_engine(home: Path) -> None:
    script = (
        "import sys, json\nfrom twoway.cli.main import main\n"
        "sys.argv = ['twoway', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=home)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"sqlalchemy", "alembic", "pydantic", "httpx", "phonenumbers", "ruamel", "structlog"})


def test_the_status_needs_no_engine(twoway: Installation) -> None:
    script = (
        "import sys, json\nfrom twoway.cli.main import main\n"
        "sys.argv = ['twoway', 'status']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=twoway.folder)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded.isdisjoint({"httpx", "structlog", "twoway.engine.service"})


def test_the_daemon_runs_until_it_is_told_to_stop(twoway: Installation) -> None:
    child = subprocess.Popen(as_program("run"), stderr=subprocess.PIPE, cwd=twoway.folder, text=True)
    assert child.stderr is not None
    assert any('"started"' in line for line in child.stderr)
    child.terminate()
    child.communicate()
    assert child.returncode == 0


def test_progress_is_shown_on_a_terminal_and_kept_out_of_the_answer(twoway: Installation) -> None:
    twoway.contact(email="ada@shop.test")
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        as_program("plan", "--json"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=twoway.folder,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        # How Linux tells the end of a terminal.
        pass
    finally:
        os.close(ours)
    out, _ = child.communicate()
    assert child.returncode == 0
    assert b"crm: " in shown
    assert json.loads(out)["plans"][0]["pair"] == PAIR
