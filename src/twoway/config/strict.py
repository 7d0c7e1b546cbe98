"""Validation whose complaints a person can act on: the place, what is wrong, what would be valid."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from twoway.config.problems import valid


class Strict(BaseModel):
    """A section of a file: unknown keys are refused, at every depth."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)
Complaint = tuple[tuple[str | int, ...], str]
"""Where, and what."""


def validate(model: type[Model], data: Mapping[str, Any]) -> tuple[Model | None, list[Complaint]]:
    """The model of `data`, or everything that is wrong with it."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, complaints(model, error)


def complaints(model: type[BaseModel], error: ValidationError) -> list[Complaint]:
    """The library's errors in our words. Its own messages may quote what was given, which may be a secret."""
    return [(one["loc"], _words(model, one)) for one in error.errors(include_url=False, include_input=False)]


def _words(model: type[BaseModel], error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key; {valid(_keys(model, error['loc'][:-1]), str(error['loc'][-1]))}"
        case "missing":
            return "is missing"
        case "enum" | "literal_error":
            return f"not a valid value; valid: {str(context['expected']).replace(chr(39), '').replace(' or ', ', ')}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return "needs a table of `key: value`, not a single value or a list"
        case _:
            return error["msg"].replace("Input should be", "must be")


def _keys(model: type[BaseModel], where: tuple[str | int, ...]) -> list[str]:
    """The keys that are valid at a place of the model."""
    kind: Any = model
    for step in where:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            by_key = {field.alias or name: field for name, field in kind.model_fields.items()}
            kind = _bare(by_key[str(step)].annotation)
        else:
            kind = _bare(get_args(kind)[-1])
    return [field.alias or name for name, field in kind.model_fields.items()]


def _bare(annotation: Any) -> Any:
    """A field's type without `| None` and without annotations."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return _bare(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation
