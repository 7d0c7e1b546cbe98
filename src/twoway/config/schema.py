"""JSON Schemas of both files, for editors: completion and red lines while one types.

A mapping file takes `# yaml-language-server: $schema=twoway-pair.schema.json` as its first line.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from twoway.config.pairfile import PairFile
from twoway.config.settings import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pair_schema() -> dict[str, Any]:
    """The schema of a mapping file."""
    schema = _schema(PairFile, "twoway: a mapping file")
    # A place may be its path alone: the models know only the table that it is turned into.
    schema["$defs"]["PlacePart"] = {"anyOf": [{"type": "string"}, schema["$defs"]["PlacePart"]]}
    return schema


def settings_schema() -> dict[str, Any]:
    """The schema of `config.yaml`."""
    return _schema(Settings, "twoway: config.yaml")


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": _DIALECT, **schema, "title": title}


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that the library makes of names: editors would show them in place of the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the library's signature
        return False
