"""What the deliberate faults share: the kinds of histories that provoke them, and ways to plant."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from twoway.core.model import Side
from twoway.core.rules import OnDelete
from twoway.core.spec import FieldSpec, Location, MappingSpec
from twoway.engine.app import App
from twoway.ports import Consistency
from twoway.testing.planted import Plant, Shape
from twoway.testing.scenarios import STAGE, TAGS, Scenario, a_choice

Planting = Callable[[Plant], None]


# -- kinds of histories


def shaped(*, spec: Mapping[str, Any] | None = None, right: Mapping[str, Any] | None = None, **changes: Any) -> Shape:
    """Scenarios with these changes; `spec` to the mapping, `right` to its right side, `manner_…` to both apps."""
    manner = {name.removeprefix("manner_"): changes.pop(name) for name in list(changes) if name.startswith("manner_")}

    def shape(chosen: Scenario) -> Scenario:
        rules: MappingSpec = replace(chosen.spec, **(spec or {}))
        if right:
            rules = replace(rules, right=replace(rules.right, **right), left=replace(rules.left, **right))
        manners = {side: replace(one, **manner) for side, one in chosen.manners.items()}
        return replace(chosen, spec=rules, manners=manners, **changes)

    return shape


def any_history(chosen: Scenario) -> Scenario:
    """As it comes."""
    return chosen


def narrow(*names: str, **changes: Any) -> Shape:
    """Two-way fields only, and few: people meet in the same one; no scope, and nothing by hand but what is said."""
    first = shaped(**{"deletes": False, "merges": False, "by_hand": False, "edit_share": 0.25, "settle": 0, **changes})

    def shape(chosen: Scenario) -> Scenario:
        fields = [
            FieldSpec(name=name, left=Location(path=name), right=Location(path=name)) for name in ("email", *names)
        ]
        if TAGS in names:
            fields[-1] = replace(fields[-1], type="set")
        if STAGE in names:
            fields[-1] = a_choice("park")
        chosen = first(chosen)
        sides = {side.value: replace(chosen.spec.side(side), scope=None, create=True) for side in Side}
        return replace(chosen, spec=replace(chosen.spec, fields=tuple(fields), **sides))  # type: ignore[arg-type]  # by name

    return shape


def lively(*names: str, **changes: Any) -> Shape:
    """Long histories of a few records that are linked early: most of what is written are updates."""
    return narrow(*names, **{"edit_share": 0.03, "edits": 40, "cycles": 16, "crash_share": 0.003, **LUCKY, **changes})


LUCKY: Final[Mapping[str, Any]] = {"addresses": 30, "fault_share": 1.0}
"""Nobody meets in an address, and little goes wrong."""
NAMELESS: Final[Mapping[str, Any]] = {
    "addresses": 30,
    "fault_share": 4.0,
    "manner_unique": frozenset(),
    "manner_marker": False,
    "manner_find": Consistency.NONE,
}
"""An app by which a create of which the answer was lost is hard to find again; and many are lost."""
BUSY: Final = shaped(edit_share=0.25, addresses=30)
LOSING: Final = shaped(
    fault_share=4.0, addresses=30, manner_unique=frozenset(), manner_marker=False, manner_find=Consistency.NONE
)
MERGING: Final = shaped(deletes=True, merges=True, right={"delete": OnDelete.DELETE}, manner_feed_merges=False)
BLIND: Final = shaped(edit_share=0.25, addresses=30, manner_conditional=False)
DYING: Final = shaped(crash_share=0.05, faults=8)


# -- ways to plant


def instead(where: Any, name: str, what: Any) -> Planting:
    """Another thing in its place."""

    def plant(into: Plant) -> None:
        into.put(where, name, what)

    return plant


def answering(where: Any, name: str, answer: Any = None) -> Planting:
    """A function that does nothing but answer this."""
    return instead(where, name, lambda *_args, **_more: answer)


def answering_later(where: Any, name: str, answer: Any = None) -> Planting:
    """A coroutine that does nothing but answer this."""

    async def answers(*_args: Any, **_more: Any) -> Any:
        return answer

    return instead(where, name, answers)


def all_of(*plantings: Planting) -> Planting:
    """Several at once: where the engine looks twice."""

    def plant(into: Plant) -> None:
        for one in plantings:
            one(into)

    return plant


def around(where: Any, name: str, wrapper: Callable[..., Any]) -> Planting:
    """`wrapper(before, …)` in its place."""

    def plant(into: Plant) -> None:
        before = where.__dict__[name]
        into.put(where, name, lambda *args, **more: wrapper(before, *args, **more))

    return plant


def capabilities(wrapper: Callable[..., Any]) -> Planting:
    """The engine is told something else of what an app can do: `wrapper(before, app)`."""

    def plant(into: Plant) -> None:
        before = App.__dict__["capabilities"]
        into.put(App, "capabilities", property(partial(wrapper, before)))

    return plant
