"""Where the configuration is read from: what cannot be read there, and which place a mistake is told of."""

import os
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest

from tests.config.conftest import CONFIG, Told


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
