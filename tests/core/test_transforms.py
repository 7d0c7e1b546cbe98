from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.core.raw import Invalid
from twoway.core.transforms import ABSENT, Accessor, Joined, Path, Plain, compile_path, settle

WORK = "phones[type=work].value"


def put(accessor: Accessor, raw: Any, current: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    accessor.put(out, raw, current)
    return out


PATHS = [
    ("a plain name", "phone", None, ("phone", 0)),
    ("dots belong to the name, for all we know", "merge_fields.NAME", None, ("merge_fields.NAME", 0)),
    ("dots belong to a name that the app has", "merge_fields.NAME", ["merge_fields.NAME", "merge_fields"], None),
    ("a known first part makes it a path", "address.city", ["address"], ("address", 1)),
    ("the longest known part wins", "a.b.c", ["a", "a.b"], ("a.b", 1)),
    ("a known first part of three", "a.b.c", ["a"], ("a", 2)),
    ("no part is known", "a.b.c", ["x"], ("a.b.c", 0)),
    ("an element of an array", WORK, None, ("phones", 2)),
    ("an element of an array with a dotted name", "user.phones[type=work].value", None, ("user.phones", 2)),
    ("an array in an object", "user.phones[type=work].value", ["user"], ("user", 3)),
    ("deep down", "a[k=v].b.c[k=w].d", None, ("a", 5)),
]


@pytest.mark.parametrize(("why", "path", "known", "meant"), PATHS, ids=[one[0] for one in PATHS])
def test_what_a_path_means(why: str, path: str, known: list[str] | None, meant: tuple[str, int] | None) -> None:
    accessor = compile_path(path, known)
    app, moves = meant or (path, 0)
    assert accessor.apps == (app,), why
    assert (len(accessor.moves) if isinstance(accessor, Path) else 0) == moves
    assert accessor.whole is bool(moves)


@pytest.mark.parametrize(
    "path", ["", "phones[work].value", "phones[type=work", "phones[type=].value", "a]b", "[a=b].c"]
)
def test_what_is_no_path_is_refused_with_what_would_be(path: str) -> None:
    with pytest.raises(ValueError, match=r"valid: field, field\.key, field\[key=value\]\.key"):
        compile_path(path)


def test_a_whole_element_is_no_value() -> None:
    with pytest.raises(ValueError, match=r"^a path must go on to a key behind the last `]`, such as phones"):
        compile_path("phones[type=work]")


PHONES: list[Any] = [
    {"type": "home", "value": "1"},
    {"type": ["WORK", "voice"], "value": "2", "pref": True},
    "odd",
    {"value": "3"},
]

GETS: list[tuple[str, str, dict[str, Any], Any]] = [
    ("the first element that fits, whatever the case", WORK, {"phones": PHONES}, "2"),
    ("no element fits", WORK, {"phones": [{"type": "home", "value": "1"}]}, None),
    ("the array is blank", WORK, {"phones": None}, None),
    ("the array is not told", WORK, {}, ABSENT),
    ("a flag chooses", "phones[pref=true].value", {"phones": PHONES}, "2"),
    ("an object chooses nothing", "phones[type=work].value", {"phones": [{"type": {"a": 1}}]}, None),
    ("the key is missing from the object", "address[type=home].city", {"address": [{"type": "home"}]}, None),
]


@pytest.mark.parametrize(("why", "path", "values", "raw"), GETS, ids=[one[0] for one in GETS])
def test_reading_a_path(why: str, path: str, values: dict[str, Any], raw: Any) -> None:
    assert compile_path(path).get(values) == raw, why


@pytest.mark.parametrize(
    ("path", "node", "words"),
    [
        (WORK, "text", "a text where the path expects a list"),
        (WORK, {"a": 1}, "an object where the path expects a list"),
        ("a.b", [1], "a list where the path expects an object"),
        ("a.b", 7, "a whole number where the path expects an object"),
    ],
)
def test_a_path_into_what_has_no_parts_is_refused(path: str, node: Any, words: str) -> None:
    accessor = compile_path(path, ["a", "phones"])
    values = {accessor.apps[0]: node}
    with pytest.raises(Invalid, match=f"^{words}$"):
        accessor.get(values)
    with pytest.raises(Invalid, match=f"^{words}$"):
        put(accessor, "x", values)


PUTS: list[tuple[str, str, Any, Any, Any]] = [
    ("the element alone is changed", WORK, "9", PHONES, [PHONES[0], PHONES[1] | {"value": "9"}, *PHONES[2:]]),
    ("an element that is missing is added", WORK, "9", [PHONES[0]], [PHONES[0], {"type": "work", "value": "9"}]),
    ("and the array with it", WORK, "9", None, [{"type": "work", "value": "9"}]),
    ("what tells nothing any more is taken out", WORK, None, PHONES, [PHONES[0], *PHONES[2:]]),
    ("nothing is cleared where nothing is", WORK, None, [PHONES[0]], [PHONES[0]]),
    (
        "an element that tells more stays",
        "a[type=home].city",
        None,
        [{"type": "home", "city": "Bonn", "street": "Am Hof"}],
        [{"type": "home", "city": None, "street": "Am Hof"}],
    ),
    ("an element in an element", "a[t=x].b[u=y].c", "1", None, [{"t": "x", "b": [{"u": "y", "c": "1"}]}]),
]


@pytest.mark.parametrize(("why", "path", "raw", "before", "after"), PUTS, ids=[one[0] for one in PUTS])
def test_writing_a_path_leaves_the_rest_as_it_is(why: str, path: str, raw: Any, before: Any, after: Any) -> None:
    accessor = compile_path(path)
    app = accessor.apps[0]
    assert put(accessor, raw, {app: before}) == {app: after}, why


def test_an_object_is_written_whole() -> None:
    accessor = compile_path("address.city", ["address"])
    assert put(accessor, "Bonn", {"address": {"city": "Ulm", "zip": "1"}}) == {"address": {"city": "Bonn", "zip": "1"}}
    assert put(accessor, None, {"address": {"city": "Ulm", "zip": "1"}}) == {"address": {"city": None, "zip": "1"}}
    assert put(accessor, "Bonn", {}) == {"address": {"city": "Bonn"}}
    deeper = compile_path("a.b.c", ["a"])
    assert put(deeper, "x", {"a": {"b": {"c": 1, "d": 2}, "e": 3}}) == {"a": {"b": {"c": "x", "d": 2}, "e": 3}}


def test_two_paths_into_one_array_are_one_write() -> None:
    current = {"phones": [{"type": "home", "value": "1"}]}
    out: dict[str, Any] = {}
    compile_path(WORK).put(out, "2", current)
    compile_path("phones[type=home].value").put(out, "3", current)
    assert out == {"phones": [{"type": "home", "value": "3"}, {"type": "work", "value": "2"}]}
    assert current == {"phones": [{"type": "home", "value": "1"}]}, "what was read is not changed"


JOINS = [
    ("the last word apart", "last", "Ada Augusta King", ["Ada Augusta", "King"]),
    ("the first word apart", "first", "Ada Augusta King", ["Ada", "Augusta King"]),
    ("one word is the first field's", "last", "Ada", ["Ada", None]),
    ("nothing", "last", None, [None, None]),
    ("spaces are nothing", "last", "  ", [None, None]),
    ("spaces between count once", "last", " Ada   King ", ["Ada", "King"]),
]


@pytest.mark.parametrize(("why", "split", "text", "parts"), JOINS, ids=[one[0] for one in JOINS])
def test_a_name_is_split(why: str, split: str, text: str | None, parts: list[str | None]) -> None:
    accessor = Joined((Plain("first"), Plain("last")), " ", split)
    assert put(accessor, text, {}) == dict(zip(("first", "last"), parts, strict=True)), why


def test_a_name_is_joined() -> None:
    accessor = Joined((Plain("first"), Plain("last")), " ", "last")
    assert accessor.apps == ("first", "last")
    assert accessor.whole is False
    assert accessor.get({"first": "Ada", "last": "King"}) == "Ada King"
    assert accessor.get({"first": None, "last": "King"}) == "King"
    assert accessor.get({"first": " ", "last": "King"}) == "King"
    assert accessor.get({"first": "", "last": None}) == ""
    assert accessor.get({"first": "Ada"}) is ABSENT, "a part that is not told says nothing of the whole"


def test_a_name_of_which_one_part_is_in_an_array() -> None:
    accessor = Joined((Plain("first"), compile_path("names[type=family].value")), " ", "last")
    assert accessor.whole is True
    assert put(accessor, "Ada King", {"names": []}) == {"first": "Ada", "names": [{"type": "family", "value": "King"}]}


@pytest.mark.parametrize("split", ["last", "first"])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("separator", [" ", ", ", "/"])
@given(text=st.text(st.sampled_from("ab ,/\t")))
def test_what_is_split_is_joined_to_itself(split: str, count: int, separator: str, text: str) -> None:
    settled = settle(text, separator)
    accessor = Joined(tuple(Plain(str(number)) for number in range(count)), separator, split)
    assert accessor.get(put(accessor, settled, {})) == settled
    assert settle(settled, separator) == settled


RAW_ARRAYS = st.lists(st.fixed_dictionaries({"type": st.sampled_from(["home", "work"])}, optional={"value": st.text()}))


@given(elements=st.none() | RAW_ARRAYS, raw=st.none() | st.text(min_size=1))
def test_what_is_written_into_an_array_is_read_from_it(elements: Any, raw: str | None) -> None:
    accessor = compile_path(WORK)
    others = [one for one in elements or () if one["type"] == "home"]
    written = put(accessor, raw, {"phones": elements})
    twins = [one for one in elements or () if one["type"] == "work"][1:]
    if raw is not None or not twins:
        assert accessor.get(written) == raw
    assert [one for one in written["phones"] if one["type"] == "home"] == others
