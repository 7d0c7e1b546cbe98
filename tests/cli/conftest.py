"""The installation that the tests of the command line work on."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.setup import CONFIG, MAPPING, PAIR, Installation
from twoway.sandbox.hubspot import HubSpotApp
from twoway.sandbox.mailchimp import MailchimpApp
from twoway.sandbox.server import Sandbox


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "TWOWAY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up logging for its process, which here is the tests' own."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def twoway(home: Path) -> Iterator[Installation]:
    """Two apps, two accounts, one pair; nothing has run yet."""
    crm = HubSpotApp(settings={"index_lag": 0.0, "rate_limit": 100_000, "search_limit": 1_000})
    newsletter = MailchimpApp()
    with Sandbox(hubspot=crm, mailchimp=newsletter) as sandbox:
        (home / "config.yaml").write_text(CONFIG.format(**sandbox.urls))
        (home / "crm.token").write_text(crm.text("token"))
        (home / "newsletter.key").write_text(newsletter.text("token"))
        (home / "pairs").mkdir()
        (home / "pairs" / f"{PAIR}.yaml").write_text(MAPPING)
        yield Installation(home, crm, newsletter)
