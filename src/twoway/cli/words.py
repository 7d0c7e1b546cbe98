"""How things are put to people: values, times, rules, directions. Accounts are named; sides never are."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twoway.core.model import Instant, Side, Value

Names = Mapping[Side, str]
"""What people call the two sides of a pair: their accounts."""

ARROW: Final = "→"
_WIDTH: Final = 60

_RULES: Final = {
    "left the scope": "no longer in scope",
    "both left the scope": "no longer in scope",
    "drift": "drift: put back",
    "deleted opposite": "deleted in the other app",
    "deleted opposite, kept here": "deleted in the other app, kept here",
    "deleted opposite: to be deleted here?": "deleted in the other app: is it to be deleted here?",
    "start: newest": "first link: the newest wins",
    "start: review": "first link: a person decides",
}
_WINS: Final = re.compile(r"(start|conflict): (left|right)")

_WHY: Final = {
    "changed": "it was changed in {giver}, and carried over",
    "filled": "it was blank here, and was filled from {giver}",
    "one-way": "this field goes from {giver} to {taker} only",
    "drift": "it had been edited in {taker}, which only receives this field, and was put back",
    "merged": "what was added and removed on either side was merged",
    "union": "what the two held when they were linked was put together",
    "decided": "a person decided the conflict",
    "undo": "a person took an earlier cycle back",
    "opt-out": "an opt-out wins over every other rule",
    "new": "the record was created here from {giver}",
    "edit survives the deletion": "it was deleted here and edited in {giver}: the edit survived, and it was made anew",
    "start: newest": "the two differed when they were linked, and the newer one won",
    "conflict: newest": "both had changed it, and the newer one won",
    "deleted opposite": "its counterpart was deleted in {giver}",
}


_COUNTED: Final = {
    "conflicts": "in conflict",
    "parked": "set aside",
    "failed": "refused",
    "unknown": "without an answer",
    "superseded": "to be decided anew",
    "left_alone": "not taken back",
    "to_end": "no longer to be linked",
    "merged": "merged in an app",
}
_READ: Final = ("seen", "listed")
_ORDER: Final = ("created", "updated", "deleted", "archived", "linked", "unlinked", *_COUNTED, *_READ)


def rule(text: str, names: Names) -> str:
    """A rule or a reason as people read it."""
    wins = _WINS.fullmatch(text)
    if wins:
        what = {"start": "first link", "conflict": "conflict"}[wins[1]]
        return f"{what}: {names[Side(wins[2])]} wins"
    return _RULES.get(text, text)


def why(text: str, written: Side, names: Names) -> str:
    """Why a value was written into `written`: a clause."""
    wins = _WINS.fullmatch(text)
    if wins:
        before = "the two differed when they were linked" if wins[1] == "start" else "both had changed it"
        return f"{before}, and {names[Side(wins[2])]} wins by the pair's `{wins[1]}`"
    return _WHY.get(text, rule(text, names)).format(giver=names[written.other], taker=names[written])


def value(what: Value, width: int = _WIDTH) -> str:
    """A value on one line: texts in quotes, nothing that would move the cursor or colour the terminal."""
    if what is None:
        return "(blank)"
    text = json.dumps(what, ensure_ascii=False, sort_keys=True)
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def plain(text: str) -> str:
    """A text from elsewhere, made safe for a terminal."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def direction(written: Side, names: Names) -> str:
    """`crm → newsletter`: where a write comes from and where it goes."""
    return f"{names[written.other]} {ARROW} {names[written]}"


def iso(at: Instant | None) -> str | None:
    """An instant in JSON: ISO 8601, UTC."""
    return None if at is None else f"{datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec='seconds')[:-6]}Z"


def when(at: Instant | None) -> str:
    """An instant in the time of this machine."""
    return "never" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def local(text: str | None) -> str:
    """What `iso` gave, in the time of this machine."""
    return "never" if text is None else f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def span(milliseconds: int) -> str:
    """`3m`, `2h`, `5d`: a length of time in its greatest unit."""
    seconds = max(0, milliseconds) // 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def ago(at: Instant | None, now: Instant) -> str:
    """How long ago."""
    return "never" if at is None else f"{span(now - at)} ago"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def counts(found: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A cycle's counts with accounts in place of sides: `{"created": {"newsletter": 3}, "linked": 2}`."""
    told: dict[str, Any] = {}
    for key, number in sorted(found.items()):
        verb, _, side = key.rpartition(" ")
        if side in set(Side):
            told.setdefault(verb, {})[names[Side(side)]] = number
        else:
            told[key] = number
    return told


def counted(found: Mapping[str, Any], names: Names, idle: str = "nothing to do") -> str:
    """A cycle's counts on one line: what was written comes first, or `idle`."""
    parts: list[str] = []
    told = counts(found, names)
    if not any(number for verb, number in told.items() if verb not in _READ):
        parts.append(idle)
    for verb in sorted(told, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one)):
        number = told[verb]
        if isinstance(number, dict):
            parts += [f"{n} {verb} in {account}" for account, n in number.items() if n]
        elif number:
            parts.append(f"{number} {_COUNTED.get(verb, verb)}")
    return ", ".join(parts)


def listed(things: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = [*things] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def waiting_undo(pair: str, one: Mapping[str, Any], *, stands: bool) -> list[str]:
    """The undo of a cycle that is not done, what comes next, and how to give it up: lines. `one` has `cycle`, `to_send`
    and `unknown`; `stands` is a pair of which no cycle runs."""
    number, to_send, unknown = one["cycle"], one["to_send"], one["unknown"]
    parts = [f"{count(to_send, 'record')} still to be written"] if to_send else []
    parts += [f"{count(unknown, 'write')} without an answer"] if unknown else []
    lines = [f"{pair}: the undo of cycle {number} is not done: {', '.join(parts)}"]
    if not stands:
        lines.append("  the next cycle goes on with it")
    else:
        again = f"; `twoway undo {number}` goes on with what was not sent" if to_send else ""
        lines.append(f"  no cycle goes on with it before the pair runs again{again}")
    if to_send:
        lines.append(f"  `twoway undo {number} --withdraw` gives up what was not sent")
    return lines
