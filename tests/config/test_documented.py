"""What is shipped and written about the configuration, held against the configuration itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from twoway.config import load, load_pair
from twoway.config.pairfile import PairFile
from twoway.config.schema import pair_schema, settings_schema
from twoway.config.settings import Settings
from twoway.config.yamlfile import read_yaml
from twoway.core.rules import Blank, Drift, OnDelete, OnEditedDelete, OnLeave, Policy, Start
from twoway.core.spec import CASES, UNKNOWN_CHOICES
from twoway.core.steps import STEPS
from twoway.core.types import TYPES
from twoway.sdk.registry import find_connector, installed_connectors

ROOT = Path(__file__).parents[2]
PAIRS = sorted((ROOT / "pairs").glob("*.yaml"))


def keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every key of a file, with the keys above it; names that people choose are `*`."""
    for name, field in model.model_fields.items():
        here = (*above, field.alias or name)
        yield here, field
        inner, named = _model_in(field.annotation)
        if inner is not None:
            yield from keys(inner, (*here, "*") if named else here)


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        return _model_in(get_args(annotation)[1])[0], True
    if get_origin(annotation) in {Union, UnionType, Annotated}:
        return next((found for one in get_args(annotation) if (found := _model_in(one))[0]), (None, False))
    return None, False


def name(key: tuple[str, ...]) -> str:
    return ".".join(key)


def test_the_example_configuration_is_valid_with_its_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "config.example.yaml").read_text()
    for file in re.findall(r"_file: (\S+)", text):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("a secret")
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "pairs").symlink_to(ROOT / "pairs")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    config = load(tmp_path / "config.yaml")
    assert sorted(config.pairs) == [file.stem for file in PAIRS]
    assert len(PAIRS) == 3


ACCOUNT_EXTRAS = {("alerts", "webhook_url")}
"""Keys that must not stand in the file."""


@pytest.mark.parametrize("key", [key for key, _ in keys(Settings) if key not in ACCOUNT_EXTRAS], ids=name)
def test_the_example_configuration_shows_every_setting(key: tuple[str, ...]) -> None:
    nodes: list[Any] = [read_yaml(ROOT / "config.example.yaml").data]
    for step in key:
        tables = [one for one in nodes if isinstance(one, dict)]
        nodes = [
            value for one in tables for value in (one.values() if step == "*" else [one[step]] if step in one else [])
        ]
    assert nodes, f"config.example.yaml does not show {name(key)}"


def documented(file: str) -> str:
    return (ROOT / "docs" / file).read_text()


@pytest.mark.parametrize("key", [key for key, _ in keys(Settings)], ids=name)
def test_every_setting_is_explained(key: tuple[str, ...]) -> None:
    shown = name(key).replace("accounts.*", "accounts.NAME")
    assert f"`{shown}`" in documented("configuration.md")


def shown_key(key: tuple[str, ...]) -> str:
    """How docs/mapping.md names a key: fields and places have tables of their own."""
    if key[:2] == ("fields", "*"):
        key = key[2:] if len(key) == 3 else key[3:]
    return name(key)


@pytest.mark.parametrize("key", [key for key, _ in keys(PairFile)], ids=name)
def test_every_key_of_a_mapping_file_is_explained(key: tuple[str, ...]) -> None:
    assert f"| `{shown_key(key)}` |" in documented("mapping.md")


@pytest.mark.parametrize(
    "word",
    sorted(
        {
            *TYPES,
            *STEPS,
            *CASES,
            *UNKNOWN_CHOICES,
            *(one.value for kind in (Policy, Start, Blank, Drift, OnDelete, OnLeave, OnEditedDelete) for one in kind),
        }
    ),
)
def test_every_word_that_a_mapping_file_takes_is_explained(word: str) -> None:
    assert f"`{word}`" in documented("mapping.md")


@pytest.mark.parametrize(("model", "file"), [(PairFile, "mapping.md"), (Settings, "configuration.md")])
def test_every_key_has_a_line_of_help(model: type[BaseModel], file: str) -> None:
    assert [name(key) for key, field in keys(model) if not field.description] == [], file


@pytest.mark.parametrize("app", list(installed_connectors()))
def test_the_keys_that_an_account_takes_are_explained_and_no_others(app: str) -> None:
    section = documented("connectors.md").partition(f"### `{app}`\n")[2].partition("\n##")[0]
    connector = find_connector(app)
    explained = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert explained == [*connector.secrets, *connector.settings]


YAML_BLOCK = re.compile(r"```yaml\n# (pairs/\S+\.yaml)\n(.*?)```", re.DOTALL)


def test_the_mapping_file_in_the_documents_is_valid(tmp_path: Path) -> None:
    blocks = YAML_BLOCK.findall(documented("mapping.md"))
    assert blocks
    for number, (_, text) in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert load_pair(file).mapping.fields


@pytest.mark.parametrize(("schema", "model"), [(pair_schema, PairFile), (settings_schema, Settings)])
def test_editors_are_given_a_schema_of_every_key(schema: Any, model: type[BaseModel]) -> None:
    exported = schema()
    text = json.dumps(exported)
    assert exported["$schema"].startswith("https://json-schema.org/")
    assert set(exported["properties"]) == {key[0] for key, _ in keys(model) if len(key) == 1}
    assert [name(key) for key, field in keys(model) if json.dumps(field.description)[1:-1] not in text] == []
    assert '"title": "Left"' not in text
