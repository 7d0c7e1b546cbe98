"""A folder with a configuration that is right, for each test to spoil in one way."""

from collections.abc import Callable
from pathlib import Path

import pytest

from twoway.config import ConfigError, load

CONFIG = """\
accounts:
  crm:
    app: hubspot
    secrets: { token_file: crm.token }
  news:
    app: mailchimp
"""
PAIR = """\
pair: crm-news
left: { account: crm, collection: contacts }
right: { account: news, collection: members, options: { audience: Customers } }
start: review
match: [email]
fields:
  email: { left: email, right: email_address, type: email }
  phone:
    left: phone
    right: merge_fields.PHONE
    type: phone
    region: US
"""

Told = Callable[[], list[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration's folder, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "crm.token").write_text("s3cr3t\n")
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "crm-news.yaml").write_text(PAIR)
    return tmp_path


@pytest.fixture
def told(folder: Path) -> Told:
    """What loading complains of, a line each; nothing where it does not."""

    def complaints() -> list[str]:
        try:
            load(folder / "config.yaml")
        except ConfigError as error:
            return [str(one) for one in error.problems]
        return []

    return complaints
