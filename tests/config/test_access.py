"""An account that may only be read: its pairs become one-way, and what they cannot have is told."""

from pathlib import Path

import pytest

from twoway.config.load import load
from twoway.config.problems import ConfigError
from twoway.core.model import Side
from twoway.core.rules import Direction, OnDelete

CONFIG = """\
accounts:
  crm: {{ app: x, access: {crm} }}
  news: {{ app: x, access: {news} }}
"""
PAIR = """\
pair: crm-news
left: {{ account: crm, collection: people }}
right: {{ account: news, collection: people }}
start: review
match: [email]
create: {{ on_left: true, on_right: true }}
delete: {{ on_left: archive, on_right: archive }}
scope: {{ on_leave: {on_leave} }}
fields:
  email: {{ left: email, right: email, type: email }}
  name: {{ left: name, right: name, direction: {direction} }}
"""


def _write(
    folder: Path, *, crm: str = "read", news: str = "write", direction: str = "both", on_leave: str = "keep"
) -> Path:
    (folder / "pairs").mkdir()
    (folder / "pairs" / "p.yaml").write_text(PAIR.format(direction=direction, on_leave=on_leave))
    (folder / "config.yaml").write_text(CONFIG.format(crm=crm, news=news))
    return folder / "config.yaml"


def test_nothing_of_the_pair_can_write_there(tmp_path: Path) -> None:
    mapping = load(_write(tmp_path)).pairs["crm-news"].mapping
    assert {rule.direction for rule in mapping.rules.fields.values()} == {Direction.TO_RIGHT}
    assert mapping.rules.create == {Side.LEFT: False, Side.RIGHT: True}
    assert mapping.rules.delete == {Side.LEFT: OnDelete.IGNORE, Side.RIGHT: OnDelete.ARCHIVE}


def test_an_account_that_may_be_written_changes_nothing(tmp_path: Path) -> None:
    mapping = load(_write(tmp_path, crm="write")).pairs["crm-news"].mapping
    assert {rule.direction for rule in mapping.rules.fields.values()} == {Direction.BOTH}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"direction": "to_left"}, "p.yaml:11:36: fields.name.direction: travels to crm only"),
        ({"on_leave": "archive"}, "p.yaml:8:10: scope.on_leave: could archive records in crm"),
        ({"news": "read"}, "p.yaml:1:1: pair: both accounts of this pair are `access: read`"),
    ],
    ids=["a field that only goes there", "archiving there", "nowhere to write"],
)
def test_what_cannot_be_had_is_told(tmp_path: Path, given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(_write(tmp_path, **given))
    assert told in str(raised.value)
