from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.core.guard import judge, short_listing
from twoway.core.model import Kind, Side
from twoway.core.plan import Totals
from twoway.core.reconcile import Edit
from twoway.core.rules import GuardRules

NAMES = {Side.LEFT: "crm", Side.RIGHT: "newsletter"}
L, R = Side.LEFT, Side.RIGHT


def totals(links: int = 1000, **counts: dict[Side, int]) -> Totals:
    return Totals(links, **{kind: {L: 0, R: 0, **of} for kind, of in counts.items()})


PLANS: list[tuple[str, Totals, dict[str, Any], list[str]]] = [
    ("nothing to do", totals(), {}, []),
    ("as many creates as the share lets pass", totals(creates={R: 200}), {}, []),
    ("one create more", totals(creates={R: 201}), {}, ["create 201 records in newsletter, more than the 200"]),
    ("each side has its own share", totals(creates={L: 200, R: 200}), {}, []),
    ("one delete more than the share", totals(deletes={L: 51}), {}, ["delete 51 records in crm, more than the 50"]),
    ("as many deletes as the share", totals(deletes={L: 50}), {}, []),
    ("emptied fields", totals(blanks={R: 51}), {}, ["empty fields of 51 records in newsletter, more than the 50"]),
    ("updates have no share", totals(updates={L: 2000, R: 2000}), {}, []),
    ("few are never held", totals(links=0, creates={R: 20}, deletes={L: 20}, blanks={L: 20}), {}, []),
    ("one more than few, in a pair without links", totals(links=0, creates={R: 21}), {}, ["more than the 20"]),
    ("the floor can be set", totals(links=0, deletes={R: 3}), {"floor": 2}, ["delete 3 records"]),
    ("a floor of none, and no links", totals(links=0, deletes={R: 1}), {"floor": 0}, ["delete 1 records"]),
    ("half a record is none", totals(30, deletes={R: 2}), {"floor": 0}, ["more than the 1 that"]),
    ("no writes may be made at all", totals(updates={R: 1}), {"max_writes": 0}, ["1 writes, more than max_writes (0)"]),
    ("all the writes together", totals(updates={L: 2500, R: 2501}), {}, ["5001 writes, more than max_writes (5000)"]),
    ("as many writes as may be", totals(updates={L: 2500, R: 2500}), {}, []),
    ("a share is whole numbers, not a product of floats", totals(100, deletes={L: 29}), {"deletes": 0.29}, []),
    ("and no more than that", totals(100, deletes={L: 30}), {"deletes": 0.29}, ["delete 30 records"]),
    ("creates that passed before and were refused", totals(creates={R: 250}, retried={R: 50}), {}, []),
    ("one more than those", totals(creates={R: 251}, retried={R: 50}), {}, ["create 201 records"]),
    (
        "every reason is given",
        totals(creates={L: 201}, deletes={R: 51}, blanks={L: 51}, updates={R: 5000}),
        {},
        ["create 201", "delete 51", "empty fields of 51", "5252 writes"],
    ),
]


@pytest.mark.parametrize(("why", "plan", "rules", "reasons"), PLANS, ids=[one[0] for one in PLANS])
def test_what_the_guard_holds(why: str, plan: Totals, rules: dict[str, Any], reasons: list[str]) -> None:
    found = judge(plan, GuardRules(**rules), NAMES)

    assert len(found) == len(reasons), why
    assert all(part in text for part, text in zip(reasons, found, strict=True)), found


ALLOWED: list[tuple[str, Totals, Totals, bool]] = [
    ("just what was approved", totals(creates={R: 900}), totals(creates={R: 900}), True),
    ("a tenth more, as records go on changing", totals(creates={R: 900}), totals(creates={R: 990}), True),
    ("more than a tenth more", totals(creates={R: 900}), totals(creates={R: 991}), False),
    ("of few, the floor more", totals(deletes={R: 60}), totals(deletes={R: 80}), True),
    ("of few, more than the floor more", totals(deletes={R: 60}), totals(deletes={R: 81}), False),
    ("approved on one side, not on the other", totals(creates={R: 900}), totals(creates={L: 900}), False),
    ("approved creates are no approved deletes", totals(creates={R: 900}), totals(deletes={R: 900}), False),
    ("an approval never narrows the rules", totals(creates={R: 1}), totals(creates={R: 200}), True),
    ("writes beyond max_writes", totals(updates={R: 9000}), totals(updates={R: 9900}), True),
    ("writes beyond what was approved", totals(updates={R: 9000}), totals(updates={R: 9901}), False),
]


