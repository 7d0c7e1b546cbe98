"""Timestamps of the Zendesk look-alike: whole seconds, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=65536)
def iso(seconds: int) -> str:
    """Seconds since the epoch as `2026-11-22T10:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_iso(text: str) -> int:
    """An ISO time as whole seconds since the epoch; without a zone it is UTC. `ValueError` if it is not one."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
