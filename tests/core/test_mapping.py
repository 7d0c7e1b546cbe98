from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.mappings import at, field, left_values, mapping, spec
from twoway.core.mapping import Decoded, compile_mapping
from twoway.core.model import Raw, Record, Side, Value
from twoway.core.raw import Invalid
from twoway.core.rules import (
    Blank,
    Direction,
    Drift,
    GuardRules,
    OnDelete,
    OnEditedDelete,
    OnLeave,
    Policy,
    Shape,
    Start,
)
from twoway.core.spec import Step

WORK = "phones[type=work].value"
EMAIL = field("email", "email", "email_address", type="email")
NAME = field("full_name", at(join=("firstname", "lastname")), "merge_fields.NAME")
PHONE = field("phone", "phone", WORK, type="phone", region="US")
STAGE = field("stage", "lifecyclestage", "merge_fields.STAGE", type="choice", choices={"lead": "Lead", "won": "Kunde"})
CONSENT = field(
    "consent",
    at("optout", opted_out=(True,)),
    at("status", opted_out=("unsubscribed", "cleaned")),
    type="consent",
)
OWNER = field("owner", "owner", None)
ALL = (EMAIL, NAME, PHONE, STAGE, CONSENT, OWNER)

LEFT = {
    "email": "Ada@Example.com",
    "firstname": "Ada",
    "lastname": "King",
    "phone": "(212) 555-0100",
    "lifecyclestage": "won",
    "optout": False,
    "owner": "7",
}
VALUES: dict[str, Value] = {
    "email": "ada@example.com",
    "full_name": "Ada King",
    "phone": "+12125550100",
    "stage": "won",
    "consent": "in",
    "owner": "7",
}


def test_a_record_is_read_on_each_side_in_the_same_words() -> None:
    both = mapping(*ALL)
    assert both.left.decode(LEFT) == Decoded(VALUES, {})
    right = {
        "email_address": "ada@example.com",
        "merge_fields.NAME": "Ada  King ",
        "phones": [{"type": "work", "value": "+1 212 555 0100"}],
        "merge_fields.STAGE": "Kunde",
        "status": "subscribed",
    }
    assert both.right.decode(right) == Decoded({key: VALUES[key] for key in VALUES if key != "owner"}, {})


def test_absent_is_not_blank() -> None:
    both = mapping(*ALL)
    assert both.left.decode({"email": "", "firstname": "Ada"}) == Decoded({"email": None}, {})
    assert both.right.decode({"phones": []}) == Decoded({"phone": None}, {})


def test_what_cannot_be_read_is_told_beside_what_can() -> None:
    values, problems, _ = mapping(*ALL).right.decode(
        {"email_address": "secret", "phones": "secret", "merge_fields.STAGE": "secret", "merge_fields.NAME": "Ada"}
    )
    assert values == {"full_name": "Ada"}
    assert set(problems) == {"email", "phone", "stage"}
    assert "secret" not in str(problems)
    assert problems["stage"] == "a value that `choices` does not name (add it there, or set `unknown_choice`)"
    assert problems["phone"] == "a text where the path expects a list"


def test_only_what_changed_is_written() -> None:
    both = mapping(*ALL)
    assert both.right.encode({"email": "b@example.com"}, None) == {"email_address": "b@example.com"}
    assert both.left.encode({"full_name": "Ada King"}, None) == {"firstname": "Ada", "lastname": "King"}
    assert both.right.encode({"stage": "lead", "full_name": None}, None) == {
        "merge_fields.STAGE": "Lead",
        "merge_fields.NAME": None,
    }
    assert both.right.encode({"owner": "8", "no such field": "x"}, None) == {}


