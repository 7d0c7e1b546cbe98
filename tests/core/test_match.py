"""Matching: who is proposed to whom, by two keys and by three; small worlds are enumerated completely."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.mappings import field, mapping
from twoway.core.match import Holder, Proposal, Slots, Standing, propose
from twoway.core.model import Side

L, R = Side.LEFT, Side.RIGHT
FREE, LINKED, ASIDE = Standing.FREE, Standing.LINKED, Standing.ASIDE
World = dict[Holder, Slots]


def of(*records: tuple[str, Slots] | tuple[str, Slots, Standing]) -> World:
    """Records by id: the id's first letter is the side."""
    return {
        Holder(L if record[0][0] == "l" else R, record[0], record[2] if len(record) == 3 else FREE): record[1]
        for record in records
    }


def ask(world: World, record: str, *, swapped: bool = False) -> Proposal:
    """What is proposed for a record of the world; `swapped` swaps the sides of all."""
    if swapped:
        world = {Holder(one.side.other, one.id, one.standing): slots for one, slots in world.items()}
    holders: dict[tuple[int, int], list[Holder]] = {}
    for one, slots in world.items():
        for slot, key in enumerate(slots):
            if key is not None:
                holders.setdefault((slot, key), []).append(one)
    asked = next(one for one in world if one.id == record)
    return propose(asked.side, record, world[asked], holders, world)


def said(proposal: Proposal) -> str:
    if proposal.match is not None:
        return f"{proposal.match} by {proposal.slot}"
    if proposal.duplicates:
        return f"aside by {proposal.slot}: {' '.join(one.id for one in proposal.duplicates)}"
    return "new"


CASES: list[tuple[str, World, str]] = [
    ("nobody has the key", of(("l1", (1,)), ("r1", (2,))), "new"),
    ("no key at all", of(("l1", (None,)), ("r1", (None,))), "new"),
    ("one has it", of(("l1", (1,)), ("r1", (1,))), "r1 by 0"),
    ("two have it opposite", of(("l1", (1,)), ("r1", (1,)), ("r2", (1,))), "aside by 0: r1 r2"),
    ("another has it on the own side", of(("l1", (1,)), ("l2", (1,))), "aside by 0: l2"),
    ("another has it on each side", of(("l1", (1,)), ("l2", (1,)), ("r1", (1,))), "aside by 0: l2 r1"),
    ("it is linked to another", of(("l1", (1,)), ("r1", (1,), LINKED)), "aside by 0: r1"),
    ("it was set aside", of(("l1", (1,)), ("r1", (1,), ASIDE)), "aside by 0: r1"),
    ("the own side's other one is linked", of(("l1", (1,)), ("l2", (1,), LINKED)), "aside by 0: l2"),
    ("the second key, where the first is blank", of(("l1", (None, 5)), ("r1", (1, 5))), "r1 by 1"),
    ("the second key, where the first is unknown", of(("l1", (2, 5)), ("r1", (1, 5))), "r1 by 1"),
    ("the first key goes first", of(("l1", (1, 5)), ("r1", (1, 6)), ("r2", (2, 5))), "r1 by 0"),
    ("two share the second key opposite", of(("l1", (2, 5)), ("r1", (1, 5)), ("r2", (3, 5))), "aside by 1: r1 r2"),
    (
        "the second key is shared on the own side",
        of(("l1", (2, 5)), ("l2", (3, 5)), ("r1", (1, 5))),
        "aside by 1: l2 r1",
    ),
    ("a family on the own side alone", of(("l1", (2, 5)), ("l2", (3, 5))), "new"),
    ("by its first key it is another's", of(("l1", (2, 5)), ("l2", (1, 6)), ("r1", (1, 5))), "new"),
    ("by its first key it is one's that is linked", of(("l1", (2, 5)), ("l2", (1, 6), LINKED), ("r1", (1, 5))), "new"),
    ("by its first key it is itself a duplicate", of(("l1", (2, 5)), ("r1", (1, 5)), ("r2", (1, 6))), "aside by 1: r1"),
    (
        "it belongs elsewhere, a third key decides",
        of(("l1", (2, 5, 9)), ("l2", (1, 6, 8)), ("r1", (1, 5, 7)), ("r2", (3, 4, 9))),
        "r2 by 2",
    ),
    (
        "who has an earlier claim has none, being another's itself",
        of(("l1", (2, 6, 9)), ("l2", (1, 5, 8)), ("r1", (3, 5, 9)), ("r2", (1, 4, 7))),
        "r1 by 2",
    ),
]


