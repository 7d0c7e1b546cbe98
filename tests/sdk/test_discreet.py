"""No customer's value in what an app is quoted with."""

import pytest

from twoway.sdk import Kind, Raw, Write, discreet


@pytest.mark.parametrize(
    ("what", "changed", "text", "expected"),
    [
        ("a value that is repeated", {"name": "Ada"}, "Ada is taken", "… is taken"),
        ("in another case", {"name": "ADA"}, "ada is taken", "… is taken"),
        ("within a list or a table", {"a": [{"b": "Lovelace"}], "c": {"d": "Byron"}}, "Byron, Lovelace", "…, …"),
        ("the longest first", {"first": "Ada", "full": "Ada King"}, "Ada King: Ada", "…: …"),
        ("signs that patterns are made of", {"note": "a.*(b"}, "not a.*(b", "not …"),
        ("an address that we did not send", {}, "Email:ada@example.com is in use", "Email:… is in use"),
        ("too short to be told from common words", {"state": "is"}, "this is it", "this is it"),
        ("numbers", {"salary": 48210, "rate": 12.5}, "48210 is larger than 12.5", "… is larger than …"),
        ("no text", {"age": 42, "vip": True}, "42 is True", "42 is True"),
    ],
)
def test_values_are_left_out(what: str, changed: dict[str, Raw], text: str, expected: str) -> None:
    assert discreet(text, Write(operation="op", kind=Kind.UPDATE, id="1", changed=changed)) == expected, what