def test_a_part_of_an_array_is_written_with_the_whole_array() -> None:
    both = mapping(*ALL)
    assert both.right.needs_current(["email", "phone"])
    assert not both.right.needs_current(["email", "owner", "no such field"])
    assert not both.left.needs_current(VALUES)
    current = {"phones": [{"type": "home", "value": "1"}]}
    assert both.right.encode({"phone": "+12125550100"}, current) == {
        "phones": [{"type": "home", "value": "1"}, {"type": "work", "value": "+12125550100"}]
    }
    assert both.right.encode({"phone": "+12125550100"}, None) == {"phones": [{"type": "work", "value": "+12125550100"}]}


def test_a_value_without_a_form_on_this_side_is_refused_by_its_name() -> None:
    both = mapping(*ALL)
    for changed, words in (
        ({"stage": "secret"}, "stage: a value that"),
        ({"consent": "in"}, "consent: this side has no"),
    ):
        with pytest.raises(Invalid, match=words) as caught:
            both.right.encode(changed, None)
        assert caught.value.field == next(iter(changed))
    with pytest.raises(Invalid, match="phone: a text where the path expects a list"):
        both.right.encode({"phone": "+12125550100"}, {"phones": "odd"})


def test_consent_is_written_where_the_side_has_a_word_for_it() -> None:
    there = field(
        "consent",
        at("optout", opted_out=(True,), opted_in=False),
        at("status", opted_out=("unsubscribed", "cleaned")),
        type="consent",
    )
    both = mapping(there)
    assert both.left.encode({"consent": "in"}, None) == {"optout": False}
    assert both.right.encode({"consent": "out"}, None) == {"status": "unsubscribed"}
    assert [both.right.decode({"status": raw}).values for raw in ("cleaned", "pending", "", None)] == [
        {"consent": "out"},
        {"consent": "in"},
        {"consent": None},
        {"consent": None},
    ]
    assert both.rules.fields["consent"].shape is Shape.CONSENT


def test_a_new_record_is_sent_what_is_known_over_what_is_configured() -> None:
    both = mapping(*ALL, right={"on_create": {"status": "subscribed", "language": "de"}})
    new = both.right.encode_new({**VALUES, "full_name": None})
    assert new == {
        "status": "subscribed",
        "language": "de",
        "email_address": "ada@example.com",
        "phones": [{"type": "work", "value": "+12125550100"}],
        "merge_fields.STAGE": "Kunde",
    }
    assert both.right.encode_new({"consent": "out"})["status"] == "unsubscribed"
    with pytest.raises(Invalid, match="stage"):
        both.right.encode_new({"stage": "other"})


def test_opting_out_is_never_left_to_the_apps_default() -> None:
    consent = field(
        "consent", at("optout", opted_out=(True,)), at("prefs[list=news].state", opted_out=("off",)), type="consent"
    )
    both = mapping(consent, right={"on_create": {"prefs": "odd", "status": "subscribed"}})
    assert both.right.encode_new({"consent": "in"}) == {"prefs": "odd", "status": "subscribed"}
    with pytest.raises(Invalid, match=r"^consent: a text where the path expects a list$"):
        both.right.encode_new({"consent": "out"})


@pytest.mark.parametrize(
    ("unknown", "decoded", "encoded"),
    [
        ("park", ({}, {"stage"}), None),
        ("ignore", ({}, set()), None),
        ("keep", ({"stage": "other"}, set()), {"merge_fields.STAGE": "other"}),
    ],
)
def test_a_choice_that_nobody_foresaw(unknown: str, decoded: tuple[Any, set[str]], encoded: Any) -> None:
    both = mapping(field(**{**_as_options(STAGE), "unknown_choice": unknown}))
    values, problems, _ = both.right.decode({"merge_fields.STAGE": "other"})
    assert (values, set(problems)) == decoded
    if encoded is None:
        with pytest.raises(Invalid):
            both.right.encode({"stage": "other"}, None)
    else:
        assert both.right.encode({"stage": "other"}, None) == encoded
    assert both.right.decode({"merge_fields.STAGE": " "}).values == {"stage": None}


def _as_options(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "left": one.left,
        "right": one.right,
        "type": one.type,
        "choices": one.choices,
    }


