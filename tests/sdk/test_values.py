"""Times, dates and lists between apps' spellings and ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.sdk import (
    Raw,
    date_from_epoch_ms,
    epoch_ms_from_date,
    instant_from_iso,
    instant_from_seconds,
    iso_from_instant,
    iso_seconds_from_instant,
    join_list,
    revision,
    split_list,
)

instants = st.integers(-62_135_596_800_000, 253_402_300_799_999)


@given(instants)
def test_an_instant_survives_its_spelling(at: int) -> None:
    assert instant_from_iso(iso_from_instant(at)) == at
    assert instant_from_iso(iso_seconds_from_instant(at)) == at // 1000 * 1000


@pytest.mark.parametrize(
    ("what", "text", "at"),
    [
        ("with milliseconds", "2025-06-15T15:06:40.123Z", 1_750_000_000_123),
        ("in another zone", "2025-06-15T17:06:40+02:00", 1_750_000_000_000),
        ("without a zone: UTC", "2025-06-15T15:06:40", 1_750_000_000_000),
        ("a bare date: its midnight", "2025-06-15", 1_749_945_600_000),
        ("microseconds are cut off", "2025-06-15T15:06:40.123999Z", 1_750_000_000_123),
    ],
)
def test_iso_times(what: str, text: str, at: int) -> None:
    assert instant_from_iso(text) == at, what


def test_text_that_is_no_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="soon"):
        instant_from_iso("soon")


@given(st.dates())
def test_a_date_survives_as_midnight(day: object) -> None:
    text = str(day)
    assert date_from_epoch_ms(epoch_ms_from_date(text)) == text
    assert date_from_epoch_ms(epoch_ms_from_date(text) + 86_399_999) == text


def test_seconds() -> None:
    assert instant_from_seconds(1.2345) == 1234
    assert instant_from_seconds(1_750_000_000) == 1_750_000_000_000


parts = st.lists(st.text(st.characters(exclude_characters=";"), min_size=1).map(str.strip).filter(bool), unique=True)


@given(parts)
def test_a_list_survives(values: list[str]) -> None:
    assert split_list(join_list(values)) == values


def test_lists() -> None:
    assert split_list(" a;;b ;a") == ["a", "b"]
    assert split_list("") == []
    assert join_list(["a", 1], ",") == "a,1"
    with pytest.raises(ValueError, match="separates"):
        join_list(["a;b"])


@given(st.dictionaries(st.text(), st.text() | st.none()), st.dictionaries(st.text(), st.text() | st.none()))
def test_a_revision_tells_values_apart_and_not_their_order(one: dict[str, Raw], other: dict[str, Raw]) -> None:
    assert (revision("t", one) == revision("t", other)) is (one == other)
    assert revision("t", one) == revision("t", dict(reversed(one.items())))
    assert revision("t", one) != revision("u", one)
