"""Reading and writing single fields, by examples from the standards and from real address books."""

from typing import Any

import pytest

from twoway_connectors.carddav.card import Card
from twoway_connectors.carddav.fields import FIELDS, fill_required, normal_value, read_values, write_value
from twoway_connectors.carddav.text import FieldProblem


def card(*lines: str, version: str = "3.0", ending: str = "\r\n") -> Card:
    return Card.parse(ending.join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", "")))


def inner(changed: Card, ending: str = "\r\n") -> list[str]:
    """The physical lines between VERSION and END."""
    return str(changed).split(ending)[2:-2]


READS: list[tuple[str, list[str], str, Any]] = [
    ("part of a name", ["N:Stevenson;John;Philip,Paul;Dr.;Jr.,M.D."], "family", "Stevenson"),
    (
        "a list inside a part keeps its commas",
        ["N:Stevenson;John;Philip,Paul;Dr.;Jr.,M.D."],
        "additional",
        "Philip,Paul",
    ),
    ("an escaped semicolon is no separator", ["N:a\\;b;c;;;"], "family", "a;b"),
    ("a name with too few parts", ["N:Doe"], "given", None),
    ("a folded line", ["NOTE:one ", " two", "\tthree"], "note", "one twothree"),
    ("a folded property name", ["NO", " TE:x"], "note", "x"),
    ("a line break", ["NOTE:a\\nb\\Nc"], "note", "a\nb\nc"),
    ("a backslash that somebody did not escape", ["NOTE:C:\\temp"], "note", "C:\\temp"),
    ("a colon escaped by old Apple", ["URL:http\\://a.example/"], "url", "http://a.example/"),
    ("names in any case", ["fn:Ann"], "fn", "Ann"),
    ("the first of several", ["EMAIL:a@x", "EMAIL:b@x"], "email", "a@x"),
    ("the preferred of vCard 3", ["EMAIL:a@x", "EMAIL;TYPE=HOME,pref:b@x"], "email", "b@x"),
    ("the most preferred of vCard 4", ["EMAIL;PREF=2:a@x", "EMAIL;PREF=1:b@x"], "email", "b@x"),
    ("an empty line does not count", ["TEL;TYPE=pref:", "TEL:1"], "phone", "1"),
    ("a tel: URI", ["TEL;VALUE=uri;TYPE=home:tel:+1-555-5555;ext=5"], "phone", "+1-555-5555;ext=5"),
    ("the organisation without departments", ["ORG:ACME\\, Inc.;Sales;EMEA"], "org", "ACME, Inc."),
    ("categories over several lines", ["CATEGORIES:a,b\\,c", "CATEGORIES:a,d"], "categories", ["a", "b,c", "d"]),
    ("a date of vCard 3", ["BDAY:1985-04-12"], "bday", "1985-04-12"),
    ("a date of vCard 4", ["BDAY:19850412"], "bday", "1985-04-12"),
    ("a time of birth", ["BDAY;VALUE=date-time:1953-10-15T23:10:00Z"], "bday", "1953-10-15"),
    ("a group is a kind", ["X-ADDRESSBOOKSERVER-KIND:group"], "kind", "group"),
    ("a colon inside a quoted parameter", ['NOTE;X-A="a:b;c":text'], "note", "text"),
    ("a quote that never ends", ['NOTE;X-A="ab:text'], "note", "text"),
    (
        "quoted-printable of vCard 2.1",
        ["NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg=", " M=C3=BCller"],
        "note",
        "Jörg Müller",
    ),
    ("a word without a name means the encoding", ["NOTE;QUOTED-PRINTABLE:=41"], "note", "A"),
    (
        "types of three dialects",
        ["TEL;WORK;VOICE:1", 'TEL;TYPE="home,fax":2', "TEL;type=CELL;type=pref:3", "TEL;TYPE=mobile:4"],
        "phones",
        [
            {"type": "work", "value": "1"},
            {"type": "home fax", "value": "2"},
            {"type": "cell", "pref": True, "value": "3"},
            {"type": "cell", "value": "4"},
        ],
    ),
    (
        "Apple's labels, its own and a person's",
        ["item1.TEL:1", "item1.X-ABLabel:_$!<Mobile>!$_", "item2.TEL;type=WORK:2", "item2.X-ABLabel:Büro"],
        "phones",
        [{"label": "Mobile", "value": "1"}, {"type": "work", "label": "Büro", "value": "2"}],
    ),
    (
        "a label of a whole group",
        ["item1.TEL:1", "ITEM1.TEL:2", "item1.X-ABLabel:Büro"],
        "phones",
        [{"label": "Büro", "value": "1"}, {"label": "Büro", "value": "2"}],
    ),
    (
        "an address, without its empty parts",
        ["ADR;TYPE=work:;;1 Main St\\, Apt 2;Town;;12345;USA"],
        "addresses",
        [{"type": "work", "street": "1 Main St, Apt 2", "city": "Town", "postal_code": "12345", "country": "USA"}],
    ),
]


@pytest.mark.parametrize(("lines", "field", "value"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_reading(lines: list[str], field: str, value: Any) -> None:
    assert read_values(card(*lines), (field,)) == {field: value}


@pytest.mark.parametrize(
    "line",
    [
        "BDAY:--0412",
        "BDAY:1985-04",
        "BDAY;VALUE=text:circa 1800",
        "BDAY;X-APPLE-OMIT-YEAR=1604:1604-04-12",
        "BDAY:1985-13-45",
    ],
)
def test_a_birthday_that_is_no_whole_day_is_absent_and_is_not_cleared(line: str) -> None:
    changed = card(line)
    assert read_values(changed, ("bday",)) == {}
    write_value(changed, "bday", None)
    assert inner(changed) == [line]
    write_value(changed, "bday", "1985-04-12")
    assert read_values(changed, ("bday",)) == {"bday": "1985-04-12"}


# Each row: what it shows, the lines before, the field, the value, the lines after.
WRITES: list[tuple[str, list[str], str, Any, list[str]]] = [
    (
        "one part of the name; the others keep their text",
        ["N;LANGUAGE=de:Doe;John;Philip,Paul;Dr.;Jr.,M.D."],
        "given",
        "Jane, Mary",
        ["N;LANGUAGE=de:Doe;Jane\\, Mary;Philip,Paul;Dr.;Jr.,M.D."],
    ),
    (
        "the full name stays when a part changes",
        ["FN:John Doe", "N:Doe;John;;;"],
        "given",
        "Jane",
        ["FN:John Doe", "N:Doe;Jane;;;"],
    ),
    ("the departments stay", ["ORG:ACME;Sales"], "org", "Initech", ["ORG:Initech;Sales"]),
    ("a cleared organisation with departments", ["ORG:ACME;Sales"], "org", None, ["ORG:;Sales"]),
    ("a cleared organisation without", ["ORG:ACME", "NOTE:x"], "org", None, ["NOTE:x"]),
    (
        "only the preferred line, with its group and parameters",
        ["EMAIL:a@x", "item1.EMAIL;type=INTERNET;type=pref:b@x", "item1.X-ABLabel:Büro"],
        "email",
        "c@x",
        ["EMAIL:a@x", "item1.EMAIL;type=INTERNET;type=pref:c@x", "item1.X-ABLabel:Büro"],
    ),
    (
        "a cleared line takes its label along",
        ["TEL:1", "item1.TEL;TYPE=pref:2", "item1.X-ABLabel:Büro"],
        "phone",
        None,
        ["TEL:1"],
    ),
    (
        "a label of a group with further properties is nobody's own",
        ["item1.TEL;TYPE=pref:2", "item1.X-FOO:1", "item1.X-ABLabel:Büro"],
        "phone",
        None,
        ["item1.X-FOO:1", "item1.X-ABLabel:Büro"],
    ),
    ("a tel: URI stays one", ["TEL;VALUE=uri:tel:+1-5"], "phone", "+1-6", ["TEL;VALUE=uri:tel:+1-6"]),
    (
        "a number that cannot be a URI is text",
        ["TEL;VALUE=uri;TYPE=home:tel:+1-5"],
        "phone",
        "+1 (6)",
        ["TEL;TYPE=home:+1 (6)"],
    ),
    ("a web address is not escaped", [], "url", "https://a.example/x,y;z", ["URL:https://a.example/x,y;z"]),
    (
        "a date as its app writes dates",
        ["BDAY;VALUE=date:19800101"],
        "bday",
        "1985-04-12",
        ["BDAY;VALUE=date:19850412"],
    ),
    (
        "a time gives way to the date",
        ["BDAY;VALUE=date-time:19800101T000000Z"],
        "bday",
        "1985-04-12",
        ["BDAY:19850412"],
    ),
    (
        "categories keep their order and their lines",
        ["CATEGORIES:a,b", "CATEGORIES:c"],
        "categories",
        ["c", "d", "b"],
        ["CATEGORIES:b", "CATEGORIES:c,d"],
    ),
    ("no categories, no line", ["CATEGORIES:a", "NOTE:x"], "categories", [], ["NOTE:x"]),
    ("a kind in vCard 3", [], "kind", "group", ["X-ADDRESSBOOKSERVER-KIND:group"]),
    (
        "a quoted-printable line stays one",
        ["NOTE;ENCODING=QUOTED-PRINTABLE:x"],
        "note",
        "ü=1",
        ["NOTE;ENCODING=QUOTED-PRINTABLE:=C3=BC=3D1"],
    ),
    ("a legacy charset goes", ["NOTE;CHARSET=ISO-8859-1:x"], "note", "Ж", ["NOTE:Ж"]),
    ("a new line is folded", [], "note", "é" * 40, ["NOTE:" + "é" * 35, " " + "é" * 5]),
    (
        "only the element that changed, with its parameters",
        ["TEL;TYPE=WORK,VOICE;X-A=1:1", "X-FOO:1", "TEL;type=HOME:2"],
        "phones",
        [{"type": "work", "value": "9"}, {"type": "home", "value": "2"}],
        ["TEL;TYPE=WORK,VOICE;X-A=1:9", "X-FOO:1", "TEL;type=HOME:2"],
    ),
    (
        "an element that goes, one that comes between",
        ["TEL;TYPE=work:1", "TEL;TYPE=home:2", "TEL;TYPE=fax:3"],
        "phones",
        [{"type": "work", "value": "1"}, {"type": "cell", "value": "4"}, {"type": "fax", "value": "3"}],
        ["TEL;TYPE=work:1", "TEL;TYPE=cell:4", "TEL;TYPE=fax:3"],
    ),
    (
        "another order moves lines, and changes none",
        ["TEL;X-A=1:1", "X-FOO:1", "TEL;X-A=2:2"],
        "phones",
        [{"value": "2"}, {"value": "1"}],
        ["TEL;X-A=2:2", "X-FOO:1", "TEL;X-A=1:1"],
    ),
    (
        "another type, the words that tell nothing apart stay",
        ["TEL;TYPE=WORK,VOICE;TYPE=pref:1"],
        "phones",
        [{"type": "home", "value": "1", "pref": True}],
        ["TEL;TYPE=VOICE;TYPE=pref;TYPE=home:1"],
    ),
    (
        "a new label takes a free group",
        ["item1.URL:u", "TEL:1"],
        "phones",
        [{"label": "Büro", "value": "1"}],
        ["item1.URL:u", "item2.TEL:1", "item2.X-ABLabel:Büro"],
    ),
    (
        "a label changes alone",
        ["item1.TEL:1", "item1.X-ABLabel:_$!<Home>!$_"],
        "phones",
        [{"label": "Büro", "value": "1"}],
        ["item1.TEL:1", "item1.X-ABLabel:Büro"],
    ),
    (
        "of a group's label the one that stays keeps its own",
        ["item1.TEL:1", "item1.TEL:2", "item1.X-ABLabel:Büro"],
        "phones",
        [{"label": "Büro", "value": "2"}],
        ["item1.TEL:2", "item1.X-ABLabel:Büro"],
    ),
    (
        "another label for one of a group takes a group of its own",
        ["item1.TEL:1", "item1.TEL:2", "item1.X-ABLabel:Büro"],
        "phones",
        [{"label": "Büro", "value": "1"}, {"label": "Lager", "value": "2"}],
        ["item1.TEL:1", "item2.TEL:2", "item2.X-ABLabel:Lager", "item1.X-ABLabel:Büro"],
    ),
    (
        "no label for one of a group leaves the group",
        ["item1.TEL:1", "item1.TEL:2", "item1.X-ABLabel:Büro"],
        "phones",
        [{"value": "1"}, {"label": "Büro", "value": "2"}],
        ["item2.TEL:1", "item1.TEL:2", "item1.X-ABLabel:Büro"],
    ),
    (
        "one part of an address; the others keep their text",
        ['ADR;LABEL="x":;;1 Main St,Apt 2;Town;;12345;USA'],
        "addresses",
        [{"street": "1 Main St,Apt 2", "city": "Köln, Nord", "postal_code": "12345", "country": "USA"}],
        ['ADR;LABEL="x":;;1 Main St,Apt 2;Köln\\, Nord;;12345;USA'],
    ),
    (
        "the first of two that say the same is taken out, and the others stay where they are",
        ["TEL;X-A=1:0", "TEL:1", "TEL;X-A=2:0"],
        "phones",
        [{"value": "1"}, {"value": "0"}],
        ["TEL:1", "TEL;X-A=2:0"],
    ),
    ("an element without a value is none", ["TEL:", "TEL:1"], "phones", [{"type": "work", "value": " "}], ["TEL:"]),
]


@pytest.mark.parametrize(
    ("before", "field", "value", "after"), [row[1:] for row in WRITES], ids=[row[0] for row in WRITES]
)
@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_writing(before: list[str], field: str, value: Any, after: list[str], ending: str) -> None:
    changed = card(*before, ending=ending)
    write_value(changed, field, value)
    assert inner(changed, ending) == after


def test_preference_is_written_as_the_version_of_the_card_has_it() -> None:
    for version, line in (("4.0", "TEL;PREF=1:1"), ("3.0", "TEL;TYPE=pref:1")):
        changed = card("TEL:1", version=version)
        write_value(changed, "phones", [{"value": "1", "pref": True}])
        assert inner(changed) == [line]
        write_value(changed, "phones", [{"value": "1"}])
        assert inner(changed) == ["TEL:1"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fn", None),
        ("given", ["a"]),
        ("title", True),
        ("bday", "yesterday"),
        ("bday", "2023-02-30"),
        ("categories", 5),
        ("phones", {"value": "1"}),
        ("phones", [{"number": "1"}]),
        ("phones", [{"value": "1", "type": "büro"}]),
        ("addresses", ["Main Street"]),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_refused_without_naming_it(field: str, value: Any) -> None:
    changed = card("FN:Ann")
    with pytest.raises(FieldProblem) as problem:
        write_value(changed, field, value)
    assert problem.value.field == field
    assert "yesterday" not in str(problem.value)
    assert "büro" not in str(problem.value)
    assert inner(changed) == ["FN:Ann"]


@pytest.mark.parametrize(
    ("values", "full_name"),
    [
        ({"given": "Ann", "family": "Doe", "prefix": "Dr.", "org": "ACME"}, "Dr. Ann Doe"),
        ({"org": "ACME, Inc.", "email": "a@x"}, "ACME, Inc."),
        ({"nickname": "Annie", "email": "a@x"}, "Annie"),
        ({"email": "a@x", "phone": "1"}, "a@x"),
        ({"phone": "1"}, "1"),
        ({}, None),
    ],
)
def test_a_new_card_gets_a_full_name_from_its_other_fields(values: dict[str, str], full_name: str | None) -> None:
    new = Card.new("UID:1")
    for name, value in values.items():
        write_value(new, name, value)
    fill_required(new)
    assert read_values(new, ("fn",)) == {"fn": full_name}
    assert len(new.all("FN")) == len(new.all("N")) == 1


@pytest.mark.parametrize(
    ("text", "writable"),
    [
        ("BEGIN:VCARD\r\nEND:VCARD\r\n\r\n", True),
        ("\ufeffbegin:vcard\nend:vcard", True),
        ("BEGIN:VCARD\r\nAGENT:\r\nBEGIN:VCARD\r\nFN:in\r\nEND:VCARD\r\nFN:out\r\nEND:VCARD\r\n", True),
        ("BEGIN:VCARD\r\nFN:cut", False),
        ("BEGIN:VCARD\r\nEND:VCARD\r\nBEGIN:VCARD\r\nEND:VCARD\r\n", False),
        ("BEGIN:VCARD\r\nEND:VCARD\r\nFN:behind\r\n", False),
        ("<html>", False),
        ("", False),
    ],
)
def test_only_one_whole_card_is_writable(text: str, writable: bool) -> None:
    assert Card.parse(text).writable is writable


def test_a_card_inside_a_card_is_not_read() -> None:
    text = "BEGIN:VCARD\nAGENT:\nBEGIN:VCARD\nFN:in\nEND:VCARD\nFN:out\nEND:VCARD\n"
    assert read_values(Card.parse(text), ("fn",)) == {"fn": "out"}


def test_bytes_that_are_no_text_stay_and_are_shown_as_unknown() -> None:
    data = b"BEGIN:VCARD\r\nVERSION:3.0\r\nNOTE:caf\xe9\r\nNICKNAME;CHARSET=ISO-8859-1:caf\xe9\r\nEND:VCARD\r\n"
    changed = Card.parse(data)
    assert read_values(changed, ("note", "nickname")) == {"note": "caf�", "nickname": "café"}
    write_value(changed, "title", "Boss")
    assert bytes(changed) == data.replace(b"END:", b"TITLE:Boss\r\nEND:")


def test_a_character_that_was_folded_in_its_middle_is_read() -> None:
    raw = "NOTE:é".encode()
    data = b"BEGIN:VCARD\r\n" + raw[:-1] + b"\r\n " + raw[-1:] + b"\r\nEND:VCARD\r\n"
    assert read_values(Card.parse(data), ("note",)) == {"note": "é"}


@pytest.mark.parametrize(
    ("field", "value", "normal"),
    [
        ("note", " a\r\nb\x0bc\x00 ", "a\nb\nc"),
        ("title", "", None),
        ("phone", "tel: tel:+1", "+1"),
        ("kind", "Group", "group"),
        ("bday", "19850412", "1985-04-12"),
        ("categories", ["a", " a ", ""], ["a"]),
        ("emails", ["a@x"], [{"value": "a@x"}]),
        (
            "phones",
            [{"type": ["MOBILE", "voice"], "value": "1", "pref": False, "label": None}],
            [{"type": "cell", "value": "1"}],
        ),
        ("addresses", [{"type": "work", "street": None}], None),
    ],
)
def test_normal_form(field: str, value: Any, normal: Any) -> None:
    assert normal_value(field, value) == normal
    assert normal_value(field, normal) == normal


def test_the_fields_are_sorted() -> None:
    assert list(FIELDS) == sorted(FIELDS)
