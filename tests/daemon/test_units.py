"""The systemd units: what a daemon like this one cannot do without, and what systemd itself thinks of them."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from twoway.config import ConfigError, load
from twoway.config.settings import AccountSection, Settings

_UNITS = Path(__file__).parents[2] / "systemd"
_OPERATIONS = _UNITS.parent / "docs" / "operations.md"
_DAEMON = "twoway.service"
_ONCE = "twoway-sync.service"
_TIMER = "twoway-sync.timer"
_SYSTEMD = shutil.which("systemd-analyze")

Section = dict[str, list[str]]


def _read(unit: str) -> dict[str, Section]:
    """A unit by section and key; keys may come more than once."""
    sections: dict[str, Section] = {}
    section: Section = {}
    for line in (_UNITS / unit).read_text().splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], defaultdict(list))
        elif line and not line.startswith("#"):
            key, equals, value = line.partition("=")
            assert equals, f"{unit}: {line!r} is neither a section, a comment nor an assignment"
            section[key].append(value)
    return sections


def _seconds(span: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|min|h)", span).groups()  # type: ignore[union-attr]  # the test fails if not
    return int(number) * {"s": 1, "min": 60, "h": 3600}[unit]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        pytest.param("Type", ["notify"], id="ready when it says so"),
        pytest.param("NotifyAccess", ["main"], id="an alert command cannot speak for it"),
        pytest.param("Restart", ["always"], id="a worker that returned is started again"),
        pytest.param("RestartPreventExitStatus", ["2"], id="but not with a broken configuration"),
        pytest.param("ExecReload", ["/bin/kill -HUP $MAINPID"], id="reload is SIGHUP"),
        pytest.param("KillMode", ["mixed"], id="the daemon winds its children down"),
    ],
)
def test_the_daemon_is_supervised(key: str, values: list[str]) -> None:
    assert _read(_DAEMON)["Service"][key] == values


def test_the_daemon_has_a_watchdog_and_its_restarts_are_limited() -> None:
    unit = _read(_DAEMON)
    assert 0 < _seconds(unit["Service"]["WatchdogSec"][0]) <= 120
    burst, restart = int(unit["Unit"]["StartLimitBurst"][0]), _seconds(unit["Service"]["RestartSec"][0])
    # The limit can be reached: so many starts, with the pauses between, fit into its interval.
    assert burst * restart < _seconds(unit["Unit"]["StartLimitIntervalSec"][0])


@pytest.mark.parametrize("unit", [_DAEMON, _ONCE])
@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("DynamicUser", ["yes"]),
        ("User", ["twoway"]),
        ("StateDirectory", ["twoway"]),
        ("StateDirectoryMode", ["0700"]),
        ("UMask", ["0077"]),
        ("NoNewPrivileges", ["yes"]),
        ("ProtectSystem", ["strict"]),
        ("ProtectHome", ["yes"]),
        ("ProtectProc", ["invisible"]),
        # With the subset "pid" it would not see the boot, by which it and a command know each other for alive.
        ("ProcSubset", []),
        ("PrivateTmp", ["yes"]),
        ("PrivateDevices", ["yes"]),
        ("CapabilityBoundingSet", [""]),
        ("MemoryDenyWriteExecute", ["yes"]),
        ("RestrictAddressFamilies", ["AF_INET AF_INET6 AF_UNIX"]),
        ("SystemCallFilter", ["@system-service", "~@privileged @resources"]),
        ("SystemCallArchitectures", ["native"]),
    ],
)
def test_a_unit_is_hardened(unit: str, key: str, values: list[str]) -> None:
    assert _read(unit)["Service"][key] == values


def test_the_services_credential_goes_before_the_file_that_only_root_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One configuration for the service and for the commands that a person types, as docs/operations.md gives it."""
    told = re.search(r"(?s)```\n(accounts:.*?)```", _OPERATIONS.read_text())
    assert told is not None
    (tmp_path / "config.yaml").write_text(told[1])
    (tmp_path / "pairs").mkdir()
    (tmp_path / "accounts__crm__token").write_text("s3cr3t\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/twoway")
    service = load(tmp_path / "config.yaml")
    assert service.secrets("crm") == {"token": "s3cr3t"}
    monkeypatch.delenv("STATE_DIRECTORY")
    assert load(tmp_path / "config.yaml").settings.state.path == service.settings.state.path
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ConfigError, match=r"crm\.secrets\.token_file: the file cannot be read"):
        load(tmp_path / "config.yaml")


@pytest.mark.parametrize("unit", [_DAEMON, _ONCE])
def test_secrets_come_as_credentials_and_never_by_the_environment(unit: str) -> None:
    service = _read(unit)["Service"]
    assert service["LoadCredential"] == ["alerts__webhook_url"]
    assert not set(service) & {"EnvironmentFile", "PassEnvironment"}
    assert service["Environment"] == ["TWOWAY_CONFIG=/etc/twoway/config.yaml"]