def test_a_kept_choice_is_never_taken_for_another() -> None:
    both = mapping(field(**{**_as_options(STAGE), "unknown_choice": "keep"}))
    assert set(both.right.decode({"merge_fields.STAGE": "lead"}).problems) == {"stage"}, "it would come back as Lead"
    with pytest.raises(Invalid):
        both.right.encode({"stage": "Lead"}, None)


def test_each_side_may_spell_choices_its_own_way() -> None:
    both = mapping(
        field(
            "vip", at("tier", choices={"yes": 1, "no": 0}), at("vip", choices={"yes": True, "no": False}), type="choice"
        )
    )
    assert both.left.decode({"tier": 1}).values == both.right.decode({"vip": True}).values == {"vip": "yes"}
    assert both.left.encode({"vip": "no"}, None) == {"tier": 0}
    assert both.right.encode({"vip": "no"}, None) == {"vip": False}
    assert both.left.encode({"vip": None}, None) == {"tier": None}


def test_sets_may_be_one_text_and_have_spellings() -> None:
    tags = field(
        "tags",
        "tags",
        at("labels", delimiter=";"),
        type="set",
        choices={"a": "Alpha", "b": "Beta"},
        unknown_choice="ignore",
    )
    both = mapping(tags)
    assert both.right.decode({"labels": "Beta; Alpha;Gamma"}).values == {"tags": ["a", "b"]}
    assert both.right.decode({"labels": ["Beta"]}).values == {"tags": ["b"]}
    assert both.right.decode({"labels": 7}).problems.keys() == {"tags"}
    assert both.right.decode({"labels": None}).values == {"tags": None}
    assert both.right.encode({"tags": ["a", "b"]}, None) == {"labels": "Alpha;Beta"}
    assert both.left.encode({"tags": ["a"]}, None) == {"tags": ["a"]}
    assert both.left.encode({"tags": None}, None) == {"tags": None}
    plain = mapping(field("tags", "tags", at("labels", delimiter=","), type="set"))
    assert plain.right.decode({"labels": "b, a,,a"}).values == {"tags": ["a", "b"]}
    with pytest.raises(Invalid, match="holds the delimiter"):
        plain.right.encode({"tags": ["a,b"]}, None)


def test_both_sides_are_compared_in_the_fields_case_without_outer_spaces() -> None:
    both = mapping(field("city", trim=True, case="title"), field("tags", type="set", case="lower"))
    assert left_values(both, {"city": " NEW york ", "tags": ["A", "a", "b"]}) == {
        "city": "New York",
        "tags": ["a", "b"],
    }
    assert both.left.decode({"city": "  ", "tags": None}).values == {"city": None, "tags": None}
    assert left_values(mapping(field("country", case="upper")), {"country": "de"}) == {"country": "DE"}


@pytest.mark.parametrize(
    ("split", "parts"),
    [("last", {"first": "Ada Augusta", "family": "King"}), ("first", {"first": "Ada", "family": "Augusta King"})],
)
def test_a_joined_text_is_split_where_the_file_says(split: str, parts: dict[str, Raw]) -> None:
    both = mapping(field("name", at(join=("first", "family"), split=split)))
    assert both.left.encode({"name": "Ada Augusta King"}, None) == parts


def test_instants_in_an_apps_own_form() -> None:
    both = mapping(field("at", at("at", format="epoch"), at("when", format="%d.%m.%Y %H:%M:%S"), type="datetime"))
    assert both.right.decode({"when": "09.03.2024 07:08:09"}).values == {"at": "2024-03-09T07:08:09Z"}
    assert both.left.encode({"at": "2024-03-09T07:08:09Z"}, None) == {"at": 1709968089}


