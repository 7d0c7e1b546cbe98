"""Mappings by hand, as short as the mapping file."""

from typing import Any

from twoway.core.mapping import Mapping, compile_mapping
from twoway.core.model import Raw, Values
from twoway.core.rules import Start
from twoway.core.spec import FieldSpec, Location, MappingError, MappingSpec, SideSpec


def at(path: str | None = None, **form: Any) -> Location:
    """A location: `at("phone")`, `at(join=("first", "last"))`."""
    return Location(path=path, **form)


def field(name: str, left: str | Location | None = "", right: str | Location | None = "", **options: Any) -> FieldSpec:
    """A field that has its own name on both sides where nothing else is said; `None` for a side that lacks it."""
    places = [at(one or name) if isinstance(one, str) else one for one in (left, right)]
    return FieldSpec(name=name, left=places[0], right=places[1], **options)


def spec(
    *fields: FieldSpec, left: dict[str, Any] | None = None, right: dict[str, Any] | None = None, **options: Any
) -> MappingSpec:
    """A mapping between `crm` and `news`; `left` and `right` add to the sides."""
    return MappingSpec(
        **{
            "pair": "crm-news",
            "left": SideSpec(**{"account": "crm", "collection": "contacts", **(left or {})}),
            "right": SideSpec(**{"account": "news", "collection": "members", **(right or {})}),
            "start": Start.REVIEW,
            "match": (),
            "fields": fields,
            **options,
        }
    )


def mapping(*fields: FieldSpec, **options: Any) -> Mapping:
    """The compiled mapping of `spec`."""
    return compile_mapping(spec(*fields, **options))


def complaints(*fields: FieldSpec, **options: Any) -> list[str]:
    """What is wrong with a mapping, as `place: what`; nothing where it compiles."""
    try:
        mapping(*fields, **options)
    except MappingError as error:
        return [f"{'.'.join(one.where)}: {one.what}" for one in error.problems]
    return []


def left_values(compiled: Mapping, raw: dict[str, Raw]) -> Values:
    """The left side's canonical values of `raw`, of which all must be readable."""
    values, problems, _ = compiled.left.decode(raw)
    assert problems == {}
    return values
