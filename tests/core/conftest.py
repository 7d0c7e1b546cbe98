"""How many cases were enumerated is printed at the end: a domain that shrank unnoticed would prove less."""

from typing import Final

import pytest

ENUMERATED: Final = "cases enumerated"
"""The property by which a test tells how many cases of a small domain it went through."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted = sum(
        int(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == ENUMERATED
    )
    if counted:
        terminalreporter.write_line(f"Small domains enumerated completely: {counted:,} cases")
