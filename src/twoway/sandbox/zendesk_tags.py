"""Tags of the Zendesk look-alike, which users, organizations and tickets share."""

from __future__ import annotations

from typing import Any

from twoway.sandbox.zendesk_errors import bad_attribute


def normal_tags(given: Any, record: str, action: str) -> list[str]:
    """Tags as they are kept: in lower case, `_` for blanks, sorted, each once.

    400 if it is not a list; `record` and `action` are the names in its message, such as `user`, `users/update`.
    """
    if not isinstance(given, list):
        raise bad_attribute(f"{record}.tags", "an array", action)
    return sorted({"_".join(str(tag).lower().split()) for tag in given if str(tag).strip()})