def test_dates_in_an_apps_own_form() -> None:
    both = mapping(field("born", "born", at("birthday", format="%d.%m.%Y"), type="date"))
    assert both.right.decode({"birthday": "09.03.1815"}).values == {"born": "1815-03-09"}
    assert both.right.encode({"born": "1815-03-09"}, None) == {"birthday": "09.03.1815"}
    assert both.right.encode({"born": None}, None) == {"birthday": None}


def test_steps_to_one_side_show_where_the_other_is_read() -> None:
    both = mapping(field("name", direction=Direction.TO_RIGHT, to_right=(Step("trim"), Step("truncate", 3))))
    assert both.left.decode({"name": "  Augusta"}).values == {"name": "Aug"}
    assert both.right.decode({"name": "  Augusta"}).values == {"name": "  Augusta"}
    back = mapping(field("name", direction=Direction.TO_LEFT, to_left=(Step("upper"),)))
    assert back.right.decode({"name": "ada"}).values == {"name": "ADA"}
    assert back.left.decode({"name": "ada"}).values == {"name": "ada"}


def test_steps_both_ways_take_what_was_given_back() -> None:
    both = mapping(
        field("number", to_left=(Step("strip_prefix", "CRM-"), Step("trim")), to_right=(Step("prefix", "CRM-"),))
    )
    assert both.left.decode({"number": "7"}).values == both.right.decode({"number": "CRM-7"}).values
    assert both.left.encode({"number": "CRM- 8"}, None) == {"number": "8"}
    assert both.right.encode({"number": "CRM-8"}, None) == {"number": "CRM-8"}


def test_a_step_does_not_make_a_value_of_what_is_overlooked() -> None:
    stage = field(
        "stage",
        type="choice",
        choices={"a": "A"},
        unknown_choice="ignore",
        direction=Direction.TO_RIGHT,
        to_right=(Step("default", "a"),),
    )
    both = mapping(stage)
    assert both.left.decode({"stage": "other"}) == Decoded({}, {}, frozenset({"stage"}))
    assert both.left.decode({}) == Decoded({}, {})
    assert both.left.decode({"stage": None}).values == {"stage": "a"}


def test_fingerprints_follow_what_the_mapping_sees() -> None:
    both = mapping(*ALL)
    seen = both.left.fingerprint(both.left.decode(LEFT))
    assert seen == both.left.fingerprint(both.left.decode({**LEFT, "email": "ADA@example.com", "unmapped": 1}))
    assert seen == both.left.fingerprint(both.left.decode(dict(reversed(LEFT.items()))))
    others = [
        both.left.fingerprint(both.left.decode({**LEFT, "firstname": "Eva"})),
        both.left.fingerprint(both.left.decode({**LEFT, "phone": None})),
        both.left.fingerprint(both.left.decode({key: LEFT[key] for key in LEFT if key != "phone"})),
        both.left.fingerprint(both.left.decode({**LEFT, "phone": "x"})),
        mapping(*ALL, conflict=Policy.LEFT).left.fingerprint(both.left.decode(LEFT)),
    ]
    assert len({seen, *others}) == 6
    assert all(-(2**63) <= one < 2**63 for one in (seen, *others))


def test_fingerprints_do_not_follow_the_order_of_anything() -> None:
    fields = (field("name"), field("address", type="json"))
    values: list[dict[str, Raw]] = [
        {"name": "Ada", "address": {"city": "Bonn", "zip": "1"}},
        {"name": "Ada", "address": {"zip": "1", "city": "Bonn"}},
    ]
    found = {
        both.left.fingerprint(both.left.decode(one))
        for both in (mapping(*fields), mapping(*reversed(fields)))
        for one in values
    }
    assert len(found) == 1


@given(st.integers())
def test_fingerprints_and_keys_fit_a_database(number: int) -> None:
    both = mapping(field("name"), match=(("name",),))
    decoded = both.left.decode({"name": str(number)})
    hashes = [both.left.fingerprint(decoded), *both.left.keys(decoded.values)]
    assert all(one is not None and -(2**63) <= one < 2**63 for one in hashes)