@pytest.mark.parametrize(("why", "world", "expected"), CASES, ids=[one[0] for one in CASES])
@pytest.mark.parametrize("swapped", [False, True], ids=["as it is", "sides swapped"])
def test_who_is_proposed(why: str, world: World, expected: str, swapped: bool) -> None:
    proposal = ask(world, "l1", swapped=swapped)

    assert said(proposal) == expected, why
    assert (proposal.side, proposal.id) == (R if swapped else L, "l1")
    assert proposal.new is (expected == "new")


def test_who_is_not_listed_among_the_holders_is_new() -> None:
    assert propose(L, "l1", (1,), {}, {}) == Proposal(L, "l1")


def test_a_holder_of_whose_other_keys_nothing_is_known_is_matched_by_this_one() -> None:
    holders = {(0, 1): [Holder(R, "r1", FREE)]}

    assert propose(L, "l1", (1,), holders, {}) == Proposal(L, "l1", match="r1", slot=0)


def worlds(slots: int, keys: tuple[int | None, ...]) -> list[World]:
    """Every world of two records a side; records that differ in nothing but their number are not told apart."""
    kinds = list(product(keys, repeat=slots))
    couples = [(one, two) for number, one in enumerate(kinds) for two in kinds[number:]]
    return [of(("l1", a), ("l2", b), ("r1", c), ("r2", d)) for (a, b), (c, d) in product(couples, repeat=2)]


def agree(world: World) -> bool:
    """Whether proposals are mutual, and so nobody is promised twice. Whether any was made at all."""
    asked = {one.id: ask(world, one.id) for one, slots in world.items() if one.standing is FREE}
    for record, proposal in asked.items():
        if proposal.match is not None:
            back = asked[proposal.match]
            assert back.match == record, f"{record} wants {proposal.match}, which is {said(back)}: {world}"
            assert back.slot == proposal.slot
    return any(proposal.match for proposal in asked.values())


def test_two_propose_each_other_or_neither_does() -> None:
    made = sum(agree(world) for world in worlds(2, (None, 1, 2)))

    assert made > 500


@given(
    st.lists(
        st.tuples(
            st.sampled_from("lr"),
            st.tuples(*[st.sampled_from((None, 1, 2, 3))] * 3),
            st.sampled_from((FREE, FREE, FREE, LINKED, ASIDE)),
        ),
        min_size=2,
        max_size=7,
    )
)
def test_three_keys_and_any_standing_likewise(records: list[tuple[str, Slots, Standing]]) -> None:
    agree(of(*((f"{side}{number}", slots, standing) for number, (side, slots, standing) in enumerate(records))))


def test_a_key_that_is_not_unique_is_never_guessed_at() -> None:
    for world in worlds(2, (None, 1, 2)):
        for one, slots in world.items():
            proposal = ask(world, one.id)
            if proposal.match is None or proposal.slot is None:
                continue
            key = slots[proposal.slot]
            assert sorted(other.id for other, theirs in world.items() if theirs[proposal.slot] == key) == sorted(
                (one.id, proposal.match)
            )


def test_what_cannot_be_read_is_no_blank_key() -> None:
    both = mapping(
        field("email", type="email"),
        field("name"),
        field("phone", type="phone", region="US"),
        match=(("email",), ("name", "phone")),
    )
    why = {"phone": "not a phone number"}
    assert both.left.unread_key({}, {}) is None, "there is nothing to recognise it by"
    assert both.left.unread_key({}, {"other": "why"}) is None
    assert both.left.unread_key({"email": None, "name": "Ada"}, why) == "phone"
    assert both.left.unread_key({"email": "ada@example.com"}, why) is None, "an earlier key says who it is"
    assert both.left.unread_key({"name": "Ada", "phone": "+12125550100"}, {"email": "why"}) == "email"
