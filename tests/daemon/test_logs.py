"""What may be in a log, and what never is."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from twoway.daemon.logs import HIDDEN, Redactor, configure, pair_context

_SECRET = "pat-eu1-0123456789abcdef"
_CUSTOMER = "Ada Lovelace"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Put everything back that `configure` sets for the whole process."""
    root = logging.getLogger()
    quiet = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "apscheduler", "asyncio")}
    handlers, level, structured = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**structured)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    structlog.get_logger("twoway.engine").info("cycle_done", writes=3, ids=["17", "18"])
    (line,) = _lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "cycle_done",
        "level": "info",
        "logger": "twoway.engine",
        "writes": 3,
        "ids": ["17", "18"],
    }


@pytest.mark.parametrize(
    ("value", "shown"), [("pairs/M\udcfcnster.yaml", "pairs/M\udcfcnster.yaml"), (2**70, 2**70)], ids=["half", "large"]
)
def test_what_is_no_proper_text_or_number_is_told_and_its_line_is_redacted_like_any_other(
    value: object, shown: object, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    configure(stream=stream, secrets=["hush-0123456789"])
    structlog.get_logger("test").error("refused", what=value, reason="it said hush-0123456789")
    line = json.loads(stream.getvalue())
    assert (line["what"], line["reason"]) == (shown, "it said [hidden]")
    assert capsys.readouterr().err == "", "logging's own complaint would show the line as it was"


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    configure(stream=stream)
    structlog.get_logger("twoway.engine").info("cycle_done", writes=3)
    text = stream.getvalue()
    assert "cycle_done" in text
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)


@pytest.mark.parametrize(
    ("stream", "form", "is_json"),
    [
        pytest.param(Terminal(), "json", True, id="JSON on a terminal"),
        pytest.param(io.StringIO(), "console", False, id="text on a pipe"),
    ],
)
def test_the_form_can_be_chosen(stream: io.StringIO, form: Any, is_json: bool) -> None:
    configure(stream=stream, form=form)
    structlog.get_logger().warning("hello")
    assert stream.getvalue().startswith("{") == is_json


@pytest.mark.parametrize(
    ("level", "written"),
    [("debug", ["d", "i", "w", "e"]), ("info", ["i", "w", "e"]), ("WARNING", ["w", "e"]), ("error", ["e"])],
)
def test_the_level_decides_what_is_written(level: str, written: list[str]) -> None:
    stream = io.StringIO()
    configure(stream=stream, level=level)
    log = structlog.get_logger()
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    assert [line["event"] for line in _lines(stream)] == written


def test_an_unknown_level_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"'loud'.*debug, info, warning, error"):
        configure(level="loud")


def test_every_line_within_a_cycle_names_its_pair_also_a_librarys() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    with pair_context("crm-newsletter"):
        structlog.get_logger().info("ours")
        logging.getLogger("some.library").warning("%s of %s", "theirs", 2)
    structlog.get_logger().info("outside")
    ours, theirs, outside = _lines(stream)
    assert ours["pair"] == "crm-newsletter"
    assert (theirs["pair"], theirs["event"]) == ("crm-newsletter", "theirs of 2")
    assert "pair" not in outside


def test_a_line_a_request_is_not_written() -> None:
    stream = io.StringIO()
    configure(stream=stream)
    logging.getLogger("httpx").info("HTTP Request: GET https://api.example/contacts")
    logging.getLogger("apscheduler.scheduler").warning("Execution of job was skipped")
    assert _lines(stream) == []


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "text"])
def test_a_traceback_shows_no_local_variable(stream: io.StringIO) -> None:
    configure(stream=stream, secrets=[_SECRET])

    def fail(customer: str) -> None:
        raise RuntimeError(f"refused {len(customer)} with {_SECRET}")

    try:
        fail(_CUSTOMER)
    except RuntimeError:
        structlog.get_logger().exception("batch_failed")
        logging.getLogger("some.library").exception("also here")
    text = stream.getvalue()
    assert text.count("RuntimeError") >= 2
    assert "in fail" in text
    assert _CUSTOMER not in text
    assert _SECRET not in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("count", 3, 3, id="a number stays"),
        pytest.param("token_count", 3, 3, id="also one with a suspicious name"),
        pytest.param("done", True, True, id="a truth stays"),
        pytest.param("cursor", None, None, id="nothing stays"),
        pytest.param("pair", "crm-newsletter", "crm-newsletter", id="a name of ours stays"),
        pytest.param("record_id", "501", "501", id="an id stays"),
        pytest.param("field", "email", "email", id="a field's name stays"),
        pytest.param("api_key", "abc", HIDDEN, id="a credential by its key"),
        pytest.param("X-Auth", "abc", "abc", id="no part of a longer word"),
        pytest.param("Authorization", "Bearer x", HIDDEN, id="a header by its key"),
        pytest.param("client_secret", ["abc"], HIDDEN, id="a list of credentials"),
        pytest.param("value", "Ada", HIDDEN, id="a customer's value by its key"),
        pytest.param("fields", {"note": "Ada"}, "[1 values hidden]", id="a mapping"),
        pytest.param("parts", [{"a": 1}, 2], ["[1 values hidden]", 2], id="a mapping in a list"),
        pytest.param("reason", "no ada@example.org here", "no [e-mail] here", id="an e-mail address"),
        pytest.param("reason", f"got {_SECRET}!", f"got {HIDDEN}!", id="a secret in a text"),
        pytest.param("url", "https://u:pw@dav.example/x", f"https://{HIDDEN}@dav.example/x", id="a login in a URL"),
        pytest.param("url", "GET https://a.example/c?q=Ada 404", f"GET https://a.example/c?{HIDDEN} 404", id="a query"),
        pytest.param("reason", "sent Bearer abcdef123", f"sent Bearer {HIDDEN}", id="a bearer token"),
        pytest.param("reason", RuntimeError(f"x {_SECRET}"), f"x {HIDDEN}", id="an object by its text"),
    ],
)
def test_what_is_hidden_and_what_is_not(key: str, value: object, expected: object) -> None:
    assert Redactor([_SECRET])(None, "info", {key: value}) == {key: expected}


def test_a_short_secret_does_not_make_swiss_cheese_of_the_log() -> None:
    assert Redactor(["a"]).text("a pair") == "a pair"


def test_a_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    assert Redactor(["abcdef", "abcdef-123456"]).text("abcdef-123456") == HIDDEN


@given(before=st.text(), secret=st.text("abcdefghij0123456789", min_size=6, max_size=30), after=st.text())
def test_no_text_around_a_secret_lets_it_through(before: str, secret: str, after: str) -> None:
    assert secret not in Redactor([secret]).text(f"{before}{secret}{after}").replace(HIDDEN, "")


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    configure(form="json")
    structlog.get_logger().info("hello")
    assert orjson.loads(capsys.readouterr().err)["event"] == "hello"
