"""Cursors and paging styles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twoway.sdk import (
    OffsetWindow,
    SnapshotNeeded,
    TellUser,
    after_token,
    decode_cursor,
    encode_cursor,
    next_link,
    overlap_start,
    require_progress,
    same_origin,
)

keys = st.text(min_size=1).filter(lambda key: key not in {"feed", "v"})
data = st.dictionaries(keys, st.none() | st.integers(-(2**53), 2**53) | st.text() | st.lists(st.text()))


@given(data)
def test_a_cursor_comes_back_as_it_went(values: dict[str, object]) -> None:
    text = encode_cursor("app.changes", 1, values)
    assert decode_cursor(text, "app.changes", 1) == values
    assert encode_cursor("app.changes", 1, dict(reversed(values.items()))) == text


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("another listing's", encode_cursor("app.snapshot", 2, {})),
        ("an older version's", encode_cursor("app.changes", 1, {})),
        ("damaged", '{"feed":"app.chan'),
        ("not an object", "[]"),
        ("empty", ""),
    ],
)
def test_a_cursor_that_is_not_ours_asks_for_a_snapshot(what: str, text: str) -> None:
    with pytest.raises(SnapshotNeeded, match=r"app\.changes, version 2"):
        pytest.fail(f"{what}: {decode_cursor(text, 'app.changes', 2)}")


def test_overlap_reaches_back_over_lag_and_resolution_and_not_below_the_least() -> None:
    assert overlap_start(100_000, lag=30_000, resolution=1000) == 69_000
    assert overlap_start(10_000, lag=30_000) == 0
    assert overlap_start(100_000, lag=30_000, least=90_000) == 90_000


@given(
    rows=st.integers(0, 300),
    size=st.integers(1, 50),
    overlap=st.integers(0, 49),
    tells_total=st.booleans(),
)
def test_offset_pages_cover_every_row_and_end(rows: int, size: int, overlap: int, tells_total: bool) -> None:
    overlap = min(overlap, size - 1)
    seen: set[int] = set()
    window: OffsetWindow | None = OffsetWindow(0, size, overlap)
    pages = 0
    while window is not None:
        page = range(window.offset, min(rows, window.offset + window.size))
        seen |= set(page)
        pages += 1
        assert pages <= rows + 2
        window = window.after(len(page), rows if tells_total else None)
    assert seen == set(range(rows))


@given(st.integers(2, 20), st.data())
def test_an_overlap_catches_removals_in_mid_listing(size: int, draw: st.DataObject) -> None:
    overlap = draw.draw(st.integers(1, size - 1))
    rows = list(range(100))
    seen: set[int] = set()
    removed: set[int] = set()
    window: OffsetWindow | None = OffsetWindow(0, size, overlap)
    while window is not None:
        page = rows[window.offset : window.offset + size]
        seen |= set(page)
        window = window.after(len(page), len(rows))
        gone = draw.draw(st.sets(st.sampled_from(page), max_size=overlap)) if page else set()
        removed |= gone
        rows = [row for row in rows if row not in gone]
    assert set(range(100)) - removed <= seen


def test_a_listing_that_breaks_off_short_is_not_taken_for_its_end() -> None:
    assert OffsetWindow(0, 10).after(3, 100) == OffsetWindow(3, 10)
    with pytest.raises(TellUser, match="more were promised"):
        OffsetWindow(30, 10).after(0, 100)


@pytest.mark.parametrize(("offset", "size", "overlap"), [(-1, 10, 0), (0, 10, 10), (0, 10, -1), (0, 0, 0)])
def test_a_window_that_cannot_move_is_refused(offset: int, size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap below the size"):
        OffsetWindow(offset, size, overlap)


def test_the_token_of_the_next_page() -> None:
    assert after_token({"paging": {"next": {"after": 7}}}, "paging", "next", "after") == "7"
    lasts: list[dict[str, object]] = [
        {},
        {"paging": None},
        {"paging": {"next": {}}},
        {"paging": {"next": {"after": ""}}},
    ]
    for last in lasts:
        assert after_token(last, "paging", "next", "after") is None


def test_a_next_link_stays_at_home() -> None:
    base = "https://acme.example.test/api/v2"
    assert next_link(base, None, name="desk") is None
    assert next_link(base, f"{base}/users?page=2", name="desk") == f"{base}/users?page=2"
    with pytest.raises(TellUser, match="next-page link"):
        next_link(base, "https://evil.test/api/v2/users?page=2", name="desk")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("https://a.test/x", "https://A.test:443/y?z", True),
        ("https://a.test", "http://a.test", False),
        ("https://a.test", "https://a.test:8443", False),
        ("https://a.test", "https://a.test.evil.test", False),
        ("https://a.test", "https://a.test@evil.test", False),
        ("https://a.test", "/relative", False),
        ("https://a.test", "https://a.test:port", False),
        ("javascript:1", "javascript:1", False),
    ],
)
def test_same_origin(left: str, right: str, same: bool) -> None:
    assert same_origin(left, right) is same


def test_a_listing_that_does_not_move_is_noticed() -> None:
    require_progress("a", "b", where="crm")
    require_progress(None, "a", where="crm")
    for before, after in (("a", "a"), ("a", None), (None, None)):
        with pytest.raises(TellUser, match="crm: the listing does not move on"):
            require_progress(before, after, where="crm")
