"""What is worked out of the rules once, so that no record asks for it again."""

import pytest

from twoway.core.model import Side
from twoway.core.rules import Direction, FieldRule, PairRules, Shape


def _rules() -> PairRules:
    return PairRules(
        fields={
            rule.name: rule
            for rule in (
                FieldRule(name="phone"),
                FieldRule(name="city", direction=Direction.TO_LEFT),
                FieldRule(name="stage", direction=Direction.TO_RIGHT),
                FieldRule(name="news", shape=Shape.CONSENT),
                FieldRule(name="owner", direction=Direction.ONE_SIDE),
            )
        }
    )


@pytest.mark.parametrize(
    ("side", "fields"),
    [
        pytest.param(Side.LEFT, ("city", "news", "phone"), id="what may be written to the left"),
        pytest.param(Side.RIGHT, ("news", "phone", "stage"), id="what may be written to the right"),
    ],
)
def test_a_record_is_created_with_what_may_be_written_there(side: Side, fields: tuple[str, ...]) -> None:
    assert _rules().created[side] == fields


def test_consents_and_fields_of_one_side_are_told_apart() -> None:
    assert _rules().consents == ("news",)
    assert _rules().shared == {"phone", "city", "stage", "news"}
