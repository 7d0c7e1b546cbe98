"""What must hold for any card: it comes back byte for byte, and a write touches only its own lines."""

import contextlib
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.connectors.carddav.strategies import VALUES, cards, texts
from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.fields import FIELDS, NAME_PARTS, TEXTS, normal_value, read_values, write_value
from twoway_connectors.carddav.lines import WIDTH, escape, fold, make_line, read_line, split_value, unescape
from twoway_connectors.carddav.text import FieldProblem

OWN_LINES = {
    **{name: set(text.names) for name, text in TEXTS.items()},
    **{name: {"N"} for name in NAME_PARTS},
    "org": {"ORG"},
    "categories": {"CATEGORIES"},
    "bday": {"BDAY"},
    "emails": {"EMAIL"},
    "phones": {"TEL"},
    "addresses": {"ADR"},
}
"""The properties that a write of each field may touch, besides the label of a line that it changes."""

unhurried = settings(deadline=None)
fields_and_values = st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name]))


@unhurried
@given(st.one_of(st.binary(max_size=300), cards().map(str.encode), cards().map(lambda text: text.encode()[:-20])))
@example(b"\xef\xbb\xbfBEGIN:VCARD\nFN:x\nEND:VCARD")
@example(b"NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\nb=\r\n")
def test_any_bytes_come_back_as_they_were_and_can_be_read(data: bytes) -> None:
    card = Card.parse(data)
    assert bytes(card) == data
    read_values(card)


@unhurried
@given(cards(), fields_and_values)
@example("BEGIN:VCARD\nEMAIL;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:\nEND:VCARD\n", ("email", "ü" * 30))
def test_a_value_that_was_written_is_read_in_its_normal_form(text: str, field: tuple[str, Any]) -> None:
    name, value = field
    card = Card.parse(text)
    wanted = normal_value(name, value)
    if wanted is None and name in {"fn", *TEXTS, "bday"}:
        return  # clearing shows the next line of several: see the test of that
    write_value(card, name, value)
    read = read_values(Card.parse(str(card)), (name,))[name]
    assert (set(read or ()) == set(wanted or ())) if name == "categories" else read == wanted


@unhurried
@given(cards(), fields_and_values)
@example("BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n", ("kind", "a\nNOTE:b"))
@example("BEGIN:VCARD\nVERSION:3.0\nTEL;VALUE=uri:tel:1\nEND:VCARD\n", ("phone", "1\nNOTE:b"))
def test_a_write_touches_no_line_of_another_property(text: str, field: tuple[str, Any]) -> None:
    name, value = field
    card = Card.parse(text)
    foreign = [line.raw for line in card.properties if line.name not in OWN_LINES[name] | {"X-ABLABEL"}]
    with contextlib.suppress(FieldProblem):
        write_value(card, name, value)
    after = Card.parse(str(card))
    assert [line.raw for line in after.properties if line.name not in OWN_LINES[name] | {"X-ABLABEL"}] == foreign
    assert after.writable


@unhurried
@given(cards(), st.sampled_from(sorted(FIELDS)))
def test_writing_what_is_there_changes_nothing(text: str, name: str) -> None:
    card = Card.parse(text)
    values = read_values(card, (name,))
    if name in values:
        with contextlib.suppress(FieldProblem):
            write_value(card, name, values[name])
    assert str(card) == text


@unhurried
@given(cards(), st.sampled_from(sorted(FIELDS)))
def test_what_is_read_is_in_its_normal_form(text: str, name: str) -> None:
    for value in read_values(Card.parse(text), (name,)).values():
        assert name == "kind" or normal_value(name, value) == value


@unhurried
@given(cards(), st.sampled_from(["emails", "phones", "addresses"]), st.data())
def test_an_array_write_touches_only_the_lines_of_elements_that_changed(
    text: str, name: str, data: st.DataObject
) -> None:
    card = Card.parse(text)
    elements = read_values(card, (name,))[name] or []
    if not elements:
        return
    at = data.draw(st.integers(0, len(elements) - 1))
    wanted = [element for index, element in enumerate(elements) if index != at]
    if data.draw(st.booleans(), label="replace instead of remove"):
        wanted.insert(at, {"type": "x-new", ("street" if name == "addresses" else "value"): "new"})
    before = [line.raw for line in card.properties]
    assume(len(set(before)) == len(before))
    write_value(card, name, wanted)
    after = [line.raw for line in card.properties]
    gone = [raw for raw in before if raw not in after]
    assert len([raw for raw in gone if read_line(raw).name in OWN_LINES[name]]) <= 1
    assert [raw for raw in after if raw in before] == [raw for raw in before if raw in after]
    assert read_values(card, (name,))[name] == (normal_value(name, wanted) or None)


@unhurried
@given(texts)
def test_an_escaped_text_is_one_part_and_comes_back(text: str) -> None:
    raw = escape(text)
    assert unescape(raw) == text
    assert split_value(raw, ";") == split_value(raw, ",") == [raw]


@unhurried
@given(st.text(max_size=60), st.sampled_from(",;"))
def test_the_parts_of_a_value_joined_give_it_back(raw: str, separator: str) -> None:
    assert separator.join(split_value(raw, separator)) == raw


@unhurried
@given(
    st.sampled_from(
        ["NOTE", "note", "item1.TEL", "TEL;TYPE=home", 'X;A="b:c"', "NOTE;ENCODING=QUOTED-PRINTABLE", "", "é"]
    ),
    st.one_of(texts, st.text(max_size=200)),
    st.sampled_from(["\r\n", "\n", ""]),
)
def test_a_line_that_is_made_is_the_one_that_is_read(head: str, value: str, ending: str) -> None:
    made = make_line(f"{head}:{value}", ending)
    read = read_line(made.raw)
    assert (made.group, made.name, made.head, made.value) == (read.group, read.name, read.head, read.value)


@unhurried
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=300))
def test_folding_keeps_the_text_and_the_width(text: str) -> None:
    line = read_line(fold(f"NOTE:{text}", "\r\n") + "\r\n")
    assert line.value == text
    assert all(len(piece.encode()) <= WIDTH for piece in line.raw.split("\r\n"))
