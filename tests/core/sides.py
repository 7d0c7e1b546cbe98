"""Links by hand, and the mirror: every decision with its two sides swapped."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from twoway.core.diff import MISSING, Missing, Seen
from twoway.core.model import Side, Value
from twoway.core.reconcile import Decision, Edit, FieldConflict
from twoway.core.resolve import FieldView, Resolution, Verdict
from twoway.core.rules import Direction, FieldRule, PairRules, Policy, Start

BOTH_SIDES: Final = (Side.LEFT, Side.RIGHT)


def view(value: Value, base: Value | Missing = MISSING, time: int | None = None) -> FieldView:
    return FieldView(value, base, time)


def seen(values: Mapping[str, Value], base: Mapping[str, Value] | None = None, **more: Any) -> Seen:
    """A side that shows `values`; with no base given it is unchanged."""
    return Seen(values=values, base=values if base is None else base, **more)


def pair(*fields: FieldRule, **more: Any) -> PairRules:
    return PairRules(fields={field.name: field for field in fields}, **more)


_WORDS: Final = {"left": "right", "right": "left"}
_DIRECTIONS: Final = {Direction.TO_LEFT: Direction.TO_RIGHT, Direction.TO_RIGHT: Direction.TO_LEFT}


def mirrored_word(text: str) -> str:
    """The name of a rule, seen from the other side: `conflict: left` is `conflict: right`."""
    head, space, last = text.rpartition(" ")
    return head + space + _WORDS.get(last, last)


def mirrored_rule(rule: FieldRule) -> FieldRule:
    return replace(
        rule,
        direction=_DIRECTIONS.get(rule.direction, rule.direction),
        policy=Policy(mirrored_word(rule.policy.value)),
        start=Start(mirrored_word(rule.start.value)),
    )


def mirrored_rules(rules: PairRules) -> PairRules:
    return replace(
        rules,
        fields={name: mirrored_rule(rule) for name, rule in rules.fields.items()},
        create={side.other: value for side, value in rules.create.items()},
        delete={side.other: value for side, value in rules.delete.items()},
    )


def mirrored_verdict(verdict: Verdict) -> Verdict:
    return Verdict(verdict.right, verdict.left, verdict.value)


def mirrored_resolution(answer: Resolution) -> Resolution:
    return Resolution(answer.right, answer.left, mirrored_word(answer.rule), answer.conflict)


def mirrored_edit(edit: Edit) -> Edit:
    return edit._replace(side=edit.side.other, rules={name: mirrored_word(rule) for name, rule in edit.rules.items()})


def mirrored_decision(decision: Decision) -> Decision:
    return decision._replace(
        edits=tuple(sorted((mirrored_edit(edit) for edit in decision.edits), key=lambda edit: edit.side)),
        bases={side.other: values for side, values in decision.bases.items()},
        conflicts=tuple(
            FieldConflict(one.field, one.right, one.left, mirrored_word(one.rule)) for one in decision.conflicts
        ),
    )
