import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.core.model import Value
from twoway.core.rules import Shape
from twoway.core.time_types import date_format
from twoway.core.types import TYPES, Invalid, ValueType, make_type, word


def of(name: str, **options: Any) -> ValueType:
    return make_type(name, **({"region": "US"} if name == "phone" else {}) | options)


READ = [
    ("text stays as it is, spaces included", "string", " Ada  ", " Ada  "),
    ("decomposed letters are composed", "string", "Ame\u0301lie", "Am\u00e9lie"),
    ("a number is text where text is asked for", "string", 12, "12"),
    ("so is a whole float", "string", 12.0, "12"),
    ("and a truth value", "string", True, "true"),
    ("and a decimal", "string", Decimal("1.50"), "1.50"),
    ("line ends are made one", "text", "a\r\nb\rc", "a\nb\nc"),
    ("text without line ends", "text", "a", "a"),
    ("a choice loses the spaces around it", "choice", " lead ", "lead"),
    ("a choice of spaces is blank", "choice", "  ", None),
    ("trailing zeros say nothing", "number", "1.50", "1.5"),
    ("nor do leading ones", "number", "007.10", "7.1"),
    ("a float is what its JSON said", "number", 0.1, "0.1"),
    ("an exponent is written out", "number", "1.5e3", "1500"),
    ("a small one, too", "number", "1e-3", "0.001"),
    ("zero has no sign", "number", "-0.00", "0"),
    ("nor has it as a float", "number", -0.0, "0"),
    ("zeros before the point count", "number", "100", "100"),
    ("as many digits as may be", "number", "1" * 100, "1" * 100),
    ("and as large a power of ten", "number", "1e99", "1" + "0" * 99),
    ("and as small a one", "number", "1e-100", "0." + "0" * 99 + "1"),
    ("a sign and spaces", "number", " +4 ", "4"),
    ("a decimal", "number", Decimal("12.340"), "12.34"),
    ("no digit before the point", "number", ".5", "0.5"),
    ("more than a float could hold", "number", "12345678901234567890.123456789", "12345678901234567890.123456789"),
    ("an int", "integer", 42, 42),
    ("digits", "integer", "42", 42),
    ("a whole float", "integer", 42.0, 42),
    ("the least of 64 bits", "integer", -(2**63), -(2**63)),
    ("the greatest of 64 bits", "integer", str(2**63 - 1), 2**63 - 1),
    ("true", "boolean", True, True),
    ("false is not blank", "boolean", False, False),
    ("yes", "boolean", "Yes", True),
    ("0", "boolean", 0, False),
    ("a day", "date", "2024-02-29", "2024-02-29"),
    ("a day in short", "date", "20240229", "2024-02-29"),
    ("midnight stands for its day", "date", "2024-02-29T00:00:00Z", "2024-02-29"),
    ("also with an offset", "date", "2024-02-29T00:00:00+02:00", "2024-02-29"),
    ("spaces are no day", "date", "  ", None),
    ("an instant in UTC", "datetime", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09Z"),
    ("an offset is taken away", "datetime", "2024-05-06T01:08:09+02:00", "2024-05-05T23:08:09Z"),
    ("what is finer than a second is cut, not rounded", "datetime", "2024-05-06T07:08:09.999Z", "2024-05-06T07:08:09Z"),
    ("without an offset it is UTC", "datetime", "2024-05-06 07:08:09", "2024-05-06T07:08:09Z"),
    ("spaces are no instant", "datetime", "  ", None),
    ("an address in lower case", "email", " Ada@Example.COM ", "ada@example.com"),
    ("an intranet's address", "email", "ada@crm.local", "ada@crm.local"),
    ("an address beyond ASCII", "email", "J\u00d6RG@M\u00dcNCHEN.de", "j\u00f6rg@m\u00fcnchen.de"),
    ("an intranet's address beyond ASCII", "email", "J\u00d6RG@M\u00dcNCHEN", "j\u00f6rg@m\u00fcnchen"),
    ("a quoted address beyond ASCII", "email", '"J\u00d6RG K"@acme.example', '"j\u00f6rg k"@acme.example'),
    ("spaces are no address", "email", "  ", None),
    ("a national number", "phone", "(212) 555-0100", "+12125550100"),
    ("an international number", "phone", "+49 30 1234567", "+49301234567"),
    ("a number as a number", "phone", 2125550100, "+12125550100"),
    ("an extension is kept", "phone", "+1 212-555-0100 ext. 12", "+12125550100;ext=12"),
    ("spaces are no number", "phone", "  ", None),
    (
        "host and scheme in lower case, the path as it is",
        "url",
        "HTTPS://Acme.Example/Path",
        "https://acme.example/Path",
    ),
    ("a lone slash says nothing", "url", "https://acme.example/", "https://acme.example"),
    ("no scheme is added", "url", "acme.example", "acme.example"),
    ("an address without a scheme of its own", "url", "//Acme.example/a", "//acme.example/a"),
    ("two slashes in the path are the app's", "url", "HTTPS://Acme.example/A//B", "https://acme.example/A//B"),
    ("accents in one form", "url", "https://acme.example/e\u0301", "https://acme.example/\u00e9"),
    ("spaces are no address", "url", "  ", None),
    ("a set is sorted, each once", "set", ["b", "a", "b", ""], ["a", "b"]),
    ("a set of numbers is one of texts", "set", (2, 1), ["1", "2"]),
    ("a set of blanks is blank", "set", ["", None], None),
    ("whole floats are integers in JSON", "json", {"b": 1.0, "a": [0.5, None, True]}, {"b": 1, "a": [0.5, None, True]}),
    ("also decimals", "json", [Decimal("2.0"), Decimal("0.5")], [2, 0.5]),
    ("an integer in JSON is not rounded to a float", "json", [2**53 + 1, -(2**63)], [2**53 + 1, -(2**63)]),
    ("texts in JSON are composed", "json", {"e\u0301": "e\u0301"}, {"\u00e9": "\u00e9"}),
    ("in", "consent", "in", "in"),
    ("out", "consent", "out", "out"),
]


@pytest.mark.parametrize(("why", "name", "raw", "canonical"), READ, ids=[f"{one[1]}: {one[0]}" for one in READ])
def test_a_raw_value_has_one_canonical_form(why: str, name: str, raw: Any, canonical: Any) -> None:
    value = of(name).parse(raw)
    # As JSON, so that `1.0` is not taken for `1`, nor a `Decimal` for a float, however deep it is.
    assert json.dumps(value) == json.dumps(canonical), why
    assert of(name).parse(of(name).render(value)) == value


REFUSED = [
    ("a list is no text", "string", ["secret"], "a list where a single value is expected"),
    ("nor is an object a choice", "choice", {"a": 1}, "an object where a single value is expected"),
    ("infinity is no text", "string", float("inf"), "a number where a single value is expected"),
    ("half a surrogate pair", "string", "secret\ud800", "a text that is not valid Unicode"),
    ("digit grouping", "number", "1,234.5", "not a decimal number such as 1234.5 (without digit grouping)"),
    (
        "underscores, which Python would take",
        "number",
        "1_000",
        "not a decimal number such as 1234.5 (without digit grouping)",
    ),
    ("a truth value is no number", "number", True, "a true/false value where a number is expected"),
    (
        "nor is what is not a number",
        "number",
        float("nan"),
        "not a decimal number such as 1234.5 (without digit grouping)",
    ),
    ("an exponent that would fill the memory", "number", "1e9999", "a number of more than 100 digits"),
    ("an exponent that makes too many digits", "number", "1e100", "a number of more than 100 digits"),
    ("a number that is too small", "number", "1e-101", "a number of more than 100 digits"),
    ("too many digits", "number", "1" * 101, "a number of more than 100 digits"),
    ("a list is no number", "number", [1], "a list where a number is expected"),
    ("decimals in a whole number", "integer", "1.5", "a number with decimals where a whole number is expected"),
    ("more than 64 bits", "integer", 2**63, "a whole number of more than 64 bits"),
    ("less than 64 bits", "integer", str(-(2**63) - 1), "a whole number of more than 64 bits"),
    ("maybe", "boolean", "maybe secret", "neither true nor false (valid: true, false, yes, no, on, off, 1, 0)"),
    ("a day that does not exist", "date", "2024-02-30", "not a date such as 2026-12-31; another form needs `format`"),
    (
        "a day without what its T announces",
        "date",
        "2024-02-29T",
        "not a date and time such as 2026-12-31T23:59:00Z; another form needs `format`",
    ),
    (
        "a day and a time with another letter between",
        "date",
        "2024-02-29X07:08",
        "not a date such as 2026-12-31; another form needs `format`",
    ),
    ("a number is no day", "date", 20240229, "a whole number where a date is expected"),
    (
        "an instant that does not exist",
        "date",
        "2024-02-30T00:00:00Z",
        "not a date and time such as 2026-12-31T23:59:00Z; another form needs `format`",
    ),
    (
        "nor as an instant",
        "datetime",
        "2024-02-30T00:00:00Z",
        "not a date and time such as 2026-12-31T23:59:00Z; another form needs `format`",
    ),
    (
        "an hour that does not exist",
        "datetime",
        "2024-02-28T25:00:00Z",
        "not a date and time such as 2026-12-31T23:59:00Z; another form needs `format`",
    ),
    (
        "a number is no instant",
        "datetime",
        1714979289,
        "a whole number where a date and time is expected; epochs need `format: epoch`",
    ),
    ("before the year 1", "datetime", "0001-01-01T00:00:00+02:00", "a date and time beyond the years 1 to 9999"),
    ("no address", "email", "secret", "not an e-mail address"),
    ("a number is no address", "email", 5, "a whole number where an e-mail address is expected"),
    ("no phone number", "phone", "secret", "not a phone number"),
    ("too short", "phone", "+1 212", "a phone number that is too short or too long for its country"),
    ("a truth value is no phone number", "phone", True, "a true/false value where a phone number is expected"),
    ("spaces inside", "url", "https://acme.example/a b", "a web address with spaces inside"),
    ("half a surrogate pair", "url", "https://secret/\ud800", "a text that is not valid Unicode"),
    ("no address at all", "url", "https://[secret", "not a web address"),
    ("a number is no web address", "url", 5, "a whole number where a web address is expected"),
    ("a text is no set", "set", "a;b", "a text where a list is expected; a text with separators needs `delimiter`"),
    ("an object in a set", "set", [{"a": 1}], "an object where a single value is expected"),
    ("bytes are not JSON", "json", [b"secret"], "a value of the type bytes is not JSON"),
    ("infinity is not JSON", "json", [float("inf")], "a number that is not finite is not JSON"),
    ("a number that no database holds", "json", [2**63], "a whole number of more than 64 bits"),
    ("perhaps", "consent", "perhaps secret", "neither `in` nor `out`"),
]


@pytest.mark.parametrize(("why", "name", "raw", "words"), REFUSED, ids=[f"{one[1]}: {one[0]}" for one in REFUSED])
def test_what_cannot_be_read_is_told_without_the_value(why: str, name: str, raw: Any, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        of(name).parse(raw)
    assert str(caught.value) == words, why
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["lists", "objects"])
def test_json_is_nested_32_levels_at_most(wrap: Callable[[Any], Any]) -> None:
    deep: Any = 1
    for _ in range(31):
        deep = wrap(deep)
    assert of("json").parse(deep) == deep
    with pytest.raises(Invalid, match=r"^JSON nested deeper than 32 levels$"):
        of("json").parse(wrap(deep))


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("blank", [None, "", [], {}], ids=["null", "empty text", "empty list", "empty object"])
def test_every_type_knows_the_blanks(name: str, blank: Any) -> None:
    assert of(name).parse(blank) is None
    assert of(name).render(None) is None


def test_a_phone_number_without_country_needs_a_region() -> None:
    with pytest.raises(Invalid, match="has no `region`"):
        make_type("phone").parse("030 1234567")
    assert make_type("phone", region="DE").parse("030 1234567") == "+49301234567"


@pytest.mark.parametrize(
    ("resolution", "canonical"),
    [
        ("millisecond", "2024-05-06T07:08:09.123Z"),
        ("second", "2024-05-06T07:08:09Z"),
        ("minute", "2024-05-06T07:08:00Z"),
    ],
)
def test_an_instant_is_cut_to_the_coarser_side(resolution: str, canonical: str) -> None:
    kind = make_type("datetime", resolution=resolution)
    assert kind.parse("2024-05-06T07:08:09.123999Z") == canonical
    assert kind.parse(canonical) == canonical


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own time zone is nine hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_the_machines_own_zone_has_no_say() -> None:
    assert of("datetime").parse("2024-05-06 07:08:09") == "2024-05-06T07:08:09Z"
    assert of("datetime").parse("2024-05-06T07:08:09+02:00") == "2024-05-06T05:08:09Z"
    assert date_format("epoch", instant=True)[0](0) == "1970-01-01T00:00:00+00:00"


def test_an_instant_that_looks_canonical_is_cut_to_minutes_all_the_same() -> None:
    assert make_type("datetime", resolution="minute").parse("2024-05-06T07:08:09Z") == "2024-05-06T07:08:00Z"


def test_a_number_can_be_rounded() -> None:
    kind = make_type("number", decimals=2)
    assert kind.parse("1.005") == "1"
    assert kind.parse("1.239") == "1.24"
    assert kind.parse(None) is None
    assert make_type("number", decimals=8).parse("0.000000011") == "0.00000001"
    with pytest.raises(Invalid, match=r"^too many digits for a number of 2 decimals$"):
        kind.parse("1" * 60)


FOLDED: list[tuple[str, str, Value, str]] = [
    ("case says nothing of a text", "string", "Ada KING", "ada king"),
    ("nor does the space between words", "text", " Ada \n  King ", "ada king"),
    ("nor the two ways to write a sharp s", "string", "Stra\u00dfe", "strasse"),
    ("an address", "email", "ada@example.com", "ada@example.com"),
    ("a whole number", "integer", 42, "42"),
    ("a day", "date", "2024-02-29", "2024-02-29"),
    ("a phone number", "phone", "+12125550100", "+12125550100"),
]


@pytest.mark.parametrize(("why", "name", "value", "text"), FOLDED, ids=[one[0] for one in FOLDED])
def test_what_match_compares(why: str, name: str, value: Value, text: str) -> None:
    fold = of(name).fold
    assert fold is not None
    assert fold(value) == text, why


@pytest.mark.parametrize("name", ["boolean", "set", "json", "consent"])
def test_what_match_cannot_compare(name: str) -> None:
    assert of(name).fold is None


@pytest.mark.parametrize("name", TYPES)
def test_a_type_knows_its_name(name: str) -> None:
    assert of(name).name == name


def test_shapes_say_how_values_merge() -> None:
    assert {name: of(name).shape for name in TYPES if of(name).shape is not Shape.SCALAR} == {
        "integer": Shape.NUMBER,
        "number": Shape.NUMBER,
        "set": Shape.SET,
        "consent": Shape.CONSENT,
    }


RAWS: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.emails()
    | st.dates().map(str)
    | st.datetimes(timezones=st.none() | st.timezones()).map(lambda one: one.isoformat())
    | st.from_regex(r"[+]?[0-9 ()/.-]{4,16}", fullmatch=True)
    | st.from_regex(r"[-+]?[0-9]{1,12}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
    | st.from_regex(r"(https?:)?//[a-zA-Z0-9.:@-]{1,12}(/[a-zA-Z/?#]{0,8})?", fullmatch=True),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=6,
)


@pytest.mark.parametrize("name", TYPES)
@given(raw=RAWS)
def test_what_was_read_is_written_and_read_as_itself(name: str, raw: Any) -> None:
    kind = of(name)
    try:
        value = kind.parse(raw)
    except Invalid:
        return
    assert kind.parse(kind.render(value)) == value


@given(numbers=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=6))
def test_a_number_keeps_its_magnitude(numbers: Decimal) -> None:
    assert Decimal(str(of("number").parse(str(numbers)))) == numbers


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)))
def test_the_order_of_a_set_says_nothing(texts: list[str]) -> None:
    assert of("set").parse(texts) == of("set").parse([*reversed(texts), *texts])


def test_a_word_is_the_spelling_of_a_single_value() -> None:
    assert [word(raw) for raw in ("a", True, False, 3, 3.0, Decimal("1.5"))] == ["a", "true", "false", "3", "3", "1.5"]
