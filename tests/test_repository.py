"""The repository's own rules, those that no linter knows."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from twoway.config.load import load

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

MAX_LINES = 500
LONG_ON_PURPOSE: dict[str, str] = {}
"""Files of more lines, each with the reason: generated code and data tables only."""

_HAND_WRITTEN = {".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".svg", ".service", ".timer", ".html", ".css", ".js"}
_FOLDERS = ("src", "connectors", "tests", "benchmarks", "tools", "docs", "pairs", "systemd", ".ci")

_CLOCKS = {
    "asyncio.sleep",
    "anyio.sleep",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
}
_MAY_READ_CLOCKS = ("src/twoway/daemon/clock.py", "src/twoway/sandbox/", "src/twoway/cli/demo/")


def _files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_is_too_long_to_be_read() -> None:
    written = [path for path in ROOT.iterdir() if path.is_file()] + list(_files(*_FOLDERS))
    too_long = {
        _name(path): count
        for path in written
        if path.suffix in _HAND_WRITTEN and (count := _lines(path)) > MAX_LINES and _name(path) not in LONG_ON_PURPOSE
    }
    assert too_long == {}, f"split these by meaning: they have more than {MAX_LINES} lines"


def test_the_files_that_are_long_on_purpose_are() -> None:
    assert {name: _lines(ROOT / name) for name in LONG_ON_PURPOSE if _lines(ROOT / name) <= MAX_LINES} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        _name(path)
        for path in _files("src", "connectors", "benchmarks")
        if path.suffix == ".py" and (tree := ast.parse(path.read_text())).body and not ast.get_docstring(tree)
    ]
    assert silent == [], "these modules have code and no docstring"


def _clocks_read(source: str) -> set[str]:
    """The clocks that a module reads or sleeps by, by their full names, whatever it calls them."""
    tree = ast.parse(source)
    meanings: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                meanings[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                meanings[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def full_name(node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            return meanings.get(node.id, "")
        if isinstance(node, ast.Attribute) and (owner := full_name(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    # `sleep(0)` lets others run, and waits for nothing.
    yields = {
        call.func
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and [ast.dump(one) for one in call.args] == [ast.dump(ast.Constant(0))]
    }
    return {full_name(node) for node in ast.walk(tree) if node not in yields} & _CLOCKS


def test_nothing_reads_a_clock_but_the_clock() -> None:
    offenders = {
        _name(path): sorted(clocks)
        for path in _files("src", "connectors")
        if path.suffix == ".py"
        and not _name(path).startswith(_MAY_READ_CLOCKS)
        and (clocks := _clocks_read(path.read_text()))
    }
    assert offenders == {}, "take a twoway.ports.Clock instead, so that a simulation owns the time"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("import time\ntime.time()", {"time.time"}, id="plain"),
        pytest.param("import time as t\nt.sleep(1)", {"time.sleep"}, id="under another name"),
        pytest.param("from time import monotonic as m\nm()", {"time.monotonic"}, id="a function by another name"),
        pytest.param("import datetime\ndatetime.datetime.now()", {"datetime.datetime.now"}, id="through the module"),
        pytest.param("from datetime import datetime as d\nd.now(None)", {"datetime.datetime.now"}, id="the class"),
        pytest.param("import asyncio\nf = asyncio.sleep", {"asyncio.sleep"}, id="handed on, not called"),
        pytest.param("import asyncio\nasyncio.sleep(0)", set(), id="a mere yield"),
        pytest.param("async def f(clock):\n await clock.sleep(1)", set(), id="our clock"),
        pytest.param("from datetime import datetime\ndatetime.fromtimestamp(0)", set(), id="no clock is read"),
        pytest.param("time = record.time\ntime.time()", set(), id="a variable of that name"),
    ],
)
def test_clocks_are_found_however_they_are_called(source: str, expected: set[str]) -> None:
    assert _clocks_read(source) == expected


@pytest.mark.parametrize(
    "name",
    [
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "config.example.yaml",
        "docs/adr",
        "docs/architecture.md",
        "docs/connectors.md",
        "docs/operations.md",
        "pairs",
        "systemd/twoway.service",
    ],
)
def test_what_people_look_for_is_there(name: str) -> None:
    path = ROOT / name
    assert path.exists()
    assert any(path.iterdir()) if path.is_dir() else path.stat().st_size > 100


_LINK = re.compile(r"!?\[[^\]]*\]\((?P<to>[^)#\s]+)(?:#[^)]*)?\)")


def test_links_between_the_documents_lead_somewhere() -> None:
    documents = [path for path in [*ROOT.glob("*.md"), *_files("docs")] if path.suffix == ".md"]
    assert len(documents) > 5
    broken = [
        f"{_name(path)}: {to}"
        for path in documents
        for to in _LINK.findall(path.read_text())
        if "://" not in to and not to.startswith("mailto:") and not (path.parent / to).exists()
    ]
    assert broken == []


def test_the_readmes_mapping_is_one_that_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "crm-newsletter.yaml").write_text(example)
    accounts = "accounts: { crm: { app: hubspot }, newsletter: { app: mailchimp } }\n"
    (tmp_path / "config.yaml").write_text(accounts)
    assert set(load(tmp_path / "config.yaml").pairs) == {"crm-newsletter"}


@pytest.mark.parametrize("name", sorted(PROJECT["project"]["scripts"]))
def test_a_command_leads_to_a_function(name: str) -> None:
    module, _, function = PROJECT["project"]["scripts"][name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", sorted(PROJECT["project"]["entry-points"]["twoway.connectors"]))
def test_a_built_in_connector_is_found_as_any_other_is(name: str) -> None:
    (found,) = entry_points(group="twoway.connectors", name=name)
    factory = found.load()
    assert factory.name == name
    assert callable(factory)


LOCK: dict[str, Any] = tomllib.loads((ROOT / "uv.lock").read_text())


def _locked() -> dict[str, str]:
    return {package["name"]: package["version"] for package in LOCK["package"] if "version" in package}


def _requirements(name: str) -> dict[str, str]:
    """The pins of a requirements file; each must carry a hash."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    pins: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assert "--hash=sha256:" in line, f"{name}: not hashed: {line[:60]}"
        requirement = Requirement(line.partition("--hash")[0].strip())
        pins[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return pins


def test_the_lock_names_no_place_but_the_public_index() -> None:
    places = {place for package in LOCK["package"] for place in package["source"].values()}
    assert places == {"https://pypi.org/simple", "."}
    for name in ("uv.lock", "requirements.txt", "requirements-dev.txt", "requirements-build.txt"):
        hosts = set(re.findall(r"(\w+)://([^/\s\"]*)", (ROOT / name).read_text()))
        assert hosts <= {("https", "pypi.org"), ("https", "files.pythonhosted.org")}, name


def test_the_lock_is_that_of_this_project() -> None:
    (ours,) = (package for package in LOCK["package"] if package["name"] == PROJECT["project"]["name"])

    def parsed(requirements: list[str]) -> dict[str, set[str]]:
        return {
            canonicalize_name(requirement.name): {str(part) for part in requirement.specifier}
            for requirement in map(Requirement, requirements)
        }

    def locked(entries: list[dict[str, str]]) -> dict[str, set[str]]:
        return parsed([entry["name"] + entry.get("specifier", "") for entry in entries])

    extras = [one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra]
    needed = parsed(PROJECT["project"]["dependencies"] + extras)
    assert locked(ours["metadata"]["requires-dist"]) == needed, "run `make lock`"
    dev = ours["metadata"]["requires-dev"]["dev"]
    assert locked(dev) == parsed(PROJECT["dependency-groups"]["dev"]), "run `make lock`"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_requirements_are_those_of_the_lock(name: str) -> None:
    pins = _requirements(name)
    assert pins
    assert pins.items() <= _locked().items(), "run `make lock`"
    wanted = {canonicalize_name(Requirement(requirement).name) for requirement in PROJECT["project"]["dependencies"]}
    assert wanted <= set(pins)


def test_the_build_needs_nothing_unpinned_and_nothing_twice() -> None:
    build, locked = _requirements("requirements-build.txt"), _locked()
    assert "hatchling" in build
    twice = {name: (version, locked[name]) for name, version in build.items() if name in locked}
    assert {name: versions for name, versions in twice.items() if versions[0] != versions[1]} == {}
