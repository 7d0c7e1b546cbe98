"""Where the configuration is read from: what cannot be read there, and which place a mistake is told of."""

import os
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest

from tests.config.conftest import CONFIG, Told
from tests.config.test_load import APPS
from twoway.config import ConfigError, load


def _shut(folder: Path, ask: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the operating system, as it is for somebody who may not read this folder. (A superuser always may.)"""

    def asked(path: Any = ".") -> Any:
        if Path(path) == folder:
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))
        return ask(path)

    return asked


def test_a_folder_of_mapping_files_that_may_not_be_read_is_not_taken_for_an_empty_one(
    folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in ("listdir", "scandir"):
        monkeypatch.setattr(os, call, _shut(folder / "pairs", getattr(os, call)))
    assert told() == ["pairs: the folder of mapping files (`pairs`) cannot be read: Permission denied"]


def test_a_folder_of_mapping_files_that_is_a_file(folder: Path, told: Told) -> None:
    (folder / "config.yaml").write_text(CONFIG + "pairs: crm.token\n")
    assert told() == ["crm.token: there is no such folder of mapping files (`pairs`)"]


BESIDE = CONFIG + "engine: { window: 500 }\n"
"""A file that is right: what is wrong comes from elsewhere, and goes before it."""


def test_a_variable_that_is_wrong_is_told_by_its_name_though_the_file_has_the_setting_too(
    folder: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "config.yaml").write_text(BESIDE)
    monkeypatch.setenv("TWOWAY_ENGINE__WINDOW", "many")
    (line,) = told()
    assert line.startswith("environment TWOWAY_ENGINE__WINDOW: engine.window: must be a valid integer")


@pytest.fixture
def credentials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of systemd's credentials."""
    (folder / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "credentials"))
    return folder / "credentials"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("engine__window", b"many", "systemd credential engine__window: engine.window: must be a valid integer"),
        ("accounts__crm__token", b"\xff\xfe", "systemd credential accounts__crm__token: is not UTF-8 text"),
        (
            "accounts__crm__tokn",
            b"s3cr3t",
            "systemd credential accounts__crm__tokn: accounts.crm.secrets.tokn: hubspot takes",
        ),
    ],
    ids=["not a number", "not a text", "no such secret"],
)
def test_a_credential_that_is_wrong_is_told_by_its_name(
    folder: Path, credentials: Path, name: str, content: bytes, complaint: str
) -> None:
    (folder / "config.yaml").write_text(BESIDE)
    (credentials / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.yaml", APPS)
    (problem,) = caught.value.problems
    assert str(problem).startswith(complaint)
    assert "s3cr3t" not in str(problem)


def test_a_variable_with_a_secret_that_the_app_does_not_take(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOWAY_ACCOUNTS__CRM__SECRETS__TOKN", "s3cr3t")
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.yaml", APPS)
    (problem,) = caught.value.problems
    assert str(problem).startswith(
        "environment TWOWAY_ACCOUNTS__CRM__SECRETS__TOKN: accounts.crm.secrets.tokn: hubspot"
    )
