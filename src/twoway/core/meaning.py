"""What a field means on one side: all that decides which canonical value is read from what the app stores.

A base is such a value. It stands for what the app stores for as long as the field means the same there; once the field
has another place, type or form, the value that is read differs from the base without anybody having changed anything.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

import orjson

from twoway.core.codec import choices_on, spelling
from twoway.core.model import NOTHING, Side
from twoway.core.spec import FieldSpec
from twoway.core.transforms import Accessor, Joined, Kept
from twoway.core.types import word

FORMS: Final = 2
"""To be raised when a canonical form changes: stored fingerprints and bases were made with the older one."""


class Meaning(NamedTuple):
    """How one side's values of a field are read. `choices` is the app's word → canonical value, of a closed list."""

    digest: str
    choices: Mapping[str, str] = NOTHING

    def still(self, now: "Meaning") -> bool:
        """Whether whatever could be read before is read as the same value now.

        A choice that was added takes nothing from the others: what it stands for could not be read so far.
        """
        return self.digest == now.digest and self.choices.items() <= now.choices.items()


def meaning(spec: FieldSpec, side: Side, accessor: Accessor) -> Meaning:
    """What a field means on a side on which it lives.

    Which way it travels, who wins and how it is written play no part: they decide what becomes of a value.
    """
    location = spec.location(side)
    assert location is not None  # noqa: S101 - its accessor was compiled from it
    choices = choices_on(spec, side)
    words = {} if choices is None else {spelling(raw): key for key, raw in choices.items()}
    # What `keep` reads as it stands is read otherwise once the list names it.
    kept = words if spec.unknown_choice == "keep" else {}
    told = (
        FORMS,
        _place(accessor),
        (spec.type, spec.region, spec.resolution, spec.decimals),
        (spec.trim, spec.case, [one.separator for one in (spec.left, spec.right) if one and one.join]),
        (location.delimiter, location.format, sorted(word(raw) for raw in location.opted_out)),
        (choices is not None, kept),
        as_json(_steps(spec, side)),
    )
    digest = hashlib.sha256(orjson.dumps(told, None, orjson.OPT_SORT_KEYS)).hexdigest()
    return Meaning(digest, {} if kept else words)


def altered(before: Mapping[str, Meaning], now: Mapping[str, Meaning]) -> frozenset[str]:
    """The fields of one side of which an older value says nothing any more, those that are new or gone among them."""
    same = {name for name, one in before.items() if name in now and one.still(now[name])}
    return frozenset(before.keys() | now.keys()) - same


def _place(accessor: Accessor) -> list[str]:
    """Where a value is read from; how a text is taken apart again does not count."""
    if isinstance(accessor, Kept):
        return _place(accessor.inner)
    return [*map(repr, accessor.parts), accessor.separator] if isinstance(accessor, Joined) else [repr(accessor)]


def _steps(spec: FieldSpec, side: Side) -> Any:
    """The steps that are taken when the side is read: see `twoway.core.codec`."""
    if side is Side.LEFT:
        return spec.to_right
    return () if spec.to_right else spec.to_left


def as_json(part: Any) -> Any:
    """Specifications as JSON: what `dataclasses.asdict` gives, for mappings of any kind and keys of any type."""
    if is_dataclass(part):
        return {one.name: as_json(getattr(part, one.name)) for one in fields(part)}
    if isinstance(part, Mapping):
        return {str(key): as_json(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [as_json(one) for one in part]
    return part