@pytest.mark.parametrize("unit", [_DAEMON, _ONCE])
def test_the_credentials_have_the_names_that_the_settings_read(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / _read(unit)["Service"]["LoadCredential"][0]).write_text("https://chat.example/hook\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    url = Settings(accounts={"crm": AccountSection(app="hubspot")}).alerts.webhook_url
    assert url is not None
    assert url.get_secret_value() == "https://chat.example/hook"


def _others_may_read(mode: str) -> bool:
    """Whether a folder of this mode, or made with it, can be entered and listed by who is neither owner nor group."""
    return int(mode, 8) & 0o005 == 0o005


@pytest.mark.parametrize("unit", [_DAEMON, _ONCE])
def test_the_user_that_systemd_makes_can_read_the_configuration(unit: str) -> None:
    service = _read(unit)["Service"]
    # Of all its folders this is the one that systemd leaves to root: systemd.exec(5), ConfigurationDirectory=.
    assert service["DynamicUser"] == ["yes"]
    assert [_others_may_read(mode) for mode in service["ConfigurationDirectoryMode"]] == [True]


def test_the_folders_are_made_so_that_it_can_be_read() -> None:
    for text in ((_UNITS / _DAEMON).read_text(), _OPERATIONS.read_text()):
        ((mode, folders),) = re.findall(r"install -d -m (\d+) (/etc/.*?) +#", text)
        assert folders.split() == ["/etc/twoway", "/etc/twoway/pairs"]
        assert _others_may_read(mode)


def test_both_services_are_confined_alike() -> None:
    running = {"Type", "NotifyAccess", "WatchdogSec", "KillMode", "SuccessExitStatus"}
    running_too = re.compile(r"Exec|Restart|Timeout")

    def confinement(unit: str) -> Section:
        return {
            key: values
            for key, values in _read(unit)["Service"].items()
            if key not in running and not running_too.match(key)
        }

    assert confinement(_DAEMON) == confinement(_ONCE)


def test_the_timer_starts_the_service_of_its_name() -> None:
    assert _read(_ONCE)["Service"]["Type"] == ["oneshot"]
    timer = _read(_TIMER)
    assert timer["Timer"]["OnCalendar"]
    assert timer["Timer"]["Persistent"] == ["yes"]
    assert "Unit" not in timer["Timer"]
    assert (_UNITS / _TIMER).stem == (_UNITS / _ONCE).stem


def _installed(folder: Path) -> None:
    """The units as on a machine where twoway is installed: with a program that is there."""
    for unit in (_DAEMON, _ONCE, _TIMER):
        text, count = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", (_UNITS / unit).read_text())
        assert count == (unit != _TIMER)
        (folder / unit).write_text(text)


def test_systemd_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    _installed(tmp_path)
    if _SYSTEMD is None:
        # Without systemd, the least: every section is one that the kind of unit has.
        for unit, kind in [(_DAEMON, "Service"), (_ONCE, "Service"), (_TIMER, "Timer")]:
            assert set(_read(unit)) <= {"Unit", kind, "Install"}
        return
    units = [str(tmp_path / unit) for unit in (_DAEMON, _ONCE, _TIMER)]
    verdict = subprocess.run([_SYSTEMD, "verify", *units], capture_output=True, text=True, check=False)
    # It exits with 0 on an unknown key; what it says counts. It may speak of other units on the machine, too.
    assert [line for line in verdict.stderr.splitlines() if "twoway" in line] == []
    assert verdict.returncode == 0


def test_systemd_says_so_when_a_key_is_misspelt(tmp_path: Path) -> None:
    if _SYSTEMD is None:
        with pytest.raises(AssertionError):
            assert _read(_DAEMON)["Service"]["ProtectSytem"] == ["strict"]
        return
    _installed(tmp_path)
    broken = tmp_path / _DAEMON
    broken.write_text(broken.read_text().replace("ProtectSystem=", "ProtectSytem="))
    verdict = subprocess.run([_SYSTEMD, "verify", str(broken)], capture_output=True, text=True, check=False)
    assert "ProtectSytem" in verdict.stderr


@pytest.mark.parametrize("unit", [_DAEMON, _ONCE])
def test_systemd_thinks_them_safe(unit: str, tmp_path: Path) -> None:
    if _SYSTEMD is None:
        # Each of these alone keeps the score below 2; together with the table above they are the score.
        service = _read(unit)["Service"]
        assert {"PrivateUsers", "ProtectProc", "RestrictNamespaces", "LockPersonality", "DevicePolicy"} <= set(service)
        return
    _installed(tmp_path)
    verdict = subprocess.run(
        [_SYSTEMD, "security", "--offline=true", "--threshold=20", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 0, verdict.stdout[-2000:]
    assert "Overall exposure level" in verdict.stdout
