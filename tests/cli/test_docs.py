"""docs/cli.md tells of everything that the command line has, and the help shows what the commands say of themselves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from twoway.cli.main import COMMANDS, app, load_command

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
NAMES = [name for name, _, _ in COMMANDS]


def section(command: str) -> str:
    """The part of docs/cli.md about a command."""
    found = re.search(rf"^### twoway {command}\n(.*?)(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section `### twoway {command}`"
    return found[1]


def parameters(command: Any) -> Iterator[str]:
    """The options of a command and its sub-commands, and their names."""
    for name, inner in getattr(command, "commands", {}).items():
        yield name
        yield from parameters(inner)
    for parameter in command.params:
        yield from (one for one in (*parameter.opts, *parameter.secondary_opts) if one.startswith("-"))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    missing = [one for one in parameters(load_command(name)) if not re.search(rf"(?<![\w-]){one}(?![\w-])", text)]
    assert missing == []


def test_the_global_options_are_documented() -> None:
    missing = [one for one in parameters(typer.main.get_command(app)) if one not in NAMES and f"`{one}`" not in DOCS]
    assert missing == []


def test_no_command_is_documented_that_there_is_not() -> None:
    assert sorted(re.findall(r"^### twoway (\w+)$", DOCS, re.MULTILINE)) == sorted(NAMES)


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, _, line in COMMANDS], ids=NAMES)
def test_the_help_shows_what_the_command_says_of_itself(name: str, line: str) -> None:
    assert (load_command(name).help or "").splitlines()[0] == line


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_for_each_of_its_parameters(name: str) -> None:
    command = load_command(name)
    for one in [command, *getattr(command, "commands", {}).values()]:
        assert one.help
        assert [each.name for each in one.params if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("arguments", [[name, "--help"] for name in NAMES], ids=NAMES)
def test_every_command_prints_its_help(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_mistyped_command_is_guessed() -> None:
    result = CliRunner().invoke(app, ["statsu"])
    assert result.exit_code == 2
    assert "'status'" in result.stderr
