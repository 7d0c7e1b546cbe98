"""How each side's app stores what the other side's sets hold.

An app may keep `VIP Customer` as `vip_customer`. Whoever takes it off opposite means that element; whoever had both
before they were linked had one, and not two. Only what the connector declares is known (`Connector.normal`).
"""

from collections.abc import Mapping

from twoway.core.diff import Life, Seen
from twoway.core.model import SIDES, Side, Values
from twoway.core.raw import Invalid
from twoway.core.resolve import elements
from twoway.engine.receipts import normal
from twoway.engine.run import Run


def spelt(run: Run, seen: Mapping[Side, Seen]) -> Mapping[Side, Seen]:
    """Both sides, with the forms of the elements of those sets that differ."""
    names = [
        name for name in run.pair.mapping.rules.sets if seen[Side.LEFT].value(name) != seen[Side.RIGHT].value(name)
    ]
    if not names or any(one.life is not Life.LIVE for one in seen.values()):
        return seen
    return {
        side: seen[side]._replace(spells={name: _forms(run, side, name, seen[side.other]) for name in names})
        for side in SIDES
    }


def _forms(run: Run, side: Side, name: str, theirs: Seen) -> dict[str, str]:
    held = {*elements(theirs.value(name)), *elements(theirs.base.get(name))}
    forms = {one: _stored(run, side, {name: [one]}, name) for one in sorted(held)}
    return {one: form[0] for one, form in forms.items() if len(form) == 1 and form[0] != one}


def _stored(run: Run, side: Side, values: Values, name: str) -> list[str]:
    try:
        return elements(normal(run, side, values)[name])
    except Invalid:
        return []