def test_keys_are_equal_for_the_same_person_on_both_sides() -> None:
    both = mapping(EMAIL, NAME, PHONE, match=(("email",), ("full_name", "phone")))
    left = both.left.keys(left_values(both, {**LEFT, "firstname": "ADA"}))
    right = both.right.decode(
        {
            "email_address": "ada@EXAMPLE.com",
            "merge_fields.NAME": "ada king",
            "phones": [{"type": "work", "value": "+12125550100"}],
        }
    )
    assert left == both.right.keys(right.values)
    assert len(set(left)) == 2
    assert both.left.keys({"email": "ada@example.com", "full_name": "Ada King", "phone": None}) == (left[0], None)
    assert both.left.keys({"full_name": "Ada King"}) == (None, None)


def test_a_key_of_several_parts_is_not_the_text_of_them() -> None:
    both = mapping(field("a"), field("b"), match=(("a", "b"),))
    assert both.left.keys({"a": "x y", "b": "z"}) != both.left.keys({"a": "x", "b": "y z"})
    assert both.left.keys({"a": "  ", "b": "z"}) == (None,)


def test_scopes_judge_each_side_by_its_own_records() -> None:
    both = mapping(*ALL, left={"scope": 'stage == "won" && owner != "bot"'}, right={"scope": 'consent == "in"'})
    assert both.left.in_scope(VALUES)
    assert not both.left.in_scope({**VALUES, "stage": "lead"})
    assert both.right.in_scope({"consent": "in"})
    assert both.left.scope_fields == {"stage", "owner"}
    assert both.right.scope_fields == {"consent"}
    rich = mapping(field("revenue", type="number"), left={"scope": "revenue > 900.5"})
    assert rich.left.in_scope({"revenue": "1000"})
    assert not rich.left.in_scope({"revenue": "90"})
    everything = mapping(*ALL)
    assert everything.left.in_scope({})
    assert everything.left.scope_fields == frozenset()


def test_a_field_is_as_new_as_the_newest_of_the_apps_fields() -> None:
    both = mapping(*ALL)
    record = Record("1", LEFT, field_times={"firstname": 5, "lastname": 9, "phone": 3, "unmapped": 7})
    assert both.left.field_times(record) == {"full_name": 9, "phone": 3}
    assert both.left.field_times(Record("1", LEFT)) == {}


def test_sides_know_their_apps_fields() -> None:
    both = mapping(*ALL, left={"options": {"list": "A"}})
    assert both.left.reads == {"email", "firstname", "lastname", "phone", "lifecyclestage", "optout", "owner"}
    assert both.left.app_fields("full_name") == ("firstname", "lastname")
    assert both.right.app_fields("owner") == ()
    assert (both.left.account, both.left.collection, both.left.options) == ("crm", "contacts", {"list": "A"})
    assert both.side(Side.LEFT) is both.left
    assert both.side(Side.RIGHT) is both.right
    assert mapping(EMAIL, match=(("email",),)).match == (("email",),)
    assert both.pair == "crm-news"
    assert both.fields == ("email", "full_name", "phone", "stage", "consent", "owner")


def test_live_field_names_decide_what_dots_mean() -> None:
    one = spec(field("city", "address.city", "address.city"))
    both = compile_mapping(one, {Side.LEFT: {"address"}, Side.RIGHT: {"address.city"}})
    assert both.left.reads == {"address"}
    assert both.right.reads == {"address.city"}
    assert both.left.decode({"address": {"city": "Bonn"}}).values == {"city": "Bonn"}
    assert both.hash != compile_mapping(one).hash


