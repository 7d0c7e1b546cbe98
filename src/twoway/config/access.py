"""What `access: read` makes of a pair: nothing in its mapping may write to that account."""

from collections.abc import Collection
from dataclasses import replace

from twoway.config.problems import Problem
from twoway.config.yamlfile import Document
from twoway.core.model import Side
from twoway.core.rules import Direction, OnDelete, OnLeave
from twoway.core.spec import MappingSpec

_AWAY = {Side.LEFT: Direction.TO_RIGHT, Side.RIGHT: Direction.TO_LEFT}


def within_access(
    spec: MappingSpec, document: Document, read_only: Collection[str]
) -> tuple[MappingSpec, list[Problem]]:
    """The mapping with every two-way field made one-way, away from the accounts that may only be read.

    What the file asks for in so many words and cannot have is a problem, not something to pass over in silence.
    """
    problems: list[Problem] = []
    bound = [side for side in Side if spec.side(side).account in read_only]
    if len(bound) == len(Side):
        what = "both accounts of this pair are `access: read`: it could write nothing"
        return spec, [document.problem(("pair",), what)]
    for side in bound:
        account = spec.side(side).account
        for field in spec.fields:
            if field.direction.receiver is side:
                what = f"travels to {account} only, which is `access: read`; valid: both, {_AWAY[side].value}"
                problems.append(document.problem(("fields", field.name, "direction"), what))
        if spec.on_leave is OnLeave.ARCHIVE:
            what = f"could archive records in {account}, which is `access: read`; valid: keep, unlink"
            problems.append(document.problem(("scope", "on_leave"), what))
        fields = tuple(
            replace(field, direction=_AWAY[side]) if field.direction is Direction.BOTH else field
            for field in spec.fields
        )
        part = replace(spec.side(side), create=False, delete=OnDelete.IGNORE)
        spec = replace(spec, fields=fields)
        spec = replace(spec, left=part) if side is Side.LEFT else replace(spec, right=part)
    return spec, problems
