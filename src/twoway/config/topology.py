"""Which pairs may stand beside one another.

Pairs make a graph: a collection (with its options: two audiences are two collections) is a node, a pair an edge. A
hub with many spokes and a chain are fine. A ring is refused, for a change that goes round meets itself; and so are two
pairs on the same two collections, unless their scopes cannot both hold for one record.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from twoway.config.problems import Problem, valid
from twoway.core.codec import choices_of
from twoway.core.model import Side
from twoway.core.spec import FieldSpec, Location, MappingSpec, SideSpec

Node = tuple[str, str, str]
Report = Callable[[str, tuple[str, ...], str], Problem]
"""Makes a problem of a pair's name, a place in its file, and what is wrong."""

_TERM = re.compile(
    r"""\s*(?P<field>[A-Za-z_]\w*)\s*(?:==\s*(?P<one>"[^"\\]*"|'[^'\\]*')|in\s*\[(?P<many>[^\[\]\\]*)\])\s*"""
)
_TEXT = re.compile(r"""\s*("[^"\\]*"|'[^'\\]*')\s*""")
_LITERAL = re.compile(r""""[^"\\]*"|'[^'\\]*\'""")
_OPTIONS_THAT_COUNT: Final = ("type", "choices", "unknown_choice", "case", "trim", "to_left", "to_right", "direction")


def node(side: SideSpec) -> Node:
    """What a side stands for in the graph."""
    return side.account, side.collection, json.dumps(side.options, sort_keys=True)


def check_topology(specs: Mapping[str, MappingSpec], report: Report) -> list[Problem]:
    """What is wrong with the pairs together; the problem is told of the pair that comes later by name."""
    problems: list[Problem] = []
    parent: dict[Node, Node] = {}
    seen: dict[frozenset[Node], list[str]] = {}
    paths: dict[Node, list[tuple[Node, str]]] = {}
    for name in sorted(specs):
        left, right = node(specs[name].left), node(specs[name].right)
        if left == right:
            problems.append(report(name, ("right",), "both sides are the same collection"))
            continue
        ends = frozenset({left, right})
        if ends in seen:
            problems.extend(
                report(
                    name,
                    ("right", "collection"),
                    f"the pair {other} is on the same two collections, and one record could be in both scopes; "
                    "give each a scope such as 'lifecycle == \"lead\"' on the same field, without a common value",
                )
                for other in seen[ends]
                if not disjoint(specs[other], specs[name])
            )
            seen[ends].append(name)
            continue
        seen[ends] = [name]
        if _root(parent, left) == _root(parent, right):
            around = _between(paths, left, right)
            problems.append(
                report(
                    name,
                    ("right", "collection"),
                    f"makes a ring with {', '.join(around)}: a change that goes round would meet itself; remove one of "
                    "these pairs, so that the collections form a star or a chain",
                )
            )
            continue
        parent[_root(parent, left)] = _root(parent, right)
        paths.setdefault(left, []).append((right, name))
        paths.setdefault(right, []).append((left, name))
    return problems


def _root(parent: dict[Node, Node], one: Node) -> Node:
    while one in parent:
        one = parent[one]
    return one


def _between(paths: Mapping[Node, Iterable[tuple[Node, str]]], start: Node, end: Node) -> list[str]:
    """The pairs on the way from one collection to another; there is one way at most, for rings are not added."""
    stack: list[tuple[Node, tuple[str, ...]]] = [(start, ())]
    visited = {start}
    while stack:
        here, names = stack.pop()
        if here == end:
            return list(names)
        for there, name in paths.get(here, ()):
            if there not in visited:
                visited.add(there)
                stack.append((there, (*names, name)))
    return []


def disjoint(one: MappingSpec, other: MappingSpec) -> bool:
    """Whether no record can be in both scopes, proved on either of the two shared collections.

    Proved is only what can be read off: both scopes demand (`==`, or `in` a list, joined by `&&` alone) values of the
    same field, read in the same way, and have none of them in common. Anything else counts as not proved.
    """
    return any(
        node(one.side(mine)) == node(other.side(theirs)) and _scopes_disjoint(one, mine, other, theirs)
        for mine in Side
        for theirs in Side
    )


def _scopes_disjoint(one: MappingSpec, mine: Side, other: MappingSpec, theirs: Side) -> bool:
    first, second = demands(one.side(mine).scope), demands(other.side(theirs).scope)
    fields, others = ({field.name: field for field in spec.fields} for spec in (one, other))
    return any(
        not first[name] & second[twin]
        for name in first
        for twin in second
        if name in fields and twin in others and _read_alike(fields[name], mine, others[twin], theirs)
    )


def _read_alike(one: FieldSpec, mine: Side, other: FieldSpec, theirs: Side) -> bool:
    places: list[Location | None] = [one.location(mine), other.location(theirs)]
    return (
        mine is theirs
        and places[0] is not None
        and places[0] == places[1]
        and all(getattr(one, option) == getattr(other, option) for option in _OPTIONS_THAT_COUNT)
    )


def unmet(spec: MappingSpec) -> list[tuple[tuple[str, ...], str]]:
    """Where a scope demands a value that its field never has: one that the field's `choices` do not name."""
    closed = {
        field.name: names
        for field in spec.fields
        if (names := choices_of(field)) is not None and field.unknown_choice != "keep" and field.type == "choice"
    }
    return [
        (
            ("scope", side.value),
            f"{name} is never {value!r}: `choices` have no such canonical value; {valid(closed[name], value)}",
        )
        for side in Side
        for name, values in demands(spec.side(side).scope).items()
        if name in closed
        for value in sorted(values - {*closed[name]})
    ]


def demands(scope: str | None) -> dict[str, frozenset[str]]:
    """The texts of which a field must have one for the scope to hold; nothing where that cannot be read off."""
    if scope is None or re.search(r"\|\||\?", _LITERAL.sub('""', scope)):
        return {}
    found: dict[str, frozenset[str]] = {}
    for term in _split(scope):
        match = _TERM.fullmatch(term)
        if match is None:
            continue
        texts = [match["one"]] if match["one"] else _list(match["many"])
        if texts is None:
            continue
        values = frozenset(text[1:-1] for text in texts)
        found[match["field"]] = found.get(match["field"], values) & values
    return found


def _list(inside: str) -> list[str] | None:
    texts = _TEXT.findall(inside)
    return texts if _TEXT.sub("", inside).replace(",", "").strip() == "" else None


def _split(scope: str) -> list[str]:
    """The parts between `&&` on the outermost level."""
    masked = _LITERAL.sub(lambda found: "x" * len(found[0]), scope)
    parts, depth, begin = [], 0, 0
    for index, char in enumerate(masked):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and masked.startswith("&&", index):
            parts.append(scope[begin:index])
            begin = index + 2
    return [*parts, scope[begin:]]