def test_rules_come_from_the_pair_unless_the_field_has_its_own() -> None:
    both = mapping(
        field("a"),
        field("b", conflict=Policy.LONGEST, blank=Blank.FILL, start=Start.LEFT, drift=Drift.IGNORE, type="text"),
        field("c", direction=Direction.TO_LEFT),
        OWNER,
        left={"create": False, "delete": OnDelete.ARCHIVE},
        conflict=Policy.RIGHT,
        blank=Blank.IGNORE,
        start=Start.NEWEST,
        on_leave=OnLeave.UNLINK,
        edited_delete=OnEditedDelete.REVIEW,
        guard=GuardRules(floor=3),
        tolerance=7,
    )
    rules = both.rules
    assert {name: rule.name for name, rule in rules.fields.items()} == {name: name for name in ("a", "b", "c", "owner")}
    assert {name: rule.direction for name, rule in rules.fields.items()} == {
        "a": Direction.BOTH,
        "b": Direction.BOTH,
        "c": Direction.TO_LEFT,
        "owner": Direction.ONE_SIDE,
    }
    assert (rules.fields["a"].policy, rules.fields["a"].blank, rules.fields["a"].start) == (
        Policy.RIGHT,
        Blank.IGNORE,
        Start.NEWEST,
    )
    assert (rules.fields["b"].policy, rules.fields["b"].blank, rules.fields["b"].start, rules.fields["b"].drift) == (
        Policy.LONGEST,
        Blank.FILL,
        Start.LEFT,
        Drift.IGNORE,
    )
    assert rules.create == {Side.LEFT: False, Side.RIGHT: True}
    assert rules.delete == {Side.LEFT: OnDelete.ARCHIVE, Side.RIGHT: OnDelete.IGNORE}
    assert (rules.on_leave, rules.edited_delete, rules.tolerance) == (OnLeave.UNLINK, OnEditedDelete.REVIEW, 7)
    assert rules.guard == GuardRules(floor=3)


def test_a_fields_own_options_make_its_type() -> None:
    both = mapping(field("at", type="datetime", resolution="minute"), field("size", type="number", decimals=1))
    assert both.left.decode({"at": "2024-05-06T07:08:09Z", "size": "1.26"}).values == {
        "at": "2024-05-06T07:08:00Z",
        "size": "1.3",
    }


def test_the_hash_stands_for_what_decides() -> None:
    plain = mapping(*ALL).hash
    same = [
        mapping(*ALL, pair="another-name"),
        mapping(*ALL, guard=GuardRules(floor=3)),
        mapping(*reversed(ALL)),
    ]
    assert {one.hash for one in same} == {plain}
    different = [
        mapping(*ALL, conflict=Policy.LEFT),
        mapping(*ALL, match=(("email",),)),
        mapping(*ALL, left={"account": "crm2"}),
        mapping(*ALL, right={"on_create": {"status": "subscribed"}}),
        mapping(*ALL, right={"on_create": {"status": "pending"}}),
        mapping(*ALL, right={"on_create": {"language": "subscribed"}}),
        mapping(*ALL, left={"scope": 'owner == "7"'}),
        mapping(*ALL[1:]),
        mapping(field("email", "email", "email_address", type="string"), *ALL[1:]),
    ]
    assert len({plain, *(one.hash for one in different)}) == 10


SAFE = st.text(st.characters(codec="utf-8"), max_size=12)


@pytest.mark.parametrize("side", list(Side))
@given(
    name=st.none() | SAFE,
    tags=st.none() | st.lists(SAFE, max_size=4),
    stage=st.sampled_from([None, "lead", "Kunde", "won"]),
)
def test_what_one_side_reads_the_other_writes_and_reads_back(side: Side, name: Raw, tags: Raw, stage: Raw) -> None:
    both = mapping(NAME, STAGE, field("tags", "tags", "labels[kind=tags].names", type="set"))
    raw = {"merge_fields.NAME": name, "labels": [{"kind": "tags", "names": tags}], "merge_fields.STAGE": stage}
    if side is Side.LEFT:
        raw = {"firstname": name, "lastname": name, "tags": tags, "lifecyclestage": stage}
    values = both.side(side).decode(raw).values
    other = both.side(side.other)
    assert other.decode(other.encode(values, {})) == Decoded(values, {})
