"""What people are told of a link that ends, rests or waits for them."""

from typing import Final

import pytest

from tests.core.sides import BOTH_SIDES, pair, seen
from tests.core.test_outcome_table import EDITED, GONE, SAME, settle
from twoway.core.diff import Seen
from twoway.core.rules import FieldRule, OnDelete, OnEditedDelete, OnLeave

WORDS_BY_SIDE: Final = {"delete", "create"}
"""The rules that are given for each side."""

REASONS: Final[list[tuple[str, Seen, Seen, dict[str, object]]]] = [
    ("deleted on both sides", GONE, GONE, {}),
    ("deleted opposite while out of scope", SAME._replace(in_scope=False), GONE, {}),
    ("deleted opposite while out of scope", SAME, GONE._replace(in_scope=False), {"delete": OnDelete.DELETE}),
    ("deleted on one side, edited on the other", EDITED, GONE, {"edited_delete": OnEditedDelete.REVIEW}),
    ("deleted on one side, edited on the other, and may not be created", EDITED, GONE, {"create": False}),
    ("deleted opposite, kept here", SAME, GONE, {"delete": OnDelete.IGNORE}),
    ("deleted opposite: to be deleted here?", SAME, GONE, {"delete": OnDelete.REVIEW}),
    ("deleted opposite, but never agreed on here: any field", seen({}), GONE, {"delete": OnDelete.DELETE}),
    (
        "deleted opposite, but never agreed on here: f, g",
        seen({"g": "x", "f": "a"}, {}),
        GONE,
        {"delete": OnDelete.DELETE},
    ),
    (
        "deleted opposite, but unreadable here, so perhaps edited: g, h",
        SAME._replace(problems={"h": "?", "g": "?"}),
        GONE,
        {"delete": OnDelete.ARCHIVE},
    ),
    ("out of scope", SAME._replace(in_scope=False), SAME, {}),
    ("left the scope", SAME._replace(in_scope=False), SAME, {"on_leave": OnLeave.UNLINK}),
    ("both left the scope", *(SAME._replace(in_scope=False),) * 2, {"on_leave": OnLeave.ARCHIVE}),
]


@pytest.mark.parametrize(("reason", "left", "right", "options"), REASONS)
def test_the_reason(reason: str, left: Seen, right: Seen, options: dict[str, object]) -> None:
    both_ways = {name: dict.fromkeys(BOTH_SIDES, value) for name, value in options.items() if name in WORDS_BY_SIDE}

    decision = settle(pair(FieldRule(name="f"), **{**options, **both_ways}), left, right)

    assert (decision.edits, decision.reason) == ((), reason)
