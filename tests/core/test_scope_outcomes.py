"""Records that leave the scope, were never in it, or of which that cannot be told."""

from typing import Final

import pytest

from tests.core.mappings import mapping
from tests.core.sides import pair, seen
from tests.core.test_mapping import ALL
from tests.core.test_outcome_table import EDITED, SAME, settle
from twoway.core.diff import Seen
from twoway.core.mapping import Decoded
from twoway.core.model import Kind, Side
from twoway.core.reconcile import Action
from twoway.core.rules import FieldRule, OnDelete, OnLeave, Policy

L, R = Side.LEFT, Side.RIGHT
AWAY: Final = seen({"f": "b"}, {"f": "a"}, in_scope=False)
NEVER_IN: Final = seen({"f": "b"}, {}, in_scope=False)
NEW: Final = seen({"f": "b"}, {})
LEFT_SCOPE: Final[list[tuple[str, Seen, Seen, OnLeave, Action, list[tuple[Side, Kind]]]]] = [
    ("kept: nothing moves", AWAY, EDITED, OnLeave.KEEP, Action.FREEZE, []),
    ("kept, both away", AWAY, AWAY, OnLeave.KEEP, Action.FREEZE, []),
    ("unlinked", AWAY, SAME, OnLeave.UNLINK, Action.UNLINK, []),
    ("unlinked, both away", AWAY, AWAY, OnLeave.UNLINK, Action.UNLINK, []),
    ("archived: the one that is still within", AWAY, SAME, OnLeave.ARCHIVE, Action.KEEP, [(R, Kind.ARCHIVE)]),
    ("archived, though it was edited", AWAY, EDITED, OnLeave.ARCHIVE, Action.KEEP, [(R, Kind.ARCHIVE)]),
    ("archived: both away, so none is", AWAY, AWAY, OnLeave.ARCHIVE, Action.UNLINK, []),
    ("what never was in scope has not left it", NEVER_IN, SAME, OnLeave.ARCHIVE, Action.FREEZE, []),
    ("nor does its link end", NEVER_IN, SAME, OnLeave.UNLINK, Action.FREEZE, []),
    ("nor if the other side has left it", NEVER_IN, AWAY, OnLeave.UNLINK, Action.FREEZE, []),
    ("a new counterpart is no reason to keep it", AWAY, NEW, OnLeave.ARCHIVE, Action.KEEP, [(R, Kind.ARCHIVE)]),
]


@pytest.mark.parametrize(
    ("why", "left", "right", "on_leave", "action", "edits"), LEFT_SCOPE, ids=[one[0] for one in LEFT_SCOPE]
)
def test_out_of_scope(
    why: str, left: Seen, right: Seen, on_leave: OnLeave, action: Action, edits: list[tuple[Side, Kind]]
) -> None:
    rules = pair(
        FieldRule(name="f", policy=Policy.LEFT), on_leave=on_leave, delete={L: OnDelete.DELETE, R: OnDelete.DELETE}
    )

    decision = settle(rules, left, right)

    assert (decision.action, [(edit.side, edit.kind) for edit in decision.edits]) == (action, edits), why
    assert all(edit.expect == right.values and edit.rules == {"*": "left the scope"} for edit in decision.edits)
    assert decision.bases == {}
    assert action is not Action.FREEZE or decision.reason == "out of scope"


def test_back_in_scope_merges_on_from_the_bases() -> None:
    rules = pair(FieldRule(name="f"), FieldRule(name="g"))
    left = seen({"f": "b", "g": "x"}, {"f": "a", "g": "x"}, in_scope=False)
    right = seen({"f": "a", "g": "y"}, {"f": "a", "g": "x"})

    assert settle(rules, left, right).action is Action.FREEZE
    back = settle(rules, left._replace(in_scope=True), right)

    assert [(edit.side, edit.changed) for edit in back.edits] == [(L, {"g": "y"}), (R, {"f": "b"})]


def test_without_a_scope_every_record_is_in_it() -> None:
    admits = mapping(*ALL).left.admits
    assert admits(Decoded({}, {}))
    assert admits(Decoded({"stage": "lead"}, {"owner": "not a text"}, frozenset({"phone"})))


def test_a_record_is_out_of_scope_only_where_that_can_be_told() -> None:
    both = mapping(*ALL, left={"scope": 'stage == "won" && owner != "bot"'})
    admits = both.left.admits
    won, lead = {"stage": "won", "owner": "ann"}, {"stage": "lead", "owner": "ann"}
    assert admits(Decoded(won, {}))
    assert not admits(Decoded(lead, {}))
    assert admits(Decoded({"stage": "lead"}, {"owner": "not a text"})), "its owner cannot be read"
    assert not admits(Decoded(lead, {"phone": "not a phone number"})), "the scope does not ask for its phone"
    assert admits(Decoded({"owner": "ann"}, {}), won), "its payload leaves the stage out: it stands"
    assert not admits(Decoded({"owner": "ann"}, {}), lead)
    assert not admits(Decoded({"owner": "ann"}, {}, frozenset({"stage"})), won), "a stage that is none of the mapping's"
    assert not admits(Decoded({}, {}))
