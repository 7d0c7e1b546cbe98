import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.core.raw import Invalid
from twoway.core.time_types import date_format, parse_date

DATES = [
    ("day first", "%d.%m.%Y", "09.03.2024", "2024-03-09"),
    ("month first", "%m/%d/%Y", "03/09/2024", "2024-03-09"),
    ("without separators", "%Y%m%d", "20240309", "2024-03-09"),
    ("with braces and a percent sign", "{%Y}-%m-%d%%", "{2024}-03-09%", "2024-03-09"),
]


@pytest.mark.parametrize(("why", "pattern", "raw", "iso"), DATES, ids=[one[0] for one in DATES])
def test_a_date_in_the_apps_own_form(why: str, pattern: str, raw: str, iso: str) -> None:
    read, write = date_format(pattern, instant=False)
    assert (read(raw), write(iso)) == (iso, raw), why


def test_an_instant_in_the_apps_own_form() -> None:
    read, write = date_format("%d.%m.%Y %H:%M:%S", instant=True)
    assert read(" 09.03.2024 7:08:09 ") == "2024-03-09T07:08:09Z"
    assert write("2024-03-09T07:08:09Z") == "09.03.2024 07:08:09"


def test_epochs() -> None:
    seconds, milliseconds = date_format("epoch", instant=True), date_format("epoch_ms", instant=True)
    assert seconds[0]("1709968089") == milliseconds[0](1709968089000) == "2024-03-09T07:08:09+00:00"
    assert seconds[1]("2024-03-09T07:08:09Z") == 1709968089
    assert type(seconds[1]("2024-03-09T07:08:09.5Z")) is int
    assert milliseconds[1]("2024-03-09T07:08:09.123Z") == 1709968089123
    assert seconds[0](0) == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("pattern", ["%d.%m.%Y", "epoch"])
def test_blanks_have_every_form(pattern: str) -> None:
    read, write = date_format(pattern, instant=pattern == "epoch")
    assert write(None) is None
    assert read(None) is None
    assert not read("")


REFUSED: list[tuple[str, str, Any, str]] = [
    ("another form", "%d.%m.%Y", "2024-03-09", "not written as `%d.%m.%Y`"),
    ("a day that does not exist", "%d.%m.%Y", "30.02.2024", "a day or time that does not exist"),
    ("digits of another script", "%d.%m.%Y", "٠٩.03.2024", "not written as `%d.%m.%Y`"),
    ("an epoch that is none", "epoch", "secret", "not a whole number of time since 1970"),
    ("an epoch beyond the calendar", "epoch", 10**18, "not a whole number of time since 1970"),
    ("a list", "epoch", [1], "not a whole number of time since 1970"),
]


@pytest.mark.parametrize(("why", "pattern", "raw", "words"), REFUSED, ids=[one[0] for one in REFUSED])
def test_what_is_not_in_the_form_is_refused(why: str, pattern: str, raw: Any, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        pytest.fail(f"{why}: read as {date_format(pattern, instant=pattern == 'epoch')[0](raw)}")
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("pattern", "instant", "words"),
    [
        ("%d.%m.%y", False, "must name each of %Y %m %d once"),
        ("%d.%m", False, "must name each of %Y %m %d once"),
        ("%d.%m.%Y %d", False, "must name each of %Y %m %d once"),
        ("%d.%m.%Y%", False, "must name each of %Y %m %d once"),
        ("%d.%m.%Y", True, "must name each of %Y %m %d %H %M %S once, or epoch or epoch_ms"),
        ("epoch", False, "must name each of %Y %m %d once"),
    ],
)
def test_a_form_that_could_not_be_read_back_is_refused(pattern: str, instant: bool, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        date_format(pattern, instant=instant)


@given(st.dates())
def test_every_day_survives_the_apps_form(day: date) -> None:
    read, write = date_format("%m/%d/%Y", instant=False)
    assert parse_date(read(write(day.isoformat()))) == day.isoformat()


@given(st.datetimes(timezones=st.just(UTC)).map(lambda one: one.replace(microsecond=0)))
def test_every_instant_survives_the_apps_form(moment: datetime) -> None:
    iso = moment.replace(tzinfo=None).isoformat() + "Z"
    read, write = date_format("%Y-%m-%d %H:%M:%S", instant=True)
    assert read(write(iso)) == iso