@pytest.mark.parametrize(("why", "approved", "plan", "passes"), ALLOWED, ids=[one[0] for one in ALLOWED])
def test_an_approval_lets_just_these_totals_pass(why: str, approved: Totals, plan: Totals, passes: bool) -> None:
    assert (judge(plan, GuardRules(), NAMES, approved) == ()) is passes, why


def test_what_is_held_is_told_with_the_limit_and_where_it_comes_from() -> None:
    plan = totals(creates={R: 1006}, deletes={L: 51}, updates={L: 9000})
    approved = totals(creates={R: 905}, updates={L: 905})

    one, two, three = judge(plan, GuardRules(), NAMES, approved)

    told = "more than the {} that the guard lets pass ({} of 1000 linked, at least 20)"
    assert one == f"it would create 1006 records in newsletter, {told.format(995, '20%')}"
    assert two == f"it would delete 51 records in crm, {told.format(50, '5%')}"
    assert three == "it would make 10057 writes, more than max_writes (5000)"


counts = st.integers(0, 300)
plans = st.builds(
    lambda links, *n: totals(
        links,
        creates={L: n[0], R: n[1]},
        updates={L: n[2], R: n[3]},
        deletes={L: n[4], R: n[5]},
        blanks={L: n[6], R: n[7]},
    ),
    counts,
    *[counts] * 8,
)


@given(plans)
def test_a_plan_that_was_approved_passes_as_it_is(plan: Totals) -> None:
    assert judge(plan, GuardRules(max_writes=50), NAMES, plan) == ()


@given(plans)
def test_the_guard_is_blind_to_which_side_is_which(plan: Totals) -> None:
    swapped = Totals(
        plan.links,
        *(
            {side.other: n for side, n in part.items()}
            for part in (plan.creates, plan.updates, plan.deletes, plan.blanks)
        ),
    )
    names = {side.other: name for side, name in NAMES.items()}

    assert sorted(judge(plan, GuardRules(), NAMES)) == sorted(judge(swapped, GuardRules(), names))


LISTINGS: list[tuple[str, int, int, bool]] = [
    ("everything is there", 1000, 1000, False),
    ("more than is linked", 1500, 1000, False),
    ("a fifth is missing", 800, 1000, False),
    ("more than a fifth is missing", 799, 1000, True),
    ("few are missing, of few", 10, 30, False),
    ("more than few are missing, of few", 9, 30, True),
    ("empty, and nothing was linked", 0, 0, False),
    ("empty, and one was linked", 0, 1, True),
]


@pytest.mark.parametrize(("why", "listed", "linked", "short"), LISTINGS, ids=[one[0] for one in LISTINGS])
def test_a_short_listing_proves_nothing(why: str, listed: int, linked: int, short: bool) -> None:
    assert short_listing(listed, linked, GuardRules()) is short, why


EDITS: list[tuple[str, Edit, dict[str, int]]] = [
    ("a create", Edit(R, Kind.CREATE, {"f": "a"}), {"creates": 1}),
    ("an update", Edit(R, Kind.UPDATE, {"f": "a"}, {"f": None}), {"updates": 1}),
    ("a delete", Edit(R, Kind.DELETE, expect={"f": "a"}), {"deletes": 1}),
    ("archiving counts as deleting", Edit(R, Kind.ARCHIVE, expect={"f": "a"}), {"deletes": 1}),
    ("a field is emptied", Edit(R, Kind.UPDATE, {"f": None}, {"f": "a"}), {"updates": 1, "blanks": 1}),
    (
        "two fields of one record are emptied",
        Edit(R, Kind.UPDATE, {"f": None, "g": None}, {"f": "a", "g": "a"}),
        {"updates": 1, "blanks": 1},
    ),
    ("a blank that is a blank already", Edit(R, Kind.UPDATE, {"f": None}, {"f": None}), {"updates": 1}),
]


@pytest.mark.parametrize(("why", "edit", "expected"), EDITS, ids=[one[0] for one in EDITS])
def test_what_a_plan_counts(why: str, edit: Edit, expected: dict[str, int]) -> None:
    found = Totals(links=7)
    found.add(edit)

    parts = {"creates": found.creates, "updates": found.updates, "deletes": found.deletes, "blanks": found.blanks}
    assert {kind: part[R] for kind, part in parts.items() if part[R]} == expected, why
    assert not any(part[L] for part in parts.values())
    assert (found.writes, found.links) == (1, 7)

    found.add(edit)
    assert {kind: part[R] for kind, part in parts.items() if part[R]} == {kind: 2 * n for kind, n in expected.items()}
    assert found.writes == 2
